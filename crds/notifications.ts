/**
 * Notifications of any kind: who is told what happened, what is still to be told, and what became of it. A kind says which events
 * it has.
 */
import { z } from "zod";
import { dnsLabel, listAtomic, listMap, listSet } from "./common.ts";

/** Receivers of a resource. */
const RECEIVERS_MAX = 8;
/** Longest name of a receiver. */
const NAME_MAX_LENGTH = 32;
/** Events that wait at once; the oldest goes when another one comes. */
export const OUTBOX_MAX = 16;
/** Longest message of a delivery in the status. */
export const DELIVERY_MESSAGE_MAX = 512;

/** HTTP, without name and password; ports are 1 to 65535. Its own path and query, if any. */
const RECEIVER_URL =
  /^https?:\/\/[A-Za-z0-9.-]+(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?([\/?][!"$-~]*)?$/;

const secretRef = z.strictObject({
  name: z
    .string()
    .min(1)
    .max(253)
    .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/)
    .meta({ description: "Name of the Secret, in the namespace of the resource." }),
  key: z
    .string()
    .min(1)
    .max(253)
    .regex(/^[-._a-zA-Z0-9]+$/)
    .meta({ description: "Its key." })
    .default("secret"),
});

/** `spec.notifications` of a kind. @param events that there are, in the order in which they happen */
export function notificationsOf<const E extends readonly [string, ...string[]]>(events: E) {
  const receiver = z.strictObject({
    name: dnsLabel("Names the receiver in the status, in events and in messages.", NAME_MAX_LENGTH),
    url: z.string().max(512).regex(RECEIVER_URL).meta({
      description:
        "Where events are sent by POST, for example https://hooks.example.com/releases; readable by all who read the resource, so no secrets. Addresses of loopback, link-local and cloud metadata are refused, redirects are not followed.",
    }),
    secretRef: secretRef.meta({
      description:
        "Where the signing key is, as Standard Webhooks have it: 'whsec_' and 24 to 64 bytes in base64. Several, each on a line, sign together: that is how a key is replaced.",
    }),
    events: listSet(z.array(z.enum(events)).min(1).max(events.length))
      .meta({ "x-kubernetes-list-type": "set", description: "Events that it is told of; all unless told." })
      .exactOptional(),
  });
  return listMap(z.array(receiver).max(RECEIVERS_MAX), ["name"]);
}

const time = z.iso.datetime();

/** `status.outbox` of a kind: what is not told to everybody yet, written with the very status that it tells of. */
export function outboxOf<const E extends readonly [string, ...string[]], S extends z.core.$ZodLooseShape>(
  events: E,
  shape: S,
) {
  const entry = z.strictObject({
    id: z.string().max(64).meta({ description: "Names the event; the same in every delivery of it." }),
    event: z.enum(events).meta({ description: "What happened." }),
    at: time.meta({ description: "When." }),
    ...shape,
    to: listAtomic(z.array(z.string().max(NAME_MAX_LENGTH)).max(RECEIVERS_MAX)).meta({
      description: "Receivers that do not have it yet.",
    }),
  });
  return listAtomic(z.array(entry).max(OUTBOX_MAX));
}

/** `status.notifications` of a kind: what became of the last event for each receiver. */
export function deliveriesOf<const E extends readonly [string, ...string[]]>(events: E) {
  const delivery = z.strictObject({
    name: z.string().max(NAME_MAX_LENGTH).meta({ description: "The receiver." }),
    result: z.enum(["Delivered", "Retrying", "Failed"]).meta({ description: "What became of the event." }),
    event: z.enum(events).meta({ description: "What it was about." }),
    id: z.string().max(64).meta({ description: "Names the event." }),
    at: time.meta({ description: "When it came to that." }),
    message: z.string().max(DELIVERY_MESSAGE_MAX).meta({ description: "As a sentence; never a part of an answer." }),
  });
  return listMap(z.array(delivery).max(RECEIVERS_MAX), ["name"]);
}

/** Somebody who is told. */
export type Receiver = z.output<ReturnType<typeof notificationsOf>>[number];

/** An event that waits, as far as all kinds have it. */
export interface Entry<E extends string = string> {
  readonly id: string;
  readonly event: E;
  readonly at: string;
  readonly to: readonly string[];
}

/** What became of an event for a receiver. */
export interface DeliveryRecord<E extends string = string> {
  /** The receiver. */
  readonly name: string;
  readonly result: "Delivered" | "Retrying" | "Failed";
  readonly event: E;
  readonly id: string;
  readonly at: string;
  readonly message: string;
}

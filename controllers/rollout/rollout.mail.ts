/** Notifications of a Rollout: what its status is to say of them, and what is sent. */
import { ROLLOUT, type Rollout } from "../../crds/rollout.ts";
import { type RolloutStatus } from "../../crds/rollout-status.ts";
import { warn } from "../../operator/runtime/actions.ts";
import type { Action } from "../../operator/runtime/types.ts";
import { occurrenceOf, type Parcel } from "../kit/notifications/courier.ts";
import { addressed, lastDeliveries, nextOutbox } from "../kit/notifications/outbox.ts";
import { noticesOf } from "./rollout.notices.ts";
import type { World } from "./rollout.observe.ts";

/** What is to be told by now, as the server has it. */
export function parcelOf({ metadata, spec, status }: Rollout): Parcel {
  const { namespace = "", name, uid = "" } = metadata;
  return {
    origin: { resource: ROLLOUT, namespace, name, uid },
    events: (status?.outbox ?? []).map((entry) => occurrenceOf(entry, entry.revision)),
    receivers: spec.notifications ?? [],
  };
}

/** The members of the status that are about notifications. @param told the others @param now milliseconds since the epoch */
export function mailOf(
  { rollout, deliveries }: World,
  told: Omit<RolloutStatus, "observedGeneration">,
  now: number,
): Pick<RolloutStatus, "outbox" | "notifications"> {
  const { spec, status: before, metadata } = rollout;
  const { notifications: receivers = [], stages } = spec;
  if (receivers.length === 0) return {};
  const after = { observedGeneration: metadata.generation ?? 0, ...told };
  const step = { before, after, uid: metadata.uid ?? "", stages: stages.length };
  const fresh = addressed(noticesOf(step, now), receivers);
  const entries = before?.outbox ?? [];
  const outbox = nextOutbox({ entries, fresh, receivers, deliveries });
  const last = lastDeliveries(receivers, { entries, deliveries, told: before?.notifications ?? [] });
  return {
    ...(outbox.length === 0 ? {} : { outbox: [...outbox] }),
    ...(last.length === 0 ? {} : { notifications: [...last] }),
  };
}

/** What was given up, once; the status says it too. */
export function failedDeliveries({ rollout, deliveries }: World): Action[] {
  const { outbox = [] } = rollout.status ?? {};
  return deliveries
    .filter(({ result }) => result === "Failed")
    .map(({ id, event, receiver, message }) => {
      const revision = outbox.find((entry) => entry.id === id)?.revision ?? "";
      return warn("NotificationFailed", `${receiver} was not told of ${event} of revision ${revision}: ${message}`);
    });
}

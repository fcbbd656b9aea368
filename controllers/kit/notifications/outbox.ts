/**
 * What is still to be told, and what became of what was told: both are members of the status. An event comes into it with the very
 * status that it tells of, and leaves it once everybody has it or it was given up, so that another leader goes on with what is left.
 */
import {
  DELIVERY_MESSAGE_MAX,
  type DeliveryRecord,
  type Entry,
  OUTBOX_MAX,
  type Receiver,
} from "../../../crds/notifications.ts";

/** What this replica knows of an event and a receiver. */
export interface Delivery extends Pick<DeliveryRecord, "id" | "event" | "result" | "message" | "at"> {
  readonly receiver: string;
}

/** The events of a status, with the receivers that want each of them. */
export function addressed<E extends Omit<Entry, "to">>(
  events: readonly E[],
  receivers: readonly Receiver[],
): readonly (E & { readonly to: string[] })[] {
  return events
    .map((event) => ({ ...event, to: receivers.filter((receiver) => wants(receiver, event)).map(({ name }) => name) }))
    .filter(({ to }) => to.length > 0);
}

function wants({ events }: Receiver, { event }: Pick<Entry, "event">): boolean {
  return events === undefined || events.includes(event);
}

export interface Mail<E> {
  /** What the status says now. */
  readonly entries: readonly E[];
  /** What happened since. */
  readonly fresh: readonly E[];
  readonly receivers: readonly Receiver[];
  readonly deliveries: readonly Delivery[];
}

/** The outbox of the next status. Of more than it holds, the oldest go: what happened last counts most. */
export function nextOutbox<E extends Entry>({ entries, fresh, receivers, deliveries }: Mail<E>): readonly E[] {
  const names = new Set(receivers.map(({ name }) => name));
  const over = new Set(deliveries.filter(({ result }) => result !== "Retrying").map(nameOf));
  const left = entries
    .map((entry) => ({
      ...entry,
      to: entry.to.filter((receiver) => names.has(receiver) && !over.has(nameOf({ id: entry.id, receiver }))),
    }))
    .filter(({ to }) => to.length > 0);
  return [...left, ...fresh].slice(-OUTBOX_MAX);
}

function nameOf({ id, receiver }: Pick<Delivery, "id" | "receiver">): string {
  return `${id} ${receiver}`;
}

/** What is told of the last event for each receiver: by what this replica knows, else what the status says. */
export function lastDeliveries<E extends string>(
  receivers: readonly Receiver[],
  known: Pick<Mail<Entry<E>>, "entries" | "deliveries"> & { readonly told: readonly DeliveryRecord<E>[] },
): readonly DeliveryRecord<E>[] {
  return receivers.flatMap(({ name }) => {
    const own = known.deliveries.filter(({ receiver }) => receiver === name);
    const last = own.toSorted((a, b) => (a.at < b.at ? -1 : 1)).at(-1);
    const entry = known.entries.find(({ id }) => id === last?.id);
    if (last === undefined || entry === undefined) return known.told.filter((record) => record.name === name);
    const { result, at, message } = last;
    const { id, event } = entry;
    return [{ name, result, event, id, at, message: message.slice(0, DELIVERY_MESSAGE_MAX) }];
  });
}

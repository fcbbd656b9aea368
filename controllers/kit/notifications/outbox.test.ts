import { describe, expect, test } from "@jest/globals";
import { type Entry, OUTBOX_MAX, type Receiver } from "../../../crds/notifications.ts";
import { addressed, type Delivery, lastDeliveries, nextOutbox } from "./outbox.ts";

// What is still to be told, from one status to the next: nothing is lost that somebody waits for, nothing stays that nobody does.

const receiver = (name: string, events?: string[]): Receiver => ({
  name,
  url: "https://a.example",
  secretRef: { name: "s", key: "secret" },
  ...(events === undefined ? {} : { events }),
});
const entry = (id: string, to: readonly string[], event = "Promoted"): Entry => ({ id, event, at: `at-${id}`, to });
const delivery = (id: string, name: string, given: Partial<Delivery> = {}): Delivery => ({
  id,
  event: "Promoted",
  receiver: name,
  result: "Delivered",
  message: "status 204",
  at: "2026-01-01T00:00:00Z",
  ...given,
});
const RECEIVERS = [receiver("ops"), receiver("chat")];
const mail = { entries: [], fresh: [], receivers: RECEIVERS, deliveries: [] };

describe("the outbox", () => {
  test("takes what is new for those who want it", () => {
    const events = [entry("a", []), entry("b", [], "Paused")];
    const receivers = [receiver("all"), receiver("some", ["Paused"]), receiver("other", ["Aborted"])];
    expect(addressed(events, receivers)).toEqual([entry("a", ["all"]), entry("b", ["all", "some"], "Paused")]);
    expect(addressed(events, [receiver("other", ["Aborted"])])).toEqual([]);
  });

  test("keeps what is under way, and lets go what is over for everybody", () => {
    const entries = [entry("a", ["ops", "chat"]), entry("b", ["ops"]), entry("c", ["chat"])];
    const deliveries = [
      delivery("a", "ops"),
      delivery("a", "chat", { result: "Retrying" }),
      delivery("b", "ops", { result: "Failed" }),
    ];
    expect(nextOutbox({ ...mail, entries, deliveries, fresh: [entry("d", ["ops"])] })).toEqual([
      entry("a", ["chat"]),
      entry("c", ["chat"]),
      entry("d", ["ops"]),
    ]);
  });

  test("lets go what was for somebody who is not in the spec any more", () => {
    const entries = [entry("a", ["ops", "gone"]), entry("b", ["gone"])];
    expect(nextOutbox({ ...mail, entries })).toEqual([entry("a", ["ops"])]);
  });

  test("is bounded, and what happened last stays", () => {
    const ids = Array.from({ length: OUTBOX_MAX }, (_, index) => String(index));
    const entries = ids.map((id) => entry(id, ["ops"]));
    const next = nextOutbox({ ...mail, entries, fresh: [entry("new", ["ops"])] });
    expect(next.map(({ id }) => id)).toEqual([...ids.slice(1), "new"]);
  });
});

describe("what is told of each receiver", () => {
  const entries = [entry("a", ["ops", "chat"]), entry("b", ["ops"], "Paused")];

  test("is what became of it last", () => {
    const deliveries = [
      delivery("b", "ops", { at: "2026-01-01T00:00:02Z", result: "Retrying", message: "status 500" }),
      delivery("a", "ops", { at: "2026-01-01T00:00:01Z" }),
    ];
    const told = [
      { name: "chat", result: "Failed", event: "Promoted", id: "z", at: "then", message: "status 404" } as const,
      { name: "gone", result: "Failed", event: "Promoted", id: "z", at: "then", message: "status 404" } as const,
    ];
    expect(lastDeliveries(RECEIVERS, { entries, deliveries, told })).toEqual([
      {
        name: "ops",
        result: "Retrying",
        event: "Paused",
        id: "b",
        at: "2026-01-01T00:00:02Z",
        message: "status 500",
      },
      told[0],
    ]);
  });

  test("is nothing before the first event", () => {
    expect(lastDeliveries(RECEIVERS, { entries: [], deliveries: [], told: [] })).toEqual([]);
  });

  test("is no longer than the status takes", () => {
    const deliveries = [delivery("a", "ops", { message: "x".repeat(2_000) })];
    expect(lastDeliveries(RECEIVERS, { entries, deliveries, told: [] })[0]?.message).toHaveLength(512);
  });
});

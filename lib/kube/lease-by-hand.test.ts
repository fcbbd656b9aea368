import { describe, expect, it } from "@jest/globals";
import { createManualClock } from "../core/manual-clock.ts";
import { createServer, emptyLease, join, joinTwo, type Participant, type Server } from "./testing/lease-world.ts";
import type { LeaseObject } from "./types.ts";

// Goal: whatever somebody writes into a Lease by hand, no two processes hold it, and it is held again within a minute.

/** As `kubectl edit` does: a new version, with the former spec changed. */
function edit(server: Server, change: (spec: NonNullable<LeaseObject["spec"]>) => LeaseObject["spec"]): void {
  if (server.lease === undefined) throw new Error("there is no Lease");
  const { metadata, spec = {} } = server.lease;
  const resourceVersion = String(Number(metadata.resourceVersion) + 1);
  const next = change(spec);
  server.lease = { ...server.lease, metadata: { ...metadata, resourceVersion }, ...(next && { spec: next }) };
  if (next === undefined) delete server.lease.spec;
}

/** Lets time pass; never two holders. @returns milliseconds until somebody holds it again, 0 when nobody stopped */
async function pass(
  clock: ReturnType<typeof createManualClock>,
  participants: readonly Participant[],
  ms: number,
): Promise<number> {
  let withoutMs = 0;
  for (let passed = 0; passed < ms; passed += 100) {
    await clock.advance(100);
    const holders = participants.filter(({ holder }) => holder.isHeld());
    expect(holders.length).toBeLessThanOrEqual(1);
    if (holders.length === 0) withoutMs += 100;
  }
  expect(participants.some(({ holder }) => holder.isHeld())).toBe(true);
  return withoutMs;
}

describe("a Lease that somebody edits", () => {
  it.each<[string, (spec: NonNullable<LeaseObject["spec"]>) => LeaseObject["spec"], number]>([
    ["its duration is 1 s", (spec) => ({ ...spec, leaseDurationSeconds: 1 }), 0],
    ["its duration is a million seconds", (spec) => ({ ...spec, leaseDurationSeconds: 1_000_000 }), 0],
    ["its spec is empty", () => ({}), 18_000],
    ["its spec is gone", () => undefined, 18_000],
    ["its holder is empty", (spec) => ({ ...spec, holderIdentity: "" }), 18_000],
    ["its holder is a ghost", (spec) => ({ ...spec, holderIdentity: "ghost" }), 20_000],
    ["its holder is a ghost for 1 s", () => ({ holderIdentity: "ghost", leaseDurationSeconds: 1 }), 20_000],
    [
      "its holder is a ghost for a million seconds",
      (spec) => ({ ...spec, holderIdentity: "ghost", leaseDurationSeconds: 1_000_000 }),
      62_500,
    ],
    ["its epoch is the highest that there can be", (spec) => ({ ...spec, leaseTransitions: 2 ** 31 - 1 }), 18_000],
    [
      "its holder is a ghost with the highest epoch that there can be",
      (spec) => ({ ...spec, holderIdentity: "ghost", leaseTransitions: 2 ** 31 - 1 }),
      20_000,
    ],
    ["its epoch is negative", (spec) => ({ ...spec, leaseTransitions: -7 }), 18_000],
  ])("has one holder at a time, and one again: %s", async (_name, change, atMostMs) => {
    for (const afterMs of [100, 900, 1_900]) {
      const clock = createManualClock();
      const server = createServer();
      const [a, b] = ["a", "b"].map((identity) => join(server, clock, { identity, unclaimedSeconds: 3 }));
      if (a === undefined || b === undefined) throw new Error("nobody takes part");
      void a.holder.run();
      await clock.advance(4_100);
      void b.holder.run();
      await clock.advance(10_000 + afterMs);
      edit(server, change);
      expect(await pass(clock, [a, b], 90_000)).toBeLessThanOrEqual(atMostMs);
      // What the server takes.
      expect(server.lease?.spec?.leaseTransitions).toBeGreaterThan(0);
      expect(server.lease?.spec?.leaseTransitions).toBeLessThan(2 ** 31);
      await Promise.all([a.holder.stop(), b.holder.stop()]);
    }
  });

  it("by emptying it says so", async () => {
    const { clock, server, a, b } = await joinTwo();
    await clock.advance(10_000);
    edit(server, () => ({}));
    await clock.advance(2_500);
    expect(a.story).toEqual(["held 1", "lost: somebody took its holder out of the Lease"]);
    await Promise.all([a.holder.stop(), b.holder.stop()]);
  });

  it.each<[string, (server: Server) => void]>([
    ["emptied", (server) => edit(server, () => ({}))],
    ["deleted", (server) => (server.lease = undefined)],
  ])("is not taken by a newcomer before its holder can know that it was %s", async (_name, tamper) => {
    const clock = createManualClock();
    const server = createServer(undefined);
    const options = { createIfMissing: true, unclaimedSeconds: 3 };
    const a = join(server, clock, { identity: "a", ...options });
    void a.holder.run();
    await pass(clock, [a], 10_100).catch(() => undefined);
    await clock.advance(5_000);
    expect(a.holder.isHeld()).toBe(true);
    tamper(server);
    const c = join(server, clock, { identity: "c", ...options });
    void c.holder.run();
    await pass(clock, [a, c], 30_000);
    await Promise.all([a.holder.stop(), c.holder.stop()]);
  });
});

describe("a Lease that its holder gave back", () => {
  it("is taken at once, by a newcomer too", async () => {
    const clock = createManualClock();
    const server = createServer(undefined);
    const a = join(server, clock, { identity: "a", createIfMissing: true, unclaimedSeconds: 3 });
    void a.holder.run();
    await clock.advance(10_000);
    await a.holder.stop();
    const b = join(server, clock, { identity: "b", createIfMissing: true, unclaimedSeconds: 3 });
    void b.holder.run();
    await clock.advance(0);
    expect(b.holder.epoch()).toBe(2);
    await b.holder.stop();
  });

  it("by a version that only took its name out of it, is taken at once by who saw it before", async () => {
    const { clock, server, a, b } = await joinTwo();
    await clock.advance(10_000);
    a.link.down = true;
    edit(server, (spec) => ({ ...spec, holderIdentity: "", renewTime: "2026-01-01T00:00:00.000000Z" }));
    await clock.advance(3_000);
    expect(b.holder.isHeld()).toBe(true);
    await Promise.all([a.holder.stop(), b.holder.stop()]);
  });

  it("is another thing than a Lease that was never held, which is taken after the time told", async () => {
    const clock = createManualClock();
    const server = createServer(emptyLease());
    const a = join(server, clock, { identity: "a", unclaimedSeconds: 3 });
    void a.holder.run();
    await clock.advance(2_900);
    expect(a.holder.isHeld()).toBe(false);
    await clock.advance(700);
    expect(a.holder.isHeld()).toBe(true);
    await a.holder.stop();
  });
});

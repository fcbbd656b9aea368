import { describe, expect, it } from "@jest/globals";
import { createManualClock } from "../core/manual-clock.ts";
import { createServer, emptyLease, join, joinTwo } from "./testing/lease-world.ts";

// Goal: at no moment do two processes hold the right, and every change of holder raises the epoch.

describe("a Lease with one process", () => {
  it("is taken at once when nobody holds it, and renewed every 2 s", async () => {
    const clock = createManualClock();
    const server = createServer();
    const a = join(server, clock, { identity: "a", holderUrl: "https://10.0.0.1:8443" });
    void a.holder.run();
    await clock.advance(0);
    expect(a.holder.epoch()).toBe(1);
    expect(server.lease?.metadata.annotations).toEqual({ "shieldx.dev/holder-url": "https://10.0.0.1:8443" });
    expect(server.lease?.metadata.labels).toEqual({ keep: "me" });
    await clock.advance(60_000);
    expect(server.writes).toBe(31);
    expect(a.story).toEqual(["held 1"]);
    await a.holder.stop();
  });

  it("carries news with each renewal", async () => {
    const clock = createManualClock();
    const server = createServer();
    let position = 7;
    const a = join(server, clock, { identity: "a", annotations: () => ({ position: String(position) }) });
    void a.holder.run();
    await clock.advance(0);
    position = 8;
    await clock.advance(2_000);
    expect(server.lease?.metadata.annotations).toEqual({ position: "8" });
    await a.holder.stop();
    expect(server.lease?.metadata.annotations).toEqual({ position: "8" });
  });

  it("is left to expire by a process in which work under the right goes on", async () => {
    const clock = createManualClock();
    const server = createServer();
    const a = join(server, clock, { identity: "a" });
    void a.holder.run();
    await clock.advance(1_000);
    await a.holder.stop("expire");
    expect(server.lease?.spec?.holderIdentity).toBe("a");
    expect(a.story).toEqual(["held 1", "lost: left to expire"]);
    expect(a.holder.isHeld()).toBe(false);
  });

  it("is given back on stop, without the address of the holder", async () => {
    const clock = createManualClock();
    const server = createServer();
    const a = join(server, clock, { identity: "a", holderUrl: "https://10.0.0.1:8443" });
    void a.holder.run();
    await clock.advance(1_000);
    await a.holder.stop();
    expect(server.lease?.spec?.holderIdentity).toBe("");
    expect(server.lease?.metadata.annotations).toEqual({});
    expect(a.story).toEqual(["held 1", "lost: released"]);
    expect(a.holder.isHeld()).toBe(false);
  });

  it("is retaken at once under a higher epoch by a restarted process of the same identity", async () => {
    const clock = createManualClock();
    const server = createServer();
    const before = join(server, clock, { identity: "pod-uid" });
    void before.holder.run();
    await clock.advance(5_000);
    before.link.down = true; // Killed: it neither renews nor gives back.
    const after = join(server, clock, { identity: "pod-uid" });
    void after.holder.run();
    await clock.advance(0);
    expect(after.holder.epoch()).toBe(2);
    before.link.down = false; // Had it only been slow, it must notice and step down.
    await clock.advance(2_500);
    expect(before.story).toEqual(["held 1", "lost: a newer process has our identity"]);
    await Promise.all([before.holder.stop(), after.holder.stop()]);
  });

  it("ends by the local deadline while the API is away, even when the loop never runs", async () => {
    const clock = createManualClock();
    const server = createServer();
    const a = join(server, clock, { identity: "a" });
    void a.holder.run();
    await clock.advance(0);
    a.link.down = true;
    await clock.advance(9_999);
    expect(a.holder.isHeld()).toBe(true);
    await clock.advance(1);
    expect(a.holder.isHeld()).toBe(false);
    expect(a.story).toEqual(["held 1", "lost: not renewed in time"]);
    a.link.down = false;
    await clock.advance(10_000);
    expect(a.holder.epoch()).toBe(2);
    await a.holder.stop();
  });

  it("counts the right from the time of sending, not of the answer", async () => {
    const clock = createManualClock();
    const server = createServer();
    const a = join(server, clock, { identity: "a" });
    void a.holder.run();
    await clock.advance(0);
    // The renewal at 2 s is answered 9 s later: the right it gives has 1 s left.
    a.link.before = () => clock.sleep(9_000);
    await clock.advance(11_100);
    a.link.down = true;
    expect(a.holder.isHeld()).toBe(true);
    await clock.advance(900);
    expect(a.holder.isHeld()).toBe(false);
    await a.holder.stop();
  });

  it("survives an edit of its metadata and a lost answer", async () => {
    const clock = createManualClock();
    const server = createServer();
    const a = join(server, clock, { identity: "a" });
    void a.holder.run();
    await clock.advance(0);
    if (server.lease !== undefined) server.lease.metadata.resourceVersion = "77";
    await clock.advance(2_000);
    a.link.loseNextAnswer = true;
    await clock.advance(20_000);
    expect(a.story).toEqual(["held 1"]);
    await a.holder.stop();
  });

  it("is created only when told so", async () => {
    const clock = createManualClock();
    const missing = createServer();
    missing.lease = undefined;
    const waiting = join(missing, clock, { identity: "a" });
    void waiting.holder.run();
    await clock.advance(5_000);
    expect(missing.lease).toBeUndefined();
    const creating = join(missing, clock, { identity: "b", createIfMissing: true });
    void creating.holder.run();
    await clock.advance(0);
    expect(creating.holder.epoch()).toBe(1);
    await Promise.all([waiting.holder.stop(), creating.holder.stop()]);
  });

  it("is lost when somebody deletes it", async () => {
    const clock = createManualClock();
    const server = createServer();
    const a = join(server, clock, { identity: "a" });
    void a.holder.run();
    await clock.advance(0);
    server.lease = undefined;
    await clock.advance(2_000);
    expect(a.story).toEqual(["held 1", "lost: the Lease was deleted"]);
    // Made anew, it starts at 0; our epoch never falls.
    server.lease = emptyLease();
    await clock.advance(2_500);
    expect(a.story.at(-1)).toBe("held 2");
    await a.holder.stop();
  });
});

describe("a Lease with two processes", () => {
  it("passes on within duration + retry after a crash, never before", async () => {
    const { clock, a, b } = await joinTwo();
    await clock.advance(10_000);
    a.link.down = true;
    const crashedAt = clock.monotonic();
    while (!b.holder.isHeld()) {
      expect(clock.monotonic() - crashedAt).toBeLessThanOrEqual(17_500);
      await clock.advance(100);
      expect(a.holder.isHeld() && b.holder.isHeld()).toBe(false);
    }
    expect(b.holder.epoch()).toBe(2);
    expect(a.story).toEqual(["held 1", "lost: not renewed in time"]);
    a.link.down = false;
    await clock.advance(10_000);
    expect(a.holder.record()).toMatchObject({ holderIdentity: "b", leaseTransitions: 2 });
    expect(a.holder.isHeld()).toBe(false);
    await Promise.all([a.holder.stop(), b.holder.stop()]);
  });

  it("passes on in under 3 s after a clean stop", async () => {
    const { clock, a, b } = await joinTwo();
    await clock.advance(10_000);
    await a.holder.stop();
    await clock.advance(2_999);
    expect(b.holder.epoch()).toBe(2);
    await b.holder.stop();
  });

  it("does not believe the times in the record", async () => {
    const clock = createManualClock();
    const server = createServer();
    const a = join(server, clock, { identity: "a" });
    void a.holder.run();
    await clock.advance(100);
    clock.jumpWallClock(3_600_000);
    const b = join(server, clock, { identity: "b" });
    void b.holder.run();
    await clock.advance(60_000);
    expect(b.holder.isHeld()).toBe(false);
    expect(a.holder.epoch()).toBe(1);
    await Promise.all([a.holder.stop(), b.holder.stop()]);
  });

  it("is not free because somebody deletes it: its holder does not know yet", async () => {
    const clock = createManualClock();
    const server = createServer();
    const a = join(server, clock, { identity: "a", createIfMissing: true });
    const b = join(server, clock, { identity: "b", createIfMissing: true });
    void a.holder.run();
    await clock.advance(100);
    void b.holder.run();
    await clock.advance(10_000);
    a.link.down = true; // Cut off: it will not even learn of it.
    server.lease = undefined;
    for (let passed = 0; passed < 19_800; passed += 100) {
      await clock.advance(100);
      expect(a.holder.isHeld() && b.holder.isHeld()).toBe(false);
    }
    expect([a.story.at(-1), b.holder.isHeld()]).toEqual(["lost: not renewed in time", true]);
    await Promise.all([a.holder.stop(), b.holder.stop()]);
  });

  it("stays with one of two that reach for it at the same moment", async () => {
    const clock = createManualClock();
    const server = createServer();
    const all = ["a", "b", "c"].map((identity) => join(server, clock, { identity }));
    for (const participant of all) void participant.holder.run();
    await clock.advance(30_000);
    expect(all.filter((participant) => participant.holder.isHeld())).toHaveLength(1);
    expect(server.lease?.spec?.leaseTransitions).toBe(1);
    await Promise.all(all.map((participant) => participant.holder.stop()));
  });

  it("tells the others where the holder answers", async () => {
    const clock = createManualClock();
    const server = createServer();
    const urls: (string | undefined)[] = [];
    const a = join(server, clock, { identity: "a", holderUrl: "https://a" });
    void a.holder.run();
    await clock.advance(100);
    const b = join(server, clock, { identity: "b", onRecord: (record) => urls.push(record.holderUrl) });
    void b.holder.run();
    await clock.advance(10_000);
    expect(urls).toEqual(["https://a"]);
    await Promise.all([a.holder.stop(), b.holder.stop()]);
  });
});

describe("a renewal", () => {
  it("counts as slow when it had to read the record first and found it still its own", async () => {
    const clock = createManualClock();
    const server = createServer();
    let slow = 0;
    const a = join(server, clock, { identity: "a", onSlowPath: () => (slow += 1) });
    void a.holder.run();
    await clock.advance(10_000);
    expect(slow).toBe(0);
    if (server.lease !== undefined) server.lease.metadata.resourceVersion = "77";
    await clock.advance(2_000);
    expect(slow).toBe(1);
    server.lease = { ...emptyLease(), spec: { holderIdentity: "b", leaseTransitions: 9 } };
    await clock.advance(2_000);
    expect([slow, a.story.at(-1)]).toEqual([1, 'lost: held by "b"']);
    await a.holder.stop();
  });
});

describe("a holder that survives the loss of the API", () => {
  it("keeps its right for as long as the API is away, and its epoch afterwards", async () => {
    const clock = createManualClock();
    const server = createServer();
    const a = join(server, clock, { identity: "a", survivesApiLoss: true });
    void a.holder.run();
    await clock.advance(0);
    a.link.down = true;
    await clock.advance(3_600_000);
    expect(a.holder.epoch()).toBe(1);
    a.link.down = false;
    await clock.advance(5_000);
    expect(a.story).toEqual(["held 1"]);
    await a.holder.stop();
  });

  it("never starts without the Lease", async () => {
    const clock = createManualClock();
    const server = createServer();
    const a = join(server, clock, { identity: "a", survivesApiLoss: true });
    a.link.down = true;
    void a.holder.run();
    await clock.advance(60_000);
    expect(a.holder.isHeld()).toBe(false);
    await a.holder.stop();
  });

  it("loses its right when the record names somebody else", async () => {
    const clock = createManualClock();
    const server = createServer();
    const a = join(server, clock, { identity: "a", survivesApiLoss: true });
    void a.holder.run();
    await clock.advance(0);
    a.link.down = true;
    const b = join(server, clock, { identity: "b" });
    void b.holder.run();
    await clock.advance(30_000);
    expect(b.holder.epoch()).toBe(2);
    a.link.down = false;
    await clock.advance(2_500);
    expect(a.story).toEqual(["held 1", 'lost: held by "b"']);
    await Promise.all([a.holder.stop(), b.holder.stop()]);
  });

  it("holds through a deletion of the Lease and takes the new one under a higher epoch", async () => {
    const clock = createManualClock();
    const server = createServer();
    const a = join(server, clock, { identity: "a", survivesApiLoss: true });
    void a.holder.run();
    await clock.advance(0);
    server.lease = undefined;
    await clock.advance(10_000);
    expect(a.holder.isHeld()).toBe(true);
    server.lease = { ...emptyLease(), metadata: { ...emptyLease().metadata, resourceVersion: "900" } };
    await clock.advance(2_500);
    expect(a.story).toEqual(["held 1", "held 2"]);
    await a.holder.stop();
  });
});

describe("a minimum epoch", () => {
  it("raises the transitions of a Lease that we hold", async () => {
    const clock = createManualClock();
    const server = createServer();
    const a = join(server, clock, { identity: "a" });
    void a.holder.run();
    await clock.advance(0);
    await expect(a.holder.setMinimumEpoch(41)).resolves.toBe(41);
    expect(server.lease?.spec?.leaseTransitions).toBe(41);
    await expect(a.holder.setMinimumEpoch(7)).resolves.toBe(41);
    await clock.advance(5_000);
    expect(a.story).toEqual(["held 1", "held 41"]);
    await a.holder.stop();
  });

  it("is refused when the Lease is somebody else's meanwhile", async () => {
    const clock = createManualClock();
    const server = createServer();
    const a = join(server, clock, { identity: "a" });
    void a.holder.run();
    await clock.advance(0);
    server.lease = {
      ...emptyLease(),
      metadata: { ...emptyLease().metadata, resourceVersion: "9" },
      spec: { holderIdentity: "b", leaseTransitions: 2 },
    };
    await expect(a.holder.setMinimumEpoch(5)).rejects.toMatchObject({ code: "LEASE_LOST" });
    expect(server.lease?.spec?.leaseTransitions).toBe(2);
    await a.holder.stop();
  });
});

describe("bad timing", () => {
  it("is refused: the record holds whole seconds only", () => {
    const clock = createManualClock();
    expect(() => join(createServer(), clock, { identity: "a", durationSeconds: 4.5, renewSeconds: 3 })).toThrow(
      expect.objectContaining({ code: "CONFIG_INVALID" }),
    );
  });

  it("is refused: the right must end before others may take it", () => {
    const clock = createManualClock();
    expect(() => join(createServer(), clock, { identity: "a", durationSeconds: 10, renewSeconds: 10 })).toThrow(
      expect.objectContaining({ code: "CONFIG_INVALID" }),
    );
  });
});

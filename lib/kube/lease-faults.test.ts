import { describe, expect, it } from "@jest/globals";
import { createManualClock } from "../core/manual-clock.ts";
import { prng } from "../core/prng.ts";
import { createServer, join, joinTwo, type Participant, unreachable } from "./testing/lease-world.ts";

// Goal: outages, stalls and clocks that jump never give the right to two processes, and it is taken over when its holder is gone.

describe("an outage of the API that outlasts the Lease", () => {
  const OUTAGE_MS = 40_000;
  /** a holds, b has seen it; then the API answers nobody for 40 s. */
  async function afterOutage(options: { readonly formerLives: boolean }) {
    const { clock, server, a, b } = await joinTwo();
    await clock.advance(10_000);
    a.link.down = true;
    b.link.down = true;
    await clock.advance(OUTAGE_MS);
    expect([a.holder.isHeld(), b.holder.isHeld()]).toEqual([false, false]);
    a.link.down = !options.formerLives;
    b.link.down = false;
    return { clock, server, a, b, stop: () => Promise.all([a.holder.stop(), b.holder.stop()]) };
  }

  it("leaves the Lease with the former holder when that still lives, once late writes are over", async () => {
    const { clock, a, b, stop } = await afterOutage({ formerLives: true });
    await clock.advance(5_000);
    expect([a.holder.isHeld(), b.holder.isHeld()]).toEqual([false, false]);
    await clock.advance(4_800); // Two more attempts, and the rest of the one that was under way.
    expect(a.holder.epoch()).toBe(2);
    await clock.advance(60_000);
    expect(b.story).toEqual([]);
    await stop();
  });

  it("passes the Lease on when the former holder is gone: a whole duration after the API is back, not at once", async () => {
    const { clock, b, stop } = await afterOutage({ formerLives: false });
    await clock.advance(14_900);
    expect(b.holder.isHeld()).toBe(false);
    await clock.advance(4_900);
    expect(b.holder.epoch()).toBe(2);
    await stop();
  });

  it("keeps a new process of the same pod waiting until late writes are over", async () => {
    const clock = createManualClock();
    const server = createServer();
    const before = join(server, clock, { identity: "pod-uid" });
    void before.holder.run();
    await clock.advance(1_000);
    before.link.down = true;
    const after = join(server, clock, { identity: "pod-uid" });
    after.link.down = true;
    void after.holder.run();
    await clock.advance(20_000);
    after.link.down = false;
    await clock.advance(5_000);
    expect(after.holder.isHeld()).toBe(false);
    await clock.advance(4_800);
    expect(after.holder.epoch()).toBe(2);
    await Promise.all([before.holder.stop(), after.holder.stop()]);
  });

  it("does not keep waiting a holder whose writes carry the epoch themselves", async () => {
    const clock = createManualClock();
    const server = createServer();
    const a = join(server, clock, { identity: "a", settleSeconds: 0 });
    void a.holder.run();
    await clock.advance(100);
    a.link.down = true;
    await clock.advance(OUTAGE_MS);
    a.link.down = false;
    await clock.advance(2_400);
    expect(a.holder.epoch()).toBe(2);
    await a.holder.stop();
  });

  it("is not what one lost attempt is", async () => {
    const { clock, a, b } = await joinTwo();
    await clock.advance(10_000);
    a.link.down = true;
    await clock.advance(4_000);
    b.link.before = () => Promise.reject(unreachable());
    await clock.advance(13_500);
    expect(b.holder.epoch()).toBe(2);
    await Promise.all([a.holder.stop(), b.holder.stop()]);
  });
});

describe("a stall", () => {
  it("of the holder: its right ends by itself, and its late renewal is refused", async () => {
    const { clock, server, a, b } = await joinTwo();
    await clock.advance(10_000);
    a.link.before = () => clock.sleep(20_000); // A process that gets no time to run, and then goes on where it was.
    for (let passed = 0; passed < 25_000; passed += 100) {
      await clock.advance(100);
      expect(a.holder.isHeld() && b.holder.isHeld()).toBe(false);
    }
    expect(b.holder.epoch()).toBe(2);
    expect(a.story).toEqual(["held 1", expect.stringMatching(/^lost: /)]);
    await clock.advance(10_000);
    expect(server.lease?.spec?.holderIdentity).toBe("b");
    await Promise.all([a.holder.stop(), b.holder.stop()]);
  });

  it("of the connection: the next attempt comes at once, with a quarter of the right left", async () => {
    const { clock, a, b } = await joinTwo();
    await clock.advance(10_000);
    // What an attempt may take, and then its deadline.
    a.link.before = async () => {
      await clock.sleep(5_000);
      throw unreachable();
    };
    let leastMs = Number.POSITIVE_INFINITY;
    for (let passed = 0; passed < 12_000; passed += 100) {
      await clock.advance(100);
      leastMs = Math.min(leastMs, a.holder.heldForMs());
    }
    expect(leastMs).toBeGreaterThan(2_500);
    expect([a.story, b.story]).toEqual([["held 1"], []]);
    await Promise.all([a.holder.stop(), b.holder.stop()]);
  });

  it("of the candidate: it does not take its own silence for the holder's", async () => {
    const { clock, a, b } = await joinTwo();
    await clock.advance(10_000);
    b.link.before = () => clock.sleep(20_000);
    await clock.advance(19_000);
    a.link.down = true; // The holder dies just before the candidate wakes: it was alive all the time.
    await clock.advance(14_000);
    expect(b.holder.isHeld()).toBe(false);
    await clock.advance(6_000);
    expect(b.holder.epoch()).toBe(2);
    await Promise.all([a.holder.stop(), b.holder.stop()]);
  });
});

describe("a jump of the wall clock", () => {
  it.each([
    ["an hour ahead", 3_600_000],
    ["a day back", -86_400_000],
  ])("%s changes nothing for holder and candidate", async (_name, ms) => {
    const { clock, a, b } = await joinTwo();
    await clock.advance(10_000);
    clock.jumpWallClock(ms);
    await clock.advance(60_000);
    expect([a.story, b.story]).toEqual([["held 1"], []]);
    a.link.down = true;
    await clock.advance(17_500);
    expect(b.holder.epoch()).toBe(2);
    await Promise.all([a.holder.stop(), b.holder.stop()]);
  });
});

describe("three processes under random outages, stalls and restarts", () => {
  it.each(Array.from({ length: 12 }, () => Math.floor(Math.random() * 2 ** 31)))(
    "never hold the right at the same moment, and one of them holds it in the end (seed %i)",
    async (seed) => {
      const random = prng(seed);
      const clock = createManualClock();
      const server = createServer();
      const enter = (identity: string): Participant => {
        const participant = join(server, clock, { identity, random });
        void participant.holder.run();
        return participant;
      };
      const living = ["a", "b", "c"].map(enter);
      const all = [...living];
      let epoch = 0;
      for (let step = 0; step < 400; step += 1) {
        const index = Math.floor(random() * living.length);
        const one = living[index] as Participant;
        const draw = random();
        if (draw < 0.03) for (const { link } of living) link.down = true;
        else if (draw < 0.08) one.link.down = true;
        else if (draw < 0.12) one.link.before = () => clock.sleep(random() * 20_000);
        else if (draw < 0.15) {
          one.link.down = true; // Killed; its pod starts again under the same identity.
          living[index] = enter(["a", "b", "c"][index] as string);
          all.push(living[index]);
        } else if (draw < 0.3) for (const { link } of living) link.down = false;
        await clock.advance(random() * 2_000);
        expect(living.filter(({ holder }) => holder.isHeld()).length).toBeLessThanOrEqual(1);
        const now = server.lease?.spec?.leaseTransitions ?? 0;
        expect(now).toBeGreaterThanOrEqual(epoch);
        epoch = now;
      }
      for (const { link } of living) {
        link.down = false;
        delete link.before;
      }
      await clock.advance(40_000);
      expect(living.filter(({ holder }) => holder.isHeld())).toHaveLength(1);
      await Promise.all(all.map(({ holder }) => holder.stop()));
    },
  );
});

import { describe, expect, it } from "@jest/globals";
import { systemClock } from "../lib/core/clock.ts";
import { prng } from "../lib/core/prng.ts";
import { type ConfigMapObject, type KubeObject, RESOURCES } from "../lib/kube/types.ts";
import { silentLogger } from "../lib/node/logger.ts";
import { createCache } from "../operator/kube/cache.ts";
import { startReplica } from "./acceptance/replica.ts";
import { startFakeKube, storeKey } from "./fake-kube.ts";
import { faultSchedule } from "./fault-schedule.ts";
import { createJumpingClock } from "./jumping-clock.ts";
import { createScaledClock } from "./scaled-clock.ts";
import { eventually } from "./wait.ts";
import { configMap, WIDGET, widget } from "./widget.ts";

// Goal: a schedule can be repeated from its seed, and a cache and a whole operator survive each that is drawn.

const { ConfigMap } = RESOURCES;
const SEEDS = [1, 2, 3, 4, 5, 6];
/** Faults that a reader notices by itself and at once, so that a test need not wait for patience to end. */
const NOTICED_AT_ONCE = [
  "throttle",
  "loseAnswer",
  "latency",
  "cut",
  "end",
  "duplicate",
  "late",
  "slow",
  "compact",
] as const;

describe("a schedule of faults", () => {
  it("is the same for the same seed, and in order", () => {
    const { faults, text } = faultSchedule(7, { count: 40 });
    expect(faultSchedule(7, { count: 40 }).text).toBe(text);
    expect(faultSchedule(8, { count: 40 }).text).not.toBe(text);
    const times = faults.map(({ atMs }) => atMs);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(text.split("\n")).toHaveLength(41);
  });

  it("holds only what it was told to", () => {
    const { faults } = faultSchedule(1, { kinds: ["end"], count: 3, withinMs: 10 });
    expect(faults.map(({ text }) => text)).toEqual(Array(3).fill("watches end in order"));
  });

  it("ends early by a signal, and heals", async () => {
    const fake = await startFakeKube();
    fake.inject({ times: Number.POSITIVE_INFINITY, action: { type: "answer", status: 503 } });
    await faultSchedule(1, { withinMs: 600_000 }).play({ target: fake }, systemClock, AbortSignal.abort());
    expect(await fake.client().find(ConfigMap, { namespace: "default", name: "a" })).toBeUndefined();
    await fake.close();
  });

  it.each(SEEDS)("leaves a cache equal to the server, whatever was in it (seed %i)", async (seed) => {
    const fake = await startFakeKube({ seed });
    const clock = createJumpingClock(createScaledClock(100));
    const cache = createCache({
      client: fake.client({ clock }),
      clock,
      random: prng(seed),
      log: silentLogger,
      onFault: () => undefined,
      inactivityMs: 100,
    });
    const view = cache.view();
    view.include({ type: ConfigMap }, () => undefined);
    cache.start();
    const random = prng(seed * 1000);
    const schedule = faultSchedule(seed, { withinMs: 800 });
    let over = false;
    const played = schedule.play({ target: fake, clock }, systemClock).then(() => {
      over = true;
    });
    for (let step = 0; !over; step += 1) {
      const key = storeKey(ConfigMap, "default", `o-${Math.floor(random() * 8)}`);
      if (fake.store.get(key) === undefined) fake.store.create(key, configMap(key.name, { a: `${step}` }), "user");
      else if (random() < 0.2) fake.store.remove(key, {});
      else fake.store.merge(key, { data: { a: `${step}` } }, { manager: "user" });
      await systemClock.sleep(3);
    }
    await played;
    const stateOf = (objects: Iterable<KubeObject>) =>
      JSON.stringify(
        [...objects].map(({ metadata, data }) => [metadata.name, metadata.resourceVersion, data]).toSorted(),
      );
    const isEqual = () => stateOf(view.all(ConfigMap)) === stateOf(fake.store.list("/configmaps", "default"));
    await eventually(`the cache equals the server again after\n${schedule.text}`, isEqual);
    await cache.stop();
    await fake.close();
  });

  it.each([11, 12])(
    "leaves the world as the spec says, under the whole operator (seed %i)",
    async (seed) => {
      const fake = await startFakeKube({ seed });
      const key = storeKey(WIDGET, "default", "w");
      fake.store.create(key, widget("w", { size: 1 }), "user");
      const operator = startReplica({ link: fake, namespace: "default", identity: "a" });
      // With the long Lease of these tests, an attempt at it that fails is made again after days.
      await operator.leads();
      const schedule = faultSchedule(seed, { kinds: NOTICED_AT_ONCE, withinMs: 600 });
      const played = schedule.play({ target: fake }, systemClock);
      for (let size = 2; size <= 6; size += 1) {
        fake.store.merge(key, { spec: { size } }, { manager: "user" });
        await systemClock.sleep(100);
      }
      await played;
      const child = () => fake.store.get(storeKey(ConfigMap, "default", "w")) as ConfigMapObject | undefined;
      await eventually(`size 6 after\n${schedule.text}`, () => child()?.data?.["size"] === "6", 20_000);
      expect(await operator.stop()).toBe(0);
      await fake.close();
    },
    30_000,
  );
});

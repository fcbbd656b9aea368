import { readFileSync } from "node:fs";
import { describe, expect, it } from "@jest/globals";
import { systemClock } from "../../lib/core/clock.ts";
import { OperatorError } from "../../lib/core/errors.ts";
import { RESOURCES } from "../../lib/kube/types.ts";
import { silentLogger } from "../../lib/node/logger.ts";
import { createMetrics } from "../../lib/node/metrics.ts";
import { createManager } from "../../operator/manager.ts";
import { startFakeKube, storeKey } from "../fake-kube.ts";
import { faultSchedule } from "../fault-schedule.ts";
import { deploymentStep } from "../lower.ts";
import { createMemoryWorld } from "../memory-world.ts";
import {
  conditionOf,
  expectGolden,
  namesIn,
  reconcileOnce,
  type StoryCast,
  toRest,
  toRestInRandomOrder,
} from "../story.ts";
import { eventually } from "../wait.ts";
import { WIDGET, widget } from "../widget.ts";
import { createExampleController } from "./example.controller.ts";

// The worked example of testkit/README.md: all that a new controller needs, from the story to the faults.

function begin(size = 2): StoryCast {
  const world = createMemoryWorld({ namespace: "default" });
  world.put(widget("w", { size }));
  const key = { namespace: "default", name: "w" };
  return { world, controller: createExampleController(), key, kind: "Widget", steps: [deploymentStep] };
}

describe("a story", () => {
  it("from nothing to Ready, then one pod more", async () => {
    const cast = begin();
    const lines = await toRest(cast);
    cast.world.edit("Widget", "w", (object) => ({ ...object, spec: { size: 3 } }));
    lines.push("· the user wants 3", ...(await toRest(cast)));
    expect(conditionOf(cast, "Ready")).toMatchObject({ status: "True", observedGeneration: 2 });
    expectGolden(import.meta.dirname, "from-nothing-to-ready", lines);
  });

  it("writes nothing at rest, nor after a restart", async () => {
    const cast = begin();
    await toRest(cast);
    expect(await reconcileOnce(cast)).toEqual([]);
    expect(await reconcileOnce({ ...cast, controller: createExampleController() })).toEqual([]);
  });

  it.each([1, 2, 3, 4, 5])("ends the same in any order (seed %i)", async (seed) => {
    const [expected, cast] = [begin(), begin()];
    await toRest(expected);
    await toRestInRandomOrder(cast, seed);
    expect(conditionOf(cast, "Ready")?.status).toBe("True");
    expect(namesIn(cast.world, ["Deployment"])).toEqual(namesIn(expected.world, ["Deployment"]));
  });

  it("a write that is refused is shown and thrown", async () => {
    const cast = begin();
    cast.world.fail("Deployment", "w", new OperatorError("KUBE_FORBIDDEN", "no"), "once");
    await expect(reconcileOnce(cast)).rejects.toMatchObject({ code: "KUBE_FORBIDDEN" });
    expect(conditionOf(cast, "Ready")).toMatchObject({ status: "False", reason: "Failed", message: "no" });
    await toRest(cast);
    expect(conditionOf(cast, "Ready")?.status).toBe("True");
  });
});

describe("the real loop under faults", () => {
  it.each([11, 12])(
    "ends as it would without them (seed %i)",
    async (seed) => {
      const fake = await startFakeKube({ seed });
      const key = storeKey(WIDGET, "default", "w");
      fake.store.create(key, widget("w", { size: 1 }), "user");
      const stop = new AbortController();
      const manager = createManager({
        client: fake.client(),
        controllers: [createExampleController()],
        namespace: "default",
        identity: "example",
        watchNamespaces: ["default"],
        port: 0,
        metrics: createMetrics(),
        clock: systemClock,
        random: () => 0.5,
        log: silentLogger,
      });
      const exited = manager.run(stop.signal);
      // Faults that a reader notices by itself and at once, so that the test need not wait for patience to end.
      const kinds = [
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
      const schedule = faultSchedule(seed, { kinds, withinMs: 600 });
      const played = schedule.play({ target: fake }, systemClock);
      for (let size = 2; size <= 6; size += 1) {
        fake.store.merge(key, { spec: { size } }, { manager: "user" });
        await systemClock.sleep(100);
      }
      await played;
      const replicas = () =>
        (fake.store.get(storeKey(RESOURCES.Deployment, "default", "w"))?.["spec"] as { replicas?: number })?.replicas;
      await eventually(`6 replicas after\n${schedule.text}`, () => replicas() === 6, 20_000);
      stop.abort();
      expect(await exited).toBe(0);
      await fake.close();
    },
    30_000,
  );
});

describe("the README of the test kit", () => {
  const readme = readFileSync(`${import.meta.dirname}/../README.md`, "utf8");
  const blocks = [...readme.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code = ""]) => code);

  it("shows code of this file, as it is", () => {
    const source = readFileSync(`${import.meta.dirname}/example.story.test.ts`, "utf8");
    const plain = (text: string) => text.replaceAll(/\s+/g, " ").trim();
    expect(blocks.length).toBeGreaterThan(2);
    for (const block of blocks) expect(plain(source)).toContain(plain(block));
  });

  it("names files that exist", () => {
    const names = [...readme.matchAll(/`((?:[a-z-]+\/)*[a-z][a-z.-]*\.(?:ts|txt))`/g)].map(([, name = ""]) => name);
    for (const name of new Set(names)) expect(() => readFileSync(`${import.meta.dirname}/../${name}`)).not.toThrow();
  });
});

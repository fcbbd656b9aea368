import { expect, test } from "@jest/globals";
import { FlagdCore } from "@openfeature/flagd-core";
import type { RolloutFlag } from "../../../crds/rollout-flags.ts";
import { toRest } from "../../../testkit/story.ts";
import { verdict } from "../testing/builders.ts";
import { FLAGGED } from "../testing/flags.ts";
import { beginStage, later, push, type Stage } from "../testing/stage.ts";
import { flagDefinition } from "./flag.ts";

// What flagd's own evaluator makes of the flags that the controller writes, for ten thousand contexts.

const CONTEXTS = 10_000;
/** A share that is right misses this once in ten million times; the contexts are the same each time. */
const SIGMAS = 5.3;

const said = (): void => undefined;
const logger = { error: said, warn: said, info: said, debug: said };

/** Contexts for which the flag is on. @param property that tells them apart */
function onFor(flags: unknown, key: string, property = "targetingKey"): ReadonlySet<number> {
  const core = new FlagdCore(undefined, logger);
  core.setConfigurations(JSON.stringify({ flags }));
  const on = new Set<number>();
  for (let index = 0; index < CONTEXTS; index += 1) {
    const context = { targetingKey: "same", [property]: `user-${String(index)}` };
    if (core.resolveBooleanEvaluation(key, false, context).value) on.add(index);
  }
  return on;
}

function expectShare({ size }: ReadonlySet<number>, bps: number): void {
  const share = bps / 10_000;
  expect(Math.abs(size - CONTEXTS * share)).toBeLessThanOrEqual(SIGMAS * Math.sqrt(CONTEXTS * share * (1 - share)));
}

function writtenBy({ world }: Stage): unknown {
  const { spec } = world.find("FeatureFlag", "web-flags") as unknown as {
    readonly spec: { readonly flagSpec: { readonly flags: unknown } };
  };
  return spec.flagSpec.flags;
}

test("the very object of a release: its shares at 1, 5, 25 and 50 %, nobody falls out, and nobody is left after harm", async () => {
  const shares = [100, 500, 2_500, 5_000];
  const [first] = FLAGGED.stages;
  const stages = shares.map((flagBps, index) => ({
    ...first,
    weightBps: [100, 500, 2_500, 10_000][index] ?? 0,
    flagBps,
  }));
  const stage = beginStage({ ...FLAGGED, stages: stages as typeof FLAGGED.stages });
  await toRest(stage);
  push(stage.world, "web:2");
  await toRest(stage);
  let before: ReadonlySet<number> = new Set();
  for (const bps of shares) {
    const on = onFor(writtenBy(stage), "new-checkout");
    expectShare(on, bps);
    expect([...before].filter((index) => !on.has(index))).toEqual([]);
    before = on;
    if (bps === shares.at(-1)) break;
    stage.sampler.say({ verdict: verdict("Pass", "HoldOver") });
    await later(stage, 61);
  }
  stage.sampler.say({ failure: verdict("Fail", "Harm") });
  await toRest(stage);
  expect(onFor(writtenBy(stage), "new-checkout").size).toBe(0);
});

test.each([0, 50, 100, 500, 2_500, 5_000, 10_000])("by a property of the context, %i basis points", (bps) => {
  const flag: RolloutFlag = { key: "a", onVariant: "on", offVariant: "off", bucketBy: "tenant" };
  expectShare(onFor({ a: flagDefinition(flag, bps) }, "a", "tenant"), bps);
});

test.each([
  [5_000, false],
  [10_000, true],
])("a context without a key, or without the property, at %i basis points: %s", (bps, value) => {
  for (const part of [{}, { bucketBy: "tenant" }]) {
    const core = new FlagdCore(undefined, logger);
    const a = flagDefinition({ key: "a", onVariant: "on", offVariant: "off", ...part }, bps);
    core.setConfigurations(JSON.stringify({ flags: { a } }));
    expect(core.resolveBooleanEvaluation("a", false, {}).value).toBe(value);
  }
});

test("texts", () => {
  const values = { onValue: "wide", offValue: "narrow" };
  const core = new FlagdCore(undefined, logger);
  const layout = flagDefinition({ key: "layout", onVariant: "b", offVariant: "a", ...values }, 5_000);
  core.setConfigurations(JSON.stringify({ flags: { layout } }));
  const seen = new Set<string>();
  for (let index = 0; index < 100; index += 1) {
    seen.add(core.resolveStringEvaluation("layout", "", { targetingKey: String(index) }).value);
  }
  expect([...seen].sort()).toEqual(["narrow", "wide"]);
});

import { describe, expect, test } from "@jest/globals";
import { ROLLOUT, type Rollout, type RolloutSpec } from "../../crds/rollout.ts";
import { type RolloutStatus } from "../../crds/rollout-status.ts";
import { createManualClock } from "../../lib/core/manual-clock.ts";
import { createMetrics } from "../../lib/node/metrics.ts";
import { createMemoryWorld } from "../../testkit/memory-world.ts";
import { type StoryCast, toRest } from "../../testkit/story.ts";
import { createRolloutMetrics } from "./rollout.metrics.ts";
import { deployment, NAME, NAMESPACE, rollout, scriptedSampler, service, verdict } from "./testing/builders.ts";
import { LOWER_STEPS } from "./testing/lower.ts";
import { playedController } from "./testing/stage.ts";

// What is counted of releases: once each, whoever reports what how often, and nothing is left of a Rollout that is gone.

const KEY = { namespace: NAMESPACE, name: NAME };

function counting() {
  const metrics = createMetrics();
  const clock = createManualClock();
  const counted = createRolloutMetrics(metrics);
  return {
    clock,
    look: (status: Partial<RolloutStatus> | undefined, given: { uid?: string; unknownSinceMs?: number } = {}): void => {
      const object = rollout();
      const metadata = { ...object.metadata, uid: given.uid ?? "uid" };
      const seen = { ...object, metadata, ...(status === undefined ? {} : { status }) } as Rollout;
      counted.look(KEY, { rollout: seen, unknownSinceMs: given.unknownSinceMs }, clock);
    },
    gone: () => counted.look(KEY, undefined, clock),
    lines: async (of: RegExp) => (await metrics.text()).split("\n").filter((line) => of.test(line)),
  };
}

const retreat = {
  reason: "Harm",
  message: "m",
  outcome: "RolledBack",
  decidedAt: "2026-01-01T00:00:00.000Z",
} as const;
const back = { phase: "RollingBack", retreat } as const;
const taken = { ...back, retreat: { ...retreat, observedAt: "2026-01-01T00:00:02.000Z" } } as const;

describe("counters", () => {
  test("a step that is reported twice counts once", async () => {
    const { look, lines } = counting();
    look(undefined);
    for (const status of [back, back, taken, taken]) look(status);
    expect(await lines(/^rollback_count_total\{reason="Harm"/)).toEqual(['rollback_count_total{reason="Harm"} 1']);
    expect(await lines(/^rollback_duration_seconds_(sum|count)/)).toEqual([
      "rollback_duration_seconds_sum 2",
      "rollback_duration_seconds_count 1",
    ]);
  });

  test("a new leader counts what comes after its first look", async () => {
    const { look, lines } = counting();
    look(back);
    look(taken);
    expect(await lines(/^rollback_count_total.* [^0]/)).toEqual([]);
    expect(await lines(/^rollback_duration_seconds_count/)).toEqual(["rollback_duration_seconds_count 1"]);
  });

  test("one of the same name that was made anew begins anew", async () => {
    const { look, lines } = counting();
    look({ phase: "Canary" }, { uid: "one" });
    look(back, { uid: "other" });
    expect(await lines(/^rollback_count_total.* [^0]/)).toEqual([]);
  });

  test("a reason that is none of ours, and a version that another one replaced", async () => {
    const { look, lines } = counting();
    look({ phase: "Canary" });
    look({ ...back, retreat: { ...retreat, reason: "HandWritten" } });
    look({ phase: "Canary" });
    look({ ...back, retreat: { ...retreat, outcome: "Superseded", decidedAt: "2026-01-02T00:00:00.000Z" } });
    expect(await lines(/^rollback_count_total.* [^0]/)).toEqual(['rollback_count_total{reason="Other"} 1']);
  });

  test("time without a verdict counts from the later of its beginning and the last look", async () => {
    const { look, lines, clock } = counting();
    const canary = (ms: number) => ({ phase: "Canary", verifiedAt: new Date(ms).toISOString() }) as const;
    const began = clock.now();
    look(canary(began));
    await clock.advance(10_000);
    look(canary(began), { unknownSinceMs: began + 7_000 });
    await clock.advance(5_000);
    look(canary(began), { unknownSinceMs: began + 7_000 });
    await clock.advance(5_000);
    look(canary(began));
    look({ phase: "Preparing" }, { unknownSinceMs: began });
    expect(await lines(/^analysis_unknown/)).toEqual([
      `analysis_unknown_seconds_total{namespace="${NAMESPACE}",name="${NAME}"} 8`,
    ]);
  });
});

describe("gauges", () => {
  const conditions = [{ type: "Ready", reason: "Releasing" }] as unknown as NonNullable<RolloutStatus["conditions"]>;
  const canary: Partial<RolloutStatus> = {
    phase: "Canary",
    phaseSince: "2026-01-01T00:00:00.000Z",
    conditions,
    weight: { desiredBps: 550, observedBps: 100 },
    verdict: { verdict: "Inconclusive", reason: "Holding", message: "m" },
  };

  test("where a Rollout stands, and nothing of where it stood", async () => {
    const { look, lines } = counting();
    look(canary);
    const labels = `namespace="${NAMESPACE}",name="${NAME}"`;
    expect(await lines(/^(rollout_|canary_)/)).toEqual([
      `canary_traffic_percentage{${labels},kind="desired"} 5.5`,
      `canary_traffic_percentage{${labels},kind="observed"} 1`,
      `rollout_phase{${labels},phase="Canary"} 1`,
      `rollout_state{${labels},reason="Releasing"} 1`,
      `rollout_verdict{${labels},verdict="Inconclusive",reason="Holding"} 1`,
      `rollout_step_deadline_timestamp_seconds{${labels}} ${String(Date.UTC(2026, 0, 1, 0, 10) / 1_000)}`,
    ]);
    look({ phase: "Idle" });
    expect(await lines(/^(rollout_|canary_)/)).toEqual([`rollout_phase{${labels},phase="Idle"} 1`]);
  });

  test("a reason that somebody else wrote is no label", async () => {
    const { look, lines } = counting();
    const odd = [{ type: "Ready", reason: "toString" }] as unknown as NonNullable<RolloutStatus["conditions"]>;
    look({ phase: "Idle", conditions: odd });
    expect(await lines(/^rollout_state/)).toEqual([]);
  });

  test("nothing is left of a Rollout that is gone", async () => {
    const { look, lines, gone } = counting();
    gone();
    look(canary);
    gone();
    expect(await lines(new RegExp(NAME))).toEqual([]);
  });
});

describe("the controller", () => {
  async function stage(given: Partial<RolloutSpec> = {}) {
    const sampler = scriptedSampler();
    const metrics = createMetrics();
    const controller = playedController({ sampler, metrics: createRolloutMetrics(metrics) });
    const world = createMemoryWorld({ namespace: NAMESPACE, indexes: controller.indexes });
    world.put(deployment("web:1"));
    world.put(service());
    world.put(rollout(given));
    const cast: StoryCast = { world, controller, key: KEY, kind: ROLLOUT.kind, steps: LOWER_STEPS };
    await toRest(cast);
    world.edit("Deployment", "web", (object) => ({ ...object, spec: deployment("web:2")["spec"] }));
    await toRest(cast);
    const lines = async (of: RegExp) => (await metrics.text()).split("\n").filter((line) => of.test(line));
    return { world, controller, sampler, lines, rest: () => toRest(cast) };
  }
  const ENDS = /^deployment_duration_seconds_count.* [^0]/;

  test("counts each release at its end, and each retreat", async () => {
    const { world, sampler, lines, rest } = await stage();
    expect(await lines(ENDS)).toEqual(['deployment_duration_seconds_count{outcome="Promoted"} 1']);
    expect(await lines(/^canary_traffic.*desired/)).toEqual([
      `canary_traffic_percentage{namespace="${NAMESPACE}",name="${NAME}",kind="desired"} 10`,
    ]);
    sampler.say({ verdict: verdict("Fail", "Harm"), failure: verdict("Fail", "Harm") });
    await rest();
    await world.clock.advance(30_000);
    await rest();
    expect(await lines(ENDS)).toEqual([
      'deployment_duration_seconds_count{outcome="Promoted"} 1',
      'deployment_duration_seconds_count{outcome="RolledBack"} 1',
    ]);
    expect(await lines(/^rollback_(count_total|duration_seconds_count).* [^0]/)).toEqual([
      'rollback_count_total{reason="Harm"} 1',
      "rollback_duration_seconds_count 1",
    ]);
    expect(await lines(/^canary_traffic/)).toEqual([]);
    expect(await lines(/^rollout_state/)).toEqual([
      `rollout_state{namespace="${NAMESPACE}",name="${NAME}",reason="RolledBack"} 1`,
    ]);
  });

  test("a step whose status cannot be written counts once it is", async () => {
    const { world, controller, sampler, lines, rest } = await stage();
    sampler.say({ verdict: verdict("Fail", "Harm"), failure: verdict("Fail", "Harm") });
    const refuse = { ...world.context, patchStatus: () => Promise.reject(new Error("refused")) };
    for (let attempt = 0; attempt < 2; attempt += 1) {
      await expect(controller.reconcile(KEY, refuse)).rejects.toThrow("refused");
    }
    expect(await lines(/^rollback_count_total.* [^0]/)).toEqual([]);
    await rest();
    expect(await lines(/^rollback_count_total.* [^0]/)).toEqual(['rollback_count_total{reason="Harm"} 1']);
  });

  test("a Rollout that is gone leaves no series", async () => {
    const { world, lines, rest } = await stage();
    world.edit(ROLLOUT.kind, NAME, () => undefined);
    await rest();
    expect(await lines(new RegExp(`name="${NAME}"`))).toEqual([]);
  });
});

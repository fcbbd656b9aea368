import { afterEach, describe, expect, it } from "@jest/globals";
import { rolloutAnalysis } from "../../../crds/rollout-analysis.ts";
import { rolloutPolicy } from "../../../crds/rollout-policy.ts";
import { RUN_ROWS_MAX, rolloutRun } from "../../../crds/rollout-run.ts";
import { createManualClock } from "../../../lib/core/manual-clock.ts";
import { silentLogger } from "../../../lib/node/logger.ts";
import { PRIORITIES, type SourceContext } from "../../../operator/runtime/types.ts";
import { replay } from "../judge/replay.ts";
import { createCountingPods, taskOf } from "../testing/counting-pods.ts";
import { type Pace, quickAtFirst, steady } from "./pace.ts";
import { createSampler } from "./sampler.ts";

// Goal: a release that is followed is judged by what its pods answer at its weight, without gaps, overlaps or guesses, and
// its controller hears of what matters and of nothing else.

const UID = "rollout-1";
const STEP_MS = 5_000;

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

function begin(pace: Pace = steady) {
  const clock = createManualClock();
  const pods = createCountingPods();
  const sampler = createSampler({ scrape: pods.scrape, resolve: async () => [] }, pace);
  const told: string[] = [];
  const lead = () => {
    const stop = new AbortController();
    const context: SourceContext = {
      cache: { get: () => undefined, list: () => [], byIndex: () => [], availability: () => "served" },
      live: { list: () => Promise.reject(new Error("no server")) },
      keys: () => [],
      add: ({ namespace, name }, priority) => void told.push(`${namespace}/${name} ${priority}`),
      clock,
      random: () => 0,
      log: silentLogger,
      signal: stop.signal,
    };
    const ended = sampler.source.run(context);
    const lose = async () => {
      stop.abort();
      await ended;
    };
    stops.push(lose);
    return lose;
  };
  const lose = lead();
  const [canary, stable] = [pods.pod("canary"), pods.pod("stable")];
  const task = (changes: Parameters<typeof taskOf>[1] = {}) => taskOf({ canary: [canary], stable: [stable] }, changes);
  /** One interval in which both answer. */
  const step = async (errors = 0, requests = 10) => {
    canary.serve(requests, errors);
    stable.serve(990);
    await clock.advance(STEP_MS);
  };
  const standing = () => {
    const of = sampler.standing(UID);
    if (of === undefined) throw new Error("not followed");
    return of;
  };
  const rows = () => standing().run.rows;
  return { clock, pods, sampler, told, lead, lose, canary, stable, task, step, standing, rows };
}

describe("a release that is followed", () => {
  it("is judged by what is answered from the first sample on", async () => {
    const { clock, sampler, canary, stable, task, step, standing } = begin();
    canary.serve(50, 50);
    stable.serve(5_000);
    sampler.follow(UID, task());
    await clock.advance(0);
    expect(standing()).toMatchObject({ verdict: undefined, run: { rows: [] }, measured: { canary: 0, stable: 0 } });
    await step(1);
    await step();
    expect(standing()).toMatchObject({
      revision: "web-2",
      measured: { canary: 20, stable: 1_980 },
      verdict: { verdict: "Inconclusive", reason: "TooFewSamples" },
      lastSampleAt: clock.now(),
      run: { rows: [{ canary: { requests: 10, errors: 1 }, stable: { requests: 990, errors: 0 } }, {}] },
    });
    expect(standing()).not.toHaveProperty("trouble");
    expect(standing()).not.toHaveProperty("unknownSinceMs");
  });

  it("is followed once, however often one says so", async () => {
    const { clock, pods, sampler, task, step, rows } = begin();
    for (let time = 0; time < 5; time += 1) sampler.follow(UID, task());
    await clock.advance(0);
    await step();
    sampler.follow(UID, { ...task() });
    await step();
    expect(pods.load.most).toBe(2);
    expect(rows().map(({ canary }) => canary?.requests)).toEqual([10, 10]);
  });

  it("counts a first error, of a series that was not there before", async () => {
    const { clock, sampler, task, step, rows } = begin();
    sampler.follow(UID, task());
    await clock.advance(0);
    await step();
    await step(1);
    expect(rows().map(({ canary }) => canary)).toEqual([
      { requests: 10, errors: 0 },
      { requests: 10, errors: 1 },
    ]);
  });

  it("fails when it should, says when, and goes on", async () => {
    const { clock, sampler, told, task, step, standing, rows } = begin();
    sampler.follow(UID, task());
    await clock.advance(0);
    await step(6);
    await step(6);
    const { failure, failedAt } = standing();
    expect(failure).toMatchObject({ verdict: "Fail", reason: "Harm" });
    expect(failedAt).toBe(Date.parse(rows()[1]?.to ?? ""));
    expect(told).toEqual([`shop/web ${PRIORITIES.live}`, `shop/web ${PRIORITIES.urgent}`]);
    await step(0, 500);
    expect(standing()).toMatchObject({ failure, failedAt, verdict: failure });
  });

  it("tells of changes, not of ticks", async () => {
    const { clock, sampler, told, canary, task, step, standing } = begin();
    sampler.follow(UID, task());
    await clock.advance(0);
    for (let tick = 0; tick < 5; tick += 1) await step();
    expect(told).toHaveLength(1);
    canary.state = "refuses";
    await step();
    await step();
    expect(told).toHaveLength(2);
    expect(standing()).toMatchObject({
      trouble: "canary: 1 of 1 tell nothing: pod canary: 10.0.0.1:8080: ECONNREFUSED",
      verdict: { verdict: "Unknown", reason: "NoData" },
      unknownSinceMs: clock.now() - 2 * STEP_MS,
      lastSampleAt: clock.now() - 2 * STEP_MS,
    });
    canary.state = "tells";
    await step();
    expect(told).toHaveLength(3);
    // What was answered meanwhile is there, for both alike.
    expect(standing()).toMatchObject({ measured: { canary: 80, stable: 7_920 }, verdict: { verdict: "Inconclusive" } });
    expect(standing()).not.toHaveProperty("trouble");
    expect(standing()).not.toHaveProperty("unknownSinceMs");
  });

  it("is unknown from the first question on while nobody answers", async () => {
    const { clock, sampler, canary, stable, task, step, standing } = begin();
    [canary.state, stable.state] = ["refuses", "refuses"];
    const began = clock.now();
    sampler.follow(UID, task());
    await clock.advance(0);
    expect(standing()).toMatchObject({ verdict: undefined, unknownSinceMs: began });
    await step();
    await step();
    expect(standing()).toMatchObject({ verdict: { reason: "NoData" }, unknownSinceMs: began });
    expect(standing()).not.toHaveProperty("lastSampleAt");
  });

  it("names a metric that nobody has, and takes pages that are none for silence", async () => {
    const { clock, sampler, canary, stable, task, step, standing } = begin();
    [canary.page, stable.page] = ["up 1\n", "up 1\n"];
    sampler.follow(UID, task());
    await clock.advance(0);
    expect(standing().trouble).toBe("nobody has the metric http_requests_total");
    stable.page = undefined;
    await step();
    expect(standing().trouble).toBe("canary: has not counted http_requests_total yet");
    canary.page = "<html>";
    await step();
    expect(standing().trouble).toContain("canary: 1 of 1 tell nothing: pod canary: metrics: line 1 is not in");
  });

  it("takes a restart for what it is", async () => {
    const { clock, sampler, canary, task, step, rows } = begin();
    canary.serve(100, 3);
    sampler.follow(UID, task());
    await clock.advance(0);
    canary.restart();
    await step(1);
    expect(rows().map(({ canary: of }) => of)).toEqual([{ requests: 10, errors: 1 }]);
  });

  it("counts a pod from its first answer on, and one that is gone no more", async () => {
    const { clock, pods, sampler, canary, stable, task, step, rows } = begin();
    sampler.follow(UID, task());
    await clock.advance(0);
    const late = pods.pod("late");
    late.serve(10_000, 9_000);
    sampler.follow(UID, taskOf({ canary: [canary, late], stable: [stable] }));
    await step();
    late.serve(7, 1);
    await step();
    sampler.follow(UID, taskOf({ canary: [late], stable: [stable] }));
    await step();
    sampler.follow(UID, taskOf({ canary: [canary, late], stable: [stable] }));
    await step();
    await step();
    expect(rows().map(({ canary: of }) => of?.requests)).toEqual([10, 17, 0, 0, 10]);
  });

  it("keeps its record in its bound", async () => {
    const { clock, sampler, task, step, rows } = begin();
    sampler.follow(UID, task());
    await clock.advance(0);
    for (let tick = 0; tick < RUN_ROWS_MAX + 5; tick += 1) await step();
    expect(rows().length).toBeLessThanOrEqual(RUN_ROWS_MAX);
    expect(rows().reduce((sum, { canary }) => sum + (canary?.requests ?? 0), 0)).toBe(10 * (RUN_ROWS_MAX + 5));
  });
});

describe("quick looks", () => {
  /** So many of them, one after the other. @param errors all of the canary's requests; none: it has answered five */
  async function looks({ clock, canary, stable }: ReturnType<typeof begin>, count: number, errors?: number) {
    for (let look = 0; look < count; look += 1) {
      canary.serve(errors ?? 5, errors ?? 0);
      stable.serve(95);
      await clock.advance(500);
    }
  }

  it("find a version that is broken outright with the first look of its second interval", async () => {
    const world = begin(quickAtFirst);
    const { clock, sampler, told, task, standing, rows } = world;
    sampler.follow(UID, task({ policy: rolloutPolicy.parse({ intervalSeconds: 1 }) }));
    await clock.advance(0);
    // The gateway has not taken the weight yet.
    await looks(world, 2, 0);
    await looks(world, 2, 5);
    expect(standing().failure).toBeUndefined();
    await looks(world, 1, 5);
    expect(standing()).toMatchObject({ failure: { reason: "Harm" }, failedAt: clock.now() });
    expect(told.at(-1)).toBe(`shop/web ${PRIORITIES.urgent}`);
    expect(rolloutRun.parse(JSON.parse(JSON.stringify(standing().run))).rows).toEqual(rows());
    expect(replay(standing().run).rows.filter(({ differs }) => differs)).toEqual([]);
  });

  it("end after a while, and begin anew with another weight", async () => {
    const world = begin(quickAtFirst);
    const { clock, sampler, task, rows } = world;
    sampler.follow(UID, task());
    await clock.advance(0);
    await looks(world, 60);
    expect(rows().map(({ from, to }) => Date.parse(to) - Date.parse(from))).toEqual([
      ...Array.from({ length: 30 }, () => 500),
      ...Array.from({ length: 3 }, () => STEP_MS),
    ]);
    sampler.follow(UID, task({ stage: 1, weightBps: 500 }));
    await clock.advance(0);
    await looks(world, 2);
    expect(
      rows()
        .slice(33)
        .map(({ stage }) => stage),
    ).toEqual([1, 1]);
  });
});

describe("trouble", () => {
  it("beside a verdict is a time in which nothing is known", async () => {
    const { clock, pods, sampler, canary, stable, step, standing } = begin();
    const mute = pods.pod("mute");
    sampler.follow(UID, taskOf({ canary: [canary, mute], stable: [stable] }));
    await clock.advance(0);
    await step();
    expect(standing()).not.toHaveProperty("unknownSinceMs");
    mute.state = "refuses";
    const since = clock.now();
    for (let tick = 0; tick < 3; tick += 1) await step();
    expect(standing()).toMatchObject({
      trouble: expect.stringContaining("canary: 1 of 2 tell nothing"),
      verdict: { verdict: "Inconclusive" },
      unknownSinceMs: since,
    });
    mute.state = "tells";
    await step();
    expect(standing()).not.toHaveProperty("unknownSinceMs");
  });

  it("is a source that cannot be made: to follow it throws nothing, and the former source is not asked any more", async () => {
    const { clock, sampler, canary, task, step, standing, rows } = begin();
    sampler.follow(UID, task());
    await clock.advance(0);
    await step();
    const { analysis } = task();
    const broken = task({ analysis: { ...analysis, source: {} } });
    sampler.follow(UID, broken);
    canary.serve(10, 10);
    await clock.advance(2 * STEP_MS);
    expect(standing()).toMatchObject({ verdict: undefined, trouble: "an analysis has a source" });
    expect(rows()).toHaveLength(1);
    sampler.follow("new", broken);
    await clock.advance(0);
    expect(sampler.standing("new")?.trouble).toBe("an analysis has a source");
    sampler.follow(UID, task());
    await clock.advance(0);
    await step();
    expect(standing()).not.toHaveProperty("trouble");
  });

  it("is the address of a Prometheus that no URL can have", async () => {
    const { clock, sampler, task, standing } = begin();
    const source = { prometheus: { url: "http://256.1.1.1:9090" } };
    sampler.follow(UID, task({ analysis: rolloutAnalysis.parse({ source }) }));
    await clock.advance(0);
    expect(standing().trouble).toContain("prometheus url: it is no address");
  });
});

describe("a pod that is not ready", () => {
  const unready = <T extends { readonly target: object }>(pod: T) => ({
    ...pod,
    target: { ...pod.target, isReady: false },
  });

  it("counts when it answers", async () => {
    const { clock, pods, sampler, canary, stable, step, standing, rows } = begin();
    const ill = pods.pod("ill");
    sampler.follow(UID, taskOf({ canary: [canary, ill], stable: [stable] }));
    await clock.advance(0);
    ill.serve(20, 20);
    sampler.follow(UID, taskOf({ canary: [canary, unready(ill)], stable: [stable] }));
    await step();
    expect(rows().map(({ canary: of }) => of)).toEqual([{ requests: 30, errors: 20 }]);
    expect(standing()).not.toHaveProperty("trouble");
  });

  it("need not answer; what it counted meanwhile comes when it does", async () => {
    const { clock, pods, sampler, canary, stable, step, standing, rows } = begin();
    const ill = pods.pod("ill");
    const both = taskOf({ canary: [canary, unready(ill)], stable: [stable] });
    sampler.follow(UID, both);
    await clock.advance(0);
    ill.state = "refuses";
    ill.serve(20, 20);
    await step();
    expect(standing()).not.toHaveProperty("trouble");
    ill.state = "tells";
    await step();
    expect(rows().map(({ canary: of }) => of?.errors)).toEqual([0, 20]);
  });

  it("is told when nobody else is there", async () => {
    const { clock, sampler, canary, stable, standing } = begin();
    canary.state = "refuses";
    sampler.follow(UID, taskOf({ canary: [unready(canary)], stable: [stable] }));
    await clock.advance(0);
    expect(standing().trouble).toBe("canary: no pod is ready, and none answers");
  });
});

describe("another place", () => {
  it("begins at once, without what was answered on the way", async () => {
    const { clock, sampler, canary, task, step, standing, rows } = begin();
    sampler.follow(UID, task());
    await clock.advance(0);
    await step();
    canary.serve(5, 5);
    await clock.advance(2_000);
    sampler.follow(UID, task({ stage: 1, weightBps: 500 }));
    expect(standing()).toMatchObject({ verdict: undefined, measured: { canary: 0, stable: 0 } });
    await clock.advance(0);
    await step(1, 50);
    expect(rows().map(({ stage, weightBps, canary: of }) => [stage, weightBps, of?.requests, of?.errors])).toEqual([
      [0, 100, 10, 0],
      [1, 500, 50, 1],
    ]);
    expect(standing()).toMatchObject({ verdict: { reason: "TooFewSamples" }, measured: { canary: 50, stable: 990 } });
    expect(Date.parse(rows()[1]?.from ?? "") - Date.parse(rows()[0]?.to ?? "")).toBe(2_000);
  });

  it("throws an answer away that was under way", async () => {
    const { clock, sampler, canary, task, step, rows } = begin();
    sampler.follow(UID, task());
    await clock.advance(0);
    canary.state = "hangs";
    await step();
    canary.state = "tells";
    sampler.follow(UID, task({ weightBps: 200 }));
    await clock.advance(0);
    await step();
    await step();
    expect(rows().map(({ weightBps, canary: of }) => [weightBps, of?.requests])).toEqual([
      [200, 10],
      [200, 10],
    ]);
  });

  it("counts a pod that was silent at its beginning from its answer on", async () => {
    const { clock, pods, sampler, canary, stable, step, rows } = begin();
    const other = pods.pod("other");
    const both = { canary: [canary, other], stable: [stable] };
    sampler.follow(UID, taskOf(both));
    await clock.advance(0);
    other.serve(1_000, 1_000);
    other.state = "refuses";
    sampler.follow(UID, taskOf(both, { weightBps: 200 }));
    await clock.advance(0);
    await step();
    other.state = "tells";
    await step();
    other.serve(5);
    await step();
    expect(rows().map(({ canary: of }) => of?.requests)).toEqual([10, 10, 15]);
  });

  it("may be before the first weight: then the canary need not answer", async () => {
    const { clock, sampler, canary, stable, step, rows, standing } = begin();
    canary.state = "refuses";
    sampler.follow(UID, taskOf({ canary: [canary], stable: [stable] }, { weightBps: 0 }));
    await clock.advance(0);
    await step(0, 0);
    expect(rows()).toMatchObject([{ weightBps: 0, canary: { requests: 0 }, stable: { requests: 990 } }]);
    expect(standing()).toMatchObject({ verdict: { reason: "NoTraffic" }, trouble: expect.stringContaining("canary") });
    sampler.follow(UID, taskOf({ canary: [], stable: [stable] }, { weightBps: 0 }));
    await step(0, 0);
    expect(standing()).not.toHaveProperty("trouble");
  });
});

describe("several releases", () => {
  it("have few questions at once, all together, and one whose pods hang holds up no other", async () => {
    const { clock, pods, sampler, task, step, rows } = begin();
    const many = Array.from({ length: 100 }, (_, index) => pods.pod(`pod-${index}`));
    for (const pod of many) pod.state = "hangs";
    const key = { namespace: "other", name: "web" };
    sampler.follow("other", taskOf({ canary: many.slice(0, 50), stable: many.slice(50) }, { key }));
    await clock.advance(0);
    expect(pods.load.most).toBe(16);
    sampler.follow(UID, task());
    // As their timeouts do.
    const letGo = async (): Promise<void> => {
      for (const pod of many) pod.release();
      await clock.advance(0);
    };
    await letGo();
    await step();
    await letGo();
    await step();
    await letGo();
    expect(pods.load.most).toBe(16);
    expect(rows().length).toBeGreaterThanOrEqual(1);
  });

  it("do not wait for one another, and none has two questions at once", async () => {
    const { clock, pods, sampler, canary, stable, task, step, rows } = begin();
    const stuck = pods.pod("stuck");
    stuck.state = "hangs";
    sampler.follow("other", taskOf({ canary: [stuck], stable: [stuck] }));
    await clock.advance(0);
    const underWay = pods.load.now;
    sampler.follow(UID, task());
    for (let tick = 0; tick < 4; tick += 1) await step();
    expect(rows().length).toBeGreaterThanOrEqual(3);
    expect(underWay).toBe(2);
    expect(pods.load.now).toBe(2);
    expect([canary.answered.requests, stable.answered.requests]).toEqual([40, 3_960]);
  });
});

describe("another run", () => {
  it("begins with another revision", async () => {
    const { clock, sampler, task, step, standing } = begin();
    sampler.follow(UID, task());
    await clock.advance(0);
    await step(10);
    await step(10);
    expect(standing().failure).toBeDefined();
    sampler.follow(UID, task({ revision: "web-3" }));
    expect(standing()).toMatchObject({ revision: "web-3", failure: undefined, run: { rows: [] } });
    await clock.advance(0);
    await step();
    expect(standing()).toMatchObject({ verdict: { verdict: "Inconclusive" } });
  });

  it("begins with another policy", async () => {
    const { clock, sampler, task, step, standing } = begin();
    sampler.follow(UID, task());
    await clock.advance(0);
    await step(10);
    await step(10);
    const stored = standing().run;
    const patient = rolloutPolicy.parse({ falseRollbackRate: 1e-6 });
    sampler.follow(UID, task({ policy: patient }), stored);
    expect(standing()).toMatchObject({ failure: undefined, run: { policy: patient, rows: [] } });
  });
});

describe("leadership", () => {
  it("goes over with the stored run", async () => {
    const one = begin();
    one.sampler.follow(UID, one.task());
    await one.clock.advance(0);
    await one.step(6);
    await one.step(6);
    const stored = rolloutRun.parse(JSON.parse(JSON.stringify(one.standing().run)));
    const { failure, failedAt } = one.standing();

    const other = begin();
    other.sampler.follow(UID, other.task(), stored);
    expect(other.standing()).toMatchObject({ failure, failedAt, verdict: undefined, measured: { canary: 20 } });
    await other.clock.advance(60_000);
    await other.step(0, 10);
    const rows = other.rows();
    expect(rows.slice(0, 2)).toEqual(stored.rows);
    expect(rolloutRun.safeParse(other.standing().run).success).toBe(true);
  });

  it("keeps how long nothing was known", async () => {
    const one = begin();
    one.canary.state = "refuses";
    one.sampler.follow(UID, one.task());
    await one.clock.advance(0);
    await one.step();
    const other = begin();
    other.sampler.follow(UID, other.task(), one.standing().run);
    expect(other.standing().unknownSinceMs).toBe(one.clock.now() - STEP_MS);
  });

  it("takes no run of another revision", () => {
    const { sampler, task, standing } = begin();
    sampler.follow(UID, task(), { ...standingRun(), revision: "web-1" });
    expect(standing().run.rows).toEqual([]);
  });

  it("is lost with all that was followed, and no loop goes on", async () => {
    const { clock, pods, sampler, lose, lead, stable, task } = begin();
    sampler.follow(UID, task());
    stable.state = "hangs";
    sampler.follow("other", task());
    await clock.advance(1_000);
    await lose();
    expect([pods.load.now, clock.pendingSleeps()]).toEqual([0, 0]);
    expect(sampler.standing(UID)).toBeUndefined();
    // A reconcile that was still under way; its run is older than the one that comes with the next leadership.
    sampler.follow(UID, task());
    lead();
    sampler.follow(UID, task(), standingRun());
    expect(sampler.standing(UID)?.run.rows).toHaveLength(1);
  });

  it("ends a release that is followed no more", async () => {
    const { clock, sampler, task } = begin();
    sampler.follow(UID, task());
    await clock.advance(0);
    sampler.follow(UID, undefined);
    sampler.follow(UID, undefined);
    await clock.advance(0);
    expect([sampler.standing(UID), clock.pendingSleeps()]).toEqual([undefined, 0]);
  });
});

describe("time", () => {
  it.each([
    ["back", -3_600_000],
    ["ahead", 3_600_000],
  ])("may jump %s: rows ascend, and are as long as they were", async (_, jump) => {
    const { clock, sampler, task, step, standing, rows } = begin();
    sampler.follow(UID, task());
    await clock.advance(0);
    await step();
    clock.jumpWallClock(jump);
    await step();
    await step();
    expect(rows().map(({ from, to }) => Date.parse(to) - Date.parse(from))).toEqual([STEP_MS, STEP_MS, STEP_MS]);
    expect(rolloutRun.safeParse(standing().run).success).toBe(true);
    if (jump > 0) expect(Date.parse(rows()[2]?.to ?? "")).toBe(clock.now());
  });

  it("may stand still: nothing that was answered in a stall is lost, and no time is", async () => {
    const { clock, sampler, canary, stable, task, step, rows } = begin();
    sampler.follow(UID, task());
    await clock.advance(0);
    await step();
    canary.state = "hangs";
    await clock.advance(23_000);
    canary.serve(30);
    stable.serve(30);
    canary.state = "tells";
    canary.release();
    await clock.advance(0);
    await step();
    expect(rows().reduce((sum, { canary: of }) => sum + (of?.requests ?? 0), 0)).toBe(50);
    for (const [index, { from }] of rows().entries()) expect(from).toBe(rows()[index - 1]?.to ?? from);
    expect(Date.parse(rows().at(-1)?.to ?? "")).toBe(clock.now());
  });
});

function standingRun() {
  const row = {
    from: "2025-01-01T00:00:00.000Z",
    to: "2025-01-01T00:00:05.000Z",
    stage: 0,
    weightBps: 100,
    canary: { requests: 1, errors: 0 },
    stable: { requests: 1, errors: 0 },
    verdict: { verdict: "Inconclusive", reason: "TooFewSamples", metric: "errors", message: "errors: few" },
    evidence: { errors: { harm: 0, slo: 0, promote: 0 } },
  };
  return rolloutRun.parse({ kind: "RolloutRun", version: 1, revision: "web-2", policy: {}, rows: [row] });
}

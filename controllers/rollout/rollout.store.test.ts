import { describe, expect, test } from "@jest/globals";
import { rolloutPolicy } from "../../crds/rollout-policy.ts";
import { OperatorError } from "../../lib/core/errors.ts";
import { createManualClock } from "../../lib/core/manual-clock.ts";
import type { ConfigMapObject } from "../../lib/kube/types.ts";
import { judgeRun } from "./judge/run.ts";
import { createRunRecorder, recordedRun } from "./rollout.store.ts";
import type { Standing } from "./sampling/release.ts";
import { standing, verdict } from "./testing/builders.ts";

const REVISION = "abc@2026-11-30T00:00:00.000Z";
const run = judgeRun({ revision: REVISION, policy: rolloutPolicy.parse({}) }, [
  {
    from: "2026-11-30T00:00:00.000Z",
    to: "2026-11-30T00:00:05.000Z",
    stage: 0,
    weightBps: 100,
    canary: { requests: 10, errors: 0 },
    stable: { requests: 990, errors: 1 },
  },
]);

describe("the record is written", () => {
  test("when the verdict changes, and every half a minute", async () => {
    const clock = createManualClock();
    const recorder = createRunRecorder();
    const write = (of: Standing): number | undefined => {
      const record = recorder.due("uid", of, clock);
      if (record !== undefined) recorder.written("uid", record, clock);
      return record?.rows;
    };
    const holding = standing({ revision: REVISION, run, verdict: verdict("Inconclusive", "Holding") });
    expect(write(holding)).toBe(1);
    expect(write(holding)).toBeUndefined();
    const passed = { ...holding, verdict: verdict("Pass", "HoldOver") };
    expect(write(passed)).toBe(1);
    expect(write(passed)).toBeUndefined();
    await clock.advance(30_000);
    expect(write(passed)).toBe(1);
  });

  test("again after 10 s, when it could not be written", async () => {
    const clock = createManualClock();
    const recorder = createRunRecorder();
    const holding = standing({ revision: REVISION, run, verdict: verdict("Inconclusive", "Holding") });
    expect(recorder.due("uid", holding, clock)).toBeDefined();
    expect(recorder.due("uid", holding, clock)).toBeUndefined();
    await clock.advance(10_000);
    expect(recorder.due("uid", holding, clock)).toBeDefined();
  });

  test("not while nothing was counted", () => {
    const recorder = createRunRecorder();
    const empty = standing({ revision: REVISION, run: { ...run, rows: [] } });
    expect(recorder.due("uid", empty, createManualClock())).toBeUndefined();
    expect(recorder.due("uid", undefined, createManualClock())).toBeUndefined();
  });
});

describe("another leader", () => {
  const where = { namespace: "shop", record: "web-run", revision: REVISION };
  const recorded = createRunRecorder().due("uid", standing({ revision: REVISION, run }), createManualClock());

  /** A server that answers with this record. */
  function asking(data: Readonly<Record<string, string>> | undefined) {
    const warnings: unknown[] = [];
    const items = data === undefined ? [] : [{ metadata: { name: "web-run" }, data } as unknown as ConfigMapObject];
    const live = { list: async () => ({ items, metadata: {} }) } as never;
    const log = { warn: (what: unknown) => warnings.push(what) } as never;
    return { context: { live, log, signal: new AbortController().signal }, warnings };
  }

  test("goes on with the run that was recorded", async () => {
    const { context, warnings } = asking(recorded?.data);
    expect(await recordedRun(where, context)).toEqual(run);
    expect(warnings).toEqual([]);
  });

  test.each([
    ["there is none", undefined, 0],
    ["it is of another release", recorded?.data, 0],
    ["somebody wrote something else there", { "run.json.gz.base64": "bm90aGluZw==" }, 1],
  ])("begins anew where %s", async (what, data, told) => {
    const { context, warnings } = asking(data);
    const revision = what === "it is of another release" ? "other" : REVISION;
    expect(await recordedRun({ ...where, revision }, context)).toBeUndefined();
    expect(warnings).toHaveLength(told);
  });

  test("begins anew where the server does not answer", async () => {
    const { context, warnings } = asking(undefined);
    const live = { list: () => Promise.reject(new OperatorError("KUBE_UNREACHABLE", "no answer")) } as never;
    expect(await recordedRun(where, { ...context, live })).toBeUndefined();
    expect(warnings).toHaveLength(1);
  });
});

/**
 * Our Rollout beside Argo Rollouts on one cluster, behind one gateway, with the same application, ladder and load: how long a
 * bad version keeps its share of the requests, and what its users see of it. Both release by turns, one at a time. Before that
 * thousands of simulated releases say what a handful of real ones cannot.
 *
 *   node bench/rollout.bench.ts [--runs 5] [--cases half,two:3,weak,good] [--throttle 100ms]
 *
 * A case may have a number of runs of its own; the throttle is for how long Traefik gathers changes, 2 s by default.
 */
import { parseArgs } from "node:util";
import { alternate } from "./lib/operator/report.ts";
import { hundredths, writeResult } from "./lib/results.ts";
import { ARGO_ANALYSIS } from "./lib/rollout/argo-rollouts.ts";
import { CASES, type Case, type CaseResult, resultOf, tableOf } from "./lib/rollout/cases.ts";
import type { Run } from "./lib/rollout/measure.ts";
import { OUR_ANALYSIS } from "./lib/rollout/ours.ts";
import { LADDER, RATE, STABLE_ERRORS } from "./lib/rollout/side.ts";
import { simulate } from "./lib/rollout/simulation.ts";
import { type BenchStage, openBenchStage } from "./lib/rollout/stage.ts";

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "5" },
    cases: { type: "string", default: CASES.map(({ key }) => key).join(",") },
    throttle: { type: "string" },
  },
});
const cases = values.cases.split(",").map((word) => {
  const [key, runs = values.runs] = word.split(":");
  const found = CASES.find((one) => one.key === key);
  if (found === undefined) throw new Error(`--cases: there is no case "${String(key)}"`);
  if (!/^[1-9][0-9]*$/.test(runs)) throw new Error(`runs of ${found.key}: "${runs}" is no whole number of at least 1`);
  return { ...found, runs: Number(runs) };
});
const say = (line: string): boolean => process.stdout.write(`${line}\n`);
const CAUGHT_GOAL = 0.95;
const falseRollbackRate = OUR_ANALYSIS.falseRollbackRateBps / 10_000;

let versions = 1;

async function runCase(stage: BenchStage, of: Case & { readonly runs: number }) {
  const { name, errors, thresholdBps } = of;
  const runs: Record<"ours" | "argoRollouts", Run[]> = { ours: [], argoRollouts: [] };
  for (const side of alternate(stage.sides, of.runs)) {
    versions += 1;
    const run = await stage.measure(side, { version: `v${String(versions)}`, errors, thresholdBps });
    runs[side.name].push(run);
    const time = run.seconds === undefined ? "" : `, weight 0 after ${run.seconds.toFixed(2)} s`;
    say(`${name}, ${side.name}: ${run.outcome}${time}, ${String(run.bad)} bad answers`);
  }
  return runs;
}

const simulated = simulate();
const percent = (share: number): string => `${String(Number((share * 100).toPrecision(3)))} %`;
say(`simulated: ${percent(simulated.falseRollbackRate)} of ${String(simulated.goodRuns)} good releases rolled back, at most \
${percent(simulated.falseRollbackRateUpperLimit)} with 97.5 % confidence, asked ${percent(simulated.askedRate)}; 0.1 → 0.5 %: \
${percent(simulated.caught)} of ${String(simulated.weakRuns)} caught, goal ${percent(CAUGHT_GOAL)}`);
for (const { thresholdBps, falseRollbackRate: back, caught } of simulated.thresholds) {
  say(
    `simulated, Argo Rollouts at ${String(thresholdBps / 100)} %: ${percent(back)} rolled back; ${percent(caught)} caught`,
  );
}

const results: Record<string, CaseResult> = {};
const details: Record<string, unknown> = {};
const stage = await openBenchStage({ version: "v1", errors: STABLE_ERRORS, thresholdBps: 9_500 }, values.throttle);
try {
  for (const one of cases) {
    const runs = await runCase(stage, one);
    details[one.name] = runs;
    results[one.name] = resultOf(one, runs, falseRollbackRate);
  }
} finally {
  await stage.close();
  // What was measured before a failure is not lost with it.
  if (Object.keys(results).length > 0) await report();
}

async function report(): Promise<void> {
  for (const line of tableOf(results)) say(line);
  const half = results["50 % errors"];
  const [ours, theirs] = [half?.ours.medianSeconds, half?.argoRollouts.medianSeconds];
  const notMeasured = CASES.map(({ name }) => name).filter((name) => results[name] === undefined);
  if (notMeasured.length > 0) say(`not measured: ${notMeasured.join("; ")}`);
  const path = await writeResult({
    bench: "rollout",
    ...(typeof ours === "number" && typeof theirs === "number" ? { ratio: hundredths(theirs / ours) } : {}),
    cases: results,
    notMeasured,
    ...simulated,
    requestsPerSecond: RATE,
    gatewayThrottle: values.throttle ?? "2s",
    ladder: LADDER,
    analysis: { ours: OUR_ANALYSIS, argoRollouts: ARGO_ANALYSIS },
    runs: details,
  });
  say(`written to ${path}`);
}

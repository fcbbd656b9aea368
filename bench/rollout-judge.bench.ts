/**
 * The judge of releases beside the original's fixed gate, on the same simulated traffic: false rollbacks of good releases that
 * are looked at every 5 s over the whole ladder, and how soon bad ones are caught. Everything is drawn from a seed, so a
 * run repeats itself; a goal that is missed ends it with code 1.
 *
 *   node bench/rollout-judge.bench.ts [--seed 1] [--scale 1]
 */
import { parseArgs } from "node:util";
import { type RolloutPolicy, rolloutPolicy } from "../crds/rollout-policy.ts";
import { median, writeResult } from "./lib/results.ts";
import { lowerLimit, upperLimit } from "./lib/rollout-judge/interval.ts";
import { type Decider, fixedGate, type Release, sequentialJudge } from "./lib/rollout-judge/ladder.ts";
import { plainRelease, playReleases } from "./lib/rollout-judge/runs.ts";

const { values } = parseArgs({
  options: { seed: { type: "string", default: "1" }, scale: { type: "string", default: "1" } },
});
const seed = Number(values.seed);
const scale = Number(values.scale);
const policy = rolloutPolicy.parse({});
/** For releases whose latency is simulated. */
const latencyPolicy = rolloutPolicy.parse({ latency: {} });
const CAUGHT_GOAL = 0.95;

interface Case extends Release {
  readonly name: string;
  readonly runs: number;
  readonly isGood: boolean;
  /** The first stage of the ladder, of which the earlier ones are left out. */
  readonly from?: number;
}

const bursts = (stable: number, canary: number, burst: number): Release => ({
  stable: { rate: stable, burst },
  canary: { rate: canary, burst },
  requestsPerSecond: 200,
});
/** No errors; 5 % of the stable version's requests are above the bound. */
const slowness = (canary: number, burst: number): Release => ({
  stable: { rate: 0, slow: { rate: 0.05, burst } },
  canary: { rate: 0, slow: { rate: canary, burst } },
  requestsPerSecond: 200,
});
const HICCUPS = { everyTicks: 60, share: 0.2 };

const GOOD = "0.1 → 0.1 %, 200/s";
const GOOD_HIGH = "0.8 → 0.8 %, 200/s";
const WEAK = "0.1 → 0.5 %, 200/s";
/** Both catch it, so that what they let through can be compared. */
const CLEAR = "0.1 → 2 %, 200/s";

const CASES: readonly Case[] = [
  { name: GOOD, ...plainRelease(0.001, 0.001), runs: 2_000, isGood: true },
  { name: GOOD_HIGH, ...plainRelease(0.008, 0.008), runs: 2_000, isGood: true },
  { name: "at the boundary: 0.5 → 0.625 %, 200/s", ...plainRelease(0.005, 0.00625), runs: 400, isGood: true },
  { name: "incident on both, 3 → 3 %, 200/s", ...plainRelease(0.03, 0.03), runs: 400, isGood: true },
  {
    name: "hiccups of both, 0.1 → 0.1 %, 200/s",
    ...plainRelease(0.001, 0.001),
    hiccups: HICCUPS,
    runs: 400,
    isGood: true,
  },
  { name: "bursts of 5, 0.1 → 0.1 %, 200/s", ...bursts(0.001, 0.001, 5), runs: 400, isGood: true },
  { name: "bursts of 20, 0.1 → 0.1 %, 200/s", ...bursts(0.001, 0.001, 20), runs: 2_000, isGood: true },
  { name: "bursts of 20, 0.8 → 0.8 %, 200/s", ...bursts(0.008, 0.008, 20), runs: 400, isGood: true },
  {
    name: "bursts of 10, 0.4 → 0.4 %, begun at 50 %, 200/s",
    ...bursts(0.004, 0.004, 10),
    from: 3,
    runs: 1_000,
    isGood: true,
  },
  {
    name: "the same, a minute of the stable version before",
    ...bursts(0.004, 0.004, 10),
    from: 3,
    warmUpTicks: 12,
    runs: 1_000,
    isGood: true,
  },
  { name: "slow: 5 → 5 %, 200/s", ...slowness(0.05, 1), runs: 400, isGood: true },
  { name: "slow: 5 → 5 %, bursts of 10, 200/s", ...slowness(0.05, 10), runs: 400, isGood: true },
  { name: "slow: 5 → 10 %, 200/s", ...slowness(0.1, 1), runs: 400, isGood: false },
  { name: "slow: 5 → 30 %, 200/s", ...slowness(0.3, 1), runs: 400, isGood: false },
  { name: WEAK, ...plainRelease(0.001, 0.005), runs: 1_000, isGood: false },
  { name: CLEAR, ...plainRelease(0.001, 0.02), runs: 400, isGood: false },
  { name: "0.5 → 1.5 %, 50/s", ...plainRelease(0.005, 0.015, 50), runs: 400, isGood: false },
  { name: "0.1 → 10 %, 50/s", ...plainRelease(0.001, 0.1, 50), runs: 400, isGood: false },
  { name: "0.1 → 2 %, 20/s", ...plainRelease(0.001, 0.02, 20), runs: 400, isGood: false },
  { name: "0.1 → 10 %, 20/s", ...plainRelease(0.001, 0.1, 20), runs: 400, isGood: false },
  { name: "0.1 → 60 %, 20/s", ...plainRelease(0.001, 0.6, 20), runs: 400, isGood: false },
  { name: "0.1 → 60 %, 200/s", ...plainRelease(0.001, 0.6), runs: 400, isGood: false },
  {
    name: "0.1 %, then 1 % from the fourth stage on, 200/s",
    stable: { rate: 0.001 },
    canary: { rate: 0.001, later: { stage: 3, rate: 0.01 } },
    requestsPerSecond: 200,
    runs: 400,
    isGood: false,
  },
  { name: "bursts of 10, 0.1 → 10 %, 200/s", ...bursts(0.001, 0.1, 10), runs: 400, isGood: false },
  { name: "bursts of 10, 0.1 → 0.5 %, 200/s", ...bursts(0.001, 0.005, 10), runs: 400, isGood: false },
  {
    name: "hiccups of both, 0.1 → 2 %, 200/s",
    ...plainRelease(0.001, 0.02),
    hiccups: HICCUPS,
    runs: 400,
    isGood: false,
  },
];

interface Figures {
  readonly rolledBack: number;
  readonly held: number;
  readonly medianSeconds: number | undefined;
  readonly medianErrorsServed: number;
}

function figuresOf(of: Case, make: (policy: RolloutPolicy) => Decider): Figures & { readonly runs: number } {
  const ladder = of.stable.slow === undefined ? policy : latencyPolicy;
  const by = { ...ladder, stages: ladder.stages.slice(of.from ?? 0) };
  const runs = Math.max(1, Math.round(of.runs * scale));
  const outcomes = playReleases(of, { policy: by, make, runs, seed });
  const rolledBack = outcomes.filter(({ end }) => end === "rolled back");
  return {
    runs,
    rolledBack: rolledBack.length,
    held: outcomes.filter(({ end }) => end === "held").length,
    medianSeconds: rolledBack.length === 0 ? undefined : median(rolledBack.map(({ seconds }) => seconds)),
    medianErrorsServed: median(outcomes.map(({ errorsServed }) => errorsServed)),
  };
}

const rows = CASES.map((of) => {
  const ours = figuresOf(of, sequentialJudge);
  const gate = figuresOf(of, fixedGate);
  return { name: of.name, isGood: of.isGood, runs: ours.runs, ours, gate };
});
const rowOf = (name: string) => rows.find((row) => row.name === name) as (typeof rows)[number];

const percent = (share: number): string => `${Number((share * 100).toPrecision(3))} %`;
const cells = ({ rolledBack, held, medianSeconds, medianErrorsServed }: Figures, runs: number): string =>
  [
    `${percent(rolledBack / runs)} back`.padStart(14),
    (held === 0 ? "" : `${percent(held / runs)} held`).padStart(12),
    (medianSeconds === undefined ? "–" : `${medianSeconds} s`).padStart(9),
    `${medianErrorsServed} errors`.padStart(15),
  ].join("");
const width = Math.max(...rows.map(({ name }) => name.length));
process.stdout.write(`${"".padEnd(width + 7)}${"ours".padStart(14)}${"fixed gate".padStart(50)}\n`);
for (const { name, runs, ours, gate } of rows) {
  process.stdout.write(`${name.padEnd(width)} ${String(runs).padStart(5)} ${cells(ours, runs)}${cells(gate, runs)}\n`);
}

const askedRate = policy.falseRollbackRate;
const good = [rowOf(GOOD), rowOf(GOOD_HIGH)];
const goodRuns = good.reduce((sum, { runs }) => sum + runs, 0);
const falseRollbacks = good.reduce((sum, { ours }) => sum + ours.rolledBack, 0);
const falseRollbackRate = falseRollbacks / goodRuns;
const weak = rowOf(WEAK);
const caught = weak.ours.rolledBack / weak.runs;
const clear = rowOf(CLEAR);
const ratio = clear.gate.medianErrorsServed / clear.ours.medianErrorsServed;
const isReached = falseRollbackRate <= askedRate && caught >= CAUGHT_GOAL;

process.stdout.write(`
false rollbacks of ${goodRuns} good releases: ${percent(falseRollbackRate)}, at most ${percent(upperLimit(falseRollbacks, goodRuns))} with 97.5 % confidence; asked ${percent(askedRate)}
${WEAK}: ${percent(caught)} caught, at least ${percent(lowerLimit(weak.ours.rolledBack, weak.runs))} with 97.5 % confidence; goal ${percent(CAUGHT_GOAL)}
${CLEAR}: the gate lets ${ratio.toFixed(1)} times as many errors through
goals: ${isReached ? "reached" : "MISSED"}
`);
const path = await writeResult({
  bench: "rollout-judge",
  ratio,
  falseRollbackRate,
  falseRollbackRateUpperLimit: upperLimit(falseRollbacks, goodRuns),
  askedRate,
  caught,
  caughtLowerLimit: lowerLimit(weak.ours.rolledBack, weak.runs),
  seed,
  rows,
});
process.stdout.write(`written to ${path}\n`);
if (!isReached) process.exitCode = 1;

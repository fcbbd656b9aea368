/**
 * Our operator runtime beside sigs.k8s.io/controller-runtime: two programs of the same work (testkit/widget-main.ts,
 * bench/peers/controller-runtime) on the same kube-apiserver in the same run, in alternating order. Sizes are environment
 * variables, see lib/operator/sizes.ts.
 *
 *   node bench/operator.bench.ts
 */
import { environment } from "../lib/node/env.ts";
import { buildOurs, buildPeer, type Contestant } from "./lib/operator/programs.ts";
import {
  alternate,
  type Figure,
  figure,
  latencySpread,
  type Spread,
  spreadOf,
  tableOf,
} from "./lib/operator/report.ts";
import { type Burst, burst, populate, type Rest, type Restart, rest, restart } from "./lib/operator/scenarios.ts";
import { readSizes } from "./lib/operator/sizes.ts";
import { openStage, type Stage } from "./lib/operator/stage.ts";
import { writeResult } from "./lib/results.ts";

const sizes = readSizes(environment());
const ours = await buildOurs();
const peer = await buildPeer();
const consistentPeer: Contestant = { ...peer, command: [...peer.command, "--read-your-writes"] };

/** Results of both sides. */
interface Pair<T> {
  readonly ours: T[];
  readonly peer: T[];
}

const MEMORY_GOAL = {
  text: "≤ 220 MiB, ≤ 1.5 times",
  met: (mib: number, times: number | null) => mib <= 220 && (times ?? 0) <= 1.5,
};
/** Every round as it was, for the file of results. */
const rounds: Record<string, unknown> = {};

const pair = <T>(): Pair<T> => ({ ours: [], peer: [] });
const sideOf = (who: Contestant): "ours" | "peer" => (who === ours ? "ours" : "peer");
const both = <T>(results: Pair<T>, of: (side: readonly T[]) => Spread): { ours: Spread; peer: Spread } => ({
  ours: of(results.ours),
  peer: of(results.peer),
});
const burstText = ({ seconds, requestsPerWidget, cpuSeconds, serverCpuSeconds }: Burst): string =>
  `${seconds.toFixed(2)} s, ${requestsPerWidget.toFixed(3)} requests each, ${cpuSeconds.toFixed(1)} s of CPU, ${serverCpuSeconds.toFixed(1)} s of the server's`;
const say = (text: string): void => void process.stdout.write(`${text}\n`);

/** Bursts of both programs. */
async function bursts(
  stage: Stage,
  how: { readonly children: 1 | 3; readonly rounds: number; readonly widgets: number },
): Promise<Pair<Burst>> {
  const results = pair<Burst>();
  for (const who of alternate([ours, peer], how.rounds)) {
    const options = { children: how.children, concurrency: sizes.concurrency, sizes, widgets: how.widgets };
    const result = await burst(stage, who, options);
    results[sideOf(who)].push(result);
    say(`  ${who.name}: ${burstText(result)}`);
  }
  return results;
}

/** One child each: bursts, restarts over a population, rest. */
async function measureSingle(): Promise<Figure[]> {
  const stage = await openStage([ours.kind, peer.kind], sizes.namespaces);
  const options = { children: 1 as const, concurrency: sizes.concurrency, sizes };
  try {
    say("new widgets, one child each");
    const burstsOf = await bursts(stage, { children: 1, rounds: sizes.rounds, widgets: sizes.widgets });
    const consistent: Burst[] = [];
    for (let round = 0; round < sizes.consistentRounds; round += 1) {
      const result = await burst(stage, consistentPeer, { ...options, widgets: sizes.widgets });
      consistent.push(result);
      say(`  ${peer.name} with read-your-writes: ${burstText(result)}`);
    }
    say(`restarts over ${sizes.population} widgets`);
    for (const who of [ours, peer]) await populate(stage, who, options);
    const restarts = pair<Restart>();
    for (const who of alternate([ours, peer], sizes.restarts)) {
      const result = await restart(stage, who, options);
      restarts[sideOf(who)].push(result);
      say(
        `  ${who.name}: ${result.seconds.toFixed(2)} s, ${result.cpuSeconds.toFixed(2)} s of CPU, peak ${result.peakMiB.toFixed(0)} MiB, ${result.writes} writes`,
      );
    }
    say(`both at rest for ${sizes.restSeconds} s`);
    const [restOurs, restPeer] = (await rest(stage, [ours, peer], options)) as [Rest, Rest];
    rounds["single"] = {
      bursts: burstsOf,
      readYourWrites: consistent,
      restarts,
      rest: { ours: restOurs, peer: restPeer },
    };
    return [
      ...burstFigures(burstsOf),
      ...restartFigures(restarts),
      ...restFigures({ ours: [restOurs], peer: [restPeer] }),
    ];
  } finally {
    await stage.close();
  }
}

/** Three children each: bursts alone. */
async function measureTriple(): Promise<Figure[]> {
  const stage = await openStage([ours.kind, peer.kind], sizes.namespaces);
  try {
    say("new widgets, three children each");
    const results = await bursts(stage, { children: 3, rounds: sizes.tripleRounds, widgets: sizes.tripleWidgets });
    rounds["triple"] = results;
    return burstFigures(results);
  } finally {
    await stage.close();
  }
}

function burstFigures(results: Pair<Burst>): Figure[] {
  const spread = (pick: (result: Burst) => number) => both(results, (side) => spreadOf(side.map(pick)));
  const latency = (pick: (result: Burst) => readonly number[], part: number) =>
    both(results, (side) => latencySpread(side.map(pick), part));
  return [
    figure(
      "converge, s",
      spread(({ seconds }) => seconds),
      { text: "no slower", met: (_, times) => (times ?? 0) <= 1 },
    ),
    figure(
      "requests a widget",
      spread(({ requestsPerWidget }) => requestsPerWidget),
      { text: "no more", met: (_, times) => (times ?? 0) <= 1 },
    ),
    figure(
      "CPU for the burst, s",
      spread(({ cpuSeconds }) => cpuSeconds),
    ),
    figure(
      "CPU of the server meanwhile, s",
      spread(({ serverCpuSeconds }) => serverCpuSeconds),
    ),
    figure(
      "peak memory, MiB",
      spread(({ peakMiB }) => peakMiB),
    ),
    figure(
      "edit to child, idle, p50 ms",
      latency(({ idleEditsMs }) => idleEditsMs, 0.5),
    ),
    figure(
      "edit to child, idle, p99 ms",
      latency(({ idleEditsMs }) => idleEditsMs, 0.99),
      { text: "≤ 100 ms", met: (ms) => ms <= 100 },
    ),
    figure(
      `edit to child at ${sizes.editsPerSecond} edits/s, p50 ms`,
      latency(({ loadEditsMs }) => loadEditsMs, 0.5),
    ),
    figure(
      `edit to child at ${sizes.editsPerSecond} edits/s, p99 ms`,
      latency(({ loadEditsMs }) => loadEditsMs, 0.99),
    ),
  ];
}

function restartFigures(results: Pair<Restart>): Figure[] {
  const spread = (pick: (result: Restart) => number) => both(results, (side) => spreadOf(side.map(pick)));
  return [
    figure(
      "restart: first pass, s",
      spread(({ seconds }) => seconds),
    ),
    figure(
      "restart: CPU, s",
      spread(({ cpuSeconds }) => cpuSeconds),
    ),
    figure(
      "restart: peak memory, MiB",
      spread(({ peakMiB }) => peakMiB),
      MEMORY_GOAL,
    ),
    figure(
      "restart: writes",
      spread(({ writes }) => writes),
      { text: "0", met: (writes) => writes === 0 },
    ),
  ];
}

function restFigures(results: Pair<Rest>): Figure[] {
  const spread = (pick: (result: Rest) => number) => both(results, (side) => spreadOf(side.map(pick)));
  return [
    figure(
      "rest: memory, MiB",
      spread(({ rssMiB }) => rssMiB),
      MEMORY_GOAL,
    ),
    figure(
      "rest: CPU, s an hour",
      spread(({ cpuSeconds, seconds }) => (cpuSeconds * 3600) / seconds),
    ),
    figure(
      "rest: writes",
      spread(({ writes }) => writes),
      { text: "0", met: (writes) => writes === 0 },
    ),
    figure(
      "rest: requests an hour and informer",
      spread(({ requestsPerHourAndInformer }) => requestsPerHourAndInformer),
      { text: "≤ 15", met: (requests) => requests <= 15 },
    ),
  ];
}

const single = await measureSingle();
const triple = sizes.tripleRounds === 0 ? [] : await measureTriple();
const converge = single[0] as Figure;
const path = await writeResult({
  bench: "operator",
  ratio: Math.round((100 * converge.peer.median) / converge.ours.median) / 100,
  seconds: converge.ours.median,
  figures: { single, triple },
  rounds,
  sizes,
});
say(`\n${sizes.widgets} new widgets, ${sizes.population} at rest and restart; one child`);
for (const line of tableOf(single)) say(`  ${line}`);
if (triple.length > 0) {
  say(`\n${sizes.tripleWidgets} new widgets, three children (ConfigMap, Secret, Deployment)`);
  for (const line of tableOf(triple)) say(`  ${line}`);
}
say(
  `\nspeed of convergence, controller-runtime's time over ours: ${(converge.peer.median / converge.ours.median).toFixed(2)}`,
);
say(`written to ${path}`);

/**
 * What a ShardSet of 64 shards with 4 databases costs at rest: processor time of one whole reconcile, which happens every
 * 15 s, with the certificates of production, over a world in memory; agents answer from memory. Besides, of each step
 * alone.
 *
 *   node bench/shardset-at-rest.bench.ts [--shards 64] [--databases 4] [--rounds 200]
 */
import { parseArgs } from "node:util";
import { makePki } from "../controllers/kit/pki/make.ts";
import { createAgentReader, createSettingsTrier, type GetJson } from "../controllers/shardset/shardset.agents.ts";
import { assessShardSet } from "../controllers/shardset/shardset.assess.ts";
import { createShardSetController } from "../controllers/shardset/shardset.controller.ts";
import { targetOf } from "../controllers/shardset/shardset.names.ts";
import { observeShardSet } from "../controllers/shardset/shardset.observe.ts";
import { planShardSet } from "../controllers/shardset/shardset.plan.ts";
import { reportShardSet } from "../controllers/shardset/shardset.report.ts";
import { NAME, NAMESPACE, requestSecret, SETTINGS } from "../controllers/shardset/testing/builders.ts";
import { condition, createWorld, type World } from "../controllers/shardset/testing/world.ts";
import * as certificates from "../lib/node/certificates.ts";
import { tellReport } from "../operator/runtime/report.ts";
import { median, printTable, quantile, writeResult } from "./lib/results.ts";

/** What production may cost; a cluster has some such ShardSets, and each is looked at every 15 s. */
const GOAL_MS = 30;
const WARM_UP_ROUNDS = 50;

const { values } = parseArgs({
  options: {
    shards: { type: "string", default: "64" },
    databases: { type: "string", default: "4" },
    rounds: { type: "string", default: "200" },
  },
});
const shards = Number(values.shards);
const databases = Number(values.databases);
const rounds = Number(values.rounds);

/** A ShardSet that is ready, with nothing left to do. */
async function atRest(): Promise<World> {
  const world = createWorld({ spec: { shards }, certificates });
  for (let index = 0; index < databases; index += 1) {
    world.put(requestSecret(`request-${index}`, `ledger_${index}`, "2026-01-01T00:00:00Z"));
  }
  await world.settle();
  const says = condition(world, "Ready");
  if (says?.startsWith("True") !== true) throw new Error(`the ShardSet is not ready: ${says ?? "no status"}`);
  return world;
}

/** Agents answer what they answered once. */
async function answersOf(world: World): Promise<GetJson> {
  const answers = new Map<string, unknown>();
  for (const pod of world.all("Pod")) {
    const host = (pod["status"] as { readonly podIP: string }).podIP;
    const tls = { caPem: "", certPem: "", keyPem: "" };
    answers.set(host, await world.getJson({ host, port: 0, path: "/status", serverName: "", tls, timeoutMs: 0 }));
  }
  return ({ host }) => Promise.resolve(answers.get(host));
}

/** Processor milliseconds of each of some runs, garbage collection included. */
async function cpuMsOf(run: () => unknown): Promise<number[]> {
  const all: number[] = [];
  for (let round = -WARM_UP_ROUNDS; round < rounds; round += 1) {
    const before = process.cpuUsage();
    await run();
    const { user, system } = process.cpuUsage(before);
    if (round >= 0) all.push((user + system) / 1_000);
  }
  return all;
}

const world = await atRest();
const getJson = await answersOf(world);
const { context } = world;

const controller = createShardSetController({
  certificates,
  getJson,
  images: { postgres: SETTINGS.image },
  clusterDomain: SETTINGS.clusterDomain,
});
const before = world.shardSet().metadata.resourceVersion;
const whole = await cpuMsOf(() => controller.reconcile({ namespace: NAMESPACE, name: NAME }, context));
if (world.shardSet().metadata.resourceVersion !== before) throw new Error("the ShardSet was not at rest");

// The same steps by themselves, each on what the one before gives.
const readAgents = createAgentReader(getJson);
const trySettings = createSettingsTrier(getJson);
const target = targetOf(world.shardSet(), SETTINGS);
const now = context.clock.now();
const observe = async () => {
  const observed = observeShardSet(context.cache, world.shardSet(), target);
  const agents = await readAgents(observed, context);
  return { world: observed, agents, settings: await trySettings(observed, agents, context) };
};
const observed = await observe();
const needs = { ...observed.world, commonName: "" };
const made = await makePki(certificates, needs, now);
const assessment = assessShardSet(observed, made);
const plan = planShardSet(assessment, now);
const run = { now, paused: false, error: undefined, asideError: undefined };
const steps: Readonly<Record<string, () => unknown>> = {
  observe,
  make: () => makePki(certificates, needs, now),
  assess: () => assessShardSet(observed, made),
  plan: () => planShardSet(assessment, now),
  execute: () => context.execute(world.shardSet(), plan),
  report: () => tellReport(world.shardSet(), reportShardSet(assessment, run), run),
};
const stepMs: Record<string, number> = {};
for (const [name, step] of Object.entries(steps)) stepMs[name] = rounded(median(await cpuMsOf(step)));

const shardsetAtRestMs = rounded(median(whole));
const path = await writeResult({
  bench: "shardset-at-rest",
  shardsetAtRestMs,
  p95Ms: rounded(quantile(whole, 0.95)),
  stepMs,
  rounds,
  setup: { shards, databases, actions: plan.actions.length },
});
process.stdout.write(`shardset-at-rest: ${shards} shards, ${databases} databases, ${rounds} rounds\n`);
printTable([
  ["CPU of one reconcile, ms", `${shardsetAtRestMs} (p95 ${rounded(quantile(whole, 0.95))})`],
  ...Object.entries(stepMs).map(([name, ms]) => [`  ${name} alone`, String(ms)] as const),
  [`goal: ≤ ${GOAL_MS} ms`, shardsetAtRestMs <= GOAL_MS ? "yes" : "NO"],
]);
process.stdout.write(`written to ${path}\n`);

function rounded(ms: number): number {
  return Math.round(ms * 100) / 100;
}

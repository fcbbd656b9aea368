/**
 * Releases through a real gateway under a constant load, while everything around them breaks:
 *
 *   make chaos CHAOS=rollout        SEED=n repeats a run, CHAOS_SECONDS=n makes it shorter
 *
 *   node e2e/chaos/rollout.chaos.ts --only soak,route-edited
 *
 * First a good release and twenty that are taken back at random moments, with every request counted: none may be lost by switching.
 * Then the operator is killed at every step and frozen, the gateway and the metrics go away, route, Deployments, pods and at last the
 * namespace are edited or deleted. Every version of route and status is held to `rollout/invariants.ts`. Ends with exit code 0 when
 * everything held, and `.build/results/chaos-rollout.json`; after a failure logs, events and objects are in `.build/failures`.
 */
import { randomInt } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { systemClock } from "../../lib/core/clock.ts";
import { prng } from "../../lib/core/prng.ts";
import { connectKube } from "../../lib/kube/connect.ts";
import { environment } from "../../lib/node/env.ts";
import { ensureCluster, installOperator } from "../cluster.ts";
import { ensureGateway } from "../gateway/gateways.ts";
import { must, ROOT } from "../run.ts";
import { isFailed, runCampaign } from "./rollout/campaign.ts";
import { operatorPods } from "./rollout/operator-pods.ts";
import { SCENARIOS, type Scenario } from "./rollout/scenarios.ts";
import { type SoakFigures, soak } from "./rollout/soak.ts";

const CLUSTER = "shieldx-chaos";
const ABORTS = 20;
/** Part of a limited time that the soak may take. */
const SOAK_PART = 0.4;
/** Replicas of the operator, as the chart has them. */
const REPLICAS = 2;
const RESULTS = join(ROOT, ".build", "results");

const { values } = parseArgs({ options: { only: { type: "string" } } });
const say = (line: string): void => void process.stdout.write(`${line}\n`);

function chosen(scenarios: readonly Scenario[], only: string | undefined): readonly Scenario[] {
  if (only === undefined) return scenarios;
  return only.split(",").map((name) => {
    const found = scenarios.find((scenario) => scenario.name === name);
    if (found === undefined) throw new Error(`--only: there is ${scenarios.map((one) => one.name).join(", ")}`);
    return found;
  });
}

async function main(): Promise<number> {
  const { SEED, CHAOS_SECONDS: limit, E2E_CLUSTER: name = CLUSTER } = environment();
  const seed = SEED === undefined ? randomInt(2 ** 31) : Number(SEED);
  const seconds = limit === undefined ? Number.POSITIVE_INFINITY : Number(limit);
  if (!Number.isSafeInteger(seed) || !(seconds > 0)) {
    process.stderr.write("SEED must be a whole number, CHAOS_SECONDS a positive one\n");
    return 2;
  }
  const random = prng(seed);
  const startedAt = systemClock.monotonic();
  const spent = (): number => (systemClock.monotonic() - startedAt) / 1_000;
  let figures: SoakFigures | undefined;
  const soaking: Scenario = {
    name: "soak",
    run: async (arena) => {
      figures = await soak(arena, ABORTS, () => spent() < seconds * SOAK_PART);
    },
  };
  const scenarios = chosen([soaking, ...SCENARIOS], values.only);
  say(`chaos rollout: SEED=${String(seed)}${limit === undefined ? "" : ` CHAOS_SECONDS=${limit}`}`);

  await must(join(ROOT, "images", "build.sh"), [], { timeoutMs: 40 * 60_000, echo: true });
  const cluster = await ensureCluster(name, { echo: true });
  await installOperator(cluster);
  const images = await ensureGateway(name, "traefik");
  const { kubeconfig } = cluster;
  const userAgent = "shieldx/chaos";
  const client = await connectKube({ environment: {}, kubeconfig, userAgent, clock: systemClock, random: Math.random });
  const operator = operatorPods(client, REPLICAS);
  try {
    const goesOn = (): boolean => spent() < seconds;
    const reports = await runCampaign({ cluster, images, operator, random, say, goesOn }, scenarios);
    const failed = reports.filter(isFailed);
    const notRun = scenarios.slice(reports.length).map((scenario) => scenario.name);
    await mkdir(RESULTS, { recursive: true });
    const at = new Date(systemClock.now()).toISOString();
    const result = { at, seed, seconds: Math.round(spent()), soak: figures, scenarios: reports, notRun };
    await writeFile(join(RESULTS, "chaos-rollout.json"), `${JSON.stringify(result, null, 2)}\n`);
    for (const { name: what, evidence } of failed) say(`FAILED ${what}: evidence is in ${String(evidence)}`);
    if (notRun.length > 0) say(`no time was left for ${notRun.join(", ")}`);
    say(
      `${String(reports.length - failed.length)} of ${String(reports.length)} held in ${String(Math.round(spent()))} s (SEED=${String(seed)})`,
    );
    return failed.length === 0 && reports.length > 0 ? 0 : 1;
  } finally {
    operator.close();
    await client.close();
  }
}

process.exitCode = await main();

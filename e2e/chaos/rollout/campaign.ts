/** All scenarios one after the other, each on a Rollout that is at rest, and what was found. */
import { type Cluster, collectEvidence } from "../../cluster.ts";
import { type ApplicationImages } from "../../gateway/gateways.ts";
import type { Finding } from "../chaos-run.ts";
import { type Arena, askFor, closeArena, LADDER, openArena } from "./arena.ts";
import { attribute } from "./counts.ts";
import { findBreaches } from "./invariants.ts";
import type { OperatorPods } from "./operator-pods.ts";
import type { Scenario } from "./scenarios.ts";

export interface CampaignOptions {
  readonly cluster: Cluster;
  readonly images: ApplicationImages;
  readonly operator: OperatorPods;
  readonly random: () => number;
  readonly say: (line: string) => void;
  /** Asked before each scenario. */
  readonly goesOn: () => boolean;
}

/** What came of one scenario. */
export interface ScenarioReport {
  readonly name: string;
  readonly seconds: number;
  readonly findings: readonly Finding[];
  /** Failed requests while it lasted, whatever for; only those of the soak are held to be none. */
  readonly failed: Readonly<Record<string, number>>;
  /** Folder with logs, events and objects; only after a failure. */
  readonly evidence?: string;
}

/** Runs scenarios; those for which there was no time left are not in the answer. */
export async function runCampaign(options: CampaignOptions, scenarios: readonly Scenario[]): Promise<ScenarioReport[]> {
  const reports: ScenarioReport[] = [];
  const namespaces: string[] = [];
  let arena: Arena | undefined;
  let findings: Finding[] = [];
  try {
    for (const scenario of scenarios) {
      if (!options.goesOn()) break;
      if (arena === undefined) {
        const namespace = `chaos-rollout-${String(namespaces.length + 1)}`;
        namespaces.push(namespace);
        await removeNamespace(options.cluster, namespace);
        arena = await openArena({ ...options, namespace, findings: (finding) => findings.push(finding) });
      }
      findings = [];
      options.say(`${scenario.name}:`);
      const report = await runScenario(arena, scenario, findings);
      reports.push(report);
      for (const { what, ok, value } of report.findings)
        options.say(`  ${ok ? "ok    " : "FAILED"}  ${what}: ${value}`);
      // Whatever a failure has left is no ground for the next one, and an older route would have its requests.
      if (scenario.endsArena === true || isFailed(report)) {
        await closeArena(arena);
        await removeNamespace(options.cluster, arena.stage.namespace);
        arena = undefined;
      }
    }
  } finally {
    if (arena !== undefined) await closeArena(arena);
    for (const namespace of namespaces) await removeNamespace(options.cluster, namespace);
  }
  return reports;
}

export function isFailed({ findings }: ScenarioReport): boolean {
  return findings.some(({ ok }) => !ok);
}

async function runScenario(arena: Arena, scenario: Scenario, findings: Finding[]): Promise<ScenarioReport> {
  const { name } = scenario;
  const started = performance.now();
  const before = await arena.load.results();
  const mark = arena.timeline.sights().at(-1)?.revision ?? 0;
  try {
    await askFor(arena.stage, { more: { verify: { health: { http: { path: "/ready" } } } } });
    await scenario.run(arena);
  } catch (error) {
    findings.push({
      what: "it comes to its end",
      ok: false,
      value: error instanceof Error ? error.message : String(error),
    });
  }
  const breaches = findBreaches(arena.timeline.sights(), { ladder: LADDER, foreign: arena.foreign }, mark);
  findings.push({
    what: "no share and no step is wrong",
    ok: breaches.length === 0,
    value: breaches.join("; ") || "none",
  });
  const seconds = Math.round((performance.now() - started) / 1_000);
  // The load went with its namespace.
  const after = scenario.endsArena === true ? before : await arena.load.results();
  const { lost, strange } = attribute(before, after, new Set());
  const report = { name, seconds, findings, failed: { ...lost, ...strange } };
  if (!isFailed(report)) return report;
  return { ...report, evidence: await collectEvidence(arena.cluster, `chaos-${name}`, [arena.stage.namespace]) };
}

/** The Rollout first: its objects go with it. */
async function removeNamespace(cluster: Cluster, namespace: string): Promise<void> {
  if ((await cluster.get("namespace", namespace)) === undefined) return;
  await cluster.kubectl(["delete", "rollouts", "--all", "-n", namespace, "--timeout=120s"]);
  await cluster.kubectl(["delete", "namespace", namespace, "--timeout=180s"]);
}

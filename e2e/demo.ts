/**
 * The demo: from nothing to a cluster in which the operator shows what it does. DEMO=bank or DEMO=rollout plays one act alone.
 * Run again at any time: what is there already stays.
 */
import { join } from "node:path";
import { ensureCluster, installOperator } from "./cluster.ts";
import { BANK_STEPS, playBank } from "./demo/bank-act.ts";
import { playRollout, ROLLOUT_STEPS } from "./demo/rollout-act.ts";
import { createSteps } from "./demo/steps.ts";
import { must, ROOT } from "./run.ts";

const CLUSTER = "shieldx-demo";

const ACTS = {
  bank: { steps: BANK_STEPS, play: playBank },
  rollout: { steps: ROLLOUT_STEPS, play: playRollout },
} as const;
type ActName = keyof typeof ACTS;

/** Cluster and operator. */
const COMMON_STEPS = 2;

/** @throws Error for an act that there is not */
function chosenActs(asked: string | undefined): readonly ActName[] {
  const names = Object.keys(ACTS) as ActName[];
  if (asked === undefined || asked === "") return names;
  const found = names.find((name) => name === asked);
  if (found === undefined) throw new Error(`DEMO=${asked}: there is ${names.join(" and ")}`);
  return [found];
}

async function main(): Promise<void> {
  const acts = chosenActs(process.env["DEMO"]).map((name) => ACTS[name]);
  const step = createSteps(acts.reduce((sum, { steps }) => sum + steps, COMMON_STEPS));
  const target = await step(`cluster ${CLUSTER} and images`, async () => {
    await must(join(ROOT, "images", "build.sh"), [], { timeoutMs: 40 * 60_000, echo: true });
    return ensureCluster(CLUSTER, { echo: true });
  });
  await step("operator: helm upgrade --install shieldx charts/operator", () => installOperator(target));
  const told: string[] = [];
  for (const { play } of acts) told.push(await play(step, target));
  process.stdout.write(`\n${told.join("\n")}\nRemove it all with: make cluster-down\n`);
}

await main().catch((error: unknown) => {
  process.stderr.write(`\nThe demo failed: ${error instanceof Error ? error.message : String(error)}\n`);
  process.stderr.write("Look at 'kubectl get events -A' and run 'make demo' again: it goes on where it stopped.\n");
  process.exitCode = 1;
});

import { cp, rm } from "node:fs/promises";
import { join } from "node:path";
import { prng } from "../../lib/core/prng.ts";
import { ROOT, waitFor } from "../run.ts";
import type { ChaosRun, RuntimeChaosOptions, RuntimeChaosReport } from "./chaos-run.ts";
import { startObserver } from "./observer.ts";
import { makeChaos } from "./storm.ts";
import { createUser } from "./user.ts";
import { CONVERGE_SECONDS, isConverged, judge, memoryOf } from "./verdict.ts";
import { startWorld } from "./world.ts";

/*
 * Start ─► widgets converge ─► memory ─► faults, while a user works and watches are cut ─► everything runs again
 *       ─► the world must equal the specs ─► memory ─► rest: nothing may be written ─► the audit log is judged
 */

/** Runs the whole thing. @throws when the world cannot be started, or does not converge even once before the faults */
export async function runRuntimeChaos(options: RuntimeChaosOptions): Promise<RuntimeChaosReport> {
  const { seed, say } = options;
  const random = prng(seed);
  const directory = join(ROOT, ".build", "failures", `chaos-runtime-${seed}`);
  await rm(directory, { recursive: true, force: true });
  const world = await startWorld({ leaseTimes: options.leaseTimes, random: prng(seed + 1), directory });
  const observer = startObserver(world.client);
  // Also kept when the run breaks off.
  let evidence: string | undefined = directory;
  try {
    const user = createUser({ client: world.client, seed: seed + 2, widgets: options.widgets });
    const run: ChaosRun = {
      options,
      world,
      user,
      observer,
      random,
      findings: [],
      figures: {},
      struck: [],
      quiet: false,
    };
    await user.prepare();
    await waitFor("the first widgets to converge", CONVERGE_SECONDS * 1000, () => isConverged(run));
    const before = await memoryOf(world);
    await makeChaos(run);
    await judge(run, before);
    if (run.findings.every(({ ok }) => ok)) evidence = undefined;
    return { seed, findings: run.findings, figures: run.figures, evidence };
  } finally {
    await observer.stop();
    if (evidence !== undefined) {
      await cp(world.plane.auditLog, join(directory, "audit.log"));
      say(`logs are kept in ${directory}`);
    }
    await world.stop();
    await rm(evidence === undefined ? directory : join(directory, "service-account"), { recursive: true });
  }
}

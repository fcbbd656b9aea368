import { systemClock } from "../../lib/core/clock.ts";
import { LEASE_NAME } from "../../operator/manager.ts";
import { waitFor } from "../run.ts";
import { type AcceptedWrite, type Audit, type Breach, findBreaches, readAudit } from "./audit.ts";
import type { ChaosRun, Finding } from "./chaos-run.ts";
import { findDifferences, readSnapshot, versionsOf } from "./judge.ts";
import type { Memory } from "./replica.ts";
import type { World } from "./world.ts";

/** After the last fault: an outage's settling time, a Lease, a restart and a backoff of a minute at most. */
export const CONVERGE_SECONDS = 60;
/** What may remain after collections of garbage beyond what there was: compiled code, pools, longer histories of metrics. */
const MEMORY = { heapRatio: 1.25, heapMiB: 6, residentRatio: 1.3, residentMiB: 30 };

/** The world equals the specs, and what the user asked for. */
export async function isConverged({ world, user }: ChaosRun): Promise<boolean> {
  return findDifferences(await readSnapshot(world.client), user.wanted()).length === 0;
}

/** Judges a run whose faults are over, and adds its findings and figures. @param before memory before the faults */
export async function judge(run: ChaosRun, before: readonly Memory[]): Promise<void> {
  const { findings, world } = run;
  findings.push(...(await judgeWorld(run)));
  findings.push(...compareMemory(before, await memoryOf(world)));
  findings.push(await judgeRest(run));
  findings.push({
    what: "no process ended for another reason",
    ok: world.strangeEnds.length === 0,
    value: world.strangeEnds.join("; ") || "none",
  });
  findings.push(await judgeFence(run));
  addFigures(run);
}

async function judgeWorld(run: ChaosRun): Promise<Finding[]> {
  const { options, world, user } = run;
  const healedAt = systemClock.monotonic();
  const converged = await waitFor("convergence", CONVERGE_SECONDS * 1000, () => isConverged(run)).catch(() => false);
  const seconds = (systemClock.monotonic() - healedAt) / 1000;
  const snapshot = await readSnapshot(world.client);
  const differences = findDifferences(snapshot, user.wanted());
  for (const difference of differences) options.say(`  difference: ${difference}`);
  return [
    {
      what: "the world equals the specs",
      ok: differences.length === 0,
      value: `${snapshot.widgets.length} widgets, ${differences.length} differences`,
    },
    {
      what: "no key was lost",
      ok: converged,
      value: `all reflected ${seconds.toFixed(1)} s after the last fault, bound ${CONVERGE_SECONDS} s`,
    },
  ];
}

async function judgeRest(run: ChaosRun): Promise<Finding> {
  const { options, world } = run;
  const versions = versionsOf(await readSnapshot(world.client));
  const writesBefore = (await audit(run)).writes.filter(isOperators).length;
  await systemClock.sleep(options.restSeconds * 1000);
  const written = (await audit(run)).writes.filter(isOperators).slice(writesBefore);
  for (const write of written) options.say(`  written at rest: ${write.what} by ${write.userAgent}`);
  return {
    what: "nothing is written at rest",
    ok: written.length === 0 && versions === versionsOf(await readSnapshot(world.client)),
    value: `${written.length} writes in ${options.restSeconds} s`,
  };
}

async function judgeFence(run: ChaosRun): Promise<Finding> {
  const found = await audit(run);
  const processes = run.world.places.flatMap(({ replica }) => replica.processes());
  const epochs = new Map(processes.map((process) => [process.userAgent, process.epochs]));
  const acts = found.writes.filter(isAct);
  const breaches = findBreaches({ ...found, writes: acts }, (userAgent) => epochs.get(userAgent) ?? []);
  for (const breach of breaches) run.options.say(`  ${describeBreach(breach)}`);
  run.figures["operator processes"] = processes.length;
  run.figures["deletions without a revision"] = acts.filter(({ revision }) => revision === undefined).length;
  return {
    what: "no fenced-off write was accepted",
    ok: breaches.length === 0 && acts.length > 0,
    value: `${breaches.length} of ${acts.length} writes under ${found.terms.length} epochs`,
  };
}

function addFigures({ world, user, observer, figures }: ChaosRun): void {
  const waits = [...user.editedAt()].flatMap(([text, at]) => {
    const shown = observer.shownAt().get(text);
    return shown === undefined ? [] : [Math.max(0, shown - at)];
  });
  waits.sort((a, b) => a - b);
  Object.assign(figures, {
    ...user.counts,
    "age of the last processes": world.places.map(({ replica }) => `${replica.ageSeconds().toFixed(0)} s`).join(", "),
    "edits shown": `${waits.length} of ${user.editedAt().size}; the others were overtaken by a later one`,
    "edit to child, median": `${(waits[waits.length >> 1] ?? 0).toFixed(0)} ms`,
  });
}

const isOperators = ({ userAgent }: AcceptedWrite): boolean => userAgent.startsWith("chaos/");
/** Events tell, they do not act: no fence is before them, and they have no revision here. */
const isAct = (write: AcceptedWrite): boolean => isOperators(write) && !/^\w+ events\b/.test(write.what);

function audit({ world, observer }: ChaosRun): Promise<Audit> {
  return readAudit(world.plane.auditLog, LEASE_NAME, observer.deletions());
}

function describeBreach({ write, why }: Breach): string {
  return `accepted although fenced off: ${write.what} by ${write.userAgent} at revision ${write.revision}: ${why}`;
}

/** Of the present process of each replica. */
export async function memoryOf({ places }: World): Promise<Memory[]> {
  const all: Memory[] = [];
  for (const { replica } of places) {
    await waitFor(`replica ${replica.identity}`, CONVERGE_SECONDS * 1000, async () => replica.isRunning());
    all.push(await replica.memory());
  }
  return all;
}

function compareMemory(before: readonly Memory[], after: readonly Memory[]): Finding[] {
  const largest = (all: readonly Memory[], part: keyof Memory): number => Math.max(...all.map((one) => one[part]));
  const compare = (what: string, part: keyof Memory, limit: (value: number) => number): Finding => {
    const [was, is] = [largest(before, part), largest(after, part)];
    return {
      what,
      ok: is <= limit(was),
      value: `${was.toFixed(1)} MiB before, ${is.toFixed(1)} MiB after, bound ${limit(was).toFixed(1)} MiB`,
    };
  };
  return [
    compare("heap is back", "heapMiB", (was) => was * MEMORY.heapRatio + MEMORY.heapMiB),
    compare("resident memory is back", "residentMiB", (was) => was * MEMORY.residentRatio + MEMORY.residentMiB),
  ];
}

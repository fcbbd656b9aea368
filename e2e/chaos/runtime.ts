import { cp, rm } from "node:fs/promises";
import { join } from "node:path";
import { systemClock } from "../../lib/core/clock.ts";
import { prng } from "../../lib/core/prng.ts";
import { LEASE_NAME } from "../../operator/manager.ts";
import { ROOT, waitFor } from "../run.ts";
import { type AcceptedWrite, type Breach, findBreaches, readAudit } from "./audit.ts";
import { FAULTS, type Fault, type FaultContext, type Measured } from "./faults.ts";
import { findDifferences, readSnapshot, versionsOf } from "./judge.ts";
import { type Observer, startObserver } from "./observer.ts";
import type { Memory } from "./replica.ts";
import { createUser, type User } from "./user.ts";
import { type LeaseTimes, startWorld, type World } from "./world.ts";

/*
 * Start ─► widgets converge ─► memory ─► faults, while a user works and watches are cut ─► everything runs again
 *       ─► the world must equal the specs ─► memory ─► rest: nothing may be written ─► the audit log is judged
 */

export interface RuntimeChaosOptions {
  readonly seed: number;
  /** How long faults are made. */
  readonly seconds: number;
  readonly widgets: number;
  /** Seconds: Lease, renew deadline, retry. */
  readonly leaseTimes: LeaseTimes;
  /** Whatever connections are open are cut this often: at least, and a random part more; real seconds. */
  readonly cutSeconds: { readonly min: number; readonly spread: number };
  /** Names of the faults of one round, in a seeded order; all unless told. */
  readonly faults?: readonly string[];
  /** How long nothing may be written at the end. */
  readonly restSeconds: number;
  /** Told what happens. */
  readonly say: (line: string) => void;
}

/** One thing that had to hold. */
export interface Finding {
  readonly what: string;
  readonly ok: boolean;
  /** With its numbers. */
  readonly value: string;
}

export interface RuntimeChaosReport {
  readonly seed: number;
  readonly findings: readonly Finding[];
  /** Counts and times that decide nothing. */
  readonly figures: Readonly<Record<string, number | string>>;
  /** Folder with the logs; only after a failure. */
  readonly evidence: string | undefined;
}

/** The last part of a run ends no process, so that the ones at the end have lived through something. */
const GENTLE_PART = 1 / 3;
/** Calm between two faults, in seconds of a Lease of 15 s. */
const CALM = { min: 2, spread: 6 };
/** Of the open connections, watches above all, a cut hits so many. */
const CUT_CHANCE = 0.6;
/** After the last fault: an outage's settling time, a Lease, a restart and a backoff of a minute at most. */
const CONVERGE_SECONDS = 60;
/** Of the Lease's own times: a crash is noticed after the Lease and one retry, spread by 20 %; the rest is two busy cores. */
const SLACK_SECONDS = 3;
const HAND_OVER_SECONDS = 3;
/** A process starts, fills its caches and takes the Lease; this includes the second until it is started. */
const RETURN_SECONDS = 12;
/** What may remain after collections of garbage beyond what there was: compiled code, pools, longer histories of metrics. */
const MEMORY = { heapRatio: 1.25, heapMiB: 6, residentRatio: 1.3, residentMiB: 30 };

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
    const run: Run = { options, world, user, observer, random, findings: [], figures: {}, struck: [], quiet: false };
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

interface Run {
  readonly options: RuntimeChaosOptions;
  readonly world: World;
  readonly user: User;
  readonly observer: Observer;
  readonly random: () => number;
  readonly findings: Finding[];
  readonly figures: Record<string, number | string>;
  readonly struck: string[];
  /** No connections are cut. */
  quiet: boolean;
}

async function isConverged({ world, user }: Run): Promise<boolean> {
  return findDifferences(await readSnapshot(world.client), user.wanted()).length === 0;
}

async function makeChaos(run: Run): Promise<void> {
  const { options, world, user, random, findings, figures, struck } = run;
  const { say } = options;
  const scale = options.leaseTimes[0] / 15;
  const measured = new Map<Measured, number[]>();
  const context: FaultContext = {
    world,
    user,
    random,
    wait: (seconds) => systemClock.sleep(seconds * scale * 1000),
    measure: async (what, work) => {
      const since = systemClock.monotonic();
      run.quiet = true;
      await work().finally(() => {
        run.quiet = false;
      });
      const seconds = (systemClock.monotonic() - since) / 1000;
      say(`  ${what} after ${seconds.toFixed(1)} s`);
      measured.set(what, [...(measured.get(what) ?? []), seconds]);
    },
  };
  const stopping = new AbortController();
  const working = user.run(stopping.signal);
  const cutting = cutWatches(run, stopping.signal);
  const startedAt = systemClock.monotonic();
  const elapsed = (): number => (systemClock.monotonic() - startedAt) / 1000;
  const chosen = FAULTS.filter(({ name }) => options.faults?.includes(name) ?? true);
  let round: Fault[] = [];
  while (elapsed() < options.seconds || round.length > 0) {
    const isLate = elapsed() > options.seconds * (1 - GENTLE_PART);
    if (round.length === 0)
      round = shuffle(
        chosen.filter(({ gentle }) => !isLate || gentle === true),
        random,
      );
    const fault = round.shift();
    if (fault === undefined) break;
    // The first round is whole, however little time it leaves; of the later ones the rest is dropped.
    if (struck.length >= chosen.length && (elapsed() >= options.seconds || (isLate && fault.gentle !== true))) continue;
    say(`${elapsed().toFixed(0).padStart(4)} s  ${fault.name}`);
    await fault.strike(context);
    struck.push(fault.name);
    await context.wait(CALM.min + CALM.spread * random());
  }
  stopping.abort();
  await Promise.all([working, cutting]);
  const [leaseSeconds, , retrySeconds] = options.leaseTimes;
  const bounds: Record<Measured, number> = {
    "hand-over": HAND_OVER_SECONDS,
    "take-over": leaseSeconds + retrySeconds * 1.2 + SLACK_SECONDS,
    "return of the same pod": RETURN_SECONDS,
  };
  for (const [what, seconds] of measured) {
    const longest = Math.max(...seconds);
    const value = `${longest.toFixed(1)} s at most of ${seconds.length}, bound ${bounds[what].toFixed(1)} s`;
    findings.push({ what, ok: longest <= bounds[what], value });
  }
  figures["faults"] = struck.length;
  figures["seconds of faults"] = Math.round(elapsed());
}

async function cutWatches(run: Run, signal: AbortSignal): Promise<void> {
  const { options, world, random, figures } = run;
  let cuts = 0;
  while (!signal.aborted) {
    await systemClock.sleep((options.cutSeconds.min + options.cutSeconds.spread * random()) * 1000, signal);
    for (const { proxy } of run.quiet ? [] : world.places) cuts += proxy.cut(CUT_CHANCE);
  }
  figures["connections cut"] = cuts;
}

async function judge(run: Run, before: readonly Memory[]): Promise<void> {
  const { options, world, user, observer, findings, figures } = run;
  const healedAt = systemClock.monotonic();
  const converged = await waitFor("convergence", CONVERGE_SECONDS * 1000, () => isConverged(run)).catch(() => false);
  const seconds = (systemClock.monotonic() - healedAt) / 1000;
  const snapshot = await readSnapshot(world.client);
  const differences = findDifferences(snapshot, user.wanted());
  for (const difference of differences) options.say(`  difference: ${difference}`);
  findings.push({
    what: "the world equals the specs",
    ok: converged && differences.length === 0,
    value: `${snapshot.widgets.length} widgets, ${differences.length} differences`,
  });
  findings.push({
    what: "no key was lost",
    ok: converged,
    value: `all reflected ${seconds.toFixed(1)} s after the last fault, bound ${CONVERGE_SECONDS} s`,
  });
  findings.push(...compareMemory(before, await memoryOf(world)));
  const versions = versionsOf(await readSnapshot(world.client));
  const writesBefore = (await audit(run)).writes.filter(isOurs).length;
  await systemClock.sleep(options.restSeconds * 1000);
  const { writes, terms } = await audit(run);
  const written = writes.filter(isOurs).slice(writesBefore);
  for (const write of written) options.say(`  written at rest: ${write.what} by ${write.userAgent}`);
  findings.push({
    what: "nothing is written at rest",
    ok: written.length === 0 && versions === versionsOf(await readSnapshot(world.client)),
    value: `${written.length} writes in ${options.restSeconds} s`,
  });
  findings.push({
    what: "no process ended for another reason",
    ok: world.strangeEnds.length === 0,
    value: world.strangeEnds.join("; ") || "none",
  });
  const processes = world.places.flatMap(({ replica }) => replica.processes());
  const epochs = new Map(processes.map((process) => [process.userAgent, process.epochs]));
  const breaches = findBreaches({ writes, terms }, (agent) =>
    isOperator(agent) ? (epochs.get(agent) ?? []) : undefined,
  );
  for (const breach of breaches) options.say(`  ${describeBreach(breach)}`);
  const ours = writes.filter(isOurs);
  findings.push({
    what: "no fenced-off write was accepted",
    ok: breaches.length === 0 && ours.length > 0,
    value: `${breaches.length} of ${ours.length} writes under ${terms.length} epochs`,
  });
  const waits = [...user.editedAt()].flatMap(([text, at]) => {
    const shown = observer.shownAt().get(text);
    return shown === undefined ? [] : [Math.max(0, shown - at)];
  });
  Object.assign(figures, {
    ...user.counts,
    "operator processes": processes.length,
    "age of the last ones": world.places.map(({ replica }) => `${replica.ageSeconds().toFixed(0)} s`).join(", "),
    "writes of operators": ours.length,
    "deletions without a revision": ours.filter(({ revision }) => revision === undefined).length,
    "edits shown": `${waits.length} of ${user.editedAt().size}; the others were overtaken by a later one`,
    "edit to child, median": `${(waits.sort((a, b) => a - b)[waits.length >> 1] ?? 0).toFixed(0)} ms`,
  });
}

const isOperator = (userAgent: string): boolean => userAgent.startsWith("chaos/");
/** Events tell, they do not act: no fence is before them, and they have no revision here. */
const isOurs = ({ userAgent, what }: AcceptedWrite): boolean => isOperator(userAgent) && !what.includes("events");

async function audit({ world, observer }: Run) {
  return readAudit(world.plane.auditLog, LEASE_NAME, observer.deletions());
}

function describeBreach({ write, why }: Breach): string {
  return `accepted although fenced off: ${write.what} by ${write.userAgent} at revision ${write.revision}: ${why}`;
}

async function memoryOf({ places }: World): Promise<Memory[]> {
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

function shuffle<T>(items: readonly T[], random: () => number): T[] {
  const rest = [...items];
  const shuffled: T[] = [];
  while (rest.length > 0) shuffled.push(...rest.splice(Math.floor(random() * rest.length), 1));
  return shuffled;
}

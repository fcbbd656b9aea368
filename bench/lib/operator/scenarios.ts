/** What is done with one program at a time, and what is measured meanwhile. */
import { systemClock } from "../../../lib/core/clock.ts";
import type { RequestCounts } from "./audit.ts";
import type { Usage } from "./procfs.ts";
import { type Contestant, type Program, type ProgramOptions, startProgram, until } from "./programs.ts";
import type { Sizes } from "./sizes.ts";
import type { Stage } from "./stage.ts";
import { openWorld, type World } from "./world.ts";

/** A burst of new widgets, and edits afterwards. */
export interface Burst {
  readonly seconds: number;
  readonly requests: RequestCounts;
  readonly requestsPerWidget: number;
  /** Processor time of the program for the burst. */
  readonly cpuSeconds: number;
  /** Processor time of kube-apiserver meanwhile: for the users' requests, which are the same for both, and the program's. */
  readonly serverCpuSeconds: number;
  readonly peakMiB: number;
  /** Milliseconds from an edit to its child. */
  readonly idleEditsMs: readonly number[];
  readonly loadEditsMs: readonly number[];
}

/** A start over a converged population. */
export interface Restart {
  /** From the start of the process to the end of its first pass over everything. */
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peakMiB: number;
  /** After some seconds of rest. */
  readonly rssMiB: number;
  readonly writes: number;
  readonly requests: RequestCounts;
}

/** Time at rest beside the other program. */
export interface Rest {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly rssMiB: number;
  readonly peakMiB: number;
  readonly writes: number;
  /** Requests but for the Lease, an hour and an informer. */
  readonly requestsPerHourAndInformer: number;
  readonly requests: RequestCounts;
}

/** Requests that are still on their way when the last status is seen. */
const SETTLE_MS = 1_000;
const REST_AFTER_START_MS = 5_000;
const CONVERGE_TIMEOUT_MS = 300_000;

/** A stride that visits the widgets in an order unlike that of their creation. */
const STRIDE = 7_919;

/** Starts the program over an empty world and lets users make widgets. Leaves an empty world. */
export async function burst(
  stage: Stage,
  who: Contestant,
  options: ProgramOptions & { readonly sizes: Sizes; readonly widgets: number },
): Promise<Burst> {
  const { sizes, widgets } = options;
  const world = await openWorld(stage, who.kind);
  const program = await startProgram(stage, who, options);
  try {
    await warmUp(world);
    const from = await stage.audit.mark();
    const before = await program.usage();
    const serverBefore = await stage.serverCpuSeconds();
    const startedAt = systemClock.monotonic();
    const [endedAt] = await Promise.all([
      world.untilConverged(widgets + 1, CONVERGE_TIMEOUT_MS),
      world.create(1, widgets + 1),
    ]);
    const after = await program.usage();
    const serverAfter = await stage.serverCpuSeconds();
    await systemClock.sleep(SETTLE_MS);
    const requests = await stage.audit.count(who.userAgent, from, await stage.audit.mark());

    const idleEditsMs: number[] = [];
    for (let edit = 0; edit < sizes.idleEdits; edit += 1) idleEditsMs.push(await world.edit((edit * STRIDE) % widgets));
    await systemClock.sleep(SETTLE_MS);
    const loadEditsMs = await editAtRate(world, sizes, widgets);
    await systemClock.sleep(SETTLE_MS);
    await check(world, who);
    return {
      seconds: (endedAt - startedAt) / 1000,
      requests,
      requestsPerWidget: requests.requests / widgets,
      cpuSeconds: after.cpuSeconds - before.cpuSeconds,
      serverCpuSeconds: serverAfter - serverBefore,
      peakMiB: (await program.usage()).peakMiB,
      idleEditsMs,
      loadEditsMs,
    };
  } finally {
    await program.stop();
    await world.clear();
    await world.close();
  }
}

/** Makes the population that rest and restarts are measured over. */
export async function populate(
  stage: Stage,
  who: Contestant,
  options: ProgramOptions & { readonly sizes: Sizes },
): Promise<void> {
  const { population } = options.sizes;
  const world = await openWorld(stage, who.kind);
  const program = await startProgram(stage, who, options);
  try {
    await Promise.all([world.untilConverged(population, CONVERGE_TIMEOUT_MS), world.create(0, population)]);
    await systemClock.sleep(SETTLE_MS);
    await check(world, who);
  } finally {
    await program.stop();
    await world.close();
  }
}

/** Starts the program over the population, lets it look at everything once, and rests. */
export async function restart(
  stage: Stage,
  who: Contestant,
  options: ProgramOptions & { readonly sizes: Sizes },
): Promise<Restart> {
  const from = await stage.audit.mark();
  const startedAt = systemClock.monotonic();
  const program = await startProgram(stage, who, options);
  try {
    await firstPass(program, options.sizes.population);
    const seconds = (systemClock.monotonic() - startedAt) / 1000;
    const { cpuSeconds } = await program.usage();
    await systemClock.sleep(REST_AFTER_START_MS);
    const { peakMiB, rssMiB } = await program.usage();
    const requests = await stage.audit.count(who.userAgent, from, await stage.audit.mark());
    return { seconds, cpuSeconds, peakMiB, rssMiB, writes: requests.writes, requests };
  } finally {
    await program.stop();
  }
}

/** Lets several programs rest beside each other. Each is given with its number of informers. */
export async function rest(
  stage: Stage,
  contestants: readonly Contestant[],
  options: ProgramOptions & { readonly sizes: Sizes },
): Promise<Rest[]> {
  const seconds = options.sizes.restSeconds;
  const programs = await Promise.all(contestants.map((who) => startProgram(stage, who, options)));
  try {
    await Promise.all(programs.map((program) => firstPass(program, options.sizes.population)));
    await systemClock.sleep(REST_AFTER_START_MS);
    const from = await stage.audit.mark();
    const before = await Promise.all(programs.map((program) => program.usage()));
    await systemClock.sleep(seconds * 1000);
    const after = await Promise.all(programs.map((program) => program.usage()));
    const to = await stage.audit.mark();
    // The widgets and one informer for each kind of child.
    const informers = 1 + options.children;
    return await Promise.all(
      contestants.map(async (who, index) => {
        const requests = await stage.audit.count(who.userAgent, from, to);
        const [first, last] = [before[index] as Usage, after[index] as Usage];
        return {
          seconds,
          cpuSeconds: last.cpuSeconds - first.cpuSeconds,
          rssMiB: last.rssMiB,
          peakMiB: last.peakMiB,
          writes: requests.writes,
          requestsPerHourAndInformer: (requests.requests / informers) * (3600 / seconds),
          requests,
        };
      }),
    );
  } finally {
    await Promise.all(programs.map((program) => program.stop()));
  }
}

/** The program works when the first widget has converged. */
async function warmUp(world: World): Promise<void> {
  await world.create(0, 1);
  await world.untilConverged(1, CONVERGE_TIMEOUT_MS);
  await systemClock.sleep(SETTLE_MS);
}

/** Until the program has reconciled the whole population and has nothing more to do. */
function firstPass(program: Program, population: number): Promise<void> {
  return until("a pass over everything", CONVERGE_TIMEOUT_MS, async () => {
    // The page of metrics is not served in the first moments.
    const { reconciles, depth } = await program.progress().catch(() => ({ reconciles: 0, depth: 1 }));
    return reconciles >= population && depth === 0;
  });
}

/** Edits at their times, whether earlier ones have been answered or not. */
async function editAtRate(world: World, sizes: Sizes, widgets: number): Promise<number[]> {
  const count = Math.min(sizes.editsPerSecond * sizes.loadSeconds, widgets);
  const startedAt = systemClock.monotonic();
  const edits: Promise<number>[] = [];
  for (let edit = 0; edit < count; edit += 1) {
    const waitMs = startedAt + (edit * 1000) / sizes.editsPerSecond - systemClock.monotonic();
    if (waitMs > 0) await systemClock.sleep(waitMs);
    edits.push(world.edit((edit * STRIDE) % widgets));
  }
  return Promise.all(edits);
}

async function check(world: World, who: Contestant): Promise<void> {
  const wrong = await world.wrong();
  if (wrong > 0) throw new Error(`${who.name}: ${wrong} widgets have not the child that their spec asks for`);
}

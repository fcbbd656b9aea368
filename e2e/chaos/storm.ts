import { systemClock } from "../../lib/core/clock.ts";
import type { ChaosRun } from "./chaos-run.ts";
import { FAULTS, type Fault, type FaultContext, type Measured } from "./faults.ts";

/** The last part of a run ends no process, so that the ones at the end have lived through something. */
const GENTLE_PART = 1 / 3;
/** Calm between two faults, in seconds of a Lease of 15 s. */
const CALM = { min: 2, spread: 6 };
/** Of the open connections, watches above all, a cut hits so many. */
const CUT_CHANCE = 0.6;
/** Of the Lease's own times: a crash is noticed after the Lease and one retry, spread by 20 %; the rest is two busy cores. */
const SLACK_SECONDS = 3;
const HAND_OVER_SECONDS = 3;
/** Of a Lease of 15 s: the API must have answered for 5 s, at intervals of 2. */
const SETTLE_SECONDS = 8;
/** A process starts, fills its caches and takes the Lease; this includes the second until it is started. */
const RETURN_SECONDS = 12;

/** Rounds of faults, one after the other, while the user works and connections are cut. Adds a finding for each bound. */
export async function makeChaos(run: ChaosRun): Promise<void> {
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
      run.quiet = true;
      await systemClock.sleep(SETTLE_SECONDS * scale * 1000);
      const since = systemClock.monotonic();
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

async function cutWatches(run: ChaosRun, signal: AbortSignal): Promise<void> {
  const { options, world, random, figures } = run;
  let cuts = 0;
  while (!signal.aborted) {
    await systemClock.sleep((options.cutSeconds.min + options.cutSeconds.spread * random()) * 1000, signal);
    for (const { proxy } of run.quiet ? [] : world.places) cuts += proxy.cut(CUT_CHANCE);
  }
  figures["connections cut"] = cuts;
}

function shuffle<T>(items: readonly T[], random: () => number): T[] {
  const rest = [...items];
  const shuffled: T[] = [];
  while (rest.length > 0) shuffled.push(...rest.splice(Math.floor(random() * rest.length), 1));
  return shuffled;
}

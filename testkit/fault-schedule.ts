import type { Clock } from "../lib/core/clock.ts";
import { prng } from "../lib/core/prng.ts";
import { serverError, throttled, webhookTimeout } from "./fault-recipes.ts";
import type { FaultTarget } from "./faults.ts";
import type { JumpingClock } from "./jumping-clock.ts";

/** Where a schedule is played. */
export interface FaultStage {
  readonly target: FaultTarget;
  /** The clock of the code under test; without it no clock jumps. */
  readonly clock?: JumpingClock;
}

/** One fault of a schedule. */
export interface ScheduledFault {
  /** After the start, milliseconds. */
  readonly atMs: number;
  /** In words, with its numbers. */
  readonly text: string;
  /** Begins it. */
  readonly begin: (stage: FaultStage) => void;
}

/** A list of faults that a seed has drawn. */
export interface FaultSchedule {
  readonly faults: readonly ScheduledFault[];
  /** One line a fault, under the seed: what a test prints when it fails. */
  readonly text: string;
  /**
   * Plays it and heals everything: then nothing stands between the code under test and a world that converges. Ends early,
   * and heals, when the signal aborts.
   * @param pace in which time the faults follow each other; the machine's clock, usually
   */
  play(stage: FaultStage, pace: Clock, signal?: AbortSignal): Promise<void>;
}

export interface FaultScheduleOptions {
  /** 12 unless told. */
  readonly count?: number;
  /** The last one comes before that, milliseconds; 1500 unless told. */
  readonly withinMs?: number;
  /** Only these; all unless told. */
  readonly kinds?: readonly FaultKind[];
}

type Draw = { readonly text: string; readonly begin: ScheduledFault["begin"] };
type Dice = { integer(from: number, to: number): number; pick<T>(from: readonly T[]): T };

/** For how many requests a drawn fault of requests counts. */
const REQUESTS_MAX = 4;
/** How long a trouble of watches lasts, milliseconds. */
const TROUBLE_MS_MAX = 300;

const requests = (dice: Dice) => dice.integer(1, REQUESTS_MAX);

/** A trouble of watches that passes by itself. */
function passing(dice: Dice, trouble: Parameters<FaultTarget["troubleWatches"]>[0]): Draw {
  const forMs = dice.integer(50, TROUBLE_MS_MAX);
  return {
    text: `watches: ${JSON.stringify(trouble)} for ${forMs} ms`,
    begin: ({ target }) => {
      const undo = target.troubleWatches(trouble, { chance: 0.5 });
      setTimeout(undo, forMs);
    },
  };
}

function once(text: string, begin: (target: FaultTarget) => void): Draw {
  return { text, begin: ({ target }) => begin(target) };
}

const KINDS = {
  throttle: (dice) => {
    const times = requests(dice);
    return once(`429 to ${times} requests`, (target) => target.inject(throttled({ times })));
  },
  serverError: (dice) => {
    const [times, status] = [requests(dice), dice.pick([500, 503, 504] as const)];
    return once(`${status} to ${times} requests`, (target) => target.inject(serverError({ times }, status)));
  },
  reset: (dice) => {
    const times = requests(dice);
    return once(`${times} requests reset`, (target) => target.inject({ times, action: { type: "reset" } }));
  },
  loseAnswer: (dice) => {
    const [times, type] = [requests(dice), dice.pick(["lose-answer", "cut-answer"] as const)];
    const method = dice.pick(["PATCH", "PUT", "POST", "DELETE"]);
    return once(`${times} of ${method} done, then ${type}`, (target) =>
      target.inject({ times, method, action: { type } }),
    );
  },
  latency: (dice) => {
    const [times, ms] = [requests(dice), dice.integer(10, 150)];
    return once(`${times} requests ${ms} ms later`, (target) =>
      target.inject({ times, action: { type: "delay", ms } }),
    );
  },
  webhook: (dice) => {
    const [times, afterMs] = [requests(dice), dice.integer(20, 120)];
    return once(`${times} applies refused after ${afterMs} ms by a webhook's time limit`, (target) =>
      target.inject(webhookTimeout({ times, method: "PATCH" }, { afterMs })),
    );
  },
  cut: (dice) => {
    const half = dice.pick([true, false]);
    return once(half ? "watches cut in a line" : "watches cut", (target) => target.cutWatches({ half }));
  },
  end: () => once("watches end in order", (target) => target.endWatches()),
  stall: () => once("open watches fall silent", (target) => target.stallWatches()),
  garbage: () => once("a line of garbage", (target) => target.sendLine("<html>502 Bad Gateway</html>")),
  compact: (dice) => {
    const as = dice.pick(["status", "frame"] as const);
    return once(`compaction, told as ${as}, and watches cut`, (target) => {
      target.compact(as);
      target.cutWatches();
    });
  },
  slow: (dice) => passing(dice, { type: "slow", bytes: dice.integer(16, 200), everyMs: dice.integer(1, 10) }),
  late: (dice) => passing(dice, { type: "late", ms: dice.integer(10, 200) }),
  duplicate: (dice) => passing(dice, { type: "duplicate" }),
  reorder: (dice) => passing(dice, { type: "reorder", what: "across-objects" }),
  clock: (dice) => {
    const ms = dice.integer(-3_600_000, 3_600_000);
    return { text: `the wall clock jumps by ${ms} ms`, begin: ({ clock }) => clock?.jump(ms) };
  },
} satisfies Record<string, (dice: Dice) => Draw>;

/** What a schedule can hold. */
export type FaultKind = keyof typeof KINDS;

/** Draws a schedule: the same seed gives the same faults at the same times. */
export function faultSchedule(seed: number, options: FaultScheduleOptions = {}): FaultSchedule {
  const random = prng(seed);
  const dice: Dice = {
    integer: (from, to) => from + Math.floor(random() * (to - from + 1)),
    pick: (from) => from[Math.floor(random() * from.length)] as (typeof from)[number],
  };
  const kinds = options.kinds ?? (Object.keys(KINDS) as FaultKind[]);
  const faults = Array.from({ length: options.count ?? 12 }, () => {
    const atMs = dice.integer(0, options.withinMs ?? 1_500);
    return { atMs, ...KINDS[dice.pick(kinds)](dice) };
  }).toSorted((a, b) => a.atMs - b.atMs);
  return {
    faults,
    text: [`seed ${seed}`, ...faults.map(({ atMs, text }) => `${atMs} ms: ${text}`)].join("\n"),
    play: async (stage, pace, signal) => {
      const startedAt = pace.monotonic();
      for (const { atMs, begin } of faults) {
        await pace.sleep(Math.max(0, startedAt + atMs - pace.monotonic()), signal);
        if (signal?.aborted === true) break;
        begin(stage);
      }
      stage.target.heal();
      // Stalled ones would hold their readers up until these lose patience.
      stage.target.cutWatches();
    },
  };
}

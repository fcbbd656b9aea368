/** How often backends that somebody else writes are taken back: at once when it happens once, ever more seldom in a war. */

/** What is remembered of it. */
export interface Takes {
  readonly count: number;
  /** When the last one was, in milliseconds since the epoch. */
  readonly lastAt: number;
}

/** Doubled from take to take. */
const FIRST_PAUSE_MS = 5_000;
const LONGEST_PAUSE_MS = 600_000;
/** A retreat loses no more than this to whoever writes against it: the gateway has to be told again and again. */
const RETREAT_PAUSE_MS = 5_000;
/** A take that has stood for so long was the last of its war. */
const PEACE_MS = 900_000;

/** When the next take may be. */
export function nextTakeAt({ count, lastAt }: Takes, isRetreat: boolean): number {
  if (count === 0) return 0;
  const pause = Math.min(FIRST_PAUSE_MS * 2 ** (count - 1), isRetreat ? RETREAT_PAUSE_MS : LONGEST_PAUSE_MS);
  return lastAt + pause;
}

/** What is left to remember of it while nobody writes against us. */
export function afterPeace(takes: Takes, now: number): Takes {
  return now - takes.lastAt >= PEACE_MS ? NO_TAKES : takes;
}

export const NO_TAKES: Takes = { count: 0, lastAt: 0 };

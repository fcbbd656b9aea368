/**
 * Evidence of one interval, of which a test makes one piece in however many ticks it is seen.
 *
 * One cause brings errors for a while, and a test that takes each tick of that while for a witness of its own blames a good canary
 * for it. So ticks that follow each other quickly are gathered: an interval begins with the first tick that has something bad to
 * count, so that a burst does not lie across two of them, and what is softened (`dispersion.ts`) is its sum so far.
 *
 * It may be looked at after every tick. The sum is the logarithm of a supermartingale; what softening makes of it, the least of a
 * constant and of a power of at most 1, is concave and never falls, and with that a supermartingale, too (Jensen). How much is
 * softened is known at the interval's begin, and that it is over, at its end.
 */
import type { MetricState } from "../../../crds/rollout-run.ts";
import { soften } from "./dispersion.ts";

/** An interval that is not over. */
type Interval = NonNullable<NonNullable<MetricState["open"]>["harm"]>;

export interface TickOfTest {
  /** Logarithms of likelihood ratios. */
  readonly steps: readonly number[];
  readonly ms: number;
  /** There is something bad to count, of the version whose bursts would speak for the test. */
  readonly hasBad: boolean;
  /** What is known of bursts before it. */
  readonly dispersion: number;
}

/** Where an interval stands after one more tick. */
export interface Gathered {
  /** Absent: it is over. */
  readonly open: Interval | undefined;
  /** Softened, of the interval that is over; zeros while it is not. */
  readonly settled: number[];
}

/** @param level error probability of the test */
export function gather(
  before: Interval | undefined,
  tick: TickOfTest,
  { level, intervalMs }: { readonly level: number; readonly intervalMs: number },
): Gathered {
  const interval = {
    steps: tick.steps.map((step, index) => step + (before?.steps[index] ?? 0)),
    dispersion: before?.dispersion ?? tick.dispersion,
    ms: (before?.ms ?? 0) + tick.ms,
  };
  const isBegun = before !== undefined || tick.hasBad;
  if (isBegun && !isOver(interval.ms, tick.ms, intervalMs)) {
    return { open: interval, settled: tick.steps.map(() => 0) };
  }
  return { open: undefined, settled: settle(interval, level) };
}

/** It ends with the tick whose end is nearest to its own. */
export function isOver(ms: number, tickMs: number, intervalMs: number): boolean {
  return ms + tickMs / 2 >= intervalMs;
}

/** What the interval adds to its test's components until now. */
export function settle({ steps, dispersion }: Interval, level: number): number[] {
  return soften(steps, dispersion, level);
}

/** Latency as a pod tells it: how many requests took up to each bound, since its process began. */

/** Cumulative counts; bounds in milliseconds, ascending, without +Inf. */
export interface Histogram {
  readonly boundsMs: readonly number[];
  readonly upTo: readonly number[];
}

/** Bounds of a run at most. */
export const BOUNDS_MAX = 64;

/** Bounds that all of them have: what lies between others cannot be told apart. */
export function commonBounds(histograms: readonly Histogram[]): number[] {
  const [first, ...others] = histograms;
  const sets = others.map(({ boundsMs }) => new Set(boundsMs));
  return (first?.boundsMs ?? []).filter((bound) => sets.every((set) => set.has(bound)));
}

/** Counts up to each of `boundsMs`; exact, since they are cumulative. @returns undefined when one of them is not there */
export function project({ boundsMs: own, upTo }: Histogram, boundsMs: readonly number[]): number[] | undefined {
  const counts = boundsMs.map((bound) => upTo[own.indexOf(bound)]);
  return counts.every((count) => count !== undefined) ? counts : undefined;
}

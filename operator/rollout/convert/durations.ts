const SECONDS: Readonly<Record<string, number>> = { h: 3_600, m: 60, s: 1, ms: 1e-3, us: 1e-6, µs: 1e-6, ns: 1e-9 };

/**
 * Seconds of a duration as Go writes them (`1h30m`, `90s`), or of a plain number of seconds.
 * @returns whole seconds, rounded up: a shorter hold would be a weaker check; `undefined` when it is neither
 */
export function secondsOf(duration: unknown): number | undefined {
  if (typeof duration === "number") return Number.isFinite(duration) && duration >= 0 ? Math.ceil(duration) : undefined;
  if (typeof duration !== "string") return undefined;
  if (/^\d+$/.test(duration)) return Number(duration);
  if (!/^(\d+(\.\d+)?(h|ms|m|s|us|µs|ns))+$/.test(duration)) return undefined;
  let seconds = 0;
  for (const [, count = "", unit = ""] of duration.matchAll(/(\d+(?:\.\d+)?)(h|ms|m|s|us|µs|ns)/g)) {
    seconds += Number(count) * (SECONDS[unit] ?? 0);
  }
  return Math.ceil(Number(seconds.toFixed(6)));
}

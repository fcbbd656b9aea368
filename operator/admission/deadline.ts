/** Units of a duration as Go prints it, in milliseconds. */
const UNITS_MS: Readonly<Record<string, number>> = {
  h: 3_600_000,
  m: 60_000,
  s: 1_000,
  ms: 1,
  µs: 1e-3,
  us: 1e-3,
  ns: 1e-6,
};

/** Part of the caller's time that is left for the way back. */
const WAY_BACK_RATIO = 0.1;
const WAY_BACK_MS_MIN = 100;

/**
 * How long an answer may take: the API server says how long it waits (`?timeout=10s`), and an answer that tells what
 * was slow must reach it before that. Without a readable value the webhook's own limit holds, which is never exceeded.
 * @param query of the request's URL @param limitMs the webhook's own limit
 */
export function answerDeadlineMs(query: URLSearchParams, limitMs: number): number {
  const waitsMs = goDurationMs(query.get("timeout") ?? "");
  if (waitsMs === undefined) return limitMs;
  const wayBackMs = Math.max(WAY_BACK_MS_MIN, waitsMs * WAY_BACK_RATIO);
  // A caller with less time than the way back takes still gets what can be had at once.
  return Math.max(1, Math.min(limitMs, waitsMs - wayBackMs));
}

/** `1m30s`, `9.998s`, `850ms`; `undefined` for anything else. */
function goDurationMs(text: string): number | undefined {
  if (!/^(?:[0-9]+(?:\.[0-9]+)?(?:h|ms|m|s|µs|us|ns))+$/.test(text)) return undefined;
  let sum = 0;
  for (const [, number, unit] of text.matchAll(/([0-9.]+)(h|ms|m|s|µs|us|ns)/g)) {
    sum += Number(number) * (UNITS_MS[unit ?? ""] ?? 0);
  }
  return sum;
}

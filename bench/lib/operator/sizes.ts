/** How much work a run is; every size may be set by an environment variable. */

export interface Sizes {
  /** BENCH_WIDGETS: new widgets of a burst. */
  readonly widgets: number;
  /** BENCH_ROUNDS: bursts of each program, in alternating order. */
  readonly rounds: number;
  /** BENCH_IDLE_EDITS: edits one after the other. */
  readonly idleEdits: number;
  /** BENCH_EDITS_PER_SECOND: edits a second under load, whatever the answers take. */
  readonly editsPerSecond: number;
  /** BENCH_LOAD_SECONDS */
  readonly loadSeconds: number;
  /** BENCH_POPULATION: widgets while programs rest and restart. */
  readonly population: number;
  /** BENCH_RESTARTS: restarts of each program over that population. */
  readonly restarts: number;
  /** BENCH_REST_SECONDS: both programs rest for so long at the same time. 600 sees every watch begin anew. */
  readonly restSeconds: number;
  /** BENCH_CONCURRENCY: widgets reconciled at once. */
  readonly concurrency: number;
  /** BENCH_NAMESPACES */
  readonly namespaces: number;
  /** BENCH_TRIPLE_WIDGETS: new widgets of a burst with three children. */
  readonly tripleWidgets: number;
  /** BENCH_TRIPLE_ROUNDS: 0 leaves the row out. */
  readonly tripleRounds: number;
  /** BENCH_CONSISTENT_ROUNDS: bursts of the Go program with read-your-writes consistency. */
  readonly consistentRounds: number;
}

const DEFAULTS: Sizes = {
  widgets: 5_000,
  rounds: 5,
  idleEdits: 200,
  editsPerSecond: 200,
  loadSeconds: 5,
  population: 10_000,
  restarts: 3,
  restSeconds: 120,
  concurrency: 10,
  namespaces: 20,
  tripleWidgets: 1_000,
  tripleRounds: 3,
  consistentRounds: 1,
};

/** Reads the sizes. @throws Error with the name of a variable that is no whole number */
export function readSizes(environment: Readonly<Record<string, string | undefined>>): Sizes {
  const sizes: Record<string, number> = {};
  for (const [name, value] of Object.entries(DEFAULTS)) {
    const variable = `BENCH_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
    const text = environment[variable] ?? String(value);
    if (!/^\d+$/.test(text)) throw new Error(`${variable}=${text} is not a whole number`);
    sizes[name] = Number(text);
  }
  return sizes as unknown as Sizes;
}

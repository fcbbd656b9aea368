import type { LedgerClient } from "../../dataplane/ledger/ledger-client.ts";
import type { StageMicros } from "./processor-time.ts";

/** What `verify` says of a shard. */
export interface Verified {
  readonly events: number;
  readonly seconds: number;
  readonly intact: boolean;
}

/** Where a benchmark runs: a ledger with its API, and the PostgreSQL under one of its shards. */
export interface Stage {
  /** For the result: what was measured where. */
  readonly name: string;
  readonly client: LedgerClient;
  /** The shard that is measured. */
  readonly shard: number;
  /** Where an account with this id lives, and the keys that are tagged with it. */
  shardOf(id: string): number;
  readonly asset: string;
  /**
   * Runs the program's own `verify` over the shard: `everything`, or the journal with its chain alone. `seconds` leaves out
   * the program's start.
   * @param checkout folder of another version of the program, with its packages, on a local stage
   */
  verify(what: "everything" | "journal", checkout?: string): Promise<Verified>;
  /** Seconds that the shard's PostgreSQL takes for a statement, as psql beside it measures them. */
  timeSql(statement: string): Promise<number>;
  /** Makes a database for pgbench beside the shard's, and fills it. */
  fillPgbench(scale: number): Promise<void>;
  /** Runs pgbench beside the shard's PostgreSQL. */
  pgbench(args: readonly string[]): Promise<PgbenchFigures>;
  /** Processor time since the start; `undefined` where this machine does not show the processes. */
  processorTime(): Promise<StageMicros | undefined>;
  close(): Promise<void>;
}

export interface PgbenchFigures {
  readonly perSecond: number;
  readonly transactions: number;
  /** Processor time of pgbench itself, microseconds. */
  readonly clientMicros: number;
}

/** pgbench, and a shell that tells the processor time of it. */
export function timedPgbench(args: readonly string[]): string[] {
  return ["sh", "-c", 'pgbench "$@" || exit; times', "sh", ...args];
}

/** @throws Error when the report is not pgbench's */
export function parsePgbench(output: string): PgbenchFigures {
  const number = (pattern: RegExp): number => {
    const match = pattern.exec(output);
    if (match === null) throw new Error(`pgbench reported nothing: ${output}`);
    return Number(match[1]);
  };
  // The shell's own times, then those of what it ran: user and system, as 0m1.25s.
  const times = [...output.matchAll(/(\d+)m([0-9.]+)s/g)].slice(-2);
  const seconds = times.reduce((sum, [, minutes, rest]) => sum + Number(minutes) * 60 + Number(rest), 0);
  return {
    perSecond: number(/^tps = ([0-9.]+)/m),
    transactions: number(/^number of transactions actually processed: (\d+)/m),
    clientMicros: Math.round(seconds * 1e6),
  };
}

/** psql that prints how long a statement took. */
export function timedPsql(statement: string): string[] {
  return ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null", "-c", "\\timing on", "-c", statement];
}

/** Seconds in psql's report; @throws Error when there are none */
export function parseTiming(output: string): number {
  const match = /^Time: ([0-9.]+) ms/m.exec(output);
  if (match === null) throw new Error(`psql measured nothing: ${output}`);
  return Number(match[1]) / 1000;
}

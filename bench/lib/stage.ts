import type { LedgerClient } from "../../dataplane/ledger/ledger-client.ts";

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
  isOnShard(accountId: string): boolean;
  readonly asset: string;
  /**
   * Runs the program's own `verify` over the shard: `everything`, or the journal with its chain alone. `seconds` leaves out
   * the program's start.
   */
  verify(what: "everything" | "journal"): Promise<Verified>;
  /** Seconds that the shard's PostgreSQL takes for a statement, as psql beside it measures them. */
  timeSql(statement: string): Promise<number>;
  /** Runs pgbench beside the shard's PostgreSQL, in a database of its own. @returns transactions per second, if any */
  pgbench(args: readonly string[]): Promise<number | undefined>;
  close(): Promise<void>;
}

/** The figure in pgbench's report; `undefined` for an initialisation. */
export function parseTps(output: string): number | undefined {
  const match = /^tps = ([0-9.]+)/m.exec(output);
  return match === null ? undefined : Number(match[1]);
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

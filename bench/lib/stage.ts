import type { LedgerClient } from "../../dataplane/ledger/ledger-client.ts";

/** Where a benchmark runs: a ledger with its API, and the PostgreSQL under one of its shards. */
export interface Stage {
  /** For the result: what was measured where. */
  readonly name: string;
  readonly client: LedgerClient;
  /** The shard that is measured. */
  readonly shard: number;
  isOnShard(accountId: string): boolean;
  readonly asset: string;
  /** Replays and verifies the whole shard with the program's own `verify`. `seconds` leaves out its start. */
  verify(): Promise<{ readonly events: number; readonly seconds: number; readonly intact: boolean }>;
  /** Runs pgbench beside the shard's PostgreSQL, in a database of its own. @returns transactions per second, if any */
  pgbench(args: readonly string[]): Promise<number | undefined>;
  close(): Promise<void>;
}

/** The figure in pgbench's report; `undefined` for an initialisation. */
export function parseTps(output: string): number | undefined {
  const match = /^tps = ([0-9.]+)/m.exec(output);
  return match === null ? undefined : Number(match[1]);
}

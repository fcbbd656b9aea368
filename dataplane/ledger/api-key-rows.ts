/**
 * The API keys as the shards have them, read from each shard apart. Every shard has all keys, so those that answer decide.
 * What a shard said last goes on counting while it is silent: a revocation that it alone knows of is not forgotten.
 */
import type { Clock } from "../../lib/core/clock.ts";
import { type OperatorError, toOperatorError } from "../../lib/core/errors.ts";
import type { Logger } from "../../lib/node/logger.ts";
import type { KeyRow, LedgerReads } from "./ledger.reads.ts";

/** So long after the first shard's answer the others are waited for; what comes later counts when it comes. */
const OTHERS_WITHIN_MS = 500;

export interface ApiKeyRows {
  /** @param hash 32 bytes as a latin1 string */
  find(hash: string): KeyRow | undefined;
  all(): KeyRow[];
  /** Monotonic time at which the last reading began: a key that was made before is among what is known. */
  readFrom(): number;
  /** Why no shard answered the last reading; `undefined` when one did. */
  failure(): OperatorError | undefined;
  /**
   * Reads all shards; callers at the same time share one reading. A shard without an answer is waited for while no other
   * one has answered, and half a second longer; not at all while it owes the answer to an earlier reading.
   */
  refresh(): Promise<void>;
}

export interface ApiKeyRowsOptions {
  /** By shard. */
  readonly reads: readonly Pick<LedgerReads, "apiKeys">[];
  readonly clock: Clock;
  readonly log: Logger;
}

/** What two shards say of one key: revoked when either says so, since the earlier of both times. */
function mergedRow(row: KeyRow, other: KeyRow | undefined): KeyRow {
  const times = [row, other].flatMap((each) => each?.revokedAtMicros ?? []);
  return {
    ...row,
    revoked: row.revoked || other?.revoked === true,
    revokedAtMicros: times.length === 0 ? undefined : Math.min(...times),
  };
}

/** Nothing is read before the first `refresh`. */
export function createApiKeyRows({ reads, clock, log }: ApiKeyRowsOptions): ApiKeyRows {
  /** What each shard said last. */
  const said: (readonly KeyRow[])[] = reads.map(() => []);
  const reading: (Promise<void> | undefined)[] = reads.map(() => undefined);
  /** Shards whose last answer was a failure; each is told once. */
  const failing = new Set<number>();
  let known = new Map<string, KeyRow>();
  let readFrom = Number.NEGATIVE_INFINITY;
  let failure: OperatorError | undefined;
  let refreshing: Promise<void> | undefined;

  const merge = (): void => {
    const merged = new Map<string, KeyRow>();
    for (const row of said.flat()) {
      const hash = row.hash.toString("latin1");
      merged.set(hash, mergedRow(row, merged.get(hash)));
    }
    known = merged;
  };

  const readShard = async (shard: number): Promise<void> => {
    try {
      said[shard] = await (reads[shard] as ApiKeyRowsOptions["reads"][number]).apiKeys();
      failing.delete(shard);
      merge();
    } catch (thrown) {
      const error = toOperatorError(thrown);
      if (!failing.has(shard)) log.warn({ shard, error: error.message }, "API keys not read");
      failing.add(shard);
      throw error;
    } finally {
      reading[shard] = undefined;
    }
  };

  const readAll = async (): Promise<void> => {
    const from = clock.monotonic();
    const owing = reading.map((each) => each !== undefined);
    const started = reads.map((_, shard) => (reading[shard] ??= readShard(shard)));
    // Never none: a reading ends when all have failed or one has answered.
    const waited = started.filter((_, shard) => owing[shard] !== true);
    const others = new AbortController();
    try {
      await Promise.any(waited);
      failure = undefined;
      await Promise.race([Promise.allSettled(waited), clock.sleep(OTHERS_WITHIN_MS, others.signal)]);
    } catch (thrown) {
      failure = toOperatorError((thrown as AggregateError).errors[0]);
    } finally {
      others.abort();
      // Those that are not waited for tell their failures themselves.
      for (const each of started) each.catch(() => undefined);
      readFrom = from;
    }
  };

  return {
    find: (hash) => known.get(hash),
    all: () => [...known.values()],
    readFrom: () => readFrom,
    failure: () => failure,
    refresh: () =>
      (refreshing ??= readAll().finally(() => {
        refreshing = undefined;
      })),
  };
}

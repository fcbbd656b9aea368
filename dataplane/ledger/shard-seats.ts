/**
 * One seat a shard: this process competes for the right to write it, runs the writer while it holds the right, and
 * knows who holds it otherwise.
 */

import { ANNOTATIONS } from "../../crds/group.ts";
import type { Clock } from "../../lib/core/clock.ts";
import { toOperatorError } from "../../lib/core/errors.ts";
import type { KubeClient } from "../../lib/kube/client.ts";
import { createLeaseHolder, type LeaseHolder } from "../../lib/kube/lease.ts";
import type { Logger } from "../../lib/node/logger.ts";
import { memoryOn } from "./lease-memory.ts";
import type { LedgerWriter, WriterStatus } from "./ledger.writer.ts";
import { createLocalLease } from "./local-lease.ts";
import type { WriterLease } from "./writer-takeover.ts";

/** Who writes a shard, as far as this process knows. */
export interface ShardSeat {
  readonly shard: number;
  /** The writer in this process, while it holds the right. */
  writer(): LedgerWriter | undefined;
  /** Where the holder in another process answers. */
  holderUrl(): string | undefined;
  /** Why the holder, in whichever process, does not write, when only people can mend that: a code and a sentence. */
  problem(): string | undefined;
  /** Finishes what was accepted and gives the right back. */
  stop(): Promise<void>;
}

/** Makes the writer of one term of office. */
export type WriterFactory = (lease: WriterLease) => LedgerWriter;

/** A seat without rivals, see local-lease.ts. */
export function createLocalSeat(shard: number, makeWriter: WriterFactory): ShardSeat {
  const writer = makeWriter(createLocalLease());
  void writer.run();
  return {
    shard,
    writer: () => (writer.status().phase === "ended" ? undefined : writer),
    holderUrl: () => undefined,
    problem: () => problemOf(writer.status()),
    stop: () => writer.stop("drain"),
  };
}

function problemOf({ problem }: WriterStatus): string | undefined {
  return problem && `${problem.code}: ${problem.message}`;
}

/**
 * What a writer leaves on its Lease. Before its first session it knows nothing, and while it misses data it must not undo
 * what people say about that: what is there stays.
 */
function newsOf(status: WriterStatus | undefined): Record<string, string | undefined> {
  if (status === undefined) return {};
  const { position, systemIdentifier } = status;
  if (status.problem !== undefined) return { [ANNOTATIONS.writerProblem]: problemOf(status) };
  if (systemIdentifier === undefined) return {};
  return {
    [ANNOTATIONS.writerProblem]: undefined,
    [ANNOTATIONS.headPosition]: String(position),
    [ANNOTATIONS.systemIdentifier]: systemIdentifier,
  };
}

export interface LeaseSeatOptions {
  readonly shard: number;
  readonly client: Pick<KubeClient, "get" | "replace" | "create">;
  readonly namespace: string;
  /** Name of the Lease. */
  readonly name: string;
  /** Pod UID. */
  readonly identity: string;
  /** URL at which this process answers the others. */
  readonly url: string;
  /** Before competing for the first time, so that pods that start together share the shards. */
  readonly delayMs: number;
  readonly makeWriter: WriterFactory;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
}

/** A pod that is killed leaves its shards without a writer for about this time. */
const LEASE_SECONDS = 10;
const RENEW_WITHIN_SECONDS = 7;
const RETRY_SECONDS = 2;

/** A seat that is shared with other pods through a Lease. It competes at once (after its delay) and until `stop`. */
export function createLeaseSeat(options: LeaseSeatOptions): ShardSeat {
  const { shard, clock, log } = options;
  let writer: LedgerWriter | undefined;
  /** The writer of the last term, which has drained: what it reached goes with the release. */
  let leaving: LedgerWriter | undefined;
  /** Writers of former terms that are still ending. */
  let endings: Promise<unknown> = Promise.resolve();
  const stopping = new AbortController();

  const begin = (holder: LeaseHolder): void => {
    if (writer !== undefined) return;
    const term = options.makeWriter({
      isHeld: holder.isHeld,
      epoch: holder.epoch,
      setMinimumEpoch: holder.setMinimumEpoch,
      memory: () => memoryOn(holder.annotation),
    });
    writer = term;
    void term
      .run()
      .catch((error: unknown) => log.error({ shard, error: toOperatorError(error).message }, "writer failed"))
      .then(async () => {
        if (writer !== term) return;
        writer = undefined;
        // The right is still ours although the writer gave up: try again, since nobody else may.
        await clock.sleep(RETRY_SECONDS * 1000, stopping.signal);
        if (!stopping.signal.aborted && holder.isHeld()) begin(holder);
      });
  };

  const end = (): void => {
    const term = writer;
    writer = undefined;
    if (term !== undefined) endings = Promise.all([endings, term.stop("lost")]);
  };

  const holder: LeaseHolder = createLeaseHolder({
    client: options.client,
    namespace: options.namespace,
    name: options.name,
    identity: options.identity,
    durationSeconds: LEASE_SECONDS,
    renewSeconds: RENEW_WITHIN_SECONDS,
    retrySeconds: RETRY_SECONDS,
    // Every write of a writer carries its epoch into the database, which refuses late ones.
    settleSeconds: 0,
    clock,
    random: options.random,
    log,
    holderUrl: options.url,
    annotations: () => newsOf((writer ?? leaving)?.status()),
    onHeld: () => begin(holder),
    onLost: end,
  });
  const competing = clock.sleep(options.delayMs, stopping.signal).then(async () => {
    if (!stopping.signal.aborted) await holder.run();
  });

  return {
    shard,
    writer: () => writer,
    holderUrl: () => {
      const record = holder.record();
      if (record === undefined || record.holderIdentity === "" || record.holderIdentity === options.identity)
        return undefined;
      return record.holderUrl;
    },
    problem: () => (writer === undefined ? holder.annotation(ANNOTATIONS.writerProblem) : problemOf(writer.status())),
    stop: async () => {
      stopping.abort();
      leaving = writer;
      await leaving?.stop("drain");
      await holder.stop();
      await competing;
      await endings;
    },
  };
}

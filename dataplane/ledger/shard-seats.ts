/**
 * One seat a shard: this process competes for the right to write it, runs the writer while it holds the right, and
 * knows who holds it otherwise.
 */

import { ANNOTATIONS } from "../../crds/group.ts";
import { type Clock, systemClock } from "../../lib/core/clock.ts";
import { toOperatorError } from "../../lib/core/errors.ts";
import type { KubeClient } from "../../lib/kube/client.ts";
import { createLeaseHolder, type LeaseHolder } from "../../lib/kube/lease.ts";
import type { Logger } from "../../lib/node/logger.ts";
import { memoryOn } from "./lease-memory.ts";
import type { LedgerWriter, WriterStatus } from "./ledger.writer.ts";
import { createLocalLease } from "./local-lease.ts";
import type { WriterLease } from "./writer-takeover.ts";
import { createWriterWatch, type WatchedWriter } from "./writer-watch.ts";

/** Who writes a shard, as far as this process knows. */
export interface ShardSeat {
  readonly shard: number;
  /** The writer in this process, while it holds the right. */
  writer(): LedgerWriter | undefined;
  /** Where the holder in another process answers. */
  holderUrl(): string | undefined;
  /** Why the holder, in whichever process, does not write, when only people can mend that: a code and a sentence. */
  problem(): string | undefined;
  /** Asked once a second. Gives back the right of a writer that is stuck. @returns why only a new process helps */
  look(): string | undefined;
  /** Finishes what was accepted, within 15 s, and gives the right back. */
  stop(): Promise<void>;
}

/** Makes the writer of one term of office. @param onStep see writer-watch.ts */
export type WriterFactory = (lease: WriterLease, onStep: () => void) => LedgerWriter;

/** What was accepted is finished within this time, or its outcome is unknown: the pod has to end. */
const DRAIN_MS = 15_000;
/** A writer that is told to begin nothing more ends with the answer that it waits for; its epoch fences it after that. */
const ENDING_MS = 1_000;

/** Waits for the work, but not for longer. */
async function within(work: Promise<unknown>, ms: number, clock: Clock): Promise<void> {
  const ended = new AbortController();
  await Promise.race([work, clock.sleep(ms, ended.signal)]);
  ended.abort();
}

/** A seat without rivals, see local-lease.ts. */
export function createLocalSeat(shard: number, makeWriter: WriterFactory, clock: Clock = systemClock): ShardSeat {
  const watch = createWriterWatch(clock);
  const watched = watch.begin();
  const writer = makeWriter(createLocalLease(), watched.step);
  void writer.run().finally(watched.ended);
  return {
    shard,
    writer: () => (writer.status().phase === "ended" ? undefined : writer),
    holderUrl: () => undefined,
    problem: () => problemOf(writer.status()),
    look: () => (watch.look().isStuck ? `shard ${shard}: the writer makes no step` : undefined),
    stop: async () => {
      await within(writer.stop("drain"), DRAIN_MS, clock);
      await within(writer.stop("lost"), ENDING_MS, clock);
    },
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
/** Time for another pod to take what a stuck writer gave back. */
const LET_OTHERS_MS = 5_000;

/** A seat that is shared with other pods through a Lease. It competes at once (after its delay) and until `stop`. */
export function createLeaseSeat(options: LeaseSeatOptions): ShardSeat {
  const { shard, clock, log } = options;
  const watch = createWriterWatch(clock);
  let writer: LedgerWriter | undefined;
  let watched: WatchedWriter | undefined;
  /** The writer of the last term, which has drained: what it reached goes with the release. */
  let leaving: LedgerWriter | undefined;
  /** Writers of former terms that are still ending. */
  let endings: Promise<unknown> = Promise.resolve();
  const stopping = new AbortController();

  const begin = (holder: LeaseHolder): void => {
    if (writer !== undefined) return;
    const steps = watch.begin();
    const { isHeld, epoch, setMinimumEpoch, annotation } = holder;
    const lease = { isHeld, epoch, setMinimumEpoch, memory: () => memoryOn(annotation) };
    const term = options.makeWriter(lease, steps.step);
    writer = term;
    watched = steps;
    void term
      .run()
      .catch((error: unknown) => log.error({ shard, error: toOperatorError(error).message }, "writer failed"))
      .then(async () => {
        steps.ended();
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
    watched?.leave();
    if (term !== undefined) endings = Promise.all([endings, term.stop("lost")]);
  };

  const makeHolder = (): LeaseHolder => {
    const made = createLeaseHolder({
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
      onHeld: () => begin(made),
      onLost: end,
    });
    return made;
  };
  let holder = makeHolder();
  const compete = async (delayMs: number): Promise<void> => {
    await clock.sleep(delayMs, stopping.signal);
    if (!stopping.signal.aborted) await holder.run();
  };
  let competing = compete(options.delayMs);

  /** The right of a stuck writer goes to another pod, or to a new writer here. Nothing that it still does can land then. */
  const letGo = async (): Promise<void> => {
    log.error({ shard }, "the writer makes no step; its Lease is given back");
    leaving = writer;
    await holder.stop();
    await competing;
    leaving = undefined;
    holder = makeHolder();
    competing = compete(LET_OTHERS_MS);
  };
  let lettingGo: Promise<void> | undefined;

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
    look: () => {
      const { isStuck, isOverdue } = watch.look();
      if (isStuck && writer !== undefined && !stopping.signal.aborted) {
        lettingGo ??= letGo().finally(() => {
          lettingGo = undefined;
        });
      }
      return isOverdue ? `shard ${shard}: a writer was told to end and does not` : undefined;
    },
    stop: async () => {
      stopping.abort();
      await lettingGo;
      leaving = writer;
      if (leaving !== undefined) await within(leaving.stop("drain"), DRAIN_MS, clock);
      await holder.stop();
      await competing;
      await within(endings, ENDING_MS, clock);
    },
  };
}

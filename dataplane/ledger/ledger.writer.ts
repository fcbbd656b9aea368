/**
 * The single writer of one shard.
 *
 *   starting ──claimed, loaded──► writing ──commit failed──► recovering ──claimed, loaded──► writing
 *      │                             │                           │
 *      └──────── Lease lost or stop ─┴───────────────────────────┴──► ended
 *
 * writing:    takes what waits, decides it, commits it; while one block is flushed to disk the next one is decided and
 *             copied (two in flight). A batch is as large as what arrived meanwhile: there is no timer.
 * recovering: the state in memory is thrown away. Opening a new store ends every older session and raises the epoch, so
 *             nothing that was in flight can land any more; then the journal tells which blocks did. Their senders get
 *             their answers; everything else is decided again, behind a look-up of its key.
 *
 * A full volume is the one failure that is not waited out: the server has said that nothing was written, so senders are
 * told at once, and new ones too until a takeover works again.
 *
 * A sender is told "posted" or "refused" only after COMMIT. What is not known by its deadline is OUTCOME_UNKNOWN.
 */
import { backoffMs } from "../../lib/core/backoff.ts";
import { type ErrorCode, isOperatorError, OperatorError, toOperatorError } from "../../lib/core/errors.ts";
import { sqlState } from "../../lib/node/postgres.ts";
import type { TransferRequest } from "./fingerprint.ts";
import { changesNothing, type DecidedBatch, decideBatch, keysToLookUp, takeBatch } from "./ledger.batch.ts";
import { PIPELINE_DEPTH } from "./ledger.store.ts";
import {
  type AccountOutcome,
  type AccountRequest,
  type ClaimWork,
  createWorkQueue,
  emptyResults,
  type KeyedWork,
  type Segment,
  type TransferResults,
  type Work,
} from "./ledger.work.ts";
import { abandonWorks, fullOrUnknown, overloaded, settleBatch, staleMap, unavailable } from "./writer-answers.ts";
import { fillFilter, landedOf, type Session, type TakeoverOptions, takeOver } from "./writer-takeover.ts";

/** Transfers of one request. */
export interface TransferGroup {
  readonly requests: readonly TransferRequest[];
  /** Keys and fingerprints of the requests, see fingerprint.ts. */
  readonly identities: Buffer;
  readonly createAccounts: boolean;
  /** Version of the shard map that led here. */
  readonly mapVersion: number;
  /** Id of the API key that sent it; unknown where there is no API. */
  readonly actor?: string | undefined;
  /** By request: 1 when another shard owns the key, and has it claimed for this one. */
  readonly foreign?: Uint8Array | undefined;
}

/** Keys of this shard that transfers on other shards want to use. */
export interface ClaimGroup {
  /** Keys and fingerprints, see fingerprint.ts. */
  readonly identities: Buffer;
  /** By key: the shard that may use it. */
  readonly shards: Int16Array;
  /** By key: the bucket that it falls into. */
  readonly buckets: Int16Array;
  readonly mapVersion: number;
  /** Id of the API key that sent the transfers. */
  readonly actor?: string | undefined;
}

/** What others may see of a writer. */
export interface WriterStatus {
  readonly phase: "starting" | "writing" | "recovering" | "ended";
  readonly epoch: number;
  /** Last committed position. */
  readonly position: number;
  /** Identifier of the cluster that it works on; `undefined` before its first session. */
  readonly systemIdentifier: string | undefined;
  /** Why it does not write: the database is not what it was, and only people can mend that. */
  readonly problem: OperatorError | undefined;
  /** Code with which everything is refused at once for now, because the shard takes no writes. */
  readonly refusing: ErrorCode | undefined;
}

/** Told after each COMMIT, for metrics. */
export interface CommitFigures {
  readonly events: number;
  readonly snapshots: number;
  readonly refusals: number;
  readonly claims: number;
  readonly seconds: number;
}

export interface WriterOptions extends TakeoverOptions {
  readonly onCommit?: (figures: CommitFigures) => void;
  /** A commit or takeover failed, with the error's code. */
  readonly onFailure?: (code: string) => void;
}

export interface LedgerWriter {
  /** Runs until `stop`. */
  run(): Promise<void>;
  /** Resolves with durable answers. @throws OperatorError OVERLOADED, WRITER_UNAVAILABLE, SHARD_MAP_STALE */
  transfer(group: TransferGroup): Promise<TransferResults>;
  /** Resolves with durable claims, or why there is none; of a key that has an outcome here, with that. @throws as `transfer` */
  claimKeys(group: ClaimGroup): Promise<TransferResults>;
  /** Resolves after COMMIT. @throws OperatorError ACCOUNT_CONFLICT, ASSET_UNKNOWN and those of `transfer` */
  openAccount(request: AccountRequest, mapVersion: number): Promise<AccountOutcome>;
  status(): WriterStatus;
  /** `drain`: what was accepted is finished first. `lost`: another writer may start, nothing more is begun. */
  stop(how: "drain" | "lost"): Promise<void>;
}

/** Commands that may wait: eight full batches, a second or two of work. */
export const QUEUE_COMMANDS_MAX = 65_536;
/** Senders are answered after this time, whatever is known; proxies and clients give up after 30 s or more. */
export const ANSWER_WITHIN_MS = 20_000;
/** A claim leaves time for the transfer that waits for it. */
export const CLAIM_WITHIN_MS = 8_000;
/** Below this a second block in flight would only make both smaller. */
const PIPELINE_COMMANDS_MIN = 512;
const DEADLINE_CHECK_MS = 500;
/** A writer looks this often whether its database still is what it was: one that has nothing to write notices nothing else. */
const INSPECT_EVERY_MS = 10_000;
/** Roles and databases are made and brought up to date by others: refused logins are told when they last. */
const REFUSED_PATIENCE_MS = 15_000;
/** A login that is refused: by its password, for the role, or since there is no such database. */
const REFUSED_STATES: readonly (string | undefined)[] = ["28P01", "28000", "3D000"];
/** What no later attempt mends. */
const FOR_PEOPLE: readonly ErrorCode[] = ["DATA_LOST", "LEDGER_CORRUPT", "INTERNAL"];
const RECOVERY_BACKOFF = { baseMs: 50, capMs: 2_000 };

/** Nothing happens before `run`. */
export function createWriter(options: WriterOptions): LedgerWriter {
  const { shard, lease, clock, log } = options;
  const queue = createWorkQueue();
  /** Batches whose COMMIT failed in a way that leaves their outcome open. */
  let unsettled: DecidedBatch[] = [];
  /** Works of the batch whose keys are being looked up: neither waiting nor in flight. */
  let lookedUp: readonly Segment[] = [];
  let phase: WriterStatus["phase"] = "starting";
  let stopping: "drain" | "lost" | undefined;
  let session: Session | undefined;
  let committed = { position: 0, epoch: 0 };
  let systemIdentifier: string | undefined;
  let problem: OperatorError | undefined;
  /** Since when logins are refused; `undefined` while they are not. */
  let refusedSince: number | undefined;
  /** Why nothing can be written, until a takeover works. */
  let refusal: OperatorError | undefined;
  let wake: () => void = () => undefined;
  const ended = new AbortController();

  const changed = (): Promise<void> =>
    new Promise((resolve) => {
      wake = resolve;
    });
  const step = options.onStep ?? (() => undefined);
  const mayContinue = (): boolean => stopping !== "lost" && lease.isHeld();
  /** What nobody waits for any more need not be settled. */
  const isAwaited = ({ segments }: DecidedBatch): boolean => segments.some(({ work }) => !work.closed);
  const isDrained = (): boolean => stopping === "drain" && queue.size() === 0 && !unsettled.some(isAwaited);

  const abandon = (works: readonly Work[], why: (tried: boolean) => OperatorError): void => {
    abandonWorks(works, why);
    queue.sweep();
  };

  const outstanding = (): Work[] => [
    ...(session?.inFlight ?? []).flatMap(({ batch }) => batch.segments.map(({ work }) => work)),
    ...unsettled.flatMap((batch) => batch.segments.map(({ work }) => work)),
    ...lookedUp.map(({ work }) => work),
    ...queue.all(),
  ];

  /** @param tried whether what was tried may have landed all the same */
  const refuseAll = (full: OperatorError, tried: "unknown" | "certain"): void => {
    refusal = full;
    abandon(outstanding(), (wasTried) => fullOrUnknown(full, wasTried && tried === "unknown"));
  };

  const enforceDeadlines = async (): Promise<void> => {
    while (!ended.signal.aborted) {
      await clock.sleep(DEADLINE_CHECK_MS, ended.signal);
      const now = clock.monotonic();
      const late = outstanding().filter((work) => work.deadlineAt <= now);
      if (late.length > 0) abandon(late, (tried) => unavailable(shard, tried));
      // The Lease may have run out meanwhile.
      wake();
    }
  };

  // --- sessions ---

  const begin = async (): Promise<Session> => {
    const opened = await takeOver(options, committed.position);
    step();
    try {
      const landed = await landedOf(opened.store, unsettled);
      for (const batch of landed) settleBatch(batch);
      queue.requeue(unsettled.filter((batch) => !landed.has(batch)).flatMap((batch) => batch.segments));
      unsettled = [];
    } catch (error) {
      await opened.store.close();
      throw error;
    }
    // What another map led here is not decided with this one: the account may live elsewhere now.
    const { mapVersion } = opened;
    const strays = queue.all().filter((work) => work.mapVersion !== mapVersion);
    if (strays.length > 0) abandon(strays, () => staleMap(shard, mapVersion));
    fillFilter(opened, options);
    committed = { position: opened.state.position, epoch: opened.epoch };
    ({ systemIdentifier } = opened);
    problem = undefined;
    refusedSince = undefined;
    return opened;
  };

  const closeSession = async (current: Session): Promise<void> => {
    // After a loss of the Lease what is in flight may still commit: the epoch in the database decides.
    await current.acknowledged;
    await current.store.close();
    unsettled = current.inFlight.map(({ batch }) => batch);
  };

  /** @param inOrder every block before the one that failed has been answered for */
  const fail = (current: Session, error: unknown, inOrder: boolean): void => {
    if (current.failure !== undefined) return;
    current.failure = toOperatorError(error);
    options.onFailure?.(current.failure.code);
    log.warn({ shard, code: current.failure.code, error: current.failure.message }, "commit failed");
    // The block at the front was refused by the server, and no later one fits without it.
    if (current.failure.code === "SHARD_DISK_FULL") refuseAll(current.failure, inOrder ? "certain" : "unknown");
    // Ends the sessions, so that the other block in flight fails at once instead of waiting for a lock.
    void current.store.close();
    wake();
  };

  // --- writing ---

  const acknowledge = (current: Session, batch: DecidedBatch, startedAt: number): void => {
    current.inFlight.shift();
    step();
    const { header, snapshots } = batch.block;
    committed = { position: header.firstPosition + header.events - 1, epoch: current.epoch };
    settleBatch(batch);
    options.onCommit?.({
      events: header.events,
      snapshots: snapshots.account.length,
      refusals: batch.refusals.length,
      claims: batch.claims.length,
      seconds: (clock.monotonic() - startedAt) / 1000,
    });
    wake();
  };

  const commit = (current: Session, batch: DecidedBatch): void => {
    const startedAt = clock.monotonic();
    const before = current.inFlight.at(-1)?.ticket.applied ?? Promise.resolve();
    const { block, refusals, claims, acted } = batch;
    const turn = before.catch(() => undefined);
    const ticket = current.store.commit({ block, refusals, claims, acted, mapVersion: current.mapVersion, turn });
    current.inFlight.push({ batch, ticket });
    // A block that committed proves that the one before did, but its answer may come first: they run on two connections.
    current.acknowledged = current.acknowledged.then(async () => {
      try {
        await ticket.committed;
      } catch (error) {
        return fail(current, error, true);
      }
      if (current.failure === undefined) acknowledge(current, batch, startedAt);
    });
  };

  /** A batch of replays and plain refusals changes nothing, but what it replays may still be in flight. */
  const settleWithoutCommit = async (current: Session, decided: DecidedBatch): Promise<void> => {
    await current.acknowledged;
    if (current.failure === undefined) settleBatch(decided);
    else queue.requeue(decided.segments);
  };

  const writeBatch = async (current: Session): Promise<void> => {
    const batch = takeBatch(queue);
    if (batch.commands === 0) return;
    lookedUp = batch.segments;
    const pending = current.inFlight.map((flying) => flying.batch.keys);
    const keys = keysToLookUp(batch, pending, current.filterReady ? current.filter : undefined);
    try {
      const stored = keys.length === 0 ? new Map() : await current.store.lookup(keys);
      if (current.failure !== undefined || !mayContinue()) return queue.requeue(batch.segments);
      // Who was told meanwhile that nothing was done is not made a liar.
      const wanted = { ...batch, segments: batch.segments.filter(({ work }) => !work.closed) };
      const decided = decideBatch(current.state, wanted, {
        shard,
        epoch: current.epoch,
        nowMicros: clock.now() * 1000,
        snapshotEvery: options.snapshotEvery,
        pending,
        stored,
        filter: current.filter,
      });
      if (changesNothing(decided)) await settleWithoutCommit(current, decided);
      else commit(current, decided);
    } catch (error) {
      fail(current, error, false);
      queue.requeue(batch.segments);
    } finally {
      lookedUp = [];
    }
  };

  const pipeIsFree = (current: Session): boolean =>
    current.inFlight.length === 0 ||
    (current.inFlight.length < PIPELINE_DEPTH && queue.size() >= PIPELINE_COMMANDS_MIN);

  /** Returns when the session failed, the right ended, or everything is drained. */
  const write = async (current: Session): Promise<void> => {
    while (current.failure === undefined && mayContinue()) {
      if (current.inFlight.length === 0) step();
      if (queue.size() > 0 && pipeIsFree(current)) {
        await writeBatch(current);
        continue;
      }
      if (stopping === "drain" && queue.size() === 0 && current.inFlight.length === 0) return;
      await changed();
    }
  };

  const keepInspecting = async (current: Session): Promise<void> => {
    while (session === current && current.failure === undefined) {
      await clock.sleep(INSPECT_EVERY_MS, ended.signal);
      if (session !== current || current.failure !== undefined || ended.signal.aborted) return;
      await current.store.inspect().catch((error: unknown) => {
        if (session === current) fail(current, error, false);
      });
    }
  };

  /** True for a failure that people have to read of on the resource. */
  const isForPeople = (error: OperatorError): boolean => {
    if (!REFUSED_STATES.includes(sqlState(error))) {
      refusedSince = undefined;
      return FOR_PEOPLE.includes(error.code);
    }
    refusedSince ??= clock.monotonic();
    return clock.monotonic() - refusedSince >= REFUSED_PATIENCE_MS;
  };

  /** Nobody knows when, and whether, this shard is written again: its senders need not wait. */
  const giveUp = (found: OperatorError): void => {
    problem = found;
    abandon(queue.all(), (tried) => unavailable(shard, tried));
  };

  /** One session from takeover to its end. @returns true when it committed something */
  const term = async (): Promise<boolean> => {
    session = await begin();
    phase = "writing";
    refusal = undefined;
    log.info({ shard, epoch: session.epoch, position: session.state.position }, "writing");
    const before = committed.position;
    void keepInspecting(session);
    await write(session);
    await closeSession(session);
    return committed.position > before;
  };

  const run = async (): Promise<void> => {
    const deadlines = enforceDeadlines();
    for (let failures = 0; mayContinue() && !isDrained(); ) {
      step();
      try {
        failures = (await term()) ? 0 : failures + 1;
      } catch (thrown) {
        const error = toOperatorError(thrown);
        failures += 1;
        options.onFailure?.(error.code);
        // The same loss at each look is told once.
        const isTold = problem !== undefined && problem.message === error.message;
        if (!isTold) log.warn({ shard, code: error.code, error: error.message }, "takeover failed");
        if (isForPeople(error)) giveUp(error);
        if (isOperatorError(error, "LEASE_LOST")) break;
        if (isOperatorError(error, "SHARD_DISK_FULL")) {
          // Only the claim writes, and it comes after every look at the database: that one is as it was.
          problem = undefined;
          refuseAll(error, "unknown");
        }
      }
      session = undefined;
      phase = "recovering";
      if (mayContinue() && !isDrained()) await clock.sleep(backoffMs(failures, RECOVERY_BACKOFF), ended.signal);
    }
    phase = "ended";
    abandon(outstanding(), (tried) => unavailable(shard, tried));
    ended.abort();
    await deadlines;
    log.info({ shard, reason: stopping ?? "the Lease ended" }, "writer ended");
  };

  // --- intake ---

  const admit = (commands: number, mapVersion: number): void => {
    if (phase === "ended" || stopping !== undefined || problem !== undefined) throw unavailable(shard, false);
    if (refusal !== undefined) throw refusal;
    if (session !== undefined && mapVersion !== session.mapVersion) throw staleMap(shard, session.mapVersion);
    if (queue.size() + commands > QUEUE_COMMANDS_MAX) throw overloaded(shard, queue.size());
  };

  const enqueue = (work: Work): void => {
    queue.push(work);
    wake();
  };

  const fresh = (mapVersion: number, withinMs = ANSWER_WITHIN_MS) => ({
    mapVersion,
    deadlineAt: clock.monotonic() + withinMs,
    tried: false,
    closed: false,
  });

  const enqueueGroup = async (
    given: { readonly count: number; readonly identities: Buffer; readonly mapVersion: number; withinMs?: number },
    workOf: (group: Omit<ClaimWork, "type" | "shards" | "buckets">) => KeyedWork,
  ): Promise<TransferResults> => {
    const { count, identities, mapVersion, withinMs } = given;
    admit(count, mapVersion);
    const results = emptyResults(count);
    if (count === 0) return results;
    return new Promise((close) => {
      enqueue(workOf({ count, identities, ...fresh(mapVersion, withinMs), results, next: 0, settled: 0, close }));
    });
  };

  let running: Promise<void> | undefined;
  return {
    run: () => (running ??= run()),
    transfer: async ({ requests, identities, createAccounts, mapVersion, actor, foreign }) => {
      const own = { type: "transfers" as const, requests, createAccounts, actor, foreign };
      return enqueueGroup({ count: requests.length, identities, mapVersion }, (group) => ({ ...own, ...group }));
    },
    claimKeys: async ({ identities, shards, buckets, mapVersion }) => {
      const own = { type: "claims" as const, shards, buckets };
      const given = { count: shards.length, identities, mapVersion, withinMs: CLAIM_WITHIN_MS };
      return enqueueGroup(given, (group) => ({ ...own, ...group }));
    },
    openAccount: async (request, mapVersion) => {
      admit(1, mapVersion);
      return new Promise((resolve, reject) => {
        const close = (outcome: AccountOutcome | OperatorError): void =>
          outcome instanceof OperatorError ? reject(outcome) : resolve(outcome);
        enqueue({ type: "account", ...fresh(mapVersion), request, outcome: undefined, close });
      });
    },
    status: () => ({ phase, ...committed, systemIdentifier, problem, refusing: refusal?.code }),
    stop: async (how) => {
      // The time to finish is over: whoever still waits is told what is known.
      if (how === "lost" && stopping === "drain") abandon(outstanding(), (tried) => unavailable(shard, tried));
      stopping = how;
      wake();
      await running;
    },
  };
}

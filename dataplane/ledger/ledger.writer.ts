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
 * A sender is told "posted" or "refused" only after COMMIT. What is not known by its deadline is OUTCOME_UNKNOWN.
 */
import { randomUUID } from "node:crypto";
import { backoffMs } from "../../lib/core/backoff.ts";
import type { Clock } from "../../lib/core/clock.ts";
import { isOperatorError, OperatorError, toOperatorError } from "../../lib/core/errors.ts";
import { CREDITS_MAX } from "../../lib/core/money.ts";
import type { Logger } from "../../lib/node/logger.ts";
import type { TransferRequest } from "./fingerprint.ts";
import { createKeyFilter, type KeyFilter } from "./key-filter.ts";
import { type DecidedBatch, decideBatch, keysToLookUp, takeBatch } from "./ledger.batch.ts";
import { beginDraft, openAccount, sealDraft } from "./ledger.decider.ts";
import { type CommitTicket, type LedgerStore, PIPELINE_DEPTH } from "./ledger.store.ts";
import {
  type AccountOutcome,
  type AccountRequest,
  type AccountWork,
  createWorkQueue,
  emptyResults,
  RESULT,
  setProblem,
  type TransferResults,
  type TransferWork,
  type Work,
} from "./ledger.work.ts";
import { externalAccount, type LedgerState } from "./ledger-state.ts";

/** The right to write a shard. Its epoch travels with every block into the database. */
export interface WriterLease {
  /** Decided at this very moment. */
  isHeld(): boolean;
  /** The epoch while held. */
  epoch(): number | undefined;
  /** Raises the epoch; @throws OperatorError LEASE_LOST */
  setMinimumEpoch(minimum: number): Promise<number>;
}

/** Transfers of one request. */
export interface TransferGroup {
  readonly requests: readonly TransferRequest[];
  /** Keys and fingerprints of the requests, see fingerprint.ts. */
  readonly identities: Buffer;
  readonly createAccounts: boolean;
  /** Version of the shard map that led here. */
  readonly mapVersion: number;
}

/** What others may see of a writer. */
export interface WriterStatus {
  readonly phase: "starting" | "writing" | "recovering" | "ended";
  readonly epoch: number;
  /** Last committed position. */
  readonly position: number;
}

/** Told after each COMMIT, for metrics. */
export interface CommitFigures {
  readonly events: number;
  readonly snapshots: number;
  readonly refusals: number;
  readonly seconds: number;
}

export interface WriterOptions {
  readonly shard: number;
  readonly lease: WriterLease;
  /** Opens connections for one takeover. @param instance tells its sessions from those of others */
  readonly openStore: (instance: string) => Promise<LedgerStore>;
  readonly snapshotEvery: number;
  readonly clock: Clock;
  readonly log: Logger;
  readonly onCommit?: (figures: CommitFigures) => void;
  /** A commit failed, with the error's code. */
  readonly onFailure?: (code: string) => void;
}

export interface LedgerWriter {
  /** Runs until `stop`. */
  run(): Promise<void>;
  /** Resolves with durable answers. @throws OperatorError OVERLOADED, WRITER_UNAVAILABLE, SHARD_MAP_STALE */
  transfer(group: TransferGroup): Promise<TransferResults>;
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
/** Below this a second block in flight would only make both smaller. */
const PIPELINE_COMMANDS_MIN = 512;
const DEADLINE_CHECK_MS = 500;
const RECOVERY_BACKOFF = { baseMs: 50, capMs: 2_000 };
/** Seconds that a refused sender should wait. */
const RETRY_AFTER_SECONDS = 1;

interface InFlight {
  readonly batch: DecidedBatch;
  readonly ticket: CommitTicket;
}

/** One takeover: connections, state, and what is on its way. */
interface Session {
  readonly store: LedgerStore;
  readonly state: LedgerState;
  readonly mapVersion: number;
  readonly epoch: number;
  readonly filter: KeyFilter;
  filterReady: boolean;
  /** Not acknowledged yet, oldest first. */
  readonly inFlight: InFlight[];
  /** Acknowledgements happen one after another, in the order of the blocks. */
  acknowledged: Promise<void>;
  failure: OperatorError | undefined;
}

/** Nothing happens before `run`. */
export function createWriter(options: WriterOptions): LedgerWriter {
  const { shard, lease, clock, log } = options;
  const queue = createWorkQueue();
  /** Batches whose COMMIT failed in a way that leaves their outcome open. */
  let unsettled: DecidedBatch[] = [];
  let phase: WriterStatus["phase"] = "starting";
  let stopping: "drain" | "lost" | undefined;
  let session: Session | undefined;
  let committed = { position: 0, epoch: 0 };
  let wake: () => void = () => undefined;
  const ended = new AbortController();

  const changed = (): Promise<void> =>
    new Promise((resolve) => {
      wake = resolve;
    });
  const mayContinue = (): boolean => stopping !== "lost" && lease.isHeld();

  // --- answers ---

  const settle = (batch: DecidedBatch): void => {
    for (const { work, to } of batch.segments) {
      if (work.closed) continue;
      if (work.type === "account") {
        closeAccount(work, work.outcome as AccountOutcome | OperatorError);
        continue;
      }
      work.settled = to;
      if (to === work.requests.length) closeTransfers(work);
    }
  };

  /** Answers works that cannot wait any longer; what was tried may have been carried out. */
  const abandon = (works: readonly Work[], why: (tried: boolean) => OperatorError): void => {
    for (const work of works) {
      if (work.closed) continue;
      const error = why(work.tried);
      if (work.type === "account") {
        closeAccount(work, error);
        continue;
      }
      for (let index = work.settled; index < work.requests.length; index += 1) {
        const tried = work.tried && index < work.next;
        const { code, message } = tried ? error : why(false);
        setProblem(work.results, index, { status: RESULT.failed, code, detail: message });
      }
      closeTransfers(work);
    }
    queue.sweep();
  };

  const outstanding = (): Work[] => [
    ...(session?.inFlight ?? []).flatMap(({ batch }) => batch.segments.map(({ work }) => work)),
    ...unsettled.flatMap((batch) => batch.segments.map(({ work }) => work)),
    ...queue.all(),
  ];

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

  // --- takeover ---

  const claimEpoch = async (store: LedgerStore): Promise<number> => {
    for (let epoch = lease.epoch() ?? lostLease(shard); ; ) {
      const former = await store.claim(epoch);
      if (former < epoch) return epoch;
      epoch = await lease.setMinimumEpoch(former + 1);
    }
  };

  /** Finds out what became of the batches of the session before, now that none of them can land any more. */
  const resolveUnsettled = async (store: LedgerStore): Promise<void> => {
    let landed = 0;
    for (const batch of unsettled) {
      const { content, header } = batch.block;
      if (content === undefined) break;
      const hash = await store.blockHash(header.block);
      if (hash === undefined || !hash.equals(content.hash)) break;
      landed += 1;
    }
    for (const batch of unsettled.slice(0, landed)) settle(batch);
    queue.requeue(unsettled.slice(landed).flatMap((batch) => batch.segments));
    unsettled = [];
  };

  const openExternalAccounts = async (opened: Session): Promise<void> => {
    const { state } = opened;
    const missing = state.assets.filter((asset) => !state.numbers.has(externalAccount(asset)));
    if (missing.length === 0) return;
    const draft = beginDraft(state, {
      capacity: 0,
      snapshotEvery: options.snapshotEvery,
      nowMicros: clock.now() * 1000,
    });
    for (const asset of missing) {
      const extId = externalAccount(asset);
      openAccount(draft, { extId, placementKey: extId, asset, floor: -CREDITS_MAX });
    }
    const block = sealDraft(draft, { shard, epoch: opened.epoch });
    await opened.store.commit({ block, refusals: [], mapVersion: opened.mapVersion, turn: Promise.resolve() })
      .committed;
  };

  const fillFilter = (opened: Session): void => {
    opened.store
      .readKeys((key) => opened.filter.add(key, 0))
      .then(() => {
        opened.filterReady = true;
      })
      .catch((error: unknown) => {
        // Without the filter every key is looked up: slower, as correct. The next takeover tries again.
        log.warn({ shard, error: toOperatorError(error).message }, "key filter not filled");
      });
  };

  const takeOver = async (): Promise<Session> => {
    const store = await options.openStore(randomUUID());
    try {
      const epoch = await claimEpoch(store);
      const { state, mapVersion } = await store.load();
      const opened: Session = {
        store,
        state,
        mapVersion,
        epoch,
        filter: createKeyFilter(),
        filterReady: false,
        inFlight: [],
        acknowledged: Promise.resolve(),
        failure: undefined,
      };
      await openExternalAccounts(opened);
      await resolveUnsettled(store);
      // What another map led here is not decided with this one: the account may live elsewhere now.
      const strays = queue.all().filter((work) => work.mapVersion !== mapVersion);
      if (strays.length > 0) abandon(strays, () => staleMap(shard, mapVersion));
      fillFilter(opened);
      committed = { position: state.position, epoch };
      return opened;
    } catch (error) {
      await store.close();
      throw error;
    }
  };

  // --- writing ---

  const fail = (current: Session, error: unknown): void => {
    if (current.failure !== undefined) return;
    current.failure = toOperatorError(error);
    options.onFailure?.(current.failure.code);
    log.warn({ shard, code: current.failure.code, error: current.failure.message }, "commit failed");
    // Ends the sessions, so that the other block in flight fails at once instead of waiting for a lock.
    void current.store.close();
    wake();
  };

  const commit = (current: Session, batch: DecidedBatch): void => {
    const startedAt = clock.monotonic();
    const before = current.inFlight.at(-1)?.ticket.applied ?? Promise.resolve();
    const ticket = current.store.commit({
      block: batch.block,
      refusals: batch.refusals,
      mapVersion: current.mapVersion,
      turn: before.catch(() => undefined),
    });
    const flying: InFlight = { batch, ticket };
    current.inFlight.push(flying);
    // A block that committed proves that the one before did, but its answer may come first: they run on two connections.
    current.acknowledged = current.acknowledged.then(async () => {
      try {
        await ticket.committed;
      } catch (error) {
        return fail(current, error);
      }
      if (current.failure === undefined) acknowledge(current, batch, startedAt);
    });
  };

  const acknowledge = (current: Session, batch: DecidedBatch, startedAt: number): void => {
    current.inFlight.shift();
    const { header, snapshots } = batch.block;
    committed = { position: header.firstPosition + header.events - 1, epoch: current.epoch };
    settle(batch);
    options.onCommit?.({
      events: header.events,
      snapshots: snapshots.account.length,
      refusals: batch.refusals.length,
      seconds: (clock.monotonic() - startedAt) / 1000,
    });
    wake();
  };

  const pipeIsFree = (current: Session): boolean =>
    current.inFlight.length === 0 ||
    (current.inFlight.length < PIPELINE_DEPTH && queue.size() >= PIPELINE_COMMANDS_MIN);

  const writeBatch = async (current: Session): Promise<void> => {
    const batch = takeBatch(queue);
    if (batch.commands === 0) return;
    const pending = current.inFlight.map((flying) => flying.batch.keys);
    const keys = keysToLookUp(batch, pending, current.filterReady ? current.filter : undefined);
    try {
      const stored = keys.length === 0 ? new Map() : await current.store.lookup(keys);
      if (current.failure !== undefined || !mayContinue()) return queue.requeue(batch.segments);
      const decided = decideBatch(current.state, batch, {
        shard,
        epoch: current.epoch,
        nowMicros: clock.now() * 1000,
        snapshotEvery: options.snapshotEvery,
        pending,
        stored,
        filter: current.filter,
      });
      if (decided.block.content === undefined && decided.refusals.length === 0) {
        await settleWithoutCommit(current, decided);
      } else {
        commit(current, decided);
      }
    } catch (error) {
      fail(current, error);
      queue.requeue(batch.segments);
    }
  };

  /** A batch of replays and plain refusals changes nothing, but what it replays may still be in flight. */
  const settleWithoutCommit = async (current: Session, decided: DecidedBatch): Promise<void> => {
    await current.acknowledged;
    if (current.failure === undefined) settle(decided);
    else queue.requeue(decided.segments);
  };

  /** Returns when the session failed, the right ended, or everything is drained. */
  const write = async (current: Session): Promise<void> => {
    while (current.failure === undefined && mayContinue()) {
      if (queue.size() > 0 && pipeIsFree(current)) {
        await writeBatch(current);
        continue;
      }
      if (stopping === "drain" && queue.size() === 0 && current.inFlight.length === 0) return;
      await changed();
    }
  };

  const closeSession = async (current: Session): Promise<void> => {
    // After a loss of the Lease what is in flight may still commit: the epoch in the database decides.
    await current.acknowledged;
    await current.store.close();
    unsettled = current.inFlight.map(({ batch }) => batch);
  };

  const isDrained = (): boolean => stopping === "drain" && queue.size() === 0 && unsettled.length === 0;

  const run = async (): Promise<void> => {
    const deadlines = enforceDeadlines();
    let failures = 0;
    while (mayContinue() && !isDrained()) {
      try {
        session = await takeOver();
        phase = "writing";
        log.info({ shard, epoch: session.epoch, position: session.state.position }, "writing");
        const before = committed.position;
        await write(session);
        await closeSession(session);
        failures = committed.position > before ? 0 : failures + 1;
      } catch (thrown) {
        const error = toOperatorError(thrown);
        failures += 1;
        options.onFailure?.(error.code);
        log.warn({ shard, code: error.code, error: error.message }, "takeover failed");
        if (isOperatorError(error, "LEASE_LOST")) break;
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
    if (phase === "ended" || stopping !== undefined) throw unavailable(shard, false);
    if (session !== undefined && mapVersion !== session.mapVersion) {
      throw staleMap(shard, session.mapVersion);
    }
    if (queue.size() + commands > QUEUE_COMMANDS_MAX) {
      throw new OperatorError("OVERLOADED", `shard ${shard} has ${queue.size()} commands waiting`, {
        retryAfterSeconds: RETRY_AFTER_SECONDS,
      });
    }
  };

  const enqueue = (work: Work): void => {
    queue.push(work);
    wake();
  };

  let running: Promise<void> | undefined;
  return {
    run: () => (running ??= run()),
    transfer: async (group) => {
      admit(group.requests.length, group.mapVersion);
      return new Promise((resolve) => {
        const results = emptyResults(group.requests.length);
        if (group.requests.length === 0) return resolve(results);
        enqueue({
          type: "transfers",
          requests: group.requests,
          identities: group.identities,
          createAccounts: group.createAccounts,
          mapVersion: group.mapVersion,
          results,
          deadlineAt: clock.monotonic() + ANSWER_WITHIN_MS,
          next: 0,
          settled: 0,
          tried: false,
          closed: false,
          close: () => resolve(results),
        });
      });
    },
    openAccount: async (request, mapVersion) => {
      admit(1, mapVersion);
      return new Promise((resolve, reject) => {
        enqueue({
          type: "account",
          request,
          mapVersion,
          deadlineAt: clock.monotonic() + ANSWER_WITHIN_MS,
          outcome: undefined,
          tried: false,
          closed: false,
          close: (outcome) => (outcome instanceof OperatorError ? reject(outcome) : resolve(outcome)),
        });
      });
    },
    status: () => ({ phase, epoch: committed.epoch, position: committed.position }),
    stop: async (how) => {
      stopping = how;
      wake();
      await running;
    },
  };
}

function closeTransfers(work: TransferWork): void {
  work.closed = true;
  work.close();
}

function closeAccount(work: AccountWork, outcome: AccountOutcome | OperatorError): void {
  work.closed = true;
  work.close(outcome);
}

function staleMap(shard: number, version: number): OperatorError {
  return new OperatorError("SHARD_MAP_STALE", `shard ${shard} works with shard map ${version}`, {
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  });
}

function lostLease(shard: number): never {
  throw new OperatorError("LEASE_LOST", `the Lease of shard ${shard} is not held`);
}

function unavailable(shard: number, tried: boolean): OperatorError {
  return new OperatorError(
    tried ? "OUTCOME_UNKNOWN" : "WRITER_UNAVAILABLE",
    tried ? `the outcome on shard ${shard} is not known yet` : `shard ${shard} has no writer right now`,
    { retryAfterSeconds: RETRY_AFTER_SECONDS },
  );
}

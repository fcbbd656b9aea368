/** The beginning of a writer's session: connections, epoch, state. After it nothing older can land any more. */
import { randomUUID } from "node:crypto";
import type { Clock } from "../../lib/core/clock.ts";
import { OperatorError, toOperatorError } from "../../lib/core/errors.ts";
import { CREDITS_MAX } from "../../lib/core/money.ts";
import { otherDatabase, type ShardMemory, shorterLog } from "../../lib/core/shard-memory.ts";
import type { Logger } from "../../lib/node/logger.ts";
import { createKeyFilter, type KeyFilter } from "./key-filter.ts";
import type { StoredOutcome } from "./key-reads.ts";
import { requireNoLoss } from "./lease-memory.ts";
import type { DecidedBatch } from "./ledger.batch.ts";
import { beginDraft, openAccount, sealDraft } from "./ledger.decider.ts";
import type { CommitTicket, LedgerStore } from "./ledger.store.ts";
import { externalAccount, type LedgerState } from "./ledger-state.ts";

/** The right to write a shard. Its epoch travels with every block into the database. */
export interface WriterLease {
  /** Decided at this very moment. */
  isHeld(): boolean;
  /** The epoch while held. */
  epoch(): number | undefined;
  /** Raises the epoch; @throws OperatorError LEASE_LOST */
  setMinimumEpoch(minimum: number): Promise<number>;
  /** What writers before have left on it of what they saw. */
  memory(): ShardMemory;
}

/** One block on its way. */
export interface InFlight {
  readonly batch: DecidedBatch;
  readonly ticket: CommitTicket;
}

/** One takeover: connections, state, and what is on its way. */
export interface Session {
  readonly store: LedgerStore;
  readonly state: LedgerState;
  readonly mapVersion: number;
  readonly epoch: number;
  readonly systemIdentifier: string;
  readonly filter: KeyFilter;
  filterReady: boolean;
  /** Not acknowledged yet, oldest first. */
  readonly inFlight: InFlight[];
  /** Acknowledgements happen one after another, in the order of the blocks. */
  acknowledged: Promise<void>;
  failure: OperatorError | undefined;
}

export interface TakeoverOptions {
  readonly shard: number;
  readonly lease: WriterLease;
  /** Opens connections for one takeover. @param instance tells its sessions from those of others */
  readonly openStore: (instance: string) => Promise<LedgerStore>;
  readonly snapshotEvery: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** The writer came a step further, or has nothing to do: see writer-watch.ts. */
  readonly onStep?: () => void;
}

/**
 * Ends every other writer's session, claims the epoch and loads the state; opens the external accounts that are missing.
 * Before that it only reads: a database that is not what the Lease remembers is left as it is.
 * @param reached position that this very process has seen
 * @throws OperatorError DATA_LOST, LEASE_LOST, SHARD_UNAVAILABLE, LEDGER_CORRUPT, ...
 */
export async function takeOver(options: TakeoverOptions, reached = 0): Promise<Session> {
  const store = await options.openStore(randomUUID());
  try {
    const step = options.onStep ?? (() => undefined);
    const systemIdentifier = await requireRemembered(store, options, reached);
    step();
    const epoch = await claimEpoch(store, options);
    step();
    const { state, mapVersion } = await store.load(step);
    const session: Session = {
      store,
      state,
      mapVersion,
      epoch,
      systemIdentifier,
      filter: createKeyFilter(),
      filterReady: false,
      inFlight: [],
      acknowledged: Promise.resolve(),
      failure: undefined,
    };
    await openExternalAccounts(session, options);
    return session;
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** @returns identifier of the cluster */
async function requireRemembered(
  store: LedgerStore,
  { lease, shard }: TakeoverOptions,
  reached: number,
): Promise<string> {
  const onLease = lease.memory();
  // A Lease without memory is that of a new ledger, or of one whose loss somebody has accepted.
  const position = onLease.position === undefined ? undefined : Math.max(onLease.position, reached);
  const memory = { ...onLease, position };
  const systemIdentifier = await store.systemIdentifier();
  // Another cluster may lack the ledger's tables: it is not asked for more.
  requireNoLoss(otherDatabase(shard, memory, systemIdentifier));
  requireNoLoss(shorterLog(shard, memory, await store.headPosition()));
  await store.inspect();
  return systemIdentifier;
}

async function claimEpoch(store: LedgerStore, { lease, shard }: TakeoverOptions): Promise<number> {
  let epoch = lease.epoch();
  if (epoch === undefined) throw new OperatorError("LEASE_LOST", `the Lease of shard ${shard} is not held`);
  for (;;) {
    const former = await store.claim(epoch);
    if (former < epoch) return epoch;
    epoch = await lease.setMinimumEpoch(former + 1);
  }
}

async function openExternalAccounts(session: Session, options: TakeoverOptions): Promise<void> {
  const { state, store, epoch, mapVersion } = session;
  const missing = state.assets.filter((asset) => !state.numbers.has(externalAccount(asset)));
  if (missing.length === 0) return;
  const { shard, snapshotEvery, clock } = options;
  const draft = beginDraft(state, { capacity: 0, snapshotEvery, nowMicros: clock.now() * 1000 });
  for (const asset of missing) {
    const extId = externalAccount(asset);
    openAccount(draft, { extId, placementKey: extId, asset, floor: -CREDITS_MAX });
  }
  const block = sealDraft(draft, { shard, epoch });
  await store.commit({ block, refusals: [], mapVersion, turn: Promise.resolve() }).committed;
}

/** Those of the batches of a former session that did land: the database has what they wrote. */
export async function landedOf(
  store: LedgerStore,
  batches: readonly DecidedBatch[],
): Promise<ReadonlySet<DecidedBatch>> {
  const landed = new Set<DecidedBatch>();
  for (const batch of batches) if (await hasLanded(store, batch)) landed.add(batch);
  return landed;
}

async function hasLanded(store: LedgerStore, { block, refusals, claims }: DecidedBatch): Promise<boolean> {
  if (block.content !== undefined) {
    const hash = await store.blockHash(block.header.block);
    return hash?.equals(block.content.hash) === true;
  }
  // One without a block leaves nothing but its refusals and claims, and a later one may have landed without it.
  const stored = await store.lookup([...refusals, ...claims].map(({ key }) => key));
  const found = (key: Buffer): StoredOutcome | undefined => stored.get(key.toString("latin1"));
  const isRefused = refusals.every(({ key, code, detail }) => {
    const outcome = found(key);
    return outcome?.type === "refused" && outcome.code === code && outcome.detail === detail;
  });
  const isClaimed = claims.every(({ key, fingerprint, shard }) => {
    const outcome = found(key);
    const payload = fingerprint.readBigInt64BE(0).toString();
    return outcome?.type === "claimed" && outcome.fingerprint === payload && outcome.shard === shard;
  });
  return isRefused && isClaimed;
}

/** Loads the keys of the shard in the background; until then every key is looked up. */
export function fillFilter(session: Session, { shard, log }: TakeoverOptions): void {
  session.store
    .readKeys((key) => session.filter.add(key, 0))
    .then((isComplete) => {
      session.filterReady = isComplete;
    })
    .catch((error: unknown) => {
      // Without the filter every key is looked up: slower, as correct. The next takeover tries again.
      log.warn({ shard, error: toOperatorError(error).message }, "key filter not filled");
    });
}

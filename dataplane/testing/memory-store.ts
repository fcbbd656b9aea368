/**
 * A shard's database in memory, for the writer's tests: the same fence, the same uniqueness, and faults on demand. Every
 * session is a `LedgerStore`; all sessions share one truth.
 */
import { OperatorError } from "../../lib/core/errors.ts";
import { getInt64, viewOf } from "../ledger/int64.ts";
import { GENESIS_HASH, RECORD, RECORD_BYTES } from "../ledger/journal-codec.ts";
import type { StoredOutcome } from "../ledger/key-reads.ts";
import type { CommitRequest, LedgerStore } from "../ledger/ledger.store.ts";
import { addAccount, emptyState, type LedgerState } from "../ledger/ledger-state.ts";

/** What happens to a commit. `lost`: it is carried out and its answer never arrives. `full`: the server answers 53100. */
export type Fault = "none" | "refused" | "lost" | "full";

export interface MemoryDatabase {
  /** Opens a session, as `openStore` does. */
  open(): Promise<LedgerStore>;
  /** Asked before each commit. */
  fault: () => Fault;
  /** Resolves when a commit may proceed; replace it to hold commits back. */
  gate: () => Promise<void>;
  /** Resolves when a look-up may proceed. */
  lookupGate: () => Promise<void>;
  /** Refuses new sessions while true. */
  down: boolean;
  /** Refuses takeovers as a server on a full volume does while true. */
  full: boolean;
  /** What a look at its tables finds; nothing unless told. */
  spoilt: () => OperatorError | undefined;
  epoch: number;
  /** Of the cluster. */
  systemIdentifier: string;
  mapVersion: number;
  /** Ids of the stored events, by position. */
  events(): readonly { id: string; debit: number; credit: number; amount: number }[];
  commits: number;
  lookups: number;
}

interface Truth {
  position: number;
  block: number;
  accounts: number;
  hash: Buffer;
  readonly hashes: Map<number, Buffer>;
  readonly outcomes: Map<string, StoredOutcome>;
  readonly claims: Map<string, StoredOutcome & { type: "claimed" }>;
  readonly openings: { extId: string; placementKey: string; asset: string; floor: number }[];
  readonly pointers: Map<string, string>;
  readonly balances: Map<number, { posted: number; version: number; position: number }>;
  readonly events: { id: string; debit: number; credit: number; amount: number }[];
}

export function createMemoryDatabase(assets: readonly string[] = ["CZK"]): MemoryDatabase {
  const truth: Truth = {
    position: 0,
    block: 0,
    accounts: 0,
    hash: GENESIS_HASH,
    hashes: new Map(),
    outcomes: new Map(),
    claims: new Map(),
    openings: [],
    pointers: new Map(),
    balances: new Map(),
    events: [],
  };
  /** One commit at a time, as the head row's lock has it. */
  let lock: Promise<unknown> = Promise.resolve();
  const database: MemoryDatabase = {
    open: async () => {
      if (database.down) throw unreachable();
      return createSession(database, truth, assets, <T>(work: () => Promise<T>) => {
        const result = lock.then(work);
        lock = result.catch(() => undefined);
        return result;
      });
    },
    fault: () => "none",
    gate: async () => undefined,
    lookupGate: async () => undefined,
    down: false,
    full: false,
    spoilt: () => undefined,
    epoch: 0,
    systemIdentifier: "7400000000000000000",
    mapVersion: 1,
    events: () => truth.events,
    commits: 0,
    lookups: 0,
  };
  return database;
}

function unreachable(): OperatorError {
  return new OperatorError("SHARD_UNAVAILABLE", "the database does not answer");
}

function diskFull(): OperatorError {
  return new OperatorError("SHARD_DISK_FULL", "could not extend file: No space left on device");
}

function createSession(
  database: MemoryDatabase,
  truth: Truth,
  assets: readonly string[],
  exclusive: <T>(work: () => Promise<T>) => Promise<T>,
): LedgerStore {
  let closed = false;
  const alive = (): void => {
    if (closed || database.down) throw unreachable();
  };
  const apply = async (request: CommitRequest): Promise<void> => {
    await request.turn;
    await database.gate();
    alive();
    const fault = database.fault();
    if (fault === "refused") throw unreachable();
    if (fault === "full") throw diskFull();
    store(database, truth, request);
    if (fault === "lost") throw unreachable();
  };
  return {
    systemIdentifier: async () => {
      alive();
      return database.systemIdentifier;
    },
    headPosition: async () => {
      alive();
      return truth.position;
    },
    inspect: async () => {
      alive();
      const spoilt = database.spoilt();
      if (spoilt !== undefined) throw spoilt;
    },
    claim: async (epoch) => {
      alive();
      if (database.full) throw diskFull();
      const former = database.epoch;
      if (former < epoch) database.epoch = epoch;
      return former;
    },
    load: async () => {
      alive();
      return { state: loadState(truth, assets), mapVersion: database.mapVersion };
    },
    lookup: async (keys) => {
      alive();
      database.lookups += 1;
      await database.lookupGate();
      alive();
      const found = new Map<string, StoredOutcome>();
      for (const key of keys) {
        const text = key.toString("latin1");
        const outcome = truth.outcomes.get(text) ?? truth.claims.get(text);
        if (outcome !== undefined) found.set(key.toString("latin1"), outcome);
      }
      return found;
    },
    commit: (request) => {
      const committed = exclusive(() => apply(request));
      committed.catch(() => undefined);
      const applied = request.turn.then(() => undefined);
      return { applied, committed };
    },
    blockHash: async (block) => {
      alive();
      return truth.hashes.get(block);
    },
    readKeys: async (onKey) => {
      for (const key of [...truth.outcomes.keys(), ...truth.claims.keys()]) onKey(Buffer.from(key, "latin1"));
      return true;
    },
    close: async () => {
      closed = true;
    },
  };
}

function store(database: MemoryDatabase, truth: Truth, request: CommitRequest): void {
  const { block, refusals, claims = [] } = request;
  const { header, base, content } = block;
  const same =
    header.epoch === database.epoch &&
    base.position === truth.position &&
    base.block === truth.block &&
    base.hash.equals(truth.hash);
  if (!same) throw new OperatorError("FENCED", `epoch ${database.epoch}, position ${truth.position}`);
  if (request.mapVersion !== database.mapVersion) throw new OperatorError("SHARD_MAP_STALE", "another map");
  if (claims.some(({ key }) => truth.claims.has(key.toString("latin1")))) {
    throw new OperatorError("FENCED", "the key is claimed");
  }
  database.commits += 1;
  storeEvents(truth, request);
  for (const refusal of refusals) {
    const fingerprint = refusal.fingerprint.readBigInt64BE(0).toString();
    const { code, detail } = refusal;
    truth.outcomes.set(refusal.key.toString("latin1"), { type: "refused", fingerprint, code, detail });
  }
  for (const { key, fingerprint, shard } of claims) {
    const payload = fingerprint.readBigInt64BE(0).toString();
    truth.claims.set(key.toString("latin1"), { type: "claimed", fingerprint: payload, shard });
  }
  for (const entry of block.entries) {
    if (entry.type === "opening") truth.openings.push(entry);
    else truth.pointers.set(entry.extId, entry.placementKey);
  }
  block.balances.account.forEach((account, index) => {
    truth.balances.set(account, {
      posted: block.balances.posted[index] as number,
      version: block.balances.version[index] as number,
      position: block.balances.position[index] as number,
    });
  });
  if (content === undefined) return;
  truth.position += header.events;
  truth.block = header.block;
  truth.hash = content.hash;
  truth.hashes.set(header.block, content.hash);
}

function storeEvents(truth: Truth, { block }: CommitRequest): void {
  const records = Buffer.from(block.records);
  const view = viewOf(records);
  for (let index = 0; index < block.header.events; index += 1) {
    const at = index * RECORD_BYTES;
    const key = records.toString("latin1", at, at + 16);
    if (truth.outcomes.has(key)) throw new OperatorError("FENCED", "the key exists");
    const from = view.getUint32(at + RECORD.payloadOffset);
    truth.events.push({
      id: Buffer.from(block.payload).toString("latin1", from, from + view.getUint16(at + RECORD.idLength)),
      debit: getInt64(view, at + RECORD.debitAccount),
      credit: getInt64(view, at + RECORD.creditAccount),
      amount: getInt64(view, at + RECORD.amount),
    });
    truth.outcomes.set(key, {
      type: "posted",
      fingerprint: records.readBigInt64BE(at + RECORD.fingerprint).toString(),
      position: block.header.firstPosition + index,
      debitBalance: getInt64(view, at + RECORD.debitBalance),
      creditBalance: getInt64(view, at + RECORD.creditBalance),
      recordedAtMicros: getInt64(view, at + RECORD.recordedAt),
    });
  }
}

function loadState(truth: Truth, assets: readonly string[]): LedgerState {
  const state = emptyState(assets);
  for (const opening of truth.openings) addAccount(state, opening);
  for (const [extId, placementKey] of truth.pointers) state.pointers.set(extId, placementKey);
  for (const [account, { posted, version, position }] of truth.balances) {
    state.posted[account] = posted;
    state.version[account] = version;
    state.lastPosition[account] = position;
  }
  state.position = truth.position;
  state.block = truth.block;
  state.hash = truth.hash;
  return state;
}

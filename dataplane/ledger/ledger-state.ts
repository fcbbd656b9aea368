/** The accounts of one shard in memory, as the writer decides on them: typed arrays indexed by account number. */
import { assert } from "../../lib/core/assert.ts";
import { GENESIS_HASH } from "./journal-codec.ts";

/** Mutable, owned by one writer (or one replay). Account numbers are dense and start at 1. */
export interface LedgerState {
  /** Codes of the assets; an account keeps the index. */
  readonly assets: readonly string[];
  /** Account number by the client's id. */
  readonly numbers: Map<string, number>;
  /** Placement key by id, for ids whose account lives elsewhere. */
  readonly pointers: Map<string, string>;
  /** Placement key by id, for accounts of this shard whose placement key is not their id. */
  readonly placements: Map<string, string>;
  /** Accounts opened so far; also the highest account number. */
  accounts: number;
  posted: Float64Array;
  floor: Float64Array;
  version: Float64Array;
  lastPosition: Float64Array;
  asset: Uint8Array;
  /** Serial of the last draft that touched the account, see ledger.decider. */
  touched: Float64Array;
  /** Head of the log: position and block decided last, hash of that block, time of the last entry. */
  position: number;
  block: number;
  hash: Buffer;
  recordedAtMicros: number;
  /** Serial of the current draft. */
  draft: number;
}

/** Assets are kept as one byte per account. */
export const ASSETS_MAX = 255;

const INITIAL_CAPACITY = 1024;

/** The state before the first block. */
export function emptyState(assets: readonly string[]): LedgerState {
  assert(assets.length <= ASSETS_MAX, `more than ${ASSETS_MAX} assets`);
  return {
    assets,
    numbers: new Map(),
    pointers: new Map(),
    placements: new Map(),
    accounts: 0,
    posted: new Float64Array(INITIAL_CAPACITY),
    floor: new Float64Array(INITIAL_CAPACITY),
    version: new Float64Array(INITIAL_CAPACITY),
    lastPosition: new Float64Array(INITIAL_CAPACITY),
    asset: new Uint8Array(INITIAL_CAPACITY),
    touched: new Float64Array(INITIAL_CAPACITY),
    position: 0,
    block: 0,
    hash: GENESIS_HASH,
    recordedAtMicros: 0,
    draft: 0,
  };
}

/** What an account is opened with. */
export interface NewAccount {
  readonly extId: string;
  readonly placementKey: string;
  readonly asset: string;
  readonly floor: number;
}

/** Adds the next account with balance 0. @returns its number */
export function addAccount(state: LedgerState, account: NewAccount): number {
  const asset = state.assets.indexOf(account.asset);
  assert(asset >= 0, `asset ${account.asset} is not in the state`);
  state.accounts += 1;
  const number = state.accounts;
  if (number >= state.posted.length) grow(state);
  state.floor[number] = account.floor;
  state.asset[number] = asset;
  state.numbers.set(account.extId, number);
  if (account.placementKey !== account.extId) state.placements.set(account.extId, account.placementKey);
  return number;
}

function grow(state: LedgerState): void {
  const length = state.posted.length * 2;
  const widen = <T extends Float64Array | Uint8Array>(old: T, wide: T): T => {
    wide.set(old);
    return wide;
  };
  state.posted = widen(state.posted, new Float64Array(length));
  state.floor = widen(state.floor, new Float64Array(length));
  state.version = widen(state.version, new Float64Array(length));
  state.lastPosition = widen(state.lastPosition, new Float64Array(length));
  state.asset = widen(state.asset, new Uint8Array(length));
  state.touched = widen(state.touched, new Float64Array(length));
}

/** Id of the account on the other side of deposits, withdrawals and imports, one per asset and shard. */
export function externalAccount(asset: string): string {
  return `system:external:${asset}`;
}

const EXTERNAL_PREFIX = "system:external:";

/** Ids that clients cannot open. */
export function isSystemAccount(extId: string): boolean {
  return extId.startsWith("system:");
}

/** Asset of an external account's id; `undefined` for any other id. */
export function externalAsset(extId: string): string | undefined {
  return extId.startsWith(EXTERNAL_PREFIX) ? extId.slice(EXTERNAL_PREFIX.length) : undefined;
}

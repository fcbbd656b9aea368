/**
 * What the earlier use of a key means for a command. A key has at most one effect, and only one payload: it is looked for
 * among the commands of its own batch, among the batches that are being committed (their answers are final once they are
 * durable, and this batch is never acknowledged before them), and in what the database was asked for.
 *
 *   new      nobody has used it
 *   bound    its payload was seen, as this very one, and there is no answer to keep: it is decided anew
 *   answered the result is filled in: the first answer again, or a refusal since the key has another payload
 */
import type { ErrorCode } from "../../lib/core/errors.ts";
import { IDENTITY_BYTES, KEY_BYTES } from "./fingerprint.ts";
import type { StoredOutcome } from "./key-reads.ts";
import { fingerprintAt } from "./ledger.decider.ts";
import { type KeyedWork, RESULT, replayResult, setProblem } from "./ledger.work.ts";

/** Keys of a batch that is not durable yet, and whose answer each of them got. */
export interface PendingKeys {
  readonly slots: Map<string, number>;
  readonly works: KeyedWork[];
  readonly indexes: number[];
  /** False where only the payload is bound, by a refusal that is decided anew each time. */
  readonly isKept: boolean[];
}

export function noKeys(): PendingKeys {
  return { slots: new Map(), works: [], indexes: [], isKept: [] };
}

/** One command of a work. */
export interface KeyedCommand {
  readonly work: KeyedWork;
  readonly index: number;
  /** The 16 bytes of its key as a string: maps compare strings, not buffers. */
  readonly key: string;
}

export function keyText(identities: Buffer, offset: number): string {
  return identities.toString("latin1", offset, offset + KEY_BYTES);
}

/** From now on this command's payload is the key's, and its answer too when it is kept. */
export function rememberKey(keys: PendingKeys, { work, index, key }: KeyedCommand, isKept: boolean): void {
  keys.slots.set(key, keys.works.length);
  keys.works.push(work);
  keys.indexes.push(index);
  keys.isKept.push(isKept);
}

/** Where a key may have been used before. */
export interface EarlierKeys {
  /** Keys of this batch. */
  readonly own: PendingKeys;
  /** Keys of the batches under way, oldest first. */
  readonly pending: readonly PendingKeys[];
  readonly stored: ReadonlyMap<string, StoredOutcome>;
  /** The shard that decides. */
  readonly shard: number;
}

export type Meeting = "new" | "bound" | "answered";

export function meetEarlier(command: KeyedCommand, earlier: EarlierKeys): Meeting {
  let met = meetPending(command, earlier.own, earlier.shard);
  if (met === "answered") return met;
  for (const keys of earlier.pending) {
    const found = meetPending(command, keys, earlier.shard);
    if (found === "answered") return found;
    if (found === "bound") met = found;
  }
  const stored = earlier.stored.get(command.key);
  return stored === undefined ? met : meetStored(command, stored, earlier.shard);
}

function meetPending(to: KeyedCommand, keys: PendingKeys, shard: number): Meeting {
  const slot = keys.slots.get(to.key);
  if (slot === undefined) return "new";
  const from = { work: keys.works[slot] as KeyedWork, index: keys.indexes[slot] as number };
  if (!fingerprintOf(from).equals(fingerprintOf(to))) return refuseReuse(to);
  if (keys.isKept[slot] !== true) return meetClaim(to, shard, shard);
  if (from.work.type === "claims" && from.work.results.status[from.index] === RESULT.claimed) {
    return meetClaim(to, from.work.results.position[from.index] as number, shard);
  }
  replayResult(to.work.results, to.index, { results: from.work.results, index: from.index });
  return "answered";
}

function meetStored(to: KeyedCommand, stored: StoredOutcome, shard: number): Meeting {
  const { results } = to.work;
  if (stored.fingerprint !== fingerprintOf(to).readBigInt64BE(0).toString()) return refuseReuse(to);
  if (stored.type === "claimed") return meetClaim(to, stored.shard, shard);
  if (stored.type === "refused") {
    const { code, detail } = stored;
    setProblem(results, to.index, { status: RESULT.refused, code: code as ErrorCode, detail, replayed: true });
    return "answered";
  }
  results.status[to.index] = RESULT.posted;
  results.replayed[to.index] = 1;
  results.position[to.index] = stored.position;
  results.debitBalance[to.index] = stored.debitBalance;
  results.creditBalance[to.index] = stored.creditBalance;
  results.recordedAtMicros[to.index] = stored.recordedAtMicros;
  return "answered";
}

/** The payload is bound, for use on the shard `claimedFor`. */
function meetClaim(to: KeyedCommand, claimedFor: number, shard: number): Meeting {
  const { work, index } = to;
  if (work.type === "claims") {
    setClaimed(work.results, index, { shard: claimedFor, replayed: true });
    return "answered";
  }
  if (claimedFor === shard) return "bound";
  // Accounts have moved here since, and the shard that they left may have carried it out.
  setProblem(work.results, index, {
    status: RESULT.failed,
    code: "SHARD_MAP_STALE",
    detail: `key "${work.requests[index]?.id}" is claimed for shard ${claimedFor}`,
  });
  return "answered";
}

/** The key may be used on that shard, by this payload. */
export function setClaimed(
  results: KeyedWork["results"],
  index: number,
  claim: { shard: number; replayed: boolean },
): void {
  results.status[index] = RESULT.claimed;
  results.replayed[index] = claim.replayed ? 1 : 0;
  results.position[index] = claim.shard;
}

function fingerprintOf({ work, index }: Pick<KeyedCommand, "work" | "index">): Buffer {
  return fingerprintAt(work.identities, index * IDENTITY_BYTES);
}

function refuseReuse({ work, index }: KeyedCommand): "answered" {
  // Who claims a key knows its id, and says it.
  const key = work.type === "transfers" ? `key "${work.requests[index]?.id}"` : "the key";
  const detail = `${key} was used for a transfer with another payload`;
  setProblem(work.results, index, { status: RESULT.refused, code: "IDEMPOTENCY_KEY_REUSED", detail });
  return "answered";
}

/**
 * Claims keys at the shards that own them, before the transfers under them are carried out elsewhere
 * (docs/adr/0024-keys-of-the-ledger.md). A transfer whose key is not claimed is not begun, so whatever happened to the claim:
 * nothing was posted.
 */
import { type OperatorError, toOperatorError } from "../../lib/core/errors.ts";
import type { ShardMap } from "../../lib/core/shard-map.ts";
import { IDENTITY_BYTES, identitiesOf, type TransferRequest } from "./fingerprint.ts";
import { keyBucket, keyOwner } from "./key-owner.ts";
import { emptyResults, RESULT, setProblem, type TransferProblem, type TransferResults } from "./ledger.work.ts";
import type { ClaimGroup } from "./ledger.writer.ts";
import { externalAsset } from "./ledger-state.ts";

/** Transfers for one shard, with what their keys say. */
export interface KeyedGroup {
  readonly requests: readonly TransferRequest[];
  readonly shard: number;
  readonly mapVersion: number;
  readonly identities: Buffer;
  /** By request: the shard that owns the key, and the key's bucket. */
  readonly owners: Int16Array;
  readonly buckets: Int16Array;
  /** By request: 1 when the owner is another shard. */
  readonly foreign: Uint8Array;
}

/** What a transfer is answered instead of being carried out. */
export interface ClaimAnswer {
  readonly results: TransferResults;
  readonly index: number;
  /** The key's owner. */
  readonly shard: number;
}

/** Claims keys at their owner, in whichever pod that is written. @throws OperatorError WRITER_UNAVAILABLE, OVERLOADED, ... */
export type ClaimAt = (owner: number, group: ClaimGroup) => Promise<TransferResults>;

export function keyedGroup(requests: readonly TransferRequest[], shard: number, map: ShardMap): KeyedGroup {
  const identities = identitiesOf(requests);
  const owners = new Int16Array(requests.length);
  const buckets = new Int16Array(requests.length);
  const foreign = new Uint8Array(requests.length);
  for (let index = 0; index < requests.length; index += 1) {
    const { id } = requests[index] as TransferRequest;
    const bucket = keyBucket(id, identities, index * IDENTITY_BYTES);
    buckets[index] = bucket;
    owners[index] = keyOwner(map, bucket);
    foreign[index] = owners[index] === shard ? 0 : 1;
  }
  return { requests, shard, mapVersion: map.version, identities, owners, buckets, foreign };
}

/** @returns by request, what those are answered that may not be carried out now; the others may */
export async function claimForeignKeys(group: KeyedGroup, claimAt: ClaimAt): Promise<ReadonlyMap<number, ClaimAnswer>> {
  const byOwner = new Map<number, number[]>();
  group.foreign.forEach((isForeign, index) => {
    if (isForeign === 0) return;
    const owner = group.owners[index] as number;
    const indexes = byOwner.get(owner);
    if (indexes === undefined) byOwner.set(owner, [index]);
    else indexes.push(index);
  });
  const answers = new Map<number, ClaimAnswer>();
  await Promise.all(
    [...byOwner].map(async ([owner, indexes]) => {
      const results = await claimAt(owner, claimsOf(group, indexes)).catch((thrown: unknown) =>
        failed(indexes.length, toOperatorError(thrown)),
      );
      indexes.forEach((index, at) => {
        const answer = answerTo(group, index, { results, index: at, shard: owner });
        if (answer !== undefined) answers.set(index, answer);
      });
    }),
  );
  return holdBack(group.requests, answers);
}

function claimsOf(group: KeyedGroup, indexes: readonly number[]): ClaimGroup {
  const identities = Buffer.allocUnsafe(indexes.length * IDENTITY_BYTES);
  indexes.forEach((index, at) => {
    group.identities.copy(identities, at * IDENTITY_BYTES, index * IDENTITY_BYTES, (index + 1) * IDENTITY_BYTES);
  });
  return {
    identities,
    shards: new Int16Array(indexes.length).fill(group.shard),
    buckets: Int16Array.from(indexes, (index) => group.buckets[index] as number),
    mapVersion: group.mapVersion,
  };
}

function failed(count: number, { code, message }: OperatorError): TransferResults {
  const results = emptyResults(count);
  for (let index = 0; index < count; index += 1) {
    setProblem(results, index, { status: RESULT.failed, code, detail: message });
  }
  return results;
}

/** `undefined` when the key is claimed. */
function answerTo(group: KeyedGroup, index: number, said: ClaimAnswer): ClaimAnswer | undefined {
  const { results, index: at, shard: owner } = said;
  const status = results.status[at];
  if (status === RESULT.posted) return said;
  const { id } = group.requests[index] as TransferRequest;
  if (status === RESULT.claimed) {
    const claimedFor = results.position[at] as number;
    if (claimedFor === group.shard) return undefined;
    const detail = `key "${id}" is claimed for shard ${claimedFor}`;
    return problemAnswer(owner, { status: RESULT.failed, code: "SHARD_MAP_STALE", detail });
  }
  const { code, detail } = results.problems.get(at) as TransferProblem;
  if (status === RESULT.failed) {
    // What became of the claim is not known, and does not matter: nothing was begun under it.
    const isOpen = code === "OUTCOME_UNKNOWN";
    return problemAnswer(owner, {
      status,
      code: isOpen ? "WRITER_UNAVAILABLE" : code,
      detail: `key "${id}" belongs to shard ${owner}: ${isOpen ? "it could not be claimed in time" : detail}`,
    });
  }
  if (code !== "IDEMPOTENCY_KEY_REUSED") return said;
  return problemAnswer(owner, {
    status: RESULT.refused,
    code,
    detail: `key "${id}" was used for a transfer with another payload`,
  });
}

function problemAnswer(owner: number, problem: TransferProblem & { status: 2 | 3 }): ClaimAnswer {
  const results = emptyResults(1);
  setProblem(results, 0, problem);
  return { results, index: 0, shard: owner };
}

/**
 * Holds back what comes after a transfer that has to be sent again, where it is of the same account: a debit must not be
 * refused for ever because the credit before it is late.
 */
function holdBack(
  requests: readonly TransferRequest[],
  answers: ReadonlyMap<number, ClaimAnswer>,
): ReadonlyMap<number, ClaimAnswer> {
  const isLate = ({ results, index }: ClaimAnswer): boolean => results.status[index] === RESULT.failed;
  if (![...answers.values()].some(isLate)) return answers;
  const late = new Map<string, ClaimAnswer>();
  const held = new Map<number, ClaimAnswer>();
  requests.forEach(({ debitAccount, creditAccount }, index) => {
    const before = late.get(debitAccount) ?? late.get(creditAccount);
    const answer = answers.get(index) ?? (before === undefined ? undefined : afterLate(before));
    if (answer === undefined) return;
    held.set(index, answer);
    if (!isLate(answer)) return;
    // Every account is paid from the external one, which has no limit to fall below.
    for (const account of [debitAccount, creditAccount]) {
      if (externalAsset(account) === undefined && !late.has(account)) late.set(account, answer);
    }
  });
  return held;
}

function afterLate({ results, index, shard }: ClaimAnswer): ClaimAnswer {
  const { code, detail } = results.problems.get(index) as TransferProblem;
  const lead = "a transfer before it, of the same account, has to be sent again: ";
  const told = detail.startsWith(lead) ? detail : `${lead}${detail}`;
  return problemAnswer(shard, { status: RESULT.failed, code, detail: told });
}

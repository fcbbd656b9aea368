/** What pods say to each other when a key's owner is written by another pod: claims, and their answers, as JSON. */
import { ERRORS, type ErrorCode, OperatorError } from "../../lib/core/errors.ts";
import { BUCKET_COUNT } from "../../lib/core/ring.ts";
import { IDENTITY_BYTES } from "./fingerprint.ts";
import { emptyResults, RESULT, type TransferProblem, type TransferResults } from "./ledger.work.ts";
import type { ClaimGroup } from "./ledger.writer.ts";

/** Where pods claim keys of each other's shards. */
export const CLAIMS_PATH = "/internal/key-claims";
/** As many as a bulk request has items. */
const CLAIMS_MAX = 10_000;
/** Of a claim: 32 characters of base64, a shard and a bucket of five digits at most. */
export const CLAIMS_BYTES_MAX = 1024 * 1024;
const SHARDS_END = 1 << 15;

/** Claims of keys of one shard. */
export interface ClaimCall {
  /** The keys' owner. */
  readonly owner: number;
  readonly group: ClaimGroup;
}

export function encodeClaims({ owner, group }: ClaimCall): string {
  const { identities, shards, buckets, mapVersion } = group;
  return JSON.stringify({
    owner,
    mapVersion,
    identities: identities.toString("base64"),
    shards: [...shards],
    buckets: [...buckets],
  });
}

/** @throws OperatorError REQUEST_INVALID */
export function decodeClaims(value: unknown): ClaimCall {
  const said = (value ?? {}) as Readonly<Record<string, unknown>>;
  const { owner, mapVersion, identities: text } = said;
  const identities = Buffer.from(typeof text === "string" ? text : "", "base64");
  const shards = integers(said["shards"], SHARDS_END);
  const buckets = integers(said["buckets"], BUCKET_COUNT);
  const isWhole =
    isBelow(owner, SHARDS_END) &&
    isBelow(mapVersion, Number.MAX_SAFE_INTEGER) &&
    shards !== undefined &&
    buckets !== undefined &&
    shards.length === buckets.length &&
    identities.length === shards.length * IDENTITY_BYTES;
  if (!isWhole) throw new OperatorError("REQUEST_INVALID", "these are no claims of keys");
  return { owner, group: { identities, shards, buckets, mapVersion } };
}

function isBelow(value: unknown, end: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) < end;
}

function integers(value: unknown, end: number): Int16Array | undefined {
  if (!Array.isArray(value) || value.length > CLAIMS_MAX || !value.every((item) => isBelow(item, end)))
    return undefined;
  return Int16Array.from(value);
}

/** One answer: the shard of a claim, the figures of an outcome, or a problem. */
type Item =
  | readonly [status: number, replayed: number, ...figures: number[]]
  | readonly [status: number, replayed: number, problem: TransferProblem];

export function encodeClaimResults(results: TransferResults): string {
  const { position, debitBalance, creditBalance, recordedAtMicros } = results;
  const items = Array.from(results.status, (status, index): Item => {
    const problem = results.problems.get(index);
    const replayed = results.replayed[index] as number;
    if (problem !== undefined) return [status, replayed, problem];
    const figures = [position, debitBalance, creditBalance, recordedAtMicros].map((column) => column[index] as number);
    return [status, replayed, ...(status === RESULT.claimed ? figures.slice(0, 1) : figures)];
  });
  return JSON.stringify({ items });
}

/** @param count how many keys were sent @throws OperatorError INTERNAL when the answer is not one to them */
export function decodeClaimResults(value: unknown, count: number): TransferResults {
  const items = (value as { items?: unknown } | null)?.items;
  if (!Array.isArray(items) || items.length !== count) {
    throw new OperatorError("INTERNAL", "the pod that writes the shard answered with something else than claims");
  }
  const results = emptyResults(count);
  (items as readonly Item[]).forEach(([status, replayed, ...rest], index) => {
    results.status[index] = status;
    results.replayed[index] = replayed;
    const [first] = rest;
    if (typeof first === "object") {
      // A later version may know codes that this one does not.
      const code: ErrorCode = first.code in ERRORS ? first.code : "INTERNAL";
      results.problems.set(index, { code, detail: first.detail });
      return;
    }
    const [position = 0, debit = 0, credit = 0, recordedAt = 0] = rest as number[];
    results.position[index] = position;
    results.debitBalance[index] = debit;
    results.creditBalance[index] = credit;
    results.recordedAtMicros[index] = recordedAt;
  });
  return results;
}

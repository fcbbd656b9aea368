import { hash } from "node:crypto";
import { DEFAULT_TENANT } from "../../lib/core/ring.ts";

/** What a client asks for: one double-entry transfer, as validated at the border. */
export interface TransferRequest {
  /** The client's idempotency key. */
  readonly id: string;
  readonly debitAccount: string;
  readonly creditAccount: string;
  /** Whole minor units, at least 1. */
  readonly amount: number;
  readonly asset?: string | undefined;
  /** Microseconds since 1970; the time of recording when absent. */
  readonly effectiveAtMicros?: number | undefined;
  /** Canonical JSON text (`canonicalJson`), so that the order of members does not matter. */
  readonly metadata?: string | undefined;
}

/** Bytes of one entry of an identity table: 16 of the key, 8 of the payload's fingerprint. */
export const IDENTITY_BYTES = 24;
export const KEY_BYTES = 16;

/** The 128-bit idempotency key of a client's id, scoped to the tenant. */
export function keyOf(id: string): Buffer {
  return hash("sha256", `${DEFAULT_TENANT}\0${id}`, "buffer").subarray(0, KEY_BYTES);
}

/**
 * Writes the 128-bit idempotency key (scoped to the tenant) and the 64-bit fingerprint of the payload at `offset`.
 * Equal ids give equal keys; equal payloads give equal fingerprints whatever the order of their members was.
 */
export function writeIdentity(target: Buffer, offset: number, request: TransferRequest): void {
  writeDigest(target, { offset, bytes: KEY_BYTES, text: `${DEFAULT_TENANT}\0${request.id}` });
  const payload = `${request.debitAccount}\0${request.creditAccount}\0${request.amount}\0${request.asset ?? ""}\0${
    request.effectiveAtMicros ?? ""
  }\0${request.metadata ?? ""}`;
  writeDigest(target, { offset: offset + KEY_BYTES, bytes: IDENTITY_BYTES - KEY_BYTES, text: payload });
}

/** As a string on the way: a buffer of its own for each digest costs twice the digest. */
function writeDigest(target: Buffer, { offset, bytes, text }: { offset: number; bytes: number; text: string }): void {
  target.write(hash("sha256", text, "binary"), offset, bytes, "latin1");
}

/** The identities of many requests, back to back. */
export function identitiesOf(requests: readonly TransferRequest[]): Buffer {
  const table = Buffer.allocUnsafe(requests.length * IDENTITY_BYTES);
  for (let index = 0; index < requests.length; index += 1) {
    writeIdentity(table, index * IDENTITY_BYTES, requests[index] as TransferRequest);
  }
  return table;
}

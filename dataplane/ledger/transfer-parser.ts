/**
 * Reads one transfer of a request. Written by hand because a bulk request has ten thousand of them; api-schema.ts says
 * the same in zod for the documentation, and a test holds both against each other.
 */
import { canonicalJson } from "../../lib/core/canonical.ts";
import type { ErrorCode } from "../../lib/core/errors.ts";
import type { TransferRequest } from "./fingerprint.ts";
import { InexactNumber } from "./json-numbers.ts";
import type { TransferProblem } from "./ledger.work.ts";
import { explainTimestamp, parseTimestamp } from "./timestamps.ts";

/** Ids of accounts and placement keys. */
export const ACCOUNT_ID = /^[A-Za-z0-9][A-Za-z0-9_.:@-]{0,127}$/;
/** What an id of an account is, for people. */
export const ACCOUNT_ID_RULE = "must be 1 to 128 letters, digits and _ . : @ -, beginning with a letter or digit";
/** Ids of transfers: printable ASCII without spaces. */
export const TRANSFER_ID = /^[\x21-\x7e]{1,128}$/;
/** Codes of assets. */
export const ASSET_CODE = /^[A-Z][A-Z0-9_]{1,15}$/;

export const METADATA_MEMBERS_MAX = 20;
export const METADATA_NAME_MAX = 40;
export const METADATA_VALUE_MAX = 500;

const MEMBERS = new Set(["id", "debitAccount", "creditAccount", "amount", "asset", "effectiveAt", "metadata"]);

/** @param headerId the Idempotency-Key header, when there is one */
export function parseTransfer(value: unknown, headerId?: string): TransferRequest | TransferProblem {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return invalid("a transfer is a JSON object");
  }
  const source = value as Record<string, unknown>;
  for (const member in source) {
    if (!MEMBERS.has(member)) return invalid(`unknown member "${member.slice(0, 40)}"`);
  }
  const { debitAccount, creditAccount, amount, asset } = source;
  const id = source["id"] ?? headerId;
  if (typeof id !== "string" || !TRANSFER_ID.test(id)) {
    return invalid("id (or the Idempotency-Key header) must be 1 to 128 printable ASCII characters without spaces");
  }
  if (headerId !== undefined && id !== headerId) return invalid("id and the Idempotency-Key header differ");
  if (typeof debitAccount !== "string" || !ACCOUNT_ID.test(debitAccount))
    return invalid(`debitAccount ${ACCOUNT_ID_RULE}`);
  if (typeof creditAccount !== "string" || !ACCOUNT_ID.test(creditAccount)) {
    return invalid(`creditAccount ${ACCOUNT_ID_RULE}`);
  }
  const amountProblem = checkAmount(amount);
  if (amountProblem !== undefined) return amountProblem;
  if (debitAccount === creditAccount) {
    return problem("SAME_ACCOUNT", `debit and credit account are both "${debitAccount}"`);
  }
  if (asset !== undefined && (typeof asset !== "string" || !ASSET_CODE.test(asset))) {
    return invalid("asset is not an asset code");
  }
  const effectiveAtMicros = source["effectiveAt"] === undefined ? undefined : parseTimestamp(source["effectiveAt"]);
  if (Number.isNaN(effectiveAtMicros)) return invalid(`effectiveAt ${explainTimestamp(source["effectiveAt"])}`);
  const metadata = source["metadata"];
  const metadataProblem = metadata === undefined ? undefined : checkMetadata(metadata);
  if (metadataProblem !== undefined) return metadataProblem;
  return {
    id,
    debitAccount,
    creditAccount,
    amount: amount as number,
    asset: asset,
    effectiveAtMicros,
    metadata: metadata === undefined ? undefined : canonicalJson(metadata),
  };
}

/** Tells a problem from a request. */
export function isProblem(parsed: TransferRequest | TransferProblem): parsed is TransferProblem {
  return "code" in parsed;
}

function problem(code: ErrorCode, detail: string): TransferProblem {
  return { code, detail };
}

function invalid(detail: string): TransferProblem {
  return problem("REQUEST_INVALID", detail);
}

function checkAmount(amount: unknown): TransferProblem | undefined {
  if (amount instanceof InexactNumber) {
    return problem("NUMBER_INVALID", `amount ${amount.token.slice(0, 40)} is not a plain integer`);
  }
  if (typeof amount === "string") return invalid("amount is text; write a plain integer, without quotes");
  if (typeof amount !== "number") return invalid("amount must be a plain integer");
  if (!Number.isSafeInteger(amount)) return problem("NUMBER_INVALID", "amount is beyond 9007199254740991");
  if (amount < 1) return problem("AMOUNT_NOT_POSITIVE", `amount ${amount} is not positive`);
  return undefined;
}

/** Whether a text has so many characters; one beyond U+FFFF counts once. */
export function isWithin(text: string, min: number, max: number): boolean {
  if (text.length < min) return false;
  return text.length <= max || (text.length <= max * 2 && characters(text) <= max);
}

/** A name for a sentence, with what cannot be seen escaped. */
function shown(name: string): string {
  return JSON.stringify(name.length <= METADATA_NAME_MAX ? name : `${name.slice(0, METADATA_NAME_MAX)}...`);
}

function characters(text: string): number {
  let count = 0;
  for (const _character of text) count += 1;
  return count;
}

function checkMetadata(metadata: unknown): TransferProblem | undefined {
  if (typeof metadata !== "object" || metadata === null || Array.isArray(metadata)) {
    return invalid("metadata must be an object of strings");
  }
  const entries = Object.entries(metadata);
  if (entries.length > METADATA_MEMBERS_MAX) return invalid(`metadata has more than ${METADATA_MEMBERS_MAX} members`);
  for (const [name, value] of entries) {
    if (!isWithin(name, 1, METADATA_NAME_MAX)) {
      return invalid(`metadata has the name ${shown(name)}; names have 1 to ${METADATA_NAME_MAX} characters`);
    }
    if (typeof value !== "string") return invalid(`metadata ${shown(name)} is not text; all values are`);
    if (!isWithin(value, 0, METADATA_VALUE_MAX)) {
      return invalid(
        `metadata ${shown(name)} has ${characters(value)} characters; values have at most ${METADATA_VALUE_MAX}`,
      );
    }
  }
  return undefined;
}

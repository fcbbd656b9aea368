/** The HTTP API in zod: what the OpenAPI document is printed from, and what small requests are parsed with. */
import { z } from "zod";
import { CREDITS_MAX } from "../../lib/core/money.ts";
import { SCOPES } from "./api-keys.ts";
import { explainTimestamp, parseTimestamp, TIMESTAMP } from "./timestamps.ts";
import {
  ACCOUNT_ID,
  ACCOUNT_ID_RULE,
  ASSET_CODE,
  isWithin,
  METADATA_MEMBERS_MAX,
  METADATA_NAME_MAX,
  METADATA_VALUE_MAX,
  TRANSFER_ID,
} from "./transfer-parser.ts";

/** Most transfers of one bulk request. */
export const BULK_ITEMS_MAX = 10_000;
/** Largest body of a bulk request. */
export const BODY_BYTES_MAX = 16 * 1024 * 1024;
/** Largest body of any other request: the longest transfer there is fits, with each of its characters escaped. */
export const SMALL_BODY_BYTES_MAX = 256 * 1024;
/** Most events of one page. */
export const EVENTS_PAGE_MAX = 1_000;
export const EVENTS_PAGE_DEFAULT = 100;

const accountId = z
  .string()
  .regex(ACCOUNT_ID, { error: ACCOUNT_ID_RULE })
  .meta({ description: "Id of an account.", examples: ["alice"] });
const credits = z.int().min(-CREDITS_MAX).max(CREDITS_MAX);
const time = z.string().meta({ description: "RFC 3339 time with microseconds, UTC." });
const position = z
  .int()
  .min(0)
  .max(CREDITS_MAX)
  .meta({ description: "Position in the log of the shard; the first event has 1." });
const shard = z.int().min(0).meta({ description: "Index of the shard." });

/** Text whose length is counted in characters, as JSON Schema does; JavaScript counts halves of some. */
function text(min: number, max: number): z.ZodType<string> {
  return z
    .string()
    .refine((value) => isWithin(value, min, max))
    .meta({ minLength: min, maxLength: max });
}

/** Ids of accounts that clients may open. */
const OWN_ACCOUNT_ID = new RegExp(ACCOUNT_ID.source.replace("^", "^(?!system:)"));

export const openAccountRequest = z
  .strictObject({
    id: z
      .string()
      .regex(OWN_ACCOUNT_ID, { error: `${ACCOUNT_ID_RULE}; ids that begin with "system:" are reserved` })
      .meta({ description: "Id of the account.", examples: ["alice"] }),
    asset: z.string().regex(ASSET_CODE).meta({ description: "Asset that the account keeps." }),
    creditLimit: z
      .int()
      .min(0)
      .max(CREDITS_MAX)
      .default(0)
      .meta({ description: "How far below zero the balance may go, in minor units." }),
    placementKey: accountId.optional().meta({
      description: "Accounts with the same placement key live on the same shard. The id when absent; immutable.",
    }),
  })
  .meta({ id: "OpenAccount" });

export const transferRequest = z
  .strictObject({
    id: z
      .string()
      .regex(TRANSFER_ID)
      .optional()
      .meta({
        description:
          "Idempotency key: one payload and one effect in the whole ledger. May be sent as the Idempotency-Key header instead. " +
          "Of an id with a part in braces that part decides which shard owns the key: with the account's placement key in it " +
          "({acc-7}:order-1) the transfer depends on no other shard.",
      }),
    debitAccount: accountId.meta({ description: "Account that gives." }),
    creditAccount: accountId.meta({ description: "Account that receives." }),
    amount: z
      .int()
      .min(1)
      .max(CREDITS_MAX)
      .meta({ description: "Minor units: a plain integer without fraction or exponent." }),
    asset: z.string().regex(ASSET_CODE).optional().meta({ description: "Checked against the accounts when given." }),
    effectiveAt: z
      .string()
      .superRefine((value, context) => {
        if (Number.isNaN(parseTimestamp(value))) context.addIssue({ code: "custom", message: explainTimestamp(value) });
      })
      .meta({ pattern: TIMESTAMP.source })
      .optional()
      .meta({ description: "When it happened: a date or an RFC 3339 time. The time of recording when absent." }),
    metadata: z
      .record(text(1, METADATA_NAME_MAX), text(0, METADATA_VALUE_MAX))
      .refine((value) => Object.keys(value).length <= METADATA_MEMBERS_MAX)
      .meta({ maxProperties: METADATA_MEMBERS_MAX })
      .optional()
      .meta({ description: `At most ${METADATA_MEMBERS_MAX} strings.` }),
  })
  .meta({ id: "Transfer" });

export const bulkRequest = z
  .strictObject({
    mode: z
      .enum(["continue"])
      .default("continue")
      .meta({ description: "continue: each transfer stands for itself, one that is refused does not stop the next." }),
    createAccounts: z
      .boolean()
      .default(false)
      .meta({ description: "Opens unknown accounts, with credit limit 0 and their id as placement key." }),
    items: z
      .array(transferRequest)
      .min(1)
      .max(BULK_ITEMS_MAX)
      .meta({ description: "Decided in this order on each shard." }),
  })
  .meta({ id: "BulkTransfer" });

export const createKeyRequest = z
  .strictObject({
    name: z
      .string()
      .min(1)
      .max(64)
      .regex(/^[\x20-\x7e]+$/)
      .meta({ description: "For people." }),
    scopes: z
      .array(z.enum(SCOPES))
      .min(1)
      .max(SCOPES.length)
      .meta({
        description:
          "read: GET. write: accounts and transfers. mint: transfers that debit a system account, and accounts with a credit limit, besides write. " +
          "admin: API keys. A key gives only scopes that it has itself.",
      }),
  })
  .meta({ id: "CreateApiKey" });

export const problem = z
  .looseObject({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    code: z.string().meta({ description: "Stable code; see the error reference." }),
    detail: z.string(),
    action: z.string().meta({ description: "What to do." }),
  })
  .meta({ id: "Problem", description: "RFC 9457 problem document." });

export const transferAnswer = z
  .strictObject({
    id: z.string(),
    shard,
    position,
    debitBalance: credits.meta({ description: "Balance of the debit account after the transfer." }),
    creditBalance: credits.meta({ description: "Balance of the credit account after the transfer." }),
    recordedAt: time,
    replayed: z.boolean().meta({ description: "True when the key was known: this is the first answer again." }),
  })
  .meta({ id: "TransferAnswer" });

export const bulkAnswer = z
  .strictObject({
    items: z.array(
      z.strictObject({
        id: z.string().nullable(),
        status: z
          .int()
          .meta({ description: "What the transfer alone would have been answered with: 200, 201, 4xx or 503." }),
        shard: shard
          .optional()
          .meta({ description: "The shard that answered: that of the accounts, or the owner of the key." }),
        position: position.optional(),
        debitBalance: credits.optional(),
        creditBalance: credits.optional(),
        recordedAt: time.optional(),
        replayed: z.boolean(),
        code: z.string().optional(),
        detail: z.string().optional(),
      }),
    ),
  })
  .meta({ id: "BulkAnswer" });

export const accountAnswer = z
  .strictObject({
    id: accountId,
    asset: z.string(),
    creditLimit: credits,
    placementKey: accountId,
    shard,
    openedAt: time,
  })
  .meta({ id: "Account" });

export const balanceAnswer = z
  .strictObject({
    account: accountId,
    asset: z.string(),
    shard,
    posted: credits.meta({ description: "Balance in minor units." }),
    available: z.unknown().meta({
      type: "integer",
      minimum: 0,
      maximum: 2 * CREDITS_MAX,
      description:
        "Posted balance plus credit limit: the most that may leave the account. May be beyond 2^53, where a reader that " +
        "keeps numbers in 64-bit floating point rounds it.",
    }),
    version: z.int().min(0).meta({ description: "Number of events of the account so far." }),
    lastPosition: position.meta({ description: "Position of the account's last event; 0 = none." }),
    position: position.meta({ description: "Position of the shard that this balance is as of." }),
  })
  .meta({ id: "Balance" });

export const eventAnswer = z
  .strictObject({
    shard,
    position,
    id: z.string(),
    debitAccount: accountId,
    creditAccount: accountId,
    amount: credits,
    debitBalance: credits,
    creditBalance: credits,
    recordedAt: time,
    effectiveAt: time,
    apiKey: z
      .string()
      .nullable()
      .meta({ description: "Id of the API key that sent it; null for events from before keys were recorded." }),
    metadata: z.record(z.string(), z.string()).nullable(),
  })
  .meta({ id: "Event" });

export const eventsAnswer = z
  .strictObject({
    events: z.array(eventAnswer),
    next: position.meta({ description: "Send it as `after` to go on; no event is ever skipped." }),
  })
  .meta({ id: "Events" });

export const shardsAnswer = z
  .strictObject({
    mapVersion: z.int(),
    owners: z.string().meta({ description: 'Owner of each of the 4096 buckets as runs "firstBucket:shard".' }),
    shards: z.array(
      z.union([
        z.strictObject({
          shard,
          position,
          block: z.int(),
          accounts: z.int(),
          epoch: z.int(),
          hash: z.string().meta({ description: "Head of the hash chain, hex." }),
          recordedAt: time,
        }),
        z
          .strictObject({ shard, code: z.string(), detail: z.string() })
          .meta({ description: "A shard that did not answer, and why: a code of the error reference." }),
      ]),
    ),
  })
  .meta({ id: "Shards" });

export const keyAnswer = z
  .strictObject({
    id: z.string(),
    name: z.string(),
    scopes: z.array(z.string()),
    createdAt: time,
    revoked: z.boolean(),
    revokedAt: time.optional().meta({ description: "Since when it is refused; absent for a key that is valid." }),
    key: z.string().optional().meta({ description: "The raw key, in the answer to its creation only." }),
  })
  .meta({ id: "ApiKey" });

export const keysAnswer = z.strictObject({ keys: z.array(keyAnswer) }).meta({ id: "ApiKeys" });

/**
 * Every operation of the API, once: the server takes its routes, scopes and checks of path, query and body from here, and the
 * OpenAPI document is printed from here.
 */
import { z } from "zod";
import type { ErrorCode } from "../../lib/core/errors.ts";
import { CREDITS_MAX } from "../../lib/core/money.ts";
import type { Scope } from "./api-keys.ts";
import * as schema from "./api-schema.ts";
import { explainTimestamp, parseTimestamp, TIMESTAMP } from "./timestamps.ts";
import { ACCOUNT_ID, ACCOUNT_ID_RULE, TRANSFER_ID } from "./transfer-parser.ts";

export interface Operation {
  readonly method: "get" | "post" | "delete";
  readonly path: string;
  readonly summary: string;
  /** What the key needs; without one no key is needed. */
  readonly scope?: Scope;
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  readonly headers?: z.ZodObject;
  readonly request?: z.ZodType;
  /** Largest body, where it is not that of one transfer. */
  readonly bodyBytesMax?: number;
  /** By status. */
  readonly answers: Readonly<Record<string, z.ZodType | null>>;
  /** Codes of all problems that it answers with. */
  readonly problems: readonly ErrorCode[];
  /** The answer may be that of an earlier request, and says so in a header. */
  readonly isReplayable?: boolean;
}

/** Most shards of a ledger; a shard that there is not is refused by the server. */
const SHARDS_MAX = 1024;
const INTEGER = /^(0|[1-9][0-9]{0,15})$/;

/** An integer in a query. */
function integer(bounds: { readonly min: number; readonly max: number }): z.ZodType<number> {
  const error = `must be an integer from ${bounds.min} to ${bounds.max}`;
  return z
    .string({ error })
    .regex(INTEGER, { error })
    .transform(Number)
    .pipe(z.int({ error }).min(bounds.min, { error }).max(bounds.max, { error }));
}

const accountParams = z.strictObject({
  id: z.string().regex(ACCOUNT_ID, { error: ACCOUNT_ID_RULE }).meta({ description: "Id of the account." }),
});
const keyParams = z.strictObject({ id: z.string().meta({ description: "Id of the API key, not the key itself." }) });
const shardOfExternal = integer({ min: 0, max: SHARDS_MAX - 1 })
  .optional()
  .meta({
    description: "For an external account (system:external:<asset>), which every shard has: the shard that is meant.",
  });
const time = z.string().superRefine((value, context) => {
  if (Number.isNaN(parseTimestamp(value))) context.addIssue({ code: "custom", message: explainTimestamp(value) });
});

const ALWAYS = ["REQUEST_INVALID", "REQUEST_TIMEOUT", "HEADERS_TOO_LARGE", "INTERNAL"] as const;
const KEYED = [
  ...ALWAYS,
  "API_KEY_MISSING",
  "API_KEY_INVALID",
  "SCOPE_MISSING",
  "SHARD_UNAVAILABLE",
  "SHUTTING_DOWN",
  "OVERLOADED",
] as const;
const WITH_BODY = [
  ...KEYED,
  "JSON_INVALID",
  "JSON_MEMBER_REPEATED",
  "NUMBER_INVALID",
  "BODY_TOO_LARGE",
  "CONTENT_TYPE_UNSUPPORTED",
] as const;
const WRITES = [
  ...WITH_BODY,
  "WRITER_UNAVAILABLE",
  "OUTCOME_UNKNOWN",
  "SHARD_DISK_FULL",
  "SHARD_MAP_STALE",
  "ASSET_UNKNOWN",
] as const;

/** By operation id. */
export const OPERATIONS = {
  openAccount: {
    method: "post",
    path: "/v1/accounts",
    summary: "Opens an account; the same request again answers 200. A credit limit needs the scope mint, too.",
    scope: "write",
    request: schema.openAccountRequest,
    answers: { 200: schema.accountAnswer, 201: schema.accountAnswer },
    problems: [...WRITES, "ACCOUNT_CONFLICT"],
  },
  getAccount: {
    method: "get",
    path: "/v1/accounts/{id}",
    summary: "Reads an account.",
    scope: "read",
    params: accountParams,
    query: z.strictObject({ shard: shardOfExternal }),
    answers: { 200: schema.accountAnswer },
    problems: [...KEYED, "ACCOUNT_NOT_FOUND"],
  },
  getBalance: {
    method: "get",
    path: "/v1/accounts/{id}/balance",
    summary: "Reads a balance now, as of a position or as of a recorded time.",
    scope: "read",
    params: accountParams,
    query: z.strictObject({
      shard: shardOfExternal,
      position: integer({ min: 0, max: CREDITS_MAX })
        .optional()
        .meta({ description: "As of this position of the shard, up to its head." }),
      at: time.optional().meta({
        pattern: TIMESTAMP.source,
        description:
          "As of this recorded time: a date or an RFC 3339 time, not in the future; not together with position.",
      }),
    }),
    answers: { 200: schema.balanceAnswer },
    problems: [...KEYED, "ACCOUNT_NOT_FOUND", "POSITION_NOT_FOUND"],
  },
  transfer: {
    method: "post",
    path: "/v1/transfers",
    summary:
      "Moves credits between two accounts of one shard; 201 when it was carried out now, 200 when it was before. " +
      "Debits of a system account (system:...) need the scope mint, too.",
    scope: "write",
    headers: z.object({
      "Idempotency-Key": z.string().regex(TRANSFER_ID).optional().meta({
        description: "The transfer's id, when the body has none.",
      }),
    }),
    request: schema.transferRequest,
    answers: { 200: schema.transferAnswer, 201: schema.transferAnswer },
    problems: [
      ...WRITES,
      "AMOUNT_NOT_POSITIVE",
      "ACCOUNT_NOT_FOUND",
      "ASSET_MISMATCH",
      "SAME_ACCOUNT",
      "CROSS_SHARD_TRANSFER",
      "INSUFFICIENT_CREDIT",
      "BALANCE_OVERFLOW",
      "IDEMPOTENCY_KEY_REUSED",
    ],
    isReplayable: true,
  },
  transferBulk: {
    method: "post",
    path: "/v1/transfers:bulk",
    summary: `Up to ${schema.BULK_ITEMS_MAX} transfers, each with a status of its own; also one that is no valid transfer.`,
    scope: "write",
    request: schema.bulkRequest,
    bodyBytesMax: schema.BODY_BYTES_MAX,
    answers: { 200: schema.bulkAnswer },
    problems: WRITES,
  },
  listEvents: {
    method: "get",
    path: "/v1/events",
    summary: "Reads the log of a shard from a position.",
    scope: "read",
    query: z.strictObject({
      shard: integer({ min: 0, max: SHARDS_MAX - 1 }).meta({ description: "Index of the shard." }),
      after: integer({ min: 0, max: CREDITS_MAX })
        .default(0)
        .meta({ description: "Events after this position, which is at most the shard's head." }),
      limit: integer({ min: 1, max: schema.EVENTS_PAGE_MAX })
        .default(schema.EVENTS_PAGE_DEFAULT)
        .meta({ description: "At most this many; fewer where they are large. `next` tells where to go on." }),
    }),
    answers: { 200: schema.eventsAnswer },
    problems: [...KEYED, "POSITION_NOT_FOUND"],
  },
  listShards: {
    method: "get",
    path: "/v1/shards",
    summary: "Reads the shard map and the heads of all logs; a shard that does not answer has a code instead.",
    scope: "read",
    answers: { 200: schema.shardsAnswer },
    problems: KEYED,
  },
  createApiKey: {
    method: "post",
    path: "/v1/api-keys",
    summary: "Makes an API key; the raw key is in this answer and nowhere else.",
    scope: "admin",
    request: schema.createKeyRequest,
    answers: { 201: schema.keyAnswer },
    problems: [...WITH_BODY, "SHARD_DISK_FULL"],
  },
  listApiKeys: {
    method: "get",
    path: "/v1/api-keys",
    summary: "Lists API keys without their secret.",
    scope: "admin",
    answers: { 200: schema.keysAnswer },
    problems: KEYED,
  },
  revokeApiKey: {
    method: "delete",
    path: "/v1/api-keys/{id}",
    summary: "Revokes an API key for good.",
    scope: "admin",
    params: keyParams,
    answers: { 204: null },
    problems: [...KEYED, "BODY_TOO_LARGE", "CONTENT_TYPE_UNSUPPORTED", "API_KEY_NOT_FOUND", "SHARD_DISK_FULL"],
  },
  getOpenApi: {
    method: "get",
    path: "/openapi.json",
    summary: "This document.",
    answers: { 200: z.looseObject({}) },
    problems: ALWAYS,
  },
} as const satisfies Readonly<Record<string, Operation>>;

export type OperationId = keyof typeof OPERATIONS;

type Part<Id extends OperationId, Name extends "params" | "query"> =
  (typeof OPERATIONS)[Id] extends Readonly<Record<Name, infer Shape extends z.ZodType>> ? z.output<Shape> : undefined;

/** Path and query of a request, checked. */
export interface OperationInput<Id extends OperationId> {
  readonly params: Part<Id, "params">;
  readonly query: Part<Id, "query">;
}

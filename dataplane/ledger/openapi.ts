/** The OpenAPI 3.1 document, printed from the schemas of api-schema.ts. */
import { z } from "zod";
import * as schema from "./api-schema.ts";

interface Operation {
  readonly method: "get" | "post" | "delete";
  readonly path: string;
  readonly id: string;
  readonly summary: string;
  readonly scope?: "read" | "write";
  readonly parameters?: readonly Parameter[];
  readonly request?: z.ZodType;
  readonly answers: Readonly<Record<string, z.ZodType | null>>;
}

interface Parameter {
  readonly name: string;
  readonly in: "path" | "query" | "header";
  readonly description: string;
  readonly schema: Readonly<Record<string, unknown>>;
}

const idParameter: Parameter = {
  name: "id",
  in: "path",
  description: "Id of the object.",
  schema: { type: "string" },
};
const integer = { type: "integer", minimum: 0 };
const externalShard: Parameter = {
  name: "shard",
  in: "query",
  description: "For an external account (system:external:<asset>), which every shard has: the shard that is meant.",
  schema: integer,
};

const OPERATIONS: readonly Operation[] = [
  {
    method: "post",
    path: "/v1/accounts",
    id: "openAccount",
    summary: "Opens an account; the same request again answers 200.",
    scope: "write",
    request: schema.openAccountRequest,
    answers: { 200: schema.accountAnswer, 201: schema.accountAnswer },
  },
  {
    method: "get",
    path: "/v1/accounts/{id}",
    id: "getAccount",
    summary: "Reads an account.",
    scope: "read",
    parameters: [idParameter, externalShard],
    answers: { 200: schema.accountAnswer },
  },
  {
    method: "get",
    path: "/v1/accounts/{id}/balance",
    id: "getBalance",
    summary: "Reads a balance now, as of a position or as of a recorded time.",
    scope: "read",
    parameters: [
      idParameter,
      externalShard,
      { name: "position", in: "query", description: "As of this position of the shard.", schema: integer },
      {
        name: "at",
        in: "query",
        description: "As of this recorded time (RFC 3339); not together with position.",
        schema: { type: "string", format: "date-time" },
      },
    ],
    answers: { 200: schema.balanceAnswer },
  },
  {
    method: "post",
    path: "/v1/transfers",
    id: "transfer",
    summary:
      "Moves credits between two accounts of one shard; 201 when it was carried out now, 200 when it was before.",
    scope: "write",
    parameters: [
      {
        name: "Idempotency-Key",
        in: "header",
        description: "The transfer's id, when the body has none.",
        schema: { type: "string" },
      },
    ],
    request: schema.transferRequest,
    answers: { 200: schema.transferAnswer, 201: schema.transferAnswer },
  },
  {
    method: "post",
    path: "/v1/transfers:bulk",
    id: "transferBulk",
    summary: `Up to ${schema.BULK_ITEMS_MAX} transfers, each with a status of its own.`,
    scope: "write",
    request: schema.bulkRequest,
    answers: { 200: schema.bulkAnswer },
  },
  {
    method: "get",
    path: "/v1/events",
    id: "listEvents",
    summary: "Reads the log of a shard from a position.",
    scope: "read",
    parameters: [
      { name: "shard", in: "query", description: "Index of the shard.", schema: integer },
      { name: "after", in: "query", description: "Events after this position; 0 when absent.", schema: integer },
      {
        name: "limit",
        in: "query",
        description: `At most this many; ${schema.EVENTS_PAGE_DEFAULT} when absent.`,
        schema: { type: "integer", minimum: 1, maximum: schema.EVENTS_PAGE_MAX },
      },
    ],
    answers: { 200: schema.eventsAnswer },
  },
  {
    method: "get",
    path: "/v1/shards",
    id: "listShards",
    summary: "Reads the shard map and the heads of all logs.",
    scope: "read",
    answers: { 200: schema.shardsAnswer },
  },
  {
    method: "post",
    path: "/v1/api-keys",
    id: "createApiKey",
    summary: "Makes an API key; the raw key is in this answer and nowhere else.",
    scope: "write",
    request: schema.createKeyRequest,
    answers: { 201: schema.keyAnswer },
  },
  {
    method: "get",
    path: "/v1/api-keys",
    id: "listApiKeys",
    summary: "Lists API keys without their secret.",
    scope: "read",
    answers: { 200: schema.keysAnswer },
  },
  {
    method: "delete",
    path: "/v1/api-keys/{id}",
    id: "revokeApiKey",
    summary: "Revokes an API key for good.",
    scope: "write",
    parameters: [idParameter],
    answers: { 204: null },
  },
  {
    method: "get",
    path: "/openapi.json",
    id: "getOpenApi",
    summary: "This document.",
    answers: { 200: z.looseObject({}) },
  },
];

/** Makes the document; it depends on nothing but the program's version. */
export function openApiDocument(version: string): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const operation of OPERATIONS) (paths[operation.path] ??= {})[operation.method] = printOperation(operation);
  return {
    openapi: "3.1.0",
    info: {
      title: "CreditLedger",
      version,
      description:
        "An event-sourced ledger of credits: never below the limit, each key carried out once, replayable. Amounts are whole minor units.",
    },
    security: [{ apiKey: [] }],
    paths,
    components: {
      securitySchemes: { apiKey: { type: "http", scheme: "bearer", description: "Authorization: Bearer sxk_..." } },
      schemas: componentSchemas(),
    },
  };
}

function printOperation(operation: Operation): Record<string, unknown> {
  const responses: Record<string, unknown> = {};
  for (const [status, answer] of Object.entries(operation.answers)) {
    responses[status] = answer === null ? { description: "Done." } : { description: "Done.", ...content(answer) };
  }
  responses["default"] = {
    description: "Anything else.",
    content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
  };
  return {
    operationId: operation.id,
    summary: operation.summary,
    ...(operation.scope === undefined ? { security: [] } : { description: `Needs the scope ${operation.scope}.` }),
    ...(operation.parameters === undefined
      ? {}
      : { parameters: operation.parameters.map((parameter) => ({ ...parameter, required: parameter.in === "path" })) }),
    ...(operation.request === undefined ? {} : { requestBody: { required: true, ...content(operation.request) } }),
    responses,
  };
}

function content(type: z.ZodType): Record<string, unknown> {
  const id = z.globalRegistry.get(type)?.["id"];
  const printed = id === undefined ? printSchema(type, "output") : { $ref: `#/components/schemas/${id}` };
  return { content: { "application/json": { schema: printed } } };
}

function componentSchemas(): Record<string, unknown> {
  const schemas: Record<string, unknown> = {};
  for (const value of Object.values(schema)) {
    if (!(value instanceof z.ZodType)) continue;
    const id = z.globalRegistry.get(value)?.["id"];
    if (id === undefined) continue;
    const isRequest = OPERATIONS.some((operation) => operation.request === value);
    schemas[id] = printSchema(value, isRequest ? "input" : "output");
  }
  return schemas;
}

/** One schema; what it names is referred to by name. */
function printSchema(type: z.ZodType, io: "input" | "output"): Record<string, unknown> {
  const printed = z.toJSONSchema(type, { io }) as Record<string, unknown> & { $defs?: Record<string, unknown> };
  const id = z.globalRegistry.get(type)?.["id"];
  const {
    $schema: _dialect,
    $defs: _definitions,
    id: _id,
    ...own
  } = (id === undefined ? printed : { ...(printed.$defs?.[id] ?? printed) }) as Record<string, unknown>;
  return JSON.parse(JSON.stringify(own).replaceAll("#/$defs/", "#/components/schemas/")) as Record<string, unknown>;
}

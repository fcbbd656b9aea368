/** The OpenAPI 3.1 document, printed from the operations that the server serves. */
import { z } from "zod";
import { ERRORS, type ErrorCode } from "../../lib/core/errors.ts";
import { OPERATIONS, type Operation } from "./api-operations.ts";
import * as schema from "./api-schema.ts";

const ALL: readonly (readonly [string, Operation])[] = Object.entries(OPERATIONS);

/** Makes the document; it depends on nothing but the program's version. */
export function openApiDocument(version: string): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const [id, operation] of ALL) (paths[operation.path] ??= {})[operation.method] = printOperation(id, operation);
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
      headers: HEADERS,
    },
  };
}

const HEADERS = {
  "Idempotency-Replayed": {
    description: "true: the key was known, and this is the first answer again.",
    schema: { type: "string", enum: ["true"] },
  },
  "Retry-After": { description: "Seconds.", required: true, schema: { type: "integer", minimum: 0 } },
  "WWW-Authenticate": { required: true, schema: { type: "string", enum: ["Bearer"] } },
};

function headersOf(names: readonly (keyof typeof HEADERS)[]): Record<string, unknown> {
  if (names.length === 0) return {};
  return { headers: Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }])) };
}

function printOperation(id: string, operation: Operation): Record<string, unknown> {
  const parameters = [
    ...printParameters("path", operation.params),
    ...printParameters("query", operation.query),
    ...printParameters("header", operation.headers),
  ];
  return {
    operationId: id,
    summary: operation.summary,
    ...(operation.scope === undefined ? { security: [] } : { description: `Needs the scope ${operation.scope}.` }),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(operation.request === undefined ? {} : { requestBody: { required: true, ...content(operation.request) } }),
    responses: { ...printAnswers(operation), ...printProblems(operation) },
  };
}

function printAnswers(operation: Operation): Record<string, unknown> {
  const replayed = operation.isReplayable === true ? headersOf(["Idempotency-Replayed"]) : {};
  return Object.fromEntries(
    Object.entries(operation.answers).map(([status, answer]) => [
      status,
      { description: "Done.", ...(status === "200" ? replayed : {}), ...(answer === null ? {} : content(answer)) },
    ]),
  );
}

/** Every status that is not a success, with the codes that it may have. */
function printProblems(operation: Operation): Record<string, unknown> {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of new Set(operation.problems)) {
    const { status } = ERRORS[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  const printed = [...byStatus].map(([status, codes]) => {
    const headers: (keyof typeof HEADERS)[] = [];
    if (status === 401) headers.push("WWW-Authenticate");
    if (status === 429 || status === 503) headers.push("Retry-After");
    if (operation.isReplayable === true && status === 422) headers.push("Idempotency-Replayed");
    const problem = { allOf: [{ $ref: "#/components/schemas/Problem" }, { properties: { code: { enum: codes } } }] };
    return [
      status,
      {
        description: codes.map((code) => `${code}: ${ERRORS[code].title}.`).join(" "),
        ...headersOf(headers),
        content: { "application/problem+json": { schema: problem } },
      },
    ];
  });
  return Object.fromEntries(printed) as Record<string, unknown>;
}

function printParameters(place: "path" | "query" | "header", shape: z.ZodObject | undefined): object[] {
  if (shape === undefined) return [];
  const printed = z.toJSONSchema(shape, { io: "output" }) as {
    properties: Record<string, { description?: string }>;
    required?: readonly string[];
  };
  return Object.entries(printed.properties).map(([name, { description, ...own }]) => ({
    name,
    in: place,
    ...(description === undefined ? {} : { description }),
    // A member with a default is there afterwards, and may be left out before.
    required: printed.required?.includes(name) === true && !("default" in own),
    schema: own,
  }));
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
    const isRequest = value === schema.transferRequest || ALL.some(([, operation]) => operation.request === value);
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

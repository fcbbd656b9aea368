/** The HTTPS API: TLS 1.3, keys, bodies, answers. What a request means is decided in the router and the writer. */
import { randomUUID } from "node:crypto";
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import type { z } from "zod";
import { OperatorError, toOperatorError, toProblem } from "../../lib/core/errors.ts";
import { formatShardMap } from "../../lib/core/shard-map.ts";
import type { Logger } from "../../lib/node/logger.ts";
import { postedMembers, rfc3339, statusOf } from "./answers.ts";
import type { ApiKeys, Scope } from "./api-keys.ts";
import {
  BODY_BYTES_MAX,
  BULK_ITEMS_MAX,
  createKeyRequest,
  EVENTS_PAGE_DEFAULT,
  EVENTS_PAGE_MAX,
  openAccountRequest,
} from "./api-schema.ts";
import { InexactNumber, parseJsonBody } from "./json-numbers.ts";
import type { AsOf, KeyRow, LedgerReads } from "./ledger.reads.ts";
import type { Caller, LedgerRouter, ShardMapSource } from "./ledger.router.ts";
import { RESULT, type TransferProblem } from "./ledger.work.ts";
import { isSystemAccount } from "./ledger-state.ts";
import { FORWARDED_HEADER, type PeerAnswer } from "./peer-client.ts";
import { explainTimestamp, parseTimestamp } from "./timestamps.ts";
import { isProblem, parseTransfer } from "./transfer-parser.ts";

export interface ServerOptions {
  readonly tls: { readonly certPem: string; readonly keyPem: string };
  readonly router: LedgerRouter;
  readonly map: ShardMapSource;
  /** By shard. */
  readonly reads: readonly LedgerReads[];
  readonly keys: ApiKeys;
  readonly openApi: Readonly<Record<string, unknown>>;
  readonly log: Logger;
  /** After each answer, for metrics. */
  readonly onAnswer?: (route: string, status: number) => void;
}

export interface LedgerServer {
  /** @returns the port; @throws OperatorError CONFIG_INVALID */
  listen(port: number, host?: string): Promise<number>;
  /** Serves new connections with another certificate. */
  setCertificate(tls: { readonly certPem: string; readonly keyPem: string }): void;
  /** Takes no new requests and waits for those under way. */
  close(): Promise<void>;
}

/** Bytes of request bodies in memory at once; a pod has 1 GiB, and a parsed body takes several times its size. */
const BODIES_BYTES_MAX = 64 * 1024 * 1024;
/** A client that stops in the middle of a request is cut off. */
const REQUEST_TIMEOUT_MS = 30_000;
const KEEP_ALIVE_TIMEOUT_MS = 75_000;

declare module "fastify" {
  interface FastifyContextConfig {
    /** `undefined` = no key needed. */
    scope?: Scope;
  }
  interface FastifyRequest {
    bodyBytes?: number;
  }
}

export function createLedgerServer(options: ServerOptions): LedgerServer {
  const { log } = options;
  const app = Fastify({
    https: { cert: options.tls.certPem, key: options.tls.keyPem, minVersion: "TLSv1.3" },
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    forceCloseConnections: "idle",
    genReqId: () => randomUUID(),
    exposeHeadRoutes: false,
  }) as unknown as FastifyInstance;

  app.removeAllContentTypeParsers();
  app.addContentTypeParser("application/json", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
  limitBodies(app);

  app.addHook("onRequest", async (request) => {
    const { scope } = request.routeOptions.config;
    if (scope !== undefined) await options.keys.check(request.headers.authorization, scope);
  });
  app.addHook("onResponse", async (request, reply) => {
    options.onAnswer?.(request.routeOptions.url ?? "unknown", reply.statusCode);
  });
  app.setNotFoundHandler((request, reply) =>
    sendProblem(reply, new OperatorError("ROUTE_NOT_FOUND", `${request.method} ${pathOf(request)} does not exist`)),
  );
  app.setErrorHandler((thrown, request, reply) => {
    const error = convertError(thrown);
    if (error.code === "INTERNAL") {
      log.error(
        { requestId: request.id, route: request.routeOptions.url, cause: error.cause, error: error.message },
        "request failed",
      );
    }
    return sendProblem(reply, error, request.id);
  });

  addTransferRoutes(app, options);
  addAccountRoutes(app, options);
  addLogRoutes(app, options);
  addKeyRoutes(app, options.keys);
  const openApi = JSON.stringify(options.openApi);
  app.get("/openapi.json", async (_request, reply) => reply.type("application/json").send(openApi));

  return {
    listen: async (port, host = "::") => {
      try {
        await app.listen({ port, host });
      } catch (cause) {
        throw new OperatorError("CONFIG_INVALID", `port ${port} cannot be opened: ${(cause as Error).message}`, {
          cause,
        });
      }
      return (app.server.address() as { port: number }).port;
    },
    setCertificate: ({ certPem, keyPem }) => {
      const server = app.server as unknown as { setSecureContext(context: object): void };
      server.setSecureContext({ cert: certPem, key: keyPem, minVersion: "TLSv1.3" });
    },
    close: () => app.close(),
  };
}

// --- routes ---

// A colon begins a parameter unless it is doubled.
function addTransferRoutes(app: FastifyInstance, options: ServerOptions): void {
  const { router } = options;
  app.post("/v1/transfers", { config: { scope: "write" } }, async (request, reply) => {
    const body = bodyOf(request);
    const parsed = parseTransfer(parseJsonBody(body), headerText(request, "idempotency-key"));
    if (isProblem(parsed)) throw problemError(parsed);
    const outcome = await router.transfer(parsed, body, callerOf(request));
    if (outcome.type === "peer") return sendPeerAnswer(reply, outcome.answer);
    const { results, shard } = outcome;
    if (results.replayed[0] === 1) reply.header("idempotency-replayed", "true");
    if (results.status[0] !== RESULT.posted) throw problemError(results.problems.get(0) as TransferProblem);
    const answer = `{${postedMembers({ results, index: 0, shard, id: parsed.id })}}`;
    return reply.code(statusOf(results, 0)).type("application/json").send(answer);
  });

  app.post("/v1/transfers::bulk", { config: { scope: "write" } }, async (request, reply) => {
    const body = bodyOf(request);
    const { items, createAccounts } = parseBulk(parseJsonBody(body));
    const parsed = items.map((item) => parseTransfer(item));
    const answer = await router.bulk({ items, parsed, createAccounts, body }, callerOf(request));
    if (typeof answer !== "string") return sendPeerAnswer(reply, answer);
    return reply.type("application/json").send(answer);
  });
}

const BULK_MEMBERS = new Set(["mode", "createAccounts", "items"]);

/** The frame of a bulk request; its items are parsed one by one, so that a bad one does not stop the others. */
function parseBulk(value: unknown): { items: readonly unknown[]; createAccounts: boolean } {
  const invalid = (detail: string): OperatorError => new OperatorError("REQUEST_INVALID", detail);
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw invalid("the body is not a JSON object");
  for (const member in value) if (!BULK_MEMBERS.has(member)) throw invalid(`unknown member "${member.slice(0, 40)}"`);
  const { mode = "continue", createAccounts = false, items } = value as Record<string, unknown>;
  if (mode !== "continue") throw invalid('mode must be "continue"; other modes do not exist yet');
  if (typeof createAccounts !== "boolean") throw invalid("createAccounts must be true or false");
  if (!Array.isArray(items) || items.length === 0) throw invalid("items must be a list of at least one transfer");
  if (items.length > BULK_ITEMS_MAX) {
    throw new OperatorError("BODY_TOO_LARGE", `${items.length} items; at most ${BULK_ITEMS_MAX} are taken at once`);
  }
  return { items, createAccounts };
}

function addAccountRoutes(app: FastifyInstance, options: ServerOptions): void {
  const { router, reads } = options;
  app.post("/v1/accounts", { config: { scope: "write" } }, async (request, reply) => {
    const body = parseWith(openAccountRequest, parseJsonBody(bodyOf(request)));
    if (isSystemAccount(body.id))
      throw new OperatorError("REQUEST_INVALID", 'ids that begin with "system:" are reserved');
    const caller = callerOf(request);
    const { id: extId, asset, creditLimit, placementKey = extId } = body;
    const { created, shard } = await router.openAccount({ extId, placementKey, asset, floor: 0 - creditLimit }, caller);
    reply.code(created ? 201 : 200);
    if (caller.forwarded === "pointer") return { created };
    const account = await (reads[shard] as LedgerReads).account(extId);
    return accountAnswer(account as NonNullable<typeof account>, shard);
  });

  /** External accounts are on every shard: `?shard=` says which one is meant. */
  const shardOf = async (extId: string, query: Record<string, string>): Promise<number> => {
    const asked = query["shard"];
    const shard = await router.locate(extId);
    if (shard === undefined) return integerParameter("shard", asked ?? "", { min: 0, max: reads.length - 1 });
    if (asked !== undefined) throw new OperatorError("REQUEST_INVALID", "shard is for external accounts only");
    return shard;
  };

  app.get<{ Params: { id: string }; Querystring: Record<string, string> }>(
    "/v1/accounts/:id",
    { config: { scope: "read" } },
    async (request) => {
      allowMembers(request.query, ["shard"]);
      const shard = await shardOf(request.params.id, request.query);
      const account = await (reads[shard] as LedgerReads).account(request.params.id);
      if (account === undefined) throw accountNotFound(request.params.id);
      return accountAnswer(account, shard);
    },
  );

  app.get<{ Params: { id: string }; Querystring: Record<string, string> }>(
    "/v1/accounts/:id/balance",
    { config: { scope: "read" } },
    async (request) => {
      const { id } = request.params;
      const asOf = parseAsOf(request.query);
      const shard = await shardOf(id, request.query);
      const balance = await (reads[shard] as LedgerReads).balance(id, asOf);
      if (balance === undefined) throw accountNotFound(id);
      const { asset, floor, posted, version, lastPosition, position } = balance;
      return { account: id, asset, shard, posted, available: posted - floor, version, lastPosition, position };
    },
  );
}

function accountAnswer(
  account: { id: string; asset: string; floor: number; placementKey: string; openedAtMicros: number },
  shard: number,
): object {
  const { id, asset, floor, placementKey, openedAtMicros } = account;
  return { id, asset, creditLimit: 0 - floor, placementKey, shard, openedAt: rfc3339(openedAtMicros) };
}

function accountNotFound(extId: string): OperatorError {
  return new OperatorError("ACCOUNT_NOT_FOUND", `account "${extId.slice(0, 128)}" does not exist`);
}

function parseAsOf(query: Record<string, string>): AsOf {
  allowMembers(query, ["position", "at", "shard"]);
  const { position, at } = query;
  if (position !== undefined && at !== undefined) {
    throw new OperatorError("REQUEST_INVALID", "position and at exclude each other");
  }
  if (position !== undefined) return { position: integerParameter("position", position, { min: 0 }) };
  if (at === undefined) return undefined;
  const atMicros = parseTimestamp(at);
  if (Number.isNaN(atMicros)) throw new OperatorError("REQUEST_INVALID", `at ${explainTimestamp(at)}`);
  return { atMicros };
}

function addLogRoutes(app: FastifyInstance, options: ServerOptions): void {
  const { reads, map } = options;
  app.get<{ Querystring: Record<string, string> }>(
    "/v1/events",
    { config: { scope: "read" } },
    async (request, reply) => {
      const { query } = request;
      allowMembers(query, ["shard", "after", "limit"]);
      const shard = integerParameter("shard", query["shard"] ?? "", { min: 0, max: reads.length - 1 });
      const after = integerParameter("after", query["after"] ?? "0", { min: 0 });
      const limit = integerParameter("limit", query["limit"] ?? String(EVENTS_PAGE_DEFAULT), {
        min: 1,
        max: EVENTS_PAGE_MAX,
      });
      const events = await (reads[shard] as LedgerReads).events(after, limit);
      const next = events.at(-1)?.position ?? after;
      const printed = events.map(
        ({ recordedAtMicros, effectiveAtMicros, metadata, ...event }) =>
          `${JSON.stringify({ shard, ...event, recordedAt: rfc3339(recordedAtMicros), effectiveAt: rfc3339(effectiveAtMicros) }).slice(0, -1)},"metadata":${metadata}}`,
      );
      return reply.type("application/json").send(`{"events":[${printed.join(",")}],"next":${next}}`);
    },
  );

  app.get("/v1/shards", { config: { scope: "read" } }, async () => {
    const { version, owners } = formatShardMap(map.current());
    const heads = await Promise.all(reads.map((shard) => shard.head()));
    return {
      mapVersion: Number(version),
      owners,
      shards: heads.map(({ recordedAtMicros, ...head }, shard) => ({
        shard,
        ...head,
        recordedAt: rfc3339(recordedAtMicros),
      })),
    };
  });
}

function addKeyRoutes(app: FastifyInstance, keys: ApiKeys): void {
  app.post("/v1/api-keys", { config: { scope: "write" } }, async (request, reply) => {
    const { name, scopes } = parseWith(createKeyRequest, parseJsonBody(bodyOf(request)));
    const made = await keys.create(name, scopes);
    return reply.code(201).send({ ...keyAnswer(made), key: made.raw });
  });
  app.get("/v1/api-keys", { config: { scope: "read" } }, async () => ({ keys: (await keys.list()).map(keyAnswer) }));
  app.delete<{ Params: { id: string } }>("/v1/api-keys/:id", { config: { scope: "write" } }, async (request, reply) => {
    if (!(await keys.revoke(request.params.id))) {
      throw new OperatorError("API_KEY_NOT_FOUND", `there is no API key ${request.params.id.slice(0, 40)}`);
    }
    return reply.code(204).send();
  });
}

function keyAnswer(row: KeyRow): object {
  return {
    id: row.id,
    name: row.name,
    scopes: row.scopes,
    createdAt: rfc3339(row.createdAtMicros),
    revoked: row.revoked,
    ...(row.revokedAtMicros === undefined ? {} : { revokedAt: rfc3339(row.revokedAtMicros) }),
  };
}

// --- requests ---

function bodyOf(request: FastifyRequest): Buffer {
  const { body } = request;
  if (body instanceof Buffer) return body;
  throw new OperatorError("CONTENT_TYPE_UNSUPPORTED", "the request has no JSON body");
}

function callerOf(request: FastifyRequest): Caller {
  return { authorization: request.headers.authorization ?? "", forwarded: headerText(request, FORWARDED_HEADER) };
}

function headerText(request: FastifyRequest, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function pathOf(request: FastifyRequest): string {
  return request.url.split("?", 1)[0]?.slice(0, 200) ?? "";
}

/** Parses with a schema; the first issue becomes the sentence. A number that is no plain integer has a code of its own. */
function parseWith<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const path = issue?.path ?? [];
  const found = path.reduce<unknown>((at, member) => (at as Record<PropertyKey, unknown> | undefined)?.[member], value);
  const where = path.length === 0 ? "body" : path.join(".");
  if (found instanceof InexactNumber || (typeof found === "number" && !Number.isSafeInteger(found))) {
    throw new OperatorError("NUMBER_INVALID", `${where} is not a plain integer within 9007199254740991`);
  }
  throw new OperatorError("REQUEST_INVALID", `${where}: ${issue?.message ?? "invalid"}`);
}

function allowMembers(query: Record<string, string>, names: readonly string[]): void {
  const other = Object.keys(query).find((name) => !names.includes(name));
  if (other !== undefined) throw new OperatorError("REQUEST_INVALID", `unknown parameter "${other.slice(0, 40)}"`);
}

const INTEGER = /^(0|[1-9][0-9]{0,15})$/;

function integerParameter(name: string, text: string, bounds: { min: number; max?: number }): number {
  const value = INTEGER.test(text) ? Number(text) : Number.NaN;
  const max = bounds.max ?? Number.MAX_SAFE_INTEGER;
  if (Number.isSafeInteger(value) && value >= bounds.min && value <= max) return value;
  throw new OperatorError("REQUEST_INVALID", `${name} must be an integer from ${bounds.min} to ${max}`);
}

/** Refuses bodies that would not fit into memory together, before they are read. */
function limitBodies(app: FastifyInstance): void {
  let bytes = 0;
  app.addHook("onRequest", async (request) => {
    if (request.method === "GET") return;
    const declared = Number(request.headers["content-length"]);
    const expected = Number.isSafeInteger(declared) ? Math.min(declared, BODY_BYTES_MAX) : BODY_BYTES_MAX;
    if (bytes > 0 && bytes + expected > BODIES_BYTES_MAX) {
      throw new OperatorError("OVERLOADED", "too many large requests at once", { retryAfterSeconds: 1 });
    }
    request.bodyBytes = expected;
    bytes += expected;
  });
  const release = async (request: FastifyRequest): Promise<void> => {
    bytes -= request.bodyBytes ?? 0;
    request.bodyBytes = 0;
  };
  app.addHook("onResponse", release);
  app.addHook("onRequestAbort", release);
}

// --- answers ---

function problemError(problem: TransferProblem): OperatorError {
  return new OperatorError(problem.code, problem.detail, { retryAfterSeconds: 1 });
}

function sendProblem(reply: FastifyReply, error: OperatorError, requestId?: string): FastifyReply {
  if (error.status === 429 || error.status === 503) reply.header("retry-after", String(error.retryAfterSeconds ?? 1));
  if (error.status === 401) reply.header("www-authenticate", "Bearer");
  const problem = toProblem(error);
  return reply
    .code(error.status)
    .type("application/problem+json")
    .send(JSON.stringify(requestId === undefined ? problem : { ...problem, requestId }));
}

function sendPeerAnswer(reply: FastifyReply, answer: PeerAnswer): FastifyReply {
  return reply.code(answer.status).headers(answer.headers).send(answer.body);
}

/** The framework's own failures by their codes; everything else keeps its own. */
function convertError(thrown: unknown): OperatorError {
  const code = (thrown as { code?: unknown }).code;
  switch (code) {
    case "FST_ERR_CTP_BODY_TOO_LARGE":
      return new OperatorError("BODY_TOO_LARGE", `the body has more than ${BODY_BYTES_MAX} bytes`);
    case "FST_ERR_CTP_INVALID_MEDIA_TYPE":
      return new OperatorError("CONTENT_TYPE_UNSUPPORTED", "the content type is not application/json");
    case "FST_ERR_CTP_EMPTY_JSON_BODY":
    case "FST_ERR_CTP_INVALID_CONTENT_LENGTH":
      return new OperatorError("JSON_INVALID", (thrown as Error).message);
    case "FST_ERR_BAD_URL":
      return new OperatorError("REQUEST_INVALID", "the path cannot be decoded");
    default:
      return toOperatorError(thrown);
  }
}

/** The HTTPS API: TLS 1.3, keys, bodies, answers. What a request means is decided in the router and the writer. */
import { randomUUID } from "node:crypto";
import type { TLSSocket } from "node:tls";
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import type { Clock } from "../../lib/core/clock.ts";
import { OperatorError, toOperatorError, toProblem } from "../../lib/core/errors.ts";
import { formatShardMap } from "../../lib/core/shard-map.ts";
import type { Logger } from "../../lib/node/logger.ts";
import { postedMembers, rfc3339, statusOf } from "./answers.ts";
import type { ActingKey, ApiKeys, Scope } from "./api-keys.ts";
import { addOperation } from "./api-routes.ts";
import {
  BULK_ITEMS_MAX,
  bulkRequest,
  createKeyRequest,
  openAccountRequest,
  SMALL_BODY_BYTES_MAX,
} from "./api-schema.ts";
import { addClaimsRoute } from "./claims-route.ts";
import {
  type ConnectionGuard,
  type CutReason,
  createConnectionGuard,
  DEADLINES,
  type Deadlines,
  HEADERS_BYTES_MAX,
} from "./connection-guard.ts";
import type { TransferRequest } from "./fingerprint.ts";
import { parseJsonBody } from "./json-numbers.ts";
import type { AsOf, KeyRow, LedgerReads } from "./ledger.reads.ts";
import type { Caller, LedgerRouter, ShardMapSource } from "./ledger.router.ts";
import { RESULT, type TransferProblem } from "./ledger.work.ts";
import { isSystemAccount } from "./ledger-state.ts";
import { FORWARDED_HEADER, type PeerAnswer } from "./peer-client.ts";
import { readBody } from "./request-body.ts";
import { checkBody } from "./request-checks.ts";
import { createRequestLimits, type Holding, type LimitName } from "./request-limits.ts";
import { parseTimestamp } from "./timestamps.ts";
import { isProblem, parseTransfer } from "./transfer-parser.ts";
import { isIncomplete, isMuchMissing, lingering } from "./unread-body.ts";

export interface ServerOptions {
  readonly tls: { readonly certPem: string; readonly keyPem: string };
  readonly router: LedgerRouter;
  readonly map: ShardMapSource;
  /** By shard. */
  readonly reads: readonly LedgerReads[];
  readonly keys: ApiKeys;
  /** Whether a pod of this ledger is at the other end. */
  readonly isPeer: (socket: TLSSocket) => boolean;
  readonly openApi: Readonly<Record<string, unknown>>;
  readonly log: Logger;
  readonly clock: Pick<Clock, "monotonic">;
  /** `DEADLINES` unless told. */
  readonly deadlines?: Deadlines | undefined;
  /** For metrics. */
  readonly onAnswer: (route: string, status: number) => void;
  readonly onCut: (reason: CutReason) => void;
  readonly onLimit: (limit: LimitName) => void;
}

export interface LedgerServer {
  /** @returns the port; @throws OperatorError CONFIG_INVALID */
  listen(port: number, host?: string): Promise<number>;
  /** Serves new connections with another certificate. */
  setCertificate(tls: { readonly certPem: string; readonly keyPem: string }): void;
  /** Open connections, without and with a key. */
  connections(): { readonly strangers: number; readonly clients: number };
  /** Takes no new requests and waits for those under way, for 3 s: by then the writers have answered what they will. */
  close(): Promise<void>;
}

/** A transfer in the answer to a bulk request, at most when it was carried out and about when it was refused. */
const BULK_ANSWER_ITEM_BYTES = 512;

declare module "fastify" {
  interface FastifyContextConfig {
    /** `undefined` = no key needed. */
    scope?: Scope;
    bodyBytesMax?: number;
  }
  interface FastifyRequest {
    /** Where the route needs a key. */
    actingKey?: ActingKey;
    holding?: Holding;
  }
}

export function createLedgerServer(options: ServerOptions): LedgerServer {
  const { log } = options;
  const guard = createConnectionGuard({
    tls: options.tls,
    limits: createRequestLimits(options.onLimit),
    isPeer: options.isPeer,
    clock: options.clock,
    deadlines: options.deadlines ?? DEADLINES,
    onCut: options.onCut,
  });
  const app = Fastify({
    serverFactory: (answer) => guard.serve(answer),
    clientErrorHandler: (error, socket) => guard.refuseUnreadable(error, socket),
    forceCloseConnections: "idle",
    // Ours is a problem document.
    return503OnClosing: false,
    genReqId: () => randomUUID(),
    exposeHeadRoutes: false,
    // What is too long is refused by its schema, with a sentence.
    routerOptions: { maxParamLength: HEADERS_BYTES_MAX },
    frameworkErrors: (error, request, reply) => {
      // Nobody will read what else this connection brings.
      reply.header("connection", "close");
      void sendProblem(reply, convertError(error), request.id);
    },
  }) as unknown as FastifyInstance;

  let isClosing = false;
  app.addHook("onRequest", async () => {
    if (isClosing) throw new OperatorError("SHUTTING_DOWN", "this pod ends", { retryAfterSeconds: 1 });
  });
  addBorder(app, options.keys, guard);
  app.addHook("onResponse", async (request, reply) => {
    options.onAnswer(request.routeOptions.url ?? "unknown", reply.statusCode);
  });
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
  addClaimsRoute(app, options);
  const openApi = JSON.stringify(options.openApi);
  addOperation(app, "getOpenApi", async (_input, _request, reply) => reply.type("application/json").send(openApi));

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
    connections: () => guard.counts(),
    close: async () => {
      isClosing = true;
      guard.stop();
      await app.close();
    },
  };
}

/**
 * What comes before a route, in this order: is there one, whose key is it, may it have one more request under way. Only then
 * is a body read, and only as far as there is room for it. Whoever fails one of these is answered without any of it.
 */
function addBorder(app: FastifyInstance, keys: ApiKeys, guard: ConnectionGuard): void {
  app.addHook("onRequest", async (request) => {
    if (request.is404) {
      throw new OperatorError("ROUTE_NOT_FOUND", `${request.method} ${pathOf(request)} does not exist`);
    }
    const { scope } = request.routeOptions.config;
    if (scope === undefined) return;
    request.actingKey = await keys.check(request.headers.authorization, scope);
    request.holding = guard.admit(request.raw, request.actingKey.id);
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("application/json", async (request: FastifyRequest) => {
    const { bodyBytesMax = SMALL_BODY_BYTES_MAX } = request.routeOptions.config;
    const limit = bodyBytesMax > SMALL_BODY_BYTES_MAX ? "bulk_bytes" : "body_bytes";
    return readBody(request.raw, {
      bytesMax: bodyBytesMax,
      limit,
      holding: holdingOf(request),
      invite: () => guard.invite(request.raw),
    });
  });
  app.addHook("onSend", async (request, reply, payload) => {
    guard.answering(request.raw);
    if (!isIncomplete(request.raw)) return payload;
    if (isMuchMissing(request.raw) || typeof payload !== "string") reply.header("connection", "close");
    if (typeof payload !== "string") return payload;
    reply.header("content-length", Buffer.byteLength(payload));
    return lingering(payload, request.raw);
  });
}

// --- routes ---

function addTransferRoutes(app: FastifyInstance, options: ServerOptions): void {
  const { router } = options;
  addOperation(app, "transfer", async (_input, request, reply) => {
    const body = bodyOf(request);
    const parsed = parseTransfer(parsedBody(request), headerText(request, "idempotency-key"));
    if (isProblem(parsed)) throw problemError(parsed);
    const lacking = mintProblem(parsed, actingKey(request));
    if (lacking !== undefined) throw problemError(lacking);
    const outcome = await router.transfer(parsed, body, callerOf(request, options));
    if (outcome.type === "peer") return sendPeerAnswer(reply, outcome.answer);
    const { results, shard, index } = outcome;
    if (results.replayed[index] === 1) reply.header("idempotency-replayed", "true");
    if (results.status[index] !== RESULT.posted) throw problemError(results.problems.get(index) as TransferProblem);
    const answer = `{${postedMembers({ results, index, shard, id: parsed.id })}}`;
    return reply.code(statusOf(results, index)).type("application/json").send(answer);
  });

  addOperation(app, "transferBulk", async (_input, request, reply) => {
    const body = bodyOf(request);
    const { items, createAccounts } = parseBulk(parsedBody(request));
    const key = actingKey(request);
    // Before anything is done: an answer that cannot be kept would not tell what was.
    holdingOf(request).take("answer_bytes", items.length * BULK_ANSWER_ITEM_BYTES);
    const parsed = items.map((item) => {
      const transfer = parseTransfer(item);
      return isProblem(transfer) ? transfer : (mintProblem(transfer, key) ?? transfer);
    });
    const answer = await router.bulk({ items, parsed, createAccounts, body }, callerOf(request, options));
    if (typeof answer !== "string") return sendPeerAnswer(reply, answer);
    return reply.type("application/json").send(answer);
  });
}

/** What leaves a system account comes out of nothing. */
function mintProblem({ debitAccount }: TransferRequest, key: ActingKey): TransferProblem | undefined {
  if (!isSystemAccount(debitAccount) || key.scopes.includes("mint")) return undefined;
  return {
    code: "SCOPE_MISSING",
    detail: `debiting "${debitAccount}" makes credits out of nothing: the API key needs the scope "mint"`,
  };
}

const BULK_MEMBERS: ReadonlySet<string> = new Set(Object.keys(bulkRequest.shape));

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
  addOperation(app, "openAccount", async (_input, request, reply) => {
    const body = checkBody(openAccountRequest, parsedBody(request));
    const caller = callerOf(request, options);
    const { id: extId, asset, creditLimit, placementKey = extId } = body;
    // Below zero an account spends what nobody paid in, as a system account does.
    if (creditLimit > 0 && !actingKey(request).scopes.includes("mint")) {
      const detail = 'an account with a credit limit spends what nobody paid in: the API key needs the scope "mint"';
      throw new OperatorError("SCOPE_MISSING", detail);
    }
    const { created, shard } = await router.openAccount({ extId, placementKey, asset, floor: 0 - creditLimit }, caller);
    reply.code(created ? 201 : 200);
    if (caller.forwarded === "pointer") return { created };
    const account = await (reads[shard] as LedgerReads).account(extId);
    return accountAnswer(account as NonNullable<typeof account>, shard);
  });

  /** External accounts are on every shard: `?shard=` says which one is meant. */
  const shardOf = async (extId: string, asked: number | undefined): Promise<number> => {
    const shard = await router.locate(extId);
    if (shard === undefined) return existingShard(asked, reads.length);
    if (asked !== undefined) throw new OperatorError("REQUEST_INVALID", "shard is for external accounts only");
    return shard;
  };

  addOperation(app, "getAccount", async ({ params: { id }, query }) => {
    const shard = await shardOf(id, query.shard);
    const account = await (reads[shard] as LedgerReads).account(id);
    if (account === undefined) throw accountNotFound(id);
    return accountAnswer(account, shard);
  });

  addOperation(app, "getBalance", async ({ params: { id }, query }, _request, reply) => {
    const asOf = asOfQuery(query);
    const shard = await shardOf(id, query.shard);
    const balance = await (reads[shard] as LedgerReads).balance(id, asOf);
    if (balance === undefined) throw accountNotFound(id);
    const { asset, floor, posted, version, lastPosition, position } = balance;
    // Both are within 2^53, their difference is not.
    const available = BigInt(posted) - BigInt(floor);
    const rest = JSON.stringify({ version, lastPosition, position }).slice(1);
    const answer = `${JSON.stringify({ account: id, asset, shard, posted }).slice(0, -1)},"available":${available},${rest}`;
    return reply.type("application/json").send(answer);
  });
}

function accountAnswer(
  account: { id: string; asset: string; floor: number; placementKey: string; openedAtMicros: number },
  shard: number,
): object {
  const { id, asset, floor, placementKey, openedAtMicros } = account;
  return { id, asset, creditLimit: 0 - floor, placementKey, shard, openedAt: rfc3339(openedAtMicros) };
}

function accountNotFound(extId: string): OperatorError {
  return new OperatorError("ACCOUNT_NOT_FOUND", `account "${extId}" does not exist`);
}

function asOfQuery({ position, at }: { position?: number | undefined; at?: string | undefined }): AsOf {
  if (position !== undefined && at !== undefined) {
    throw new OperatorError("REQUEST_INVALID", "position and at exclude each other");
  }
  if (position !== undefined) return { position };
  return at === undefined ? undefined : { atMicros: parseTimestamp(at) };
}

function existingShard(shard: number | undefined, shards: number): number {
  if (shard !== undefined && shard < shards) return shard;
  throw new OperatorError("REQUEST_INVALID", `shard must be an integer from 0 to ${shards - 1}`);
}

function addLogRoutes(app: FastifyInstance, options: ServerOptions): void {
  const { reads, map, log } = options;
  addOperation(app, "listEvents", async ({ query }, request, reply) => {
    const { after, limit } = query;
    const shard = existingShard(query.shard, reads.length);
    const events = await (reads[shard] as LedgerReads).events(after, limit);
    const next = events.at(-1)?.position ?? after;
    const printed = events.map(
      ({ recordedAtMicros, effectiveAtMicros, metadata, ...event }) =>
        `${JSON.stringify({ shard, ...event, recordedAt: rfc3339(recordedAtMicros), effectiveAt: rfc3339(effectiveAtMicros) }).slice(0, -1)},"metadata":${metadata}}`,
    );
    const answer = `{"events":[${printed.join(",")}],"next":${next}}`;
    holdingOf(request).take("answer_bytes", Buffer.byteLength(answer));
    return reply.type("application/json").send(answer);
  });

  addOperation(app, "listShards", async () => {
    const { version, owners } = formatShardMap(map.current());
    const shards = reads.map(async (read, shard) => {
      try {
        const { recordedAtMicros, ...head } = await read.head();
        return { shard, ...head, recordedAt: rfc3339(recordedAtMicros) };
      } catch (thrown) {
        const error = toOperatorError(thrown);
        if (error.code === "INTERNAL") log.error({ shard, error: error.message }, "head not read");
        const { code, detail } = toProblem(error);
        return { shard, code, detail };
      }
    });
    return { mapVersion: Number(version), owners, shards: await Promise.all(shards) };
  });
}

function addKeyRoutes(app: FastifyInstance, keys: ApiKeys): void {
  addOperation(app, "createApiKey", async (_input, request, reply) => {
    const wanted = checkBody(createKeyRequest, parsedBody(request));
    const made = await keys.create(wanted, actingKey(request));
    return reply.code(201).send({ ...keyAnswer(made), key: made.raw });
  });
  addOperation(app, "listApiKeys", async () => ({ keys: (await keys.list()).map(keyAnswer) }));
  addOperation(app, "revokeApiKey", async ({ params: { id } }, _request, reply) => {
    if (!(await keys.revoke(id))) {
      throw new OperatorError("API_KEY_NOT_FOUND", `there is no API key ${JSON.stringify(id.slice(0, 40))}`);
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

/** What the body says, in room that is taken for it. */
function parsedBody(request: FastifyRequest): unknown {
  return parseJsonBody(bodyOf(request), (values) => holdingOf(request).take("values", values));
}

/** What only pods may say is read of pods only: a client that says it is a client all the same. */
function callerOf(request: FastifyRequest, { isPeer }: Pick<ServerOptions, "isPeer">): Caller {
  const said = headerText(request, FORWARDED_HEADER);
  const forwarded = said !== undefined && isPeer(request.raw.socket as TLSSocket) ? said : undefined;
  return { authorization: request.headers.authorization ?? "", actor: actingKey(request).id, forwarded };
}

function actingKey(request: FastifyRequest): ActingKey {
  if (request.actingKey === undefined) throw new OperatorError("INTERNAL", "the route asks for no key");
  return request.actingKey;
}

function holdingOf(request: FastifyRequest): Holding {
  if (request.holding === undefined) throw new OperatorError("INTERNAL", "the route asks for no key");
  return request.holding;
}

function headerText(request: FastifyRequest, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function pathOf(request: FastifyRequest): string {
  return request.url.split("?", 1)[0]?.slice(0, 200) ?? "";
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
    case "FST_ERR_CTP_INVALID_MEDIA_TYPE":
      return new OperatorError("CONTENT_TYPE_UNSUPPORTED", "the content type is not application/json");
    case "FST_ERR_BAD_URL":
      return new OperatorError("REQUEST_INVALID", "the path cannot be decoded");
    default:
      return isRefusal(thrown) ? new OperatorError("REQUEST_INVALID", thrown.message) : toOperatorError(thrown);
  }
}

/** A request that the framework does not take, for example one of a method that needs a body and has none. */
function isRefusal(thrown: unknown): thrown is Error {
  const { code, statusCode } = thrown as { code?: unknown; statusCode?: unknown };
  return typeof code === "string" && code.startsWith("FST_") && typeof statusCode === "number" && statusCode < 500;
}

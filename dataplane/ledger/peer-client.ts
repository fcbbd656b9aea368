/** Hands a request on to the pod that writes the shard, once. */
import { Agent, type RequestOptions, request } from "node:https";
import type { Clock } from "../../lib/core/clock.ts";
import { OperatorError } from "../../lib/core/errors.ts";

/**
 * Marks a request that came from another pod: it is not handed on again. Its value is the part to be done. It counts with
 * the ledger's own certificate only (peer-certificate.ts).
 */
export const FORWARDED_HEADER = "x-shieldx-forwarded";

export interface PeerRequest {
  /** Whose writer is asked: shards share no connections, so one that keeps its requests waiting delays no other. */
  readonly shard: number;
  readonly path: string;
  readonly body: Buffer | string;
  /** The client's own key: the other pod checks it again. */
  readonly authorization: string;
  readonly idempotencyKey?: string | undefined;
  /** Value of FORWARDED_HEADER. */
  readonly part: string;
  /** Asked while the answer is awaited: false once another pod writes the shard, and this one will never answer. */
  readonly isWriter: () => boolean;
}

export interface PeerAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

export interface PeerClient {
  /** @throws OperatorError WRITER_UNAVAILABLE when nothing was sent, OUTCOME_UNKNOWN when the connection broke later */
  post(baseUrl: string, peerRequest: PeerRequest): Promise<PeerAnswer>;
  close(): void;
}

export interface PeerClientOptions {
  readonly clock: Pick<Clock, "monotonic">;
  /** Asked at each new connection, so that a changed file is picked up. */
  readonly caPem: () => string;
  /** What this pod shows, so that the other one believes FORWARDED_HEADER; asked at each new connection. */
  readonly certificate: () => { readonly certPem: string; readonly keyPem: string };
  /** Name in the other pod's certificate. */
  readonly servername: string;
}

/** Longer than the other pod takes to answer at worst. */
const PEER_TIMEOUT_MS = 25_000;
/** A pod that is gone leaves an address that nothing answers at: no packet comes back to say so. */
const PEER_CONNECT_TIMEOUT_MS = 2_000;
const PEER_CHECK_MS = 250;
/** Of each shard. */
const PEER_SOCKETS_MAX = 64;
const COPIED_HEADERS = ["content-type", "idempotency-replayed", "retry-after"];

export function createPeerClient(options: PeerClientOptions): PeerClient {
  const agents = new Map<number, Agent>();
  const agentOf = (shard: number): Agent => {
    const agent = agents.get(shard) ?? new Agent({ keepAlive: true, maxSockets: PEER_SOCKETS_MAX });
    agents.set(shard, agent);
    return agent;
  };
  return {
    post: (baseUrl, peerRequest) =>
      new Promise((resolve, reject) => {
        const { shard, path, body, authorization, idempotencyKey, part, isWriter } = peerRequest;
        const { certPem, keyPem } = options.certificate();
        const target: RequestOptions = {
          agent: agentOf(shard),
          cert: certPem,
          key: keyPem,
          method: "POST",
          ca: options.caPem(),
          servername: options.servername,
          minVersion: "TLSv1.3",
          timeout: PEER_TIMEOUT_MS,
          headers: {
            authorization,
            "content-type": "application/json",
            "content-length": Buffer.byteLength(body),
            [FORWARDED_HEADER]: part,
            ...(idempotencyKey === undefined ? {} : { "idempotency-key": idempotencyKey }),
          },
        };
        let connected = false;
        const outgoing = request(new URL(path, baseUrl), target, (answer) => {
          const chunks: Buffer[] = [];
          answer.on("data", (chunk: Buffer) => chunks.push(chunk));
          answer.once("error", (cause) => reject(lost(true, cause)));
          answer.once("end", () => {
            const headers: Record<string, string> = {};
            for (const name of COPIED_HEADERS) {
              const value = answer.headers[name];
              if (typeof value === "string") headers[name] = value;
            }
            resolve({ status: answer.statusCode ?? 502, headers, body: Buffer.concat(chunks) });
          });
        });
        outgoing.once("socket", (socket) => {
          connected = !socket.connecting;
          // One that is used again has connected long ago, and would only gather listeners.
          if (connected) return;
          socket.once("secureConnect", () => {
            connected = true;
          });
        });
        const startedAt = options.clock.monotonic();
        const watch = setInterval(() => {
          const waitedMs = options.clock.monotonic() - startedAt;
          if (!connected && waitedMs >= PEER_CONNECT_TIMEOUT_MS) outgoing.destroy(new Error("no connection in time"));
          else if (!isWriter()) outgoing.destroy(new Error("another pod writes the shard now"));
        }, PEER_CHECK_MS);
        outgoing.once("close", () => clearInterval(watch));
        outgoing.once("timeout", () => outgoing.destroy(new Error("no answer in time")));
        outgoing.once("error", (cause) => reject(lost(connected, cause)));
        outgoing.end(body);
      }),
    close: () => {
      for (const agent of agents.values()) agent.destroy();
    },
  };
}

function lost(sent: boolean, cause: Error): OperatorError {
  const what = sent ? "the writer's answer did not arrive" : "the shard's writer cannot be reached";
  return new OperatorError(sent ? "OUTCOME_UNKNOWN" : "WRITER_UNAVAILABLE", `${what}: ${cause.message}`, {
    cause,
    retryAfterSeconds: 1,
  });
}

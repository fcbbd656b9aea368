/** A small HTTPS client of the ledger's API, for the command line, benchmarks and tests. */
import { Agent, request } from "node:https";
import { ERRORS, type ErrorCode, OperatorError } from "../../lib/core/errors.ts";

export interface LedgerClientOptions {
  /** https://host:port */
  readonly url: string;
  readonly caPem: string;
  /** Raw API key; none for routes that need none. */
  readonly key?: string | undefined;
  /** Name that the certificate must hold, when it is not the URL's host (port-forward). */
  readonly servername?: string | undefined;
  readonly connections?: number;
  readonly timeoutMs?: number;
}

export interface ClientAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** Parses the body. @throws SyntaxError */
  json<T = unknown>(): T;
}

export interface LedgerClient {
  /**
   * Sends one request; a body that is a string or Buffer is sent as it is, anything else as JSON.
   * @throws OperatorError OUTCOME_UNKNOWN when the connection broke or nothing came in time
   */
  send(method: string, path: string, options?: SendOptions): Promise<ClientAnswer>;
  close(): void;
}

export interface SendOptions {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

const TIMEOUT_MS = 30_000;
const CONNECTIONS = 16;

export function createLedgerClient(options: LedgerClientOptions): LedgerClient {
  const agent = new Agent({
    keepAlive: true,
    maxSockets: options.connections ?? CONNECTIONS,
    ca: options.caPem,
    minVersion: "TLSv1.3",
    ...(options.servername === undefined ? {} : { servername: options.servername }),
  });
  return {
    send: (method, path, sent = {}) =>
      new Promise((resolve, reject) => {
        const { body } = sent;
        const bytes =
          body === undefined || typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body);
        const outgoing = request(
          new URL(path, options.url),
          {
            agent,
            method,
            timeout: options.timeoutMs ?? TIMEOUT_MS,
            headers: {
              ...(options.key === undefined ? {} : { authorization: `Bearer ${options.key}` }),
              ...(bytes === undefined
                ? {}
                : { "content-type": "application/json", "content-length": Buffer.byteLength(bytes) }),
              ...sent.headers,
            },
          },
          (answer) => {
            const chunks: Buffer[] = [];
            answer.on("data", (chunk: Buffer) => chunks.push(chunk));
            answer.once("error", (cause) => reject(lost(cause)));
            answer.once("end", () => {
              const text = Buffer.concat(chunks).toString("utf8");
              resolve({
                status: answer.statusCode ?? 0,
                headers: answer.headers,
                text,
                json: <T>() => JSON.parse(text) as T,
              });
            });
          },
        );
        outgoing.once("timeout", () => outgoing.destroy(new Error("no answer in time")));
        outgoing.once("error", (cause) => reject(lost(cause)));
        outgoing.end(bytes);
      }),
    close: () => agent.destroy(),
  };
}

function lost(cause: Error): OperatorError {
  return new OperatorError("OUTCOME_UNKNOWN", `no answer from the ledger: ${cause.message}`, { cause });
}

/** The answer's problem as an error; a status of 2xx or 3xx has none. */
export function answerError(answer: ClientAnswer): OperatorError | undefined {
  if (answer.status < 400) return undefined;
  const retryAfter = Number(answer.headers["retry-after"]);
  const wait = retryAfter > 0 ? { retryAfterSeconds: retryAfter } : {};
  try {
    const { code, detail } = answer.json<{ code: string; detail: string }>();
    if (Object.hasOwn(ERRORS, code)) return new OperatorError(code as ErrorCode, detail, wait);
  } catch {
    // Not a problem document: some proxy's page.
  }
  return new OperatorError("INTERNAL", `the ledger answered with status ${answer.status}`, wait);
}

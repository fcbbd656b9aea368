import { request } from "node:https";
import { OperatorError } from "../core/errors.ts";

/** One question over HTTPS with a client certificate. */
export interface JsonRequest {
  /** Address to connect to. */
  readonly host: string;
  readonly port: number;
  /** With a leading slash. */
  readonly path: string;
  /** Name that the server's certificate must carry; the address itself is not checked. */
  readonly serverName: string;
  /** Bundle of trusted CAs, and who we are; PEM. */
  readonly tls: { readonly caPem: string; readonly certPem: string; readonly keyPem: string };
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  /** Sent as JSON in a POST; without one the question is a GET. */
  readonly body?: unknown;
}

/** No answer of ours is near this; more is not a peer of ours. */
const BODY_BYTES_MAX = 4 * 1024 * 1024;

/**
 * Gets a JSON document over TLS 1.3 with mutual authentication.
 * @throws OperatorError AGENT_UNREACHABLE for everything that is not an answer 200 with JSON in it
 */
export function getJson(options: JsonRequest): Promise<unknown> {
  const { host, port, path, serverName, tls, timeoutMs, signal, body } = options;
  const sentText = body === undefined ? undefined : JSON.stringify(body);
  const where = `https://${serverName} at ${host}:${port}${path}`;
  const failure = (message: string, cause?: unknown): OperatorError =>
    new OperatorError("AGENT_UNREACHABLE", `${where}: ${message}`, { cause });
  return new Promise((resolve, reject) => {
    const sent = request({
      host,
      port,
      path,
      ...(sentText === undefined
        ? {}
        : {
            method: "POST",
            headers: { "content-type": "application/json", "content-length": Buffer.byteLength(sentText) },
          }),
      servername: serverName,
      ca: tls.caPem,
      cert: tls.certPem,
      key: tls.keyPem,
      minVersion: "TLSv1.3",
      // A connection for each question: they are seconds apart, and a new certificate is in use at once.
      agent: false,
      // One limit for name, connection, handshake and answer together.
      signal:
        signal === undefined
          ? AbortSignal.timeout(timeoutMs)
          : AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    });
    sent.on("error", (error) =>
      reject(failure(error.name === "AbortError" ? `no answer within ${timeoutMs} ms` : error.message, error)),
    );
    sent.on("response", (response) => {
      const parts: Buffer[] = [];
      let size = 0;
      response.on("data", (part: Buffer) => {
        size += part.length;
        if (size > BODY_BYTES_MAX) sent.destroy(new Error(`the answer has more than ${BODY_BYTES_MAX} bytes`));
        else parts.push(part);
      });
      response.on("error", (error) => reject(failure(error.message, error)));
      response.on("end", () => {
        if (response.statusCode !== 200) return reject(failure(`status ${response.statusCode ?? 0}`));
        try {
          resolve(JSON.parse(Buffer.concat(parts).toString("utf8")));
        } catch (error) {
          reject(failure("the answer is not JSON", error));
        }
      });
    });
    sent.end(sentText);
  });
}

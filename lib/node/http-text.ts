import { request } from "node:http";
import { OperatorError } from "../core/errors.ts";
import { isRefusedAddress, LOCAL_REFUSED, lookupElsewhere } from "./elsewhere.ts";
import { createTurns } from "./turns.ts";

/** One question over HTTP, to an address. */
export interface TextRequest {
  readonly host: string;
  readonly port: number;
  /** With a leading slash. */
  readonly path: string;
  /** For name, connection and answer together. */
  readonly timeoutMs: number;
  /** Of the answer at most. */
  readonly bytesMax: number;
  /** Asks nobody at an address of this machine or its link; of a name, those that are looked at are connected to. */
  readonly isLocalRefused?: boolean;
  readonly signal?: AbortSignal;
}

/** Pages are long to read: whoever waits for one goes on in a turn of its own. */
const ownTurn = createTurns();

/**
 * Gets a page of metrics by plain HTTP, directly: no proxy is asked and no redirect is followed.
 * @throws OperatorError METRICS_UNREACHABLE for everything that is not an answer 200; the message has address and reason, no path
 */
export function getText(question: TextRequest): Promise<string> {
  const { host, port, path, timeoutMs, bytesMax, isLocalRefused = false, signal } = question;
  const deadline = AbortSignal.timeout(timeoutMs);
  const failure = (message: string, cause?: unknown): OperatorError =>
    new OperatorError("METRICS_UNREACHABLE", `${host}:${port}: ${message}`, { cause });
  return new Promise((resolve, reject) => {
    if (isLocalRefused && isRefusedAddress(host)) return reject(failure(LOCAL_REFUSED));
    const sent = request({
      host,
      port,
      path,
      headers: { accept: "text/plain;version=0.0.4" },
      // A connection for each question: they are seconds apart, which is when servers close idle ones.
      agent: false,
      ...(isLocalRefused ? { lookup: lookupElsewhere } : {}),
      signal: signal === undefined ? deadline : AbortSignal.any([signal, deadline]),
    });
    const fail = (error: NodeJS.ErrnoException): void => {
      if (deadline.aborted) reject(failure(`no answer within ${timeoutMs} ms`, error));
      else reject(failure(error.code ?? error.message, error));
    };
    sent.on("error", fail);
    sent.on("response", (response) => {
      if (response.statusCode !== 200) {
        reject(failure(`status ${response.statusCode ?? 0}`));
        sent.destroy();
        return;
      }
      const parts: Buffer[] = [];
      let size = 0;
      response.on("data", (part: Buffer) => {
        size += part.length;
        if (size <= bytesMax) parts.push(part);
        else {
          reject(failure(`the answer has more than ${bytesMax} bytes`));
          sent.destroy();
        }
      });
      response.on("error", fail);
      response.on("end", () => void ownTurn().then(() => resolve(Buffer.concat(parts).toString("utf8"))));
    });
    sent.end();
  });
}

import { request } from "node:http";
import { request as requestByTls } from "node:https";
import { isRefusedAddress, LOCAL_REFUSED, lookupElsewhere } from "./elsewhere.ts";

/** One request over HTTP. */
export interface HttpQuestion {
  /** An address, or a name. */
  readonly host: string;
  readonly port: number;
  /** With a leading slash. */
  readonly path: string;
  readonly method: "GET" | "HEAD" | "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** For connection and answer together. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** By TLS, with a certificate for the host that a CA of this process has signed; else by plain HTTP. */
  readonly isTls?: boolean;
  /** Asks nobody at an address of this machine or its link; of a name, those that are looked at are connected to. */
  readonly isLocalRefused?: boolean;
}

/** What came of it. */
export type HttpAnswer =
  /**
   * @member body its beginning
   * @member retryAfter header Retry-After, where there is one
   */
  | { readonly status: number; readonly body: string; readonly retryAfter?: string }
  /**
   * @member isUnsent no connection was made, so that nobody has seen the request
   * @member isRefused it was not tried, since it would have led to this machine or its link
   */
  | { readonly failure: string; readonly isUnsent: boolean; readonly isRefused?: true };

/** Read of an answer; what comes after it is not waited for. */
export const ANSWER_BYTES_MAX = 64 * 1024;

const REFUSED: HttpAnswer = { failure: LOCAL_REFUSED, isUnsent: true, isRefused: true };

/** Asks directly: no proxy is asked and no redirect followed. Never rejects: that nothing came is an answer, too. */
export function askHttp(question: HttpQuestion): Promise<HttpAnswer> {
  const { timeoutMs, signal, body, isTls = false, isLocalRefused = false, ...where } = question;
  const deadline = AbortSignal.timeout(timeoutMs);
  return new Promise((resolve) => {
    let isUnsent = true;
    const fail = (error: NodeJS.ErrnoException): void => {
      if (error.message === LOCAL_REFUSED) return resolve(REFUSED);
      const failure = deadline.aborted ? `no answer within ${timeoutMs} ms` : (error.code ?? error.message);
      resolve({ failure, isUnsent });
    };
    if (isLocalRefused && isRefusedAddress(where.host)) return resolve(REFUSED);
    const length = body === undefined ? {} : { "content-length": Buffer.byteLength(body) };
    let sent: ReturnType<typeof request>;
    try {
      sent = (isTls ? requestByTls : request)({
        ...where,
        headers: { ...where.headers, ...length },
        // A connection for each question: the next one may be for another host.
        agent: false,
        ...(isLocalRefused ? { lookup: lookupElsewhere } : {}),
        signal: AbortSignal.any([signal, deadline]),
      });
    } catch (error) {
      // A header or path that cannot be sent.
      isUnsent = false;
      return fail(error as NodeJS.ErrnoException);
    }
    sent.on("socket", (socket) =>
      socket.on("connect", () => {
        isUnsent = false;
      }),
    );
    sent.on("error", fail);
    sent.on("response", (response) => {
      const parts: Buffer[] = [];
      let size = 0;
      const done = (): void => {
        const text = Buffer.concat(parts).subarray(0, ANSWER_BYTES_MAX).toString("utf8");
        const retryAfter = response.headers["retry-after"];
        resolve({
          status: response.statusCode ?? 0,
          body: text,
          ...(retryAfter === undefined ? {} : { retryAfter }),
        });
      };
      response.on("data", (part: Buffer) => {
        parts.push(part);
        size += part.length;
        if (size < ANSWER_BYTES_MAX) return;
        done();
        sent.destroy();
      });
      response.on("error", fail);
      response.on("end", done);
    });
    sent.end(body);
  });
}

import { request } from "node:http";

/** One request by plain HTTP, to an address. */
export interface HttpQuestion {
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
}

/** What came of it. */
export type HttpAnswer =
  /** @member body its beginning */
  | { readonly status: number; readonly body: string }
  /** @member isUnsent no connection was made, so that nobody has seen the request */
  | { readonly failure: string; readonly isUnsent: boolean };

/** Read of an answer; what comes after it is not waited for. */
export const ANSWER_BYTES_MAX = 64 * 1024;

/** Asks directly: no proxy is asked and no redirect followed. Never rejects: that nothing came is an answer, too. */
export function askHttp({ timeoutMs, signal, body, ...where }: HttpQuestion): Promise<HttpAnswer> {
  const deadline = AbortSignal.timeout(timeoutMs);
  return new Promise((resolve) => {
    let isUnsent = true;
    const fail = (error: NodeJS.ErrnoException): void => {
      const failure = deadline.aborted ? `no answer within ${timeoutMs} ms` : (error.code ?? error.message);
      resolve({ failure, isUnsent });
    };
    const length = body === undefined ? {} : { "content-length": Buffer.byteLength(body) };
    let sent: ReturnType<typeof request>;
    try {
      sent = request({
        ...where,
        headers: { ...where.headers, ...length },
        // A connection for each question: the next one may be for another pod.
        agent: false,
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
        resolve({ status: response.statusCode ?? 0, body: text });
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

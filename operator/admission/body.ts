import type { IncomingMessage } from "node:http";
import { OperatorError } from "../../lib/core/errors.ts";
import { parseExactJson } from "./exact-json.ts";

/** How long a body is going to be, at most; one that does not say is taken for as long as it may be. */
export function bodyBytes(request: IncomingMessage, bytesMax: number): number {
  const length = Number(request.headers["content-length"] ?? bytesMax);
  // What is longer is refused before it is read.
  return length > bytesMax ? 0 : length;
}

/**
 * Reads a JSON body.
 * @throws OperatorError CONTENT_TYPE_UNSUPPORTED, BODY_TOO_LARGE, JSON_INVALID, ABORTED when the signal aborts or the
 * caller goes
 */
export async function readJson(request: IncomingMessage, bytesMax: number, signal: AbortSignal): Promise<unknown> {
  const contentType = request.headers["content-type"] ?? "";
  if (!/^application\/json *(;|$)/i.test(contentType)) {
    throw new OperatorError("CONTENT_TYPE_UNSUPPORTED", `the body is "${contentType}", not application/json`);
  }
  if (Number(request.headers["content-length"] ?? 0) > bytesMax) throw tooLarge(bytesMax);
  const body = await readBytes(request, bytesMax, signal);
  try {
    // Invalid UTF-8 must not become another text than the caller sent.
    return parseExactJson(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch (cause) {
    throw new OperatorError("JSON_INVALID", "the body is not one JSON document in UTF-8", { cause });
  }
}

function readBytes(request: IncomingMessage, bytesMax: number, signal: AbortSignal): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let size = 0;
    const onAbort = (): void => end(new OperatorError("ABORTED", "the body did not arrive in time"));
    const end = (error?: OperatorError): void => {
      signal.removeEventListener("abort", onAbort);
      request.removeAllListeners("data");
      if (error === undefined) resolve(Buffer.concat(parts));
      else reject(error);
    };
    if (signal.aborted) return onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    request.on("data", (part: Buffer) => {
      size += part.length;
      if (size > bytesMax) end(tooLarge(bytesMax));
      else parts.push(part);
    });
    request.on("end", () => end());
    request.on("error", (cause) => end(new OperatorError("ABORTED", "the caller went away", { cause })));
  });
}

function tooLarge(bytesMax: number): OperatorError {
  return new OperatorError("BODY_TOO_LARGE", `the body has more than ${bytesMax} bytes`);
}

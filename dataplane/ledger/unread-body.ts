/**
 * Answers that are given before the whole request has come. What still comes is thrown away for a moment: a connection that
 * ends with unread bytes is reset, and a client that is still sending would lose the answer that tells it why.
 */
import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";

/** A client that is still sending has this long to read its answer. */
const LINGER_MS = 1_000;
/** What is read meanwhile; the rest is left to wait in the client. */
const LINGER_BYTES = 256 * 1024;

/** Whether some of the body has not come yet. */
export function isIncomplete({ complete, headers }: IncomingMessage): boolean {
  if (complete) return false;
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}

/** Whether so much is missing that the client is told to come back on another connection. */
export function isMuchMissing({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"]) > LINGER_BYTES;
}

/** The text, and the end of the answer when the body has ended or the moment is over; then the connection ends too. */
export function lingering(text: string, request: IncomingMessage): Readable {
  async function* answer(): AsyncGenerator<Buffer> {
    yield Buffer.from(text);
    await discard(request);
    if (!request.complete) request.socket.destroySoon();
  }
  return Readable.from(answer(), { objectMode: false });
}

/** Throws away what comes, within bounds of bytes and time. */
export function discard(stream: Readable): Promise<void> {
  return new Promise((resolve) => {
    let bytes = 0;
    const onData = (piece: Buffer): void => {
      bytes += piece.length;
      if (bytes > LINGER_BYTES) stream.pause();
    };
    const done = (): void => {
      clearTimeout(timer);
      stream.off("data", onData).off("end", done).off("close", done);
      resolve();
    };
    const timer = setTimeout(done, LINGER_MS);
    if (stream.destroyed || stream.readableEnded) return done();
    stream.on("error", () => undefined);
    stream.on("data", onData).on("end", done).on("close", done);
    stream.resume();
  });
}

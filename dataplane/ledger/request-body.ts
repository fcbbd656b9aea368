/** Reads a request's body into one buffer, and takes room for it as it comes. */
import type { IncomingMessage } from "node:http";
import { OperatorError, toOperatorError } from "../../lib/core/errors.ts";
import type { Holding } from "./request-limits.ts";

export interface BodyRules {
  /** A body with more bytes is refused. */
  readonly bytesMax: number;
  /** Where its bytes are taken from. */
  readonly limit: "bulk_bytes" | "body_bytes";
  readonly holding: Pick<Holding, "check" | "take" | "drop">;
  /** Called when it is wanted: a client may have asked before it sends. */
  readonly invite: () => void;
}

/** Room that is made for a body whose length is not known, or is not believed yet. */
const FIRST_BYTES = 16 * 1024;

/** @throws OperatorError BODY_TOO_LARGE, OVERLOADED, ABORTED when the client went away */
export function readBody(stream: IncomingMessage, rules: BodyRules): Promise<Buffer> {
  const { bytesMax, limit, holding } = rules;
  const announced = announcedBytes(stream);
  const tooLarge = (): OperatorError => new OperatorError("BODY_TOO_LARGE", `the body has more than ${bytesMax} bytes`);
  return new Promise((resolve, reject) => {
    // What cannot be kept need not be sent; nothing is taken for it yet.
    if (announced !== undefined && announced > bytesMax) return reject(tooLarge());
    holding.check(limit, announced ?? 0);
    rules.invite();

    let room: Buffer = Buffer.alloc(0);
    let used = 0;
    /** Pieces are copied into one growing buffer: a million pieces of one byte would take a hundred times what they hold. */
    const keep = (piece: Buffer): void => {
      if (used + piece.length > bytesMax) throw tooLarge();
      if (used + piece.length > room.length) {
        const wanted = Math.max(used + piece.length, room.length * 2, FIRST_BYTES);
        const size = Math.min(wanted, announced ?? bytesMax);
        holding.take(limit, size - room.length);
        const larger = Buffer.allocUnsafeSlow(size);
        room.copy(larger, 0, 0, used);
        room = larger;
      }
      piece.copy(room, used);
      used += piece.length;
    };

    const onData = (piece: Buffer): void => {
      try {
        keep(piece);
      } catch (error) {
        // Others may go on with it at once: the refusal itself can take its client a while to read.
        room = Buffer.alloc(0);
        holding.drop(limit);
        settle(() => reject(toOperatorError(error)));
      }
    };
    const onEnd = (): void => settle(() => resolve(room.subarray(0, used)));
    const onGone = (): void => settle(() => reject(new OperatorError("ABORTED", "the client went away")));
    const settle = (how: () => void): void => {
      stream.off("data", onData).off("end", onEnd).off("close", onGone);
      how();
    };
    if (stream.destroyed) return onGone();
    // Both are followed by "close"; without a listener an error would end the process.
    stream.on("error", () => undefined);
    stream.on("data", onData).on("end", onEnd).on("close", onGone);
  });
}

function announcedBytes({ headers }: IncomingMessage): number | undefined {
  const length = headers["content-length"];
  return length === undefined ? undefined : Number(length);
}

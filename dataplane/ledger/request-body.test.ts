import type { IncomingMessage } from "node:http";
import { PassThrough } from "node:stream";
import { describe, expect, test } from "@jest/globals";
import { isOperatorError, OperatorError } from "../../lib/core/errors.ts";
import { readBody } from "./request-body.ts";

// Goal: a body takes room as it comes, never for what was announced, and at most twice what came, however small its pieces.

interface Stage {
  readonly stream: PassThrough;
  readonly body: Promise<Buffer>;
  /** Bytes that were taken until now. */
  readonly taken: () => number;
  readonly isInvited: () => boolean;
}

function begin({
  announced,
  room = Infinity,
  bytesMax = 1_000_000,
}: Partial<Record<"announced" | "room" | "bytesMax", number>>): Stage {
  const stream = new PassThrough();
  let taken = 0;
  let invited = false;
  const check = (_limit: string, amount: number): void => {
    if (taken + amount > room) throw new OperatorError("OVERLOADED", "no room");
  };
  const request = Object.assign(stream, {
    headers: announced === undefined ? {} : { "content-length": String(announced) },
  }) as unknown as IncomingMessage;
  const body = readBody(request, {
    bytesMax,
    limit: "bulk_bytes",
    holding: {
      check,
      take: (limit, amount) => {
        check(limit, amount);
        taken += amount;
      },
      drop: () => {
        taken = 0;
      },
    },
    invite: () => {
      invited = true;
    },
  });
  return { stream, body, taken: () => taken, isInvited: () => invited };
}

const codeOf = (body: Promise<Buffer>): Promise<string | undefined> =>
  body.then(
    () => undefined,
    (error: unknown) => (isOperatorError(error) ? error.code : String(error)),
  );

/** Lets the stream hand on what was written. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("what is taken", () => {
  test("a body of one piece takes its own size", async () => {
    const { stream, body, taken, isInvited } = begin({ announced: 5 });
    stream.end("hello");
    expect([(await body).toString(), taken(), isInvited()]).toEqual(["hello", 5, true]);
  });

  test("what was announced and did not come takes next to nothing", async () => {
    const { stream, body, taken } = begin({ announced: 900_000 });
    stream.write(Buffer.alloc(10));
    await settled();
    expect(taken()).toBe(16_384);
    stream.destroy();
    expect(await codeOf(body)).toBe("ABORTED");
  });

  test("pieces of one byte are kept in one buffer, of at most twice their size", async () => {
    const { stream, body, taken } = begin({});
    for (let count = 0; count < 50_000; count += 1) {
      stream.write(Buffer.from([count % 256]));
      if (count % 1_000 === 0) await settled();
    }
    stream.end();
    const read = await body;
    expect([read.length, read[49_999]]).toEqual([50_000, 49_999 % 256]);
    expect([taken(), read.buffer.byteLength]).toEqual([65_536, 65_536]);
  });

  test("no more than was announced, at the end", async () => {
    const { stream, body, taken } = begin({ announced: 70_000 });
    for (let count = 0; count < 7; count += 1) {
      stream.write(Buffer.alloc(10_000, count));
      await settled();
    }
    stream.end();
    expect([(await body).length, taken()]).toEqual([70_000, 70_000]);
  });
});

describe("what is refused", () => {
  test("a length above the limit, and one that there is no room for, before anything is sent", async () => {
    for (const [given, code] of [
      [{ announced: 1_000_001 }, "BODY_TOO_LARGE"],
      [{ announced: 900_000, room: 800_000 }, "OVERLOADED"],
    ] as const) {
      const { body, taken, isInvited } = begin(given);
      expect([await codeOf(body), taken(), isInvited()]).toEqual([code, 0, false]);
    }
  });

  test("pieces above the limit, and pieces that there is no room for", async () => {
    for (const [given, code] of [
      [{ bytesMax: 100_000 }, "BODY_TOO_LARGE"],
      [{ room: 100_000 }, "OVERLOADED"],
    ] as const) {
      const { stream, body, taken } = begin(given);
      for (let count = 0; count < 20; count += 1) stream.write(Buffer.alloc(10_000));
      expect(await codeOf(body)).toBe(code);
      expect(taken()).toBe(0);
    }
  });

  test("a client that is gone already", async () => {
    const stream = new PassThrough();
    stream.destroy();
    const request = Object.assign(stream, { headers: {} }) as unknown as IncomingMessage;
    const holding = { check: () => undefined, take: () => undefined, drop: () => undefined };
    const body = readBody(request, { bytesMax: 10, limit: "body_bytes", holding, invite: () => undefined });
    expect(await codeOf(body)).toBe("ABORTED");
  });
});

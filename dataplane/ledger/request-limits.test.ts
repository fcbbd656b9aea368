import { describe, expect, test } from "@jest/globals";
import { createRequestLimits, LIMITS } from "./request-limits.ts";

// Goal: what a request takes is given back exactly once, when nobody works on it any more; a refusal says of what there is
// too much, and whose.

function codeOf(run: () => unknown): string {
  try {
    run();
    return "taken";
  } catch (error) {
    return (error as Error).message;
  }
}

describe("limits of requests", () => {
  test("given back when the answer has left and the work has ended, whichever comes last", () => {
    const limits = createRequestLimits(() => undefined);
    const half = LIMITS.bulk_bytes / 2;
    const first = limits.begin("key");
    first.take("bulk_bytes", half);
    first.retain();
    first.release();
    expect(codeOf(() => limits.begin("key").take("bulk_bytes", 1))).not.toBe("taken");
    first.release();
    expect(codeOf(() => limits.begin("key").take("bulk_bytes", half))).toBe("taken");
  });

  test("nothing is taken for a request whose client is gone: nobody would give it back", () => {
    const limits = createRequestLimits(() => undefined);
    const gone = limits.begin("key");
    gone.release();
    expect(codeOf(() => gone.take("bulk_bytes", 1_000))).toBe("the client went away");
    expect(codeOf(() => limits.begin("key").take("bulk_bytes", LIMITS.bulk_bytes / 2))).toBe("taken");
  });

  test("what is dropped is given back at once, and only once", () => {
    const limits = createRequestLimits(() => undefined);
    const half = LIMITS.bulk_bytes / 2;
    const holding = limits.begin("key");
    holding.take("bulk_bytes", half);
    holding.drop("bulk_bytes");
    const other = limits.begin("key");
    expect(codeOf(() => other.take("bulk_bytes", half))).toBe("taken");
    holding.release();
    expect(codeOf(() => limits.begin("key").take("bulk_bytes", 1))).not.toBe("taken");
  });

  test("a refusal names the limit, and costs nothing", () => {
    const refused: string[] = [];
    const limits = createRequestLimits((limit) => refused.push(limit));
    const holding = limits.begin("key");
    holding.take("body_bytes", 1_000);
    expect(codeOf(() => holding.take("body_bytes", LIMITS.body_bytes))).toBe(
      "this API key has 1000 bytes of requests under way, all keys have 1000 of at most 16777216: a key may have no more than what is left for the others",
    );
    expect(codeOf(() => holding.check("answer_bytes", LIMITS.answer_bytes))).toMatch(
      /0 bytes of answers that were not taken yet/,
    );
    expect(refused).toEqual(["body_bytes", "answer_bytes"]);
    expect(codeOf(() => holding.take("body_bytes", 1_000))).toBe("taken");
  });

  test("one key's requests and connections leave room for another one's", () => {
    const limits = createRequestLimits(() => undefined);
    for (let count = 0; count < LIMITS.requests / 2; count += 1) limits.begin("greedy");
    expect(codeOf(() => limits.begin("greedy"))).toMatch(/^this API key has 2048 requests under way/);
    expect(codeOf(() => limits.begin("modest"))).toBe("taken");
    const leaves = Array.from({ length: LIMITS.connections / 2 }, () => limits.connect("greedy"));
    expect(codeOf(() => limits.connect("greedy"))).toMatch(/^this API key has 1536 connections/);
    expect(codeOf(() => limits.connect("modest"))).toBe("taken");
    leaves[0]?.();
    expect(codeOf(() => limits.connect("greedy"))).toMatch(/^this API key has 1535 connections, all keys have 1536/);
  });
});

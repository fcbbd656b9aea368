import { describe, expect, test } from "@jest/globals";
import { type PostAnswer, type Verdict, verdictOf } from "./answers.ts";

// What a receiver's answer means for a delivery: taken, to be tried again, or refused.

const NOW = Date.parse("2026-01-01T00:00:00Z");
const again = (message: string, afterMs = 0): Verdict => ({ type: "again", message, afterMs });

describe("an answer", () => {
  test.each<[string, PostAnswer, Verdict]>([
    ["well", { status: 200 }, { type: "delivered", message: "status 200" }],
    ["well, without a body", { status: 204 }, { type: "delivered", message: "status 204" }],
    ["a redirect", { status: 307 }, { type: "final", message: "status 307, and no redirect is followed" }],
    ["a refusal", { status: 401 }, { type: "final", message: "status 401" }],
    ["gone", { status: 410 }, { type: "final", message: "status 410" }],
    ["too slow", { status: 408 }, again("status 408")],
    ["too many", { status: 429, retryAfter: "7" }, again("status 429", 7_000)],
    ["too many, until then", { status: 429, retryAfter: "Thu, 01 Jan 2026 00:01:00 GMT" }, again("status 429", 60_000)],
    ["until a time that is over", { status: 503, retryAfter: "Thu, 01 Jan 1970 00:00:00 GMT" }, again("status 503")],
    ["nobody knows until when", { status: 503, retryAfter: "soon" }, again("status 503")],
    ["less than nothing", { status: 503, retryAfter: "-5" }, again("status 503")],
    ["broken", { status: 500 }, again("status 500")],
    ["no answer", { failure: "ECONNREFUSED" }, again("ECONNREFUSED")],
    ["not asked", { failure: "loopback", isRefused: true }, { type: "final", message: "loopback" }],
    ["no status at all", { status: 0 }, { type: "final", message: "status 0" }],
  ])("%s", (_, answer, want) => {
    expect(verdictOf(answer, NOW)).toEqual(want);
  });
});

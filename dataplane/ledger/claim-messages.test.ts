import { expect, test } from "@jest/globals";
import { setClaimed } from "./batch-keys.ts";
import { decodeClaimResults, decodeClaims, encodeClaimResults, encodeClaims } from "./claim-messages.ts";
import { emptyResults, RESULT, setProblem } from "./ledger.work.ts";

const GROUP = {
  identities: Buffer.from(Array.from({ length: 48 }, (_, index) => index * 5)),
  shards: Int16Array.from([2, 0]),
  buckets: Int16Array.from([4095, 17]),
  mapVersion: 3,
};

test("claims come over as they were", () => {
  expect(decodeClaims(JSON.parse(encodeClaims({ owner: 1, group: GROUP })))).toEqual({ owner: 1, group: GROUP });
});

test("what is no claim is refused", () => {
  const whole = JSON.parse(encodeClaims({ owner: 1, group: GROUP })) as Record<string, unknown>;
  const damages: Record<string, unknown>[] = [
    { owner: -1 },
    { owner: 1.5 },
    { mapVersion: "3" },
    { identities: "AAAA" },
    { identities: 7 },
    { shards: [1] },
    { shards: [1, 40_000] },
    { buckets: [1, 4_096] },
    { buckets: "12" },
  ];
  for (const damage of damages) {
    expect(() => decodeClaims({ ...whole, ...damage })).toThrow("these are no claims of keys");
  }
  for (const value of [null, 7, "x", []]) expect(() => decodeClaims(value)).toThrow("these are no claims of keys");
});

test("answers come over as they were", () => {
  const results = emptyResults(4);
  setClaimed(results, 0, { shard: 2, replayed: false });
  results.status[1] = RESULT.posted;
  results.replayed[1] = 1;
  [results.position, results.debitBalance, results.creditBalance, results.recordedAtMicros].forEach((column, index) => {
    column[1] = index === 1 ? -5 : 1_000 + index;
  });
  setProblem(results, 2, { status: RESULT.refused, code: "IDEMPOTENCY_KEY_REUSED", detail: "another payload" });
  setProblem(results, 3, { status: RESULT.failed, code: "WRITER_UNAVAILABLE", detail: "no writer" });
  expect(decodeClaimResults(JSON.parse(encodeClaimResults(results)), 4)).toEqual(results);
});

test("an answer to something else is an error, and an unknown code is not taken over", () => {
  expect(() => decodeClaimResults({ items: [] }, 1)).toThrow("something else than claims");
  expect(() => decodeClaimResults(null, 1)).toThrow("something else than claims");
  const { problems } = decodeClaimResults({ items: [[RESULT.refused, 0, { code: "OF_TOMORROW", detail: "new" }]] }, 1);
  expect(problems.get(0)).toEqual({ code: "INTERNAL", detail: "new" });
});

import { describe, expect, test } from "@jest/globals";
import { bulkItem, bulkProblem, postedMembers, rfc3339 } from "./answers.ts";
import { bulkAnswer, transferAnswer } from "./api-schema.ts";
import { emptyResults, RESULT, setProblem } from "./ledger.work.ts";
import { openApiDocument } from "./openapi.ts";
import { progressText } from "./progress.ts";
import { formatTable } from "./tables.ts";

// Goal: texts that are put together by hand are what the documented schemas and people expect.

describe("answers", () => {
  const results = emptyResults(3);
  results.status[0] = RESULT.posted;
  results.position[0] = 7;
  results.debitBalance[0] = -5;
  results.creditBalance[0] = 5;
  results.recordedAtMicros[0] = 1_700_000_000_000_001;
  results.replayed[0] = 1;
  setProblem(results, 1, { status: RESULT.refused, code: "INSUFFICIENT_CREDIT", detail: 'account "a"' });
  setProblem(results, 2, { status: RESULT.failed, code: "OUTCOME_UNKNOWN", detail: "?" });

  test("a single answer is the documented one", () => {
    const answer = JSON.parse(`{${postedMembers({ results, index: 0, shard: 2, id: 'q"\\' })}}`) as unknown;
    expect(transferAnswer.parse(answer)).toEqual({
      id: 'q"\\',
      shard: 2,
      position: 7,
      debitBalance: -5,
      creditBalance: 5,
      recordedAt: "2023-11-14T22:13:20.000001Z",
      replayed: true,
    });
  });

  test("bulk items are the documented ones", () => {
    const items = [0, 1, 2].map((index) => bulkItem({ results, index, shard: 0, id: `t${index}` }));
    items.push(bulkProblem(null, { code: "REQUEST_INVALID", detail: "x" }, { replayed: false }));
    const parsed = bulkAnswer.parse(JSON.parse(`{"items":[${items.join(",")}]}`));
    expect(parsed.items.map(({ status, code }) => [status, code])).toEqual([
      [200, undefined],
      [422, "INSUFFICIENT_CREDIT"],
      [503, "OUTCOME_UNKNOWN"],
      [400, "REQUEST_INVALID"],
    ]);
  });

  test("times before 1970 and at full seconds", () => {
    expect(rfc3339(0)).toBe("1970-01-01T00:00:00.000000Z");
    expect(rfc3339(-1)).toBe("1969-12-31T23:59:59.999999Z");
    expect(rfc3339(725_846_400_000_000)).toBe("1993-01-01T00:00:00.000000Z");
  });
});

describe("OpenAPI", () => {
  test("every reference leads somewhere, every operation has an id of its own", () => {
    const document = openApiDocument("1.2.3") as {
      paths: Record<string, Record<string, { operationId: string }>>;
      components: { schemas: Record<string, unknown> };
    };
    const text = JSON.stringify(document);
    for (const [, name] of text.matchAll(/#\/components\/schemas\/(\w+)/g)) {
      expect(Object.keys(document.components.schemas)).toContain(name);
    }
    expect(text).not.toContain("$defs");
    const ids = Object.values(document.paths).flatMap((path) =>
      Object.values(path).map(({ operationId }) => operationId),
    );
    expect(new Set(ids).size).toBe(ids.length);
  });
});

describe("texts for people", () => {
  test("progress", () => {
    expect(progressText({ done: 500, part: 0.25, seconds: 10, unit: "rows" })).toBe(
      "[######..................]  25 %  500 rows  50 rows/s  30 s left",
    );
    expect(progressText({ done: 0, part: 0, seconds: 0, unit: "rows" })).toContain("time left unknown");
    expect(progressText({ done: 1, part: 0.01, seconds: 10, unit: "rows" })).toContain("16 min 30 s left");
  });

  test("tables", () => {
    expect(
      formatTable([
        ["a", "1"],
        ["long name", "22"],
      ]),
    ).toBe("  a           1\n  long name  22\n");
  });
});

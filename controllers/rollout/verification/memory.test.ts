// What is remembered of checks: one table of single steps, and what holds for every course of events.
import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { CheckRecord } from "../../../crds/rollout-verify.ts";
import {
  AT_ONCE_MAX,
  type CheckFacts,
  failedCheck,
  isVerified,
  RUNS_MAX,
  rememberChecks,
  type Seen,
  withRefusals,
} from "./memory.ts";

const NOW = Date.UTC(2026, 0, 1);
const at = (seconds: number): string => new Date(NOW + seconds * 1_000).toISOString();

function facts(seen: Seen, given: Partial<CheckFacts> = {}): CheckFacts {
  return { name: "buy", hash: "h1", isHealth: false, seen, ...given };
}

function running(given: Partial<CheckRecord> = {}): CheckRecord {
  return { name: "buy", check: "h1", result: "Running", message: "", startedAt: at(-10), ...given };
}

/** What becomes of one check. */
function next(record: CheckRecord | undefined, check: CheckFacts, isHeld = false): CheckRecord | undefined {
  return rememberChecks(record === undefined ? [] : [record], { checks: [check], isHeld }, NOW)[0];
}

const ABSENT: Seen = { state: "Absent" };

describe("one check", () => {
  const job = { deadlineSeconds: 300 };
  const passed = running({ result: "Passed", endedAt: at(-1), message: "done" });

  test.each<[string, CheckRecord | undefined, CheckFacts, Partial<CheckRecord> | undefined]>([
    ["begins", undefined, facts(ABSENT), { result: "Running", startedAt: at(0) }],
    [
      "begins though its Job has succeeded: nobody has seen it in this release",
      undefined,
      facts({ state: "Passed", message: "" }),
      { result: "Running" },
    ],
    [
      "of another hash begins",
      running({ check: "h0", result: "Passed" }),
      facts(ABSENT),
      { check: "h1", result: "Running" },
    ],
    ["goes on", running(), facts(ABSENT), { result: "Running", startedAt: at(-10) }],
    [
      "says what holds it up",
      running(),
      facts({ state: "Running", message: "image?", job: "u1" }),
      { message: "image?", job: "u1" },
    ],
    [
      "keeps the words when nobody knows better",
      running({ message: "image?" }),
      facts({ state: "Running" }),
      { message: "image?" },
    ],
    ["is held up no more", running({ message: "image?" }), facts({ state: "Running", message: "" }), { message: "" }],
    [
      "passes",
      running(),
      facts({ state: "Passed", message: "yes" }),
      { result: "Passed", message: "yes", endedAt: at(0) },
    ],
    [
      "fails in its own words",
      running({ message: "image?" }),
      facts({ state: "Failed", message: "no", words: "exit 1" }),
      { result: "Failed", message: "no; exit 1" },
    ],
    [
      "fails in the words that are remembered",
      running({ message: "image?" }),
      facts({ state: "Failed", message: "no" }),
      { result: "Failed", message: "no; image?" },
    ],
    ["fails without words", running(), facts({ state: "Failed", message: "no" }), { result: "Failed", message: "no" }],
    ["has passed for good", passed, facts({ state: "Failed", message: "no" }), passed],
    ["has passed though its Job is gone", { ...passed, job: "u1" }, facts(ABSENT, job), { result: "Passed" }],
    [
      "whose Job is gone runs again",
      running({ job: "u1" }),
      facts(ABSENT, job),
      { result: "Running", runs: 2, startedAt: at(0) },
    ],
    [
      "whose Job was replaced by a good one",
      running({ job: "u1" }),
      facts({ state: "Passed", message: "yes", job: "u2" }),
      { result: "Passed", runs: 2, job: "u2" },
    ],
    [
      "whose Job is gone for the last time fails",
      running({ job: "u1", runs: RUNS_MAX }),
      facts(ABSENT, job),
      { result: "Failed", message: "its Job was removed 3 times" },
    ],
    [
      "whose Job could not be made in time fails",
      running({ startedAt: at(-360), message: "quota" }),
      facts(ABSENT, job),
      { result: "Failed", message: "its Job could not be made within 360 s; quota" },
    ],
    [
      "whose Job says nothing in time fails",
      running({ startedAt: at(-360), job: "u1" }),
      facts({ state: "Running", job: "u1" }, job),
      { result: "Failed", message: "its Job has not ended within 360 s" },
    ],
    [
      "that passes late has passed",
      running({ startedAt: at(-999) }),
      facts({ state: "Passed", message: "yes" }, job),
      { result: "Passed" },
    ],
  ])("%s", (_, record, check, wanted) => {
    expect(next(record, check)).toMatchObject(wanted as object);
  });

  test("begins nothing while it is held", () => {
    expect(next(undefined, facts(ABSENT), true)).toBeUndefined();
  });

  test("a message has a bound", () => {
    expect(next(running(), facts({ state: "Failed", message: "x".repeat(9_000) }))?.message).toHaveLength(512);
  });
});

describe("several", () => {
  const of = (name: string, seen: Seen = ABSENT, isHealth = false) => facts(seen, { name, hash: name, isHealth });
  const step = (before: readonly CheckRecord[], ...checks: readonly CheckFacts[]) =>
    rememberChecks(before, { checks, isHeld: false }, NOW);

  test("health comes before all others, wherever it stands", () => {
    const first = step([], of("a"), of("health", ABSENT, true));
    expect(first.map(({ name }) => name)).toEqual(["health"]);
    const second = step(first, of("a"), of("health", { state: "Passed", message: "" }, true));
    expect(second.map(({ name, result }) => `${name} ${result}`)).toEqual(["a Running", "health Passed"]);
  });

  test("four at once; the next begins when one has passed", () => {
    const names = ["a", "b", "c", "d", "e", "f"];
    const first = step([], ...names.map((name) => of(name)));
    expect(first.map(({ name }) => name)).toEqual(["a", "b", "c", "d"]);
    const second = step(
      first,
      ...names.map((name) => of(name, name === "b" ? { state: "Passed", message: "" } : ABSENT)),
    );
    expect(second.filter(({ result }) => result === "Running").map(({ name }) => name)).toEqual(["a", "c", "d", "e"]);
  });

  test("none begins after one has failed", () => {
    const first = step([], of("a"));
    const second = step(first, of("a", { state: "Failed", message: "no" }), of("b"));
    expect(second.map(({ name, result }) => `${name} ${result}`)).toEqual(["a Failed"]);
    expect(failedCheck(second, [of("a"), of("b")])).toMatchObject({ name: "a", message: "no", isHealth: false });
    expect(failedCheck(second, [of("b")])).toBeUndefined();
  });

  test("a result of another definition or release does not count", () => {
    expect(isVerified([running({ result: "Passed", check: "h0" })], [facts(ABSENT)])).toBe(false);
    expect(failedCheck([running({ result: "Failed", check: "h0" })], [facts(ABSENT)])).toBeUndefined();
  });

  test("why a Job could not be made is remembered until there is one", () => {
    const jobOf = ({ name }: CheckRecord): string => `web-${name}-h1`;
    const failures = ["Service web: no", 'jobs.batch "web-buy-h1" is forbidden: exceeded quota'];
    expect(withRefusals([running()], jobOf, failures)[0]?.message).toBe(failures[1]);
    expect(withRefusals([running({ job: "u1" })], jobOf, failures)[0]?.message).toBe("");
    expect(withRefusals([running({ name: "sell" })], jobOf, failures)[0]?.message).toBe("");
  });

  test("what is asked for no more is forgotten", () => {
    expect(step([running()])).toEqual([]);
    expect(isVerified([running()], [])).toBe(true);
  });
});

/** What is seen at a step of a course, by the name of the check; and what becomes of the definitions. */
const seen: fc.Arbitrary<Seen> = fc.oneof(
  fc.constant(ABSENT),
  fc.record({
    state: fc.constant("Running" as const),
    message: fc.constantFrom("", "image?"),
    job: fc.constantFrom("u1", "u2"),
  }),
  fc.record({ state: fc.constant("Passed" as const), message: fc.constant("yes"), job: fc.constantFrom("u1", "u2") }),
  fc.record({ state: fc.constant("Failed" as const), message: fc.constant("no") }),
);
const course = fc.array(
  fc.record({
    checks: fc.array(
      fc.record({
        name: fc.constantFrom("a", "b", "c", "d", "e", "f"),
        hash: fc.constantFrom("1", "2"),
        isHealth: fc.boolean(),
        seen,
      }),
      { maxLength: 6 },
    ),
    isHeld: fc.boolean(),
  }),
  { maxLength: 25 },
);

test("nothing passes that was not seen to pass while it ran; at most four run; what has passed stays passed", () => {
  fc.assert(
    fc.property(course, (steps) => {
      let records: readonly CheckRecord[] = [];
      for (const [index, { checks, isHeld }] of steps.entries()) {
        const unique = checks.filter(({ name }, place) => checks.findIndex((it) => it.name === name) === place);
        const before = records;
        records = rememberChecks(before, { checks: unique, isHeld }, NOW + index * 1_000);
        for (const { name, check, result } of records) {
          const was = before.find((it) => it.name === name && it.check === check);
          const asked = unique.find((it) => it.name === name && it.hash === check);
          expect(asked).toBeDefined();
          if (was?.result === "Passed") expect(result).toBe("Passed");
          else if (result === "Passed") {
            expect(was?.result).toBe("Running");
            expect(asked?.seen.state).toBe("Passed");
          }
        }
        const isRunning = ({ result }: CheckRecord): boolean => result === "Running";
        expect(records.filter(isRunning).length).toBeLessThanOrEqual(AT_ONCE_MAX);
        if (isHeld) expect(records.length).toBeLessThanOrEqual(before.length);
      }
    }),
  );
});

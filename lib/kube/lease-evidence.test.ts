import { describe, expect, it } from "@jest/globals";
import { createLeaseEvidence, type LeaseEvidence } from "./lease-evidence.ts";

// Goal: silence of the holder is counted only while the API answers, and nothing is concluded right after an outage.

const OPTIONS = { outageMs: 5_000, settleMs: 5_000 };

/** Answers at these seconds, each with the same record unless a letter follows: `"4b"`. */
function after(startedAt: number, ...answers: readonly string[]): LeaseEvidence {
  const evidence = createLeaseEvidence(startedAt * 1000, OPTIONS);
  let key = "a";
  for (const answer of answers) {
    key = /[a-z]/.exec(answer)?.[0] ?? key;
    evidence.answered(Number.parseInt(answer, 10) * 1000, key);
  }
  return evidence;
}

describe("the silence of a holder", () => {
  const cases: readonly { name: string; answers: readonly string[]; silentSeconds: number }[] = [
    { name: "begins with the first answer", answers: ["0"], silentSeconds: 0 },
    { name: "is the time between answers of the same record", answers: ["0", "2", "4", "6"], silentSeconds: 6 },
    { name: "ends with a change", answers: ["0", "2", "4b", "6"], silentSeconds: 2 },
    { name: "is not broken by one lost attempt", answers: ["0", "2", "7"], silentSeconds: 7 },
    { name: "begins anew after an outage", answers: ["0", "2", "4", "44"], silentSeconds: 0 },
    { name: "counts from the end of the outage", answers: ["0", "2", "44", "46", "48"], silentSeconds: 4 },
    { name: "counts from the last of two outages", answers: ["0", "20", "22", "40", "41"], silentSeconds: 1 },
  ];
  it.each(cases)("$name", ({ answers, silentSeconds }) => {
    expect(after(0, ...answers).silentMs()).toBe(silentSeconds * 1000);
  });

  it("is nothing before the first answer", () => {
    expect(after(0).silentMs()).toBe(0);
  });
});

describe("late writes", () => {
  const cases: readonly { name: string; answers: readonly string[]; isSettled: boolean }[] = [
    { name: "are not feared by a process that is answered promptly", answers: ["1"], isSettled: true },
    { name: "are feared when the first answer was long in coming", answers: ["6"], isSettled: false },
    { name: "are over 5 s after that answer", answers: ["6", "8", "11"], isSettled: true },
    { name: "are feared after an outage", answers: ["0", "2", "40", "44"], isSettled: false },
    { name: "are over 5 s after an outage", answers: ["0", "2", "40", "43", "45"], isSettled: true },
    { name: "are feared anew after the next outage", answers: ["0", "40", "43", "46", "60"], isSettled: false },
    { name: "are not feared for a change of the record", answers: ["0", "2b", "4c"], isSettled: true },
  ];
  it.each(cases)("$name", ({ answers, isSettled }) => {
    expect(after(0, ...answers).isSettled()).toBe(isSettled);
  });
});

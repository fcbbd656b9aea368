import { expect, test } from "@jest/globals";
import { firstFinding, type Policy, statementsOf } from "./conditions.ts";

const CHAIN: readonly Policy<number, string>[] = [
  ["it is negative", (value) => (value < 0 ? "negative" : undefined)],
  ["it is small", (value) => (value < 10 ? "small" : undefined)],
];

test.each([
  [-1, "negative"],
  [1, "small"],
])("the first check that finds something decides (%i)", (value, want) => {
  expect(firstFinding(CHAIN, value)).toBe(want);
});

test("no check after it is asked", () => {
  const asked: string[] = [];
  const check = (name: string, finding: string | undefined): Policy<number, string> => [
    name,
    () => {
      asked.push(name);
      return finding;
    },
  ];
  firstFinding([check("first", undefined), check("second", "found"), check("third", "too late")], 0);
  expect(asked).toEqual(["first", "second"]);
});

test("a chain that ends without a finding is a mistake of ours, and names its checks", () => {
  expect(() => firstFinding(CHAIN, 10)).toThrow("none of 2 checks found anything: it is negative, it is small");
});

test("the reason of a condition tells its status", () => {
  const found = {
    Published: { reason: "Published", message: "it is" },
    Trusted: { reason: "Waiting", message: "it is not" },
    Read: { reason: "Silent", message: "nobody says" },
  } as const;
  expect(statementsOf(found, { yes: ["Published"], unknown: ["Silent"] })).toEqual({
    Published: { status: "True", ...found.Published },
    Trusted: { status: "False", ...found.Trusted },
    Read: { status: "Unknown", ...found.Read },
  });
});

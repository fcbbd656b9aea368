import { expect, test } from "@jest/globals";
import { flagDefinition } from "./flag.ts";

const boolean = { key: "new-checkout", onVariant: "on", offVariant: "off" };

test("off and on for all are told without a hash", () => {
  const variants = { on: true, off: false };
  expect(flagDefinition(boolean, 0)).toEqual({ state: "ENABLED", variants, defaultVariant: "off" });
  expect(flagDefinition(boolean, 10_000)).toEqual({ state: "ENABLED", variants, defaultVariant: "on" });
});

test("a share is whole weights over the same sum, variant on first", () => {
  expect(flagDefinition(boolean, 50).targeting).toEqual({
    fractional: [
      ["on", 50],
      ["off", 9_950],
    ],
  });
});

test("texts, and a property of the context in the place of its key", () => {
  const values = { onValue: "wide", offValue: "narrow" };
  expect(
    flagDefinition({ key: "layout", onVariant: "b", offVariant: "a", ...values, bucketBy: "tenant" }, 2_500),
  ).toEqual({
    state: "ENABLED",
    variants: { b: "wide", a: "narrow" },
    defaultVariant: "a",
    targeting: {
      if: [
        { var: "tenant" },
        { fractional: [{ cat: [{ var: "$flagd.flagKey" }, { var: "tenant" }] }, ["b", 2_500], ["a", 7_500]] },
        "a",
      ],
    },
  });
});

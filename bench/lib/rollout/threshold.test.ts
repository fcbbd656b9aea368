// Goal: the simulated rule is that of the analysis which runs in the cluster: it decides at the first failed look above the limit.
import { expect, test } from "@jest/globals";
import { prng } from "../../../lib/core/prng.ts";
import { isRolledBack, rolledBackShare, type ThresholdRule } from "./threshold.ts";

const RULE: ThresholdRule = { thresholdBps: 9_500, intervalSeconds: 5, windowSeconds: 10, failureLimit: 1 };

test("a version that fails every request goes back, one that fails none does not", () => {
  expect(isRolledBack(1, RULE, prng(1))).toBe(true);
  expect(isRolledBack(0, RULE, prng(1))).toBe(false);
});

test("more failed looks are allowed than there are: nothing goes back", () => {
  expect(isRolledBack(1, { ...RULE, failureLimit: 16 }, prng(1))).toBe(false);
  expect(isRolledBack(1, { ...RULE, failureLimit: 15 }, prng(1))).toBe(true);
});

test("the stricter the threshold, the more good releases go back", () => {
  expect(rolledBackShare(0.001, RULE, 50)).toBe(0);
  expect(rolledBackShare(0.001, { ...RULE, thresholdBps: 9_970 }, 50)).toBeGreaterThan(0.1);
});

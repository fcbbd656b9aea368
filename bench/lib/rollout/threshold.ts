/** The rule of the rival's analysis in a simulation: a threshold on the share of good answers of the last seconds. */
import { prng } from "../../../lib/core/prng.ts";
import { binomial } from "../rollout-judge/traffic.ts";
import { LADDER, RATE } from "./side.ts";

export interface ThresholdRule {
  /** Least share of good answers, in basis points. */
  readonly thresholdBps: number;
  /** Time between two looks, and what each looks at. */
  readonly intervalSeconds: number;
  readonly windowSeconds: number;
  /** Failed looks that are allowed, over the whole release. */
  readonly failureLimit: number;
}

/** Plays one release up the ladder, second by second. @param errors share of requests that the new version fails */
export function isRolledBack(errors: number, rule: ThresholdRule, random: () => number): boolean {
  const seconds: { readonly requests: number; readonly failed: number }[] = [];
  let failures = 0;
  for (const percent of LADDER.percents) {
    const requests = (RATE * percent) / 100;
    for (let held = 0; held < LADDER.holdSeconds; held += 1) {
      seconds.push({ requests, failed: binomial(requests, errors, random) });
      if (seconds.length % rule.intervalSeconds !== 0) continue;
      const last = seconds.slice(-rule.windowSeconds);
      const sum = (member: "requests" | "failed") => last.reduce((total, second) => total + second[member], 0);
      if (sum("failed") * 10_000 > sum("requests") * (10_000 - rule.thresholdBps)) failures += 1;
      if (failures > rule.failureLimit) return true;
    }
  }
  return false;
}

/** @returns the share of so many releases that is rolled back; the same seed gives the same */
export function rolledBackShare(errors: number, rule: ThresholdRule, runs: number): number {
  const back = Array.from({ length: runs }, (_, run) => isRolledBack(errors, rule, prng(1_000_003 + run * 7_919)));
  return back.filter(Boolean).length / runs;
}

import type { RolloutPolicy } from "../../../crds/rollout-policy.ts";
import { prng } from "../../../lib/core/prng.ts";
import { type Decider, type Outcome, playRelease, type Release } from "./ladder.ts";

/** Plays a release so many times; the same seed gives the same outcomes. */
export function playReleases(
  release: Release,
  of: {
    readonly policy: RolloutPolicy;
    readonly make: (policy: RolloutPolicy) => Decider;
    readonly runs: number;
    readonly seed: number;
    /** Ticks follow each other quickly at first. */
    readonly looksQuickly?: boolean;
  },
): Outcome[] {
  const { policy, make, runs, seed, looksQuickly = false } = of;
  return Array.from({ length: runs }, (_, run) =>
    playRelease(release, { policy, looksQuickly, decide: make(policy), random: prng(seed * 1_000_003 + run * 7_919) }),
  );
}

/** Two versions with these shares of errors. */
export function plainRelease(stable: number, canary: number, requestsPerSecond = 200): Release {
  return { stable: { rate: stable }, canary: { rate: canary }, requestsPerSecond };
}

import { randomInt } from "node:crypto";

/** `randomInt` takes less than 2^48. */
const RANGE = 2 ** 47;

/** Spreads retries of this process; in [0, 1). Decisions take their randomness as an argument. */
export function processRandom(): number {
  return randomInt(RANGE) / RANGE;
}

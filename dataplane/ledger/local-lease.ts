import type { WriterLease } from "./writer-takeover.ts";

/** A right that nobody disputes, for a process that is the only one by arrangement (tests, benchmarks, one machine). */
export function createLocalLease(firstEpoch = 1): WriterLease {
  let epoch = firstEpoch;
  return {
    isHeld: () => true,
    // One machine keeps no memory beside its database.
    memory: () => ({ position: undefined, systemIdentifier: undefined }),
    epoch: () => epoch,
    setMinimumEpoch: (minimum) => {
      epoch = Math.max(epoch, minimum);
      return Promise.resolve(epoch);
    },
  };
}

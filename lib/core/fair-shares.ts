/**
 * Parts a fixed amount among holders so that nobody can take it all: what a holder takes never makes its part larger than
 * what is left for all others. One holder alone gets half. Of several, those who came first may have more for a while; as
 * parts are given back and taken again, n of them come to 1/(n + 1) each, and as much again stays for the one that comes next.
 */
export interface FairShares {
  /** Most that all holders together may have. */
  readonly total: number;
  /** Whether `take` would work. */
  fits(holder: string, amount: number): boolean;
  /** False when the holder would have more than what is left; nothing is taken then. */
  take(holder: string, amount: number): boolean;
  /** Gives back what was taken before. */
  give(holder: string, amount: number): void;
  heldBy(holder: string): number;
  /** By all holders together. */
  held(): number;
}

/** @param total in any unit, as long as it is the same one everywhere */
export function createFairShares(total: number): FairShares {
  const parts = new Map<string, number>();
  let held = 0;
  const heldBy = (holder: string): number => parts.get(holder) ?? 0;
  const fits = (holder: string, amount: number): boolean => heldBy(holder) + amount <= total - held - amount;
  return {
    total,
    fits,
    take: (holder, amount) => {
      if (!fits(holder, amount)) return false;
      held += amount;
      parts.set(holder, heldBy(holder) + amount);
      return true;
    },
    give: (holder, amount) => {
      held -= amount;
      const rest = heldBy(holder) - amount;
      // Holders come and go: one that has nothing is forgotten.
      if (rest > 0) parts.set(holder, rest);
      else parts.delete(holder);
    },
    heldBy,
    held: () => held,
  };
}

/**
 * When to replace a CA so that nobody is refused at any moment, whoever keeps it and wherever it is trusted: add first,
 * switch later, drop last. Each step is stored before the next one is decided.
 *
 *   make ──► signing A ──announce──► signing A, next B ──switch──► signing B, A still trusted ──retire──► signing B
 *            (or lost)               everybody learns to trust B   certificates are made anew by B
 */

/** A CA as far as a decision needs it. */
export type AuthorityState = "absent" | "unusable" | "usable";

/** What a decision needs. */
export interface AuthorityFacts {
  readonly signing: AuthorityState;
  /** Announced, not signing yet. */
  readonly next: AuthorityState;
  /** A certificate that somebody relies on would be refused by nobody but for a CA that is not trusted yet. */
  readonly isInUse: boolean;
  /** Everybody who has to trust the next CA does, and has for long enough. */
  readonly isNextTrusted: boolean;
  /** The signing CA is to be replaced: it was asked for, or its end comes nearer. */
  readonly isDue: boolean;
  /** A former CA is trusted that nothing needs any more. */
  readonly isRetirable: boolean;
}

/** What to do with the CAs next. */
export type AuthorityStep = "make" | "announce" | "switch" | "retire";

/** The next step; `undefined` when there is nothing to do, or when trust in the next CA has to be waited for. */
export function authorityStep(facts: AuthorityFacts): AuthorityStep | undefined {
  const { signing, next, isInUse, isNextTrusted, isDue, isRetirable } = facts;
  // Where nothing works any more there is nothing to wait for.
  if (signing !== "usable" && !isInUse) return next === "usable" ? "switch" : "make";
  if (next === "unusable") return "announce";
  if (next === "usable") return isNextTrusted ? "switch" : undefined;
  if (signing !== "usable" || isDue) return "announce";
  return isRetirable ? "retire" : undefined;
}

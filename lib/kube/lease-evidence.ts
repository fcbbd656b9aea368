/*
 * What a candidate knows about the holder of a Lease, from the answers of the API alone.
 *
 *   answers   │ │ │ │ │                     │ │ │ │ │ │ │ │ │ │
 *   time    ──┴─┴─┴─┴─┴─────────────────────┴─┴─┴─┴─┴─┴─┴─┴─┴─┴──►
 *   unbroken  ├───────┤      an outage      ├─ settle ─┤
 *   silence     ├─────┤      counts not     ├───────────────────┤ duration
 *
 * A server that was frozen carries out at its thaw what lay unread in its sockets, among it writes that the holder sent
 * while it had the right. A candidate that took the silence of the server for that of the holder would begin to write at
 * the very moment at which these late writes land.
 */

export interface LeaseEvidenceOptions {
  /** Two answers further apart have an outage between them. */
  readonly outageMs: number;
  /** After an outage, answers must have come for this long before anything is concluded from the record. */
  readonly settleMs: number;
}

/** Collects answers; all times are of one monotonic clock, in milliseconds. */
export interface LeaseEvidence {
  /**
   * An answer that showed the record.
   * @param key its content: equal keys mean that nobody wrote in between
   */
  answered(now: number, key: string): void;
  /** Late writes of a former holder are over. */
  isSettled(): boolean;
  /** For how long the record has shown no sign of life while the API answered. */
  silentMs(): number;
}

/**
 * Starts to collect. The start counts as an answer: a process that comes up and is answered promptly has no reason to
 * think of an outage.
 */
export function createLeaseEvidence(startedAt: number, options: LeaseEvidenceOptions): LeaseEvidence {
  let last = startedAt;
  /** Since when answers have come without an outage. */
  let unbrokenSince = Number.NEGATIVE_INFINITY;
  let seen: { readonly key: string; readonly since: number } | undefined;

  return {
    answered: (now, key) => {
      if (now - last > options.outageMs) unbrokenSince = now;
      last = now;
      if (seen?.key !== key) seen = { key, since: now };
    },
    isSettled: () => last - unbrokenSince >= options.settleMs,
    silentMs: () => (seen === undefined ? 0 : last - Math.max(seen.since, unbrokenSince)),
  };
}

/** What became of the requests of a while, and whose fault it was where one failed. */
import type { LoadResults } from "../../gateway/load-pod.ts";

type Counts = Readonly<Record<string, number>>;

export interface Attribution {
  readonly requests: number;
  /** No version has answered: errors of the gateway (`-/503`) and of connections (`reset`). */
  readonly lost: Counts;
  /** A version answered with an error that it was not made to give. */
  readonly strange: Counts;
  /** Errors that bad versions were made to give. */
  readonly ofBadVersions: number;
  /** Requests that were not sent, because too many were under way. */
  readonly leftOut: number;
}

/** The requests between two looks. @param bad names of versions that answer with errors by themselves */
export function attribute(before: LoadResults, after: LoadResults, bad: ReadonlySet<string>): Attribution {
  const counts = difference(before.counts, after.counts);
  const failed = Object.entries(counts).filter(([key]) => !key.endsWith("/200"));
  const pick = (want: (version: string) => boolean): (readonly [string, number])[] =>
    failed.filter(([key]) => want(key.slice(0, key.lastIndexOf("/"))));
  return {
    requests: after.sent - before.sent,
    // No answer at all is counted twice, as "-/0" and by its error: the error says more.
    lost: {
      ...Object.fromEntries(pick((version) => version === "-").filter(([key]) => key !== "-/0")),
      ...difference(before.errors, after.errors),
    },
    strange: Object.fromEntries(pick((version) => version !== "-" && !bad.has(version))),
    ofBadVersions: pick((version) => bad.has(version)).reduce((sum, [, count]) => sum + count, 0),
    leftOut: after.leftOut - before.leftOut,
  };
}

/** A request that was not answered in its time: a slow machine looks the same as a version that is gone. */
const SLOW = "timeout";

/**
 * What was lost by switching. Where a route without any release lost requests for want of time too, and at the same time, the
 * machine was short of it: then timeouts tell nothing, and everything else still does.
 */
export function lostBySwitching({ lost, leftOut }: Attribution, control: Attribution): Counts {
  const isStarved = (control.lost[SLOW] ?? 0) + control.leftOut > 0;
  const others = Object.entries(lost).filter(([key]) => !isStarved || key !== SLOW);
  return Object.fromEntries([...others, ...(leftOut > 0 && !isStarved ? [["not sent", leftOut] as const] : [])]);
}

export function total(counts: Counts): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

function difference(before: Counts, after: Counts): Counts {
  const grown = Object.entries(after).map(([key, count]) => [key, count - (before[key] ?? 0)] as const);
  return Object.fromEntries(grown.filter(([, count]) => count > 0));
}

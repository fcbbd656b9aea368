import type { Following } from "../../../e2e/release.ts";

/** A version that is pushed. */
export interface Push {
  readonly version: string;
  /** Share of requests that it answers with 500. */
  readonly errors: number;
  /** Least share of good answers that a user of the rival would write down to catch this case, in basis points. */
  readonly thresholdBps: number;
}

export type Outcome = "Promoted" | "RolledBack";

/** One of the two programs, with the application that it releases: a namespace and a host name of its own. */
export interface Side {
  readonly name: "ours" | "argoRollouts";
  readonly namespace: string;
  readonly host: string;
  /** Makes the application and the rules of its releases, and waits until the first version serves. */
  prepare(first: Push): Promise<void>;
  /** Follows the weights of both versions from now on; `canary` is the Service of the next version. */
  follow(): Promise<Following & { readonly canary: string }>;
  /** Pushes a version and waits until its release has ended. */
  release(push: Push): Promise<Outcome>;
  /** Waits until no pod of a release is left. */
  settle(): Promise<void>;
}

/** The ladder of both: shares of the requests in percent, and how long each is held. */
export const LADDER = { percents: [5, 25, 50, 95], holdSeconds: 20 } as const;

/** Requests per second. */
export const RATE = 200;

/** Of the version before, in all cases. */
export const STABLE_ERRORS = 0.001;

/** A good release takes a minute and a half. */
export const RELEASE_TIMEOUT_MS = 300_000;

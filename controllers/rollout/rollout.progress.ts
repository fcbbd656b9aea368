/** What is remembered of a release from one reconcile to the next, and what a reconcile knows of it. */

import type { RolloutSpec } from "../../crds/rollout.ts";
import type { RolloutRequest } from "../../crds/rollout-request.ts";
import type { Verdict } from "../../crds/rollout-run.ts";
import type { Colour, Outcome, RolloutStatus, Version } from "../../crds/rollout-status.ts";
import type { Closed } from "./rollout.windows.ts";
import type { CheckFacts } from "./verification/memory.ts";

/** All that a decision remembers: written to the status before anything is done about it, but for a retreat. */
export type Progress = Pick<
  RolloutStatus,
  | "stable"
  | "canary"
  | "stage"
  | "phaseSince"
  | "verifiedAt"
  | "lostAt"
  | "losses"
  | "stageBps"
  | "flags"
  | "heldSince"
  | "isFastTrack"
  | "ignoresWindows"
  | "heldReplicas"
  | "isShadowed"
  | "verify"
  | "pause"
  | "retreat"
  | "failedRevision"
  | "lastRequest"
  | "requestIds"
  | "releases"
  | "releaseStartedAt"
> & { readonly phase: NonNullable<RolloutStatus["phase"]> };

/** The Deployment of a colour. */
export interface ColourFacts {
  /** Revision of its pod template; absent: there is no such Deployment. */
  readonly revision: string | undefined;
  /** Pods that it is to have. */
  readonly replicas: number;
  /** Pods of that revision that are ready. */
  readonly ready: number;
}

/** The route, as it was last seen. */
export interface RouteFacts {
  /** Share of each colour in the route, in basis points; absent: there is no route. */
  readonly weights: Readonly<Record<Colour, number>> | undefined;
  /** Copies of requests that it makes; absent: none. */
  readonly mirror?: Mirror | undefined;
  /** Every parent has taken this very version of the route. */
  readonly isAccepted: boolean;
  /** Why a replica took the canary's share away, written with the weight itself: a crash after it forgets nothing. */
  readonly retreat: KeptRetreat | undefined;
}

/** Copies of requests. */
export interface Mirror {
  /** Where they go. */
  readonly colour: Colour;
  /** Share of the requests that are copied. */
  readonly percent: number;
}

/** A retreat, as the route itself remembers it. */
export interface KeptRetreat extends Cause {
  readonly revision: string;
  /** When the release that goes back began: the same revision may be released again. */
  readonly startedAt: string;
}

/** The flags of the spec, as they were last seen in the cluster. */
export interface FlagFacts {
  /** The cluster has the kind of object by which flags are raised, and it may be read. */
  readonly isServed: boolean;
  /** Share of the contexts for which a flag is on, by its key; absent: its definition is not as it is to be. */
  readonly written: ReadonlyMap<string, number>;
}

/** What the judge says of the release under way. */
export interface JudgedFacts {
  /** Of the present stage and weight. */
  readonly verdict: Verdict | undefined;
  /** The first failure of the release; it stays. */
  readonly failure: Verdict | undefined;
  /** Since when nothing could be judged, in milliseconds since the epoch. */
  readonly unknownSince: number | undefined;
}

/** Everything that a decision looks at besides the progress. */
export interface ReleaseFacts {
  readonly spec: Pick<
    RolloutSpec,
    | "stages"
    | "autoscaling"
    | "bakeSeconds"
    | "holdbackBps"
    | "drainSeconds"
    | "progressDeadlineSeconds"
    | "rollback"
    | "paused"
    | "shadow"
    | "flags"
  > & { readonly request?: RolloutRequest };
  /** Revision that the spec asks for; absent while the target cannot be used. */
  readonly wanted: string | undefined;
  /** Pods of a version that serves everything. */
  readonly replicas: number;
  readonly colours: Readonly<Record<Colour, ColourFacts>>;
  /** Nothing is left of the version that serves: no Deployment, no pod, and nobody knows what it ran. */
  readonly isStableGone?: boolean;
  readonly route: RouteFacts;
  readonly judged: JudgedFacts;
  /** What the spec asks of the gateway and it cannot do, each as a sentence; nothing unless told. */
  readonly lacks?: Lacks;
  /** Where the spec names flags; nothing unless told. */
  readonly flags?: FlagFacts;
  /** What the canary must pass before its first share; nothing unless told. */
  readonly checks?: readonly CheckFacts[];
  /** No window of the spec is open. */
  readonly closed?: Closed | undefined;
}

/** Why a gateway does not do what the spec asks for. */
export interface Lacks {
  readonly mirror?: string | undefined;
  readonly testers?: string | undefined;
}

/** Phases in which the canary answers requests, or copies of them, and is judged by that. */
const JUDGED: ReadonlySet<Progress["phase"]> = new Set(["Shadowing", "Canary", "Baking"]);

/** What the phase asks for is observed, from the moment when the gateway does so. */
export function isJudged({ phase }: Pick<Progress, "phase">): boolean {
  return JUDGED.has(phase);
}

export function otherColour(colour: Colour): Colour {
  return colour === "Blue" ? "Green" : "Blue";
}

/** The version that takes part in the present release, and the one to which it can go back. */
export interface Release {
  readonly stable: Version;
  readonly canary: Version;
}

/** A release that can be taken back; the first one has nothing to go back to. */
export function releaseOf({ stable, canary }: Progress): Release | undefined {
  return stable === undefined || canary === undefined ? undefined : { stable, canary };
}

/** The spec asks for a revision that neither serves nor was taken back. */
export function isToBegin({ stable, failedRevision }: Progress, { wanted }: Pick<ReleaseFacts, "wanted">): boolean {
  return wanted !== undefined && wanted !== stable?.revision && wanted !== failedRevision;
}

/** Why a release ends. */
export interface Cause {
  readonly outcome: Outcome;
  readonly reason: string;
  readonly message: string;
}

/** What every way of leading requests to the two colours is asked for: nothing else of it is known outside of this folder. */
import type { RolloutReason } from "../../../crds/conditions.ts";
import type { Colour, RouteMemory } from "../../../crds/rollout-status.ts";
import type { RolloutPort } from "../../../crds/rollout-target.ts";
import type { ObjectIdentity } from "../../../lib/kube/types.ts";
import type { Write } from "../../../operator/runtime/types.ts";
import type { Says } from "../../kit/conditions.ts";
import type { KeptRetreat, Lacks, Mirror, RouteFacts } from "../rollout.progress.ts";

type ByColour<T> = Readonly<Record<Colour, T>>;

/** The object that leads the requests, as it was last seen. */
export interface ObservedTraffic extends RouteFacts {
  /** The colour that serves, as the object itself remembers it. */
  readonly stable: Colour | undefined;
}

/** How requests are to be led. */
export interface Leading {
  /** Share of each colour, in basis points. */
  readonly weights: ByColour<number>;
  /** Ports of what each colour runs; absent for a colour of which nothing is known. */
  readonly ports: ByColour<readonly RolloutPort[] | undefined>;
  /** The colour that serves. */
  readonly stable: Colour | undefined;
  /** Copies of requests. */
  readonly mirror: Mirror | undefined;
  /** Where requests of testers go, in place of the colour that serves. */
  readonly tested: Colour | undefined;
  /** Why the share of the canary was taken away. */
  readonly retreat: KeptRetreat | undefined;
  /** The release goes back: its share must go, whoever is against it. */
  readonly isRetreat: boolean;
  /** Pods of each colour that are ready, of the version that it is to run. */
  readonly ready: ByColour<number>;
  /** Pods of a version that serves everything. */
  readonly replicas: number;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** Requests of one Rollout, as they are led now, and how to lead them otherwise. */
export interface Traffic {
  /** Kind of the object that leads them. */
  readonly kind: string;
  /** The object; absent: there is none, or none of ours. */
  readonly seen: ObservedTraffic | undefined;
  /** What the spec asks for and cannot be done. */
  readonly lacks: Lacks;
  /** Writes that lead them so; none while that cannot be. Their order is that of the list. */
  lead(how: Leading, note: string): readonly Write[];
  /** What is said of it. @param weights that are to be; absent while there is no version */
  accepted(weights: ByColour<number> | undefined, shareBps: number): Says<RolloutReason>;
  /** Something of it outlives the Rollout, and has to be put right before the Rollout goes. */
  readonly holdsDeletion?: boolean;
  /** What the status is to remember of an object of the user's; of one of ours nothing. */
  remember?(how: Leading | undefined): RouteMemory | undefined;
  /** The object, while somebody else writes again and again what leads requests. */
  readonly contested?: ObjectIdentity | undefined;
  /** The same, with the name of whoever does so. */
  writtenBy?(writer: string | undefined): Traffic;
}

/** What was seen of a Rollout and of its route: every version of both, in the order in which the server took them. */
import { ANNOTATIONS } from "../../../crds/group.ts";
import { type Rollout } from "../../../crds/rollout.ts";
import { type RolloutStatus } from "../../../crds/rollout-status.ts";
import type { KubeObject } from "../../../lib/kube/types.ts";

/** Weights by Service. */
export type Weights = Readonly<Record<string, number>>;

interface Seen {
  /** The server's revision: one count for all objects, so that it orders them. */
  readonly revision: number;
  /** When it was seen here, in milliseconds since 1970. */
  readonly at: number;
}

export interface RouteSight extends Seen {
  readonly kind: "route";
  /** Absent once the route is gone. */
  readonly weights: Weights | undefined;
  /** Start of the release that the route remembers to have been taken back. */
  readonly takenBack: string | undefined;
}

export interface RolloutSight extends Seen {
  readonly kind: "rollout";
  /** Absent once the Rollout is gone. */
  readonly status: RolloutStatus | undefined;
}

export type Sight = RouteSight | RolloutSight;

interface RouteShape extends KubeObject {
  readonly spec?: {
    readonly rules?: readonly {
      readonly backendRefs?: readonly { readonly name: string; readonly weight?: number }[];
    }[];
  };
}

/** A version of the route; `isGone` for its last one. @param at milliseconds since 1970 */
export function routeSight(route: RouteShape, at: number, isGone: boolean): RouteSight {
  const refs = route.spec?.rules?.[0]?.backendRefs ?? [];
  const kept = route.metadata.annotations?.[ANNOTATIONS.retreat];
  return {
    kind: "route",
    revision: Number(route.metadata.resourceVersion),
    at,
    weights: isGone ? undefined : Object.fromEntries(refs.map(({ name, weight = 1 }) => [name, weight])),
    takenBack: kept === undefined ? undefined : (JSON.parse(kept) as { readonly startedAt?: string }).startedAt,
  };
}

/** A version of the Rollout; `isGone` for its last one. @param at milliseconds since 1970 */
export function rolloutSight({ metadata, status }: Rollout, at: number, isGone: boolean): RolloutSight {
  return { kind: "rollout", revision: Number(metadata.resourceVersion), at, status: isGone ? undefined : status };
}

/** What a status says to people, a line for each condition: `Judged=Unknown NoData: …`. */
export function saidBy({ status }: RolloutSight): readonly string[] {
  return (status?.conditions ?? []).map(
    ({ type, status: value, reason, message }) => `${type}=${value} ${reason}: ${message}`,
  );
}

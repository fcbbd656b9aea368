/** A Rollout that goes, or its spec elsewhere, gives the routes of the user's back that it has moved. */
import type { RouteMemory } from "../../crds/rollout-status.ts";
import { identityOf } from "../../lib/kube/types.ts";
import { patch, urgent } from "../../operator/runtime/actions.ts";
import type { Plan, Write } from "../../operator/runtime/types.ts";
import type { Decision } from "./rollout.decide.ts";
import { isLeft, type Leaver, leavingStep } from "./traffic/leaving.ts";

/** Beyond the drain a gateway that says nothing of the route is waited for no longer than this. */
const GATEWAY_SECONDS = 60;

export function isDeleted({ world }: Pick<Decision, "world">): boolean {
  return world.rollout.metadata.deletionTimestamp !== undefined;
}

function leaverOf({ world, acting, facts }: Decision): Leaver {
  const { Blue, Green } = facts.colours;
  return {
    stable: acting.stable?.colour,
    ready: { Blue: Blue.ready, Green: Green.ready },
    serving: world.serving,
  };
}

/** Writes to routes that are left. Nobody waits for others there: requests go to what may be gone soon. */
export function leave(decision: Decision): readonly Write[] {
  const leaver = leaverOf(decision);
  return decision.world.leaving.flatMap((leaving) => {
    const { patch: change, waits } = leavingStep(leaving, leaver);
    const note = waits ?? `back to Service ${leaving.place.backend}`;
    return change === undefined ? [] : [urgent(patch(identityOf(leaving.type, leaving.object), { change, note }))];
  });
}

/** For what a route that is left waits. */
export function leavingText(decision: Decision): string | undefined {
  const leaver = leaverOf(decision);
  return decision.world.leaving.flatMap((leaving) => leavingStep(leaving, leaver).waits ?? [])[0];
}

/** The plan of a deletion: everything else goes with the Rollout. @param lookSeconds look again after this time */
export function planDeparture(decision: Decision, lookSeconds: number): Plan {
  const actions = leave(decision);
  if (isGone(decision)) return { actions, isCleanedUp: true };
  return { actions, requeueAfterSeconds: lookSeconds };
}

/** Nothing leads to the versions any more, and requests that were under way have had time to end. */
function isGone({ world, facts, now }: Decision): boolean {
  const { leaving, rollout } = world;
  if (leaving.length === 0) return true;
  const returnedAt = rollout.status?.route?.returnedAt;
  if (!isLeft(leaving) || returnedAt === undefined) return false;
  const seconds = (now - Date.parse(returnedAt)) / 1_000 - facts.spec.drainSeconds;
  return seconds >= (leaving.every(({ isAccepted }) => isAccepted) ? 0 : GATEWAY_SECONDS);
}

/** What the status remembers of a route of the user's while the Rollout goes. */
export function departureMemory({ world, now }: Decision): RouteMemory | undefined {
  const { leaving, rollout } = world;
  const before = rollout.status?.route;
  const [first] = leaving;
  if (first === undefined) return before;
  const kind = first.type.kind === "GRPCRoute" ? "GRPCRoute" : "HTTPRoute";
  const { returnedAt: _, ...memory } = before ?? { kind, name: first.place.route };
  const returnedAt = before?.returnedAt ?? new Date(now).toISOString();
  return isLeft(leaving) ? { ...memory, returnedAt } : memory;
}

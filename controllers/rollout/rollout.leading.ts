/** How requests are to be led at a step of the release. */
import type { Decision } from "./rollout.decide.ts";
import type { KeptRetreat, Progress } from "./rollout.progress.ts";
import { isOfRelease } from "./rollout.retreat.ts";
import type { Leading } from "./traffic/traffic.ts";

/** @returns `undefined` while there is no version */
export function leadingOf(decision: Decision): Leading | undefined {
  const { weights, mirror, tested, contents, acting, facts, now } = decision;
  if (weights === undefined) return undefined;
  return {
    weights,
    mirror,
    tested,
    ports: { Blue: contents.Blue?.ports, Green: contents.Green?.ports },
    stable: acting.stable?.colour,
    retreat: retreatOf(acting) ?? keptRetreat(decision),
    isRetreat: acting.phase === "RollingBack",
    ready: { Blue: facts.colours.Blue.ready, Green: facts.colours.Green.ready },
    replicas: facts.replicas,
    now,
  };
}

function retreatOf({ canary, retreat, releaseStartedAt = "" }: Progress): KeptRetreat | undefined {
  if (canary === undefined || retreat === undefined) return undefined;
  const { outcome, reason, message } = retreat;
  return { revision: canary.revision, startedAt: releaseStartedAt, outcome, reason, message };
}

/** What another replica wrote stays until it is known here, and then for as long as the revision must not come back. */
function keptRetreat({ world, acting, next }: Decision): KeptRetreat | undefined {
  const seen = world.traffic.seen?.retreat;
  if (seen === undefined) return undefined;
  const isFailed = seen.revision === acting.failedRevision || seen.revision === next.failedRevision;
  return isFailed || isOfRelease(acting, seen) ? seen : undefined;
}

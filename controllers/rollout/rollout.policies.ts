import type { RolloutReason } from "../../crds/conditions.ts";
import { type ResourceState, ready, stuck, working } from "../../operator/runtime/summary.ts";
import type { Policy } from "../kit/conditions.ts";
import { areFlagsMissing } from "./flags/memory.ts";
import type { Assessment } from "./rollout.assess.ts";
import { colourTrouble } from "./rollout.conditions.ts";
import { isDeleted, leavingText } from "./rollout.departure.ts";
import { isOutsideWindows } from "./rollout.hold.ts";
import type { World } from "./rollout.observe.ts";
import { isToBegin } from "./rollout.progress.ts";
import { doingText, goOnCommand, isForced } from "./rollout.sentences.ts";
import type { Closed } from "./rollout.windows.ts";

type State = ResourceState<RolloutReason>;

/** Where a Rollout stands: what the first check that finds something says. */
export const ROLLOUT_POLICIES: readonly Policy<Assessment, State>[] = [
  ["it is being deleted", deletion],
  ["the release goes back", retreat],
  ["the target cannot be used", target],
  ["the gateway does not take the route", route],
  ["its flags cannot be raised", flags],
  ["the release waits for a person", waiting],
  ["the release waits for a window", window],
  ["a release is under way", release],
  ["the version of the spec was taken back", rolledBack],
  ["the version that serves has not all its pods", serving],
  ["all is as it should be", rest],
];

function deletion(assessment: Assessment): State | undefined {
  if (!isDeleted(assessment)) return undefined;
  const waits = leavingText(assessment);
  if (waits !== undefined) return stuck("Deleting", waits);
  return working("Deleting", "the Rollout's objects are being removed");
}

function retreat({ next, facts, shareBps }: Assessment): State | undefined {
  if (next.phase !== "RollingBack") return undefined;
  const doing = doingText(next, facts, shareBps);
  return isForced(next) ? stuck("RollingBack", doing) : { ...working("RollingBack", doing), news: "message" };
}

function target({ conditions }: Assessment): State | undefined {
  const { status, reason, message } = conditions.TargetFound;
  if (status === "True") return undefined;
  return reason === "ConfigurationPending" ? working(reason, message) : stuck(reason, message);
}

const FOR_PEOPLE: readonly RolloutReason[] = [
  "GatewayAPINotInstalled",
  "RouteRejected",
  "GatewayNotFound",
  "RouteNotFound",
  "RouteMismatch",
  "RouteClaimed",
  "RouteConflict",
  "RouteReturning",
  "MirrorUnsupported",
  "TestersUnsupported",
];

function route({ conditions, acting }: Assessment): State | undefined {
  const { status, reason, message } = conditions.RouteAccepted;
  if (status === "True") return undefined;
  if (FOR_PEOPLE.includes(reason)) return stuck(reason, message);
  // A route that follows a release is the release's business.
  return acting.canary === undefined && acting.stable !== undefined ? working(reason, message) : undefined;
}

function flags({ facts, next }: Assessment): State | undefined {
  if (!areFlagsMissing(facts) || next.isFastTrack === true) return undefined;
  const message =
    "the cluster has no FeatureFlag of core.openfeature.dev/v1beta1 that may be read, so the flags of the spec cannot be raised: no release begins. Install the CRD of the OpenFeature Operator, or remove spec.flags";
  return stuck("OpenFeatureNotInstalled", message);
}

function waiting({ next, world, facts }: Assessment): State | undefined {
  if (next.canary === undefined && !isToBegin(next, facts)) return undefined;
  if (facts.spec.paused) return stuck("ReleasePaused", "spec.paused holds the release; set it to false to go on");
  if (next.pause === undefined) return undefined;
  const { verdict } = world.standing ?? {};
  const why = {
    Approval: "the stage has passed and waits for approval",
    MaxHold: `the stage has not passed in its time: ${verdict?.reason ?? "nothing was judged"}`,
    Unknown: "nothing could be judged for too long",
  }[next.pause.reason];
  const message = `${why}. To go on: ${goOnCommand(world.target.owner)}; to go back: ${goOnCommand(world.target.owner).replace("promote", "abort")}`;
  return { ...stuck("WaitingForPerson", message), news: "message" };
}

function window({ next, facts, shareBps, world }: Assessment): State | undefined {
  if (facts.closed === undefined || !isOutsideWindows(next, facts)) return undefined;
  const message = `${doingText(next, facts, shareBps)}; ${windowText(facts.closed, world)}`;
  return { ...working("WaitingForWindow", message), news: "message" };
}

function windowText({ text }: Closed, { target: { owner } }: World): string {
  return `${text}. To go on now: ${goOnCommand(owner)}`;
}

function release({ next, facts, shareBps, world }: Assessment): State | undefined {
  if (next.canary === undefined) return undefined;
  const trouble = colourTrouble(world, next.canary.colour);
  const doing = doingText(next, facts, shareBps);
  const message = trouble === undefined ? doing : `${doing}; ${trouble.text}`;
  if (trouble?.needsPerson === true && next.phase === "Preparing") return stuck("StartBlocked", message);
  return { ...working("Releasing", message), news: "message" };
}

function rolledBack({ next, facts, world, conditions }: Assessment): State | undefined {
  if (next.failedRevision === undefined || next.failedRevision !== facts.wanted) return undefined;
  const again = goOnCommand(world.target.owner).replace("promote", "retry");
  return stuck("RolledBack", `${conditions.Promoted.message}. Release another version, or again: ${again}`);
}

function serving({ conditions }: Assessment): State | undefined {
  const { status, reason, message } = conditions.Serving;
  if (status === "True") return undefined;
  return reason === "StartBlocked" ? stuck(reason, message) : working(reason, message);
}

function rest({ conditions, next, facts, world }: Assessment): State {
  if (conditions.Promoted.reason === "WaitingForWindow" && facts.closed !== undefined)
    return working("WaitingForWindow", windowText(facts.closed, world));
  if (next.stable === undefined || next.stable.revision !== facts.wanted)
    return working("Releasing", "a release begins");
  return ready(conditions.Promoted.message);
}

/** The conditions of a Rollout, one sentence each. */
import type { RolloutConditionType, RolloutReason } from "../../crds/conditions.ts";
import type { Colour } from "../../crds/rollout-status.ts";
import type { Statement } from "../../operator/runtime/types.ts";
import { type OwnConditions, type Says, statementsOf } from "../kit/conditions.ts";
import { podTrouble } from "../kit/explain/pods.ts";
import { refusalTrouble } from "../kit/explain/refusals.ts";
import type { Trouble } from "../kit/explain/trouble.ts";
import type { Decision } from "./rollout.decide.ts";
import { isDeleted, leavingText } from "./rollout.departure.ts";
import { waitsToBegin } from "./rollout.hold.ts";
import { TEMPLATE_IMAGES } from "./rollout.names.ts";
import type { World } from "./rollout.observe.ts";
import { isJudged } from "./rollout.progress.ts";
import { doingText } from "./rollout.sentences.ts";

export type RolloutConditions = OwnConditions<RolloutConditionType, RolloutReason>;
type Found = Says<RolloutReason>;

export function rolloutConditions(input: Decision): RolloutConditions {
  const found: Record<keyof RolloutConditions, Found> = {
    TargetFound: targetFound(input.world),
    RouteAccepted: routeAccepted(input),
    Serving: serving(input),
    Judged: judged(input),
    Promoted: promoted(input),
  };
  const yes: readonly RolloutReason[] = ["TargetFound", "RouteAccepted", "Serving", "Judging", "Promoted"];
  return statementsOf(found, {
    yes,
    unknown: ["NotJudged", "NoData", "NoTraffic", "WeightNotMeasured", "CommonCause"],
  });
}

function targetFound({ wanted, target }: World): Found {
  if ("reason" in wanted) return { reason: wanted.reason, message: wanted.message };
  const { deployment } = target.spec.target;
  const what = deployment === undefined ? "the template of the spec" : `Deployment ${deployment}`;
  const { length } = wanted.copies;
  const copies = length === 0 ? "" : `, with copies of ${String(length)} ConfigMaps and Secrets`;
  return { reason: "TargetFound", message: `${what} is revision ${wanted.revision}${copies}` };
}

/** A route that cannot be left yet is told of once all else about routes is well. */
function routeAccepted(input: Decision): Found {
  const waits = leavingText(input);
  const found = input.world.traffic.accepted(input.weights, input.shareBps);
  const isElse = found.reason !== "RouteAccepted" && !isDeleted(input);
  return waits === undefined || isElse ? found : { reason: "RouteReturning", message: waits };
}

/** What is said of a route whose weights somebody else writes again each time. */
export function routeConflict(message: string): Statement<RolloutReason> {
  return { status: "False", reason: "RouteConflict", message };
}

function serving({ acting, facts, world }: Decision): Found {
  const version = acting.stable ?? acting.canary;
  if (version === undefined) return { reason: "Deploying", message: "no pod was started yet" };
  const { ready } = facts.colours[version.colour];
  const pods = `${String(ready)} of ${String(facts.replicas)} pods of revision ${version.revision} are ready`;
  if (ready >= facts.replicas) return { reason: "Serving", message: pods };
  const trouble = colourTrouble(world, version.colour);
  const message = trouble === undefined ? pods : `${pods}; ${trouble.text}`;
  if (trouble?.needsPerson === true) return { reason: "StartBlocked", message };
  return { reason: acting.stable === undefined ? "Deploying" : "PodsUnavailable", message };
}

/** Why pods of a colour do not come up; nothing while they start as pods do. */
export function colourTrouble(world: World, colour: Colour): Trouble | undefined {
  const { colours, pods, clues, sources, progress } = world;
  if (sources.trouble !== undefined && progress.canary?.colour === colour)
    return { text: sources.trouble, needsPerson: false };
  const refused = colours[colour]?.refused;
  if (refused !== undefined) return refusalTrouble(refused);
  for (const pod of pods.filter((it) => it.colour === colour && !it.ready)) {
    const trouble = podTrouble(pod, clues.complaints.get(pod.uid ?? ""), TEMPLATE_IMAGES);
    if (trouble !== undefined) return { ...trouble, text: `pod ${pod.name}: ${trouble.text}` };
  }
  return undefined;
}

function judged({ world, acting }: Decision): Found {
  const { standing } = world;
  if (!isJudged(acting)) return { reason: "NotJudged", message: "no release is being judged" };
  const { verdict, trouble, shareTrouble } = standing ?? {};
  if (trouble !== undefined) return { reason: "NoData", message: trouble };
  if (shareTrouble !== undefined) return { reason: "WeightNotMeasured", message: shareTrouble };
  if (verdict === undefined)
    return { reason: "NoData", message: "there was no look at the counters at this stage yet" };
  if (verdict.reason === "CommonCause") return { reason: "CommonCause", message: verdict.message };
  if (verdict.reason === "NoTraffic" || verdict.reason === "NoBaseline")
    return { reason: "NoTraffic", message: verdict.message };
  if (verdict.reason === "NoData") return { reason: "NoData", message: verdict.message };
  return { reason: "Judging", message: verdict.message };
}

function promoted({ next, facts, shareBps }: Decision): Found {
  const { stable, canary, failedRevision, releases = [] } = next;
  if (canary !== undefined) {
    const message = doingText(next, facts, shareBps);
    return { reason: next.phase === "RollingBack" ? "RollingBack" : "Releasing", message };
  }
  if (facts.wanted !== undefined && facts.wanted === failedRevision) {
    // A status that was lost has no history: the route remembers the last retreat.
    const known = [...releases, facts.route.retreat];
    const why = known.find((it) => it?.revision === failedRevision);
    const message = `revision ${failedRevision} was taken back: ${why?.reason ?? ""}: ${why?.message ?? ""}`;
    return { reason: "RolledBack", message };
  }
  if (stable !== undefined && (facts.wanted === undefined || stable.revision === facts.wanted)) {
    return { reason: "Promoted", message: `revision ${stable.revision} serves all requests` };
  }
  if (waitsToBegin(next, facts)) return { reason: "WaitingForWindow", message: facts.closed?.text ?? "" };
  return { reason: "Releasing", message: "a release begins" };
}

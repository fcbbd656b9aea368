/** The status of a Rollout. */
import type { CommonConditionType, RolloutConditionType, RolloutReason } from "../../crds/conditions.ts";
import { WHOLE_BPS } from "../../crds/rollout-ladder.ts";
import { type RolloutStatus } from "../../crds/rollout-status.ts";
import { omitUndefined } from "../../lib/core/objects.ts";
import { failuresOf } from "../../operator/runtime/failures.ts";
import type { Report } from "../../operator/runtime/report.ts";
import { firstFinding } from "../kit/conditions.ts";
import { firstWords } from "../kit/explain/trouble.ts";
import type { Assessment } from "./rollout.assess.ts";
import { routeConflict } from "./rollout.conditions.ts";
import { departureMemory, isDeleted } from "./rollout.departure.ts";
import { dryRunStatus } from "./rollout.dry-run.ts";
import { leadingOf } from "./rollout.leading.ts";
import { mailOf } from "./rollout.mail.ts";
import { ROLLOUT_POLICIES } from "./rollout.policies.ts";
import { shareText, stepText } from "./rollout.sentences.ts";
import { isLeft } from "./traffic/leaving.ts";
import { withRefusals } from "./verification/memory.ts";

/** What is told of a Rollout. @param publishNumbers whether numbers that change all the time may change now */
export function reportRollout(
  assessment: Assessment,
  publishNumbers: boolean,
  { error, now }: ReportedRun,
): Report<Exclude<RolloutConditionType, CommonConditionType>, RolloutReason> {
  const { next, facts, shareBps, world, conditions } = assessment;
  const before = world.rollout.status;
  const isReleasing = next.canary !== undefined;
  const isSteady = !publishNumbers && before?.conditions !== undefined;
  const status = {
    ...next,
    verify: verifyOf(assessment, error),
    step: stepText(next, facts),
    share: isReleasing ? shareText(shareBps) : undefined,
    weight: isReleasing ? weightOf(assessment, publishNumbers) : undefined,
    verdict: verdictOf(assessment, publishNumbers),
    route: routeMemory(assessment),
    dryRun: dryRunOf(assessment, publishNumbers),
  };
  return {
    state: firstFinding(ROLLOUT_POLICIES, assessment),
    conditions: withConflict(isSteady ? withOldNumbers(conditions, assessment) : conditions, assessment, error),
    status: { ...status, ...mailOf(world, omitUndefined(status), now) },
  };
}

/** What became of the plan. @property now milliseconds since the epoch */
export interface ReportedRun {
  readonly error?: Error | undefined;
  readonly now: number;
}

/** What is remembered of a route of the user's; one that is left is not forgotten before it has been. */
function routeMemory(assessment: Assessment): RolloutStatus["route"] {
  const { traffic, leaving, rollout } = assessment.world;
  if (isDeleted(assessment)) return departureMemory(assessment);
  return traffic.remember?.(leadingOf(assessment)) ?? (isLeft(leaving) ? undefined : rollout.status?.route);
}

/** A war about the route's weights is more than a step that failed. */
function withConflict(
  conditions: Assessment["conditions"],
  { world }: Assessment,
  error: Error | undefined,
): Assessment["conditions"] {
  const { kind } = world.traffic;
  const conflict = (error === undefined ? [] : failuresOf(error)).find(
    ({ code, details }) => code === "KUBE_FIELD_CONFLICT" && details["kind"] === kind,
  );
  return conflict === undefined ? conditions : { ...conditions, RouteAccepted: routeConflict(conflict.message) };
}

function verifyOf({ next, world }: Assessment, error: Error | undefined): RolloutStatus["verify"] {
  if (next.verify === undefined || error === undefined) return next.verify;
  const { names } = world.target;
  const failures = failuresOf(error).map(({ message }) => firstWords(message));
  return [...withRefusals(next.verify, ({ name, check }) => names.smoke(name, check), failures)];
}

/** True when a number has changed that the status shows. */
export function numbersMoved(assessment: Assessment): boolean {
  const { status } = assessment.world.rollout;
  const isOther = verdictOf(assessment, true)?.message !== status?.verdict?.message;
  return isOther || weightOf(assessment, true).measuredBps !== status?.weight?.measuredBps;
}

function weightOf({ world, shareBps, acting, mirror }: Assessment, publish: boolean) {
  const { traffic, standing, rollout } = world;
  const observed = acting.canary === undefined ? undefined : traffic.seen?.weights?.[acting.canary.colour];
  const { canary = 0, stable = 0 } = standing?.measured ?? {};
  // Copies are no share of the requests.
  const isNone = canary + stable === 0 || acting.phase === "Shadowing";
  const measured = isNone ? undefined : Math.round((canary * WHOLE_BPS) / (canary + stable));
  const shown = publish ? measured : rollout.status?.weight?.measuredBps;
  return {
    desiredBps: shareBps,
    ...(mirror === undefined ? {} : { mirrorPercent: mirror.percent }),
    ...(observed === undefined || traffic.seen?.isAccepted !== true ? {} : { observedBps: observed }),
    ...(shown === undefined ? {} : { measuredBps: shown }),
  };
}

/** Numbers may wait; another verdict may not. */
function verdictOf({ world, next }: Assessment, publish: boolean) {
  const { standing, rollout } = world;
  if (next.phase === "RollingBack" && rollout.status?.verdict !== undefined && standing?.failure === undefined) {
    // The verdict that led here stays in sight until the end; nothing is judged any more.
    return rollout.status.verdict;
  }
  const said = standing?.failure ?? standing?.verdict;
  if (next.canary === undefined || said === undefined) return undefined;
  const before = rollout.status?.verdict;
  const { verdict, reason, message } = said;
  if (!publish && before?.verdict === verdict && before.reason === reason) return before;
  return { verdict, reason, message };
}

/** Tried when numbers may change, or the verdict has: each time the whole run is judged again. */
function dryRunOf(assessment: Assessment, publish: boolean): RolloutStatus["dryRun"] {
  const { rollout, standing, lastRun } = assessment.world;
  const said = verdictOf(assessment, publish);
  const isNews = publish || said?.verdict !== rollout.status?.verdict?.verdict;
  const run = standing !== undefined && standing.run.rows.length > 0 ? standing.run : undefined;
  return dryRunStatus(rollout, isNews || run === undefined ? (run ?? lastRun) : undefined);
}

/** The sentence of the judge changes at every look: a condition that says the same keeps its words for a while. */
function withOldNumbers(conditions: Assessment["conditions"], { world }: Assessment): Assessment["conditions"] {
  const before = world.rollout.status?.conditions?.find(({ type }) => type === "Judged");
  const { Judged } = conditions;
  if (before === undefined || before.status !== Judged.status || before.reason !== Judged.reason) return conditions;
  return { ...conditions, Judged: { ...Judged, message: before.message } };
}

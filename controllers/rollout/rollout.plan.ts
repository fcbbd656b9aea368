/** What to do next, and in which order. */
import { apply, create, nameOf, remove, urgent, warn } from "../../operator/runtime/actions.ts";
import type { Action, Plan, Write } from "../../operator/runtime/types.ts";
import { flagActions } from "./flags/feature-flag.ts";
import type { Assessment } from "./rollout.assess.ts";
import { forgetAutoscalers, handOverActions, keepAutoscalers, scalingOf } from "./rollout.autoscaling.ts";
import { jobActions } from "./rollout.checks.ts";
import { forgetCopies, isReadable, makeCopies } from "./rollout.copying.ts";
import { isUsable, runningRevisions } from "./rollout.decide.ts";
import { isDeleted, leave, planDeparture } from "./rollout.departure.ts";
import { budgetActions } from "./rollout.disruption.ts";
import { waitsToBegin } from "./rollout.hold.ts";
import { leadingOf } from "./rollout.leading.ts";
import { failedDeliveries } from "./rollout.mail.ts";
import { COLOURS } from "./rollout.names.ts";
import { colourDeployment, colourService, revisionObject, runConfigMap } from "./rollout.objects.ts";
import { shareText } from "./rollout.sentences.ts";

// A retreat writes the weights first, and the flags next, and waits for nothing. A release makes room first:
//
//   copies ─► revision ─► Services ─► Deployments ─► (ready) ─► flags ─► weights
//
// Flags take seconds to reach the pods, and weights milliseconds to reach the gateway: who raises the flags first has both at
// the same time, or a little more of the flags among the share of the stage before.
//
// Nothing is derived from what was made in the same run: weights follow pods that are seen.

/** Look again after this time while something is under way: timers of stages, drains and deadlines have no events. */
const LOOK_SECONDS = 2;

export function planRollout(assessment: Assessment): Plan {
  const { world, acting, next } = assessment;
  // All that is made goes with the Rollout.
  if (isDeleted(assessment)) return planDeparture(assessment, LOOK_SECONDS);
  const weights = trafficActions(assessment);
  const flags = flagActions(world.target, world.flags, acting);
  const isRetreat = acting.phase === "RollingBack";
  const copies = makeCopies(assessment);
  const forgotten = forgetAutoscalers(assessment);
  const actions: Action[] = [
    ...(isRetreat ? [...weights, ...flags].map(urgent) : []),
    ...copies,
    ...keepVersion(assessment, copies),
    ...services(assessment),
    ...forgotten,
    ...deployments(assessment, [...copies, ...forgotten]),
    ...keepAutoscalers(assessment),
    ...budgetActions(assessment),
    ...jobActions(world, acting),
    ...(isRetreat ? [] : [...flags, ...weights]),
    ...forgetVersions(assessment),
    ...forgetCopies(assessment),
    ...refusal(assessment),
    ...failedDeliveries(world),
    ...recordRun(assessment),
  ];
  const isBusy = next.canary !== undefined || next.phase === "Retiring";
  const isContested = world.traffic.contested !== undefined || world.leaving.length > 0;
  const requeueAfterSeconds = isBusy || isContested ? LOOK_SECONDS : untilWindow(assessment);
  return {
    actions,
    ...(requeueAfterSeconds === undefined ? {} : { requeueAfterSeconds }),
    ...(world.traffic.holdsDeletion === true || world.leaving.length > 0 ? { holdsDeletion: true } : {}),
  };
}

function trafficActions(assessment: Assessment): readonly Write[] {
  const { world } = assessment;
  const how = leadingOf(assessment);
  const writes = how === undefined ? [] : world.traffic.lead(how, leadNote(assessment));
  return [...writes, ...leave(assessment)];
}

function leadNote({ acting: { canary, stable, retreat }, shareBps, mirror }: Assessment): string {
  if (retreat !== undefined) return `back: ${retreat.message}`;
  if (canary === undefined) return `all requests to revision ${stable?.revision ?? ""}`;
  const copies = mirror === undefined ? "" : `, and copies of ${String(mirror.percent)} %`;
  return `${shareText(shareBps)} of the requests to the new version${copies}`;
}

function keepVersion(assessment: Assessment, copies: readonly Write[]): Write[] {
  const { world, acting } = assessment;
  const { wanted, versions, target } = world;
  const runs = [acting.canary?.revision, acting.stable?.revision];
  if (!isUsable(wanted) || !runs.includes(wanted.revision) || versions.has(wanted.revision)) return [];
  return [create(revisionObject(target, wanted), "what this version runs", copies)];
}

/** A release that cannot begin before a window opens: nobody tells when that is. */
function untilWindow({ next, facts }: Assessment): number | undefined {
  return waitsToBegin(next, facts) ? facts.closed?.seconds : undefined;
}

function services({ world, contents }: Assessment): Write[] {
  const ports = contents.Blue?.ports ?? contents.Green?.ports;
  if (ports === undefined) return [];
  return COLOURS.map((colour) =>
    apply(colourService(world.target, colour, contents[colour]?.ports ?? ports), `address of ${colour.toLowerCase()}`),
  );
}

/** @param before what is to be done before */
function deployments(assessment: Assessment, before: readonly Write[]): Write[] {
  const { world, contents, replicas, acting } = assessment;
  return COLOURS.flatMap((colour) => {
    const content = contents[colour];
    const pods = replicas[colour];
    const isNeeded = [acting.stable, acting.canary].some((version) => version?.colour === colour);
    const seen = world.colours[colour];
    if (seen === undefined && !isNeeded) return [];
    // Nobody knows what it runs any more, and it is to run nothing.
    if (content === undefined) return seen === undefined || pods > 0 ? [] : [remove(seen, "its version is not known")];
    if (!isReadable(assessment, colour)) return [];
    const isWritten = scalingOf(assessment, colour, pods) === "Written";
    const note = `${isWritten ? String(pods) : "scaled"} pods of revision ${content.revision}`;
    const isNew = seen?.revision !== content.revision;
    const shared = handOverActions(assessment, colour);
    const deployment = colourDeployment(world.target, colour, { ...content, replicas: isWritten ? pods : undefined });
    const autoscaler = before.filter((it) => nameOf(it).endsWith(`/${world.target.names.colour(colour)}`));
    return [...shared, apply(deployment, note, [...(isNew ? before : autoscaler), ...shared])];
  });
}

/** Versions that nothing runs and no return leads to. */
function forgetVersions({ world, next, acting }: Assessment): Write[] {
  const kept = new Set(runningRevisions(world, [next, acting]));
  return [...world.versions.values()]
    .filter(({ revision }) => !kept.has(revision))
    .map((version) => remove(version, "no colour runs this version"));
}

function refusal({ next, world }: Assessment): Action[] {
  const { lastRequest } = next;
  if (lastRequest === undefined || lastRequest.result === "Done" || lastRequest.id === world.progress.lastRequest?.id)
    return [];
  return [warn("RequestRefused", `request ${lastRequest.id}, ${lastRequest.action}: ${lastRequest.message}`)];
}

function recordRun({ world: { record, target } }: Assessment): Write[] {
  if (record === undefined) return [];
  return [apply(runConfigMap(target, record.data), `record of the release, ${String(record.rows)} rows`)];
}

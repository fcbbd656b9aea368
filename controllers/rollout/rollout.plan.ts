/** What to do next, and in which order. */
import type { Colour } from "../../crds/rollout.ts";
import { apply, create, remove, urgent, warn } from "../../operator/runtime/actions.ts";
import type { Action, Plan, Write } from "../../operator/runtime/types.ts";
import type { Assessment } from "./rollout.assess.ts";
import { forgetCopies, isReadable, makeCopies } from "./rollout.copying.ts";
import { isUsable, runningRevisions } from "./rollout.decide.ts";
import { COLOURS } from "./rollout.names.ts";
import { colourDeployment, colourService, revisionObject, route } from "./rollout.objects.ts";
import type { RouteFacts } from "./rollout.progress.ts";
import { shareText } from "./rollout.sentences.ts";

// A retreat writes the weights first, and waits for nothing. A release makes room first:
//
//   copies ─► revision ─► Services ─► Deployments ─► (ready) ─► weights
//
// Nothing is derived from what was made in the same run: weights follow pods that are seen.

/** Look again after this time while something is under way: timers of stages, drains and deadlines have no events. */
const LOOK_SECONDS = 2;

export function planRollout(assessment: Assessment): Plan {
  const { world, acting, next } = assessment;
  // All that is made goes with the Rollout.
  if (world.rollout.metadata.deletionTimestamp !== undefined) return { actions: [] };
  const weights = routeActions(assessment);
  const isRetreat = acting.phase === "RollingBack";
  const copies = makeCopies(assessment);
  const actions: Action[] = [
    ...(isRetreat ? weights.map(urgent) : []),
    ...copies,
    ...keepVersion(assessment, copies),
    ...services(assessment),
    ...deployments(assessment, copies),
    ...(isRetreat ? [] : weights),
    ...forgetVersions(assessment),
    ...forgetCopies(assessment),
    ...refusal(assessment),
  ];
  const isBusy = next.canary !== undefined || next.phase === "Retiring";
  return { actions, ...(isBusy ? { requeueAfterSeconds: LOOK_SECONDS } : {}) };
}

function routeActions({ world, weights, contents, acting, shareBps }: Assessment): Write[] {
  const { target, isRouteServed, route: seen } = world;
  if (weights === undefined || !isRouteServed) return [];
  const portOf = (colour: Colour): number | undefined => contents[colour]?.ports[0]?.port;
  const blue = portOf("Blue") ?? portOf("Green");
  const green = portOf("Green") ?? blue;
  if (blue === undefined || green === undefined) return [];
  const retreat = retreatOf(acting) ?? keptRetreat(acting, seen?.retreat);
  const note =
    retreat === undefined ? `${shareText(shareBps)} of the requests to the new version` : `back: ${retreat.message}`;
  return [apply(route(target, { weights, ports: { Blue: blue, Green: green }, retreat }), note)];
}

function retreatOf({ canary, retreat }: Assessment["acting"]): RouteFacts["retreat"] {
  if (canary === undefined || retreat === undefined) return undefined;
  return { revision: canary.revision, reason: retreat.reason, message: retreat.message };
}

/** What another replica wrote stays until it is known here. */
function keptRetreat({ canary }: Assessment["acting"], seen: RouteFacts["retreat"]): RouteFacts["retreat"] {
  return canary !== undefined && seen?.revision === canary.revision ? seen : undefined;
}

function keepVersion(assessment: Assessment, copies: readonly Write[]): Write[] {
  const { world, acting } = assessment;
  const { wanted, versions, target } = world;
  const revision = acting.canary?.revision;
  if (!isUsable(wanted) || wanted.revision !== revision || versions.has(wanted.revision)) return [];
  return [create(revisionObject(target, wanted), "what this version runs", copies)];
}

function services({ world, contents }: Assessment): Write[] {
  const ports = contents.Blue?.ports ?? contents.Green?.ports;
  if (ports === undefined) return [];
  return COLOURS.map((colour) =>
    apply(colourService(world.target, colour, contents[colour]?.ports ?? ports), `address of ${colour.toLowerCase()}`),
  );
}

function deployments(assessment: Assessment, copies: readonly Write[]): Write[] {
  const { world, contents, replicas, acting } = assessment;
  return COLOURS.flatMap((colour) => {
    const content = contents[colour];
    const pods = replicas[colour];
    const isNeeded = [acting.stable, acting.canary].some((version) => version?.colour === colour);
    if (content === undefined || (!isNeeded && world.colours[colour] === undefined)) return [];
    if (!isReadable(assessment, colour)) return [];
    const note = `${String(pods)} pods of revision ${content.revision}`;
    const isNew = world.colours[colour]?.revision !== content.revision;
    const deployment = colourDeployment(world.target, colour, { ...content, replicas: pods });
    return [apply(deployment, note, isNew ? copies : [])];
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

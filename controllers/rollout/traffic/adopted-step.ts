/** What is to be written to a route of the user's now, and what is remembered of it then. Pure. */
import { ANNOTATIONS, annotationOf } from "../../../crds/group.ts";
import type { Colour, RouteMemory } from "../../../crds/rollout-status.ts";
import type { KubeObject } from "../../../lib/kube/types.ts";
import { podsFor } from "../rollout.weights.ts";
import { adoptedRefs, refsHash, weightsNow } from "./adopted-backends.ts";
import { adoptionKey, adoptionText } from "./adopted-memory.ts";
import { afterPeace, NO_TAKES, nextTakeAt, type Takes } from "./adopted-pace.ts";
import { type BackendRef, refsOf, rulesOf } from "./adopted-rule.ts";
import type { SeenAdopted, SeenRule } from "./adopted-seen.ts";
import { memoryAnnotations } from "./memory.ts";
import type { Leading } from "./traffic.ts";

/** A merge patch of a route, refused by the server when somebody has changed the route meanwhile. */
export type RoutePatch = Readonly<Record<string, unknown>>;

export interface AdoptedStep {
  readonly patch?: RoutePatch;
  readonly memory: RouteMemory | undefined;
}

/**
 * The step, where one is to be done:
 *
 *   the Service has its place ─► versions with a share are ready, the gateway serves the route ─► both colours, and the memory
 *   somebody else has written ─► its time has come (adopted-pace)                            ─► the same again
 *   the weights are others    ─►                                                                the weights, and the memory
 */
export function adoptedStep(seen: SeenAdopted, how: Leading): AdoptedStep {
  const { rule, object, claim, place } = seen;
  const kept = keptMemory(seen, how.now);
  if (object === undefined || typeof rule !== "object" || claim !== undefined) return { memory: kept };
  if (rule.isOriginal && !canTakeOver(seen, how)) return { memory: kept };
  const ports = portsOf(seen, rule, how);
  const refs = refsOf(rule.rule);
  const wanted = ports && adoptedRefs(refs, place, { original: rule.original, shares: how.weights, ports });
  if (wanted === undefined) return { memory: kept };
  const isSame = refsHash(refs) === refsHash(wanted);
  const isTake = rule.isForeign && !isSame;
  const takes = takesIn(seen.remembered);
  if (isTake && how.now < nextTakeAt(takes, how.isRetreat))
    return { memory: { ...namesOf(seen), ...told(seen, takes) } };
  const adoption = adoptionText({
    ...rule.original,
    rule: rule.index,
    written: refsHash(wanted),
    writtenOthers: weightsNow(wanted, place).others,
  });
  const annotations = changedAnnotations(seen, { ...memoryAnnotations(how, ownerName(seen)), adoption });
  const memory: RouteMemory = {
    ...namesOf(seen),
    adoption,
    ...takesText(isTake ? { count: takes.count + 1, lastAt: how.now } : afterPeace(takes, how.now)),
  };
  if (!isSame) return { patch: patchOf(object, { index: rule.index, refs: wanted, annotations }), memory };
  return annotations === undefined ? { memory } : { patch: annotationPatch(object, annotations), memory };
}

/** A patch of annotations alone. */
export function annotationPatch(
  { metadata: { uid, resourceVersion } }: KubeObject,
  annotations: Readonly<Record<string, string | null>>,
): RoutePatch {
  return { metadata: { uid, resourceVersion, annotations } };
}

/** A patch of the backends of one rule, and of annotations. */
export function patchOf(
  object: KubeObject,
  change: {
    readonly index: number;
    readonly refs: readonly BackendRef[];
    readonly annotations?: Readonly<Record<string, string | null>> | undefined;
  },
): RoutePatch {
  const { uid, resourceVersion } = object.metadata;
  const { index, refs, annotations } = change;
  const rules = rulesOf(object).map((rule, at) => (at === index ? { ...rule, backendRefs: refs } : rule));
  // The list of rules is one value: the version makes the server refuse when somebody has written any of it since.
  return { metadata: { uid, resourceVersion, ...(annotations === undefined ? {} : { annotations }) }, spec: { rules } };
}

/** Annotations that are taken off with the last change. */
export function noAnnotations(rollout: string): Readonly<Record<string, null>> {
  return {
    [adoptionKey(rollout)]: null,
    [annotationOf(rollout, ANNOTATIONS.stable)]: null,
    [annotationOf(rollout, ANNOTATIONS.retreat)]: null,
  };
}

/** No request may be cut off: versions that get some are ready, and the gateway is known to serve the route. */
function canTakeOver({ unfit, facts, adoption }: SeenAdopted, how: Leading): boolean {
  if (unfit !== undefined) return false;
  const isAgain = adoption !== undefined;
  const needed = (colour: Colour): number => (isAgain ? 1 : podsFor(how.weights[colour], how.replicas));
  const isReady = (colour: Colour): boolean => how.weights[colour] === 0 || how.ready[colour] >= needed(colour);
  return isReady("Blue") && isReady("Green") && (isAgain || facts?.isAccepted === true);
}

/** The Service's own port, where a colour has it; else the colour's first. */
function portsOf(
  { facts }: SeenAdopted,
  { original }: SeenRule,
  { ports }: Leading,
): Readonly<Record<Colour, number>> | undefined {
  const portOf = (colour: Colour): number | undefined => {
    const list = ports[colour];
    const isThere = list?.some(({ port }) => port === original.backend.port) === true;
    return isThere ? original.backend.port : (list?.[0]?.port ?? facts?.ports[colour]);
  };
  const blue = portOf("Blue") ?? portOf("Green");
  const green = portOf("Green") ?? blue;
  return blue === undefined || green === undefined ? undefined : { Blue: blue, Green: green };
}

function ownerName({ target }: SeenAdopted): string {
  return target.owner.name;
}

function changedAnnotations(
  { object, target }: SeenAdopted,
  { adoption, ...memory }: Readonly<Record<string, string>>,
): Readonly<Record<string, string | null>> | undefined {
  const has = object?.metadata.annotations ?? {};
  const wanted = { ...noAnnotations(target.owner.name), ...memory, [adoptionKey(target.owner.name)]: adoption ?? null };
  const changed = Object.entries(wanted).filter(([key, value]) => (has[key] ?? null) !== value);
  return changed.length === 0 ? undefined : Object.fromEntries(changed);
}

function keptMemory(seen: SeenAdopted, now: number): RouteMemory | undefined {
  const { adoption } = seen;
  if (adoption === undefined) return undefined;
  const takes = takesIn(seen.remembered);
  const isForeign = typeof seen.rule === "object" && seen.rule.isForeign;
  return { ...namesOf(seen), ...told(seen, isForeign ? takes : afterPeace(takes, now)) };
}

function told({ adoption }: SeenAdopted, takes: Takes): Omit<RouteMemory, "kind" | "name"> {
  return { ...(adoption === undefined ? {} : { adoption: adoptionText(adoption) }), ...takesText(takes) };
}

function namesOf({ type, place }: SeenAdopted): Pick<RouteMemory, "kind" | "name"> {
  return { kind: type.kind === "GRPCRoute" ? "GRPCRoute" : "HTTPRoute", name: place.route };
}

/** How often the backends were taken back. */
export function takesIn(memory: RouteMemory | undefined): Takes {
  const { takes = 0, takenAt } = memory ?? {};
  return takenAt === undefined ? NO_TAKES : { count: takes, lastAt: Date.parse(takenAt) };
}

function takesText({ count, lastAt }: Takes): Pick<RouteMemory, "takes" | "takenAt"> {
  return count === 0 ? {} : { takes: count, takenAt: new Date(lastAt).toISOString() };
}

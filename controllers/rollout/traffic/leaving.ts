/**
 * Routes of the user's that a Rollout leaves, for it is deleted or its spec names another route. The Service gets its place back once it
 * could answer without the Rollout's pods; until then the version that serves has all of its requests. Pure but for `observeLeaving`.
 */
import type { Rollout } from "../../../crds/rollout.ts";
import { WHOLE_BPS } from "../../../crds/rollout-ladder.ts";
import type { Colour } from "../../../crds/rollout-status.ts";
import { type KubeObject, RESOURCES, type ResourceType } from "../../../lib/kube/types.ts";
import type { CacheReader } from "../../../operator/runtime/types.ts";
import { type Target, targetOf } from "../rollout.names.ts";
import { type Adoption, adoptedRefs, originalOf, refsHash, returnedRefs } from "./adopted-backends.ts";
import { adoptionIn, readAdoption } from "./adopted-memory.ts";
import { colourOfRef, type FoundRule, findRule, isAdopted, type Place, refsOf, rulesOf } from "./adopted-rule.ts";
import { annotationPatch, noAnnotations, patchOf, type RoutePatch } from "./adopted-step.ts";
import { observeRoute } from "./route-facts.ts";

/** A route that is left. */
export interface Leaving {
  /** Name of the Rollout that leaves it. */
  readonly rollout: string;
  readonly type: ResourceType;
  readonly object: KubeObject;
  readonly place: Place;
  readonly adoption: Adoption;
  /** The rule in which the versions still have the Service's place. */
  readonly rule: FoundRule | undefined;
  /** The annotations of the Rollout are still there. */
  readonly isNoted: boolean;
  /** Its gateways have taken it as it is. */
  readonly isAccepted: boolean;
}

/** How the Rollout stands that leaves. */
export interface Leaver {
  readonly stable: Colour | undefined;
  /** Pods of each colour that are ready. */
  readonly ready: Readonly<Record<Colour, number>>;
  /** Services that could answer without the Rollout's pods. */
  readonly serving: ReadonlySet<string>;
}

/** Reads it from the informers' memory. */
export function observeLeaving(cache: CacheReader, rollout: Rollout): readonly Leaving[] {
  const target = targetOf(rollout);
  const { namespace, name } = target.owner;
  const { route: remembered } = rollout.status ?? {};
  return [RESOURCES.HTTPRoute, RESOURCES.GRPCRoute].flatMap((type) => {
    if (cache.availability(type, namespace) !== "served") return [];
    return cache.list(type, namespace).flatMap((object) => {
      const noted = adoptionIn(object, name);
      const isRemembered = remembered?.kind === type.kind && remembered.name === object.metadata.name;
      const adoption = noted ?? (isRemembered ? readAdoption(remembered.adoption) : undefined);
      const leaving = adoption && leavingOf({ rollout, target, type, object, adoption, isNoted: noted !== undefined });
      return leaving ?? [];
    });
  });
}

function leavingOf({
  rollout,
  target,
  ...seen
}: Pick<Leaving, "type" | "object" | "adoption" | "isNoted"> & {
  readonly rollout: Rollout;
  readonly target: Target;
}): Leaving | undefined {
  const { type, object, adoption } = seen;
  const { names, owner, spec } = target;
  const { kind, route } = spec.traffic.gatewayAPI;
  const place: Place = {
    kind: type.kind,
    route: object.metadata.name,
    rule: undefined,
    namespace: owner.namespace,
    backend: adoption.backend.name,
    colours: { Blue: names.colour("Blue"), Green: names.colour("Green") },
  };
  const rules = rulesOf(object);
  const isHere = (rule: FoundRule["rule"] | undefined): boolean => rule !== undefined && isAdopted(rule, place);
  const index = isHere(rules[adoption.rule]) ? adoption.rule : rules.findIndex(isHere);
  const rule = rules[index];
  const isWanted = route?.name === object.metadata.name && kind === type.kind;
  if (rollout.metadata.deletionTimestamp === undefined && isWanted) {
    const meant = findRule(rules, { ...place, rule: route.rule, backend: route.backend ?? spec.service.name ?? "" });
    if (rule === undefined || (typeof meant === "object" && meant.index === index)) return undefined;
  }
  const { isAccepted } = observeRoute(object, names);
  return { ...seen, rollout: owner.name, place, rule: rule && { index, rule }, isAccepted };
}

/** What is to be done now; `waits` says for what the Service's place is kept. */
export function leavingStep(
  leaving: Leaving,
  { stable, ready, serving }: Leaver,
): { readonly patch?: RoutePatch; readonly waits?: string } {
  const { rollout, object, place, adoption, rule, isNoted } = leaving;
  const annotations = noAnnotations(rollout);
  if (rule === undefined) return isNoted ? { patch: annotationPatch(object, annotations) } : {};
  const refs = refsOf(rule.rule);
  const original = originalOf(refs, place, adoption);
  // Where no version answers either, waiting helps nobody.
  if (stable === undefined || ready[stable] === 0 || serving.has(place.backend)) {
    return { patch: patchOf(object, { index: rule.index, refs: returnedRefs(refs, place, original), annotations }) };
  }
  const waits = `${place.kind} ${place.route} leads to the version that serves until Service ${place.backend} has a ready endpoint that is no pod of this Rollout: start its pods, for example by scaling its Deployment up, or delete the route`;
  const shares = { Blue: 0, Green: 0, [stable]: WHOLE_BPS };
  const portOf = (colour: Colour): number | undefined => refs.find((ref) => colourOfRef(ref, place) === colour)?.port;
  const port = portOf(stable) ?? adoption.backend.port ?? 0;
  const ports = { Blue: portOf("Blue") ?? port, Green: portOf("Green") ?? port };
  const wanted = adoptedRefs(refs, place, { original, shares, ports });
  if (wanted === undefined || refsHash(wanted) === refsHash(refs)) return { waits };
  return { waits, patch: patchOf(object, { index: rule.index, refs: wanted }) };
}

/** True once no route leads to the Rollout any more. */
export function isLeft(leaving: readonly Leaving[]): boolean {
  return leaving.every(({ rule }) => rule === undefined);
}

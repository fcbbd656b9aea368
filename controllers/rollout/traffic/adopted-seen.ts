/** What there is of a route of the user's in which the versions take the place of a Service. */
import { LABELS } from "../../../crds/group.ts";
import { ROLLOUT, type Rollout } from "../../../crds/rollout.ts";
import type { RouteMemory } from "../../../crds/rollout-status.ts";
import type { AdoptedRoute } from "../../../crds/rollout-traffic.ts";
import { type KubeObject, RESOURCES, type ResourceType } from "../../../lib/kube/types.ts";
import type { CacheReader } from "../../../operator/runtime/types.ts";
import { ownLabels } from "../../kit/objects.ts";
import { COLOURS, type Target, targetOf } from "../rollout.names.ts";
import { type Adoption, guessedOriginal, type Original, originalOf, refsHash, sharesNow } from "./adopted-backends.ts";
import { unfitness } from "./adopted-fitness.ts";
import { adoptionIn, readAdoption } from "./adopted-memory.ts";
import { colourOfRef, type FoundRule, findRule, isOriginal, type Place, refsOf, rulesOf } from "./adopted-rule.ts";
import { gatewayParentsOf, observeParents, type Parent } from "./gateways.ts";
import { memoryIn } from "./memory.ts";
import { rivalsOf } from "./rivals.ts";
import { type ObservedRoute, observeRoute } from "./route-facts.ts";

/** Rollouts by the routes that they name. */
export const ON_ROUTE = "route";

/** Key of that index. */
export function routeId(kind: string, namespace: string, name: string): string {
  return `${kind}/${namespace}/${name}`;
}

/** The rule of a route, as it is. */
export interface SeenRule extends FoundRule {
  /** As the owner of the route wrote it. */
  readonly original: Original;
  /** The Service has its place. */
  readonly isOriginal: boolean;
  /** Somebody else has written the backends since the Rollout did. */
  readonly isForeign: boolean;
}

export interface SeenAdopted {
  readonly target: Target;
  readonly type: ResourceType;
  readonly place: Place;
  /** False: the cluster has no such kind of route. */
  readonly isServed: boolean;
  readonly object: KubeObject | undefined;
  /** The rule that is meant, or why there is none. */
  readonly rule: SeenRule | string | undefined;
  /** Why versions cannot take the place of the Service there. */
  readonly unfit: string | undefined;
  /** What is remembered of it. */
  readonly adoption: Adoption | undefined;
  /** Why the route, or the rule, is another Rollout's. */
  readonly claim: string | undefined;
  readonly parents: readonly Parent[];
  readonly rivals: readonly string[];
  readonly facts: ObservedRoute | undefined;
  readonly remembered: RouteMemory | undefined;
  /** Routes that the controller made before the spec named this one. */
  readonly made: readonly MadeRoute[];
}

/** A route of the controller's making. */
export interface MadeRoute {
  readonly type: ResourceType;
  readonly object: KubeObject;
}

/** Reads it from the informers' memory. @param route what the spec names */
export function observeAdopted(cache: CacheReader, rollout: Rollout, route: AdoptedRoute): SeenAdopted {
  const target = targetOf(rollout);
  const { owner, spec, names } = target;
  const type = RESOURCES[spec.traffic.gatewayAPI.kind];
  const place = placeOf(target, route);
  const isServed = cache.availability(type, owner.namespace) === "served";
  const object = isServed ? cache.get(type, owner.namespace, route.name) : undefined;
  const { route: memory } = rollout.status ?? {};
  const remembered = memory?.kind === type.kind && memory.name === route.name ? memory : undefined;
  const noted = object && adoptionIn(object, owner.name);
  const adoption = noted ?? readAdoption(remembered?.adoption);
  const found = object && findRule(rulesOf(object), place);
  const rule = typeof found === "object" ? seenRule(found, place, { adoption, isNoted: noted !== undefined }) : found;
  return {
    target,
    type,
    place,
    isServed,
    object,
    rule,
    unfit:
      object && typeof rule === "object"
        ? unfitness({ place, found: rule, original: rule.original, route: object, spec })
        : undefined,
    adoption,
    claim: object && claimOf(cache, { rollout, object, place, found }),
    parents: object === undefined ? [] : observeParents(cache, gatewayParentsOf(object), owner.namespace),
    rivals: object === undefined ? [] : rivalsOf(cache, type, object),
    facts: object && { ...observeRoute(object, names), ...memoryIn(object, owner.name), ...backendsOf(rule, place) },
    remembered,
    made: madeRoutes(cache, target),
  };
}

function madeRoutes(cache: CacheReader, { owner, names }: Target): readonly MadeRoute[] {
  return [RESOURCES.HTTPRoute, RESOURCES.GRPCRoute].flatMap((type) => {
    if (cache.availability(type, owner.namespace) !== "served") return [];
    const object = cache
      .list(type, owner.namespace, ownLabels(owner))
      .find(({ metadata }) => metadata.name === names.route);
    return object === undefined ? [] : [{ type, object }];
  });
}

function placeOf({ owner, spec, names }: Target, route: AdoptedRoute): Place {
  return {
    kind: spec.traffic.gatewayAPI.kind,
    route: route.name,
    rule: route.rule,
    namespace: owner.namespace,
    backend: route.backend ?? spec.service.name ?? "",
    colours: { Blue: names.colour("Blue"), Green: names.colour("Green") },
  };
}

function seenRule(
  found: FoundRule,
  place: Place,
  { adoption, isNoted }: { readonly adoption: Adoption | undefined; readonly isNoted: boolean },
): SeenRule | string {
  const refs = refsOf(found.rule);
  const kept = adoption ?? refsAsOriginal(refs, place);
  if (kept === undefined) return `rule ${String(found.index)} of ${place.kind} ${place.route} leads nowhere`;
  return {
    ...found,
    original: originalOf(refs, place, kept),
    isOriginal: isOriginal(found.rule, place),
    isForeign: adoption !== undefined && (!isNoted || refsHash(refs) !== adoption.written),
  };
}

/** What the rule itself tells, where nothing is remembered. */
function refsAsOriginal(refs: ReturnType<typeof refsOf>, place: Place): Original | undefined {
  const backend = refs.find((ref) => ref.name === place.backend);
  return backend === undefined ? guessedOriginal(refs, place) : { backend, others: [] };
}

function backendsOf(rule: SeenAdopted["rule"], place: Place): Pick<ObservedRoute, "weights" | "ports"> {
  const refs = typeof rule === "object" ? refsOf(rule.rule) : [];
  const [blue, green] = COLOURS.map((colour) => refs.find((ref) => colourOfRef(ref, place) === colour)?.port);
  return {
    weights: typeof rule === "object" ? sharesNow(refs, place) : undefined,
    ports: { Blue: blue, Green: green },
  };
}

/** Two cannot move the weights of one rule: the older one does. */
function claimOf(
  cache: CacheReader,
  {
    rollout,
    object,
    place,
    found,
  }: {
    readonly rollout: Rollout;
    readonly object: KubeObject;
    readonly place: Place;
    readonly found: FoundRule | string | undefined;
  },
): string | undefined {
  const { kind, route, namespace } = place;
  const { labels } = object.metadata;
  if (labels?.[LABELS.kind] === ROLLOUT.kind)
    return `${kind} ${route} is the one that the controller makes for Rollout ${labels[LABELS.name] ?? ""}: name one of your own`;
  if (typeof found !== "object") return undefined;
  const age = ({ metadata }: Rollout): string => `${metadata.creationTimestamp ?? ""} ${metadata.name}`;
  const older = cache
    .byIndex(ROLLOUT, ON_ROUTE, routeId(kind, namespace, route))
    .filter((other) => other.metadata.name !== rollout.metadata.name && age(other) < age(rollout))
    .find((other) => indexOf(object, other) === found.index);
  if (older === undefined) return undefined;
  return `rule ${String(found.index)} of ${kind} ${route} is moved by the older Rollout ${older.metadata.name}: name another rule, or delete one of the two`;
}

function indexOf(object: KubeObject, other: Rollout): number | undefined {
  const { route } = other.spec.traffic.gatewayAPI;
  const found = route && findRule(rulesOf(object), placeOf(targetOf(other), route));
  return typeof found === "object" ? found.index : undefined;
}

/** Which rule of a route of the user's is meant, and what becomes of it. Everything else of the route is somebody else's. */
import type { Colour } from "../../../crds/rollout-status.ts";
import type { AdoptedRoute } from "../../../crds/rollout-traffic.ts";
import type { KubeObject } from "../../../lib/kube/types.ts";

/** A backend of a rule, as the Gateway API has it. */
export interface BackendRef {
  readonly group?: string;
  readonly kind?: string;
  readonly name: string;
  readonly namespace?: string;
  readonly port?: number;
  readonly weight?: number;
  readonly filters?: readonly RuleFilter[];
  readonly [member: string]: unknown;
}

/** What a gateway does to the requests of a rule, or of one of its backends. */
export interface RuleFilter {
  readonly type: string;
  readonly requestMirror?: { readonly backendRef: BackendRef };
  readonly [member: string]: unknown;
}

export interface RouteRule {
  readonly name?: string;
  readonly backendRefs?: readonly BackendRef[];
  readonly filters?: readonly RuleFilter[];
  readonly [member: string]: unknown;
}

/** Where the Rollout's versions stand in for a Service. */
export interface Place {
  readonly kind: string;
  readonly route: string;
  readonly rule: AdoptedRoute["rule"];
  /** Of route, Service and versions alike. */
  readonly namespace: string;
  readonly backend: string;
  /** Service of each colour. */
  readonly colours: Readonly<Record<Colour, string>>;
}

/** The rule that is meant. */
export interface FoundRule {
  readonly index: number;
  readonly rule: RouteRule;
}

export function rulesOf(route: KubeObject): readonly RouteRule[] {
  const { rules } = (route["spec"] ?? {}) as { readonly rules?: readonly RouteRule[] };
  return rules ?? [];
}

export function refsOf({ backendRefs = [] }: RouteRule): readonly BackendRef[] {
  return backendRefs;
}

/** True for a backend that is this Service of the route's own namespace. */
export function isService(ref: BackendRef, name: string, namespace: string): boolean {
  const { group = "", kind = "Service" } = ref;
  return group === "" && kind === "Service" && ref.name === name && (ref.namespace ?? namespace) === namespace;
}

/** The colour whose Service a backend is. */
export function colourOfRef(ref: BackendRef, { colours, namespace }: Place): Colour | undefined {
  const isOf = (colour: Colour): boolean => isService(ref, colours[colour], namespace);
  return isOf("Blue") ? "Blue" : isOf("Green") ? "Green" : undefined;
}

export function isBackend(ref: BackendRef, { backend, namespace }: Place): boolean {
  return isService(ref, backend, namespace);
}

/** True for a rule that leads to the Service itself, as its owner wrote it. */
export function isOriginal(rule: RouteRule, place: Place): boolean {
  return refsOf(rule).some((ref) => isBackend(ref, place));
}

/** True for a rule in which the colours stand in for the Service. */
export function isAdopted(rule: RouteRule, place: Place): boolean {
  return !isOriginal(rule, place) && refsOf(rule).some((ref) => colourOfRef(ref, place) !== undefined);
}

/** As people find it: its index, and its name where it has one. */
export function ruleText(index: number, { name }: RouteRule): string {
  return name === undefined ? String(index) : `${String(index)} (${name})`;
}

/** The rule that is meant, or a sentence why none is. */
export function findRule(rules: readonly RouteRule[], place: Place): FoundRule | string {
  const all = rules.map((rule, index) => ({ rule, index }));
  const { kind, route, backend } = place;
  const texts = (list: readonly FoundRule[]): string => list.map(({ rule, index }) => ruleText(index, rule)).join(", ");
  if (place.rule !== undefined) {
    const found = all.find(({ rule, index }) => place.rule === (typeof place.rule === "number" ? index : rule.name));
    if (found === undefined) return `${kind} ${route} has no rule ${String(place.rule)}; it has: ${texts(all)}`;
    if (isOriginal(found.rule, place) || isAdopted(found.rule, place)) return found;
    const names = refsOf(found.rule).map(({ name }) => name);
    const others = names.length === 0 ? "no backend at all" : names.join(", ");
    return `rule ${ruleText(found.index, found.rule)} of ${kind} ${route} does not lead to Service ${backend}; it leads to ${others}`;
  }
  // A rule of somebody's that leads to one colour alone, for a look at it, is not the one.
  const ranks: readonly ((rule: RouteRule) => boolean)[] = [
    (rule) => isWhole(rule, place),
    (rule) => isOriginal(rule, place),
    (rule) => isAdopted(rule, place),
  ];
  const candidates = ranks.map((is) => all.filter(({ rule }) => is(rule))).find((list) => list.length > 0) ?? [];
  const [first, second] = candidates;
  if (first === undefined) return `no rule of ${kind} ${route} leads to Service ${backend}`;
  if (second === undefined) return first;
  return `several rules of ${kind} ${route} lead to Service ${backend}: ${texts(candidates)}; say which in traffic.gatewayAPI.route.rule`;
}

/** Both colours stand in. */
function isWhole(rule: RouteRule, place: Place): boolean {
  const colours = new Set(refsOf(rule).map((ref) => colourOfRef(ref, place)));
  return isAdopted(rule, place) && colours.has("Blue") && colours.has("Green");
}

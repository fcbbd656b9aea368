/**
 * Rules of a route to both colours. The first one has the weights; it is followed by those that copy requests to the canary, and lead
 * testers to it.
 *
 * Of all matches of a request a gateway takes the one with the longest path, then one that names a method, then one with more headers.
 * So requests with a mirrored method come to the rule of the mirror whatever headers the others ask for, and testers need each of
 * their matches once more for every such method.
 */
import type { RolloutShadow } from "../../../crds/rollout-shadow.ts";
import type { Testers } from "../../../crds/rollout-traffic.ts";

/** A match of the Gateway API, as far as it is understood here. */
export type Match = Readonly<Record<string, unknown>>;

interface HeaderMatch {
  readonly type: "Exact" | "RegularExpression";
  readonly name: string;
  readonly value: string;
}

/** What rules are made of. */
export interface RuleParts {
  /** Of the spec; absent: all requests. */
  readonly matches: readonly Match[] | undefined;
  readonly filters: readonly object[] | undefined;
  /** Both colours with their weights. */
  readonly backendRefs: readonly object[];
  /** Who are testers, and the backend that their requests go to. */
  readonly testers: { readonly known: Testers; readonly backendRef: object } | undefined;
  /** Which requests are copied, and the backend that the copies go to. */
  readonly mirror: { readonly backendRef: object; readonly percent: number; readonly methods: Methods } | undefined;
}

type Methods = RolloutShadow["methods"];

const WHOLE_PERCENT = 100;

export function routeRules(parts: RuleParts): readonly object[] {
  const { matches, filters = [], backendRefs, testers, mirror } = parts;
  const rule = (own: Pick<RuleParts, "matches" | "backendRefs"> & { readonly filters: readonly object[] }): object => ({
    ...(own.matches === undefined ? {} : { matches: own.matches }),
    ...(own.filters.length === 0 && parts.filters === undefined ? {} : { filters: own.filters }),
    backendRefs: own.backendRefs,
  });
  const methods = mirror?.methods ?? [];
  // A match that names a mirrored method is that of the mirror: of two equal ones the first rule would have the requests.
  const own = matches?.filter(({ method }) => !isOneOf(method, methods));
  const isNeeded = matches === undefined || matches.length === 0 || own === undefined || own.length > 0;
  const copied = copiedMatches(matches, methods);
  return [
    ...(isNeeded ? [rule({ matches: own, filters, backendRefs })] : []),
    // A rule without matches would take all requests.
    ...(mirror === undefined || copied.length === 0
      ? []
      : [rule({ matches: copied, filters: [...filters, mirrorFilter(mirror)], backendRefs })]),
    ...(testers === undefined
      ? []
      : [rule({ matches: testedMatches(parts, methods), filters, backendRefs: [testers.backendRef] })]),
  ];
}

function mirrorFilter({ backendRef, percent }: NonNullable<RuleParts["mirror"]>): object {
  // Without a percentage all are copied, also by gateways that know none.
  const share = percent < WHOLE_PERCENT ? { percent } : {};
  return { type: "RequestMirror", requestMirror: { backendRef, ...share } };
}

/** Requests of the route; a rule without matches takes all. */
function baseOf(matches: readonly Match[] | undefined): readonly Match[] {
  return matches === undefined || matches.length === 0 ? [{}] : matches;
}

/** Of the requests of the route those with a mirrored method. */
function copiedMatches(matches: readonly Match[] | undefined, methods: Methods): readonly Match[] {
  return baseOf(matches).flatMap((match) => {
    if (match["method"] === undefined) return methods.map((method) => ({ ...match, method }));
    return isOneOf(match["method"], methods) ? [match] : [];
  });
}

function testedMatches({ matches, testers }: RuleParts, methods: Methods): readonly Match[] {
  if (testers === undefined) return [];
  const header = headerOf(testers.known);
  return baseOf(matches).flatMap((match) => {
    const tested = { ...match, headers: [...headersOf(match), header] };
    return match["method"] === undefined ? [tested, ...methods.map((method) => ({ ...tested, method }))] : [tested];
  });
}

function isOneOf(method: unknown, methods: Methods): boolean {
  return methods.some((one) => one === method);
}

function headersOf({ headers }: Match): readonly { readonly name?: unknown }[] {
  return Array.isArray(headers) ? (headers as readonly { readonly name?: unknown }[]) : [];
}

/** What tells a tester's request from others. */
function headerOf({ header, cookie }: Testers): HeaderMatch {
  if (header !== undefined) return { type: "Exact", ...header };
  // Names and values of cookies here have no character that means anything else in an expression.
  const { name = "", value = "" } = cookie ?? {};
  return { type: "RegularExpression", name: "Cookie", value: `^(.*;[ ]*)?${name}=${value}([ ]*;.*)?$` };
}

/** Most headers of a match. */
const HEADERS_MAX = 16;

/** Why the requests of testers cannot be told from those of the spec's matches, if they cannot. */
export function testersTrouble(matches: readonly Match[] | undefined, testers: Testers): string | undefined {
  const { name } = headerOf(testers);
  for (const match of baseOf(matches)) {
    const headers = headersOf(match);
    const isAsked = headers.some((header) => String(header.name).toLowerCase() === name.toLowerCase());
    if (isAsked) return `a match of spec.traffic asks for header ${name} itself`;
    if (headers.length >= HEADERS_MAX) return `a match of spec.traffic has ${String(HEADERS_MAX)} headers already`;
  }
  return undefined;
}

/** Why no copies can be made of the spec's requests, if none can. */
export function mirrorTrouble(
  { matches, filters = [] }: Pick<RuleParts, "matches"> & { readonly filters: readonly object[] | undefined },
  methods: Methods,
): string | undefined {
  if (filters.some((filter) => "type" in filter && filter.type === "RequestMirror"))
    return "spec.traffic has a filter RequestMirror of its own";
  if (copiedMatches(matches, methods).length > 0) return undefined;
  return `no match of spec.traffic takes requests with ${methods.join(" or ")}`;
}

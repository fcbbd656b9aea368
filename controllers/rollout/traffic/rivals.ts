/** Routes of others that lead the same requests to the same Gateway: which of the two has them is the gateway's rule, not ours. */
import { canonicalJson } from "../../../lib/core/canonical.ts";
import type { KubeObject, ResourceType } from "../../../lib/kube/types.ts";
import type { CacheReader } from "../../../operator/runtime/types.ts";
import { gatewayId } from "./gateways.ts";

/** Routes by the Gateways that they name. */
export const ROUTES_ON_GATEWAY = "routes-on-gateway";

interface ParentShape {
  readonly kind?: string;
  readonly namespace?: string;
  readonly name: string;
  readonly sectionName?: string;
  readonly port?: number;
}

interface RouteShape {
  readonly spec?: {
    readonly parentRefs?: readonly ParentShape[];
    readonly hostnames?: readonly string[];
    readonly rules?: readonly { readonly matches?: readonly unknown[] }[];
  };
}

/** Gateways that a route names, as `namespace/name`. */
export function gatewaysOfRoute({ metadata, ...body }: KubeObject): readonly string[] {
  const { spec } = body as RouteShape;
  return (spec?.parentRefs ?? [])
    .filter(({ kind = "Gateway" }) => kind === "Gateway")
    .map((ref) => gatewayId(ref, metadata.namespace ?? ""));
}

/**
 * Routes of this kind with a match of our route, for one of its host names, at one of its listeners; as `namespace/name`, the
 * oldest first. Our route is looked at as the server has it, which knows the defaults of matches.
 */
export function rivalsOf(cache: CacheReader, type: ResourceType, own: KubeObject): readonly string[] {
  const others = new Set(gatewaysOfRoute(own).flatMap((gateway) => cache.byIndex(type, ROUTES_ON_GATEWAY, gateway)));
  return [...others]
    .filter((other) => other.metadata.uid !== own.metadata.uid && overlap(own, other))
    .sort((a, b) => (ageOf(a) < ageOf(b) ? -1 : 1))
    .map(({ metadata }) => `${metadata.namespace ?? ""}/${metadata.name}`);
}

/** Routes of others that are named in a message. */
const RIVALS_TOLD = 3;

/** A warning of them, where there are some. */
export function rivalText(kind: string, rivals: readonly string[]): string {
  if (rivals.length === 0) return "";
  return `; beware: ${kind} ${rivals.slice(0, RIVALS_TOLD).join(", ")} leads the same requests to the same Gateway, and the oldest has them`;
}

function ageOf({ metadata }: KubeObject): string {
  return `${metadata.creationTimestamp ?? ""} ${metadata.namespace ?? ""}/${metadata.name}`;
}

function overlap(one: KubeObject, other: KubeObject): boolean {
  const [a, b] = [(one as RouteShape).spec ?? {}, (other as RouteShape).spec ?? {}];
  const matchesOf = ({ rules = [] }: typeof a): readonly unknown[] => rules.flatMap(({ matches = [] }) => matches);
  return (
    isCommonHost(a.hostnames ?? [], b.hostnames ?? []) &&
    placesOf(one).some((mine) => placesOf(other).some((theirs) => isSamePlace(mine, theirs))) &&
    matchesOf(a).some((mine) => matchesOf(b).some((theirs) => canonicalJson(mine) === canonicalJson(theirs)))
  );
}

/** No name means all of the listener: only two routes without one say the same. A name that says more exactly goes first. */
function isCommonHost(a: readonly string[], b: readonly string[]): boolean {
  return a.length === 0 ? b.length === 0 : a.some((host) => b.includes(host));
}

type Place = readonly [gateway: string, section: string | undefined, port: number | undefined];

function placesOf(route: KubeObject): readonly Place[] {
  const { spec } = route as RouteShape;
  return (spec?.parentRefs ?? []).map((ref) => [
    gatewayId(ref, route.metadata.namespace ?? ""),
    ref.sectionName,
    ref.port,
  ]);
}

function isSamePlace(a: Place, b: Place): boolean {
  const isSame = <T>(mine: T | undefined, theirs: T | undefined): boolean =>
    mine === undefined || theirs === undefined || mine === theirs;
  return a[0] === b[0] && isSame(a[1], b[1]) && isSame(a[2], b[2]);
}

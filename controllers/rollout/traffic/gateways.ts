/** What is there of the Gateways that a route is to be served by, and what is wrong with them. */
import type { RolloutReason } from "../../../crds/conditions.ts";
import type { GatewayTraffic } from "../../../crds/rollout-traffic.ts";
import { type KubeObject, RESOURCES } from "../../../lib/kube/types.ts";
import type { CacheReader } from "../../../operator/runtime/types.ts";
import type { Policy, Says } from "../../kit/conditions.ts";
import { firstOf } from "../rollout.first.ts";
import type { ClassFacts } from "./capabilities.ts";

export type ParentRef = NonNullable<GatewayTraffic["parentRefs"]>[number];

interface ConditionShape {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
  readonly observedGeneration?: number;
}

interface GatewayShape {
  readonly spec?: {
    readonly gatewayClassName?: string;
    readonly listeners?: readonly { readonly name: string; readonly port: number }[];
  };
  readonly status?: { readonly conditions?: readonly ConditionShape[] };
}

/** A Gateway that the spec names, or its route. */
export interface Parent {
  /** `namespace/name`. */
  readonly id: string;
  readonly ref: ParentRef;
  /** Unseen: the operator does not read Gateways of that namespace, so nothing is known. */
  readonly seen: "there" | "absent" | "unseen";
  readonly listeners: readonly { readonly name: string; readonly port: number }[];
  /** What its controller says of its present generation. */
  readonly accepted: ConditionShape | undefined;
  readonly programmed: ConditionShape | undefined;
  /** What is wrong with its GatewayClass, where that is known. */
  readonly classTrouble: string | undefined;
  /** What its GatewayClass says; absent where that is not seen. */
  readonly ofClass: ClassFacts | undefined;
}

/** These Gateways, in their order. @param home namespace of whoever names them */
export function observeParents(cache: CacheReader, refs: readonly ParentRef[], home: string): readonly Parent[] {
  return refs.map((ref) => observeParent(cache, ref, home));
}

/** Gateways that a route names. */
export function gatewayParentsOf(route: KubeObject): readonly ParentRef[] {
  const { parentRefs = [] } = (route["spec"] ?? {}) as {
    readonly parentRefs?: readonly (ParentRef & { readonly kind?: string })[];
  };
  return parentRefs.filter(({ kind = "Gateway" }) => kind === "Gateway");
}

/** `namespace/name` of a Gateway. @param home namespace of whoever names it */
export function gatewayId(ref: Pick<ParentRef, "namespace" | "name">, home: string): string {
  return `${ref.namespace ?? home}/${ref.name}`;
}

function observeParent(cache: CacheReader, ref: ParentRef, home: string): Parent {
  const namespace = ref.namespace ?? home;
  const id = gatewayId(ref, home);
  const isServed = cache.availability(RESOURCES.Gateway, namespace) === "served";
  const gateway = isServed ? cache.get(RESOURCES.Gateway, namespace, ref.name) : undefined;
  const { spec } = (gateway ?? {}) as GatewayShape;
  return {
    id,
    ref,
    seen: !isServed ? "unseen" : gateway === undefined ? "absent" : "there",
    listeners: spec?.listeners ?? [],
    accepted: currentCondition(gateway, "Accepted"),
    programmed: currentCondition(gateway, "Programmed"),
    classTrouble: classTrouble(cache, spec?.gatewayClassName),
    ofClass: classFacts(cache, spec?.gatewayClassName),
  };
}

interface ClassShape {
  readonly spec?: { readonly controllerName?: string };
  /** Texts in early versions of the Gateway API. */
  readonly status?: { readonly supportedFeatures?: readonly (string | { readonly name: string })[] };
}

function classFacts(cache: CacheReader, name: string | undefined): ClassFacts | undefined {
  if (name === undefined || cache.availability(RESOURCES.GatewayClass, "") !== "served") return undefined;
  const { spec, status } = (cache.get(RESOURCES.GatewayClass, "", name) ?? {}) as ClassShape;
  if (spec?.controllerName === undefined) return undefined;
  const features = (status?.supportedFeatures ?? []).map((it) => (typeof it === "string" ? it : it.name));
  return { controllerName: spec.controllerName, features };
}

/** What was said of an earlier generation counts for nothing. */
function currentCondition(object: KubeObject | undefined, type: string): ConditionShape | undefined {
  const { status } = (object ?? {}) as GatewayShape;
  const { generation = 0 } = object?.metadata ?? {};
  return status?.conditions?.find(
    (condition) => condition.type === type && (condition.observedGeneration ?? generation) >= generation,
  );
}

function classTrouble(cache: CacheReader, name: string | undefined): string | undefined {
  if (name === undefined || cache.availability(RESOURCES.GatewayClass, "") !== "served") return undefined;
  const found = cache.get(RESOURCES.GatewayClass, "", name);
  if (found === undefined) return `GatewayClass ${name} does not exist`;
  const accepted = currentCondition(found, "Accepted");
  return accepted?.status === "True" ? undefined : `no gateway has taken GatewayClass ${name}`;
}

/** What there is of the Gateways, and whether they have taken the route all the same. */
interface Asked {
  readonly parent: Parent;
  readonly isRouteTaken: boolean;
}

const ABSENT: readonly Policy<Asked, Says<RolloutReason>>[] = [
  ["there is no such Gateway", absent],
  ["it has no such listener", withoutListener],
];

const IDLE: readonly Policy<Asked, Says<RolloutReason>>[] = [
  ["its controller refuses it", refused],
  ["nobody has taken it", unclaimed],
  ["it cannot be brought to work", unprogrammed],
];

/** A Gateway, or a listener, that is not there: somebody has to make it, or to correct the spec. */
export function missingGateway(parents: readonly Parent[]): Says<RolloutReason> | undefined {
  return firstAbout(ABSENT, parents, false);
}

/** A Gateway that is there and does not work. @param isRouteTaken it says that it serves the route's present version */
export function idleGateway(parents: readonly Parent[], isRouteTaken: boolean): Says<RolloutReason> | undefined {
  return firstAbout(IDLE, parents, isRouteTaken);
}

/** A hint where a wrong name looks like a gateway that takes its time. @param isSpokenOf a gateway has said something of the route */
export function unseenText(parents: readonly Parent[], isSpokenOf: boolean): string {
  const ids = unseenGateways(parents);
  if (ids.length === 0 || isSpokenOf) return "";
  return `; whether there is Gateway ${ids.join(", ")} is not to be seen from here`;
}

/** Gateways of which nothing can be known. */
export function unseenGateways(parents: readonly Parent[]): readonly string[] {
  return parents.filter(({ seen }) => seen === "unseen").map(({ id }) => id);
}

function firstAbout(
  chain: readonly Policy<Asked, Says<RolloutReason>>[],
  parents: readonly Parent[],
  isRouteTaken: boolean,
): Says<RolloutReason> | undefined {
  for (const parent of parents) {
    const finding = firstOf(chain, { parent, isRouteTaken });
    if (finding !== undefined) return finding;
  }
  return undefined;
}

function absent({ parent: { id, seen } }: Asked): Says<RolloutReason> | undefined {
  return seen === "absent" ? { reason: "GatewayNotFound", message: `there is no Gateway ${id}` } : undefined;
}

function withoutListener({ parent: { id, ref, seen, listeners } }: Asked): Says<RolloutReason> | undefined {
  const { sectionName, port } = ref;
  const isMeant = (listener: Parent["listeners"][number]): boolean =>
    (sectionName ?? listener.name) === listener.name && (port ?? listener.port) === listener.port;
  if (seen !== "there" || listeners.some(isMeant)) return undefined;
  const asked = [
    ...(sectionName === undefined ? [] : [`of the name ${sectionName}`]),
    ...(port === undefined ? [] : [`on port ${String(port)}`]),
  ];
  const has = listeners.map((listener) => `${listener.name} on port ${String(listener.port)}`);
  const message = `Gateway ${id} has no listener ${asked.join(" ")}; it has: ${has.join(", ")}`;
  return { reason: "GatewayNotFound", message };
}

function refused({ parent: { id, accepted } }: Asked): Says<RolloutReason> | undefined {
  if (accepted?.status !== "False") return undefined;
  return { reason: "GatewayNotReady", message: `Gateway ${id} is not accepted: ${wordsOf(accepted)}` };
}

/** Whoever serves the route has taken its Gateway too, whatever the Gateway says. */
function unclaimed({ parent, isRouteTaken }: Asked): Says<RolloutReason> | undefined {
  const { id, seen, accepted } = parent;
  if (seen !== "there" || accepted?.status === "True" || isRouteTaken) return undefined;
  const why = parent.classTrouble === undefined ? "" : `: ${parent.classTrouble}`;
  return { reason: "GatewayNotReady", message: `no controller has taken Gateway ${id}${why}` };
}

/** Where a cluster hands out no addresses, a Gateway has none, and is reached in another way. */
const WITHOUT_ADDRESS: readonly (string | undefined)[] = ["AddressNotAssigned", "AddressNotUsable"];

function unprogrammed({ parent: { id, programmed } }: Asked): Says<RolloutReason> | undefined {
  if (programmed?.status !== "False" || WITHOUT_ADDRESS.includes(programmed.reason)) return undefined;
  return { reason: "GatewayNotReady", message: `Gateway ${id} does not work yet: ${wordsOf(programmed)}` };
}

function wordsOf({ reason = "", message = "" }: ConditionShape): string {
  return message === "" ? reason : `${reason}: ${message}`;
}

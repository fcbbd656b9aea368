/** A route of ours as the few facts that decisions need. */
import type { Colour } from "../../../crds/rollout-status.ts";
import type { KubeObject } from "../../../lib/kube/types.ts";
import { COLOURS, type RolloutNames } from "../rollout.names.ts";
import type { RouteFacts } from "../rollout.progress.ts";
import { memoryIn } from "./memory.ts";
import type { ObservedTraffic } from "./traffic.ts";

/** The route, and what its parents say of it. */
export interface ObservedRoute extends ObservedTraffic {
  /** Port of each colour's Service to which it leads. */
  readonly ports: Readonly<Record<Colour, number | undefined>>;
  /** Requests of testers go to one of the colours. */
  readonly isTested: boolean;
  /** What a parent says against it. */
  readonly refusal: string | undefined;
  /** A gateway has said something of it, whatever of. */
  readonly isSpokenOf: boolean;
}

interface RouteShape {
  readonly spec?: {
    readonly parentRefs?: readonly ParentRef[];
    readonly rules?: readonly RuleShape[];
  };
  readonly status?: { readonly parents?: readonly ParentShape[] };
}

interface RuleShape {
  readonly filters?: readonly {
    readonly type: string;
    readonly requestMirror?: { readonly backendRef?: { readonly name: string }; readonly percent?: number };
  }[];
  readonly backendRefs?: readonly { readonly name: string; readonly port?: number; readonly weight?: number }[];
}

/** Which Gateway, or which listener of it, is meant. */
interface ParentRef {
  readonly namespace?: string;
  readonly name?: string;
  readonly sectionName?: string;
  readonly port?: number;
}

interface ParentShape {
  readonly parentRef?: ParentRef;
  readonly conditions?: readonly {
    readonly type: string;
    readonly status: string;
    readonly reason?: string;
    readonly message?: string;
    readonly observedGeneration?: number;
  }[];
}

/** Conditions that a parent that serves a route has. */
const TAKEN = ["Accepted", "ResolvedRefs"] as const;

export function observeRoute(object: KubeObject, names: RolloutNames): ObservedRoute {
  const { spec, status } = object as unknown as RouteShape;
  const { generation = 0 } = object.metadata;
  const parents = status?.parents ?? [];
  const isTaken = ({ conditions = [] }: ParentShape): boolean =>
    TAKEN.every((wanted) =>
      conditions.some(
        ({ type: name, status: holds, observedGeneration = 0 }) =>
          name === wanted && holds === "True" && observedGeneration >= generation,
      ),
    );
  const isOf = ({ parentRef = {} }: ParentShape, ref: ParentRef): boolean =>
    (["name", "sectionName", "port"] as const).every((member) => parentRef[member] === ref[member]) &&
    (parentRef.namespace ?? object.metadata.namespace) === (ref.namespace ?? object.metadata.namespace);
  // What a Gateway said that the route names no more counts for nothing.
  const named = (spec?.parentRefs ?? []).map((ref) => parents.filter((parent) => isOf(parent, ref)));
  const refusal = named
    .flat()
    .flatMap(({ parentRef, conditions = [] }) => conditions.map((said) => ({ ...said, parent: parentRef?.name ?? "" })))
    .find(({ type: name, status: holds }) => (TAKEN as readonly string[]).includes(name) && holds === "False");
  return {
    ...memoryIn(object),
    weights: weightsIn(spec, names),
    mirror: mirrorIn(spec, names),
    isTested: (spec?.rules ?? []).some(({ backendRefs = [] }) => backendRefs.length === 1),
    ports: portsIn(spec, names),
    isAccepted: named.length > 0 && named.every((said) => said.length > 0 && said.every(isTaken)),
    isSpokenOf: named.flat().length > 0,
    refusal:
      refusal === undefined
        ? undefined
        : `Gateway ${refusal.parent}: ${refusal.type} is False, ${refusal.reason ?? ""}: ${refusal.message ?? ""}`,
  };
}

function weightsIn(spec: RouteShape["spec"], names: RolloutNames): RouteFacts["weights"] {
  const refs = spec?.rules?.[0]?.backendRefs ?? [];
  const weightOf = (colour: Colour): number => refs.find(({ name }) => name === names.colour(colour))?.weight ?? 0;
  const [blue, green] = COLOURS.map(weightOf);
  return refs.length === 0 ? undefined : { Blue: blue ?? 0, Green: green ?? 0 };
}

/** Copies that the route makes for one of the colours; those for others are the user's. */
function mirrorIn(spec: RouteShape["spec"], names: RolloutNames): RouteFacts["mirror"] {
  const mirrors = (spec?.rules ?? []).flatMap(({ filters = [] }) => filters.flatMap((it) => it.requestMirror ?? []));
  for (const { backendRef, percent = 100 } of mirrors) {
    const colour = COLOURS.find((it) => names.colour(it) === backendRef?.name);
    if (colour !== undefined) return { colour, percent };
  }
  return undefined;
}

function portsIn(spec: RouteShape["spec"], names: RolloutNames): ObservedRoute["ports"] {
  const refs = spec?.rules?.[0]?.backendRefs ?? [];
  const portOf = (colour: Colour): number | undefined => refs.find(({ name }) => name === names.colour(colour))?.port;
  return { Blue: portOf("Blue"), Green: portOf("Green") };
}

/** Turns raw objects into the few facts that decisions need. */
import { ANNOTATIONS, LABELS } from "../../crds/group.ts";
import type { Colour, Outcome } from "../../crds/rollout-status.ts";
import {
  identityOf,
  type KubeObject,
  type ObjectIdentity,
  RESOURCES,
  type ResourceType,
} from "../../lib/kube/types.ts";
import { type PodFacts, podFacts } from "../kit/explain/pods.ts";
import { COLOURS, colourLabel, type RolloutNames } from "./rollout.names.ts";
import type { RouteFacts } from "./rollout.progress.ts";
import type { VersionContent } from "./rollout.template.ts";

/** The Deployment of a colour. */
export interface ObservedColour extends ObjectIdentity {
  readonly revision: string | undefined;
  readonly replicas: number;
  /** Why its pods were refused, in the words of admission or quota. */
  readonly refused: string | undefined;
}

interface DeploymentShape {
  readonly spec?: { readonly replicas?: number };
  readonly status?: {
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[];
  };
}

export function observeColour(deployment: KubeObject | undefined): ObservedColour | undefined {
  if (deployment === undefined) return undefined;
  const { spec, status } = deployment as unknown as DeploymentShape;
  const refused = status?.conditions?.find(({ type, status: holds }) => type === "ReplicaFailure" && holds === "True");
  return {
    ...identityOf(RESOURCES.Deployment, deployment),
    revision: deployment.metadata.labels?.[LABELS.revision],
    replicas: spec?.replicas ?? 1,
    refused: refused?.message,
  };
}

/** A pod of a colour. */
export interface ColourPod extends PodFacts {
  readonly colour: Colour | undefined;
  readonly revision: string | undefined;
  readonly ip: string | undefined;
}

export function observePod(pod: KubeObject): ColourPod {
  const { labels } = pod.metadata;
  const { podIP } = (pod["status"] ?? {}) as { readonly podIP?: string };
  return {
    ...podFacts(pod),
    colour: colourOf(labels?.[LABELS.colour]),
    revision: labels?.[LABELS.revision],
    ip: podIP,
  };
}

function colourOf(label: string | undefined): Colour | undefined {
  return COLOURS.find((colour) => colourLabel(colour) === label);
}

/** The route, and what its parents say of it. */
export interface ObservedRoute extends ObjectIdentity, RouteFacts {
  /** The colour that serves, as the route remembers it. */
  readonly stable: Colour | undefined;
  /** Port of each colour's Service to which it leads. */
  readonly ports: Readonly<Record<Colour, number | undefined>>;
  /** What a parent says against it. */
  readonly refusal: string | undefined;
  /** A gateway has said something of it, whatever of. */
  readonly isSpokenOf: boolean;
}

interface RouteShape {
  readonly spec?: {
    readonly parentRefs?: readonly ParentRef[];
    readonly rules?: readonly {
      readonly backendRefs?: readonly { readonly name: string; readonly port?: number; readonly weight?: number }[];
    }[];
  };
  readonly status?: { readonly parents?: readonly ParentShape[] };
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

export function observeRoute(
  type: ResourceType,
  object: KubeObject | undefined,
  names: RolloutNames,
): ObservedRoute | undefined {
  if (object === undefined) return undefined;
  const { spec, status } = object as unknown as RouteShape;
  const { generation = 0, annotations } = object.metadata;
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
    ...identityOf(type, object),
    weights: weightsIn(spec, names),
    ports: portsIn(spec, names),
    stable: colourOf(annotations?.[ANNOTATIONS.stable]),
    isAccepted: named.length > 0 && named.every((said) => said.length > 0 && said.every(isTaken)),
    isSpokenOf: named.flat().length > 0,
    retreat: readRetreat(annotations?.[ANNOTATIONS.retreat]),
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

function portsIn(spec: RouteShape["spec"], names: RolloutNames): ObservedRoute["ports"] {
  const refs = spec?.rules?.[0]?.backendRefs ?? [];
  const portOf = (colour: Colour): number | undefined => refs.find(({ name }) => name === names.colour(colour))?.port;
  return { Blue: portOf("Blue"), Green: portOf("Green") };
}

/** Outcomes of a release that went back. */
const BACK = ["RolledBack", "Aborted", "Superseded"] as const satisfies readonly Outcome[];

/** What somebody else wrote there counts for nothing. */
function readRetreat(text: string | undefined): RouteFacts["retreat"] {
  const said = parsed(text) as Readonly<Record<string, unknown>> | null | undefined;
  const wordOf = (name: string, most: number): string | undefined => {
    const value = said?.[name];
    return typeof value === "string" && value.length <= most ? value : undefined;
  };
  const [revision, startedAt, reason] = ["revision", "startedAt", "reason"].map((name) => wordOf(name, 64));
  const message = wordOf("message", 1_024);
  const outcome = BACK.find((known) => known === said?.["outcome"]);
  if (revision === undefined || startedAt === undefined || outcome === undefined) return undefined;
  return reason === undefined || message === undefined ? undefined : { revision, startedAt, outcome, reason, message };
}

function parsed(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What the version of a ControllerRevision runs. */
export interface KeptVersion extends ObjectIdentity, VersionContent {}

export function observeVersion(object: KubeObject): KeptVersion | undefined {
  const { template, ports } = (object["data"] ?? {}) as Partial<VersionContent>;
  const revision = object.metadata.labels?.[LABELS.revision];
  if (revision === undefined || template === undefined || ports === undefined) return undefined;
  return { ...identityOf(RESOURCES.ControllerRevision, object), revision, template, ports };
}

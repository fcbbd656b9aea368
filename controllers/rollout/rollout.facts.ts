/** Turns raw objects into the few facts that decisions need. */
import { ANNOTATIONS, LABELS } from "../../crds/group.ts";
import type { Colour } from "../../crds/rollout-status.ts";
import { identityOf, type KubeObject, type ObjectIdentity, RESOURCES } from "../../lib/kube/types.ts";
import { type PodFacts, podFacts } from "../kit/explain/pods.ts";
import { colourOf } from "./rollout.names.ts";
import type { VersionContent } from "./rollout.template.ts";

/** The Deployment of a colour. */
export interface ObservedColour extends ObjectIdentity {
  readonly revision: string | undefined;
  readonly replicas: number;
  /** How many pods it has is left out of what is applied. */
  readonly isHandedOver: boolean;
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
    isHandedOver: deployment.metadata.annotations?.[ANNOTATIONS.autoscaled] === "true",
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

/** What the version of a ControllerRevision runs. */
export interface KeptVersion extends ObjectIdentity, VersionContent {}

export function observeVersion(object: KubeObject): KeptVersion | undefined {
  const { template, ports } = (object["data"] ?? {}) as Partial<VersionContent>;
  const revision = object.metadata.labels?.[LABELS.revision];
  if (revision === undefined || template === undefined || ports === undefined) return undefined;
  return { ...identityOf(RESOURCES.ControllerRevision, object), revision, template, ports };
}

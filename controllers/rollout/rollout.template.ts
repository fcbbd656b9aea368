/** From Deployment and Service of the spec to what is released: a pod template, its revision, its ports; or why there is none. */
import type { RolloutReason } from "../../crds/conditions.ts";
import type { RolloutSpec } from "../../crds/rollout.ts";
import type { RolloutPort } from "../../crds/rollout-target.ts";
import { contentHash } from "../../lib/core/canonical.ts";
import type { KubeObject } from "../../lib/kube/types.ts";
import type { Policy } from "../kit/conditions.ts";
import { firstOf } from "./rollout.first.ts";
import type { SourceKind } from "./rollout.references.ts";

/** A pod template, as a Deployment has it. */
export interface PodTemplate {
  readonly metadata: {
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: Readonly<Record<string, unknown>>;
}

/** What a version runs. */
export interface VersionContent {
  /** Hash of template and ports. */
  readonly revision: string;
  readonly template: PodTemplate;
  /** Of its colour's Service; the route leads to the first. */
  readonly ports: readonly RolloutPort[];
}

/** A copy of a ConfigMap or Secret that a version reads. */
export interface Copy {
  readonly kind: SourceKind;
  /** Name of the copy. */
  readonly name: string;
  /** Name of what it is a copy of. */
  readonly source: string;
  /** Of the content that it is to have. */
  readonly digest: string;
}

/** What is to be released. */
export interface Wanted extends VersionContent {
  /** What the template reads; none where it shares it. */
  readonly copies: readonly Copy[];
  /** Pods of a version that serves everything. */
  readonly replicas: number;
}

/** Why nothing can be released. */
export interface Unusable {
  readonly reason: RolloutReason;
  readonly message: string;
}

/** Hex digits of a revision: names of ControllerRevisions hold it. */
const REVISION_DIGITS = 10;

interface DeploymentShape {
  readonly spec?: {
    readonly replicas?: number;
    readonly template?: {
      readonly metadata?: {
        readonly labels?: Record<string, string>;
        readonly annotations?: Record<string, string>;
      };
      readonly spec?: Record<string, unknown>;
    };
  };
}

interface ServiceShape {
  readonly spec?: {
    readonly selector?: Record<string, string>;
    readonly ports?: readonly {
      readonly name?: string;
      readonly port: number;
      readonly targetPort?: number | string;
      readonly appProtocol?: string;
      readonly protocol?: string;
    }[];
  };
}

/** What is there of what the spec names. */
export interface Named {
  readonly deployment: KubeObject | undefined;
  readonly service: KubeObject | undefined;
  /** An older Rollout that releases the same Deployment. */
  readonly claimedBy: string | undefined;
}

export function wantedOf(spec: RolloutSpec, named: Named): Wanted | Unusable {
  const lacking = firstOf(CHECKS, { spec, named });
  if (lacking !== undefined) return lacking;
  const source =
    spec.target.deployment === undefined ? { template: spec.target.template } : deploymentSpec(named.deployment);
  const raw = source?.template as NonNullable<NonNullable<DeploymentShape["spec"]>["template"]> | undefined;
  const labels = raw?.metadata?.labels ?? {};
  if (raw?.spec === undefined) return { reason: "TemplateInvalid", message: "the pod template has no spec" };
  const selector = named.service === undefined ? {} : (serviceSpec(named.service)?.selector ?? {});
  const foreign = named.service === undefined ? undefined : mismatch(spec, selector, labels);
  if (foreign !== undefined) return { reason: "ServiceMismatch", message: foreign };
  const ports = portsOf(spec, named, raw.spec);
  if (typeof ports === "string") return { reason: "ServiceMismatch", message: ports };
  const template = released({ labels, annotations: raw.metadata?.annotations, spec: raw.spec, selector });
  return {
    template,
    revision: revisionOf({ template, ports }),
    copies: [],
    replicas: spec.replicas ?? withinBounds(spec, deploymentReplicas(named)),
    ports,
  };
}

interface Asked {
  readonly spec: RolloutSpec;
  readonly named: Named;
}

const CHECKS: readonly Policy<Asked, Unusable>[] = [
  ["another Rollout has the Deployment", claimed],
  ["the Deployment is not there", withoutDeployment],
  ["the Service is not there", withoutService],
  ["nobody says how many pods are to serve", withoutReplicas],
];

function claimed({ spec, named }: Asked): Unusable | undefined {
  if (named.claimedBy === undefined) return undefined;
  const { deployment = "" } = spec.target;
  const message = `Rollout ${named.claimedBy} releases Deployment ${deployment} already, and is older`;
  return { reason: "TargetClaimed", message };
}

function withoutDeployment({ spec, named }: Asked): Unusable | undefined {
  const { deployment } = spec.target;
  if (deployment === undefined || named.deployment !== undefined) return undefined;
  return { reason: "DeploymentNotFound", message: `there is no Deployment ${deployment} in this namespace` };
}

function withoutService({ spec, named }: Asked): Unusable | undefined {
  const { name } = spec.service;
  if (name === undefined || named.service !== undefined) return undefined;
  return { reason: "ServiceNotFound", message: `there is no Service ${name} in this namespace` };
}

/** One pod in place of none would have all requests: a Deployment that somebody scaled to 0 says nothing of those that serve. */
function withoutReplicas({ spec, named }: Asked): Unusable | undefined {
  if (spec.replicas !== undefined || spec.autoscaling !== undefined || deploymentReplicas(named) > 0) return undefined;
  const message = `Deployment ${spec.target.deployment ?? ""} is scaled to 0, so nothing says how many pods are to serve: set spec.replicas`;
  return { reason: "ReplicasUnknown", message };
}

/** What a first version begins with, where an autoscaler goes on. */
function withinBounds({ autoscaling }: RolloutSpec, replicas: number): number {
  if (autoscaling === undefined) return replicas;
  return Math.min(Math.max(replicas, autoscaling.minReplicas), autoscaling.maxReplicas);
}

function deploymentReplicas({ deployment }: Named): number {
  return deploymentSpec(deployment)?.replicas ?? 1;
}

/** Names what a version runs and by which ports it is reached: a hash of both, for other ports are another version. */
export function revisionOf({ template, ports }: Omit<VersionContent, "revision">): string {
  return contentHash({ template, ports }, REVISION_DIGITS);
}

function deploymentSpec(deployment: KubeObject | undefined): DeploymentShape["spec"] {
  return (deployment as DeploymentShape | undefined)?.spec;
}

function serviceSpec(service: KubeObject): ServiceShape["spec"] {
  return (service as unknown as ServiceShape).spec;
}

function mismatch(
  { service, target }: RolloutSpec,
  selector: Readonly<Record<string, string>>,
  labels: Readonly<Record<string, string>>,
): string | undefined {
  const { name = "" } = service;
  const keys = Object.keys(selector);
  if (keys.length === 0) return `Service ${name} has no selector: it leads to no pods of a Deployment`;
  const other = keys.find((key) => labels[key] !== selector[key]);
  if (other === undefined) return undefined;
  const what = target.deployment === undefined ? "the template" : `Deployment ${target.deployment}`;
  return `Service ${name} selects ${other}=${selector[other] ?? ""}, the pods of ${what} have ${labels[other] ?? "no such label"}`;
}

/** @returns a sentence where there are none */
function portsOf(
  spec: RolloutSpec,
  { service }: Named,
  pod: Readonly<Record<string, unknown>>,
): readonly RolloutPort[] | string {
  // The same ports are the same revision, whoever says so.
  if (spec.service.ports !== undefined) return spec.service.ports.map((it) => ({ targetPort: it.port, ...it }));
  const ports = (service === undefined ? [] : (serviceSpec(service)?.ports ?? [])).filter(
    ({ protocol = "TCP" }) => protocol === "TCP",
  );
  const name = spec.service.name ?? "";
  if (ports.length === 0) return `Service ${name} has no TCP port`;
  const found: RolloutPort[] = [];
  for (const { name: portName, port, targetPort = port, appProtocol } of ports) {
    const number = typeof targetPort === "number" ? targetPort : namedPort(pod, targetPort);
    if (number === undefined) return `port ${String(targetPort)} of Service ${name} is no port of the pod template`;
    found.push({
      port,
      targetPort: number,
      ...(portName === undefined ? {} : { name: portName }),
      ...(appProtocol === undefined ? {} : { appProtocol }),
    });
  }
  return found;
}

function namedPort(pod: Readonly<Record<string, unknown>>, name: string): number | undefined {
  const containers = (pod["containers"] ?? []) as readonly {
    readonly ports?: readonly { readonly name?: string; readonly containerPort: number }[];
  }[];
  return containers.flatMap(({ ports = [] }) => ports).find((port) => port.name === name)?.containerPort;
}

/** The user's Service must not reach a version that is being tried, so the pods are without the labels by which it selects. */
function released(raw: {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>> | undefined;
  readonly spec: Readonly<Record<string, unknown>>;
  readonly selector: Readonly<Record<string, string>>;
}): PodTemplate {
  const labels = Object.fromEntries(Object.entries(raw.labels).filter(([key]) => !(key in raw.selector)));
  const { annotations } = raw;
  return { metadata: { labels, ...(annotations === undefined ? {} : { annotations }) }, spec: raw.spec };
}

import { join } from "node:path";
import { Release } from "@pulumi/kubernetes/helm/v3/release.js";
import { ComponentResource, type ComponentResourceOptions, type Input, type Output } from "@pulumi/pulumi";

/** The chart of this repository; a program that is installed elsewhere names its own copy. */
const CHART = join(import.meta.dirname, "..", "operator");

/** Namespace of the operator unless told otherwise, as in the README. */
const NAMESPACE = "shieldx-system";

/** Seconds that Helm waits for the controllers to be ready: an image pull and a start. */
const TIMEOUT_SECONDS = 300;

/** Processor and memory as Kubernetes quantities. */
export interface Amounts {
  readonly cpu?: Input<string>;
  readonly memory?: Input<string>;
}

/** A taint that the controllers tolerate. */
export interface Toleration {
  readonly key?: Input<string>;
  readonly operator?: Input<"Exists" | "Equal">;
  readonly value?: Input<string>;
  readonly effect?: Input<"NoSchedule" | "PreferNoSchedule" | "NoExecute">;
  readonly tolerationSeconds?: Input<number>;
}

/** What an installation may choose: the values of the chart by their names, with types. */
export interface ShieldxOperatorArgs {
  /** Image of the program shieldx. */
  readonly image: Input<string>;
  /** Image of PostgreSQL with the shard agent. */
  readonly postgresImage: Input<string>;
  readonly imagePullPolicy?: Input<"IfNotPresent" | "Always" | "Never">;
  /** Secrets in the operator's namespace, as a Pod lists them or by name. */
  readonly imagePullSecrets?: Input<Input<string | { readonly name: Input<string> }>[]>;
  /** Namespace of the operator, made if it does not exist; `shieldx-system` unless told. */
  readonly namespace?: Input<string>;
  readonly replicas?: Input<number>;
  /** Namespaces whose resources are reconciled; all unless told. */
  readonly watchNamespaces?: Input<Input<string>[]>;
  readonly clusterDomain?: Input<string>;
  readonly logLevel?: Input<"debug" | "info" | "warn" | "error">;
  /** Whether the release installs the CRDs, and whether they stay when it goes; both unless told. */
  readonly crds?: { readonly enabled?: Input<boolean>; readonly keep?: Input<boolean> };
  readonly resources?: { readonly requests?: Amounts; readonly limits?: Amounts };
  readonly priorityClassName?: Input<string>;
  readonly nodeSelector?: Input<Record<string, Input<string>>>;
  readonly tolerations?: Input<Toleration[]>;
  /** A ServiceMonitor for the Prometheus operator, with the labels that select it. */
  readonly serviceMonitor?: {
    readonly labels?: Input<Record<string, Input<string>>>;
    readonly interval?: Input<string>;
  };
  /** False leaves the NetworkPolicy out. */
  readonly networkPolicy?: Input<boolean>;
  /** Path or reference of the chart; the one of this repository unless told. */
  readonly chart?: Input<string>;
}

/**
 * The operator as one Helm release, the same as `helm install` makes: CRDs, controllers, permissions.
 * Resources of our kinds that a program makes should depend on it.
 */
export class ShieldxOperator extends ComponentResource {
  /** Namespace in which the controllers run. */
  readonly namespace: Output<string>;
  /** Name of the Helm release. */
  readonly releaseName: Output<string>;

  constructor(name: string, args: ShieldxOperatorArgs, options?: ComponentResourceOptions) {
    super("shieldx:operator:ShieldxOperator", name, {}, options);
    const release = new Release(
      name,
      {
        name,
        chart: args.chart ?? CHART,
        namespace: args.namespace ?? NAMESPACE,
        createNamespace: true,
        values: chartValues(args),
        timeout: TIMEOUT_SECONDS,
        // A failed upgrade goes back to what ran before.
        atomic: true,
      },
      { parent: this },
    );
    this.namespace = release.namespace;
    this.releaseName = release.name;
    this.registerOutputs({ namespace: this.namespace, releaseName: this.releaseName });
  }
}

/** Values of the chart; what is left out keeps the chart's default. */
export function chartValues(args: ShieldxOperatorArgs): Record<string, unknown> {
  return defined({
    image: defined({ reference: args.image, pullPolicy: args.imagePullPolicy }),
    postgresImage: { reference: args.postgresImage },
    imagePullSecrets: args.imagePullSecrets,
    replicas: args.replicas,
    watchNamespaces: args.watchNamespaces,
    clusterDomain: args.clusterDomain,
    log: args.logLevel === undefined ? undefined : { level: args.logLevel },
    crds: args.crds === undefined ? undefined : defined({ enabled: args.crds.enabled, keep: args.crds.keep }),
    resources: args.resources,
    priorityClassName: args.priorityClassName,
    nodeSelector: args.nodeSelector,
    tolerations: args.tolerations,
    metrics:
      args.serviceMonitor === undefined ? undefined : { serviceMonitor: { enabled: true, ...args.serviceMonitor } },
    networkPolicy: args.networkPolicy === undefined ? undefined : { enabled: args.networkPolicy },
  });
}

/** Helm reads `null` as "remove the default", so what is undefined must not be there at all. */
function defined(values: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

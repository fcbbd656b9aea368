/** API group and version of all kinds, and every name of ours that appears on Kubernetes objects. */
export const GROUP = "shieldx.dev";
export const VERSION = "v1alpha1";
export const API_VERSION = `${GROUP}/${VERSION}`;

/** Field manager of every server-side apply of the controllers. */
export const FIELD_MANAGER = "shieldx-controller";

/** Field manager that holds what was handed over, until somebody else changes it. */
export const HAND_OVER_MANAGER = "shieldx-hand-over";

/** Field manager of what people ask for on the command line. */
export const COMMAND_LINE_MANAGER = "shieldx-command-line";

/** Labels. Values are names of resources or small numbers. */
export const LABELS = {
  /** Kind of the resource that an object belongs to, for example `ShardSet`. */
  kind: `${GROUP}/kind`,
  /** Name of the resource that an object belongs to. */
  name: `${GROUP}/name`,
  /** On shards, and on database requests: the ShardSet. */
  shardSet: `${GROUP}/shardset`,
  /** Index of the shard. */
  shard: `${GROUP}/shard`,
  /** Index of the instance within the shard. */
  instance: `${GROUP}/instance`,
  /** `primary` or `replica`. */
  role: `${GROUP}/role`,
  /** On what belongs to a version of a Rollout: `blue` or `green`. */
  colour: `${GROUP}/colour`,
  /** On what belongs to a version of a Rollout: its revision. */
  revision: `${GROUP}/revision`,
  /** What an object is for, for example `database-request`. */
  component: `${GROUP}/component`,
} as const;

/** Values of the component label. */
export const COMPONENTS = {
  databaseRequest: "database-request",
  shard: "shard",
  ledger: "ledger",
  release: "release",
  configuration: "configuration",
  configurationKey: "configuration-key",
  verification: "verification",
  migration: "migration",
  webhookCertificates: "webhook-certificates",
} as const;

/** Annotations. */
export const ANNOTATIONS = {
  /** On the Deployment of a ledger: the migration that was done for its pods, and the PostgreSQL clusters that it was for. */
  migration: `${GROUP}/migration`,
  /** On the Deployment of a ledger: when its controllers were last woken after their pods were refused. */
  nudgedAt: `${GROUP}/nudged-at`,
  /** Hash of the desired object at our last apply: an unchanged hash means no write. */
  appliedHash: `${GROUP}/applied-hash`,
  /** On a pod template: hash of what the pods read at their start, so that a change of it replaces them. */
  configHash: `${GROUP}/config-hash`,
  /** On what outlives its resource: uid of the resource that made it, so that kept data is told from data of our own. */
  createdFor: `${GROUP}/created-for`,
  /** On a Lease: URL at which its holder answers. */
  holderUrl: `${GROUP}/holder-url`,
  /** On a writer Lease: decimal position of the shard's last committed event, as of the last renewal; it never falls. */
  headPosition: `${GROUP}/head-position`,
  /** On the Lease of a shard, and of its writer: identifier of the PostgreSQL cluster that the holder last worked on. */
  systemIdentifier: `${GROUP}/system-identifier`,
  /** On a writer Lease: why its holder does not write, a code and a sentence; absent while it does. */
  writerProblem: `${GROUP}/writer-problem`,
  /** On a migration Job: identifiers of the PostgreSQL clusters that it is for, in the order of the shards. */
  migratedClusters: `${GROUP}/migrated-clusters`,
  /** Set by people on a resource whose data is lost: tokens that the condition names, each gives one shard's data up. */
  acceptDataLoss: `${GROUP}/accept-data-loss`,
  /** On an object seen in an older version: what that version cannot say, as JSON (operator/admission/conversion). */
  conversionKept: `${GROUP}/conversion-kept`,
  /** On a resource with a CA: each new value asks for a new CA. On the CA's Secrets: the last value that was acted on. */
  rotateCa: `${GROUP}/rotate-ca`,
  /** On a resource with a CA: for how long a former and a new CA are both trusted at least, for example `24h`. */
  caOverlap: `${GROUP}/ca-overlap`,
  /** On a CA bundle: digest of the CA that is to sign next, and since when it is trusted. */
  trustedSince: `${GROUP}/trusted-since`,
  /** On the Secrets of a CA: digests of the CAs that it replaces, which leave the bundle at the end. */
  replaces: `${GROUP}/replaces`,
  /** On the operator's Lease: namespaces that this installation serves, `*` for all. */
  watches: `${GROUP}/watches`,
  /** On the operator's Lease: `leads`, or for which other installation it waits. */
  installation: `${GROUP}/installation`,
  /** On a route: why the share of the canary was taken away, as JSON, written with the weight itself. */
  retreat: `${GROUP}/retreat`,
  /** On a ConfigMap or Secret that a Rollout's pods read: `Shared` leaves it out of the copies. */
  configuration: `${GROUP}/configuration`,
  /** On a copy of a ConfigMap or Secret: the name of what it is a copy of. */
  copyOf: `${GROUP}/copy-of`,
  /** On the Deployment of a colour: an autoscaler says how many pods it has. */
  autoscaled: `${GROUP}/autoscaled`,
  /** On a route: the colour that serves, for a status that was lost. */
  stable: `${GROUP}/stable`,
  /** On a route of the user's, behind the name of the Rollout: what the Rollout has changed of it, as JSON. */
  adoption: `${GROUP}/adoption`,
  /** On a FeatureFlag: for which share its flags are raised, and by which releases, as JSON, for a status that was lost. */
  raised: `${GROUP}/raised`,
  /** `"true"` pauses the reconciliation of the resource. */
  paused: `${GROUP}/paused`,
} as const;

/** An annotation of one resource on an object that several may have some on: `web.shieldx.dev/stable`. */
export function annotationOf(resource: string, annotation: string): string {
  return `${resource}.${annotation}`;
}

/** Finalizer of every kind: deletion is a plan that the controller carries out. */
export const FINALIZER = `${GROUP}/finalizer`;

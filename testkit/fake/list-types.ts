// How lists of built-in kinds merge under server-side apply: the markers of the published API types, as far as our
// controllers use the fields. Paths are field names without list keys. What is not here is merged as the API's default:
// objects by field, lists as one value. Custom kinds have no entry: their lists are one value each.

/** How a list or an object merges. */
export type MergeType =
  /** Items are identified by these fields. */
  | { readonly type: "map"; readonly keys: readonly string[] }
  /** Scalars, each at most once. */
  | { readonly type: "set" }
  /** One value, owned and replaced as a whole. */
  | { readonly type: "atomic" };

type Table = Readonly<Record<string, MergeType>>;

const by = (...keys: string[]): MergeType => ({ type: "map", keys });
const SET: MergeType = { type: "set" };
const ATOMIC: MergeType = { type: "atomic" };

const METADATA: Table = {
  "metadata.finalizers": SET,
  "metadata.ownerReferences": by("uid"),
  // An item is one value, beside its key.
  "metadata.ownerReferences.*": ATOMIC,
};

const CONTAINER: Table = {
  ports: by("containerPort", "protocol"),
  env: by("name"),
  "env.valueFrom.fieldRef": ATOMIC,
  "env.valueFrom.secretKeyRef": ATOMIC,
  "env.valueFrom.configMapKeyRef": ATOMIC,
  "env.valueFrom.resourceFieldRef": ATOMIC,
  volumeMounts: by("mountPath"),
  volumeDevices: by("devicePath"),
  "resources.claims": by("name"),
};

const POD_SPEC: Table = {
  ...under("containers", CONTAINER),
  ...under("initContainers", CONTAINER),
  ...under("ephemeralContainers", CONTAINER),
  containers: by("name"),
  initContainers: by("name"),
  ephemeralContainers: by("name"),
  volumes: by("name"),
  "volumes.downwardAPI.items.fieldRef": ATOMIC,
  imagePullSecrets: by("name"),
  "imagePullSecrets.*": ATOMIC,
  hostAliases: by("ip"),
  nodeSelector: ATOMIC,
  topologySpreadConstraints: by("topologyKey", "whenUnsatisfiable"),
  "topologySpreadConstraints.labelSelector": ATOMIC,
  schedulingGates: by("name"),
  resourceClaims: by("name"),
};

const CONDITIONS: Table = { "status.conditions": by("type") };
const WORKLOAD: Table = {
  ...under("spec.template.spec", POD_SPEC),
  ...CONDITIONS,
  "spec.selector": ATOMIC,
};

const WEBHOOKS: Table = {
  webhooks: by("name"),
  "webhooks.matchConditions": by("name"),
  "webhooks.namespaceSelector": ATOMIC,
  "webhooks.objectSelector": ATOMIC,
};

const KINDS: Readonly<Record<string, Table>> = {
  "/pods": { ...under("spec", POD_SPEC), ...CONDITIONS, "status.podIPs": by("ip") },
  "/services": {
    ...CONDITIONS,
    "spec.ports": by("port", "protocol"),
    "spec.selector": ATOMIC,
  },
  "/serviceaccounts": { secrets: by("name") },
  "/persistentvolumeclaims": { ...CONDITIONS, "spec.selector": ATOMIC, "spec.dataSource": ATOMIC },
  "apps/deployments": WORKLOAD,
  "apps/statefulsets": WORKLOAD,
  "batch/jobs": { ...WORKLOAD, "status.conditions": ATOMIC },
  "admissionregistration.k8s.io/mutatingwebhookconfigurations": WEBHOOKS,
  "admissionregistration.k8s.io/validatingwebhookconfigurations": WEBHOOKS,
  "policy/poddisruptionbudgets": { ...CONDITIONS, "spec.selector": ATOMIC },
};

/** Values of key fields that the server fills in. */
export const KEY_DEFAULTS: Readonly<Record<string, string>> = { protocol: "TCP" };

/**
 * @param collection `group/plural`
 * @param path field names joined by dots; `*` for an item of a list
 */
export function mergeTypeOf(collection: string, path: string): MergeType | undefined {
  return METADATA[path] ?? KINDS[collection]?.[path];
}

function under(prefix: string, table: Table): Table {
  return Object.fromEntries(Object.entries(table).map(([path, type]) => [`${prefix}.${path}`, type]));
}

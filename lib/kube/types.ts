/** Metadata of an object as the server sends it; unknown members survive a read–write cycle. */
export interface ObjectMeta {
  name: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  /** Of an object that is being deleted: how long it may still take; 0 for kinds that need no time to end. */
  deletionGracePeriodSeconds?: number;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  finalizers?: string[];
  ownerReferences?: OwnerReference[];
  [member: string]: unknown;
}

export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
}

/** Any Kubernetes object as raw JSON. */
export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
  [member: string]: unknown;
}

/** Where a kind lives in the API. `T` is the shape of its objects. */
export interface ResourceType<T extends KubeObject = KubeObject> {
  /** "" for the core group. */
  readonly group: string;
  readonly version: string;
  /** Both, as objects of the kind say it: `v1`, `apps/v1`. */
  readonly apiVersion: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
  /** Only in the type system. */
  readonly shape?: T;
}

/** One object, told by its uid: an object that has its name later is another one. */
export interface ObjectIdentity {
  readonly resource: ResourceType;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string | undefined;
}

/** The identity of an object that was read. */
export function identityOf(resource: ResourceType, { metadata }: KubeObject): ObjectIdentity {
  return { resource, namespace: metadata.namespace ?? "", name: metadata.name, uid: metadata.uid };
}

/** A kind of a version that is given as objects say it. @param names kind and plural @param namespaced true unless told */
export function resourceType<T extends KubeObject = KubeObject>(
  apiVersion: string,
  [kind, plural]: readonly [kind: string, plural: string],
  namespaced = true,
): ResourceType<T> {
  const [group, version] = apiVersion.includes("/") ? (apiVersion.split("/") as [string, string]) : ["", apiVersion];
  return { group, version, apiVersion, kind, plural, namespaced };
}

/** The built-in kinds that the product reads or writes. */
export const RESOURCES = {
  Pod: resourceType("v1", ["Pod", "pods"]),
  Secret: resourceType<SecretObject>("v1", ["Secret", "secrets"]),
  ConfigMap: resourceType<ConfigMapObject>("v1", ["ConfigMap", "configmaps"]),
  Service: resourceType("v1", ["Service", "services"]),
  EndpointSlice: resourceType("discovery.k8s.io/v1", ["EndpointSlice", "endpointslices"]),
  ServiceAccount: resourceType("v1", ["ServiceAccount", "serviceaccounts"]),
  PersistentVolumeClaim: resourceType("v1", ["PersistentVolumeClaim", "persistentvolumeclaims"]),
  Event: resourceType("events.k8s.io/v1", ["Event", "events"]),
  Deployment: resourceType("apps/v1", ["Deployment", "deployments"]),
  ControllerRevision: resourceType("apps/v1", ["ControllerRevision", "controllerrevisions"]),
  Job: resourceType("batch/v1", ["Job", "jobs"]),
  HorizontalPodAutoscaler: resourceType("autoscaling/v2", ["HorizontalPodAutoscaler", "horizontalpodautoscalers"]),
  PodDisruptionBudget: resourceType("policy/v1", ["PodDisruptionBudget", "poddisruptionbudgets"]),
  NetworkPolicy: resourceType("networking.k8s.io/v1", ["NetworkPolicy", "networkpolicies"]),
  Role: resourceType("rbac.authorization.k8s.io/v1", ["Role", "roles"]),
  RoleBinding: resourceType("rbac.authorization.k8s.io/v1", ["RoleBinding", "rolebindings"]),
  Lease: resourceType<LeaseObject>("coordination.k8s.io/v1", ["Lease", "leases"]),
  HTTPRoute: resourceType("gateway.networking.k8s.io/v1", ["HTTPRoute", "httproutes"]),
  GRPCRoute: resourceType("gateway.networking.k8s.io/v1", ["GRPCRoute", "grpcroutes"]),
  Gateway: resourceType("gateway.networking.k8s.io/v1", ["Gateway", "gateways"]),
  GatewayClass: resourceType("gateway.networking.k8s.io/v1", ["GatewayClass", "gatewayclasses"], false),
  FeatureFlag: resourceType("core.openfeature.dev/v1beta1", ["FeatureFlag", "featureflags"]),
  StorageClass: resourceType("storage.k8s.io/v1", ["StorageClass", "storageclasses"], false),
  CustomResourceDefinition: resourceType(
    "apiextensions.k8s.io/v1",
    ["CustomResourceDefinition", "customresourcedefinitions"],
    false,
  ),
} as const;

export interface SecretObject extends KubeObject {
  type?: string;
  /** Base64. */
  data?: Record<string, string>;
}

export interface ConfigMapObject extends KubeObject {
  data?: Record<string, string>;
}

export interface LeaseObject extends KubeObject {
  spec?: {
    holderIdentity?: string;
    leaseDurationSeconds?: number;
    acquireTime?: string;
    renewTime?: string;
    leaseTransitions?: number;
  };
}

import { LABELS } from "../../crds/group.ts";
import type { KubeObject, ObjectIdentity, OwnerReference, ResourceType } from "../../lib/kube/types.ts";

/** The resource on whose behalf objects are made. */
export interface Owner extends ObjectIdentity {
  readonly uid: string;
  /** It is being deleted; see `ownerReference`. */
  readonly isEnding: boolean;
  /** What its objects are for, unless they say it themselves (`COMPONENTS` of crds/group.ts). */
  readonly component: string;
}

/** The owner that a resource is. */
export function ownerOf(resource: ResourceType, { metadata }: KubeObject, component: string): Owner {
  const { name, namespace = "", uid = "", deletionTimestamp } = metadata;
  return { resource, namespace, name, uid, isEnding: deletionTimestamp !== undefined, component };
}

/** What an object says besides its kind and name. */
export interface Content {
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly [member: string]: unknown;
}

/** Labels that tell the objects of a resource from all others; without them an object is somebody else's. */
export function ownLabels({ resource, name }: Pick<Owner, "resource" | "name">): Record<string, string> {
  return { [LABELS.kind]: resource.kind, [LABELS.name]: name };
}

/** Labels of the objects of one component: ours, and those that Kubernetes recommends. */
export function componentLabels(owner: Owner, component = owner.component): Record<string, string> {
  return {
    "app.kubernetes.io/name": "shieldx",
    "app.kubernetes.io/managed-by": "shieldx",
    "app.kubernetes.io/instance": owner.name,
    "app.kubernetes.io/component": component,
    ...ownLabels(owner),
    [LABELS.component]: component,
  };
}

/** Selector of the objects of the owner's component. */
export function componentSelector(owner: Owner): Record<string, string> {
  return { ...ownLabels(owner), [LABELS.component]: owner.component };
}

/** An object that outlives its resource (`deletionPolicy: Retain`): it carries no owner reference. */
export function keptObject<T extends KubeObject>(
  owner: Owner,
  type: ResourceType<T>,
  ...[name, { labels, annotations, ...members }]: readonly [name: string, content: Content]
): T {
  return {
    apiVersion: type.apiVersion,
    kind: type.kind,
    metadata: {
      name,
      namespace: owner.namespace,
      labels: { ...componentLabels(owner), ...labels },
      ...(annotations === undefined ? {} : { annotations: { ...annotations } }),
    },
    ...members,
  } as KubeObject as T;
}

/** An object that goes with its resource. */
export function ownedObject<T extends KubeObject>(
  owner: Owner,
  type: ResourceType<T>,
  ...content: readonly [name: string, content: Content]
): T {
  const object = keptObject(owner, type, ...content);
  return { ...object, metadata: { ...object.metadata, ownerReferences: [ownerReference(owner)] } };
}

/**
 * While its owner is deleted in the foreground, the garbage collector deletes whatever blocks that each time that something
 * of it has gone, what was made a second ago too: an object that is still needed then, as
 * a pod for the last of a ledger, must not block.
 */
function ownerReference({ resource: { apiVersion, kind }, name, uid, isEnding }: Owner): OwnerReference {
  return { apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: !isEnding };
}

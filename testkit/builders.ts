import type { KubeObject, OwnerReference, ResourceType } from "../lib/kube/types.ts";

// Objects with valid defaults, so that a case shows only what matters to it.

/** An object of a kind in namespace `default`; members, also `metadata` as a whole, can be given. */
export function objectOf(type: ResourceType, name: string, members: object = {}): KubeObject {
  return { apiVersion: type.apiVersion, kind: type.kind, metadata: { namespace: "default", name }, ...members };
}

/** The reference by which an owner is its dependent's controller. */
export function ownerReferenceOf(owner: KubeObject): OwnerReference {
  const { name, uid = "" } = owner.metadata;
  return { apiVersion: owner.apiVersion, kind: owner.kind, name, uid, controller: true, blockOwnerDeletion: true };
}

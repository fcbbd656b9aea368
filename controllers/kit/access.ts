import { type KubeObject, RESOURCES, type ResourceType } from "../../lib/kube/types.ts";
import { apply } from "../../operator/runtime/actions.ts";
import type { Action, Grant } from "../../operator/runtime/types.ts";
import { type Owner, ownedObject } from "./objects.ts";

// What pods may do: a ServiceAccount, a Role that names each object, and their binding. The same declaration is the
// Role's rules and what the controller must hold to grant them.

/** What pods may do to some objects of one kind. `Target` is what their names are computed from. */
export interface Access<Target> extends Grant {
  readonly names: (target: Target) => readonly string[];
}

/** The identity of pods, in detail. */
export interface Identity<Target> {
  /** Of ServiceAccount, Role and RoleBinding. */
  readonly name: string;
  readonly access: readonly Access<Target>[];
  /** False when only pods that say so get a token. */
  readonly automount?: false;
  /** For the log: what is identified, what it may do. */
  readonly notes: { readonly identity: string; readonly role: string; readonly binding: string };
}

/** What makes the identity as it should be. */
export function accessActions<Target>(owner: Owner, target: Target, identity: Identity<Target>): readonly Action[] {
  const { name, notes } = identity;
  const mounts = identity.automount === false ? { automountServiceAccountToken: false } : {};
  const role = { apiGroup: RESOURCES.Role.group, kind: RESOURCES.Role.kind, name };
  const subject = { kind: RESOURCES.ServiceAccount.kind, name, namespace: owner.namespace };
  return [
    apply(ownedObject(owner, RESOURCES.ServiceAccount, name, mounts), notes.identity),
    apply(roleOf(owner, target, identity), notes.role),
    apply(ownedObject(owner, RESOURCES.RoleBinding, name, { roleRef: role, subjects: [subject] }), notes.binding),
  ];
}

/** The rights that the controller needs to make the Role: nobody can grant what he does not hold. */
export function grantsOf(access: readonly Access<never>[]): readonly Grant[] {
  return access.map(({ resource, verbs }) => ({ resource, verbs }));
}

function roleOf<Target>(owner: Owner, target: Target, { name, access }: Identity<Target>): KubeObject {
  const rules = access.map(({ resource, verbs, names }) => ({
    apiGroups: [resource.group],
    resources: [resource.plural],
    resourceNames: names(target),
    verbs,
  }));
  return ownedObject(owner, RESOURCES.Role, name, { rules });
}

/** Verbs that come together. */
export const VERBS = {
  /** To hold a Lease that somebody else made. */
  hold: ["get", "update", "patch"],
  follow: ["get", "list", "watch"],
} as const satisfies Record<string, readonly string[]>;

/** The kinds of which an identity is made, for watches and deletions. */
export const ACCESS_KINDS: readonly ResourceType[] = [RESOURCES.RoleBinding, RESOURCES.Role, RESOURCES.ServiceAccount];

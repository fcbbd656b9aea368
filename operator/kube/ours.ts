import { LABELS } from "../../crds/group.ts";
import { OperatorError } from "../../lib/core/errors.ts";
import type { KubeObject, OwnerReference } from "../../lib/kube/types.ts";

/*
 * Whose an object is. Ours are those that carry our labels of the resource, or an owner reference to it: whoever takes off
 * one of the two has not made it somebody else's. With neither, it is a stranger's, whatever its name.
 */

/** Watches see only what carries our labels, so the end of a name conflict is found by looking again. */
const CONFLICT_RETRY_SECONDS = 60;

/** True for an object that belongs to `owner`. */
export function isOurs(owner: KubeObject, live: KubeObject): boolean {
  return (
    isLabelled(owner, live) || live.metadata.ownerReferences?.some(({ uid }) => uid === owner.metadata.uid) === true
  );
}

/** True for an object that the watches of its resource see. */
export function isLabelled(owner: KubeObject, { metadata: { labels } }: KubeObject): boolean {
  return labels?.[LABELS.kind] === owner.kind && labels[LABELS.name] === owner.metadata.name;
}

/**
 * The owner references of an object without those to earlier resources of the owner's kind and name, whose uids a restore
 * brings back: the garbage collector would take the object away for them, and no other controller could be named.
 * @returns `undefined` where there is none
 */
export function withoutEarlierOwners(
  owner: KubeObject,
  { metadata }: KubeObject,
): readonly OwnerReference[] | undefined {
  const { ownerReferences = [] } = metadata;
  const left = ownerReferences.filter((reference) => !isEarlier(owner, reference));
  return left.length === ownerReferences.length ? undefined : left;
}

function isEarlier(owner: KubeObject, { apiVersion, kind, name, uid }: OwnerReference): boolean {
  const isNamesake =
    kind === owner.kind && name === owner.metadata.name && groupOf(apiVersion) === groupOf(owner.apiVersion);
  return isNamesake && uid !== owner.metadata.uid;
}

function groupOf(apiVersion: string): string {
  return apiVersion.split("/")[0] ?? "";
}

/** The refusal to touch a stranger's object. */
export function nameConflict(owner: KubeObject, live: KubeObject): OperatorError {
  const labels = live.metadata.labels ?? {};
  const holder = labels[LABELS.kind] === undefined ? "" : ` of ${labels[LABELS.kind]} ${labels[LABELS.name] ?? ""}`;
  return new OperatorError(
    "NAME_CONFLICT",
    `${live.kind} "${live.metadata.name}" exists and is not ours: it lacks the labels ${LABELS.kind}=${owner.kind}, ${LABELS.name}=${owner.metadata.name}${holder === "" ? "" : ` (it is${holder})`}; delete or rename it, or set these labels to hand it over`,
    { details: { kind: live.kind, name: live.metadata.name }, retryAfterSeconds: CONFLICT_RETRY_SECONDS },
  );
}

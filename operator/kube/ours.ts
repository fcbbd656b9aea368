import { FIELD_MANAGER, GROUP, LABELS } from "../../crds/group.ts";
import { OperatorError } from "../../lib/core/errors.ts";
import type { KubeObject, OwnerReference } from "../../lib/kube/types.ts";

/*
 * Whose an object is. Ours are those that carry our labels of the resource, or an owner reference to it: whoever takes off
 * one of the two has not made it somebody else's. What outlives its resource has no owner reference; where a label of it is
 * missing, it is still ours when this program has written it, another label of ours is left, and none says otherwise. With
 * nothing of that, it is a stranger's, whatever its name.
 */

/** Watches see only what carries our labels, so the end of a name conflict is found by looking again. */
const CONFLICT_RETRY_SECONDS = 60;

/** True for an object that belongs to `owner`. */
export function isOurs(owner: KubeObject, live: KubeObject): boolean {
  return (
    isLabelled(owner, live) || live.metadata.ownerReferences?.some(({ uid }) => uid === owner.metadata.uid) === true
  );
}

interface ManagedFields {
  readonly manager?: string;
}

/** True for an object that this program has written. @param live as the server sends it, with its managed fields */
export function isOfOurMaking({ metadata }: KubeObject): boolean {
  const managed = (metadata["managedFields"] ?? []) as readonly ManagedFields[];
  return managed.some(({ manager }) => manager === FIELD_MANAGER);
}

/** True for an object that still has a label of ours, and none that says otherwise. @param wanted as we would write it */
export function isStripped(live: KubeObject, wanted: KubeObject): boolean {
  const ours = Object.entries(wanted.metadata.labels ?? {}).filter(([label]) => label.startsWith(`${GROUP}/`));
  const left = ours.filter(([label]) => live.metadata.labels?.[label] !== undefined);
  return left.length > 0 && left.every(([label, value]) => live.metadata.labels?.[label] === value);
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
  const { kind, metadata } = live;
  const { name, namespace = "", labels = {} } = metadata;
  const [holderKind, holderName] = [labels[LABELS.kind], labels[LABELS.name]];
  const isHeld = holderKind !== undefined && holderName !== undefined;
  const whose = isHeld ? ` (it is of ${holderKind} ${holderName})` : "";
  const wanted = [`${LABELS.kind}=${owner.kind}`, `${LABELS.name}=${owner.metadata.name}`];
  const command = `kubectl label --overwrite ${kind.toLowerCase()} ${name} -n ${namespace} ${wanted.join(" ")}`;
  return new OperatorError(
    "NAME_CONFLICT",
    `${kind} "${name}" exists and is not ours: it lacks the labels ${wanted.join(", ")}${whose}; if it was ours, or to hand it over: ${command}; if it is somebody else's, delete or rename it`,
    { details: { kind, name }, retryAfterSeconds: CONFLICT_RETRY_SECONDS },
  );
}

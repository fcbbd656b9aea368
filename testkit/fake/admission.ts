import { isDeepStrictEqual } from "node:util";
import type { KubeObject } from "../../lib/kube/types.ts";
import { conflict, invalid, MODIFIED, objectOf } from "./refusals.ts";
import { isBuiltIn } from "./requests.ts";
import type { StoreKey, WriteHow } from "./store-types.ts";

// What the server makes of an object that a client sends: whom it believes in what.

/** Kinds whose objects have no `metadata.generation`. */
const WITHOUT_GENERATION = new Set([
  "/configmaps",
  "/namespaces",
  "/persistentvolumeclaims",
  "/secrets",
  "/serviceaccounts",
  "/services",
  "coordination.k8s.io/leases",
  "events.k8s.io/events",
  "rbac.authorization.k8s.io/rolebindings",
  "rbac.authorization.k8s.io/roles",
]);

const WITHOUT_STATUS = new Set([
  "/configmaps",
  "/secrets",
  "/serviceaccounts",
  "coordination.k8s.io/leases",
  "events.k8s.io/events",
  "networking.k8s.io/networkpolicies",
  "rbac.authorization.k8s.io/rolebindings",
  "rbac.authorization.k8s.io/roles",
]);

/** Built-in kinds that are replaced at a known version only; custom kinds are, too. */
const VERSIONED = new Set(["coordination.k8s.io/leases", "policy/poddisruptionbudgets"]);

const NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
/** RBAC names may hold what a path can. */
const LOOSE_NAMES = /^rbac\.authorization\.k8s\.io\//;

export function hasStatus(collection: string): boolean {
  return !WITHOUT_STATUS.has(collection);
}

export function hasGeneration(collection: string): boolean {
  return !WITHOUT_GENERATION.has(collection);
}

/** @throws StatusError 422 for a name that no object can have */
export function assertName(key: StoreKey, kind: string): void {
  if (key.name === "") {
    throw invalid(objectOf(key, kind), "metadata.name", {
      reason: "Required",
      message: "Required value: name or generateName is required",
    });
  }
  if (NAME.test(key.name) || LOOSE_NAMES.test(key.collection)) return;
  const message = `Invalid value: "${key.name}": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character`;
  throw invalid(objectOf(key, kind), "metadata.name", { reason: "Invalid", message });
}

/** A new object as it is stored: identity by the server, no status. */
export function admitNew(
  key: StoreKey,
  object: KubeObject,
  made: { readonly uid: string; readonly time: string },
): KubeObject {
  const { managedFields: _managedFields, deletionTimestamp: _deletionTimestamp, ...metadata } = object.metadata;
  const next: KubeObject = {
    ...object,
    metadata: {
      ...metadata,
      name: key.name,
      ...(key.namespace === "" ? {} : { namespace: key.namespace }),
      uid: made.uid,
      creationTimestamp: made.time,
      ...(hasGeneration(key.collection) ? { generation: 1 } : {}),
    },
  };
  delete next.metadata.resourceVersion;
  if (hasStatus(key.collection)) delete next["status"];
  assertOneController(key, next);
  return next;
}

/** An object as somebody says that it is: the server fills in what is left out, and counts generations. */
export function admitGiven(
  key: StoreKey,
  { before, given }: { readonly before: KubeObject | undefined; readonly given: KubeObject },
  made: { readonly uid: string; readonly time: string },
): KubeObject {
  const { managedFields: _bulk, resourceVersion: _version, generation: _generation, ...metadata } = given.metadata;
  const isNewSpec = before === undefined || !isDeepStrictEqual(specOf(before), specOf(given));
  return {
    ...given,
    metadata: {
      ...metadata,
      name: key.name,
      ...(key.namespace === "" ? {} : { namespace: key.namespace }),
      uid: before?.metadata.uid ?? metadata.uid ?? made.uid,
      creationTimestamp: metadata.creationTimestamp ?? before?.metadata.creationTimestamp ?? made.time,
      ...(hasGeneration(key.collection)
        ? { generation: (before?.metadata.generation ?? 0) + (isNewSpec ? 1 : 0) }
        : {}),
      ...(before?.metadata.resourceVersion === undefined ? {} : { resourceVersion: before.metadata.resourceVersion }),
    },
  };
}

/**
 * What an update through this (sub)resource may make of `before`.
 * @throws StatusError 409 for another version or uid, 422 for what may not change
 */
export function admitUpdate(
  key: StoreKey,
  { before, wanted }: { readonly before: KubeObject; readonly wanted: KubeObject },
  how: Pick<WriteHow, "subresource"> & { readonly isReplace: boolean },
): KubeObject {
  assertSame(key, { before, wanted }, how.isReplace);
  const { uid, resourceVersion, generation, creationTimestamp, deletionTimestamp, deletionGracePeriodSeconds } =
    before.metadata;
  const fixed = { uid, resourceVersion, generation, creationTimestamp, deletionTimestamp, deletionGracePeriodSeconds };
  if (how.subresource === "status") {
    const { status } = wanted;
    const { status: _old, ...rest } = before;
    return status === undefined ? rest : { ...before, status };
  }
  const metadata = withoutUndefined({ ...wanted.metadata, ...fixed }) as KubeObject["metadata"];
  delete metadata["managedFields"];
  const next: KubeObject = { ...wanted, metadata };
  if (hasStatus(key.collection)) {
    if (before["status"] === undefined) delete next["status"];
    else next["status"] = before["status"];
  }
  assertFinalizers(key, before, next);
  assertOneController(key, next);
  if (hasGeneration(key.collection) && !isDeepStrictEqual(specOf(before), specOf(next))) {
    next.metadata.generation = (generation ?? 0) + 1;
  }
  return next;
}

function assertSame(
  key: StoreKey,
  { before, wanted }: { readonly before: KubeObject; readonly wanted: KubeObject },
  isReplace: boolean,
): void {
  const { uid, resourceVersion } = wanted.metadata;
  if (uid !== undefined && uid !== before.metadata.uid) {
    if (isReplace) {
      throw conflict(
        key,
        `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${before.metadata.uid}`,
      );
    }
    throw invalid(objectOf(key, before.kind), "metadata.uid", {
      reason: "Invalid",
      message: `Invalid value: "${uid}": field is immutable`,
    });
  }
  if (resourceVersion !== undefined && resourceVersion !== "") {
    if (resourceVersion !== before.metadata.resourceVersion) throw conflict(key, MODIFIED);
  } else if (isReplace && (VERSIONED.has(key.collection) || !isBuiltIn(key.collection))) {
    throw invalid(objectOf(key, before.kind), "metadata.resourceVersion", {
      reason: "Invalid",
      message: "Invalid value: 0: must be specified for an update",
    });
  }
}

/** An object that is being deleted takes no new finalizers. */
function assertFinalizers(key: StoreKey, before: KubeObject, next: KubeObject): void {
  if (before.metadata.deletionTimestamp === undefined) return;
  const added = (next.metadata.finalizers ?? []).filter((it) => !(before.metadata.finalizers ?? []).includes(it));
  if (added.length === 0) return;
  throw invalid(objectOf(key, before.kind), "metadata.finalizers", {
    reason: "Forbidden",
    message: `Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers ${JSON.stringify(added)}`,
  });
}

/** An object has one controller at most. */
function assertOneController(key: StoreKey, { kind, metadata }: KubeObject): void {
  const [first, second] = (metadata.ownerReferences ?? []).filter(({ controller }) => controller === true);
  if (second === undefined) return;
  throw invalid(objectOf(key, kind), "metadata.ownerReferences", {
    reason: "Invalid",
    message: `Invalid value: Only one reference can have Controller set to true. Found "true" in references for ${first?.kind}/${first?.name} and ${second.kind}/${second.name}`,
  });
}

/** What counts for the generation. */
function specOf({ metadata: _metadata, status: _status, ...body }: KubeObject): object {
  return body;
}

function withoutUndefined(object: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}

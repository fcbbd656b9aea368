import { LABELS } from "../../crds/group.ts";
import type { KubeObject, ResourceType } from "../../lib/kube/types.ts";
import type { IndexFunction } from "../kube/object-index.ts";
import type { Key, KeyMap, Predicate, Watch, WriteVerb } from "./types.ts";

/*
 * From an object to the keys that it concerns. Three ways lead there:
 *
 *   owner   the object names its owner (reference or label)
 *   field   the object names the key in a field of its own
 *   index   the reconciled objects name the object: an index over them tells which
 */

/** The object itself is the key. */
export const ownKey: KeyMap = ({ metadata }) => [{ namespace: metadata.namespace ?? "", name: metadata.name }];

/** The owner of this kind that the object's controller reference names, of whatever version. */
export function ownerKeys(owner: ResourceType): KeyMap {
  return ({ metadata }) =>
    (metadata.ownerReferences ?? [])
      .filter(({ kind, apiVersion, controller }) => {
        const group = apiVersion.includes("/") ? apiVersion.slice(0, apiVersion.indexOf("/")) : "";
        return controller === true && kind === owner.kind && group === owner.group;
      })
      .map(({ name }) => ({ namespace: owner.namespaced ? (metadata.namespace ?? "") : "", name }));
}

/** The name that the object's label holds, in the object's namespace. */
export function labelKeys(label: string): KeyMap {
  return ({ metadata }) => keysNamed(metadata.namespace, metadata.labels?.[label]);
}

/** The name that a field of the object holds, in the object's namespace. */
export function fieldKeys<T extends KubeObject>(read: (object: T) => string | undefined): KeyMap<T> {
  return (object) => keysNamed(object.metadata.namespace, read(object));
}

/**
 * An index over objects by another object that they name in a field, in their namespace; for `indexes` of a controller or
 * of a watch, and for `referringKeys`.
 */
export function references<T extends KubeObject>(read: (object: T) => string | undefined): IndexFunction<T> {
  return (object) => {
    const name = read(object);
    return name === undefined ? [] : [referenceTo(object.metadata.namespace, name)];
  };
}

/**
 * Objects of the reconciled kind that name the changed one, by an index of `references`: none of the others is looked at.
 * @param nameOf the name to look for; that of the changed object unless told
 */
export function referringKeys<T extends KubeObject = KubeObject>(
  type: ResourceType,
  index: string,
  nameOf: (object: T) => string | undefined = ({ metadata }) => metadata.name,
): KeyMap<T> {
  return (object, cache) => {
    const name = nameOf(object);
    if (name === undefined) return [];
    return cache.byIndex(type, index, referenceTo(object.metadata.namespace, name)).flatMap((it) => ownKey(it, cache));
  };
}

/** How an owned kind is watched. */
export interface OwnedOptions<T extends KubeObject> {
  /** Only objects of this component. */
  readonly component?: string;
  readonly changed?: Predicate<T>;
  /** What the owner does to them; create, patch and delete unless told. */
  readonly writes?: readonly WriteVerb[];
}

/** An owned object is applied and removed. */
const OWNED_WRITES: readonly WriteVerb[] = ["create", "patch", "delete"];

/**
 * Watches of what an owner of this kind makes: objects with our labels for it (`crds/group.ts`). What somebody deletes or
 * changes wakes the owner, so that it comes back.
 */
export function owned(
  owner: ResourceType,
): <T extends KubeObject>(resource: ResourceType<T>, options?: OwnedOptions<T>) => Watch<T> {
  return (resource, options = {}) => {
    const { component, changed, writes = OWNED_WRITES } = options;
    const labelSelector = [
      `${LABELS.kind}=${owner.kind}`,
      ...(component === undefined ? [] : [`${LABELS.component}=${component}`]),
    ].join(",");
    return {
      resource,
      labelSelector,
      keys: labelKeys(LABELS.name),
      writes,
      ...(changed === undefined ? {} : { changed }),
    };
  };
}

function keysNamed(namespace = "", name: string | undefined): readonly Key[] {
  return name === undefined ? [] : [{ namespace, name }];
}

function referenceTo(namespace = "", name: string): string {
  return `${namespace}/${name}`;
}

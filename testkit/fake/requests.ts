import { RESOURCES, type ResourceType } from "../../lib/kube/types.ts";
import { noSuchPath } from "./refusals.ts";

/** A collection as a path names it. */
export interface Collection {
  /** `group/plural`; the core group is empty. */
  readonly id: string;
  readonly apiVersion: string;
  /** All namespaces, or a cluster-scoped kind, when left out. */
  readonly namespace: string | undefined;
}

/** Id of a kind's collection. */
export function collectionOf({ group, plural }: ResourceType): string {
  return `${group}/${plural}`;
}

/** What a path names. */
export interface ParsedPath {
  readonly collection: Collection;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
}

/** `/api/v1/namespaces/ns/pods/name/status` and its shorter forms. */
const PATH =
  /^\/(?:api\/(?<core>[^/]+)|apis\/(?<group>[^/]+)\/(?<version>[^/]+))(?:\/namespaces\/(?<namespace>[^/]+))?\/(?<plural>[^/]+)(?:\/(?<name>[^/]+))?(?:\/(?<subresource>[^/]+))?$/;

/** @throws StatusError 404 for a path of no kind */
export function parsePath(path: string): ParsedPath {
  const parts = PATH.exec(path)?.groups;
  if (parts === undefined) throw noSuchPath();
  const decoded = (part: string | undefined) => (part === undefined ? undefined : decodeURIComponent(part));
  return {
    collection: {
      id: `${parts["group"] ?? ""}/${parts["plural"]}`,
      apiVersion: parts["core"] ?? `${parts["group"]}/${parts["version"]}`,
      namespace: decoded(parts["namespace"]),
    },
    name: decoded(parts["name"]),
    subresource: parts["subresource"],
  };
}

const KINDS = new Map(Object.values(RESOURCES).map(({ group, plural, kind }) => [`${group}/${plural}`, kind]));

/** The kind of a built-in collection's objects; those of custom kinds are known by their objects alone. */
export function builtInKind(collection: string): string | undefined {
  return KINDS.get(collection);
}

export function isBuiltIn(collection: string): boolean {
  return KINDS.has(collection);
}

/** The kind of a collection's objects, where one of them may have been seen. */
export function kindOf({ id }: Pick<Collection, "id">, seen: string | undefined): string {
  return builtInKind(id) ?? seen ?? "Unknown";
}

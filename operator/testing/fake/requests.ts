import { RESOURCES } from "../../../lib/kube/types.ts";
import { StatusError } from "../status-error.ts";

/** A collection as a path names it. */
export interface Collection {
  /** `group/plural`; the core group is empty. */
  readonly id: string;
  readonly apiVersion: string;
  /** All namespaces, or a cluster-scoped kind, when left out. */
  readonly namespace: string | undefined;
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
  if (parts === undefined) {
    throw new StatusError({ status: 404, message: "the server could not find the requested resource", details: {} });
  }
  const text = (part: string | undefined): string | undefined =>
    part === undefined ? undefined : decodeURIComponent(part);
  return {
    collection: {
      id: `${parts["group"] ?? ""}/${parts["plural"]}`,
      apiVersion: parts["core"] ?? `${parts["group"]}/${parts["version"]}`,
      namespace: text(parts["namespace"]),
    },
    name: text(parts["name"]),
    subresource: parts["subresource"],
  };
}

const KINDS = new Map(Object.values(RESOURCES).map(({ group, plural, kind }) => [`${group}/${plural}`, kind]));

/** The kind of a collection's objects; those of custom kinds are known by their objects alone. */
export function kindOf({ id }: Pick<Collection, "id">, seen: string | undefined): string {
  return KINDS.get(id) ?? seen ?? "Unknown";
}

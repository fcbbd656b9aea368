import { isDeepStrictEqual } from "node:util";
import type { KubeObject } from "../../lib/kube/types.ts";
import { KEY_DEFAULTS, mergeTypeOf } from "./list-types.ts";

// Fields of an object as server-side apply sees them. A path is a list of elements in the notation of FieldsV1:
// `f:name` a field, `k:{"name":"a"}` an item of a keyed list, `v:"x"` an item of a set; joined by NUL as a map's key.

/** Paths with the values that stand there. */
export type FieldSet = ReadonlyMap<string, unknown>;

/** Stands for a list's item or an object that has fields of its own: its presence is owned, its contents are not. */
export const PRESENT = Symbol("present");

const SEPARATOR = "\0";

/** Whom no manager owns: identity and the server's bookkeeping. */
const OWNED_METADATA = ["labels", "annotations", "finalizers", "ownerReferences", "generateName"];

/** The collection whose markers count, and whether objects and lists are listed beside what is in them. */
export interface FieldSetOptions {
  readonly collection: string;
  /** As an update owns what it made; an apply owns only leaves and items. */
  readonly containers: boolean;
}

/** All fields that a manager can own. */
export function fieldSetOf(object: Partial<KubeObject>, options: FieldSetOptions): FieldSet {
  const found = new Map<string, unknown>();
  const put = (path: readonly string[], value: unknown): void => void found.set(path.join(SEPARATOR), value);

  const walk = (value: unknown, path: readonly string[], names: string): void => {
    if (value === undefined) return;
    const type = mergeTypeOf(options.collection, names);
    if (type?.type === "atomic" || value === null || typeof value !== "object") return put(path, value);
    if (Array.isArray(value)) {
      if (type === undefined || value.length === 0) return put(path, value);
      if (options.containers) put(path, PRESENT);
      for (const item of value) {
        const at = [...path, itemElement(item, type)];
        if (type.type === "set") put(at, item);
        else if (mergeTypeOf(options.collection, `${names}.*`)?.type === "atomic") put(at, item);
        else {
          put(at, PRESENT);
          members(item as object, at, names);
        }
      }
      return;
    }
    if (Object.keys(value).length === 0) return put(path, value);
    if (options.containers && names !== "metadata") put(path, PRESENT);
    members(value, path, names);
  };
  const members = (value: object, path: readonly string[], names: string): void => {
    for (const [name, member] of Object.entries(value)) {
      walk(member, [...path, `f:${name}`], names === "" ? name : `${names}.${name}`);
    }
  };

  const { apiVersion: _apiVersion, kind: _kind, metadata = {}, ...body } = object;
  const owned = Object.fromEntries(Object.entries(metadata).filter(([name]) => OWNED_METADATA.includes(name)));
  members({ ...body, ...(Object.keys(owned).length === 0 ? {} : { metadata: owned }) }, [], "");
  return found;
}

/** How the item of a keyed list or of a set is named. */
export function itemElement(item: unknown, type: { readonly type: string; readonly keys?: readonly string[] }): string {
  if (type.type === "set") return `v:${JSON.stringify(item)}`;
  const fields = (type.keys ?? [])
    .toSorted()
    .map((key) => [key, (item as Record<string, unknown>)[key] ?? KEY_DEFAULTS[key]] as const)
    .filter(([, value]) => value !== undefined);
  return `k:${JSON.stringify(Object.fromEntries(fields))}`;
}

/** True when a field that is wanted stands there already. An empty object or list wants only that there is one. */
export function isThere(live: FieldSet, path: string, wanted: unknown): boolean {
  if (!live.has(path)) return false;
  const found = live.get(path);
  const isEmpty = wanted !== null && typeof wanted === "object" && Object.keys(wanted).length === 0;
  return (found === PRESENT && (wanted === PRESENT || isEmpty)) || isDeepStrictEqual(found, wanted);
}

/** Paths that were changed or added, and paths that are gone. */
export function compareFields(before: FieldSet, after: FieldSet): { changed: string[]; removed: string[] } {
  return {
    changed: [...after].filter(([path, value]) => !isDeepStrictEqual(before.get(path), value)).map(([path]) => path),
    removed: [...before.keys()].filter((path) => !after.has(path)),
  };
}

/** `.spec.containers[name="a"].image`, as the server writes it. */
export function pathText(path: string): string {
  return elementsOf(path)
    .map((element) => {
      const text = element.slice(2);
      if (element.startsWith("f:")) return `.${text}`;
      if (element.startsWith("v:")) return `[=${text}]`;
      const fields = Object.entries(JSON.parse(text) as Record<string, unknown>);
      return `[${fields.map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(",")}]`;
    })
    .join("");
}

export function elementsOf(path: string): string[] {
  return path.split(SEPARATOR);
}

/** True for a path below another one. */
export function isBelow(path: string, parent: string): boolean {
  return path.startsWith(`${parent}${SEPARATOR}`);
}

/** Paths as `fieldsV1` of a managedFields entry. */
export function fieldsV1Of(paths: Iterable<string>): Record<string, unknown> {
  type Node = { [element: string]: Node };
  const root: Node = {};
  const all = [...paths].toSorted();
  for (const path of all) {
    let node = root;
    for (const element of elementsOf(path)) node = node[element] ??= {};
  }
  // A path that has others below it is a member by itself.
  for (const path of all) {
    const node = elementsOf(path).reduce((at, element) => at[element] as Node, root);
    if (Object.keys(node).length > 0) node["."] = {};
  }
  return root;
}

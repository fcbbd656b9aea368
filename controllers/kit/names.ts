import type { KubeObject } from "../../lib/kube/types.ts";

// Most names of objects follow from the name of their resource alone, and no two resources can have one of them. Where
// two kinds want the same name, one of them has other names besides its usual ones, and what is there decides: a resource never
// changes the names that it has, and takes no name that is taken (docs/adr/0019-names-apart.md).

/** What is in a namespace, as `objectKey` says it. */
export interface There {
  /** Objects of the resource itself. */
  readonly ours: ReadonlySet<string>;
  /** Objects of others. */
  readonly theirs: ReadonlySet<string>;
}

/** The two sets of names of some objects, as `objectKey` says them. */
export interface Variants {
  readonly usual: readonly string[];
  readonly apart: readonly string[];
}

/** What decides where no object does. */
export interface Otherwise {
  /** One of the names, as the status of the resource has it. */
  readonly recorded?: string | undefined;
  /** The usual names are left to others, whether they have them yet or not. */
  readonly yields?: boolean;
}

/** Kind and name of an object: two objects with the same key cannot be in one namespace. */
export function objectKey(kind: string, name: string): string {
  return `${kind} ${name}`;
}

/** Keys of objects. */
export function objectKeys(kind: string, objects: readonly KubeObject[]): readonly string[] {
  return objects.map(({ metadata }) => objectKey(kind, metadata.name));
}

/** True where the names apart are the ones to use. */
export function isApart({ usual, apart }: Variants, there: There, otherwise: Otherwise = {}): boolean {
  const { recorded, yields = false } = otherwise;
  if (usual.some((key) => there.ours.has(key))) return false;
  if (apart.some((key) => there.ours.has(key))) return true;
  if (recorded !== undefined && usual.includes(recorded)) return false;
  if (recorded !== undefined && apart.includes(recorded)) return true;
  return yields || usual.some((key) => there.theirs.has(key));
}

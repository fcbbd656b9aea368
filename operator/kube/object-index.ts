import type { KubeObject } from "../../lib/kube/types.ts";

interface Indexer<T extends KubeObject> {
  keys(object: T): readonly string[];
}

/**
 * Keys under which an object is found. Depends on the object alone, and gives the same keys each time.
 * Taken from a method, because only then TypeScript accepts a `Controller` of one kind where any `Controller` is asked for.
 */
export type IndexFunction<T extends KubeObject = KubeObject> = Indexer<T>["keys"];

/** Objects by the keys of one function. */
export interface ObjectIndex<T extends KubeObject> {
  /** In order of namespace and name. */
  get(key: string): T[];
}

/** An index that somebody fills. */
export interface WritableIndex<T extends KubeObject> extends ObjectIndex<T> {
  /** The members of a lane, in no order, without a copy. */
  lane(key: string): Iterable<T>;
  add(object: T): void;
  /** The very object that was added. */
  remove(object: T): void;
}

/** An empty index. A lane with one member, by far the usual case, is kept as that member, without a Set around it. */
export function createObjectIndex<T extends KubeObject>(keysOf: IndexFunction<T>): WritableIndex<T> {
  const lanes = new Map<string, T | Set<T>>();

  const lane = (key: string): Iterable<T> => {
    const members = lanes.get(key);
    if (members === undefined) return [];
    return members instanceof Set ? members : [members];
  };

  return {
    lane,
    get: (key) => [...lane(key)].sort(byName),
    add: (object) => {
      for (const key of keysOf(object)) {
        const members = lanes.get(key);
        if (members === undefined) lanes.set(key, object);
        else if (members instanceof Set) members.add(object);
        else if (members !== object) lanes.set(key, new Set([members, object]));
      }
    },
    remove: (object) => {
      for (const key of keysOf(object)) {
        const members = lanes.get(key);
        if (members === object) {
          lanes.delete(key);
        } else if (members instanceof Set) {
          members.delete(object);
          const [last] = members;
          if (members.size === 1 && last !== undefined) lanes.set(key, last);
        }
      }
    },
  };
}

/** Order of namespace and name. */
export function byName(a: KubeObject, b: KubeObject): number {
  const { namespace: inA = "", name: nameA } = a.metadata;
  const { namespace: inB = "", name: nameB } = b.metadata;
  if (inA !== inB) return inA < inB ? -1 : 1;
  return nameA < nameB ? -1 : nameA === nameB ? 0 : 1;
}

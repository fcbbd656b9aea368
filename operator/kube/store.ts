import { LABELS } from "../../crds/group.ts";
import type { KubeObject } from "../../lib/kube/types.ts";
import { byName, createObjectIndex, type IndexFunction, type ObjectIndex, type WritableIndex } from "./object-index.ts";

/** Labels by which controllers list; a query with one of them never scans the namespace. */
const INDEXED_LABELS: readonly string[] = [LABELS.name, LABELS.shardSet];

/** Objects of one informer by namespace and name, and by what was declared or asked for. */
export interface ObjectStore<T extends KubeObject> {
  get(namespace: string, name: string): T | undefined;
  /** Objects of a namespace that carry all `labels`, in name order. */
  list(namespace: string, labels?: Readonly<Record<string, string>>): T[];
  /** An index over what is here and what comes. The same function twice is one index. */
  index(keysOf: IndexFunction<T>): ObjectIndex<T>;
  put(object: T): void;
  remove(namespace: string, name: string): void;
  /** All objects, or those of a namespace, in no particular order. */
  all(namespace?: string): IterableIterator<T>;
  size(): number;
}

/** An empty store. It neither copies nor freezes. */
export function createStore<T extends KubeObject>(): ObjectStore<T> {
  const namespaces = new Map<string, Map<string, T>>();
  const indexes = new Map<IndexFunction<T>, WritableIndex<T>>();
  /** By label, made with the first query for it: a label that nobody asks for costs nothing. */
  const labelIndexes = new Map<string, WritableIndex<T>>();
  let size = 0;

  const every = function* (): IterableIterator<T> {
    for (const objects of namespaces.values()) yield* objects.values();
  };

  const indexBy = (keysOf: IndexFunction<T>): WritableIndex<T> => {
    const known = indexes.get(keysOf);
    if (known !== undefined) return known;
    const index = createObjectIndex(keysOf);
    for (const object of every()) index.add(object);
    indexes.set(keysOf, index);
    return index;
  };

  const laneOf = (namespace: string, value: string): string => `${namespace}\0${value}`;
  const labelIndex = (label: string): WritableIndex<T> => {
    let index = labelIndexes.get(label);
    if (index === undefined) {
      index = indexBy(({ metadata }) => {
        const value = metadata.labels?.[label];
        return value === undefined ? [] : [laneOf(metadata.namespace ?? "", value)];
      });
      labelIndexes.set(label, index);
    }
    return index;
  };

  const candidates = (namespace: string, labels: Readonly<Record<string, string>>): Iterable<T> => {
    const label = INDEXED_LABELS.find((indexed) => labels[indexed] !== undefined);
    if (label === undefined) return namespaces.get(namespace)?.values() ?? [];
    return labelIndex(label).lane(laneOf(namespace, labels[label] ?? ""));
  };

  return {
    get: (namespace, name) => namespaces.get(namespace)?.get(name),
    list: (namespace, labels = {}) => {
      const wanted = Object.entries(labels);
      const found: T[] = [];
      for (const object of candidates(namespace, labels)) {
        if (wanted.every(([label, value]) => object.metadata.labels?.[label] === value)) found.push(object);
      }
      return found.sort(byName);
    },
    index: indexBy,
    put: (object) => {
      const { namespace = "", name } = object.metadata;
      let objects = namespaces.get(namespace);
      if (objects === undefined) namespaces.set(namespace, (objects = new Map<string, T>()));
      const before = objects.get(name);
      if (before === undefined) size += 1;
      objects.set(name, object);
      for (const index of indexes.values()) {
        if (before !== undefined) index.remove(before);
        index.add(object);
      }
    },
    remove: (namespace, name) => {
      const objects = namespaces.get(namespace);
      const before = objects?.get(name);
      if (objects === undefined || before === undefined) return;
      objects.delete(name);
      if (objects.size === 0) namespaces.delete(namespace);
      for (const index of indexes.values()) index.remove(before);
      size -= 1;
    },
    all: (namespace) => (namespace === undefined ? every() : (namespaces.get(namespace)?.values() ?? [].values())),
    size: () => size,
  };
}

import { LABELS } from "../../crds/group.ts";
import type { KubeObject } from "../../lib/kube/types.ts";

/** Labels by which controllers list; a query with one of them never scans the namespace. */
const INDEXED_LABELS: readonly string[] = [LABELS.name, LABELS.shardSet];

/** Objects of one informer by namespace and name, with an index over the labels that controllers ask for. */
export interface ObjectStore<T extends KubeObject> {
  get(namespace: string, name: string): T | undefined;
  /** Objects of a namespace that carry all `labels`, in name order. */
  list(namespace: string, labels?: Readonly<Record<string, string>>): T[];
  put(object: T): void;
  remove(namespace: string, name: string): void;
  /** All objects, or those of a namespace, in no particular order. */
  all(namespace?: string): IterableIterator<T>;
  size(): number;
}

/** An empty store. It neither copies nor freezes. */
export function createStore<T extends KubeObject>(): ObjectStore<T> {
  const namespaces = new Map<string, Map<string, T>>();
  const index = new Map<string, Map<string, T>>();
  let size = 0;

  const laneOf = (namespace: string, label: string, value: string): string => `${namespace}\0${label}\0${value}`;
  const lanesOf = (object: T): string[] =>
    INDEXED_LABELS.flatMap((label) => {
      const value = object.metadata.labels?.[label];
      return value === undefined ? [] : [laneOf(object.metadata.namespace ?? "", label, value)];
    });
  const unindex = (object: T): void => {
    for (const lane of lanesOf(object)) {
      const members = index.get(lane);
      members?.delete(object.metadata.name);
      if (members?.size === 0) index.delete(lane);
    }
  };

  const candidates = (namespace: string, labels: Readonly<Record<string, string>>): Map<string, T> | undefined => {
    const label = INDEXED_LABELS.find((indexed) => labels[indexed] !== undefined);
    return label === undefined ? namespaces.get(namespace) : index.get(laneOf(namespace, label, labels[label] ?? ""));
  };

  return {
    get: (namespace, name) => namespaces.get(namespace)?.get(name),
    list: (namespace, labels = {}) => {
      const wanted = Object.entries(labels);
      const found: T[] = [];
      for (const object of candidates(namespace, labels)?.values() ?? []) {
        if (wanted.every(([label, value]) => object.metadata.labels?.[label] === value)) found.push(object);
      }
      return found.sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
    },
    put: (object) => {
      const { namespace = "", name } = object.metadata;
      let objects = namespaces.get(namespace);
      if (objects === undefined) namespaces.set(namespace, (objects = new Map<string, T>()));
      const before = objects.get(name);
      if (before === undefined) size += 1;
      else unindex(before);
      objects.set(name, object);
      for (const lane of lanesOf(object)) {
        let members = index.get(lane);
        if (members === undefined) index.set(lane, (members = new Map<string, T>()));
        members.set(name, object);
      }
    },
    remove: (namespace, name) => {
      const objects = namespaces.get(namespace);
      const before = objects?.get(name);
      if (objects === undefined || before === undefined) return;
      objects.delete(name);
      if (objects.size === 0) namespaces.delete(namespace);
      unindex(before);
      size -= 1;
    },
    *all(namespace) {
      if (namespace !== undefined) {
        yield* namespaces.get(namespace)?.values() ?? [];
        return;
      }
      for (const objects of namespaces.values()) yield* objects.values();
    },
    size: () => size,
  };
}

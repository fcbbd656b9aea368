import type { KubeObject } from "../../lib/kube/types.ts";
import { compareVersions } from "../../lib/kube/versions.ts";
import type { Informer } from "./informer.ts";
import { byName } from "./object-index.ts";

/*
 * What several informers of one kind know, as one answer. Two selectors may select the same object, and each informer hears
 * of it through a watch of its own, in its own time. Whoever asks gets the newest version that any of them holds, and
 * nothing when one of them knows that the object is gone:
 *
 *   newest   the higher resource version; after a restore of the server, what an informer holds that has seen it
 *   gone     the server confirmed a deletion of ours, or an informer of all objects was told of an end
 *
 * An informer with a selector does not know an end: the server tells it the same when the object only lost a label. Until
 * the other one is told as well, the object is shown as it was last selected, as any news that is on its way.
 */

/** One answer from many informers of a kind. */
export interface OneAnswer<T extends KubeObject> {
  get(namespace: string, name: string): T | undefined;
  /** Those of the candidates that are the answer about their object; in order of namespace and name. */
  current(candidates: Iterable<T>): T[];
}

/** @param informers of one kind, the preferred one of two equals first; may grow */
export function createOneAnswer<T extends KubeObject>(informers: readonly Informer<T>[]): OneAnswer<T> {
  const get = (namespace: string, name: string): T | undefined => {
    let newest: T | undefined;
    let epoch = 0;
    for (const informer of informers) {
      const held = informer.store.get(namespace, name);
      if (held === undefined) continue;
      const itsEpoch = informer.rewinds(namespace);
      if (newest === undefined || itsEpoch > epoch || (itsEpoch === epoch && isNewer(held, newest))) {
        newest = held;
        epoch = itsEpoch;
      }
    }
    if (newest === undefined) return undefined;
    const object = newest;
    const isGone = informers.some((informer) => informer.rewinds(namespace) >= epoch && informer.knowsEnd(object));
    return isGone ? undefined : object;
  };
  return {
    get,
    current: (candidates) =>
      [...new Set(candidates)]
        .filter((object) => get(object.metadata.namespace ?? "", object.metadata.name) === object)
        .sort(byName),
  };
}

function isNewer(a: KubeObject, b: KubeObject): boolean {
  return (compareVersions(a.metadata.resourceVersion, b.metadata.resourceVersion) ?? 0) > 0;
}

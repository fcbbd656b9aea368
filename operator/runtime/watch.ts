import type { KubeObject } from "../../lib/kube/types.ts";
import type { CacheView } from "../kube/cache.ts";
import type { ObjectChange } from "../kube/informer.ts";
import { ownKey } from "./mapping.ts";
import { inputChanged } from "./predicates.ts";
import type { Queue } from "./queue.ts";
import { type Controller, type Key, PRIORITIES, type Predicate, type Watch } from "./types.ts";

export interface WatchConnection {
  readonly view: CacheView;
  readonly queue: Pick<Queue, "add">;
  /** A map or a predicate threw: a broken invariant of ours, or an object that nobody expected. */
  readonly onPanic: (resource: string, error: unknown) => void;
}

/**
 * Connects what a controller watches with its queue: objects of its kind are their own keys, others lead to keys by the
 * watch's map. A change asks both sides, so that an object that moves from one owner to another wakes both.
 */
export function connectWatches(controller: Controller, connection: WatchConnection): void {
  const { view, queue } = connection;
  const own: Watch = {
    resource: controller.resource,
    keys: ownKey,
    ...(controller.changed === undefined ? {} : { changed: controller.changed }),
    ...(controller.indexes === undefined ? {} : { indexes: controller.indexes }),
  };
  for (const watch of [own, ...controller.watches]) {
    const { kind, namespaced } = watch.resource;
    if (watch !== own && !namespaced && watch.optional !== true)
      throw new Error(`${controller.name} watches ${kind}, which lies in no namespace: such a watch is optional`);
    // One object that a function cannot read must stop neither the informer nor the keys of the other side.
    const isolated = <T>(ask: () => T, otherwise: T): T => {
      try {
        return ask();
      } catch (error) {
        connection.onPanic(watch.resource.kind, error);
        return otherwise;
      }
    };
    const keysOf = ({ before, after }: ObjectChange<KubeObject>): Key[] => {
      // When the predicate throws, the change counts.
      if (before !== undefined && after !== undefined && !isolated(() => hasChanged(watch, before, after), true))
        return [];
      const keys = [before, after].flatMap((object) =>
        object === undefined ? [] : isolated<readonly Key[]>(() => watch.keys(object, view), []),
      );
      // Both sides usually name the same key, and an idle worker takes the first add at once: the second would be a run of
      // its own.
      return [...new Map(keys.map((key) => [`${key.namespace}/${key.name}`, key])).values()];
    };
    view.include(
      {
        type: watch.resource,
        ...(watch.labelSelector === undefined ? {} : { labelSelector: watch.labelSelector }),
        ...(watch.transform === undefined ? {} : { transform: watch.transform }),
        indexes: watch.indexes,
        optional: watch.optional,
      },
      (change) => {
        const priority = change.initial ? PRIORITIES.start : PRIORITIES.live;
        const how = watch === own && isNewInput(change) ? { priority, isNewInput: true } : { priority };
        for (const key of keysOf(change)) queue.add(key, how);
      },
      // What a key says of a kind that is not there may concern no object at all.
      () => {
        for (const object of view.all(controller.resource))
          for (const key of ownKey(object, view)) queue.add(key, { priority: PRIORITIES.resync });
      },
    );
  }
}

/** Of the reconciled object itself: its beginning, its end, or an edit of what it asks for. */
function isNewInput({ before, after, initial }: ObjectChange<KubeObject>): boolean {
  if (before === undefined || after === undefined) return !initial;
  return before.metadata.uid !== after.metadata.uid || inputChanged(before, after);
}

function hasChanged({ changed }: { readonly changed?: Predicate }, before: KubeObject, after: KubeObject): boolean {
  // A list shows an object that was deleted and made anew as one update, and both may have generation 1.
  if (before.metadata.uid !== after.metadata.uid) return true;
  return changed === undefined || changed(before, after);
}

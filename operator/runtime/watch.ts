import type { KubeObject } from "../../lib/kube/types.ts";
import type { CacheView } from "../kube/cache.ts";
import type { ObjectChange } from "../kube/informer.ts";
import { PRIORITY_BACKGROUND, PRIORITY_LIVE, type Queue } from "./queue.ts";
import type { Controller, Key, Watch } from "./types.ts";

/**
 * Connects what a controller watches with its queue: objects of its kind are their own keys, others lead to keys by the
 * watch's map. A change asks both sides, so that an object that moves from one owner to another wakes both.
 */
export function connectWatches(controller: Controller, view: CacheView, queue: Pick<Queue, "add">): void {
  const own: Watch = { resource: controller.resource, keys: keyOf };
  for (const watch of [own, ...controller.watches]) {
    view.include(
      {
        type: watch.resource,
        ...(watch.labelSelector === undefined ? {} : { labelSelector: watch.labelSelector }),
        ...(watch.transform === undefined ? {} : { transform: watch.transform }),
      },
      (change) => {
        for (const key of keysOf(change, watch, view)) {
          queue.add(key, { priority: change.initial ? PRIORITY_BACKGROUND : PRIORITY_LIVE });
        }
      },
    );
  }
}

/**
 * All keys that a change concerns, each once: both sides of an update usually name the same one, and an idle worker takes
 * the first add at once, so that the second would be a run of its own.
 */
function keysOf(change: ObjectChange<KubeObject>, watch: Watch, view: CacheView): Key[] {
  const { before, after } = change;
  if (before !== undefined && after !== undefined && watch.changed !== undefined && !watch.changed(before, after)) {
    return [];
  }
  const keys = [before, after].flatMap((object) => (object === undefined ? [] : watch.keys(object, view)));
  return [...new Map(keys.map((key) => [`${key.namespace}/${key.name}`, key])).values()];
}

function keyOf({ metadata }: KubeObject): readonly Key[] {
  return [{ namespace: metadata.namespace ?? "", name: metadata.name }];
}

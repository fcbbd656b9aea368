import { LABELS } from "../../crds/group.ts";
import { systemClock } from "../../lib/core/clock.ts";
import type { KubeClient } from "../../lib/kube/client.ts";
import type { Selection } from "../../lib/kube/object-client.ts";
import { type KubeObject, RESOURCES, type ResourceType } from "../../lib/kube/types.ts";
import { WIDGET } from "../../testkit/widget.ts";

/** What watches of our own see. */
export interface Observer {
  /** Revision at which the object of a uid was deleted, as far as a watch saw it. */
  deletions(): ReadonlyMap<string, number>;
  /** When a child first showed each text, monotonic milliseconds. */
  shownAt(): ReadonlyMap<string, number>;
  stop(): Promise<void>;
}

const CHILDREN = { namespace: "default", labelSelector: `${LABELS.kind}=Widget` };
/** Between two attempts while the API server is away. */
const RETRY_MS = 200;
const LIST = { timeoutMs: 3_000, retries: 0 };

/** Follows widgets and their children past the proxies, as simply as possible; gaps while the API server is away stay gaps. */
export function startObserver(client: KubeClient): Observer {
  const deletions = new Map<string, number>();
  const shownAt = new Map<string, number>();
  const stopping = new AbortController();
  const { signal } = stopping;
  const see = (object: KubeObject): void => {
    const text = (object["data"] as Record<string, string> | undefined)?.["text"];
    if (text !== undefined && !shownAt.has(text)) shownAt.set(text, systemClock.monotonic());
  };
  const follow = async (type: ResourceType, selection: Selection): Promise<void> => {
    const { items, resourceVersion } = await client.list(type, { ...selection, ...LIST, signal });
    items.forEach(see);
    for await (const event of client.watch(type, { ...selection, resourceVersion, signal })) {
      const { uid = "", resourceVersion: version } = event.object.metadata;
      if (event.type === "DELETED") deletions.set(uid, Number(version));
      else if (event.type !== "BOOKMARK") see(event.object);
    }
  };
  const run = async (type: ResourceType, selection: Selection): Promise<void> => {
    while (!signal.aborted) {
      // Whatever broke it, the next list tells where things stand.
      await follow(type, selection).catch(() => undefined);
      await systemClock.sleep(RETRY_MS, signal);
    }
  };
  const running = [run(RESOURCES.ConfigMap, CHILDREN), run(WIDGET, { namespace: "default" })];
  return {
    deletions: () => deletions,
    shownAt: () => shownAt,
    stop: async () => {
      stopping.abort();
      await Promise.all(running);
    },
  };
}

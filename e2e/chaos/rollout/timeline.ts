import { setTimeout as wait } from "node:timers/promises";
import { ROLLOUT } from "../../../crds/rollout.ts";
import type { KubeClient } from "../../../lib/kube/client.ts";
import { type KubeObject, RESOURCES, type ResourceType } from "../../../lib/kube/types.ts";
import { APP } from "../../release.ts";
import { rolloutSight, routeSight, type Sight } from "./sights.ts";

/** Follows a Rollout and its route from beginning to end. */
export interface Timeline {
  /** All that was seen so far, in the server's order. */
  sights(): readonly Sight[];
  /** Number of sights so far: from there on what comes is new. */
  mark(): number;
  /**
   * The first sight from a mark on of which `match` says something; it is told at the very event, without a look at the clock.
   * @throws when none came in time
   */
  until<T>(what: string, how: Waiting<T>): Promise<T>;
  /** @throws when the objects could not be followed */
  stop(): Promise<void>;
}

export interface Waiting<T> {
  readonly from: number;
  readonly timeoutMs: number;
  readonly match: (sight: Sight) => T | undefined | false;
}

type Listener = (sight: Sight) => void;

/** Follows the Rollout of a namespace and its route, by watches: no version of either is missed. */
export async function followRelease(client: KubeClient, namespace: string): Promise<Timeline> {
  // In the order in which they came: two watches are two streams, and a listener wants each sight at once.
  const came: Sight[] = [];
  const listeners = new Set<Listener>();
  const stopping = new AbortController();
  const see = (sight: Sight): void => {
    came.push(sight);
    for (const listener of listeners) listener(sight);
  };
  const follow = async <T extends KubeObject>(
    type: ResourceType<T>,
    sightOf: (object: T, at: number, isGone: boolean) => Sight,
  ): Promise<() => Promise<void>> => {
    const selection = { namespace, fieldSelector: `metadata.name=${APP}`, signal: stopping.signal };
    const { items, resourceVersion } = await client.list(type, selection);
    for (const item of items) see(sightOf(item, Date.now(), false));
    return async () => {
      let last = resourceVersion;
      while (!stopping.signal.aborted) {
        for await (const event of client.watch(type, { ...selection, resourceVersion: last })) {
          last = event.object.metadata.resourceVersion ?? last;
          if (event.type !== "BOOKMARK") see(sightOf(event.object, Date.now(), event.type === "DELETED"));
        }
      }
    };
  };
  const streams = [await follow(ROLLOUT, rolloutSight), await follow(RESOURCES.HTTPRoute, routeSight)];
  const running = Promise.allSettled(streams.map((stream) => stream()));

  return {
    sights: () => [...came].sort((a, b) => a.revision - b.revision),
    mark: () => came.length,
    until: <T>(what: string, { from, timeoutMs, match }: Waiting<T>) => {
      for (const sight of came.slice(from)) {
        const found = match(sight);
        if (found !== undefined && found !== false) return Promise.resolve(found);
      }
      const given = new AbortController();
      let listener: Listener | undefined;
      const found = new Promise<T>((resolve) => {
        listener = (sight) => {
          const matched = match(sight);
          if (matched !== undefined && matched !== false) resolve(matched);
        };
        listeners.add(listener);
      });
      const late = wait(timeoutMs, undefined, { signal: given.signal }).then(() => {
        throw new Error(`waited ${String(timeoutMs / 1_000)} s in vain for ${what}`);
      });
      return Promise.race([found, late]).finally(() => {
        given.abort();
        if (listener !== undefined) listeners.delete(listener);
      });
    },
    stop: async () => {
      stopping.abort();
      const broken = (await running).find(({ status }) => status === "rejected");
      if (broken?.status === "rejected" && !isAborted(broken.reason)) {
        throw new Error(`the release in ${namespace} could not be followed`, { cause: broken.reason });
      }
    },
  };
}

function isAborted(reason: unknown): boolean {
  return reason instanceof Error && "code" in reason && reason.code === "ABORTED";
}

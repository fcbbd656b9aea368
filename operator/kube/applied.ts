import { contentHash } from "../../lib/core/canonical.ts";
import type { Clock } from "../../lib/core/clock.ts";
import type { KubeObject, ResourceType } from "../../lib/kube/types.ts";
import type { CacheView } from "./cache.ts";
import { covers, project } from "./projection.ts";

export interface AppliedMemoryOptions {
  readonly view: Pick<CacheView, "get">;
  /** Kinds that the view holds. */
  readonly isWatched: (type: ResourceType) => boolean;
  readonly clock: Clock;
}

/** What we asked for, by its hash. */
export interface Wanted {
  readonly object: KubeObject;
  readonly hash: string;
}

/**
 * What our applies left behind where the server writes a field in another form than we do, to tell when somebody else
 * changed it.
 */
export interface AppliedMemory {
  /** Takes in the answer to an apply. */
  remember(type: ResourceType, answer: KubeObject, wanted: Wanted): void;
  /** True when the fields that `wanted` names are as an apply of this very object left them. */
  isAsLeft(live: KubeObject, wanted: Wanted): boolean;
}

interface Applied {
  readonly type: ResourceType;
  readonly namespace: string;
  readonly name: string;
  readonly desiredHash: string;
  /** Hash of the named fields of the answer: 10,000 of them as text would be megabytes. */
  readonly projectionHash: string;
  /** Until this version, nothing needs to be compared. */
  resourceVersion: string | undefined;
  /** When somebody last asked, on the monotonic clock. */
  usedAt: number;
}

/** Fewer entries than this are not worth a look at whose object is gone. */
const SWEEP_SIZE_MIN = 1_000;
/** Only for kinds without a memory that tells what is gone; two resyncs, which ask for everything every 10 hours. */
const UNWATCHED_LIFETIME_MS = 24 * 3_600_000;

/** Nothing is remembered. What is in use is never forgotten: an entry costs less than the request that it saves. */
export function createAppliedMemory({ view, isWatched, clock }: AppliedMemoryOptions): AppliedMemory {
  /** By uid. */
  const applied = new Map<string, Applied>();
  let sweepAt = SWEEP_SIZE_MIN;

  const isOfUse = (uid: string, { type, namespace, name, usedAt }: Applied): boolean =>
    isWatched(type)
      ? view.get(type, namespace, name)?.metadata.uid === uid
      : clock.monotonic() - usedAt < UNWATCHED_LIFETIME_MS;

  const sweep = (): void => {
    for (const [uid, entry] of applied) {
      if (!isOfUse(uid, entry)) applied.delete(uid);
    }
    sweepAt = Math.max(SWEEP_SIZE_MIN, 2 * applied.size);
  };

  return {
    remember: (type, answer, wanted) => {
      const { uid = "", namespace = "", name, resourceVersion } = answer.metadata;
      // Nothing to remember of what is as it was asked for: looking at it tells the same.
      if (covers(answer, wanted.object)) return void applied.delete(uid);
      if (applied.size >= sweepAt) sweep();
      applied.set(uid, {
        type,
        namespace,
        name,
        desiredHash: wanted.hash,
        projectionHash: contentHash(project(answer, wanted.object)),
        resourceVersion,
        usedAt: clock.monotonic(),
      });
    },
    isAsLeft: (live, wanted) => {
      const entry = applied.get(live.metadata.uid ?? "");
      if (entry?.desiredHash !== wanted.hash) return false;
      entry.usedAt = clock.monotonic();
      if (entry.resourceVersion === live.metadata.resourceVersion) return true;
      if (entry.projectionHash !== contentHash(project(live, wanted.object))) return false;
      entry.resourceVersion = live.metadata.resourceVersion;
      return true;
    },
  };
}

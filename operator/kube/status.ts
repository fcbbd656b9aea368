import { taking } from "../../crds/forced-fields.ts";
import { FIELD_MANAGER } from "../../crds/group.ts";
import { contentHash } from "../../lib/core/canonical.ts";
import { isOperatorError } from "../../lib/core/errors.ts";
import type { KubeClient } from "../../lib/kube/client.ts";
import type { KubeObject, ResourceType } from "../../lib/kube/types.ts";
import type { CacheView, KubeCache } from "./cache.ts";
import { isStated, noteStatedStatus, statedStatus, statedStatusHash } from "./stated-status.ts";

export interface StatusWriterOptions {
  readonly client: Pick<KubeClient, "apply">;
  readonly cache: Pick<KubeCache, "overlay">;
  readonly view: Pick<CacheView, "get">;
  readonly type: ResourceType;
  /** Called before each write, and again when it is sent. @throws OperatorError LEASE_LOST */
  readonly fence: () => void;
}

/** Writes whole statuses of one kind. */
export interface StatusWriter {
  /**
   * Server-side apply on the status subresource, only when what we stated there differs from it. Members that we stated
   * and that the new status lacks are removed; those of others stay. An owner that is gone meanwhile needs no status.
   */
  write(
    owner: KubeObject,
    status: Readonly<Record<string, unknown>>,
    signal: AbortSignal,
  ): Promise<"written" | "unchanged">;
  /** What we stated in the status of an object that memory holds, without what others say there. */
  stated(owner: KubeObject): Readonly<Record<string, unknown>>;
}

/** What we sent and what the server made of it, hashes both. */
interface Sent {
  readonly namespace: string;
  readonly name: string;
  readonly status: string;
  readonly answer: string;
}

/** Fewer entries than this are not worth a look at whose owner is gone. */
const SWEEP_SIZE_MIN = 1_000;

/** A status writer of one controller's kind. */
export function createStatusWriter(options: StatusWriterOptions): StatusWriter {
  const { client, cache, view, type, fence } = options;
  /** By uid, where the two differ (pruning): equal on both sides means nothing to say. */
  const sent = new Map<string, Sent>();
  let sweepAt = SWEEP_SIZE_MIN;

  const remember = (uid: string, entry: Sent): void => {
    sent.set(uid, entry);
    if (sent.size <= sweepAt) return;
    // Nobody writes the status of an owner that is gone, so nobody else would forget it.
    for (const [each, { namespace, name }] of sent) {
      if (view.get(type, namespace, name)?.metadata.uid !== each) sent.delete(each);
    }
    sweepAt = Math.max(SWEEP_SIZE_MIN, 2 * sent.size);
  };

  return {
    stated: statedStatus,
    write: async (owner, status, signal) => {
      const { namespace = "", name, uid = "" } = owner.metadata;
      const current = view.get(type, namespace, name);
      if (current === undefined || current.metadata.uid !== uid) {
        sent.delete(uid);
        return "unchanged";
      }
      if (isStated(current, status)) return "unchanged";
      const wanted = contentHash(status);
      const last = sent.get(uid);
      if (last?.status === wanted && last.answer === statedStatusHash(current)) return "unchanged";
      fence();
      try {
        const answer = await client.apply(
          type,
          { apiVersion: owner.apiVersion, kind: owner.kind, metadata: { namespace, name, uid }, status },
          { fieldManager: FIELD_MANAGER, ...taking("status"), subresource: "status", signal, fence },
        );
        noteStatedStatus(answer, answer);
        if (isStated(answer, status)) sent.delete(uid);
        else remember(uid, { namespace, name, status: wanted, answer: statedStatusHash(answer) });
        cache.overlay(type, answer);
        return "written";
      } catch (error) {
        if (isOperatorError(error, "KUBE_NOT_FOUND")) return "unchanged";
        throw error;
      }
    },
  };
}

import { FIELD_MANAGER } from "../../crds/group.ts";
import { canonicalJson } from "../../lib/core/canonical.ts";
import { isOperatorError } from "../../lib/core/errors.ts";
import type { KubeClient } from "../../lib/kube/client.ts";
import type { KubeObject, ResourceType } from "../../lib/kube/types.ts";
import type { CacheView, KubeCache } from "./cache.ts";

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
   * Server-side apply on the status subresource, only when it differs from what the cache holds. Members that the new
   * status lacks are removed. An owner that is gone meanwhile needs no status.
   */
  write(
    owner: KubeObject,
    status: Readonly<Record<string, unknown>>,
    signal: AbortSignal,
  ): Promise<"written" | "unchanged">;
}

/** A status writer of one controller's kind. */
export function createStatusWriter(options: StatusWriterOptions): StatusWriter {
  const { client, cache, view, type, fence } = options;
  /**
   * What we sent and what the server made of it, by uid, where the two differ (defaults, pruning): equal on both sides
   * means nothing to say.
   */
  const sent = new Map<string, { readonly status: string; readonly answer: string }>();

  return {
    write: async (owner, status, signal) => {
      const { namespace = "", name, uid = "" } = owner.metadata;
      const current = view.get(type, namespace, name);
      if (current === undefined || current.metadata.uid !== uid) {
        sent.delete(uid);
        return "unchanged";
      }
      const wanted = canonicalJson(status);
      const held = canonicalJson(current["status"] ?? {});
      const last = sent.get(uid);
      if (wanted === held || (last?.status === wanted && last.answer === held)) return "unchanged";
      fence();
      try {
        const answer = await client.apply(
          type,
          { apiVersion: owner.apiVersion, kind: owner.kind, metadata: { namespace, name, uid }, status },
          // The status is this controller's by design, whoever wrote into it.
          { fieldManager: FIELD_MANAGER, force: true, subresource: "status", signal, fence },
        );
        const kept = canonicalJson(answer["status"] ?? {});
        if (kept === wanted) sent.delete(uid);
        else sent.set(uid, { status: wanted, answer: kept });
        cache.overlay(type, answer);
        return "written";
      } catch (error) {
        if (isOperatorError(error, "KUBE_NOT_FOUND")) return "unchanged";
        throw error;
      }
    },
  };
}

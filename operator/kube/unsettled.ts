import { type ErrorCode, isOperatorError } from "../../lib/core/errors.ts";
import type { KubeClient } from "../../lib/kube/client.ts";
import type { ObjectRef } from "../../lib/kube/paths.ts";
import type { RequestOptions } from "../../lib/kube/request-options.ts";
import type { KubeObject, ResourceType } from "../../lib/kube/types.ts";
import type { KubeCache } from "./cache.ts";

/**
 * Objects that a write of ours may have changed without our seeing the answer. Memory may be older than our own write
 * then, so they are read from the server before anything is decided about them again.
 */
export interface UnsettledWrites {
  /** Sends a write; takes note when its outcome stays open. */
  send<R>(type: ResourceType, ref: ObjectRef, write: () => Promise<R>): Promise<R>;
  /** Takes note of an object that memory does not show and that is there all the same: somebody else's. */
  doubt(type: ResourceType, ref: ObjectRef): void;
  has(type: ResourceType, ref: ObjectRef): boolean;
  /** Reads the object, lets memory know, and forgets. @returns the object, or `undefined` when it does not exist */
  settle(type: ResourceType, ref: ObjectRef, how: SettleOptions): Promise<KubeObject | undefined>;
}

export interface SettleOptions {
  /** What memory holds. */
  readonly held: KubeObject | undefined;
  readonly signal: AbortSignal;
  readonly priority?: RequestOptions["priority"];
}

export interface UnsettledWritesOptions {
  readonly client: Pick<KubeClient, "find">;
  readonly cache: Pick<KubeCache, "overlay" | "overlayDeleted">;
}

/** Failures after which the server may have done what we did not see it do. */
const OPEN_OUTCOMES: readonly ErrorCode[] = ["KUBE_UNREACHABLE", "KUBE_FAILED", "ABORTED"];

/** Nothing is open. */
export function createUnsettledWrites({ client, cache }: UnsettledWritesOptions): UnsettledWrites {
  const open = new Set<string>();
  return {
    send: async (type, ref, write) => {
      try {
        return await write();
      } catch (error) {
        if (OPEN_OUTCOMES.some((code) => isOperatorError(error, code))) open.add(keyOf(type, ref));
        throw error;
      }
    },
    doubt: (type, ref) => void open.add(keyOf(type, ref)),
    has: (type, ref) => open.has(keyOf(type, ref)),
    settle: async (type, ref, { held, ...how }) => {
      const live = await client.find(type, ref, how);
      if (live !== undefined) cache.overlay(type, live);
      else if (held?.metadata.uid !== undefined) cache.overlayDeleted(type, ref, held.metadata.uid);
      open.delete(keyOf(type, ref));
      return live;
    },
  };
}

function keyOf({ group, plural }: ResourceType, { namespace = "", name }: ObjectRef): string {
  return `${group}/${plural}/${namespace}/${name}`;
}

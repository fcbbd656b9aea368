import { backoffMs } from "../../lib/core/backoff.ts";
import type { Clock } from "../../lib/core/clock.ts";
import { isOperatorError } from "../../lib/core/errors.ts";
import type { KubeClient } from "../../lib/kube/client.ts";
import type { ResourceType } from "../../lib/kube/types.ts";

/** Looks whether a kind is there, on behalf of all that wait for it. */
export interface KindProbe {
  /**
   * Resolves when another list is worth its request: the server's answer is not any more that there is no such kind. Never
   * rejects. @param namespace where to look; all namespaces, or the cluster, when left out
   */
  untilServed(namespace: string | undefined, signal: AbortSignal): Promise<void>;
}

/**
 * An answer of a few bytes each 30 s for a kind, however many namespaces and selectors ask for it; whoever installs the
 * kind sees it at work within half a minute. The first looks come sooner, because a server that starts may not know yet
 * what it has.
 */
const LOOK = { baseMs: 1_000, capMs: 30_000 };

/** One for each kind. */
export function createKindProbe(
  type: ResourceType,
  { client, clock }: { readonly client: Pick<KubeClient, "pages">; readonly clock: Clock },
): KindProbe {
  let looking: Promise<void> | undefined;

  const isMissing = async (namespace: string | undefined, signal: AbortSignal): Promise<boolean> => {
    try {
      for await (const _page of client.pages(type, { namespace, signal, pageSize: 1, retries: 0 })) return false;
      return false;
    } catch (error) {
      // A server that cannot answer says nothing about the kind: who waits asks by himself, and has a backoff.
      return isOperatorError(error, "KUBE_NOT_FOUND");
    }
  };

  const look = async (namespace: string | undefined, signal: AbortSignal): Promise<void> => {
    for (let looks = 0; !signal.aborted; looks += 1) {
      await clock.sleep(backoffMs(looks, LOOK), signal);
      if (signal.aborted || !(await isMissing(namespace, signal))) return;
    }
  };

  return {
    untilServed: (namespace, signal) => {
      looking ??= look(namespace, signal).finally(() => {
        looking = undefined;
      });
      return looking;
    },
  };
}

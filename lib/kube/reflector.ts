import { backoffMs, jitter } from "../core/backoff.ts";
import type { Clock } from "../core/clock.ts";
import { isOperatorError, type OperatorError, toOperatorError } from "../core/errors.ts";
import type { Logger } from "../node/logger.ts";
import type { KubeClient, Selection } from "./client.ts";
import { collectionPath } from "./paths.ts";
import type { KubeObject, ResourceType } from "./types.ts";

/** Who keeps what a reflector reads. Both methods return at once. */
export interface ReflectorSink<T extends KubeObject> {
  /** The whole truth at a resource version: what is missing here was deleted. */
  replace(items: readonly T[], resourceVersion: string): void;
  apply(event: { readonly type: "ADDED" | "MODIFIED" | "DELETED"; readonly object: T }): void;
}

/** Why the connection to the truth was interrupted. */
export type ReflectorFault = "gone" | "cut" | "stalled" | "garbage" | "throttled" | "refused" | "failed";

/** What is known about a reflector, for health and metrics. */
export interface ReflectorState {
  /** The first list was delivered. */
  readonly synced: boolean;
  /** Monotonic time of the last sign of life: a list, an event, a bookmark, an accepted watch. */
  readonly lastSeenAt: number;
  /** Lists after the first one. */
  readonly relists: number;
}

export interface ReflectorOptions<T extends KubeObject> {
  readonly client: Pick<KubeClient, "pages" | "watch">;
  readonly type: ResourceType<T>;
  readonly selection: Selection;
  readonly sink: ReflectorSink<T>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly onFault?: (fault: ReflectorFault) => void;
  /** See `WatchOptions`. */
  readonly inactivityMs?: number;
}

/** Keeps a sink equal to the server: list, watch, and again after every kind of interruption. */
export interface Reflector {
  /** Runs until the signal aborts; never rejects for a failure of the server. */
  run(signal: AbortSignal): Promise<void>;
  state(): ReflectorState;
}

/** client-go's reflector: 0.8 s doubling to 30 s, forgotten after two healthy minutes. */
const BACKOFF = { baseMs: 800, capMs: 30_000 };
const BACKOFF_JITTER = 0.5;
const HEALTHY_MS = 120_000;
/** A watch that ends in order but sooner than this is a server that does not let us watch; back off as for a failure. */
const SHORT_WATCH_MS = 1_000;

/** Nothing is read before `run`. */
export function createReflector<T extends KubeObject>(options: ReflectorOptions<T>): Reflector {
  const { client, type, selection, sink, clock, log } = options;
  const path = collectionPath(type, selection.namespace);
  let synced = false;
  let lastSeenAt = clock.monotonic();
  let relists = 0;
  let resourceVersion: string | undefined;

  const list = async (signal: AbortSignal): Promise<void> => {
    const items: T[] = [];
    let version = "";
    for await (const page of client.pages(type, { ...selection, signal })) {
      for (const item of page.items) items.push(item);
      version = page.resourceVersion;
      lastSeenAt = clock.monotonic();
    }
    if (synced) relists += 1;
    sink.replace(items, version);
    resourceVersion = version;
    synced = true;
  };

  const watch = async (from: string, signal: AbortSignal): Promise<void> => {
    const onOpen = (): void => {
      lastSeenAt = clock.monotonic();
    };
    const { inactivityMs } = options;
    for await (const event of client.watch(type, {
      ...selection,
      resourceVersion: from,
      signal,
      onOpen,
      inactivityMs,
    })) {
      lastSeenAt = clock.monotonic();
      resourceVersion = event.object.metadata.resourceVersion ?? resourceVersion;
      if (event.type !== "BOOKMARK") sink.apply({ type: event.type, object: event.object });
    }
  };

  const delayMs = (failures: number): number => jitter(backoffMs(failures, BACKOFF), BACKOFF_JITTER, options.random());

  return {
    state: () => ({ synced, lastSeenAt, relists }),
    run: async (signal) => {
      let failures = 0;
      while (!signal.aborted) {
        const startedAt = clock.monotonic();
        let waitMs = 0;
        try {
          if (resourceVersion === undefined) {
            await list(signal);
          } else {
            await watch(resourceVersion, signal);
            const livedMs = clock.monotonic() - startedAt;
            if (livedMs > HEALTHY_MS) failures = 0;
            if (livedMs < SHORT_WATCH_MS) waitMs = delayMs(failures++);
          }
        } catch (thrown) {
          if (signal.aborted) return;
          const error = toOperatorError(thrown);
          const fault = faultOf(error);
          if (clock.monotonic() - startedAt > HEALTHY_MS) failures = 0;
          options.onFault?.(fault);
          log.warn({ path, fault, failures, error: error.message }, "watch interrupted");
          if (fault === "gone") resourceVersion = undefined;
          // The first relist after a compaction is not the server's trouble: it starts at once.
          waitMs = fault === "gone" && failures === 0 ? 0 : delayMs(failures);
          if (error.retryAfterSeconds !== undefined) waitMs = Math.max(waitMs, error.retryAfterSeconds * 1000);
          failures += 1;
        }
        if (waitMs > 0) await clock.sleep(waitMs, signal);
      }
    },
  };
}

function faultOf(error: OperatorError): ReflectorFault {
  const cause = error.details["cause"];
  if (cause === "cut" || cause === "stalled" || cause === "garbage") return cause;
  if (isOperatorError(error, "KUBE_GONE")) return "gone";
  if (isOperatorError(error, "KUBE_THROTTLED")) return "throttled";
  if (isOperatorError(error, "KUBE_FORBIDDEN") || isOperatorError(error, "KUBE_UNAUTHORIZED")) return "refused";
  return "failed";
}

import { jitter } from "../core/backoff.ts";
import { OperatorError } from "../core/errors.ts";
import { errorFromStatus, type RequestContext } from "./kube-errors.ts";
import { LineTooLong, linesOf } from "./lines.ts";
import { collectionPath, type Query } from "./paths.ts";
import type { OpenStream } from "./requests.ts";
import type { KubeObject, ResourceType } from "./types.ts";

/** One line of a watch. A BOOKMARK's object has nothing but a resource version. */
export interface WatchEvent<T extends KubeObject = KubeObject> {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK";
  readonly object: T;
}

export interface WatchOptions {
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
  /**
   * Events after this one. Left out: the present objects first, as ADDED, then a BOOKMARK that `isEndOfList` knows, then
   * events. A server without streaming lists refuses that (KUBE_INVALID).
   */
  readonly resourceVersion?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** A read without a byte for this long is dead; 70 s unless told: bookmarks come every 60 s. */
  readonly inactivityMs?: number | undefined;
  /** Called when the server has accepted the watch. */
  readonly onOpen?: (() => void) | undefined;
}

/** What a watch needs of its client. */
export interface WatchSource {
  readonly random: () => number;
  /** @throws OperatorError as answered */
  open(query: Query, signal: AbortSignal): Promise<OpenStream>;
}

/** The server closes after this time, spread so that a restart's watches do not all end together. */
const WATCH_SECONDS = 270;
const WATCH_JITTER = 0.11;
const INACTIVITY_MS = 70_000;
/** The limit of an object in etcd is 1.5 MiB; a line far above it is not an event. */
const LINE_BYTES_MAX = 16 * 1024 * 1024;

/** KEP-3157: the bookmark that ends the objects of a streaming list carries it. */
const END_OF_LIST = "k8s.io/initial-events-end";

/** True for the bookmark after the last object of a streaming list; its version is the list's. */
export function isEndOfList(event: WatchEvent): boolean {
  return event.type === "BOOKMARK" && event.object.metadata.annotations?.[END_OF_LIST] === "true";
}

/**
 * Reads a watch line by line.
 * @throws OperatorError KUBE_GONE (410 as answer or as frame), KUBE_UNREACHABLE with `details.cause` = "cut" or
 * "stalled", KUBE_FAILED with `details.cause` = "garbage", other KUBE_ codes as answered, ABORTED
 */
export async function* readWatch<T extends KubeObject>(
  type: ResourceType<T>,
  options: WatchOptions,
  source: WatchSource,
): AsyncGenerator<WatchEvent<T>> {
  let context: RequestContext = { method: "WATCH", path: collectionPath(type, options.namespace) };
  const inactivityMs = options.inactivityMs ?? INACTIVITY_MS;
  const controller = new AbortController();
  const fail = (cause: "cut" | "stalled" | "garbage", message: string, error?: unknown): OperatorError =>
    new OperatorError(cause === "garbage" ? "KUBE_FAILED" : "KUBE_UNREACHABLE", `WATCH ${context.path}: ${message}`, {
      cause: error,
      details: { cause, ...(context.requestId === undefined ? {} : { requestId: context.requestId }) },
    });
  const stalled = setTimeout(
    () => controller.abort(fail("stalled", `silent for ${inactivityMs / 1000} s`)),
    inactivityMs,
  );
  const onAbort = (): void => controller.abort(new OperatorError("ABORTED", "the watch was stopped"));
  if (options.signal?.aborted) onAbort();
  options.signal?.addEventListener("abort", onAbort, { once: true });

  try {
    const { resourceVersion } = options;
    const stream = await source.open(
      {
        watch: true,
        allowWatchBookmarks: true,
        ...(resourceVersion === undefined
          ? { sendInitialEvents: true, resourceVersionMatch: "NotOlderThan" }
          : { resourceVersion }),
        labelSelector: options.labelSelector,
        fieldSelector: options.fieldSelector,
        timeoutSeconds: Math.round(jitter(WATCH_SECONDS, WATCH_JITTER, source.random())),
      },
      controller.signal,
    );
    context = { ...context, requestId: stream.requestId };
    options.onOpen?.();
    const onBytes = (): void => void stalled.refresh();
    // A rest without its end of line was cut in the middle: it was never a whole event.
    for await (const line of linesOf(stream.body, { onBytes, bytesMax: LINE_BYTES_MAX, rest: "cut" })) {
      yield parseEvent<T>(line, context, fail);
    }
  } catch (error) {
    if (controller.signal.aborted) throw controller.signal.reason;
    if (error instanceof OperatorError) throw error;
    if (error instanceof LineTooLong) throw fail("garbage", error.message);
    throw fail("cut", error instanceof Error ? error.message : String(error), error);
  } finally {
    clearTimeout(stalled);
    options.signal?.removeEventListener("abort", onAbort);
    // Ends the connection when the reader stopped in the middle.
    controller.abort(new OperatorError("ABORTED", "the watch was left"));
  }
}

function parseEvent<T extends KubeObject>(
  line: string,
  context: RequestContext,
  fail: (cause: "garbage", message: string, error?: unknown) => OperatorError,
): WatchEvent<T> {
  let event: { type?: unknown; object?: unknown };
  try {
    event = JSON.parse(line) as typeof event;
  } catch (error) {
    throw fail("garbage", "a line is not JSON", error);
  }
  if (event === null || typeof event.object !== "object" || event.object === null) {
    throw fail("garbage", "a line is not an event");
  }
  switch (event.type) {
    case "ADDED":
    case "MODIFIED":
    case "DELETED":
    case "BOOKMARK":
      return event as WatchEvent<T>;
    case "ERROR":
      throw errorFromStatus(context, event.object);
    default:
      throw fail("garbage", `unknown event type ${JSON.stringify(event.type)}`);
  }
}

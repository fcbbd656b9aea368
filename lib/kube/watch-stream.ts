import { jitter } from "../core/backoff.ts";
import { OperatorError } from "../core/errors.ts";
import { errorFromAnswer, errorFromNetwork, errorFromStatus } from "./kube-errors.ts";
import { collectionPath } from "./paths.ts";
import type { TransportResponse } from "./transport.ts";
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
  /** Events after this one. */
  readonly resourceVersion: string;
  readonly signal?: AbortSignal | undefined;
  /** A read without a byte for this long is dead; 70 s unless told: bookmarks come every 60 s. */
  readonly inactivityMs?: number | undefined;
  /** Called when the server has accepted the watch. */
  readonly onOpen?: (() => void) | undefined;
}

/** What a watch needs of its client. */
export interface WatchSource {
  readonly random: () => number;
  open(
    query: Readonly<Record<string, string | number | boolean | undefined>>,
    signal: AbortSignal,
  ): Promise<TransportResponse>;
  onUnauthorized(): void;
}

/** The server closes after this time, spread so that a restart's watches do not all end together. */
const WATCH_SECONDS = 270;
const WATCH_JITTER = 0.11;
const INACTIVITY_MS = 70_000;
/** The limit of an object in etcd is 1.5 MiB; a line far above it is not an event. */
const LINE_BYTES_MAX = 16 * 1024 * 1024;

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
  const context = { method: "WATCH", path: collectionPath(type, options.namespace) };
  const inactivityMs = options.inactivityMs ?? INACTIVITY_MS;
  const controller = new AbortController();
  const fail = (cause: "cut" | "stalled" | "garbage", message: string, error?: unknown): OperatorError =>
    new OperatorError(cause === "garbage" ? "KUBE_FAILED" : "KUBE_UNREACHABLE", `WATCH ${context.path}: ${message}`, {
      cause: error,
      details: { cause },
    });
  const stalled = setTimeout(
    () => controller.abort(fail("stalled", `silent for ${inactivityMs / 1000} s`)),
    inactivityMs,
  );
  const onAbort = (): void => controller.abort(new OperatorError("ABORTED", "the watch was stopped"));
  if (options.signal?.aborted) onAbort();
  options.signal?.addEventListener("abort", onAbort, { once: true });

  try {
    const response = await source.open(
      {
        watch: true,
        allowWatchBookmarks: true,
        resourceVersion: options.resourceVersion,
        labelSelector: options.labelSelector,
        fieldSelector: options.fieldSelector,
        timeoutSeconds: Math.round(jitter(WATCH_SECONDS, WATCH_JITTER, source.random())),
      },
      controller.signal,
    );
    if (response.statusCode >= 300) {
      if (response.statusCode === 401) source.onUnauthorized();
      const retryAfter = [response.headers["retry-after"]].flat()[0];
      throw errorFromAnswer(context, { status: response.statusCode, body: await response.body.text(), retryAfter });
    }
    options.onOpen?.();
    for await (const line of linesOf(response.body, () => stalled.refresh())) {
      yield parseEvent<T>(line, context, fail);
    }
  } catch (error) {
    if (controller.signal.aborted) throw controller.signal.reason;
    if (error instanceof OperatorError) throw error;
    if (error instanceof LineTooLong) throw fail("garbage", error.message);
    throw fail("cut", errorFromNetwork(context, error).message, error);
  } finally {
    clearTimeout(stalled);
    options.signal?.removeEventListener("abort", onAbort);
    // Ends the connection when the reader stopped in the middle.
    controller.abort(new OperatorError("ABORTED", "the watch was left"));
  }
}

class LineTooLong extends Error {}

async function* linesOf(body: AsyncIterable<Uint8Array>, onBytes: () => void): AsyncGenerator<string> {
  let pieces: Uint8Array[] = [];
  let held = 0;
  for await (const chunk of body) {
    onBytes();
    let from = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      pieces.push(chunk.subarray(from, end));
      const line = Buffer.concat(pieces).toString("utf8");
      pieces = [];
      held = 0;
      from = end + 1;
      if (line.trim() !== "") yield line;
    }
    if (from < chunk.length) {
      pieces.push(chunk.subarray(from));
      held += chunk.length - from;
      if (held > LINE_BYTES_MAX) throw new LineTooLong(`a line has more than ${LINE_BYTES_MAX} bytes`);
    }
  }
  // A rest without its end of line was cut in the middle: it was never a whole event.
  if (held > 0) throw new Error("the stream ended in the middle of a line");
}

function parseEvent<T extends KubeObject>(
  line: string,
  context: { readonly method: string; readonly path: string },
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

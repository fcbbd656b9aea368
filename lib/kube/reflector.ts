import { setImmediate as nextTurn } from "node:timers/promises";
import { backoffMs, jitter } from "../core/backoff.ts";
import type { Clock } from "../core/clock.ts";
import { isOperatorError, OperatorError, toOperatorError } from "../core/errors.ts";
import type { Logger } from "../node/logger.ts";
import type { KubeClient } from "./client.ts";
import type { Selection } from "./object-client.ts";
import { collectionPath } from "./paths.ts";
import type { KubeObject, ResourceType } from "./types.ts";
import { compareVersions } from "./versions.ts";
import { isEndOfList, type WatchEvent } from "./watch-stream.ts";

/*
 *            ┌── streaming list: objects, end mark, then events on the same connection
 *   start ───┤      refused ──► paged, from now on      broken ──► paged, once
 *            └── paged list ──► watch from its version   a further page lost ──► read whole, once
 *                                  │ ended in order, cut, silent, garbage ──► watch again from the last version
 *                                  │ 410 ──► list again
 *                                  │ a version before its own start ──► list again: the server was restored
 *                                  │ after an outage ──► ask for the server's version first; lower ──► list again
 *
 * The last rule is for a restored etcd: a watch from a version that the server does not have yet is accepted and stays
 * silent until its history has grown beyond it, so what happened meanwhile would never be told.
 */

/** A list on its way into a sink. */
export interface Listing<T extends KubeObject> {
  /** An object of the list, or its newer state; in no order. */
  add(object: T): void;
  /** The list is whole: what was not added and is not newer than this version was deleted. */
  end(resourceVersion: string): void;
}

/** Who keeps what a reflector reads. All methods return at once. */
export interface ReflectorSink<T extends KubeObject> {
  /**
   * A list begins. One that breaks off is never ended, and what it added stays: it was true.
   * @param how `rewound`: the server is older than what it told before, and its past is the truth now
   */
  list(how: { readonly rewound: boolean }): Listing<T>;
  apply(event: { readonly type: "ADDED" | "MODIFIED" | "DELETED"; readonly object: T }): void;
  /**
   * The server keeps refusing to show it (see `ReflectorState.refused`). With this method what was read is to be forgotten, and
   * the next answer is a whole list; without, it stays as it was last seen. Told again with each further refusal.
   */
  forget?(error: OperatorError): void;
}

/** Why the connection to the truth was interrupted. */
export const REFLECTOR_FAULTS = [
  "gone",
  "cut",
  "stalled",
  "garbage",
  "throttled",
  "refused",
  "failed",
  "rewound",
] as const;
export type ReflectorFault = (typeof REFLECTOR_FAULTS)[number];

/** What is known about a reflector, for health and metrics. */
export interface ReflectorState {
  /** The first list was delivered. */
  readonly synced: boolean;
  /** Monotonic time of the last sign of life: a page, an event, a bookmark, an accepted watch. */
  readonly lastSeenAt: number;
  /** Lists after the first one. */
  readonly relists: number;
  /**
   * The server's answer to the last attempt was that it has no such kind (KUBE_NOT_FOUND) or that we may not read it
   * (KUBE_FORBIDDEN): it is there, and somebody has to change something before another attempt can succeed.
   */
  readonly refused: OperatorError | undefined;
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
  /**
   * The kind is optional: that there is none, or that we may not read it, is an answer then and no fault. Resolves when a
   * kind that is not there is worth another list.
   */
  readonly untilServed?: (signal: AbortSignal) => Promise<void>;
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
/** So long the server must refuse what it showed before, until that is forgotten. */
const REFUSED_MIN_MS = 5_000;
/** Objects of a list that are taken in before others have their turn: some milliseconds of work. */
const TURN_OBJECTS = 50;

/** Nothing is read before `run`. */
export function createReflector<T extends KubeObject>(options: ReflectorOptions<T>): Reflector {
  const { client, type, selection, sink, clock, log } = options;
  const path = collectionPath(type, selection.namespace);
  let synced = false;
  let lastSeenAt = clock.monotonic();
  let relists = 0;
  let refused: OperatorError | undefined;
  /** Monotonic time of the first of the refusals that nothing else came between. */
  let refusedAt: number | undefined;
  /** Where to go on; `undefined` when only a list helps. */
  let resourceVersion: string | undefined;
  /** The latest version that this server ever showed us. */
  let newest: string | undefined;
  /** Whether the next list may be a streaming one. `never`: the server does not know them. */
  let streaming: "yes" | "not now" | "never" = "yes";
  /** The server was away: before the next watch it is asked whether it is the one that we knew. */
  let suspect = false;

  const noteLife = (): void => {
    lastSeenAt = clock.monotonic();
    refused = undefined;
    refusedAt = undefined;
  };
  /** A server that starts refuses everybody for a moment: what was read is not forgotten for that. */
  const staysRefused = (): boolean =>
    refusedAt !== undefined && (!synced || clock.monotonic() - refusedAt >= REFUSED_MIN_MS);
  const goOnFrom = (version: string | undefined): void => {
    if (version === undefined || version === "") return;
    resourceVersion = version;
    newest = version;
  };
  const isOlder = (version: string | undefined, known: string | undefined): boolean =>
    (compareVersions(version, known) ?? 0) < 0;
  const rewound = (version: string | undefined, known: string | undefined): OperatorError =>
    new OperatorError("KUBE_FAILED", `WATCH ${path}: the server is at ${version}, and it was at ${known} before`, {
      details: { cause: "rewound" },
    });

  const finish = (listing: Listing<T>, version: string): void => {
    listing.end(version);
    goOnFrom(version);
    if (synced) relists += 1;
    synced = true;
    suspect = false;
    if (streaming === "not now") streaming = "yes";
  };

  const listPages = async (signal: AbortSignal): Promise<void> => {
    let listing: Listing<T> | undefined;
    let version = "";
    let count = 0;
    for await (const page of client.pages(type, { ...selection, signal })) {
      version = page.resourceVersion;
      noteLife();
      if (page.isRestart === true) {
        // What the first pages showed may be gone by now, so it must not count as listed.
        listing = undefined;
        options.onFault?.("gone");
        log.info({ path, version }, "the rest of a list in pages was lost; read whole");
      }
      listing ??= sink.list({ rewound: isOlder(version, newest) });
      for (const item of page.items) {
        listing.add(item);
        count += 1;
        if (count % TURN_OBJECTS === 0) await nextTurn();
      }
    }
    listing ??= sink.list({ rewound: false });
    finish(listing, version);
  };

  /** One read: events from a version, or a streaming list and then events. */
  const read = async (from: string | undefined, signal: AbortSignal): Promise<void> => {
    let listing = from === undefined ? sink.list({ rewound: false }) : undefined;
    let start = from;
    let count = 0;
    const { inactivityMs } = options;
    for await (const event of client.watch(type, {
      ...selection,
      resourceVersion: from,
      signal,
      onOpen: noteLife,
      inactivityMs,
    })) {
      noteLife();
      const version = event.object.metadata.resourceVersion;
      if (listing === undefined) {
        if (isOlder(version, start)) throw rewound(version, start);
        // Lines of different objects that overtook each other: the later version counts.
        if (!isOlder(version, newest)) goOnFrom(version);
        if (event.type !== "BOOKMARK") sink.apply({ type: event.type, object: event.object });
        continue;
      }
      if (isEndOfList(event)) {
        if (isOlder(version, newest)) throw rewound(version, newest);
        finish(listing, version ?? "");
        listing = undefined;
        start = version;
        continue;
      }
      takeIn(event, listing);
      count += 1;
      if (count % TURN_OBJECTS === 0) await nextTurn();
    }
    if (listing !== undefined) throw new OperatorError("KUBE_INVALID", `WATCH ${path}: a list without its end`);
  };

  const takeIn = (event: WatchEvent<T>, listing: Listing<T>): void => {
    if (event.type === "DELETED") sink.apply({ type: "DELETED", object: event.object });
    else if (event.type !== "BOOKMARK") listing.add(event.object);
  };

  /** Asks for the server's version, and nearly nothing else. */
  const probe = async (signal: AbortSignal): Promise<void> => {
    for await (const page of client.pages(type, { ...selection, signal, pageSize: 1, retries: 0 })) {
      noteLife();
      if (isOlder(page.resourceVersion, newest)) throw rewound(page.resourceVersion, newest);
      suspect = false;
      return;
    }
  };

  /** A streaming list that did not come to its end. @returns true when the server does not know such lists */
  const leaveStreaming = (error: OperatorError): boolean => {
    const isRefused = error.code === "KUBE_INVALID";
    // Silence instead of an end mark: a server that knows the words of the request and not their meaning.
    streaming = isRefused || error.details["cause"] === "stalled" ? "never" : "not now";
    return isRefused;
  };

  const delayMs = (failures: number): number => jitter(backoffMs(failures, BACKOFF), BACKOFF_JITTER, options.random());

  const step = async (signal: AbortSignal): Promise<void> => {
    if (resourceVersion === undefined) return streaming === "yes" ? read(undefined, signal) : listPages(signal);
    if (suspect) await probe(signal);
    return read(resourceVersion, signal);
  };

  return {
    state: () => ({ synced, lastSeenAt, relists, refused }),
    run: async (signal) => {
      let failures = 0;
      while (!signal.aborted) {
        const startedAt = clock.monotonic();
        const isPagedList = resourceVersion === undefined && streaming !== "yes";
        let waitMs = 0;
        try {
          await step(signal);
          const livedMs = clock.monotonic() - startedAt;
          if (livedMs > HEALTHY_MS) failures = 0;
          if (livedMs < SHORT_WATCH_MS && !isPagedList) waitMs = delayMs(failures++);
        } catch (thrown) {
          if (signal.aborted) return;
          const error = toOperatorError(thrown);
          const wasStreamingList = resourceVersion === undefined && !isPagedList;
          if (wasStreamingList && leaveStreaming(error)) {
            log.info({ path, error: error.message }, "no streaming lists here; reading pages");
            continue;
          }
          const fault = faultOf(error);
          const isAnswer = options.untilServed !== undefined && isRefusal(error);
          if (isAnswer) lastSeenAt = clock.monotonic();
          // What stays refused is told once.
          const level = isAnswer || (refused !== undefined && refused.code === error.code) ? "debug" : "warn";
          refused = isRefusal(error) ? error : undefined;
          refusedAt = refused === undefined ? undefined : (refusedAt ?? clock.monotonic());
          if (clock.monotonic() - startedAt > HEALTHY_MS) failures = 0;
          if (!isAnswer) options.onFault?.(fault);
          const requestId = error.details["requestId"];
          log[level]({ path, fault, failures, error: error.message, requestId }, "watch interrupted");
          if (staysRefused() && sink.forget !== undefined) {
            sink.forget(error);
            resourceVersion = undefined;
            if (error.code === "KUBE_NOT_FOUND" && options.untilServed !== undefined) {
              failures = 0;
              await options.untilServed(signal);
              continue;
            }
          }
          if (fault === "gone" || fault === "rewound") resourceVersion = undefined;
          if (fault === "rewound") streaming = streaming === "never" ? "never" : "not now";
          // Also a refusal: a backup may lack the kind, or the right to read it.
          if (fault === "stalled" || fault === "failed" || fault === "refused") suspect = true;
          // The first relist after a compaction is not the server's trouble: it starts at once.
          waitMs = resourceVersion === undefined && isNews(fault) && failures === 0 ? 0 : delayMs(failures);
          // A proxy in maintenance may name a day: what is held would be the past for as long.
          const askedMs = Math.min((error.retryAfterSeconds ?? 0) * 1000, BACKOFF.capMs);
          waitMs = Math.max(waitMs, askedMs);
          failures += 1;
        }
        if (waitMs > 0) await clock.sleep(waitMs, signal);
      }
    },
  };
}

/** Faults that say where we are, and nothing about the server's health. */
function isNews(fault: ReflectorFault): boolean {
  return fault === "gone" || fault === "rewound";
}

function faultOf(error: OperatorError): ReflectorFault {
  const cause = error.details["cause"];
  if (cause === "cut" || cause === "stalled" || cause === "garbage" || cause === "rewound") return cause;
  if (isOperatorError(error, "KUBE_GONE")) return "gone";
  if (isOperatorError(error, "KUBE_THROTTLED")) return "throttled";
  if (isRefusal(error) || isOperatorError(error, "KUBE_UNAUTHORIZED")) return "refused";
  return "failed";
}

/** Not for bad credentials: with those nothing at all can be read. */
function isRefusal(error: OperatorError): boolean {
  return isOperatorError(error, "KUBE_FORBIDDEN") || isOperatorError(error, "KUBE_NOT_FOUND");
}

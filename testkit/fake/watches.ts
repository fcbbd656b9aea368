import type { KubeObject } from "../../lib/kube/types.ts";
import { StatusError, statusOf } from "../status-error.ts";
import type { WatchPipe } from "../watch-pipe.ts";
import { invalidListOption } from "./lists.ts";
import { type Collection, kindOf } from "./requests.ts";
import { selectionOf } from "./selection.ts";
import type { FakeStore, StoreEvent } from "./store-types.ts";

/** Open watches of the fake. */
export interface FakeWatches {
  /**
   * Accepts a watch. @returns what feeds it, at once and from then on
   * @throws StatusError for options that contradict each other, 410 for versions that are gone (while told as status)
   */
  open(collection: Collection, query: URLSearchParams): (pipe: WatchPipe) => void;
  /** Sends a bookmark to each watch that allows them. */
  bookmark(): void;
  /** Ends the watches of a collection in order. */
  end(collection: string): void;
  /** How versions that are gone are told from now on. */
  tellGone(as: "status" | "frame"): void;
}

interface OpenWatch {
  readonly pipe: WatchPipe;
  readonly collection: Collection;
  readonly matches: (object: KubeObject) => boolean;
  /** Events up to this version are not news. */
  readonly after: number;
  readonly bookmarks: boolean;
}

/** Marks the bookmark that ends the initial events of a streaming list. */
const INITIAL_EVENTS_END = "k8s.io/initial-events-end";
/** The server's own limit; watches of clients ask for less. */
const TIMEOUT_SECONDS = 1_800;

export function createFakeWatches(store: FakeStore): FakeWatches {
  const watches = new Set<OpenWatch>();
  let goneAs: "status" | "frame" = "status";

  const deliver = (watch: OpenWatch, event: StoreEvent): void => {
    const { collection, matches, pipe } = watch;
    if (event.version <= watch.after || event.key.collection !== collection.id) return;
    if (collection.namespace !== undefined && collection.namespace !== event.key.namespace) return;
    const was = event.before !== undefined && matches(event.before);
    const is = event.after !== undefined && matches(event.after);
    if (!was && !is) return;
    const object = is
      ? event.after
      : { ...event.before, metadata: { ...event.before?.metadata, resourceVersion: String(event.version) } };
    pipe.line(JSON.stringify({ type: is ? (was ? "MODIFIED" : "ADDED") : "DELETED", object }));
  };
  store.subscribe((event) => {
    for (const watch of watches) deliver(watch, event);
  });

  const bookmark = ({ pipe, collection }: OpenWatch, annotations?: Readonly<Record<string, string>>): void => {
    const { apiVersion } = collection;
    const kind = kindOf(collection, store.list(collection.id, undefined)[0]?.kind);
    const metadata = {
      resourceVersion: String(store.version()),
      ...(annotations === undefined ? {} : { annotations }),
    };
    pipe.line(JSON.stringify({ type: "BOOKMARK", object: { kind, apiVersion, metadata } }));
  };

  return {
    open: (collection, query) => {
      const how = watchOptions(query);
      const matches = selectionOf(query);
      const startsWithState = how.initialEvents || how.version === 0;
      const isGone = (): boolean => !startsWithState && store.since(how.version) === undefined;
      const gone = { status: 410, message: `too old resource version: ${how.version} (${store.version()})` };
      if (isGone() && goneAs === "status") throw new StatusError(gone);

      // All of it in the turn in which the client is connected: nothing can happen in between.
      return (pipe) => {
        if (isGone()) {
          pipe.line(JSON.stringify({ type: "ERROR", object: statusOf(gone) }));
          return pipe.end();
        }
        const after = startsWithState ? store.version() : how.version;
        const watch: OpenWatch = { pipe, collection, matches, after, bookmarks: how.bookmarks };
        if (how.initialEvents) {
          for (const object of store.list(collection.id, collection.namespace).filter(matches)) {
            pipe.line(JSON.stringify({ type: "ADDED", object }));
          }
          if (how.bookmarks) bookmark(watch, { [INITIAL_EVENTS_END]: "true" });
        }
        for (const event of store.since(after) ?? []) deliver(watch, event);
        watches.add(watch);
        const timer = setTimeout(() => {
          watches.delete(watch);
          pipe.end();
        }, how.timeoutSeconds * 1000);
        pipe.onClose(() => {
          clearTimeout(timer);
          watches.delete(watch);
        });
      };
    },
    bookmark: () => {
      for (const watch of watches) if (watch.bookmarks) bookmark(watch);
    },
    end: (collection) => {
      for (const watch of watches) if (watch.collection.id === collection) watch.pipe.end();
    },
    tellGone: (as) => {
      goneAs = as;
    },
  };
}

interface WatchHow {
  readonly version: number;
  readonly initialEvents: boolean;
  readonly bookmarks: boolean;
  readonly timeoutSeconds: number;
}

/** @throws StatusError with the real server's words */
function watchOptions(query: URLSearchParams): WatchHow {
  const text = query.get("resourceVersion") ?? "";
  const version = text === "" ? 0 : Number(text);
  if (!Number.isInteger(version) || version < 0) {
    throw new StatusError({ status: 500, reason: "", message: `resourceVersion: Invalid value: "${text}"` });
  }
  const match = query.get("resourceVersionMatch");
  const sendInitialEvents = query.get("sendInitialEvents");
  if (sendInitialEvents !== null && match !== "NotOlderThan") {
    throw invalidListOption(
      "resourceVersionMatch",
      "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
    );
  }
  if (sendInitialEvents === null && match !== null) {
    throw invalidListOption(
      "resourceVersionMatch",
      "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
    );
  }
  return {
    version,
    // A watch from no version at all starts with the state too, as it did before there was an option for it.
    initialEvents: sendInitialEvents === "true" || (sendInitialEvents === null && version === 0),
    bookmarks: query.get("allowWatchBookmarks") === "true",
    timeoutSeconds: Number(query.get("timeoutSeconds") ?? TIMEOUT_SECONDS),
  };
}

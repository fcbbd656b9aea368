import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { OperatorError } from "../../lib/core/errors.ts";
import { createManualClock, type ManualClock } from "../../lib/core/manual-clock.ts";
import type { KubeClient } from "../../lib/kube/client.ts";
import type { ListPage } from "../../lib/kube/object-client.ts";
import { type ConfigMapObject, type KubeObject, RESOURCES } from "../../lib/kube/types.ts";
import type { WatchEvent } from "../../lib/kube/watch-stream.ts";
import { silentLogger } from "../../lib/node/logger.ts";
import { type CacheView, createCache, type KubeCache } from "./cache.ts";
import type { ObjectChange } from "./informer.ts";

// Goal: a controller that watches one kind with two selectors gets one answer about an object, whatever way it asks and
// whichever informer was told first. The test is the server: each selector is told of a change when it says so.

const { ConfigMap } = RESOURCES;

/** What is sent to the watch of a selector: events, or the end of the watch by an error. */
type Sent = WatchEvent<ConfigMapObject> | OperatorError;

let clock: ManualClock;
let lists: Record<string, ListPage<ConfigMapObject>>;
let pipes: Record<string, { readonly queue: Sent[]; wake: () => void }>;
let cache: KubeCache;
let view: CacheView;
let changes: string[];
/** Each list is held up after its first page until then. */
let pausing: Promise<undefined> | undefined;

const client = {
  pages: async function* (_type: unknown, { labelSelector = "" }: { labelSelector?: string }) {
    const list = lists[labelSelector];
    if (list === undefined) return;
    yield { ...list, items: [] };
    await pausing;
    yield list;
  },
  watch: async function* (
    _type: unknown,
    {
      labelSelector = "",
      resourceVersion,
      signal,
    }: { labelSelector?: string; resourceVersion?: string; signal: AbortSignal },
  ) {
    if (resourceVersion === undefined) throw new OperatorError("KUBE_INVALID", "no streaming lists here");
    const pipe = { queue: [] as Sent[], wake: (): void => undefined };
    pipes[labelSelector] = pipe;
    signal.addEventListener("abort", () => pipe.wake(), { once: true });
    while (!signal.aborted) {
      for (const sent of pipe.queue.splice(0)) {
        if (sent instanceof OperatorError) throw sent;
        yield sent;
      }
      await new Promise<void>((resolve) => {
        pipe.wake = resolve;
      });
    }
  },
} as unknown as Pick<KubeClient, "pages" | "watch">;

const send = async (selector: string, ...sent: readonly Sent[]): Promise<void> => {
  pipes[selector]?.queue.push(...sent);
  pipes[selector]?.wake();
  await clock.advance(0);
};

function object(version: number, change: { readonly uid?: string; readonly labels?: Record<string, string> } = {}) {
  const { uid = "u1", labels = { a: "1", b: "1" } } = change;
  const metadata = { name: "x", namespace: "ns", uid, resourceVersion: String(version), labels };
  return { apiVersion: "v1", kind: "ConfigMap", metadata, data: { v: String(version) } } as ConfigMapObject;
}
const event = (type: "ADDED" | "MODIFIED" | "DELETED", of: ConfigMapObject): Sent => ({ type, object: of });

/** The version that each way of asking gives. */
function answers(labels: Readonly<Record<string, string>> = {}): (string | undefined)[] {
  const versionsOf = (objects: Iterable<KubeObject>) =>
    [...objects].map(({ metadata }) => `${metadata.resourceVersion}`).join() || undefined;
  return [
    view.get(ConfigMap, "ns", "x")?.metadata.resourceVersion,
    versionsOf(view.list(ConfigMap, "ns", labels)),
    versionsOf(view.byIndex(ConfigMap, "name", "x")),
    versionsOf(view.all(ConfigMap)),
  ];
}
const all = (version: number | undefined): (string | undefined)[] =>
  Array<string | undefined>(4).fill(version === undefined ? undefined : String(version));

/** A view with these selectors; each list shows `first` at version 10. */
async function open(selectors: readonly string[], first: readonly ConfigMapObject[] = [object(5)]): Promise<void> {
  cache = createCache({ client, clock, random: () => 0.5, log: silentLogger });
  view = cache.view();
  const indexes = {
    name: ({ metadata }: KubeObject) => [metadata.name],
    version: ({ data }: ConfigMapObject) => [data?.["v"] ?? ""],
  };
  for (const labelSelector of selectors) {
    lists[labelSelector] = { resourceVersion: "10", items: [...first] };
    view.include(
      { type: ConfigMap, ...(labelSelector === "" ? {} : { labelSelector }), indexes },
      ({ before, after }: ObjectChange<ConfigMapObject>) =>
        changes.push(`${labelSelector} ${before?.data?.["v"] ?? "–"}→${after?.data?.["v"] ?? "–"}`),
    );
  }
  cache.start();
  await clock.advance(0);
  await cache.waitForSync(0);
}

beforeEach(() => {
  clock = createManualClock();
  lists = {};
  pipes = {};
  changes = [];
  pausing = undefined;
});
afterEach(() => cache.stop());

describe.each([
  ["the first informer", "a", "b"],
  ["the second informer", "b", "a"],
])("two selectors, %s is told first", (_name, early, late) => {
  it("of a change: the newest version is the answer", async () => {
    await open(["a", "b"]);
    expect(answers()).toEqual(all(5));
    await send(early, event("MODIFIED", object(11)));
    expect(answers()).toEqual(all(11));
    expect(view.byIndex(ConfigMap, "version", "5")).toEqual([]);
    expect(view.byIndex(ConfigMap, "version", "11")).toHaveLength(1);
    await send(late, event("MODIFIED", object(11)));
    expect(answers()).toEqual(all(11));
  });

  it("of a label that is no longer there: nobody finds the object by it", async () => {
    const labels = { a: "1", b: "1" };
    await open(["a", "b"], [object(5, { labels: { ...labels, c: "old" } })]);
    await send(early, event("MODIFIED", object(11, { labels: { ...labels, c: "new" } })));
    expect(view.list(ConfigMap, "ns", { c: "old" })).toEqual([]);
    expect(answers({ c: "new" })).toEqual(all(11));
  });

  it("that it left the selection: the other one's answer counts, and its news", async () => {
    await open(["a", "b"]);
    // The last state that was selected, at the version of the change.
    await send(early, event("DELETED", { ...object(5), metadata: { ...object(11).metadata } }));
    expect(answers()).toEqual(all(5));
    await send(late, event("MODIFIED", object(11, { labels: { [late]: "1" } })));
    expect(answers()).toEqual(all(11));
    expect(changes.slice(-2)).toEqual([`${early} 5→–`, `${late} 5→11`]);
  });

  it("of a deletion: one answer before and after the other one is told", async () => {
    await open(["a", "b"]);
    await send(early, event("DELETED", object(11)));
    expect(answers()).toEqual(all(5));
    await send(late, event("DELETED", object(11)));
    expect(answers()).toEqual(all(undefined));
  });

  it("of another object of the same name: the old one is the answer no more, nor is it by a late end", async () => {
    await open(["a", "b"]);
    await send(early, event("DELETED", object(11)), event("ADDED", object(12, { uid: "u2" })));
    expect(answers()).toEqual(all(12));
    await send(late, event("DELETED", object(11)));
    expect(answers()).toEqual(all(12));
    await send(late, event("ADDED", object(12, { uid: "u2" })));
    expect(answers()).toEqual(all(12));
  });

  it("that a restored server is in the past: its past counts, then its news, and no late news of the lost future", async () => {
    await open(["a", "b"], [object(5)]);
    await send(early, event("MODIFIED", object(20)));
    await send(late, event("MODIFIED", object(20)));
    const past: ListPage<ConfigMapObject> = { resourceVersion: "7", items: [object(5)] };
    lists[early] = past;
    await send(early, new OperatorError("KUBE_GONE", "restored"));
    await clock.advance(1_000);
    expect(answers()).toEqual(all(5));
    await send(late, event("MODIFIED", object(21)));
    expect(answers()).toEqual(all(5));
    await send(early, event("MODIFIED", object(8)));
    expect(answers()).toEqual(all(8));
    lists[late] = { resourceVersion: "9", items: [object(9)] };
    await send(late, new OperatorError("KUBE_GONE", "restored"));
    await clock.advance(1_000);
    expect(answers()).toEqual(all(9));
    await send(early, event("MODIFIED", object(12)));
    expect(answers()).toEqual(all(12));
    await send(late, event("MODIFIED", object(13)));
    expect(answers()).toEqual(all(13));
  });

  it("through an answer to our own write, or a confirmed deletion: both know at once, for good", async () => {
    await open(["a", "b"]);
    cache.overlay(ConfigMap, object(11));
    expect(answers()).toEqual(all(11));
    // Out of one selection: the other one has the answer.
    cache.overlay(ConfigMap, object(12, { labels: { [early]: "1" } }));
    expect(answers()).toEqual(all(12));
    cache.overlayDeleted(ConfigMap, { namespace: "ns", name: "x" }, "u1");
    expect(answers()).toEqual(all(undefined));
    // Old news: it was within this selection once.
    await send(late, event("ADDED", object(13)));
    expect(answers()).toEqual(all(undefined));
  });
});

describe("an informer of all objects beside one with a selector", () => {
  it.each([
    ["", "b"],
    ["b", ""],
  ])("knows an end from a change of labels (%j, %j)", async (...selectors) => {
    await open(selectors);
    await send("", event("DELETED", object(11)));
    expect(answers()).toEqual(all(undefined));
    await send("b", event("MODIFIED", object(9)));
    expect(answers()).toEqual(all(undefined));
    await send("b", event("DELETED", object(11)));
    expect(answers()).toEqual(all(undefined));
    await send("b", event("ADDED", object(14, { uid: "u2" })));
    expect(answers()).toEqual(all(14));
  });

  it("knows it from a list as well", async () => {
    await open(["", "b"]);
    lists[""] = { resourceVersion: "15", items: [] };
    await send("", new OperatorError("KUBE_GONE", "compacted"));
    await clock.advance(1_000);
    expect(answers()).toEqual(all(undefined));
    // Made after that list.
    await send("b", event("ADDED", object(16, { uid: "u2" })));
    expect(answers()).toEqual(all(16));
  });

  it("does not know the end of what a restored server has brought back", async () => {
    await open(["", "b"]);
    await send("", event("DELETED", object(11)));
    await send("b", event("DELETED", object(11)));
    lists["b"] = { resourceVersion: "7", items: [object(5)] };
    await send("b", new OperatorError("KUBE_GONE", "restored"));
    await clock.advance(1_000);
    expect(answers()).toEqual(all(5));
    // Nor does it while it reads the past itself.
    const pause = Promise.withResolvers<undefined>();
    pausing = pause.promise;
    lists[""] = { resourceVersion: "7", items: [object(5)] };
    await send("", new OperatorError("KUBE_GONE", "restored"));
    await clock.advance(1_000);
    expect(answers()).toEqual(all(5));
    pause.resolve(undefined);
    await clock.advance(0);
    expect(answers()).toEqual(all(5));
  });

  it("an index that only one watch declares shows what that watch selects, at its newest", async () => {
    await open(["a"]);
    await cache.stop();
    cache = createCache({ client, clock, random: () => 0.5, log: silentLogger });
    view = cache.view();
    lists = { a: { resourceVersion: "10", items: [object(5)] }, b: { resourceVersion: "10", items: [object(5)] } };
    view.include({ type: ConfigMap, labelSelector: "a" }, () => undefined);
    const version = ({ data }: ConfigMapObject) => [data?.["v"] ?? ""];
    view.include({ type: ConfigMap, labelSelector: "b", indexes: { version } }, () => undefined);
    cache.start();
    await clock.advance(0);
    await send("a", event("MODIFIED", object(11)));
    const found = (key: string) =>
      view.byIndex(ConfigMap, "version", key).map(({ metadata }) => metadata.resourceVersion);
    expect([found("5"), found("11")]).toEqual([[], ["11"]]);
    await send("a", event("MODIFIED", object(12, { labels: { a: "1" } })));
    expect([found("5"), found("11"), found("12")]).toEqual([[], [], []]);
  });
});

import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { LABELS } from "../../crds/group.ts";
import type { ReflectorFault } from "../../lib/kube/reflector.ts";
import { type ConfigMapObject, type KubeObject, RESOURCES } from "../../lib/kube/types.ts";
import { silentLogger } from "../../lib/node/logger.ts";
import { type FakeKube, startFakeKube, storeKey } from "../../testkit/fake-kube.ts";
import { createScaledClock } from "../../testkit/scaled-clock.ts";
import { eventually } from "../../testkit/wait.ts";
import { configMap, WIDGET, widget } from "../../testkit/widget.ts";
import { type CacheOptions, createCache, type KubeCache } from "./cache.ts";
import type { ObjectChange } from "./informer.ts";

// Goal: after every kind of interruption the memory equals the server again, and every change is told exactly once.
// A real socket lies between; backoffs run a hundred times as fast.

const { ConfigMap } = RESOURCES;
const key = (name: string, namespace = "default") => storeKey(ConfigMap, namespace, name);

let mode: "streaming" | "paged";
let fake: FakeKube;
let cache: KubeCache;
let faults: ReflectorFault[];
let changes: string[];

const textOf = ({ before, after, initial }: ObjectChange<ConfigMapObject>): string => {
  const value = (object: ConfigMapObject | undefined): string => object?.data?.["a"] ?? "–";
  return `${(after ?? before)?.metadata.name} ${value(before)}→${value(after)}${initial ? " initial" : ""}`;
};

function open(options: Partial<CacheOptions> & { labelSelector?: string } = {}) {
  const { labelSelector, ...others } = options;
  cache = createCache({
    client: fake.client(),
    clock: createScaledClock(100),
    random: () => 0.5,
    log: silentLogger,
    onFault: (_informer, fault) => faults.push(fault),
    ...others,
  });
  const view = cache.view();
  view.include({ type: ConfigMap, labelSelector }, (change) => changes.push(textOf(change)));
  return view;
}

async function fill(): Promise<void> {
  cache.start();
  await cache.waitForSync(600_000);
  await eventually("the watch is open", () => fake.watches() > 0);
}

const put = (name: string, a: string, labels: Record<string, string> = {}): KubeObject =>
  fake.store.get(key(name)) === undefined
    ? fake.store.create(key(name), configMap(name, { a }, labels), "user")
    : fake.store.merge(key(name), { data: { a } }, { manager: "user", subresource: undefined });
const remove = (name: string) => fake.store.remove(key(name), {});

/** Complete lists that were asked for, of either form; not the refused attempt at a streaming one. */
const lists = (): number => {
  const streams = fake.requests().filter(({ query }) => query.get("sendInitialEvents") !== null);
  const pages = fake.requests().filter(({ query }) => query.get("watch") === null && query.get("limit") !== "1");
  return pages.length + streams.filter(() => mode === "streaming").length;
};

describe.each(["streaming", "paged"] as const)("with %s lists", (how) => {
  beforeEach(async () => {
    mode = how;
    fake = await startFakeKube();
    faults = [];
    changes = [];
    // A server without streaming lists, as they were before Kubernetes 1.32.
    if (mode === "paged") {
      fake.inject({
        path: /sendInitialEvents/,
        times: Number.POSITIVE_INFINITY,
        action: { type: "answer", status: 422 },
      });
    }
  });
  afterEach(async () => {
    await cache.stop();
    await fake.close();
  });

  describe("reading", () => {
    it("serves frozen objects, in name order, by label", async () => {
      put("b", "2", { [LABELS.name]: "x", other: "1" });
      put("a", "1", { [LABELS.name]: "x" });
      put("c", "3", { [LABELS.name]: "y" });
      const view = open();
      await fill();
      expect(view.list(ConfigMap, "default").map((it) => it.metadata.name)).toEqual(["a", "b", "c"]);
      expect(view.list(ConfigMap, "default", { [LABELS.name]: "x" }).map((it) => it.metadata.name)).toEqual(["a", "b"]);
      expect(view.list(ConfigMap, "default", { [LABELS.name]: "x", other: "1" })).toHaveLength(1);
      expect(view.list(ConfigMap, "elsewhere")).toEqual([]);
      const object = view.get(ConfigMap, "default", "a");
      expect(object).toMatchObject({ apiVersion: "v1", kind: "ConfigMap", data: { a: "1" } });
      expect(Object.isFrozen(object?.metadata.labels)).toBe(true);
      expect(changes).toEqual(["a –→1 initial", "b –→2 initial", "c –→3 initial"]);
    });

    it("finds objects by what a controller declared, and by nothing else", async () => {
      put("a", "1");
      fake.store.create(key("b", "other"), configMap("b", { a: "1" }), "user");
      open();
      const view = cache.view();
      const throws = (): never => {
        throw new Error("unexpected object");
      };
      const indexes = { value: ({ data }: ConfigMapObject) => [data?.["a"] ?? ""], throws };
      view.include({ type: ConfigMap, indexes }, () => undefined);
      view.include({ type: ConfigMap, labelSelector: "keep=yes", indexes }, () => undefined);
      await fill();
      const found = (value: string) => view.byIndex(ConfigMap, "value", value).map(({ metadata }) => metadata.name);
      expect(found("1")).toEqual(["a", "b"]);
      put("a", "2");
      put("c", "2", { keep: "yes" });
      await eventually("indexed", () => found("2").length === 2);
      await eventually("both informers hold it", () => cache.states().every(({ objects }) => objects > 0));
      expect(found("1")).toEqual(["b"]);
      expect(found("2")).toEqual(["a", "c"]);
      // A function that throws finds nothing and stops nothing.
      expect(view.byIndex(ConfigMap, "throws", "x")).toEqual([]);
      expect(() => view.byIndex(ConfigMap, "other", "x")).toThrow("no index");
      expect(() => cache.view().byIndex(ConfigMap, "value", "1")).toThrow("not watched");
    });

    it("shares an informer between controllers, but not what they did not declare", async () => {
      const view = open();
      const other = cache.view();
      other.include({ type: ConfigMap }, () => undefined);
      await fill();
      expect(cache.states()).toHaveLength(1);
      expect(fake.watches()).toBe(1);
      expect(() => view.get(WIDGET, "default", "w")).toThrow("not watched");
    });

    it("keeps only the namespaces it was told", async () => {
      put("a", "1");
      fake.store.create(key("a", "other"), configMap("a", { a: "2" }), "user");
      const view = open({ namespaces: ["default"] });
      await fill();
      expect([...view.all(ConfigMap)]).toHaveLength(1);
    });

    it("drops what nobody reads before it is kept", async () => {
      fake.store.create(storeKey(WIDGET, "default", "w"), widget("w", { text: "long" }), "user");
      open();
      const view = cache.view();
      view.include({ type: WIDGET, transform: ({ spec: _spec, ...rest }) => rest as never }, () => undefined);
      await fill();
      expect(view.get(WIDGET, "default", "w")).toMatchObject({ metadata: { name: "w" } });
      expect(view.get(WIDGET, "default", "w")?.spec).toBeUndefined();
    });

    it("gives up when the first list does not come", async () => {
      fake.inject({ action: { type: "reset" }, times: Number.POSITIVE_INFINITY });
      open();
      cache.start();
      await eventually("broken", () => faults.includes("failed"));
      await expect(cache.waitForSync(1_000)).rejects.toMatchObject({ code: "KUBE_UNREACHABLE" });
    });

    it.each([403, 404])(
      "does not wait for a list that is refused (%s), and tells whom it keeps waiting",
      async (status) => {
        const heal = fake.inject({
          path: /widgets/,
          action: { type: "answer", status },
          times: Number.POSITIVE_INFINITY,
        });
        const view = open();
        const other = cache.view();
        other.include({ type: WIDGET }, () => undefined);
        await fill();
        expect([view.missing(), other.missing()]).toEqual([[], ["widgets.test.shieldx.dev"]]);
        expect(cache.states().map(({ synced, refused }) => [synced, refused?.details["httpStatus"]])).toEqual([
          [true, undefined],
          [false, status],
        ]);
        heal();
        await other.whenFilled();
        expect(other.missing()).toEqual([]);
        expect(cache.states().map(({ synced, refused }) => [synced, refused])).toEqual([
          [true, undefined],
          [true, undefined],
        ]);
      },
    );

    it("of several namespaces waits for those that have no answer, and not for those that are refused", async () => {
      fake.store.create(storeKey(ConfigMap, "other", "a"), configMap("a", {}), "user");
      const times = Number.POSITIVE_INFINITY;
      fake.inject({ path: /namespaces.default/, action: { type: "answer", status: 403 }, times });
      const heal = fake.inject({ path: /namespaces.other/, action: { type: "reset" }, times });
      const view = open({ namespaces: ["default", "other"] });
      cache.start();
      await eventually("both have failed", () => faults.includes("failed") && faults.includes("refused"));
      expect(cache.states()[0]).toMatchObject({ synced: false, refused: undefined });
      heal();
      await cache.waitForSync(600_000);
      expect(cache.states()[0]).toMatchObject({
        synced: true,
        refused: undefined,
        objects: 1,
        parts: [{ namespace: "default", synced: false, refused: { code: "KUBE_FORBIDDEN" } }, { synced: true }],
      });
      expect([view.isFilled("default"), view.isFilled("other")]).toEqual([false, true]);
    });
  });

  describe("watching", () => {
    it("tells every change once", async () => {
      open({ labelSelector: "keep=yes" });
      await fill();
      put("a", "1", { keep: "yes" });
      put("a", "2");
      put("a", "2");
      put("unseen", "1", { keep: "no" });
      fake.store.merge(key("a"), { metadata: { labels: { keep: "no" } } }, { manager: "user", subresource: undefined });
      await eventually("all told", () => changes.length === 3);
      expect(changes).toEqual(["a –→1", "a 1→2", "a 2→–"]);
    });

    it("is silent about a change of nothing but bookkeeping", async () => {
      put("a", "1");
      const view = open();
      await fill();
      const before = fake.store.get(key("a")) as KubeObject;
      fake.sendLine(
        JSON.stringify({
          type: "MODIFIED",
          object: { ...before, metadata: { ...before.metadata, resourceVersion: "900" } },
        }),
      );
      await eventually("seen", () => view.get(ConfigMap, "default", "a")?.metadata.resourceVersion === "900");
      expect(changes).toEqual(["a –→1 initial"]);
    });

    it("goes on from a bookmark", async () => {
      open();
      await fill();
      fake.bookmark();
      put("noise", "1");
      fake.bookmark();
      await eventually("noise told", () => changes.length === 1);
      fake.endWatches();
      const last = () => fake.requests().findLast((it) => it.query.get("watch") === "true")?.query;
      await eventually("watching again", () => last()?.get("resourceVersion") === String(fake.store.version()));
      expect(last()?.get("allowWatchBookmarks")).toBe("true");
      expect(faults).toEqual([]);
    });
  });

  describe("interruptions", () => {
    it.each([
      ["in order", () => fake.endWatches(), []],
      ["by a cut", () => fake.cutWatches(), ["cut"]],
      ["in the middle of a line", () => fake.cutWatches({ half: true }), ["cut"]],
      ["by garbage", () => fake.sendLine("<html>502 Bad Gateway</html>"), ["garbage"]],
      ["by an unknown event", () => fake.sendLine('{"type":"SURPRISE","object":{}}'), ["garbage"]],
    ])("a watch that ends %s goes on without a list", async (_name, interrupt, expected) => {
      put("a", "1");
      open();
      await fill();
      interrupt();
      put("a", "2");
      put("b", "1");
      await eventually("the rest is told", () => changes.length === 3);
      expect(changes).toEqual(["a –→1 initial", "a 1→2", "b –→1"]);
      expect(faults).toEqual(expected);
      expect(lists()).toBe(1);
      expect(cache.states()[0]?.missed).toBe(0);
    });

    it("a watch that falls silent is left after the limit", async () => {
      open({ inactivityMs: 100 });
      await fill();
      fake.stallWatches();
      put("a", "1");
      await eventually("told by the next watch", () => changes.length === 1);
      expect(faults).toContain("stalled");
      expect(lists()).toBe(1);
    });

    it.each(["status", "frame"] as const)(
      "410 as a %s gives a new list, which also shows what was deleted",
      async (how) => {
        put("stays", "1");
        put("changes", "1");
        put("goes", "1");
        const view = open();
        await fill();
        const hold = fake.inject({ watch: true, times: Number.POSITIVE_INFINITY, action: { type: "reset" } });
        fake.cutWatches();
        await eventually("the watch is gone", () => fake.watches() === 0);
        put("changes", "2");
        remove("goes");
        put("comes", "1");
        fake.compact(how);
        hold();
        await eventually("equal again", () => changes.length === 6);
        expect(changes.slice(3).sort()).toEqual(["changes 1→2", "comes –→1", "goes 1→–"]);
        expect(view.list(ConfigMap, "default").map((it) => it.metadata.name)).toEqual(["changes", "comes", "stays"]);
        expect(faults.filter((fault) => fault === "gone")).toHaveLength(1);
        expect(cache.states()[0]).toMatchObject({ relists: 1, missed: 3 });
      },
    );

    it("429 waits for as long as the server asks", async () => {
      open();
      await fill();
      fake.inject({ watch: true, action: { type: "answer", status: 429, retryAfterSeconds: 5 } });
      fake.endWatches();
      await eventually("refused", () => faults.includes("throttled"));
      put("a", "1");
      await eventually("told", () => changes.length === 1);
      expect(faults).toEqual(["throttled"]);
    });

    it("an object that was replaced by another one of its name is not taken away by the old one's end", async () => {
      const view = open();
      await fill();
      put("a", "1");
      remove("a");
      put("a", "2");
      await eventually("settled", () => view.get(ConfigMap, "default", "a")?.data?.["a"] === "2");
      expect(changes).toEqual(["a –→1", "a 1→–", "a –→2"]);
    });

    /** What a server with less history than ours answers. */
    const restoredList = async (): Promise<{ readonly version: string; readonly items: readonly KubeObject[] }> => {
      const restored = await startFakeKube();
      restored.store.create(key("a"), configMap("a", { a: "old" }), "user");
      const items = restored.store.list("/configmaps", undefined);
      await restored.close();
      return { version: String(restored.store.version()), items };
    };

    it.each(["a 410", "an outage"])(
      "a server that was restored from an older backup is believed (after %s)",
      async (what) => {
        for (let version = 0; version < 5; version += 1) put("a", `${version}`);
        put("lost", "1");
        const view = open();
        await fill();
        const { version, items } = await restoredList();
        const list = { metadata: { resourceVersion: version }, items };
        if (what === "a 410") fake.inject({ watch: true, action: { type: "answer", status: 410 } });
        else fake.inject({ watch: true, action: { type: "reset" } });
        const end = { metadata: { resourceVersion: version, annotations: { "k8s.io/initial-events-end": "true" } } };
        const lines = [...items.map((object) => ({ type: "ADDED", object })), { type: "BOOKMARK", object: end }];
        const body = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
        if (mode === "streaming")
          fake.inject({ path: /sendInitialEvents/, action: { type: "answer", status: 200, body } });
        fake.inject({
          watch: false,
          times: Number.POSITIVE_INFINITY,
          action: { type: "answer", status: 200, body: JSON.stringify(list) },
        });
        fake.inject({
          watch: true,
          path: new RegExp(`resourceVersion=${version}&`),
          times: Number.POSITIVE_INFINITY,
          action: { type: "hang" },
        });
        fake.endWatches();
        await eventually("the past is the truth", () => view.get(ConfigMap, "default", "a")?.data?.["a"] === "old");
        expect(view.get(ConfigMap, "default", "lost")).toBeUndefined();
        expect(changes.slice(2).sort()).toEqual(["a 4→old", "lost 1→–"]);
      },
    );

    it("a line from before the beginning of the watch is a reason to look again, and no loss", async () => {
      put("a", "1");
      put("b", "1");
      open();
      await fill();
      put("a", "2");
      await eventually("told", () => changes.length === 3);
      fake.sendLine('{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"1"}}}');
      put("a", "3");
      await eventually("told", () => changes.length === 4);
      await eventually("listed again", () => cache.states()[0]?.relists === 1);
      expect(faults).toEqual(["rewound"]);
      expect(changes).toEqual(["a –→1 initial", "b –→1 initial", "a 1→2", "a 2→3"]);
    });

    it("a list whose pages expire keeps nothing that went meanwhile", async () => {
      for (const name of ["a", "b", "c"]) put(name, "1");
      const view = open();
      await fill();
      const [first, version] = [fake.store.get(key("a")), String(fake.store.version())];
      const hold = fake.inject({ watch: true, times: Number.POSITIVE_INFINITY, action: { type: "reset" } });
      fake.cutWatches();
      await eventually("the watch is gone", () => fake.watches() === 0);
      remove("a");
      put("b", "2");
      // Streaming lists are lost to a proxy; of the paged one that follows the second page is.
      fake.inject({
        path: /sendInitialEvents/,
        times: Number.POSITIVE_INFINITY,
        action: { type: "answer", status: 422 },
      });
      const metadata = { resourceVersion: version, continue: "lost" };
      const body = JSON.stringify({ metadata, items: [first] });
      fake.inject({ path: /limit=500$|limit=500&(?!continue)/, action: { type: "answer", status: 200, body } });
      fake.compact("status");
      hold();
      await eventually("equal again", () => view.get(ConfigMap, "default", "b")?.data?.["a"] === "2");
      await eventually("it is gone", () => view.get(ConfigMap, "default", "a") === undefined);
      expect(changes.slice(3).sort()).toEqual(["a 1→–", "b 1→2"]);
    });

    it("a list that breaks off half-way is read again: nothing is lost, nothing told twice", async () => {
      for (const name of ["a", "b", "c"]) put(name, "1");
      const first = { type: "ADDED", object: fake.store.get(key("a")) };
      const items = [fake.store.get(key("a"))];
      const metadata = { resourceVersion: String(fake.store.version()), continue: "nowhere" };
      if (mode === "streaming") {
        const body = `${JSON.stringify(first)}\n{"type":"ADD`;
        fake.inject({ path: /sendInitialEvents/, action: { type: "answer", status: 200, body } });
      } else {
        const body = JSON.stringify({ metadata, items });
        fake.inject({ path: /limit=500$|limit=500&(?!continue)/, action: { type: "answer", status: 200, body } });
      }
      const view = open();
      await fill();
      expect(changes).toEqual(["a –→1 initial", "b –→1 initial", "c –→1 initial"]);
      expect(view.list(ConfigMap, "default")).toHaveLength(3);
      expect(faults).toHaveLength(1);
    });
  });

  describe("our own writes", () => {
    it("are read at once, told once, and not undone by older news", async () => {
      put("a", "1");
      const view = open();
      await fill();
      // The watch is late: nothing of what follows comes through it.
      fake.stallWatches();
      put("a", "2");
      const answer = put("a", "3");
      cache.overlay(ConfigMap, answer);
      expect(view.get(ConfigMap, "default", "a")?.data).toEqual({ a: "3" });
      fake.cutWatches();
      put("end", "1");
      await eventually("caught up", () => changes.includes("end –→1"));
      expect(changes).toEqual(["a –→1 initial", "a 1→3", "end –→1"]);
    });

    it("that delete are seen at once and survive the echo", async () => {
      const { metadata } = put("a", "1");
      const view = open();
      await fill();
      fake.stallWatches();
      put("a", "2");
      remove("a");
      cache.overlayDeleted(ConfigMap, { namespace: "default", name: "a" }, metadata.uid ?? "");
      expect(view.get(ConfigMap, "default", "a")).toBeUndefined();
      fake.cutWatches();
      put("end", "1");
      await eventually("caught up", () => changes.includes("end –→1"));
      expect(changes).toEqual(["a –→1 initial", "a 1→–", "end –→1"]);
    });

    it("are read at once in each of several namespaces, and in no other", async () => {
      put("a", "1");
      fake.store.create(key("a", "other"), configMap("a", { a: "1" }), "user");
      const view = open({ namespaces: ["default", "other"] });
      await fill();
      await eventually("both watches are open", () => fake.watches() === 2);
      fake.stallWatches();
      for (const namespace of ["default", "other", "elsewhere"]) {
        const made = { metadata: { name: "new", namespace }, data: { a: namespace } };
        const object = fake.store.create(key("new", namespace), { ...configMap("new", {}), ...made }, "user");
        cache.overlay(ConfigMap, object);
      }
      expect(view.get(ConfigMap, "default", "new")?.data).toEqual({ a: "default" });
      expect(view.get(ConfigMap, "other", "new")?.data).toEqual({ a: "other" });
      expect(view.get(ConfigMap, "elsewhere", "new")).toBeUndefined();
      fake.cutWatches();
      const end = { metadata: { name: "end", namespace: "other" } };
      fake.store.create(key("end", "other"), { ...configMap("end", {}), ...end }, "user");
      await eventually("caught up", () => view.get(ConfigMap, "other", "end") !== undefined);
      expect(view.list(ConfigMap, "other").map(({ metadata }) => metadata.name)).toEqual(["a", "end", "new"]);
    });

    it("that leave the selection are not undone by older news that were on their way", async () => {
      put("a", "1", { keep: "yes" });
      const view = open({ labelSelector: "keep=yes" });
      await fill();
      fake.stallWatches();
      put("a", "2");
      const out = { metadata: { labels: { keep: "no" } } };
      cache.overlay(ConfigMap, fake.store.merge(key("a"), out, { manager: "user", subresource: undefined }));
      expect(changes).toEqual(["a –→1 initial", "a 1→–"]);
      // The next watch tells both: the change that was within the selection, and the end.
      fake.cutWatches();
      put("end", "1", { keep: "yes" });
      await eventually("caught up", () => changes.includes("end –→1"));
      expect(changes).toEqual(["a –→1 initial", "a 1→–", "end –→1"]);
      expect(view.get(ConfigMap, "default", "a")).toBeUndefined();
    });

    it("that leave the selection leave the cache", async () => {
      put("a", "1", { keep: "yes" });
      const view = open({ labelSelector: "keep=yes" });
      await fill();
      const object = fake.store.merge(
        key("a"),
        { metadata: { labels: { keep: "no" } } },
        { manager: "user", subresource: undefined },
      );
      cache.overlay(ConfigMap, object);
      expect(view.get(ConfigMap, "default", "a")).toBeUndefined();
    });

    it("bring nothing back when their answer comes after the end of their object", async () => {
      put("a", "1");
      const view = open();
      await fill();
      const answer = put("a", "2");
      remove("a");
      await eventually("gone", () => changes.includes("a 2→–"));
      cache.overlay(ConfigMap, answer);
      expect(view.get(ConfigMap, "default", "a")).toBeUndefined();
      // Another object of the same name is not the one that ended.
      cache.overlay(ConfigMap, put("a", "3"));
      expect(view.get(ConfigMap, "default", "a")?.data).toEqual({ a: "3" });
      expect(changes).toEqual(["a –→1 initial", "a 1→2", "a 2→–", "a –→3"]);
    });

    it("bring nothing back when the server said that it is gone for good, whatever comes later", async () => {
      const { metadata } = put("a", "1");
      const view = open();
      await fill();
      const answer = put("a", "2");
      cache.overlayDeleted(ConfigMap, { namespace: "default", name: "a" }, metadata.uid ?? "");
      remove("a");
      put("end", "1");
      await eventually("caught up", () => changes.includes("end –→1"));
      cache.overlay(ConfigMap, answer);
      expect(view.get(ConfigMap, "default", "a")).toBeUndefined();
    });

    it("bring nothing back that has left the selection, but what has come into it again", async () => {
      const label = (keep: string): KubeObject =>
        fake.store.merge(key("a"), { metadata: { labels: { keep } } }, { manager: "user", subresource: undefined });
      put("a", "1", { keep: "yes" });
      const view = open({ labelSelector: "keep=yes" });
      await fill();
      const answer = put("a", "2");
      label("no");
      await eventually("left", () => changes.includes("a 2→–"));
      cache.overlay(ConfigMap, answer);
      expect(view.get(ConfigMap, "default", "a")).toBeUndefined();
      label("yes");
      await eventually("back", () => view.get(ConfigMap, "default", "a") !== undefined);
    });

    it.each(["held", "never held"])("bring nothing back that a list has shown to be gone (%s before)", async (how) => {
      if (how === "held") put("a", "1");
      const view = open();
      await fill();
      fake.stallWatches();
      const answer = put("a", "2");
      remove("a");
      fake.compact("status");
      fake.cutWatches();
      await eventually("listed again", () => cache.states()[0]?.relists === 1);
      cache.overlay(ConfigMap, answer);
      expect(view.get(ConfigMap, "default", "a")).toBeUndefined();
    });

    it("survive a list that was on its way", async () => {
      const view = open();
      let go: () => void = () => undefined;
      const until = new Promise<void>((resolve) => {
        go = resolve;
      });
      await fill();
      fake.compact("status");
      // The list is cut off at this version; our object is made after it.
      const metadata = { resourceVersion: String(fake.store.version()) };
      const end = { metadata: { ...metadata, annotations: { "k8s.io/initial-events-end": "true" } } };
      const body =
        mode === "paged"
          ? JSON.stringify({ metadata, items: [] })
          : `${JSON.stringify({ type: "BOOKMARK", object: end })}\n`;
      const path = mode === "paged" ? /limit=500/ : /sendInitialEvents/;
      fake.inject({ path, action: { type: "answer", status: 200, body, until } });
      fake.endWatches();
      await eventually("listing", () => lists() >= 2);
      cache.overlay(ConfigMap, put("ours", "1"));
      go();
      await eventually("relisted and watching", () => fake.watches() === 1);
      expect(view.get(ConfigMap, "default", "ours")?.data).toEqual({ a: "1" });
    });
  });
});

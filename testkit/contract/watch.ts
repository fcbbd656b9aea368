import { describe, expect, it } from "@jest/globals";
import { RESOURCES } from "../../lib/kube/types.ts";
import { configMap } from "../widget.ts";
import { type ContractCases, collect, ref } from "./server.ts";
import { pathOf, sendWire, type WireEvent, type WireWatch, watchWire } from "./wire.ts";

const { ConfigMap, Secret } = RESOURCES;

/** Asks for the state first, as client-go does since 0.35. */
const STREAMING_LIST = {
  watch: "true",
  allowWatchBookmarks: "true",
  sendInitialEvents: "true",
  resourceVersionMatch: "NotOlderThan",
};

export const watchCases: ContractCases = (server) => {
  const client = () => server().client();
  const target = () => server().target.server;
  const open = (query: Record<string, string>) =>
    watchWire(target(), pathOf(ConfigMap, "", { watch: "true", ...query }));
  /** The next line that means something: a server may send plain bookmarks at any time. */
  const nextOf = async (watch: WireWatch): Promise<WireEvent | undefined> => {
    for (;;) {
      const event = await watch.next();
      if (event?.type !== "BOOKMARK" || event.object.metadata.annotations !== undefined) return event;
    }
  };
  const take = async (watch: WireWatch, count: number): Promise<WireEvent[]> => {
    const events: WireEvent[] = [];
    for (let index = 0; index < count; index += 1) {
      const event = await nextOf(watch);
      if (event !== undefined) events.push(event);
    }
    await watch.close();
    return events;
  };
  const textOf = ({ type, object }: WireEvent): string => `${type} ${object.metadata.name ?? ""}`.trim();
  const create = (name: string, labels: Record<string, string>) =>
    client().create(ConfigMap, configMap(name, {}, labels));

  describe("watches", () => {
    it("tell what happened since a version: also objects that enter and leave the selection", async () => {
      const { resourceVersion } = await client().list(ConfigMap, { namespace: "default" });
      await client().create(ConfigMap, configMap("watched", { a: "1" }, { watched: "yes" }));
      const merge = (patch: unknown) => client().patch(ConfigMap, ref("watched"), { format: "merge", patch });
      await merge({ data: { a: "2" } });
      await merge({ metadata: { labels: { watched: "no" } } });
      await merge({ metadata: { labels: { watched: "yes" } } });
      await client().delete(ConfigMap, ref("watched"));
      const events = await collect(
        client().watch(ConfigMap, { namespace: "default", labelSelector: "watched=yes", resourceVersion }),
        5,
      );
      expect(events.map((event) => event.type)).toEqual(["ADDED", "MODIFIED", "DELETED", "ADDED", "DELETED"]);
      const versions = events.map((event) => Number(event.object.metadata.resourceVersion));
      expect(versions).toEqual([...versions].sort((a, b) => a - b));
      // The last state that was selected, at the version of the change that ended it.
      expect(events[2]?.object).toMatchObject({ data: { a: "2" }, metadata: { labels: { watched: "yes" } } });
    });

    it("replay from each version in between", async () => {
      const made = await create("replayed", { replayed: "yes" });
      const second = await client().patch(ConfigMap, ref("replayed"), { format: "merge", patch: { data: { a: "2" } } });
      await client().patch(ConfigMap, ref("replayed"), { format: "merge", patch: { data: { a: "3" } } });
      const from = async (resourceVersion: string, count: number) => {
        const events = await take(await open({ labelSelector: "replayed=yes", resourceVersion }), count);
        return events.map(({ type, object }) => `${type} ${(object["data"] as { a: string }).a}`);
      };
      expect(await from(made.metadata.resourceVersion ?? "", 2)).toEqual(["MODIFIED 2", "MODIFIED 3"]);
      expect(await from(second.metadata.resourceVersion ?? "", 1)).toEqual(["MODIFIED 3"]);
    });

    it("end in order after the time that was asked for", async () => {
      const watch = await open({ resourceVersion: "0", labelSelector: "nobody=here", timeoutSeconds: "1" });
      expect(await watch.next()).toBeUndefined();
    });

    it("are stopped by a signal", async () => {
      const { resourceVersion } = await client().list(ConfigMap, { namespace: "default" });
      const stop = new AbortController();
      const onOpen = (): void => stop.abort();
      const watch = client().watch(Secret, { namespace: "default", resourceVersion, signal: stop.signal, onOpen });
      await expect(collect(watch, 1)).rejects.toMatchObject({ code: "ABORTED" });
    });

    it("of a version that is not there yet wait for it", async () => {
      const { metadata } = await create("early-a", { early: "yes" });
      const resourceVersion = String(Number(metadata.resourceVersion) + 1);
      const watch = await open({ labelSelector: "early=yes", resourceVersion });
      await create("early-b", { early: "yes" });
      await create("early-c", { early: "yes" });
      expect((await take(watch, 1)).map(textOf)).toEqual(["ADDED early-c"]);
    });
  });

  describe("streaming lists", () => {
    it("send the state, then a bookmark that says so, then what happens", async () => {
      await create("stream-a", { stream: "yes" });
      await create("stream-b", { stream: "yes" });
      const watch = await open({ ...STREAMING_LIST, labelSelector: "stream=yes" });
      const first = [await nextOf(watch), await nextOf(watch), await nextOf(watch)] as WireEvent[];
      expect(first.map(textOf)).toEqual(["ADDED stream-a", "ADDED stream-b", "BOOKMARK"]);
      expect(first[0]?.object).toMatchObject({ kind: "ConfigMap", apiVersion: "v1" });
      expect(first[2]?.object).toEqual({
        kind: "ConfigMap",
        apiVersion: "v1",
        metadata: {
          resourceVersion: expect.stringMatching(/^\d+$/),
          annotations: { "k8s.io/initial-events-end": "true" },
        },
      });
      const end = Number(first[2]?.object.metadata.resourceVersion);
      expect(end).toBeGreaterThanOrEqual(Number(first[1]?.object.metadata.resourceVersion));
      await create("stream-c", { stream: "yes" });
      await client().delete(ConfigMap, ref("stream-a"));
      expect((await take(watch, 2)).map(textOf)).toEqual(["ADDED stream-c", "DELETED stream-a"]);
    });

    it("of nothing are the bookmark alone", async () => {
      const [event] = await take(await open({ ...STREAMING_LIST, labelSelector: "nobody=here" }), 1);
      expect(event?.object.metadata["annotations"]).toEqual({ "k8s.io/initial-events-end": "true" });
    });

    it("send no bookmark to whoever did not allow them", async () => {
      await create("silent-a", { silent: "yes" });
      const watch = await open({ ...STREAMING_LIST, allowWatchBookmarks: "false", labelSelector: "silent=yes" });
      await create("silent-b", { silent: "yes" });
      expect((await take(watch, 2)).map(textOf)).toEqual(["ADDED silent-a", "ADDED silent-b"]);
    });

    it("are what a watch from no version, or from any, is too", async () => {
      await create("legacy-a", { legacy: "yes" });
      for (const query of [{}, { resourceVersion: "0" }]) {
        const plain = await take(await open({ ...query, labelSelector: "legacy=yes" }), 1);
        expect(plain.map(textOf)).toEqual(["ADDED legacy-a"]);
        const marked = await open({ ...query, labelSelector: "legacy=yes", allowWatchBookmarks: "true" });
        expect((await take(marked, 2)).map(textOf)).toEqual(["ADDED legacy-a", "BOOKMARK"]);
      }
    });

    it("can be declined: then only what happens next is told", async () => {
      const { metadata } = await create("declined-a", { declined: "yes" });
      const how = { sendInitialEvents: "false", resourceVersionMatch: "NotOlderThan" };
      const resourceVersion = metadata.resourceVersion ?? "";
      const watch = await open({ ...how, resourceVersion, labelSelector: "declined=yes" });
      await create("declined-b", { declined: "yes" });
      expect((await take(watch, 1)).map(textOf)).toEqual(["ADDED declined-b"]);
    });

    it.each([
      [
        { watch: "true", sendInitialEvents: "true" },
        "resourceVersionMatch",
        "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
      ],
      [
        { watch: "true", resourceVersionMatch: "NotOlderThan" },
        "resourceVersionMatch",
        "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
      ],
      [{ sendInitialEvents: "true" }, "sendInitialEvents", "sendInitialEvents is forbidden for list"],
    ] as const)("%j is refused", async (query, field, why) => {
      const { status, body } = await sendWire(target(), `GET ${pathOf(ConfigMap, "", query)}`);
      expect([status, body.reason, body.message]).toEqual([
        422,
        "Invalid",
        `ListOptions.meta.k8s.io "" is invalid: ${field}: Forbidden: ${why}`,
      ]);
      expect(body.details).toEqual({
        group: "meta.k8s.io",
        kind: "ListOptions",
        causes: [{ reason: "FieldValueForbidden", message: `Forbidden: ${why}`, field }],
      });
    });
  });
};

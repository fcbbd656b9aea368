import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { systemClock } from "../../lib/core/clock.ts";
import type { KubeClient } from "../../lib/kube/client.ts";
import { followObject } from "../../lib/kube/follow.ts";
import { createLeaseHolder } from "../../lib/kube/lease.ts";
import { apiVersionOf } from "../../lib/kube/paths.ts";
import {
  type ConfigMapObject,
  type KubeObject,
  type LeaseObject,
  RESOURCES,
  type ResourceType,
} from "../../lib/kube/types.ts";
import type { WatchEvent } from "../../lib/kube/watch-stream.ts";
import { silentLogger } from "../../lib/node/logger.ts";
import { eventually } from "./wait.ts";
import { configMap, WIDGET, widget } from "./widget.ts";

/** A server under test. It knows widgets. */
export interface ContractServer {
  client(): KubeClient;
  stop(): Promise<void>;
}

const { ConfigMap, Lease, Secret } = RESOURCES;
const DEPLOYMENT_SPEC = {
  replicas: 0,
  selector: { matchLabels: { app: "x" } },
  template: { metadata: { labels: { app: "x" } }, spec: { containers: [{ name: "main", image: "example/x:1" }] } },
};
const ref = (name: string) => ({ namespace: "default", name });

/**
 * What every test relies on, asked of the fake and of a real API server alike: where they differ, the fake is wrong.
 * Each case uses names of its own.
 */
export function describeKubeContract(start: () => Promise<ContractServer>): void {
  let server: ContractServer;
  let client: KubeClient;
  beforeAll(async () => {
    server = await start();
    client = server.client();
  });
  afterAll(() => server.stop());

  describe("objects", () => {
    it("are created once, read, found absent", async () => {
      const created = await client.create(ConfigMap, configMap("one", { a: "1" }));
      expect(created).toMatchObject({
        kind: "ConfigMap",
        data: { a: "1" },
        metadata: { name: "one", namespace: "default" },
      });
      expect(created.metadata.uid).toBeTruthy();
      expect(await client.get(ConfigMap, ref("one"))).toEqual(created);
      await expect(client.create(ConfigMap, configMap("one", {}))).rejects.toMatchObject({
        code: "KUBE_ALREADY_EXISTS",
      });
      await expect(client.get(ConfigMap, ref("none"))).rejects.toMatchObject({ code: "KUBE_NOT_FOUND" });
      expect(await client.find(ConfigMap, ref("none"))).toBeUndefined();
      await expect(client.patch(ConfigMap, ref("none"), { format: "merge", patch: {} })).rejects.toMatchObject({
        code: "KUBE_NOT_FOUND",
      });
      await expect(client.delete(ConfigMap, ref("none"))).rejects.toMatchObject({ code: "KUBE_NOT_FOUND" });
    });

    it("are replaced only at the version that was read", async () => {
      const first = await client.create(ConfigMap, configMap("versions", { a: "1" }));
      const second = await client.replace(ConfigMap, { ...first, data: { a: "2" } });
      expect(Number(second.metadata.resourceVersion)).toBeGreaterThan(Number(first.metadata.resourceVersion));
      const stale = { ...first, data: { a: "3" } } as ConfigMapObject;
      await expect(client.replace(ConfigMap, stale)).rejects.toMatchObject({ code: "KUBE_CONFLICT" });
      const patch = { metadata: { resourceVersion: first.metadata.resourceVersion }, data: { a: "4" } };
      await expect(client.patch(ConfigMap, ref("versions"), { format: "merge", patch })).rejects.toMatchObject({
        code: "KUBE_CONFLICT",
      });
      expect(await client.get(ConfigMap, ref("versions"))).toEqual(second);
    });

    it("keep their version when a write changes nothing", async () => {
      const first = await client.create(ConfigMap, configMap("same", { a: "1" }));
      const patched = await client.patch(ConfigMap, ref("same"), { format: "merge", patch: { data: { a: "1" } } });
      expect(patched.metadata.resourceVersion).toBe(first.metadata.resourceVersion);
    });

    it("are deleted only under the uid that was read", async () => {
      const { metadata } = await client.create(ConfigMap, configMap("deleted", {}));
      await expect(client.delete(ConfigMap, ref("deleted"), { uid: "another" })).rejects.toMatchObject({
        code: "KUBE_CONFLICT",
      });
      expect(await client.delete(ConfigMap, ref("deleted"), { uid: metadata.uid })).toBeUndefined();
      expect(await client.find(ConfigMap, ref("deleted"))).toBeUndefined();
    });

    it("stay until their last finalizer is gone", async () => {
      await client.create(WIDGET, widget("held", {}, { finalizers: ["test.shieldx.dev/hold"] }));
      const held = await client.delete(WIDGET, ref("held"));
      expect(held?.metadata.deletionTimestamp).toBeTruthy();
      await client.patch(WIDGET, ref("held"), { format: "merge", patch: { metadata: { finalizers: null } } });
      expect(await client.find(WIDGET, ref("held"))).toBeUndefined();
    });

    it("raise their generation with the spec alone", async () => {
      const first = await client.create(WIDGET, widget("generations", { size: 1 }));
      expect(first.metadata.generation).toBe(1);
      const patch = (change: unknown, subresource?: string) =>
        client.patch(WIDGET, ref("generations"), { format: "merge", patch: change, subresource });
      expect((await patch({ metadata: { labels: { a: "b" } } })).metadata.generation).toBe(1);
      expect((await patch({ status: { phase: "x" } }, "status")).metadata.generation).toBe(1);
      expect((await patch({ spec: { size: 2 } })).metadata.generation).toBe(2);
    });
  });

  describe("the status subresource", () => {
    it("takes status and nothing else, and is the only way to it", async () => {
      const made = await client.create(WIDGET, { ...widget("status"), status: { phase: "mine" } });
      expect(made.status).toBeUndefined();
      const patch = { spec: { size: 9 }, status: { phase: "done" } };
      const after = await client.patch(WIDGET, ref("status"), { format: "merge", patch, subresource: "status" });
      expect(after).toMatchObject({ spec: { size: 1 }, status: { phase: "done" } });
      const main = await client.patch(WIDGET, ref("status"), { format: "merge", patch: { status: { phase: "lost" } } });
      expect(main.status).toEqual({ phase: "done" });
    });

    it("is applied whole: members that are left out go away", async () => {
      const { metadata } = await client.create(WIDGET, widget("applied-status"));
      const apply = (status: object) =>
        client.apply(
          WIDGET,
          {
            apiVersion: "test.shieldx.dev/v1",
            kind: "Widget",
            metadata: { ...ref("applied-status"), uid: metadata.uid },
            status,
          } as KubeObject,
          { fieldManager: "tester", force: true, subresource: "status" },
        );
      expect((await apply({ a: 1, b: { c: 2 } }))["status"]).toEqual({ a: 1, b: { c: 2 } });
      const second = await apply({ a: 1 });
      expect(second["status"]).toEqual({ a: 1 });
      expect((await apply({ a: 1 })).metadata.resourceVersion).toBe(second.metadata.resourceVersion);
      expect((await client.get(WIDGET, ref("applied-status"))).spec).toEqual({ size: 1 });
      await client.delete(WIDGET, ref("applied-status"));
      await expect(apply({ a: 2 })).rejects.toMatchObject({ status: expect.any(Number) });
      expect(await client.find(WIDGET, ref("applied-status"))).toBeUndefined();
    });
  });

  describe("server-side apply", () => {
    const apply = (object: KubeObject, fieldManager = "tester", force = false): Promise<ConfigMapObject> =>
      client.apply(ConfigMap, object, { fieldManager, force });

    it("creates, and a second apply of the same object changes nothing", async () => {
      const first = await apply(configMap("apply", { a: "1" }, { l: "m" }));
      expect(first.data).toEqual({ a: "1" });
      expect((await apply(configMap("apply", { a: "1" }, { l: "m" }))).metadata.resourceVersion).toBe(
        first.metadata.resourceVersion,
      );
    });

    it("removes what the manager no longer names and leaves what is not its own", async () => {
      await apply(configMap("partial", { a: "1", b: "2" }));
      await client.patch(ConfigMap, ref("partial"), {
        format: "merge",
        patch: { data: { other: "x" } },
        fieldManager: "else",
      });
      expect((await apply(configMap("partial", { a: "1" }))).data).toEqual({ a: "1", other: "x" });
    });

    it("refuses a field that another manager changed, unless it is forced", async () => {
      await apply(configMap("conflict", { a: "1", b: "1" }));
      await client.patch(ConfigMap, ref("conflict"), {
        format: "merge",
        patch: { data: { a: "9" } },
        fieldManager: "else",
      });
      await expect(apply(configMap("conflict", { a: "2", b: "1" }))).rejects.toMatchObject({
        code: "KUBE_FIELD_CONFLICT",
      });
      expect((await client.get(ConfigMap, ref("conflict"))).data).toEqual({ a: "9", b: "1" });
      expect((await apply(configMap("conflict", { a: "2", b: "1" }), "tester", true)).data).toEqual({ a: "2", b: "1" });
    });

    it("refuses an object that is another one than the uid says, or none", async () => {
      await apply(configMap("uid", { a: "1" }));
      const other = configMap("uid", { a: "2" });
      other.metadata.uid = "another";
      await expect(apply(other)).rejects.toMatchObject({ code: "KUBE_CONFLICT" });
      const absent = configMap("uid-absent", { a: "2" });
      absent.metadata.uid = "another";
      await expect(apply(absent)).rejects.toMatchObject({ code: "KUBE_CONFLICT" });
      expect(await client.find(ConfigMap, ref("uid-absent"))).toBeUndefined();
    });
  });

  describe("server-side apply at version 1, which no object has", () => {
    it.each([ConfigMap, Secret, RESOURCES.Deployment, RESOURCES.Lease, WIDGET])(
      "creates a $kind, and never merges into one that is there",
      async (type) => {
        const name = `absent-${type.plural}`;
        const object: KubeObject = {
          apiVersion: apiVersionOf(type),
          kind: type.kind,
          metadata: { namespace: "default", name, resourceVersion: "1" },
          ...(type.kind === "Deployment" ? { spec: DEPLOYMENT_SPEC } : {}),
        };
        const made = await client.apply(type, object, { fieldManager: "tester" });
        expect(made.metadata.resourceVersion).not.toBe("1");
        const labelled = { ...object, metadata: { ...object.metadata, labels: { changed: "true" } } };
        for (const fieldManager of ["tester", "else"]) {
          await expect(client.apply(type, labelled, { fieldManager })).rejects.toMatchObject({ code: "KUBE_CONFLICT" });
        }
        expect((await client.get(type, ref(name))).metadata.resourceVersion).toBe(made.metadata.resourceVersion);
      },
    );
  });

  describe("lists and watches", () => {
    it("list by label, each item with its kind, at one version", async () => {
      for (const name of ["list-a", "list-b"])
        await client.create(ConfigMap, configMap(name, {}, { listed: "yes", name }));
      const labelSelector = "listed=yes";
      const { items, resourceVersion } = await client.list(ConfigMap, { namespace: "default", labelSelector });
      expect(items.map(({ kind, apiVersion, metadata }) => [apiVersion, kind, metadata.name])).toEqual([
        ["v1", "ConfigMap", "list-a"],
        ["v1", "ConfigMap", "list-b"],
      ]);
      expect(Number(resourceVersion)).toBeGreaterThanOrEqual(Number(items[1]?.metadata.resourceVersion));
      const everywhere = await client.list(ConfigMap, { labelSelector: "listed,name=list-b" });
      expect(everywhere.items).toHaveLength(1);
      const byName = await client.list(ConfigMap, { namespace: "default", fieldSelector: "metadata.name=list-a" });
      expect(byName.items).toHaveLength(1);
    });

    it("read a list of more than one page", async () => {
      const names = Array.from({ length: 501 }, (_, index) => `paged-${String(index).padStart(3, "0")}`);
      // Sixteen at a time, as the pool has connections.
      const rest = names.values();
      await Promise.all(
        Array.from({ length: 16 }, async () => {
          for (const name of rest) await client.create(ConfigMap, configMap(name, {}, { paged: "yes" }));
        }),
      );
      let pages = 0;
      const seen: string[] = [];
      for await (const page of client.pages(ConfigMap, { namespace: "default", labelSelector: "paged=yes" })) {
        pages += 1;
        seen.push(...page.items.map((item) => item.metadata.name));
      }
      expect(pages).toBe(2);
      expect(seen).toEqual(names);
    });

    it("watch what happened since a version: also objects that enter and leave the selection", async () => {
      const { resourceVersion } = await client.list(ConfigMap, { namespace: "default" });
      await client.create(ConfigMap, configMap("watched", { a: "1" }, { watched: "yes" }));
      const merge = (patch: unknown) => client.patch(ConfigMap, ref("watched"), { format: "merge", patch });
      await merge({ data: { a: "2" } });
      await merge({ metadata: { labels: { watched: "no" } } });
      await merge({ metadata: { labels: { watched: "yes" } } });
      await client.delete(ConfigMap, ref("watched"));
      const events = await collect(
        client.watch(ConfigMap, { namespace: "default", labelSelector: "watched=yes", resourceVersion }),
        5,
      );
      expect(events.map((event) => event.type)).toEqual(["ADDED", "MODIFIED", "DELETED", "ADDED", "DELETED"]);
      const versions = events.map((event) => Number(event.object.metadata.resourceVersion));
      expect(versions).toEqual([...versions].sort((a, b) => a - b));
    });

    it("stop a watch by its signal", async () => {
      const { resourceVersion } = await client.list(ConfigMap, { namespace: "default" });
      const stop = new AbortController();
      const onOpen = (): void => stop.abort();
      const watch = client.watch(Secret, { namespace: "default", resourceVersion, signal: stop.signal, onOpen });
      await expect(collect(watch, 1)).rejects.toMatchObject({ code: "ABORTED" });
    });

    it("follow one object by name through its whole life", async () => {
      const story: (string | undefined)[] = [];
      const stop = new AbortController();
      const running = followObject({
        client,
        type: ConfigMap,
        ref: ref("followed"),
        clock: systemClock,
        random: () => 0.5,
        log: silentLogger,
        onChange: (object) => story.push(object?.data?.["a"]),
      }).run(stop.signal);
      await eventually("absence seen", () => story.length === 1);
      await client.create(ConfigMap, configMap("followed", { a: "1" }));
      await client.create(ConfigMap, configMap("followed-not", { a: "2" }));
      await eventually("creation seen", () => story.length === 2);
      await client.delete(ConfigMap, ref("followed"));
      await eventually("deletion seen", () => story.length === 3);
      expect(story).toEqual([undefined, "1", undefined]);
      stop.abort();
      await running;
    });
  });

  describe("Leases", () => {
    it("pass from one process to the other on release, with a higher epoch, and keep their labels", async () => {
      await client.create(Lease, leaseObject("right"));
      const join = (identity: string) =>
        createLeaseHolder({
          client,
          ...ref("right"),
          identity,
          durationSeconds: 3,
          renewSeconds: 2,
          retrySeconds: 0.1,
          clock: systemClock,
          random: () => 0.5,
          log: silentLogger,
          holderUrl: `https://${identity}`,
        });
      const a = join("a");
      void a.run();
      await eventually("a holds", () => a.isHeld());
      const b = join("b");
      void b.run();
      await eventually("b sees a", () => b.record()?.holderUrl === "https://a");
      await a.stop();
      await eventually("b holds", () => b.isHeld());
      expect(a.isHeld()).toBe(false);
      expect(b.epoch()).toBe(2);
      expect(await b.setMinimumEpoch(40)).toBe(40);
      const lease = await client.get(Lease, ref("right"));
      expect(lease.metadata.labels).toEqual({ keep: "me" });
      expect(lease.spec).toMatchObject({ holderIdentity: "b", leaseTransitions: 40, leaseDurationSeconds: 3 });
      await b.stop();
      expect((await client.get(Lease, ref("right"))).spec?.holderIdentity ?? "").toBe("");
    });
  });
}

function leaseObject(name: string): LeaseObject {
  return { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: { ...ref(name), labels: { keep: "me" } } };
}

async function collect<T extends KubeObject>(
  watch: AsyncIterable<WatchEvent<T>>,
  count: number,
): Promise<WatchEvent<T>[]> {
  const events: WatchEvent<T>[] = [];
  for await (const event of watch) {
    if (event.type === "BOOKMARK") continue;
    events.push(event);
    if (events.length === count) break;
  }
  return events;
}

/** Waits until a real server serves a kind. */
export async function waitForKind(client: KubeClient, type: ResourceType): Promise<void> {
  await eventually(`${type.kind} is served`, () =>
    client.list(type, { namespace: "default", retries: 0 }).then(
      () => true,
      () => false,
    ),
  );
}

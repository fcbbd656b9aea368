import { describe, expect, it } from "@jest/globals";
import { type ConfigMapObject, RESOURCES } from "../../lib/kube/types.ts";
import { objectOf } from "../builders.ts";
import { configMap, WIDGET, widget } from "../widget.ts";
import { type ContractCases, ref } from "./server.ts";
import { pathOf, sendWire } from "./wire.ts";

const { ConfigMap, Pod, Service } = RESOURCES;

export const objectCases: ContractCases = (server) => {
  const client = () => server().client();
  const send = (request: string, body?: unknown) => sendWire(server().target.server, request, body);

  describe("objects", () => {
    it("are created once, read, found absent", async () => {
      const created = await client().create(ConfigMap, configMap("one", { a: "1" }));
      expect(created).toMatchObject({
        kind: "ConfigMap",
        data: { a: "1" },
        metadata: { name: "one", namespace: "default" },
      });
      expect(created.metadata.uid).toBeTruthy();
      expect(await client().get(ConfigMap, ref("one"))).toEqual(created);
      await expect(client().create(ConfigMap, configMap("one", {}))).rejects.toMatchObject({
        code: "KUBE_ALREADY_EXISTS",
      });
      await expect(client().get(ConfigMap, ref("none"))).rejects.toMatchObject({ code: "KUBE_NOT_FOUND" });
      expect(await client().find(ConfigMap, ref("none"))).toBeUndefined();
      await expect(client().patch(ConfigMap, ref("none"), { format: "merge", patch: {} })).rejects.toMatchObject({
        code: "KUBE_NOT_FOUND",
      });
      await expect(client().delete(ConfigMap, ref("none"))).rejects.toMatchObject({ code: "KUBE_NOT_FOUND" });
    });

    it("get a name where only its beginning is given", async () => {
      const made = await Promise.all(
        [1, 2].map(() => send(`POST ${pathOf(ConfigMap)}`, { metadata: { generateName: "made-" } })),
      );
      const names = made.map(({ body }) => body.metadata.name);
      expect(names).toEqual([expect.stringMatching(/^made-[a-z0-9]{5}$/), expect.stringMatching(/^made-[a-z0-9]{5}$/)]);
      expect(new Set(names).size).toBe(2);
      expect(made[0]?.body).toMatchObject({ kind: "ConfigMap", apiVersion: "v1", metadata: { generateName: "made-" } });
    });

    it("are replaced only at the version that was read", async () => {
      const first = await client().create(ConfigMap, configMap("versions", { a: "1" }));
      const second = await client().replace(ConfigMap, { ...first, data: { a: "2" } });
      expect(Number(second.metadata.resourceVersion)).toBeGreaterThan(Number(first.metadata.resourceVersion));
      const stale = { ...first, data: { a: "3" } } as ConfigMapObject;
      await expect(client().replace(ConfigMap, stale)).rejects.toMatchObject({ code: "KUBE_CONFLICT" });
      const patch = { metadata: { resourceVersion: first.metadata.resourceVersion }, data: { a: "4" } };
      await expect(client().patch(ConfigMap, ref("versions"), { format: "merge", patch })).rejects.toMatchObject({
        code: "KUBE_CONFLICT",
      });
      expect(await client().get(ConfigMap, ref("versions"))).toEqual(second);
    });

    it("keep their version when a write changes nothing", async () => {
      const first = await client().create(ConfigMap, configMap("same", { a: "1" }));
      const patched = await client().patch(ConfigMap, ref("same"), { format: "merge", patch: { data: { a: "1" } } });
      expect(patched.metadata.resourceVersion).toBe(first.metadata.resourceVersion);
    });

    it("are deleted only under the uid and the version that were read", async () => {
      const { metadata } = await client().create(ConfigMap, configMap("deleted", {}));
      for (const precondition of [{ uid: "another" }, { uid: metadata.uid, resourceVersion: "1" }]) {
        await expect(client().delete(ConfigMap, ref("deleted"), precondition)).rejects.toMatchObject({
          code: "KUBE_CONFLICT",
        });
      }
      const { uid, resourceVersion } = metadata;
      expect(await client().delete(ConfigMap, ref("deleted"), { uid, resourceVersion })).toBeUndefined();
      expect(await client().find(ConfigMap, ref("deleted"))).toBeUndefined();
    });

    it("keep members that nobody here knows", async () => {
      const made = await client().create(WIDGET, {
        ...widget("unknown"),
        metadata: { ...ref("unknown"), labels: { a: "b" } },
      });
      const annotations = { "example.org/later": "1" };
      const replaced = await client().replace(WIDGET, { ...made, metadata: { ...made.metadata, annotations } });
      expect(replaced.metadata).toMatchObject({ labels: { a: "b" }, annotations, uid: made.metadata.uid });
    });
  });

  describe("deletion", () => {
    it("waits for the last finalizer, and takes no new one", async () => {
      const { metadata } = await client().create(WIDGET, widget("held", {}, { finalizers: ["test.shieldx.dev/hold"] }));
      expect(metadata.generation).toBe(1);
      const held = await client().delete(WIDGET, ref("held"));
      expect(held?.metadata.deletionTimestamp).toBeTruthy();
      // The mark counts as a change of what is wanted.
      expect(held?.metadata.generation).toBe(2);
      const again = await client().delete(WIDGET, ref("held"));
      expect(again?.metadata).toEqual(held?.metadata);
      const patch = (change: unknown) => client().patch(WIDGET, ref("held"), { format: "merge", patch: change });
      await expect(
        patch({ metadata: { finalizers: ["test.shieldx.dev/hold", "test.shieldx.dev/new"] } }),
      ).rejects.toMatchObject({ code: "KUBE_INVALID", details: { kubeReason: "Invalid" } });
      expect((await patch({ spec: { size: 5 } })).spec).toEqual({ size: 5 });
      await patch({ metadata: { finalizers: null } });
      expect(await client().find(WIDGET, ref("held"))).toBeUndefined();
    });

    it.each([
      ["Foreground", "foregroundDeletion"],
      ["Orphan", "orphan"],
    ] as const)(
      "with propagation %s is left to the garbage collector by a finalizer",
      async (propagation, finalizer) => {
        const name = `propagation-${propagation.toLowerCase()}`;
        await client().create(ConfigMap, configMap(name, {}));
        const held = await client().delete(ConfigMap, ref(name), { propagation });
        expect(held?.metadata).toMatchObject({ finalizers: [finalizer], deletionTimestamp: expect.any(String) });
        await client().patch(ConfigMap, ref(name), { format: "merge", patch: { metadata: { finalizers: null } } });
        expect(await client().find(ConfigMap, ref(name))).toBeUndefined();
      },
    );

    it("of a pod can be an eviction", async () => {
      const spec = { containers: [{ name: "a", image: "a" }], terminationGracePeriodSeconds: 0 };
      const pod = await client().create(Pod, objectOf(Pod, "evicted", { spec }));
      expect(pod.metadata.generation).toBe(1);
      const eviction = { apiVersion: "policy/v1", kind: "Eviction", metadata: ref("evicted") };
      expect((await send(`POST ${pathOf(Pod, "evicted")}/eviction`, eviction)).status).toBe(201);
      expect(await client().find(Pod, ref("evicted"))).toBeUndefined();
    });
  });

  describe("the generation", () => {
    it("rises with the spec alone", async () => {
      const first = await client().create(WIDGET, widget("generations", { size: 1 }));
      expect(first.metadata.generation).toBe(1);
      const patch = (change: unknown, subresource?: string) =>
        client().patch(WIDGET, ref("generations"), { format: "merge", patch: change, subresource });
      expect((await patch({ metadata: { labels: { a: "b" } } })).metadata.generation).toBe(1);
      expect((await patch({ status: { phase: "x" } }, "status")).metadata.generation).toBe(1);
      expect((await patch({ spec: { size: 2 } })).metadata.generation).toBe(2);
      expect((await patch({ metadata: { generation: 9 } })).metadata.generation).toBe(2);
    });

    it("is not kept for kinds without a controller of their own", async () => {
      const made = await client().create(ConfigMap, configMap("no-generation", {}));
      expect(made.metadata.generation).toBeUndefined();
      const service = await client().create(
        Service,
        objectOf(Service, "no-generation", { spec: { ports: [{ port: 80 }] } }),
      );
      expect(service.metadata.generation).toBeUndefined();
    });
  });

  describe("a rehearsal (dryRun=All)", () => {
    it("answers as if, and stores nothing", async () => {
      const made = await client().create(
        WIDGET,
        widget("rehearsed", { size: 1 }, { finalizers: ["test.shieldx.dev/x"] }),
      );
      const path = (query: Record<string, string> = {}) => pathOf(WIDGET, "rehearsed", { dryRun: "All", ...query });
      const wanted = objectOf(WIDGET, "rehearsed", { spec: { size: 3 } });
      expect((await send(`merge ${path()}`, { spec: { size: 2 } })).body["spec"]).toEqual({ size: 2 });
      const applied = await send(`apply ${path({ fieldManager: "m", force: "true" })}`, wanted);
      expect(applied.body["spec"]).toEqual({ size: 3 });
      expect((await send(`json ${path()}`, [{ op: "remove", path: "/spec/size" }])).status).toBe(200);
      expect((await send(`DELETE ${path()}`)).status).toBe(200);
      expect(await client().get(WIDGET, ref("rehearsed"))).toEqual(made);

      const created = await send(`POST ${pathOf(ConfigMap, "", { dryRun: "All" })}`, configMap("never", { a: "1" }));
      expect([created.status, created.body["data"]]).toEqual([201, { a: "1" }]);
      expect(created.body.metadata.uid).toBeTruthy();
      const never = objectOf(ConfigMap, "never", { data: { a: "1" } });
      expect(
        (await send(`apply ${pathOf(ConfigMap, "never", { dryRun: "All", fieldManager: "m" })}`, never)).status,
      ).toBe(201);
      expect(await client().find(ConfigMap, ref("never"))).toBeUndefined();
    });
  });
};

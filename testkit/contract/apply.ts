import { describe, expect, it } from "@jest/globals";
import { type ConfigMapObject, type KubeObject, RESOURCES, type ResourceType } from "../../lib/kube/types.ts";
import { objectOf } from "../builders.ts";
import { configMap, WIDGET, widget } from "../widget.ts";
import { type ContractCases, ref } from "./server.ts";
import { ownersOf, pathOf, sendWire } from "./wire.ts";

const { ConfigMap, Lease, Secret } = RESOURCES;

export const applyCases: ContractCases = (server) => {
  const client = () => server().client();
  const send = (request: string, body?: unknown) => sendWire(server().target.server, request, body);
  const apply = (object: KubeObject, fieldManager = "tester", force = false): Promise<ConfigMapObject> =>
    client().apply(ConfigMap, object, { fieldManager, force });
  const merge = (name: string, patch: unknown, fieldManager = "else") =>
    client().patch(ConfigMap, ref(name), { format: "merge", patch, fieldManager });

  describe("server-side apply", () => {
    it("creates, and a second apply of the same object changes nothing", async () => {
      const first = await apply(configMap("apply", { a: "1" }, { l: "m" }));
      expect(first.data).toEqual({ a: "1" });
      expect(ownersOf(first)).toEqual(['tester Apply {"f:data":{"f:a":{}},"f:metadata":{"f:labels":{"f:l":{}}}}']);
      expect((await apply(configMap("apply", { a: "1" }, { l: "m" }))).metadata.resourceVersion).toBe(
        first.metadata.resourceVersion,
      );
    });

    it.each<ResourceType>([ConfigMap, Secret, Lease, WIDGET])(
      "at version 1, which no object has, creates a $kind and never merges into one that is there",
      async (type) => {
        const name = `absent-${type.plural}`;
        const object = objectOf(type, name);
        object.metadata.resourceVersion = "1";
        const made = await client().apply(type, object, { fieldManager: "tester" });
        expect(made.metadata.resourceVersion).not.toBe("1");
        const labelled = { ...object, metadata: { ...object.metadata, labels: { changed: "true" } } };
        for (const fieldManager of ["tester", "else"]) {
          const again = client().apply(type, labelled, { fieldManager });
          await expect(again).rejects.toMatchObject({ code: "KUBE_CONFLICT" });
        }
        expect((await client().get(type, ref(name))).metadata.resourceVersion).toBe(made.metadata.resourceVersion);
      },
    );

    it("removes what the manager no longer names and leaves what is not its own", async () => {
      await apply(configMap("partial", { a: "1", b: "2" }));
      await merge("partial", { data: { other: "x" } });
      expect((await apply(configMap("partial", { a: "1" }))).data).toEqual({ a: "1", other: "x" });
    });

    it("removes a map or list with the last that was in it", async () => {
      const meta = { ...ref("emptied"), labels: { x: "1" }, finalizers: ["test.shieldx.dev/x"] };
      await apply({ ...configMap("emptied", { a: "1" }), metadata: meta });
      const after = await apply(objectOf(ConfigMap, "emptied"));
      expect([after.data, after.metadata.labels, after.metadata.finalizers]).toEqual([undefined, undefined, undefined]);
      expect(ownersOf(after)).toEqual([]);
    });

    it("leaves a field to the other managers that want the same", async () => {
      const shared = (data: object) => objectOf(ConfigMap, "shared", { data });
      await apply(shared({ a: "1", b: "2" }), "one");
      await apply(shared({ a: "1" }), "two");
      const left = await apply(objectOf(ConfigMap, "shared"), "one");
      expect(left.data).toEqual({ a: "1" });
      expect(ownersOf(left)).toEqual(['two Apply {"f:data":{"f:a":{}}}']);
    });

    it("takes an empty map for wanting one, whatever is in it", async () => {
      await apply(configMap("empty-map", {}));
      await merge("empty-map", { data: { k: "v" } });
      expect((await apply(configMap("empty-map", {}))).data).toEqual({ k: "v" });
    });

    it("refuses an object that is another one than the uid says, or none", async () => {
      await apply(configMap("uid", { a: "1" }));
      const other = configMap("uid", { a: "2" });
      other.metadata.uid = "another";
      await expect(apply(other)).rejects.toMatchObject({ code: "KUBE_CONFLICT" });
      const absent = configMap("uid-absent", { a: "2" });
      absent.metadata.uid = "another";
      await expect(apply(absent)).rejects.toMatchObject({ code: "KUBE_CONFLICT" });
      expect(await client().find(ConfigMap, ref("uid-absent"))).toBeUndefined();
    });

    it("refuses another version than the one that was read", async () => {
      await apply(configMap("versioned", { a: "1" }));
      const stale = configMap("versioned", { a: "2" });
      stale.metadata.resourceVersion = "1";
      await expect(apply(stale)).rejects.toMatchObject({ code: "KUBE_CONFLICT" });
    });
  });

  it("refuses a second controller among the owner references", async () => {
    const owner = (uid: string) => ({ apiVersion: "v1", kind: "ConfigMap", name: `of-${uid}`, uid, controller: true });
    const path = (manager: string) => `apply ${pathOf(ConfigMap, "controllers", { fieldManager: manager })}`;
    const wanted = (uid: string) =>
      objectOf(ConfigMap, "controllers", { metadata: { ...ref("controllers"), ownerReferences: [owner(uid)] } });
    expect((await send(path("one"), wanted("u1"))).status).toBe(201);
    const { status, body } = await send(path("two"), wanted("u2"));
    expect([status, body.details?.["causes"]]).toEqual([
      422,
      [
        {
          reason: "FieldValueInvalid",
          field: "metadata.ownerReferences",
          message: expect.stringContaining(
            'Only one reference can have Controller set to true. Found "true" in references for ConfigMap/of-u1 and ConfigMap/of-u2',
          ),
        },
      ],
    ]);
  });

  describe("a conflict of field managers", () => {
    it("is refused, unless it is forced", async () => {
      await apply(configMap("conflict", { a: "1", b: "1" }));
      await merge("conflict", { data: { a: "9" } });
      await expect(apply(configMap("conflict", { a: "2", b: "1" }))).rejects.toMatchObject({
        code: "KUBE_FIELD_CONFLICT",
      });
      expect((await client().get(ConfigMap, ref("conflict"))).data).toEqual({ a: "9", b: "1" });
      const forced = await apply(configMap("conflict", { a: "2", b: "1" }), "tester", true);
      expect(forced.data).toEqual({ a: "2", b: "1" });
      expect(ownersOf(forced).map((it) => it.split(" ")[0])).toEqual(["tester"]);
    });

    it("names each manager and field", async () => {
      const path = (manager: string) => `apply ${pathOf(ConfigMap, "sentences", { fieldManager: manager })}`;
      const wanted = (a: string, b: string) => objectOf(ConfigMap, "sentences", { data: { a, b } });
      await send(path("tester"), wanted("1", "1"));
      await merge("sentences", { data: { a: "9" } });
      const one = await send(path("tester"), wanted("1", "1"));
      expect([one.status, one.body.reason, one.body.message]).toEqual([
        409,
        "Conflict",
        'Apply failed with 1 conflict: conflict with "else" using v1: .data.a',
      ]);
      await merge("sentences", { data: { b: "9" } });
      const two = await send(path("tester"), wanted("1", "1"));
      expect(two.body.message).toBe(
        'Apply failed with 2 conflicts: conflicts with "else" using v1:\n- .data.a\n- .data.b',
      );
      expect(two.body.details?.["causes"]).toEqual([
        { reason: "FieldManagerConflict", message: 'conflict with "else" using v1', field: ".data.a" },
        { reason: "FieldManagerConflict", message: 'conflict with "else" using v1', field: ".data.b" },
      ]);
      await send(`${path("third")}&force=true`, wanted("1", "1"));
      await send(path("fourth"), wanted("1", "1"));
      const three = await send(path("tester"), wanted("7", "1"));
      expect(three.body.message).toBe(
        'Apply failed with 2 conflicts: conflicts with "fourth":\n- .data.a\nconflicts with "third":\n- .data.a',
      );
    });

    it("does not arise where the wanted value stands already", async () => {
      await apply(configMap("agreed", { a: "1" }));
      await merge("agreed", { data: { a: "2" } });
      const agreed = await apply(configMap("agreed", { a: "2" }));
      expect(agreed.data).toEqual({ a: "2" });
      expect(ownersOf(agreed).map((it) => it.split(" ").slice(0, 2).join(" "))).toEqual([
        "tester Apply",
        "else Update",
      ]);
    });
  });

  describe("owners of fields after other writes", () => {
    it("are those who changed them last", async () => {
      await client().create(WIDGET, widget("owners", { size: 1 }, { finalizers: ["test.shieldx.dev/x"] }), {
        fieldManager: "maker",
      });
      const patch = (change: unknown, fieldManager: string) =>
        client().patch(WIDGET, ref("owners"), { format: "merge", patch: change, fieldManager });
      const first = await client().get(WIDGET, ref("owners"));
      expect(ownersOf(first)).toEqual([
        'maker Update {"f:metadata":{"f:finalizers":{".":{},"v:\\"test.shieldx.dev/x\\"":{}}},"f:spec":{".":{},"f:size":{}}}',
      ]);
      const second = await patch({ spec: { size: 2, text: "x" }, metadata: { finalizers: null } }, "editor");
      expect(ownersOf(second)).toEqual(
        ['editor Update {"f:spec":{"f:size":{},"f:text":{}}}', 'maker Update {"f:spec":{}}'].toSorted(
          (a, b) => ownersOf(second).indexOf(a) - ownersOf(second).indexOf(b),
        ),
      );
    });

    it("are one a reference in a list of owner references", async () => {
      const owner = (uid: string) => ({ apiVersion: "v1", kind: "ConfigMap", name: uid, uid });
      const wanted = (uids: string[]) =>
        objectOf(WIDGET, "references", { metadata: { ...ref("references"), ownerReferences: uids.map(owner) } });
      const path = (manager: string) => `apply ${pathOf(WIDGET, "references", { fieldManager: manager })}`;
      await send(path("m"), wanted(["u1"]));
      const both = await send(path("n"), wanted(["u2"]));
      expect(both.body.metadata.ownerReferences?.map(({ uid }) => uid)).toEqual(["u1", "u2"]);
      expect(ownersOf(both.body)).toContain(
        'm Apply {"f:metadata":{"f:ownerReferences":{"k:{\\"uid\\":\\"u1\\"}":{}}}}',
      );
      const one = await send(path("m"), objectOf(WIDGET, "references"));
      expect(one.body.metadata.ownerReferences?.map(({ uid }) => uid)).toEqual(["u2"]);
    });
  });
};

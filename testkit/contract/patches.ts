import { describe, expect, it } from "@jest/globals";
import { type ConfigMapObject, RESOURCES } from "../../lib/kube/types.ts";
import { configMap } from "../widget.ts";
import { type ContractCases, ref } from "./server.ts";
import { ownersOf } from "./wire.ts";

const { ConfigMap } = RESOURCES;

export const patchCases: ContractCases = (server) => {
  const client = () => server().client();
  const json = (name: string, patch: unknown, fieldManager?: string): Promise<ConfigMapObject> =>
    client().patch(ConfigMap, ref(name), { format: "json", patch, fieldManager });

  describe("patches", () => {
    it("merge: members are merged, null removes, lists are replaced", async () => {
      const made = configMap("merge", { a: "1", b: "2" });
      made.metadata.finalizers = ["test.shieldx.dev/a", "test.shieldx.dev/b"];
      await client().create(ConfigMap, made);
      const patch = { data: { a: null, c: "3" }, metadata: { finalizers: ["test.shieldx.dev/c"] } };
      const after = await client().patch(ConfigMap, ref("merge"), { format: "merge", patch });
      expect(after.data).toEqual({ b: "2", c: "3" });
      expect(after.metadata.finalizers).toEqual(["test.shieldx.dev/c"]);
      await client().patch(ConfigMap, ref("merge"), { format: "merge", patch: { metadata: { finalizers: null } } });
    });

    it("json: all operations, in their order, all or none", async () => {
      const made = configMap("json", { a: "1", old: "2" });
      made.metadata.annotations = { "x/y": "z" };
      await client().create(ConfigMap, made);
      const after = await json("json", [
        { op: "test", path: "/data/a", value: "1" },
        { op: "replace", path: "/data/a", value: "5" },
        { op: "add", path: "/data/b", value: "new" },
        { op: "copy", from: "/data/b", path: "/data/c" },
        { op: "move", from: "/data/old", path: "/data/d" },
        { op: "remove", path: "/data/b" },
        { op: "replace", path: "/data/e", value: "was not there" },
        { op: "remove", path: "/metadata/annotations/x~1y" },
        { op: "add", path: "/metadata/finalizers", value: ["test.shieldx.dev/a"] },
        { op: "add", path: "/metadata/finalizers/-", value: "test.shieldx.dev/c" },
        { op: "add", path: "/metadata/finalizers/1", value: "test.shieldx.dev/b" },
      ]);
      expect(after.data).toEqual({ a: "5", c: "new", d: "2", e: "was not there" });
      expect(after.metadata.annotations ?? {}).toEqual({});
      expect(after.metadata.finalizers).toEqual(["a", "b", "c"].map((it) => `test.shieldx.dev/${it}`));
      await json("json", [{ op: "remove", path: "/metadata/finalizers" }]);
    });

    it.each([
      ["a test that fails", [{ op: "test", path: "/data/a", value: "2" }]],
      ["a member that is not there to remove", [{ op: "remove", path: "/data/none" }]],
      ["an item that is not there to replace", [{ op: "replace", path: "/metadata/finalizers/3", value: "a" }]],
      ["a path through nothing", [{ op: "add", path: "/none/x", value: "1" }]],
      ["an unknown operation", [{ op: "frob", path: "/data/a" }]],
    ])("json: %s is refused and changes nothing", async (what, patch) => {
      const name = `json-${what.replaceAll(" ", "-")}`;
      const made = await client().create(ConfigMap, configMap(name, { a: "1" }));
      const broken = [{ op: "add", path: "/data/b", value: "1" }, ...patch];
      await expect(json(name, broken)).rejects.toMatchObject({
        code: "KUBE_INVALID",
        details: { httpStatus: 422, kubeReason: "Invalid" },
      });
      expect(await client().get(ConfigMap, ref(name))).toEqual(made);
    });

    it("are owned by who sends them", async () => {
      await client().create(ConfigMap, configMap("patch-owner", { a: "1", b: "1" }), { fieldManager: "maker" });
      const after = await json("patch-owner", [{ op: "replace", path: "/data/a", value: "2" }], "patcher");
      expect(ownersOf(after)).toEqual(expect.arrayContaining(['patcher Update {"f:data":{"f:a":{}}}']));
      expect(ownersOf(after).find((it) => it.startsWith("maker"))).not.toContain("f:a");
    });
  });
};

import { describe, expect, it } from "@jest/globals";
import { type KubeObject, type OwnerReference, RESOURCES } from "../../lib/kube/types.ts";
import { eventually } from "../wait.ts";
import { configMap } from "../widget.ts";
import { type ContractCases, ref } from "./server.ts";

const { ConfigMap } = RESOURCES;

/** On a server with a garbage collector. */
export const garbageCases: ContractCases = (server) => {
  const client = () => server().client();
  const create = (name: string, ...owners: OwnerReference[]) => {
    const object = configMap(name, {});
    return client().create(ConfigMap, { ...object, metadata: { ...object.metadata, ownerReferences: owners } });
  };
  const owned = (owner: KubeObject, more: Partial<OwnerReference> = {}): OwnerReference => ({
    apiVersion: "v1",
    kind: "ConfigMap",
    name: owner.metadata.name,
    uid: owner.metadata.uid ?? "",
    ...more,
  });
  const find = (name: string) => client().find(ConfigMap, ref(name));
  const gone = (name: string) => eventually(`${name} is gone`, async () => (await find(name)) === undefined, 30_000);

  describe("the garbage collector", () => {
    it("deletes dependents, and theirs, after their owner", async () => {
      const owner = await create("gc-owner");
      const child = await create("gc-child", owned(owner));
      await create("gc-grandchild", owned(child));
      await client().delete(ConfigMap, ref("gc-owner"));
      await gone("gc-child");
      await gone("gc-grandchild");
    });

    it("keeps what has another owner, without the one that is gone", async () => {
      const first = await create("gc-first");
      const second = await create("gc-second");
      await create("gc-shared", owned(first), owned(second));
      await client().delete(ConfigMap, ref("gc-first"));
      await eventually(
        "one owner is left",
        async () => (await find("gc-shared"))?.metadata.ownerReferences?.length === 1,
        30_000,
      );
      expect((await find("gc-shared"))?.metadata.ownerReferences).toEqual([owned(second)]);
    });

    it("deletes what is made for an owner that was never there", async () => {
      await create("gc-orphan-born", { apiVersion: "v1", kind: "ConfigMap", name: "never", uid: "0-0-0" });
      await gone("gc-orphan-born");
    });

    it("lets dependents go before an owner that is deleted as an orphaning one", async () => {
      const owner = await create("gc-leaving");
      await create("gc-left", owned(owner));
      await client().delete(ConfigMap, ref("gc-leaving"), { propagation: "Orphan" });
      await gone("gc-leaving");
      expect((await find("gc-left"))?.metadata.ownerReferences ?? []).toEqual([]);
    });

    it("keeps an owner that is deleted in the foreground until its blocking dependents are gone", async () => {
      const owner = await create("gc-foreground");
      const child = await create("gc-blocking", owned(owner, { blockOwnerDeletion: true }));
      const finalizers = ["test.shieldx.dev/hold"];
      await client().patch(ConfigMap, ref(child.metadata.name), {
        format: "merge",
        patch: { metadata: { finalizers } },
      });
      await client().delete(ConfigMap, ref("gc-foreground"), { propagation: "Foreground" });
      await eventually(
        "the dependent is being deleted",
        async () => (await find("gc-blocking"))?.metadata.deletionTimestamp !== undefined,
        30_000,
      );
      expect((await find("gc-foreground"))?.metadata.finalizers).toEqual(["foregroundDeletion"]);
      const held = (await find("gc-blocking"))?.metadata.finalizers ?? [];
      const left = held.filter((it) => it !== "test.shieldx.dev/hold");
      await client().patch(ConfigMap, ref("gc-blocking"), {
        format: "merge",
        patch: { metadata: { finalizers: left.length === 0 ? null : left } },
      });
      await gone("gc-blocking");
      await gone("gc-foreground");
    });

    it("leaves what is made while an owner is deleted in the foreground and does not block that", async () => {
      const hold = async (name: string, finalizers: readonly string[]): Promise<void> => {
        await client().patch(ConfigMap, ref(name), { format: "merge", patch: { metadata: { finalizers } } });
      };
      const owner = await create("gc-held-owner");
      await create("gc-old", owned(owner, { blockOwnerDeletion: true }));
      await hold("gc-held-owner", ["test.shieldx.dev/hold"]);
      await hold("gc-old", ["test.shieldx.dev/hold"]);
      await client().delete(ConfigMap, ref("gc-held-owner"), { propagation: "Foreground" });
      await eventually(
        "the old dependent is being deleted",
        async () => (await find("gc-old"))?.metadata.deletionTimestamp !== undefined,
        30_000,
      );
      const made = await create("gc-made-since", owned(owner, { blockOwnerDeletion: false }));
      const left = (await find("gc-old"))?.metadata.finalizers?.filter((it) => it !== "test.shieldx.dev/hold") ?? [];
      await hold("gc-old", left);
      await gone("gc-old");
      await eventually(
        "the collector is done with the owner",
        async () => (await find("gc-held-owner"))?.metadata.finalizers?.join() === "test.shieldx.dev/hold",
        30_000,
      );
      expect((await find("gc-made-since"))?.metadata.uid).toBe(made.metadata.uid);
      await hold("gc-held-owner", []);
      await gone("gc-held-owner");
      await gone("gc-made-since");
    });
  });
};

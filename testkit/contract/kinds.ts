import { expect, it } from "@jest/globals";
import type { KubeObject, ResourceType } from "../../lib/kube/types.ts";
import { compareVersions } from "../../lib/kube/versions.ts";
import { eventually } from "../wait.ts";
import { WIDGET, widget } from "../widget.ts";
import { type ContractCases, ref } from "./server.ts";

const GADGET: ResourceType = { ...WIDGET, kind: "Gadget", plural: "gadgets" };
const MISSING = { code: "KUBE_NOT_FOUND", message: expect.stringContaining("404 page not found") };

export const kindCases: ContractCases = (server) => {
  it("a kind that goes takes its objects along, one by one, and its watches; when it comes back it is empty", async () => {
    const client = server().client();
    const gadget: KubeObject = { ...widget("one"), kind: "Gadget" };
    await server().define(GADGET);
    await client.create(GADGET, gadget);
    const { resourceVersion } = await client.list(GADGET, { namespace: "default" });
    const events: string[] = [];
    const watched = (async () => {
      for await (const { type, object } of client.watch(GADGET, { namespace: "default", resourceVersion }))
        if (type !== "BOOKMARK") events.push(`${type} ${object.metadata.name}`);
    })();
    await client.patch(GADGET, ref("one"), { format: "merge", patch: { spec: { size: 2 } } });
    await eventually("the watch is open", () => events.length === 1);

    await server().undefine(GADGET);
    await watched;
    expect(events).toEqual(["MODIFIED one", "DELETED one"]);
    const watchAgain = async (): Promise<void> => {
      for await (const _ of client.watch(GADGET, { namespace: "default" })) return;
    };
    await expect(watchAgain()).rejects.toMatchObject(MISSING);
    await expect(client.list(GADGET, { namespace: "default" })).rejects.toMatchObject(MISSING);
    await expect(client.create(GADGET, gadget)).rejects.toMatchObject(MISSING);
    expect(await client.find(GADGET, ref("one"))).toBeUndefined();

    await server().define(GADGET);
    const list = await client.list(GADGET, { namespace: "default" });
    expect(list.items).toEqual([]);
    expect(compareVersions(list.resourceVersion, resourceVersion)).toBe(1);
  });
};

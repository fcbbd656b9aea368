import { beforeAll, describe, expect, it } from "@jest/globals";
import { RESOURCES } from "../../lib/kube/types.ts";
import { configMap } from "../widget.ts";
import { type ContractCases, collect, ref } from "./server.ts";
import { pathOf, sendWire, watchWire } from "./wire.ts";

const { ConfigMap } = RESOURCES;

/** What a server says that has forgotten older versions. Last of all cases: others would lose their footing. */
export const goneCases: ContractCases = (server) => {
  const client = () => server().client();
  const create = (name: string) => client().create(ConfigMap, configMap(name, {}, { gone: "yes" }));
  let version: string;
  let token: string;

  describe("versions that are gone", () => {
    beforeAll(async () => {
      version = (await create("gone-a")).metadata.resourceVersion ?? "";
      await create("gone-b");
      const query = { labelSelector: "gone=yes", limit: "1" };
      const { body } = await sendWire(server().target.server, `GET ${pathOf(ConfigMap, "", query)}`);
      token = body.metadata["continue"] as string;
      await create("gone-c");
      await server().forgetVersions();
    });

    it("answer a watch with 410, as a frame or as a status", async () => {
      const path = pathOf(ConfigMap, "", { watch: "true", resourceVersion: version });
      const { status, body } = await firstAnswer(server().target.server, path);
      expect([200, 410]).toContain(status);
      expect(body).toMatchObject({ kind: "Status", status: "Failure", reason: "Expired", code: 410 });
      const watch = client().watch(ConfigMap, { namespace: "default", resourceVersion: version });
      await expect(collect(watch, 1)).rejects.toMatchObject({ code: "KUBE_GONE" });
    });

    it("answer a further page with 410", async () => {
      const query = { labelSelector: "gone=yes", limit: "1", continue: token };
      const page = await sendWire(server().target.server, `GET ${pathOf(ConfigMap, "", query)}`);
      expect([page.status, page.body.reason]).toEqual([410, "Expired"]);
    });

    it("under a list in pages make the client read the rest whole, with what came and without what went", async () => {
      const options = { namespace: "default", labelSelector: "pages=yes", pageSize: 1 };
      const make = (name: string) => client().create(ConfigMap, configMap(name, {}, { pages: "yes" }));
      for (const name of ["pages-a", "pages-b", "pages-c"]) await make(name);
      const seen: { readonly names: string[]; readonly isRestart: boolean }[] = [];
      for await (const { items, isRestart = false } of client().pages(ConfigMap, options)) {
        seen.push({ names: items.map(({ metadata }) => metadata.name), isRestart });
        if (seen.length > 1) continue;
        await client().delete(ConfigMap, ref("pages-a"));
        await make("pages-d");
        await server().forgetVersions();
      }
      expect(seen).toEqual([
        { names: ["pages-a"], isRestart: false },
        { names: ["pages-b", "pages-c", "pages-d"], isRestart: true },
      ]);
    });

    it("are helped by a new list, from which a watch goes on", async () => {
      const options = { namespace: "default", labelSelector: "gone=yes" };
      const { items, resourceVersion } = await client().list(ConfigMap, options);
      expect(items.map(({ metadata }) => metadata.name)).toEqual(["gone-a", "gone-b", "gone-c"]);
      await create("gone-d");
      const [event] = await collect(client().watch(ConfigMap, { ...options, resourceVersion }), 1);
      expect(event?.object.metadata.name).toBe("gone-d");
    });
  });
};

/** The refusal of a watch, wherever it stands. */
async function firstAnswer(server: string, path: string) {
  const response = await fetch(`${server}${path}`);
  if (response.status !== 200) return { status: response.status, body: await response.json() };
  await response.body?.cancel();
  const watch = await watchWire(server, path);
  const event = await watch.next();
  expect(event?.type).toBe("ERROR");
  await watch.close();
  return { status: 200, body: event?.object as unknown };
}

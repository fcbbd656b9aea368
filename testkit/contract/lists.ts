import { describe, expect, it } from "@jest/globals";
import { RESOURCES } from "../../lib/kube/types.ts";
import { configMap } from "../widget.ts";
import { type ContractCases, ref } from "./server.ts";
import { pathOf, sendWire, type WireAnswer } from "./wire.ts";

const { ConfigMap } = RESOURCES;

export const listCases: ContractCases = (server) => {
  const client = () => server().client();
  const get = (query: Record<string, string>) =>
    sendWire(server().target.server, `GET ${pathOf(ConfigMap, "", query)}`);
  const namesOf = ({ body }: WireAnswer) => body.items?.map(({ metadata }) => metadata.name);
  const create = (name: string, labels: Record<string, string>) =>
    client().create(ConfigMap, configMap(name, {}, labels));

  describe("lists", () => {
    it("show each item with its kind, at one version", async () => {
      for (const name of ["list-a", "list-b"]) await create(name, { listed: "yes", name });
      const labelSelector = "listed=yes";
      const { items, resourceVersion } = await client().list(ConfigMap, { namespace: "default", labelSelector });
      expect(items.map(({ kind, apiVersion, metadata }) => [apiVersion, kind, metadata.name])).toEqual([
        ["v1", "ConfigMap", "list-a"],
        ["v1", "ConfigMap", "list-b"],
      ]);
      expect(Number(resourceVersion)).toBeGreaterThanOrEqual(Number(items[1]?.metadata.resourceVersion));
      const everywhere = await client().list(ConfigMap, { labelSelector: "listed,name=list-b" });
      expect(everywhere.items).toHaveLength(1);
      const wire = await get({ labelSelector });
      expect(wire.body).toMatchObject({ kind: "ConfigMapList", apiVersion: "v1" });
      expect(wire.body.items?.[0]).not.toHaveProperty("kind");
    });

    it("read more than one page", async () => {
      const names = Array.from({ length: 501 }, (_, index) => `paged-${String(index).padStart(3, "0")}`);
      // Sixteen at a time, as the pool has connections.
      const rest = names.values();
      await Promise.all(
        Array.from({ length: 16 }, async () => {
          for (const name of rest) await create(name, { paged: "yes" });
        }),
      );
      let pages = 0;
      const seen: string[] = [];
      for await (const page of client().pages(ConfigMap, { namespace: "default", labelSelector: "paged=yes" })) {
        pages += 1;
        seen.push(...page.items.map((item) => item.metadata.name));
      }
      expect(pages).toBe(2);
      expect(seen).toEqual(names);
    });

    it("show one version over all pages, whatever is written meanwhile; a page can be asked for again", async () => {
      for (const name of ["b", "d", "f"]) await create(`steady-${name}`, { steady: "yes" });
      const query = { labelSelector: "steady=yes", limit: "1" };
      const first = await get(query);
      expect(namesOf(first)).toEqual(["steady-b"]);
      await create("steady-c", { steady: "yes" });
      await client().delete(ConfigMap, ref("steady-d"));
      await client().patch(ConfigMap, ref("steady-f"), { format: "merge", patch: { data: { x: "late" } } });
      const next = { ...query, continue: first.body.metadata["continue"] as string };
      const second = await get(next);
      expect(await get(next)).toEqual(second);
      const third = await get({ ...query, limit: "500", continue: second.body.metadata["continue"] as string });
      expect([namesOf(second), namesOf(third)]).toEqual([["steady-d"], ["steady-f"]]);
      expect(third.body.items?.[0]?.["data"] ?? {}).toEqual({});
      expect(third.body.metadata["continue"] ?? "").toBe("");
      const versions = [first, second, third].map(({ body }) => body.metadata.resourceVersion);
      expect(new Set(versions).size).toBe(1);
      // With a selector the server does not know how many are left.
      expect(first.body.metadata).not.toHaveProperty("remainingItemCount");
      const all = await get({ limit: "1" });
      expect(all.body.metadata["remainingItemCount"]).toBeGreaterThan(0);
    });

    it("come whole when any version will do", async () => {
      await create("any-a", { any: "yes" });
      await create("any-b", { any: "yes" });
      const list = await get({ labelSelector: "any=yes", limit: "1", resourceVersion: "0" });
      expect([list.status, list.body.metadata["continue"]]).toEqual([200, undefined]);
    });

    it("of a version that is not there yet are refused for a while", async () => {
      const early = await get({ resourceVersion: "99999999" });
      expect([early.status, early.body.reason, early.retryAfter]).toEqual([504, "Timeout", "1"]);
      expect(early.body.details?.["causes"]).toEqual([
        { reason: "ResourceVersionTooLarge", message: "Too large resource version" },
      ]);
    });
  });

  describe("selectors", () => {
    it.each([
      ["grade", ["sel-a", "sel-b", "sel-c"]],
      ["!grade", ["sel-d"]],
      ["grade=high", ["sel-a"]],
      ["grade==high", ["sel-a"]],
      ["grade!=high", ["sel-b", "sel-c", "sel-d"]],
      ["grade=", ["sel-c"]],
      ["grade in (high, low)", ["sel-a", "sel-b"]],
      ["grade notin (high,low)", ["sel-c", "sel-d"]],
      ["grade in (high,low),zone=x", ["sel-a"]],
      ["grade notin (high),grade", ["sel-b", "sel-c"]],
    ])("labels: %s", async (selector, expected) => {
      const all: Record<string, Record<string, string>> = {
        "sel-a": { grade: "high", zone: "x" },
        "sel-b": { grade: "low", zone: "y" },
        "sel-c": { grade: "" },
        "sel-d": { zone: "x" },
      };
      for (const [name, labels] of Object.entries(all)) {
        const found = await client().find(ConfigMap, ref(name));
        if (found === undefined) await create(name, { ...labels, selected: "yes" });
      }
      expect(namesOf(await get({ labelSelector: `${selector},selected=yes` }))).toEqual(expected);
    });

    it("fields: name and namespace", async () => {
      await create("field-a", { fields: "yes" });
      await create("field-b", { fields: "yes" });
      const select = async (fieldSelector: string) =>
        namesOf(await get({ labelSelector: "fields=yes", fieldSelector }));
      expect(await select("metadata.name=field-a")).toEqual(["field-a"]);
      expect(await select("metadata.name!=field-a")).toEqual(["field-b"]);
      expect(await select("metadata.namespace==default,metadata.name=field-b")).toEqual(["field-b"]);
      expect(await select("metadata.namespace=other")).toEqual([]);
    });

    it.each([{ labelSelector: "a in (b" }, { labelSelector: "a~b" }, { fieldSelector: "data.x=1" }])(
      "%j is refused",
      async (query) => {
        const refused = await get(query);
        expect([refused.status, refused.body.reason]).toEqual([400, "BadRequest"]);
      },
    );
  });
};

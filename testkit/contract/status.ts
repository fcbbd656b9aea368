import { describe, expect, it } from "@jest/globals";
import { type KubeObject, RESOURCES } from "../../lib/kube/types.ts";
import { objectOf } from "../builders.ts";
import { configMap, WIDGET, widget } from "../widget.ts";
import { type ContractCases, ref } from "./server.ts";
import { ownersOf, pathOf, sendWire } from "./wire.ts";

const { ConfigMap } = RESOURCES;

export const statusCases: ContractCases = (server) => {
  const client = () => server().client();
  const send = (request: string, body?: unknown) => sendWire(server().target.server, request, body);

  describe("the status subresource", () => {
    it("takes status and nothing else, and is the only way to it", async () => {
      const made = await client().create(WIDGET, { ...widget("status"), status: { phase: "mine" } });
      expect(made.status).toBeUndefined();
      const patch = { spec: { size: 9 }, metadata: { labels: { a: "b" } }, status: { phase: "done" } };
      const after = await client().patch(WIDGET, ref("status"), { format: "merge", patch, subresource: "status" });
      expect(after).toMatchObject({ spec: { size: 1 }, status: { phase: "done" } });
      const main = await client().patch(WIDGET, ref("status"), {
        format: "merge",
        patch: { status: { phase: "lost" } },
      });
      expect(main.status).toEqual({ phase: "done" });
      const replaced = await client().replace(WIDGET, { ...main, spec: { size: 4 }, status: { phase: "lost" } });
      expect(replaced).toMatchObject({ spec: { size: 4 }, status: { phase: "done" } });
      expect((await send(`GET ${pathOf(WIDGET, "status")}/status`)).body).toMatchObject({ status: { phase: "done" } });
    });

    it("is applied whole: members that are left out go away", async () => {
      const { metadata } = await client().create(WIDGET, widget("applied-status"));
      const apply = (status: object) =>
        client().apply(
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
      expect((await client().get(WIDGET, ref("applied-status"))).spec).toEqual({ size: 1 });
      await client().delete(WIDGET, ref("applied-status"));
      await expect(apply({ a: 2 })).rejects.toMatchObject({ status: expect.any(Number) });
      expect(await client().find(WIDGET, ref("applied-status"))).toBeUndefined();
    });

    it("is owned apart from the rest", async () => {
      const wanted = objectOf(WIDGET, "owned-status", { spec: { size: 1 } });
      await send(`apply ${pathOf(WIDGET, "owned-status", { fieldManager: "m" })}`, wanted);
      const status = { l: [1, 2], a: "x" };
      const path = `${pathOf(WIDGET, "owned-status")}/status?fieldManager=m`;
      const applied = await send(`apply ${path}`, objectOf(WIDGET, "owned-status", { status }));
      expect(ownersOf(applied.body)).toEqual(
        expect.arrayContaining(['m Apply {"f:spec":{"f:size":{}}}', 'm Apply status {"f:status":{"f:a":{},"f:l":{}}}']),
      );
      const merged = await send(`merge ${pathOf(WIDGET, "owned-status")}/status?fieldManager=u`, {
        status: { l: [3] },
      });
      expect(ownersOf(merged.body)).toContain('u Update status {"f:status":{"f:l":{}}}');
      const refused = await send(`apply ${path}`, objectOf(WIDGET, "owned-status", { status }));
      expect(refused.body.message).toBe(
        'Apply failed with 1 conflict: conflict with "u" with subresource "status" using test.shieldx.dev/v1: .status.l',
      );
    });

    it("is no path of a kind without it", async () => {
      await client().create(ConfigMap, configMap("no-status", {}));
      expect((await send(`merge ${pathOf(ConfigMap, "no-status")}/status`, {})).status).toBe(404);
    });
  });
};

import { describe, expect, it } from "@jest/globals";
import { type KubeObject, RESOURCES, type ResourceType, resourceType } from "../../lib/kube/types.ts";
import { objectOf } from "../builders.ts";
import type { ContractCases } from "./server.ts";
import { ownersOf, pathOf, sendWire, type WireAnswer } from "./wire.ts";

const { Deployment, Service } = RESOURCES;
const VALIDATING: ResourceType = resourceType(
  "admissionregistration.k8s.io/v1",
  ["ValidatingWebhookConfiguration", "validatingwebhookconfigurations"],
  false,
);

interface PodSpec {
  readonly containers: readonly Container[];
  readonly volumes?: readonly { readonly name: string }[];
}

interface Container {
  readonly name: string;
  readonly image?: string;
  readonly ports?: readonly { readonly containerPort: number; readonly name?: string }[];
  readonly env?: readonly { readonly name: string; readonly value?: string }[];
  readonly args?: readonly string[];
}

export const applyListCases: ContractCases = (server) => {
  const send = (request: string, body?: unknown) => sendWire(server().target.server, request, body);
  const deployment = (name: string, spec: object): KubeObject =>
    objectOf(Deployment, name, {
      spec: {
        selector: { matchLabels: { a: "b" } },
        template: { metadata: { labels: { a: "b" } }, spec },
      },
    });
  const apply = (manager: string, object: KubeObject, query: Record<string, string> = {}): Promise<WireAnswer> =>
    send(`apply ${pathOf(Deployment, object.metadata.name, { fieldManager: manager, ...query })}`, object);
  const podSpec = ({ body }: WireAnswer): PodSpec => (body["spec"] as { template: { spec: PodSpec } }).template.spec;
  const container = (name: string, members: object = {}) => ({ name, image: `${name}:1`, ...members });

  describe("lists under server-side apply", () => {
    it("merge item by item where the kind says so: containers, their environment and ports, volumes", async () => {
      await apply(
        "one",
        deployment("merged", {
          containers: [
            container("a", {
              ports: [{ containerPort: 80 }],
              env: [
                { name: "X", value: "1" },
                { name: "Y", value: "2" },
              ],
            }),
            container("b"),
          ],
          volumes: [{ name: "v", emptyDir: {} }],
        }),
      );
      const two = objectOf(Deployment, "merged", {
        spec: {
          template: {
            spec: {
              containers: [
                container("c"),
                { name: "a", env: [{ name: "Z", value: "3" }], ports: [{ containerPort: 81 }] },
              ],
              volumes: [{ name: "w", emptyDir: {} }],
            },
          },
        },
      });
      const both = await apply("two", two);
      expect(both.status).toBe(200);
      expect(
        podSpec(both).containers.map(({ name, env, ports }) => [
          name,
          env?.map((it) => it.name),
          ports?.map((it) => it.containerPort),
        ]),
      ).toEqual([
        ["c", undefined, undefined],
        ["a", ["X", "Y", "Z"], [80, 81]],
        ["b", undefined, undefined],
      ]);
      expect(podSpec(both).volumes?.map(({ name }) => name)).toEqual(["v", "w"]);
      const owned = ownersOf(both.body).find((it) => it.startsWith("two "));
      const key = (text: string) => `"k:${JSON.stringify(text).slice(1, -1)}"`;
      expect(owned).toBe(
        `two Apply {"f:spec":{"f:template":{"f:spec":{"f:containers":{${key('{"name":"a"}')}:{".":{},"f:env":{${key('{"name":"Z"}')}:{".":{},"f:name":{},"f:value":{}}},"f:name":{},"f:ports":{${key('{"containerPort":81,"protocol":"TCP"}')}:{".":{},"f:containerPort":{}}}},${key('{"name":"c"}')}:{".":{},"f:image":{},"f:name":{}}},"f:volumes":{${key('{"name":"w"}')}:{".":{},"f:emptyDir":{},"f:name":{}}}}}}}`,
      );
    });

    it("lose the items of a manager alone, in the order that it wants", async () => {
      await apply(
        "one",
        deployment("reordered", { containers: [container("a", { env: [{ name: "X", value: "1" }] }), container("b")] }),
      );
      const spec = {
        template: { spec: { containers: [container("c"), { name: "a", env: [{ name: "Z", value: "3" }] }] } },
      };
      await apply("two", objectOf(Deployment, "reordered", { spec }));
      const after = await apply(
        "one",
        deployment("reordered", { containers: [container("b"), { ...container("a"), image: "a:2" }] }),
      );
      expect(podSpec(after).containers.map(({ name, image, env }) => [name, image, env?.map((it) => it.name)])).toEqual(
        [
          ["c", "c:1", undefined],
          ["b", "b:1", undefined],
          ["a", "a:2", ["Z"]],
        ],
      );
    });

    it("conflict by item and field", async () => {
      const wanted = deployment("item-conflict", { containers: [container("a", { args: ["x"] })] });
      await apply("one", wanted);
      const json = [{ op: "replace", path: "/spec/template/spec/containers/0/image", value: "a:9" }];
      const edited = await send(`json ${pathOf(Deployment, "item-conflict", { fieldManager: "editor" })}`, json);
      expect(edited.body.metadata.generation).toBe(2);
      const refused = await apply("one", wanted);
      expect(refused.body.message).toBe(
        'Apply failed with 1 conflict: conflict with "editor" using apps/v1: .spec.template.spec.containers[name="a"].image',
      );
      expect(podSpec(await apply("one", wanted, { force: "true" })).containers[0]?.image).toBe("a:1");
    });

    it("are one value where the kind says nothing: arguments", async () => {
      await apply("one", deployment("atomic", { containers: [container("a", { args: ["x", "y"] })] }));
      const other = { template: { spec: { containers: [{ name: "a", args: ["z"] }] } } };
      const refused = await apply("two", objectOf(Deployment, "atomic", { spec: other }));
      expect(refused.body.message).toBe(
        'Apply failed with 1 conflict: conflict with "one": .spec.template.spec.containers[name="a"].args',
      );
    });

    it("merge ports of Services by number and protocol", async () => {
      const path = (manager: string) => `apply ${pathOf(Service, "ports", { fieldManager: manager })}`;
      const port = (number: number, name: string) => ({ port: number, name, targetPort: number });
      const service = (...ports: object[]) => objectOf(Service, "ports", { spec: { ports } });
      await send(path("one"), service(port(80, "http")));
      const both = await send(path("two"), service(port(443, "https")));
      const ports = (both.body["spec"] as { ports: { name: string }[] }).ports;
      expect(ports.map(({ name }) => name)).toEqual(["http", "https"]);
      const left = await send(path("one"), service(port(81, "http")));
      expect((left.body["spec"] as { ports: { name: string; port: number }[] }).ports.map((it) => it.port)).toEqual([
        443, 81,
      ]);
    });

    it("merge webhooks by name: a bundle is written beside what somebody installed", async () => {
      const webhook = (name: string, clientConfig: object) => ({
        name,
        clientConfig: { url: `https://127.0.0.1:1/${name}`, ...clientConfig },
        admissionReviewVersions: ["v1"],
        failurePolicy: "Ignore",
        sideEffects: "None",
      });
      const names = ["a.test.shieldx.dev", "b.test.shieldx.dev"];
      const [a, b] = names as [string, string];
      const applyTo = (manager: string, webhooks: object[]) =>
        send(`apply ${pathOf(VALIDATING, "merged", { fieldManager: manager, force: "true" })}`, {
          ...objectOf(VALIDATING, "merged", { webhooks }),
          metadata: { name: "merged" },
        });
      await applyTo("installer", [webhook(a, {}), webhook(b, {})]);
      await applyTo("bundles", [{ name: b, clientConfig: { caBundle: "QQ==" } }]);
      const { body } = await applyTo("installer", [webhook(a, {}), webhook(b, {})]);
      const held = body["webhooks"] as { name: string; clientConfig: { url: string; caBundle?: string } }[];
      expect(held.map(({ name, clientConfig }) => [name, clientConfig])).toEqual([
        [a, { url: `https://127.0.0.1:1/${a}` }],
        [b, { url: `https://127.0.0.1:1/${b}`, caBundle: "QQ==" }],
      ]);
    });
  });
};

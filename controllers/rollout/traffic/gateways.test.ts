import { describe, expect, test } from "@jest/globals";
import type { KubeObject } from "../../../lib/kube/types.ts";
import { createMemoryWorld, type MemoryWorld } from "../../../testkit/memory-world.ts";
import { NAMESPACE } from "../testing/builders.ts";
import { gateway, gatewayClass } from "../testing/gateways.ts";
import { idleGateway, missingGateway, observeParents, unseenGateways } from "./gateways.ts";

interface Given {
  readonly objects?: readonly KubeObject[];
  readonly ref?: { readonly namespace?: string; readonly sectionName?: string; readonly port?: number };
  readonly world?: (world: MemoryWorld) => void;
  readonly isRouteTaken?: boolean;
}

/** What is said of Gateway `public`, if anything is. */
function finding({ objects = [gateway(), gatewayClass()], ref = {}, world: change, isRouteTaken = false }: Given) {
  const world = createMemoryWorld({ namespace: NAMESPACE });
  for (const object of objects) world.put(object);
  change?.(world);
  const parents = observeParents(world.cache, [{ name: "public", ...ref }], NAMESPACE);
  return { unseen: unseenGateways(parents), says: missingGateway(parents) ?? idleGateway(parents, isRouteTaken) };
}

test.each<[string, Given]>([
  ["it works", {}],
  ["its listener is there, by name", { ref: { sectionName: "web" } }],
  ["its listener is there, by port", { ref: { port: 80 } }],
  ["its listener is there, by both", { ref: { sectionName: "web", port: 80 } }],
  [
    "it has no address, as in a cluster without load balancers",
    { objects: [gateway({ programmed: "AddressNotAssigned" })] },
  ],
  [
    "what it says is of an earlier generation",
    {
      objects: [gateway({ programmed: "Invalid" })],
      world: (world) =>
        world.edit("Gateway", "public", (it) => ({ ...it, spec: { ...Object(it["spec"]), addresses: [] } })),
      isRouteTaken: true,
    },
  ],
  ["it says nothing, and serves the route", { objects: [gateway({ accepted: "" })], isRouteTaken: true }],
])("nothing is said where %s", (_, given) => {
  expect(finding(given)).toEqual({ unseen: [], says: undefined });
});

describe("said of a Gateway", () => {
  test.each<[string, Given, string, string]>([
    ["that is not there", { objects: [] }, "GatewayNotFound", "there is no Gateway shop/public"],
    [
      "without the listener",
      { ref: { sectionName: "admin", port: 80 } },
      "GatewayNotFound",
      "Gateway shop/public has no listener of the name admin on port 80; it has: web on port 80, tls on port 443",
    ],
    [
      "whose port is another listener's",
      { ref: { sectionName: "web", port: 443 } },
      "GatewayNotFound",
      "no listener of the name web on port 443",
    ],
    [
      "that is refused",
      { objects: [gateway({ accepted: "Invalid" }), gatewayClass()] },
      "GatewayNotReady",
      "Gateway shop/public is not accepted: Invalid: as the test says",
    ],
    [
      "that nobody has taken",
      { objects: [gateway({ accepted: "" }), gatewayClass()] },
      "GatewayNotReady",
      "no controller has taken Gateway shop/public",
    ],
    [
      "of a class that is not there",
      { objects: [gateway({ accepted: "" })] },
      "GatewayNotReady",
      "no controller has taken Gateway shop/public: GatewayClass test does not exist",
    ],
    [
      "of a class that nobody has taken",
      { objects: [gateway({ accepted: "" }), gatewayClass("Unknown")] },
      "GatewayNotReady",
      "no controller has taken Gateway shop/public: no gateway has taken GatewayClass test",
    ],
    [
      "that cannot work",
      { objects: [gateway({ programmed: "NoResources" }), gatewayClass()], isRouteTaken: true },
      "GatewayNotReady",
      "Gateway shop/public does not work yet: NoResources: as the test says",
    ],
  ])("%s", (_, given, reason, message) => {
    expect(finding(given).says).toEqual({ reason, message: expect.stringContaining(message) });
  });
});

test.each<[string, Given, string]>([
  ["in a namespace that is not read", { ref: { namespace: "elsewhere" } }, "elsewhere/public"],
  ["whose kind is not installed", { world: (world) => world.setAvailability("Gateway", "missing") }, "shop/public"],
  ["that may not be listed", { world: (world) => world.setAvailability("Gateway", "forbidden") }, "shop/public"],
])("nothing is known of one %s", (_, given, id) => {
  expect(finding(given)).toEqual({ unseen: [id], says: undefined });
});

test("a class that may not be read is no trouble", () => {
  const world = (it: MemoryWorld) => it.setAvailability("GatewayClass", "forbidden");
  const { says } = finding({ objects: [gateway({ accepted: "" })], world });
  expect(says?.message).toBe("no controller has taken Gateway shop/public");
});

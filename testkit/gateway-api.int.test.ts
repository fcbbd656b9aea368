import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import type { KubeObject } from "../lib/kube/types.ts";
import { GRPC_ROUTES, HTTP_ROUTES, installGatewayApi } from "./gateway-api.ts";
import { startControlPlane, type TestControlPlane } from "./kube-apiserver.ts";

let plane: TestControlPlane;

beforeAll(async () => {
  plane = await startControlPlane();
  await installGatewayApi(plane.client());
});

afterAll(() => plane.stop());

function route(kind: string, weight: number): KubeObject {
  return {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind,
    metadata: { name: kind.toLowerCase(), namespace: "default" },
    spec: { rules: [{ backendRefs: [{ name: "app", port: 80, weight }] }] },
  };
}

describe("the Gateway API on a bare API server", () => {
  it("keeps routes, with their defaults", async () => {
    const client = plane.client();
    const http = await client.create(HTTP_ROUTES, route("HTTPRoute", 100));
    expect(http["spec"]).toMatchObject({
      rules: [
        { matches: [{ path: { type: "PathPrefix", value: "/" } }], backendRefs: [{ kind: "Service", weight: 100 }] },
      ],
    });
    await expect(client.create(GRPC_ROUTES, route("GRPCRoute", 1))).resolves.toBeDefined();
  });

  it("refuses a weight above a million", async () => {
    await expect(plane.client().create(HTTP_ROUTES, route("HTTPRoute", 1_000_001))).rejects.toMatchObject({
      code: "KUBE_INVALID",
    });
  });

  it("is installed again without harm", async () => {
    await installGatewayApi(plane.client());
    await expect(plane.client().list(HTTP_ROUTES)).resolves.toBeDefined();
  });
});

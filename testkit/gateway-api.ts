import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { parseAllDocuments } from "yaml";
import type { KubeClient } from "../lib/kube/client.ts";
import { type KubeObject, RESOURCES, resourceType } from "../lib/kube/types.ts";
import { waitForKind } from "./kube-contract.ts";

/** Prints the folder of the CRDs, out of the Go module cache; Go fetches the module if it is not there. */
const CRDS_SCRIPT = resolve(import.meta.dirname, "../e2e/gateway/crds.sh");

export const HTTP_ROUTES = resourceType("gateway.networking.k8s.io/v1", ["HTTPRoute", "httproutes"]);
export const GRPC_ROUTES = resourceType("gateway.networking.k8s.io/v1", ["GRPCRoute", "grpcroutes"]);

/** Installs the CRDs of the Gateway API (standard channel) into an API server, and waits until routes are served. */
export async function installGatewayApi(client: KubeClient): Promise<void> {
  for (const crd of await gatewayApiCrds()) {
    await client.apply(RESOURCES.CustomResourceDefinition, crd, { fieldManager: "gateway-api", force: true });
  }
  await Promise.all([HTTP_ROUTES, GRPC_ROUTES].map((type) => waitForKind(client, type)));
}

/** All files of the channel but its policy on upgrades, which is no CRD. */
async function gatewayApiCrds(): Promise<KubeObject[]> {
  const { stdout } = await promisify(execFile)(CRDS_SCRIPT, [], { timeout: 120_000 });
  const folder = stdout.trim();
  const files = (await readdir(folder)).filter((file) => file.endsWith(".yaml")).sort();
  const texts = await Promise.all(files.map((file) => readFile(join(folder, file), "utf8")));
  return texts
    .flatMap((text) => parseAllDocuments(text).map((document) => document.toJS() as KubeObject | null))
    .filter((object): object is KubeObject => object?.kind === "CustomResourceDefinition");
}

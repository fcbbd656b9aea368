import { readFileSync } from "node:fs";
import { join } from "node:path";
import { must, ROOT } from "../run.ts";

/** Gateways that `up.sh` can bring up; both may be in one cluster. */
export const GATEWAYS = ["traefik", "envoy"] as const;
export type GatewayName = (typeof GATEWAYS)[number];

/** Name of the Gateway, of its Service and of its listener's section; its namespace is called as the gateway itself. */
export const GATEWAY_OBJECT = "web";

/** Where pods of the cluster reach a gateway's listener. */
export function gatewayUrl(gateway: GatewayName): string {
  return `http://${GATEWAY_OBJECT}.${gateway}.svc:8000`;
}

/** Images of the application for releases: two names, so that a change from one to the other is a new image. */
export interface ApplicationImages {
  readonly image: string;
  readonly next: string;
}

/** Puts a gateway and the application's images into a cluster that runs, unless they are there. */
export async function ensureGateway(cluster: string, gateway: GatewayName): Promise<ApplicationImages> {
  await must(join(ROOT, "e2e/gateway/up.sh"), [cluster], {
    env: { GATEWAY: gateway },
    timeoutMs: 30 * 60_000,
    echo: true,
  });
  const values = new Map(
    readFileSync(join(ROOT, ".build/gateway.env"), "utf8")
      .split("\n")
      .map((line) => line.split("=") as [string, string]),
  );
  return { image: values.get("APP") ?? "", next: values.get("APP_NEXT") ?? "" };
}

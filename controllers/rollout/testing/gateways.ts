import type { KubeObject } from "../../../lib/kube/types.ts";
import { NAMESPACE } from "./builders.ts";

/** How a Gateway does. */
interface GatewayState {
  /** Reason why it is not accepted; "" when nobody has said anything; it is accepted unless told. */
  readonly accepted?: string;
  /** Reason why it is not programmed. */
  readonly programmed?: string;
}

function condition(type: string, reason: string | undefined): object {
  const status = reason === undefined ? "True" : "False";
  return { type, status, reason: reason ?? type, message: "as the test says", observedGeneration: 1 };
}

/** Gateway `public` beside the Rollout, with the listeners `web` and `tls`. */
export function gateway({ accepted, programmed }: GatewayState = {}): KubeObject {
  return {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "Gateway",
    metadata: { name: "public", namespace: NAMESPACE },
    spec: {
      gatewayClassName: "test",
      listeners: [
        { name: "web", port: 80, protocol: "HTTP" },
        { name: "tls", port: 443, protocol: "HTTPS" },
      ],
    },
    status:
      accepted === "" ? {} : { conditions: [condition("Accepted", accepted), condition("Programmed", programmed)] },
  };
}

/** What a GatewayClass says. */
interface ClassState {
  readonly controllerName?: string;
  readonly features?: readonly string[];
}

/** GatewayClass `test`. */
export function gatewayClass(accepted = "True", { controllerName, features }: ClassState = {}): KubeObject {
  return {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "GatewayClass",
    metadata: { name: "test" },
    spec: { controllerName: controllerName ?? "test.example/gateway" },
    status: {
      conditions: [{ type: "Accepted", status: accepted }],
      ...(features === undefined ? {} : { supportedFeatures: features.map((name) => ({ name })) }),
    },
  };
}

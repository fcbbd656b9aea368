// What tests of Rollouts on a real API server begin with. No kubelet, no gateway and no other controller run there: what they would say
// is written by the test.
import { randomBytes } from "node:crypto";
import { KINDS } from "../../../crds/kinds.ts";
import { serveKinds } from "../../../crds/testing/served.ts";
import { systemClock } from "../../../lib/core/clock.ts";
import type { KubeClient } from "../../../lib/kube/client.ts";
import { silentLogger } from "../../../lib/node/logger.ts";
import { createMetrics } from "../../../lib/node/metrics.ts";
import { createManager } from "../../../operator/manager.ts";
import { installGatewayApi } from "../../../testkit/gateway-api.ts";
import { startControlPlane, type TestControlPlane } from "../../../testkit/kube-apiserver.ts";
import { makeNamespace } from "../../../testkit/namespaces.ts";
import type { RolloutDeps } from "../rollout.controller.ts";
import { NAMESPACE } from "./builders.ts";
import { playedController } from "./stage.ts";

/** Times that a busy machine keeps; a clean stop hands over at once. */
const LEASE = { durationSeconds: 15, renewSeconds: 10, retrySeconds: 0.5 };

export interface RunningOperator {
  /** @returns its exit code */
  stop(): Promise<number>;
}

interface OperatorPlace {
  /** Where its Lease is. */
  readonly namespace: string;
  /** What it serves; empty for all. */
  readonly watchNamespaces: readonly string[];
}

/** The controller in a real manager. @param given what it asks outside of the API server, where that is not all well */
export function startOperator(
  plane: TestControlPlane,
  { namespace, watchNamespaces }: OperatorPlace,
  given: Partial<RolloutDeps> = {},
): RunningOperator {
  const stop = new AbortController();
  const client = plane.client(namespace);
  const manager = createManager({
    client,
    controllers: [playedController(given)],
    namespace,
    identity: randomBytes(4).toString("hex"),
    watchNamespaces,
    port: "none",
    metrics: createMetrics(),
    clock: systemClock,
    random: () => 0.5,
    log: silentLogger,
    lease: LEASE,
  });
  const running = manager.run(stop.signal).finally(() => client.close());
  return {
    stop: () => {
      stop.abort();
      return running;
    },
  };
}

export interface ServerStage {
  /** Somebody who may do everything in the namespace of the builders. */
  readonly user: KubeClient;
  close(): Promise<void>;
}

/** An API server with our kinds, and the operator at work in the namespace of the builders. @param has what else the server knows */
export async function openServerStage(has: { readonly gatewayApi: boolean }): Promise<ServerStage> {
  const plane = await startControlPlane();
  const user = plane.client(NAMESPACE);
  const gatewayApi = has.gatewayApi ? [installGatewayApi(user)] : [];
  await Promise.all([serveKinds(user, KINDS), makeNamespace(user, NAMESPACE), ...gatewayApi]);
  const operator = startOperator(plane, { namespace: NAMESPACE, watchNamespaces: [] });
  return {
    user,
    close: async () => {
      await operator.stop();
      await plane.stop();
    },
  };
}

import { setTimeout as wait } from "node:timers/promises";
import { API_VERSION } from "../crds/group.ts";
import { ROLLOUT, type Rollout } from "../crds/rollout.ts";
import { type RolloutStage } from "../crds/rollout-ladder.ts";
import { type RolloutStatus } from "../crds/rollout-status.ts";
import { systemClock } from "../lib/core/clock.ts";
import type { KubeClient } from "../lib/kube/client.ts";
import { connectKube } from "../lib/kube/connect.ts";
import { type KubeObject, RESOURCES } from "../lib/kube/types.ts";
import { type Cluster } from "./cluster.ts";
import { type Application, applicationObjects } from "./gateway/application.ts";
import { type ApplicationImages, GATEWAY_OBJECT, type GatewayName, gatewayUrl } from "./gateway/gateways.ts";
import { type Load, startLoad } from "./gateway/load-pod.ts";
import { waitFor } from "./run.ts";

// Releases of the application, as a team makes them: a Deployment and a Service that they had before, a Rollout beside them,
// and a load of requests through the gateway.

/** Name of Deployment, Service, Rollout and route. */
export const APP = "shop";
/** Host name of the route. */
export const HOST = "shop.example";

/** A version of the application. */
export interface Pushed {
  readonly version: string;
  readonly image: string;
  /** Share of requests that it answers with 500. */
  readonly errors?: number;
}

/** What is released, and where. */
export interface Stage {
  readonly cluster: Cluster;
  readonly client: KubeClient;
  readonly namespace: string;
  readonly gateway: GatewayName;
  readonly images: ApplicationImages;
  readonly replicas: number;
}

export async function openStage(stage: Omit<Stage, "client">): Promise<Stage> {
  const client = await connectKube({
    environment: {},
    kubeconfig: stage.cluster.kubeconfig,
    context: undefined,
    userAgent: "shieldx/e2e",
    clock: systemClock,
    random: Math.random,
  });
  await stage.cluster.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: stage.namespace } });
  return { ...stage, client };
}

/** Changes image and environment of the Deployment, as a pipeline does. */
export async function push(stage: Stage, { version, image, errors = 0 }: Pushed): Promise<void> {
  const { namespace, replicas } = stage;
  const application: Application = { namespace, name: APP, version, image, replicas, env: { ERRORS: String(errors) } };
  for (const object of applicationObjects(application)) await stage.cluster.apply(object);
}

/** The times of a ladder for people who wait. */
export function quickStage(weightBps: number, holdSeconds: number, more: Partial<RolloutStage> = {}): object {
  return { weightBps, holdSeconds, minSamples: 20, maxErrorRateBps: 500, ...more };
}

/** The Rollout beside the Deployment. */
export function rolloutManifest(stage: Stage, spec: object): KubeObject {
  return {
    apiVersion: API_VERSION,
    kind: ROLLOUT.kind,
    metadata: { name: APP, namespace: stage.namespace },
    spec: {
      target: { deployment: APP },
      service: { name: APP },
      traffic: {
        gatewayAPI: { parentRefs: [{ name: GATEWAY_OBJECT, namespace: stage.gateway }], hostnames: [HOST] },
      },
      analysis: { intervalSeconds: 2 },
      ...spec,
    },
  };
}

export async function statusOf({ client, namespace }: Stage): Promise<RolloutStatus> {
  const { status } = await client.get<Rollout>(ROLLOUT, { namespace, name: APP });
  return status ?? { observedGeneration: -1 };
}

/** Waits until the newest release has ended, and the Rollout is at rest. @returns the status then */
export function releaseEnded(stage: Stage, before: RolloutStatus, timeoutMs: number): Promise<RolloutStatus> {
  const last = before.releases?.[0]?.endedAt;
  return waitFor("the end of the release", timeoutMs, async () => {
    const status = await statusOf(stage);
    return status.phase === "Idle" && status.releases?.[0]?.endedAt !== last && status;
  });
}

/** Requests per second to the application through the gateway, for at most so long. The gateway serves the route by then. */
export async function loadOf(stage: Stage, how: { readonly rate: number; readonly seconds: number }): Promise<Load> {
  const probe = await begin(stage, "probe", { rate: PROBE_RATE, seconds: PROBE_SECONDS });
  try {
    let failed = -1;
    let since = performance.now();
    await waitFor("the gateway to serve the route", PROBE_SECONDS * 1_000, async () => {
      const { counts, errors } = await probe.results();
      const [answered, refused] = [true, false].map((isVersion) =>
        Object.entries(counts)
          .filter(([key]) => key.startsWith("-/") !== isVersion)
          .reduce((sum, [, count]) => sum + count, 0),
      ) as [number, number];
      const now = refused + Object.values(errors).reduce((sum, count) => sum + count, 0);
      if (now !== failed || answered === 0) since = performance.now();
      failed = now;
      return performance.now() - since > SETTLED_MS;
    });
  } finally {
    await probe.stop();
  }
  return begin(stage, "load", how);
}

const PROBE_RATE = 20;
const PROBE_SECONDS = 60;
/** A gateway may say that it has taken a route and gather changes for 2 s before it serves them (e2e/gateway/README.md). */
const SETTLED_MS = 3_000;

function begin(stage: Stage, name: string, how: { readonly rate: number; readonly seconds: number }): Promise<Load> {
  const { client, namespace, gateway, images } = stage;
  return startLoad(client, { namespace, name, image: images.image, url: gatewayUrl(gateway), host: HOST, ...how });
}

/** A change of the canary's weight in the route. */
export interface WeightChange {
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Colour of the Service with this weight, in basis points. */
  readonly weights: Readonly<Record<string, number>>;
}

const LOOK_MS = 50;

/** Changes of weights that are noted until somebody stops it. */
export interface Following {
  readonly changes: WeightChange[];
  stop(): Promise<void>;
}

/** Notes every change of the route's weights until it is stopped. */
export function followWeights({ client, namespace }: Stage): Following {
  return followChanges(async () => {
    const route = await client.find(RESOURCES.HTTPRoute, { namespace, name: APP });
    return route === undefined ? {} : weightsIn(route);
  });
}

/** The same of weights that are read some other way. */
export function followChanges(read: () => Promise<Readonly<Record<string, number>>>): Following {
  const changes: WeightChange[] = [];
  let isStopped = false;
  const loop = async (): Promise<void> => {
    while (!isStopped) {
      const weights = await read();
      if (JSON.stringify(changes.at(-1)?.weights ?? {}) !== JSON.stringify(weights))
        changes.push({ at: Date.now(), weights });
      await wait(LOOK_MS);
    }
  };
  // A failure is told by `stop`, where somebody waits for it.
  const running = Promise.allSettled([loop()]);
  return {
    changes,
    stop: async () => {
      isStopped = true;
      const [outcome] = await running;
      if (outcome.status === "rejected") throw new Error("the route could not be followed", { cause: outcome.reason });
    },
  };
}

function weightsIn(route: KubeObject): Record<string, number> {
  const { rules } = route["spec"] as {
    readonly rules: readonly { readonly backendRefs: readonly { readonly name: string; readonly weight: number }[] }[];
  };
  return Object.fromEntries((rules[0]?.backendRefs ?? []).map(({ name, weight }) => [name, weight]));
}

/** Service of the colour that does not serve. */
export function idleService({ stable }: RolloutStatus): string {
  return stable?.colour === "Blue" ? `${APP}-green` : `${APP}-blue`;
}

/** Seconds from the first share of a colour to the end of its last one. @returns `undefined` where it had none, or still has one */
export function shareSeconds(changes: readonly WeightChange[], service: string): number | undefined {
  const first = changes.find(({ weights }) => (weights[service] ?? 0) > 0);
  const last = changes.findLast(({ weights }) => weights[service] === 0);
  return first === undefined || last === undefined || last.at < first.at ? undefined : (last.at - first.at) / 1_000;
}

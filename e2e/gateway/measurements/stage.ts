import { systemClock } from "../../../lib/core/clock.ts";
import type { KubeClient } from "../../../lib/kube/client.ts";
import { type KubeObject, RESOURCES, type ResourceType } from "../../../lib/kube/types.ts";
import { waitFor } from "../../run.ts";
import { type Application, applicationObjects } from "../application.ts";
import { type ApplicationImages, type GatewayName, gatewayUrl } from "../gateways.ts";
import { type Load, type LoadOptions, startLoad } from "../load-pod.ts";
import { type Backend, backendRefs, GRPC_ROUTE, HTTP_ROUTE, type Route, routeObject } from "../routes.ts";

/** Host that the routes answer to. */
export const HOST = "app.example";
/** Names of the two Services; their versions are called the same. */
export const STABLE = "stable";
export const CANARY = "canary";
/** The route that is measured. */
export const ROUTE = "app";
const MANAGER = "measure";
const READY_MS = 60_000;
/** Between two looks at a status whose time is measured. */
const POLL_MS = 10;
/** From the gateway's word on a route until it serves so: Traefik gathers changes for up to 2 s after it has said yes. */
export const SETTLE_MS = 3000;

/** What a measurement works on: a gateway, and a namespace of its own with both versions in it. */
export interface Stage extends StageOptions {
  /** Applies an application and waits until it is ready, unless told not to. */
  deploy(
    application: Omit<Application, "namespace" | "image"> & { image?: string },
    options?: { readonly wait: boolean },
  ): Promise<void>;
  /** Applies the route with these rules, and waits until the gateway serves so. */
  route(rules: readonly object[], kind?: "HTTPRoute" | "GRPCRoute"): Promise<void>;
  /** The route as it is. */
  readRoute(): Promise<Route>;
  /** Waits until the gateway has judged the route as it is. @returns when that was seen, seconds since 1970 */
  observed(): Promise<number>;
  /** Sets the weights of the first rule by one PATCH. @returns when it was sent and when it was answered, seconds since 1970 */
  setWeights(backends: readonly Backend[]): Promise<{ readonly sent: number; readonly answered: number }>;
  load(options: Partial<LoadOptions> & Pick<LoadOptions, "rate" | "seconds">): Promise<Load>;
}

export interface StageOptions {
  readonly client: KubeClient;
  readonly gateway: GatewayName;
  readonly namespace: string;
  readonly images: ApplicationImages;
  /** Reads a path below the API server as text. */
  readonly raw: (path: string) => Promise<string>;
}

const TYPES: Readonly<Record<string, ResourceType>> = {
  Deployment: RESOURCES.Deployment,
  Service: RESOURCES.Service,
  HTTPRoute: HTTP_ROUTE,
  GRPCRoute: GRPC_ROUTE,
};

/** A stage with one pod of each version. */
export async function openStage(options: StageOptions): Promise<Stage> {
  const { client, gateway, namespace, images } = options;
  const apply = async (object: KubeObject): Promise<void> => {
    const type = TYPES[object.kind];
    if (type === undefined) throw new Error(`no type for ${object.kind}`);
    await client.apply(type, object, { fieldManager: MANAGER, force: true });
  };
  const ref = { namespace, name: ROUTE };
  const stage: Stage = {
    ...options,
    deploy: async (application, { wait } = { wait: true }) => {
      for (const object of applicationObjects({ image: images.image, ...application, namespace })) await apply(object);
      if (wait) await deployed(client, namespace, application);
    },
    route: async (rules, kind = "HTTPRoute") => {
      await apply(routeObject(kind, { gateway, namespace, name: ROUTE, host: HOST, rules }));
      await waitFor("the gateway's word on the route", READY_MS, async () =>
        isJudged(await client.get(kind === "HTTPRoute" ? HTTP_ROUTE : GRPC_ROUTE, ref)),
      );
      await systemClock.sleep(SETTLE_MS);
    },
    readRoute: () => client.get(HTTP_ROUTE, ref),
    observed: async () => {
      const deadline = systemClock.monotonic() + READY_MS;
      while (!isJudged(await client.get(HTTP_ROUTE, ref))) {
        if (systemClock.monotonic() > deadline) throw new Error("the gateway says nothing about the route");
        await systemClock.sleep(POLL_MS);
      }
      return systemClock.now() / 1000;
    },
    setWeights: async (backends) => {
      const sent = systemClock.now() / 1000;
      await client.patch(HTTP_ROUTE, ref, {
        format: "json",
        patch: [{ op: "replace", path: "/spec/rules/0/backendRefs", value: backendRefs(backends) }],
      });
      return { sent, answered: systemClock.now() / 1000 };
    },
    load: (load) =>
      startLoad(client, {
        namespace,
        name: "load",
        image: images.image,
        url: `${gatewayUrl(gateway)}/`,
        host: HOST,
        ...load,
      }),
  };
  for (const version of [STABLE, CANARY]) await stage.deploy({ name: version, version });
  await client.delete(GRPC_ROUTE, ref).catch(() => undefined);
  return stage;
}

/** Waits until just the pods of this very template are there and ready. */
async function deployed(
  client: KubeClient,
  namespace: string,
  { name, replicas = 1 }: Pick<Application, "name" | "replicas">,
): Promise<void> {
  await waitFor(`deployment ${name}`, READY_MS, async () => {
    const found = await client.get(RESOURCES.Deployment, { namespace, name });
    const status = found["status"] as Readonly<Record<string, number | undefined>> | undefined;
    return (
      status?.["observedGeneration"] === found.metadata.generation &&
      (status?.["updatedReplicas"] ?? 0) === replicas &&
      (status?.["availableReplicas"] ?? 0) === replicas &&
      (status?.["replicas"] ?? 0) === replicas
    );
  });
}

/** Whether a gateway has judged this generation of a route, well or badly. */
function isJudged({ metadata, status }: Route): boolean {
  const conditions = (status?.parents ?? []).flatMap((parent) => parent.conditions ?? []);
  return conditions.length > 0 && conditions.every((one) => one.observedGeneration === metadata.generation);
}

/** Counts of answers by version. */
export function byVersion(counts: Readonly<Record<string, number>>): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const [key, count] of Object.entries(counts)) {
    const version = key.slice(0, key.lastIndexOf("/"));
    sums[version] = (sums[version] ?? 0) + count;
  }
  return sums;
}

/** Requests that failed: answered with anything but 2xx, or not at all. */
export function failures(counts: Readonly<Record<string, number>>): number {
  return Object.entries(counts)
    .filter(([key]) => !/\/2\d\d$/.test(key))
    .reduce((sum, [, count]) => sum + count, 0);
}

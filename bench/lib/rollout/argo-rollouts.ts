/**
 * Argo Rollouts on the same application: a Rollout of its own kind, its in-tree router for Traefik's TraefikService, and an
 * analysis in the background from the first weight on. It asks the canary itself (provider `web`) for the counts of the last
 * seconds, so that no scrape of a Prometheus comes between.
 */

import { APPLICATION_PORTS, applicationObjects } from "../../../e2e/gateway/application.ts";
import { APP, followChanges, type Stage } from "../../../e2e/release.ts";
import { waitFor } from "../../../e2e/run.ts";
import { type KubeObject, resourceType } from "../../../lib/kube/types.ts";
import { LADDER, type Outcome, type Push, RELEASE_TIMEOUT_MS, type Side } from "./side.ts";

const ROLLOUT = resourceType<ArgoRollout>("argoproj.io/v1alpha1", ["Rollout", "rollouts"]);
const TRAEFIK_SERVICE = resourceType<TraefikService>("traefik.io/v1alpha1", ["TraefikService", "traefikservices"]);

interface ArgoRollout extends KubeObject {
  readonly status?: {
    readonly phase?: string;
    readonly abort?: boolean;
    readonly currentPodHash?: string;
    readonly replicas?: number;
  };
}

interface TraefikService extends KubeObject {
  readonly spec: {
    readonly weighted: { readonly services: readonly { readonly name: string; readonly weight?: number }[] };
  };
}

const HOST = "shop-argo.example";
const STABLE = `${APP}-stable`;
const CANARY = `${APP}-canary`;
const TEMPLATE = "good-answers";
const READY_TIMEOUT_MS = 180_000;

/** Its fastest profile of the measurements that this bench repeats: the second failed look decides. */
export const ARGO_ANALYSIS = { intervalSeconds: 5, windowSeconds: 10, failureLimit: 1 };
/** Short, so that runs follow each other; its own defaults of 30 s say nothing about what is measured. */
const SCALE_DOWN_SECONDS = 5;

export function argoSide(stage: Stage): Side {
  const { client, cluster, namespace } = stage;
  const ref = { namespace, name: APP };
  const status = async () => (await client.get(ROLLOUT, ref)).status ?? {};
  return {
    name: "argoRollouts",
    namespace,
    host: HOST,
    prepare: async (first) => {
      const objects = [...services(namespace), ...routes(namespace), analysis(namespace, first), rollout(stage, first)];
      for (const object of objects) await cluster.apply(object);
      await waitFor("Argo Rollouts' first version", READY_TIMEOUT_MS, async () => (await status()).phase === "Healthy");
    },
    follow: () =>
      Promise.resolve({
        ...followChanges(async () => weightsIn(await client.get(TRAEFIK_SERVICE, ref))),
        canary: CANARY,
      }),
    release: async (push) => {
      const before = (await status()).currentPodHash;
      await cluster.apply(analysis(namespace, push));
      const { template } = rollout(stage, push).spec;
      await client.patch(ROLLOUT, ref, { format: "merge", patch: { spec: { template } } });
      return waitFor("the end of Argo Rollouts' release", RELEASE_TIMEOUT_MS, async () =>
        outcomeOf(await status(), before),
      );
    },
    settle: () =>
      waitFor("the end of Argo Rollouts' pods", READY_TIMEOUT_MS, async () => {
        const pods = await cluster.list("pods", namespace, `app.kubernetes.io/name=${APP}`);
        return pods.length === 1;
      }).then(() => undefined),
  };
}

function outcomeOf(status: NonNullable<ArgoRollout["status"]>, before: string | undefined): Outcome | undefined {
  // Until the new version has its hash, the rest is about the one before.
  if (status.currentPodHash === before) return undefined;
  if (status.phase === "Healthy") return "Promoted";
  return status.phase === "Degraded" && status.abort === true ? "RolledBack" : undefined;
}

/** In basis points. */
function weightsIn({ spec }: TraefikService): Record<string, number> {
  return Object.fromEntries(spec.weighted.services.map(({ name, weight = 0 }) => [name, weight * 100]));
}

const labels = { "app.kubernetes.io/name": APP };

function services(namespace: string): KubeObject[] {
  return [STABLE, CANARY].map((name) => ({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace },
    spec: { selector: labels, ports: [{ name: "http", port: APPLICATION_PORTS.http, targetPort: 8080 }] },
  }));
}

function routes(namespace: string): KubeObject[] {
  const weighted = (name: string, weight: number) => ({ name, weight, port: APPLICATION_PORTS.http });
  return [
    {
      apiVersion: TRAEFIK_SERVICE.apiVersion,
      kind: TRAEFIK_SERVICE.kind,
      metadata: { name: APP, namespace },
      spec: { weighted: { services: [weighted(STABLE, 100), weighted(CANARY, 0)] } },
    },
    {
      apiVersion: TRAEFIK_SERVICE.apiVersion,
      kind: "IngressRoute",
      metadata: { name: APP, namespace },
      spec: {
        entryPoints: ["web"],
        routes: [{ kind: "Rule", match: `Host(\`${HOST}\`)`, services: [{ kind: TRAEFIK_SERVICE.kind, name: APP }] }],
      },
    },
  ];
}

/** Without a request there is no failure. */
function analysis(namespace: string, { thresholdBps }: Push): KubeObject {
  const { intervalSeconds, windowSeconds, failureLimit } = ARGO_ANALYSIS;
  return {
    apiVersion: ROLLOUT.apiVersion,
    kind: "AnalysisTemplate",
    metadata: { name: TEMPLATE, namespace },
    spec: {
      metrics: [
        {
          name: TEMPLATE,
          interval: `${String(intervalSeconds)}s`,
          failureLimit,
          successCondition: `result.failed * 10000 <= result.requests * ${String(10_000 - thresholdBps)}`,
          provider: {
            web: {
              url: `http://${CANARY}.${namespace}.svc/recent?seconds=${String(windowSeconds)}`,
              timeoutSeconds: 2,
            },
          },
        },
      ],
    },
  };
}

function rollout(stage: Stage, { version, errors }: Push) {
  const { namespace, images } = stage;
  const env = { ERRORS: String(errors) };
  const [deployment] = applicationObjects({ namespace, name: APP, version, image: images.image, env });
  const { template } = (deployment as KubeObject)["spec"] as { readonly template: object };
  const steps = LADDER.percents.flatMap((percent) => [
    { setWeight: percent },
    { pause: { duration: `${String(LADDER.holdSeconds)}s` } },
  ]);
  return {
    apiVersion: ROLLOUT.apiVersion,
    kind: ROLLOUT.kind,
    metadata: { name: APP, namespace },
    spec: {
      replicas: 1,
      selector: { matchLabels: labels },
      template,
      strategy: {
        canary: {
          stableService: STABLE,
          canaryService: CANARY,
          scaleDownDelaySeconds: SCALE_DOWN_SECONDS,
          abortScaleDownDelaySeconds: SCALE_DOWN_SECONDS,
          trafficRouting: { traefik: { weightedTraefikServiceName: APP } },
          analysis: { startingStep: 1, templates: [{ templateName: TEMPLATE }] },
          steps,
        },
      },
    },
  };
}

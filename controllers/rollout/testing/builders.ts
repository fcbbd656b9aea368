import { ROLLOUT, type Rollout, type RolloutSpec, rolloutSpec } from "../../../crds/rollout.ts";
import type { Verdict } from "../../../crds/rollout-run.ts";
import { canonicalJson } from "../../../lib/core/canonical.ts";
import type { KubeObject } from "../../../lib/kube/types.ts";
import type { Standing } from "../sampling/release.ts";
import type { Sampler } from "../sampling/sampler.ts";
import type { SampleTask } from "../sampling/task.ts";

export const NAMESPACE = "shop";
export const NAME = "web";

/** A spec with short times and a ladder of two stages. */
export function spec(given: Partial<RolloutSpec> = {}): RolloutSpec {
  const stage = { holdSeconds: 60, maxHoldSeconds: 600, minSamples: 10, maxErrorRateBps: 100 };
  return {
    ...rolloutSpec.parse({
      target: { deployment: "web" },
      service: { name: "web" },
      traffic: { gatewayAPI: { parentRefs: [{ name: "public", namespace: "gateway" }] } },
      analysis: {},
      stages: [
        { ...stage, weightBps: 1_000 },
        { ...stage, weightBps: 10_000 },
      ],
      bakeSeconds: 60,
    }),
    ...given,
  };
}

export function rollout(given: Partial<RolloutSpec> = {}): Rollout {
  const { apiVersion, kind } = ROLLOUT;
  return {
    apiVersion,
    kind,
    metadata: { namespace: NAMESPACE, name: NAME, uid: "uid-web", generation: 1 },
    spec: spec(given),
  };
}

/** The user's Deployment. */
export function deployment(image: string, replicas = 4): KubeObject {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "web", namespace: NAMESPACE },
    spec: {
      replicas,
      selector: { matchLabels: { app: "web" } },
      template: {
        metadata: { labels: { app: "web", team: "shop" } },
        spec: { containers: [{ name: "web", image, ports: [{ name: "http", containerPort: 8080 }] }] },
      },
    },
  };
}

/** The user's Service. */
export function service(): KubeObject {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "web", namespace: NAMESPACE },
    spec: { selector: { app: "web" }, ports: [{ port: 80, targetPort: "http" }] },
  };
}

export function verdict(kind: Verdict["verdict"], reason: Verdict["reason"], message = "as the test says"): Verdict {
  return { verdict: kind, reason, metric: "errors", message };
}

/** A sampler that says what a test wants, at each place anew. */
export interface ScriptedSampler extends Sampler {
  /** What is followed now. */
  task(): SampleTask | undefined;
  /** What the judge says at the present place. */
  say(
    said: Partial<Pick<Standing, "run" | "verdict" | "failure" | "unknownSinceMs" | "trouble" | "shareTrouble">>,
  ): void;
}

export function scriptedSampler(): ScriptedSampler {
  let task: SampleTask | undefined;
  let said: Partial<Standing> = {};
  return {
    task: () => task,
    say: (words) => {
      said = { ...said, ...words };
    },
    follow: (_uid, next) => {
      const isSameRun =
        next?.revision === task?.revision && canonicalJson(next?.policy) === canonicalJson(task?.policy);
      const isSamePlace = isSameRun && next?.stage === task?.stage && next?.weightBps === task?.weightBps;
      if (!isSameRun) said = {};
      else if (!isSamePlace) said = { ...said, verdict: undefined };
      task = next;
    },
    standing: () =>
      task && {
        revision: task.revision,
        run: { kind: "RolloutRun", version: 1, revision: task.revision, policy: task.policy, rows: [] },
        verdict: undefined,
        failure: undefined,
        measured: { canary: 0, stable: 0 },
        ...said,
      },
    source: { name: "samples", run: async () => undefined },
  };
}

/** What the judge knows of a release, in short. */
export function standing(given: Pick<Standing, "revision" | "run"> & Partial<Standing>): Standing {
  return { verdict: undefined, failure: undefined, measured: { canary: 0, stable: 0 }, ...given };
}

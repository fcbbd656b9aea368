/**
 * Second act of the demo: a good version of an application goes out step by step, and a bad one comes back, with 200 requests
 * a second on it all the while, through a real gateway.
 */
import type { RolloutStatus } from "../../crds/rollout-status.ts";
import { type Cluster } from "../cluster.ts";
import { ensureGateway } from "../gateway/gateways.ts";
import type { LoadResults } from "../gateway/load-pod.ts";
import {
  APP,
  followWeights,
  idleService,
  loadOf,
  openStage,
  push,
  quickStage,
  releaseEnded,
  rolloutManifest,
  type Stage,
  shareSeconds,
  statusOf,
  type WeightChange,
} from "../release.ts";
import { waitFor } from "../run.ts";
import { formatTable, type Step } from "./steps.ts";

const NAMESPACE = "shop";
const RATE = 200;
/** Longer than the act takes; the load ends by itself. */
const LOAD_SECONDS = 240;
/** Share of the requests that the bad version answers with 500. */
const BAD_ERRORS = 0.5;

/** Steps that the act takes. */
export const ROLLOUT_STEPS = 4;

/** Plays the act on a cluster with the operator. @returns what happened, and what to try next */
export async function playRollout(step: Step, cluster: Cluster): Promise<string> {
  const stage = await step("gateway: Traefik, and the application's images", async () => {
    const images = await ensureGateway(cluster.name, "traefik");
    return openStage({ cluster, namespace: NAMESPACE, gateway: "traefik", images, replicas: 2 });
  });
  await step("a Deployment, a Service, and a Rollout beside them", async () => {
    await push(stage, { version: `v${String(Date.now())}`, image: stage.images.image });
    await cluster.apply(rolloutManifest(stage, SPEC));
    await waitFor("the Rollout to be at rest", 120_000, async () => isAtRest(await statusOf(stage)));
  });
  const load = await loadOf(stage, { rate: RATE, seconds: LOAD_SECONDS });
  try {
    const good = await step("a good version: kubectl apply of a new image", () => release(stage, 0, load));
    const bad = await step(`a bad version: ${String(BAD_ERRORS * 100)} % of its answers are errors`, () =>
      release(stage, BAD_ERRORS, load),
    );
    return tell(stage, good, bad);
  } finally {
    await load.stop();
  }
}

const SPEC = {
  stages: [quickStage(1_000, 6), quickStage(5_000, 6), quickStage(10_000, 6)],
  bakeSeconds: 4,
  drainSeconds: 3,
};

function isAtRest({ phase, stable }: RolloutStatus): boolean {
  return phase === "Idle" && stable !== undefined;
}

interface Released {
  readonly version: string;
  readonly status: RolloutStatus;
  readonly changes: readonly WeightChange[];
  readonly colour: string;
  readonly results: LoadResults;
  readonly seconds: number;
}

async function release(stage: Stage, errors: number, load: { results(): Promise<LoadResults> }): Promise<Released> {
  const before = await statusOf(stage);
  const version = `v${String(Date.now())}`;
  const colour = idleService(before);
  const started = performance.now();
  const weights = followWeights(stage);
  const status = await push(stage, { version, image: stage.images.next, errors })
    .then(() => releaseEnded(stage, before, 120_000))
    .finally(() => weights.stop());
  const seconds = (performance.now() - started) / 1_000;
  return { version, status, changes: weights.changes, colour, results: await load.results(), seconds };
}

function ladder({ changes, colour }: Released): string {
  return changes
    .map(({ weights }) => (weights[colour] ?? 0) / 100)
    .filter((share, index, all) => share !== all[index - 1])
    .map((share) => `${String(share)} %`)
    .join(" → ");
}

function answersOf({ results, version }: Released, isBad: boolean): number {
  return Object.entries(results.counts)
    .filter(([key]) => key.startsWith(`${version}/`) && Number(key.split("/")[1]) >= 500 === isBad)
    .reduce((sum, [, count]) => sum + count, 0);
}

/** Failed requests that no version answered: the gateway's own, and errors of connections. */
function lostRequests({ counts, errors }: LoadResults): number {
  const ofGateway = Object.entries(counts)
    .filter(([key]) => key.startsWith("-/") && Number(key.split("/")[1]) >= 500)
    .map(([, count]) => count);
  return [...ofGateway, ...Object.values(errors)].reduce((sum, count) => sum + count, 0);
}

function tell(stage: Stage, good: Released, bad: Released): string {
  const ended = (released: Released): string => {
    const [last] = released.status.releases ?? [];
    return last === undefined ? "not ended" : `${last.outcome}: ${last.message}`;
  };
  const seconds = shareSeconds(bad.changes, bad.colour);
  return (
    `${formatTable("What happened to the releases", [
      [
        "requests",
        `${bad.results.sent.toLocaleString("en-US")} at ${String(RATE)}/s, ${String(lostRequests(bad.results))} lost by switching`,
      ],
      ["good version", ended(good)],
      ["its share", ladder(good)],
      [
        "its answers",
        `${answersOf(good, false).toLocaleString("en-US")} good, ${String(answersOf(good, true))} bad, in ${good.seconds.toFixed(0)} s`,
      ],
      ["bad version", ended(bad)],
      ["its share", ladder(bad)],
      ["its answers", `${answersOf(bad, false).toLocaleString("en-US")} good, ${String(answersOf(bad, true))} bad`],
      ["back at weight 0", seconds === undefined ? "not measured" : `${seconds.toFixed(1)} s after its first share`],
    ])}\n\nTry next:\n` +
    `  export KUBECONFIG=.build/kube/${stage.cluster.name}.kubeconfig PATH=$PWD/.build/bin:$PATH\n\n` +
    `  kubectl get rollouts -n ${NAMESPACE}\n` +
    `  kubectl describe rollout ${APP} -n ${NAMESPACE}\n`
  );
}

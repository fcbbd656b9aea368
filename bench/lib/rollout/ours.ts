/** Our Rollout beside a Deployment, as in the tests of releases; its parameters are those that a user has by default. */
import { LABELS } from "../../../crds/group.ts";
import {
  followWeights,
  HOST,
  idleService,
  push,
  quickStage,
  releaseEnded,
  rolloutManifest,
  type Stage,
  statusOf,
} from "../../../e2e/release.ts";
import { waitFor } from "../../../e2e/run.ts";
import { LADDER, type Outcome, type Push, RELEASE_TIMEOUT_MS, type Side } from "./side.ts";

const READY_TIMEOUT_MS = 180_000;
const WHOLE_BPS = 10_000;

/** The last stage keeps 5 % for the former version by itself, so that it is asked for whole. */
const STAGES = LADDER.percents.map((percent, index, all) =>
  quickStage(index === all.length - 1 ? WHOLE_BPS : percent * 100, LADDER.holdSeconds, { minSamples: 100 }),
);

/** Intervals of 1 s, which is the shortest time; false rollbacks 1 %, which is the default. */
export const OUR_ANALYSIS = { intervalSeconds: 1, falseRollbackRateBps: 100 };

/** @param stage whose Deployment has no pods of its own: `replicas` is 0 */
export function ourSide(stage: Stage): Side {
  const pushed = ({ version, errors }: Push, image: string) => push(stage, { version, image, errors });
  return {
    name: "ours",
    namespace: stage.namespace,
    host: HOST,
    prepare: async (first) => {
      await pushed(first, stage.images.image);
      const spec = { replicas: 1, analysis: OUR_ANALYSIS, stages: STAGES, bakeSeconds: 2, drainSeconds: 5 };
      await stage.cluster.apply(rolloutManifest(stage, spec));
      await waitFor("our first version", READY_TIMEOUT_MS, async () => {
        const { phase, stable } = await statusOf(stage);
        return phase === "Idle" && stable !== undefined;
      });
    },
    follow: async () => ({ ...followWeights(stage), canary: idleService(await statusOf(stage)) }),
    release: async (of) => {
      const before = await statusOf(stage);
      await pushed(of, stage.images.next);
      const { releases } = await releaseEnded(stage, before, RELEASE_TIMEOUT_MS);
      return outcomeOf(releases?.[0]?.outcome);
    },
    settle: () =>
      waitFor("the end of our release's pods", READY_TIMEOUT_MS, async () => {
        const pods = await stage.cluster.list("pods", stage.namespace, LABELS.colour);
        return pods.length === 1;
      }).then(() => undefined),
  };
}

function outcomeOf(outcome: string | undefined): Outcome {
  if (outcome === "Promoted" || outcome === "RolledBack") return outcome;
  throw new Error(`a release of ours ended as ${String(outcome)}`);
}

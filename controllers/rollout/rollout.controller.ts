import { LABELS } from "../../crds/group.ts";
import { ROLLOUT, type Rollout } from "../../crds/rollout.ts";
import { type KubeObject, RESOURCES, type ResourceType } from "../../lib/kube/types.ts";
import { createClueReader } from "../../operator/runtime/clues.ts";
import { labelKeys, owned, references, referringKeys } from "../../operator/runtime/mapping.ts";
import { factsChanged } from "../../operator/runtime/predicates.ts";
import { createReconciler } from "../../operator/runtime/reconciler.ts";
import { createThrottle } from "../../operator/runtime/throttle.ts";
import type { Controller, Key, Watch } from "../../operator/runtime/types.ts";
import type { Post } from "../kit/notifications/answers.ts";
import { createCourier } from "../kit/notifications/courier.ts";
import { type Assessment, assessRollout } from "./rollout.assess.ts";
import { probeTasks } from "./rollout.checks.ts";
import { isKeyMissing } from "./rollout.configuration.ts";
import { missingCopies } from "./rollout.copies.ts";
import { decide } from "./rollout.decide.ts";
import { isToTryOnRecord } from "./rollout.dry-run.ts";
import { observePod } from "./rollout.facts.ts";
import { parcelOf } from "./rollout.mail.ts";
import type { RolloutMetrics } from "./rollout.metrics.ts";
import { ON_DEPLOYMENT, observeRollout, suspectsOf, type World } from "./rollout.observe.ts";
import { planRollout } from "./rollout.plan.ts";
import { readSources } from "./rollout.reader.ts";
import { configurationIndexes, configurationWatches, deploymentIndexes } from "./rollout.readers.ts";
import { numbersMoved, reportRollout } from "./rollout.report.ts";
import { readRoutes } from "./rollout.routes-reader.ts";
import { createRunRecorder, lastRun, recordedRun } from "./rollout.store.ts";
import { isToFollow, sampleTask } from "./rollout.task.ts";
import type { Sampler } from "./sampling/sampler.ts";
import { gatewayIndexes, gatewayWatches } from "./traffic/gateway-watches.ts";
import type { AskHttp } from "./verification/answers.ts";
import { observeJob, observeJobPod } from "./verification/jobs.ts";
import { createProber } from "./verification/prober.ts";

/** What the controller of Rollouts is built from. */
export interface RolloutDeps {
  /** Looks at the counters of both versions and judges them. */
  readonly sampler: Sampler;
  /** Counts what becomes of releases. */
  readonly metrics: RolloutMetrics;
  /** Random bytes of this number, for keys. */
  readonly randomBytes: (size: number) => Uint8Array;
  /** Asks the pods of a new version over HTTP. */
  readonly askHttp: AskHttp;
  /** Sends notifications. */
  readonly post: Post;
}

/** Bytes of the key that names of copies depend on. */
const KEY_BYTES = 32;

/** Keys reconciled at once: a reconcile waits for nothing but the API server. */
const CONCURRENCY = 8;

/** A run of a key holds up its retreat, so it may not take long; its requests have limits of their own. */
const DEADLINE_SECONDS = 20;

/** Numbers in the status change at most this often: each change is a write. */
export const NUMBERS_INTERVAL_SECONDS = 10;

/** Rollouts by the Service that they name. */
const ON_SERVICE = "service";

/** Controller of Rollouts: observe, assess, plan, report (docs/lifecycle.md). */
export function createRolloutController(deps: RolloutDeps): Controller<Rollout> {
  const { sampler, metrics, randomBytes } = deps;
  const readClues = createClueReader();
  const prober = createProber(deps.askHttp);
  const courier = createCourier({ post: deps.post, onEnd: metrics.notified });
  const numbers = createThrottle(NUMBERS_INTERVAL_SECONDS);
  const recorder = createRunRecorder();
  /** Who is followed, by key: a Rollout that is gone has no uid any more. */
  const followed = new Map<string, string>();
  const forget = (uid: string): void => {
    sampler.follow(uid, undefined);
    prober.forget(uid);
    courier.forget(uid);
  };
  const reconcile = createReconciler<Rollout, World, Assessment, string | undefined>({
    resource: ROLLOUT,
    holdsDeletion: false,
    observe: async (rollout, context) => {
      const seen = observeRollout(context.cache, rollout);
      const { uid, namespace, name } = seen.target.owner;
      const key = `${namespace}/${name}`;
      const former = followed.get(key);
      if (former !== undefined && former !== uid) forget(former);
      followed.set(key, uid);
      const before = sampler.standing(uid);
      const task = sampleTask(seen);
      const isNew = task !== undefined && before?.revision !== task.revision;
      const { run: record } = seen.target.names;
      const stored = isNew ? await recordedRun({ namespace, record, revision: task.revision }, context) : undefined;
      // The place is told before the verdict is read, so that no verdict of an earlier place counts at this one.
      if (isToFollow(task, before)) sampler.follow(uid, task, stored);
      prober.follow(uid, { namespace, name }, probeTasks(seen));
      courier.follow(parcelOf(rollout));
      const asked = (hash: string) => prober.seen(uid, hash);
      const standing = sampler.standing(uid);
      const deliveries = courier.seen(uid);
      const judged = { ...seen, asked, standing, deliveries, record: recorder.due(uid, standing, context.clock) };
      const isDeleted = rollout.metadata.deletionTimestamp !== undefined;
      // A retreat waits for nobody's answer.
      if (!isDeleted && decide(judged, context.clock.now()).next.phase === "RollingBack") return judged;
      const [clues, sources, last, { traffic, serving }] = await Promise.all([
        readClues(suspectsOf(seen), context),
        readSources(missingCopies(seen), namespace, context),
        isToTryOnRecord(rollout) ? lastRun({ namespace, record }, context) : undefined,
        readRoutes(seen, context),
      ]);
      return { ...judged, clues, sources, lastRun: last, traffic, serving };
    },
    make: ({ wanted }) =>
      isKeyMissing(wanted) ? Buffer.from(randomBytes(KEY_BYTES)).toString("base64url") : undefined,
    assess: assessRollout,
    plan: planRollout,
    report: (assessment, { error, now }, { clock }) => {
      const { target, record } = assessment.world;
      const { uid } = target.owner;
      if (record !== undefined && error === undefined) recorder.written(uid, record, clock);
      const moved = numbersMoved(assessment);
      const waitSeconds = moved ? numbers.waitSeconds(uid, clock) : 0;
      const publish = moved && waitSeconds === 0;
      if (publish) numbers.mark(uid, clock, true);
      return { ...reportRollout(assessment, publish, { error, now }), requeueAfterSeconds: waitSeconds };
    },
  });
  const unfollow = ({ namespace, name }: Key): void => {
    const uid = followed.get(`${namespace}/${name}`);
    if (uid !== undefined) forget(uid);
    followed.delete(`${namespace}/${name}`);
  };
  return {
    name: "rollout",
    resource: ROLLOUT,
    concurrency: CONCURRENCY,
    deadlineSeconds: DEADLINE_SECONDS,
    watches: WATCHES,
    indexes: {
      [ON_DEPLOYMENT]: references<Rollout>(({ spec }) => spec.target.deployment),
      [ON_SERVICE]: references<Rollout>(({ spec }) => spec.service.name),
      ...configurationIndexes,
      ...gatewayIndexes,
    },
    reads: [RESOURCES.Event, RESOURCES.EndpointSlice],
    sources: [sampler.source, prober.source, courier.source],
    reconcile: async (key, context) => {
      const rollout = context.cache.get(ROLLOUT, key.namespace, key.name);
      const standing = sampler.standing(rollout?.metadata.uid ?? "");
      metrics.look(key, rollout && { rollout, unknownSinceMs: standing?.unknownSinceMs }, context.clock);
      if (rollout === undefined) unfollow(key);
      return reconcile(key, context);
    },
  };
}

const ours = owned(ROLLOUT);

/** Of objects of others: what is read of them. */
const inputOf = ({ metadata, ...body }: KubeObject): unknown => [metadata.uid, metadata.labels, body["spec"]];

/** Objects of a user, and ours of the same kind: their Rollout, or the one that names them. */
function named(resource: ResourceType, index: string, read: (object: KubeObject) => unknown): Watch {
  const byLabel = labelKeys(LABELS.name);
  const byReference = referringKeys(ROLLOUT, index);
  return {
    resource,
    keys: (object, cache) =>
      object.metadata.labels?.[LABELS.kind] === ROLLOUT.kind ? byLabel(object, cache) : byReference(object, cache),
    changed: factsChanged(read),
    writes: ["create", "patch", "delete"],
  };
}

const WATCHES: readonly Watch[] = [
  // When the older one of two that release one Deployment goes, the other one goes on. What they name never changes.
  {
    resource: ROLLOUT,
    keys: referringKeys<Rollout>(ROLLOUT, ON_DEPLOYMENT, ({ spec }) => spec.target.deployment),
    changed: () => false,
  },
  // Only what is asked for counts, and whether pods were refused; how many are ready is read from the pods.
  {
    ...named(RESOURCES.Deployment, ON_DEPLOYMENT, (object) => [
      inputOf(object),
      ((object["status"] ?? {}) as { conditions?: { type: string; status: string }[] }).conditions?.find(
        ({ type }) => type === "ReplicaFailure",
      )?.status,
    ]),
    indexes: deploymentIndexes,
  },
  named(RESOURCES.Service, ON_SERVICE, inputOf),
  ...configurationWatches,
  ours(RESOURCES.ControllerRevision),
  ours(RESOURCES.HorizontalPodAutoscaler, { changed: factsChanged(inputOf) }),
  // Its status follows every pod.
  ours(RESOURCES.PodDisruptionBudget, { changed: factsChanged(inputOf) }),
  ours(RESOURCES.Pod, { changed: factsChanged((pod) => [observePod(pod), observeJobPod(pod).job]), writes: [] }),
  ours(RESOURCES.Job, { changed: factsChanged(observeJob), writes: ["create", "patch", "delete"] }),
  ...gatewayWatches,
  // None of the OpenFeature Operator has to be installed.
  { ...ours(RESOURCES.FeatureFlag), optional: true },
];

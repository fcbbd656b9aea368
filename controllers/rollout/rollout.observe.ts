/** Everything that a reconcile of a Rollout looks at: read once, plain and frozen. */
import { COMPONENTS, LABELS } from "../../crds/group.ts";
import { ROLLOUT, type Rollout } from "../../crds/rollout.ts";
import type { RolloutRun } from "../../crds/rollout-run.ts";
import { type Colour, type RolloutStatus } from "../../crds/rollout-status.ts";
import { deepFreeze } from "../../lib/core/objects.ts";
import {
  identityOf,
  type KubeObject,
  type ObjectIdentity,
  RESOURCES,
  type ResourceType,
} from "../../lib/kube/types.ts";
import { type Clues, NO_CLUES, type Suspect } from "../../operator/runtime/clues.ts";
import type { CacheReader } from "../../operator/runtime/types.ts";
import type { Delivery } from "../kit/notifications/outbox.ts";
import { ownLabels } from "../kit/objects.ts";
import { type ObservedFlags, observeFlags } from "./flags/feature-flag.ts";
import { withCopies } from "./rollout.configuration.ts";
import { type CopiesThere, NOTHING_READ, observeCopies, observeKey, type ReadSources } from "./rollout.copies.ts";
import {
  type ColourPod,
  type KeptVersion,
  type ObservedColour,
  observeColour,
  observePod,
  observeVersion,
} from "./rollout.facts.ts";
import { type Target, targetOf } from "./rollout.names.ts";
import { BEGINNING } from "./rollout.phases.ts";
import type { Progress } from "./rollout.progress.ts";
import type { SourceKind } from "./rollout.references.ts";
import { sourceOf } from "./rollout.sources.ts";
import { type Unusable, type Wanted, wantedOf } from "./rollout.template.ts";
import type { Standing } from "./sampling/release.ts";
import { type Leaving, observeLeaving } from "./traffic/leaving.ts";
import { observeTraffic } from "./traffic/observe.ts";
import type { ObservedTraffic, Traffic } from "./traffic/traffic.ts";
import { type JobPod, type ObservedJob, observeJob, observeJobPod } from "./verification/jobs.ts";
import type { Seen } from "./verification/memory.ts";

const { HorizontalPodAutoscaler, PodDisruptionBudget } = RESOURCES;

/** Rollouts by the Deployment that they release. */
export const ON_DEPLOYMENT = "deployment";

export interface World {
  readonly rollout: Rollout;
  readonly target: Target;
  /** What the status remembers. */
  readonly progress: Progress;
  readonly wanted: Wanted | Unusable;
  readonly colours: Readonly<Record<Colour, ObservedColour | undefined>>;
  /** Pods of both colours that are not being deleted. */
  readonly pods: readonly ColourPod[];
  /** Revisions of all pods, also of those that are being deleted. */
  readonly podRevisions: readonly string[];
  /** Copies of configuration. */
  readonly copies: CopiesThere;
  /** What is to be copied, where something is. */
  readonly sources: ReadSources;
  /** Autoscalers of the colours. */
  readonly autoscalers: readonly ObjectIdentity[];
  /** Disruption budgets of the colours. */
  readonly budgets: readonly ObjectIdentity[];
  /** What versions run, by revision. */
  readonly versions: ReadonlyMap<string, KeptVersion>;
  /** How requests reach the colours. */
  readonly traffic: Traffic;
  /** Routes of the user's that are to lead elsewhere again. */
  readonly leaving: readonly Leaving[];
  /** Services of theirs that could answer without the pods of the Rollout. */
  readonly serving: ReadonlySet<string>;
  /** Flags that releases raise. */
  readonly flags: ObservedFlags;
  /** Why pods do not come up, where nothing of the above tells. */
  readonly clues: Clues;
  /** What the judge says of the release under way. */
  readonly standing: Standing | undefined;
  /** Jobs of smoke tests, and their pods. */
  readonly jobs: readonly ObservedJob[];
  readonly jobPods: readonly JobPod[];
  /** What came of a check over HTTP, by its hash. */
  readonly asked: (hash: string) => Seen;
  /** The record as it is to be, when it is time to write it. */
  readonly record: RunRecord | undefined;
  /** Record of the last release, where another policy is to be tried on it. */
  readonly lastRun: RolloutRun | undefined;
  /** What came of the notifications in the outbox. */
  readonly deliveries: readonly Delivery[];
}

/** The record of a release as its ConfigMap keeps it. */
export interface RunRecord {
  /** What it says besides counts. */
  readonly news: string;
  readonly data: Readonly<Record<string, string>>;
  readonly rows: number;
}

/** Reads it from the informers' memory. */
export function observeRollout(cache: CacheReader, rollout: Rollout): World {
  const target = targetOf(rollout);
  const { owner, names } = target;
  const { namespace } = owner;
  const labels = ownLabels(owner);
  const all = cache.list(RESOURCES.Pod, namespace, labels);
  const isOfCheck = ({ metadata }: KubeObject): boolean =>
    metadata.labels?.[LABELS.component] === COMPONENTS.verification;
  const pods = all.filter((pod) => !isOfCheck(pod)).map(observePod);
  const colourOf = (colour: Colour): ObservedColour | undefined =>
    observeColour(
      cache
        .list(RESOURCES.Deployment, namespace, labels)
        .find(({ metadata }) => metadata.name === names.colour(colour)),
    );
  const listed = (type: ResourceType): readonly ObjectIdentity[] =>
    cache.list(type, namespace, labels).map((it) => identityOf(type, it));
  const versions = cache.list(RESOURCES.ControllerRevision, namespace, labels).map(observeVersion);
  const colours = { Blue: colourOf("Blue"), Green: colourOf("Green") };
  const traffic = observeTraffic(cache, rollout);
  const flags = observeFlags(cache, target);
  return {
    copies: observeCopies(cache, target),
    sources: NOTHING_READ,
    ...deepFreeze({
      rollout,
      target,
      progress: progressOf(rollout.status, colours, { traffic: traffic.seen, flags }),
      wanted: observeWanted(cache, rollout, target),
      colours,
      pods: pods.filter(({ deleting }) => !deleting),
      podRevisions: pods.flatMap(({ revision }) => revision ?? []),
      autoscalers: listed(HorizontalPodAutoscaler),
      budgets: listed(PodDisruptionBudget),
      clues: NO_CLUES,
      standing: undefined,
      jobs: cache.list(RESOURCES.Job, namespace, labels).map(observeJob),
      jobPods: all.filter(isOfCheck).map(observeJobPod),
      record: undefined,
      lastRun: undefined,
      deliveries: [],
    }),
    traffic,
    leaving: observeLeaving(cache, rollout),
    serving: new Set(),
    flags,
    asked: () => ({ state: "Absent" }),
    versions: new Map(
      versions.filter((version) => version !== undefined).map((version) => [version.revision, version]),
    ),
  };
}

function observeWanted(cache: CacheReader, rollout: Rollout, target: Target): Wanted | Unusable {
  const { spec, owner, names } = target;
  const { namespace } = owner;
  const { deployment } = spec.target;
  const service = spec.service.name;
  const wanted = wantedOf(spec, {
    deployment: deployment === undefined ? undefined : cache.get(RESOURCES.Deployment, namespace, deployment),
    service: service === undefined ? undefined : cache.get(RESOURCES.Service, namespace, service),
    claimedBy: olderRollout(cache, rollout),
  });
  if ("reason" in wanted) return wanted;
  const find = (kind: SourceKind, name: string) => {
    const object = cache.get(RESOURCES[kind], namespace, name);
    return object && sourceOf(object);
  };
  return withCopies(wanted, { mode: spec.configuration, nameOf: names.copy, key: observeKey(cache, target), find });
}

/** Pods that do not run, and Jobs without any: whom to ask about. */
export function suspectsOf({ pods, jobs, jobPods }: World): readonly Suspect[] {
  const without = jobs.filter(({ uid, state }) => state === "running" && jobPods.every(({ job }) => job !== uid));
  return [...[...pods, ...jobPods].filter(({ phase }) => phase === "Pending"), ...without];
}

/** A status that was lost is found again in what runs, and in what the route and the flags remember. */
function progressOf(
  status: RolloutStatus | undefined,
  colours: World["colours"],
  { traffic, flags: { settled } }: { readonly traffic: ObservedTraffic | undefined; readonly flags: ObservedFlags },
): Progress {
  if (status?.phase !== undefined) return pick(status, status.phase);
  const kept = traffic?.stable;
  const colour = kept !== undefined && colours[kept] !== undefined ? kept : busiest(colours, traffic);
  const revision = colours[colour]?.revision;
  if (revision === undefined) return BEGINNING;
  const stable = { colour, revision, since: new Date(0).toISOString() };
  const retreat = traffic?.retreat;
  const isFailed = retreat !== undefined && retreat.revision !== revision && retreat.outcome !== "Superseded";
  return {
    ...BEGINNING,
    stable,
    ...(isFailed ? { failedRevision: retreat.revision } : {}),
    ...(settled.length === 0 ? {} : { flags: [...settled] }),
  };
}

/** The colour with most of the requests; where nothing leads any, with most of the pods. One without a Deployment serves nothing. */
function busiest(colours: World["colours"], traffic: ObservedTraffic | undefined): Colour {
  const share = (colour: Colour): number => {
    const seen = colours[colour];
    return seen === undefined ? -1 : (traffic?.weights?.[colour] ?? seen.replicas);
  };
  return share("Green") > share("Blue") ? "Green" : "Blue";
}

/** Members of the status that are memory; the others are told anew each time. */
const REMEMBERED = [
  "stable",
  "canary",
  "stage",
  "phaseSince",
  "verifiedAt",
  "lostAt",
  "losses",
  "stageBps",
  "flags",
  "heldSince",
  "isFastTrack",
  "ignoresWindows",
  "heldReplicas",
  "isShadowed",
  "verify",
  "pause",
  "retreat",
  "failedRevision",
  "lastRequest",
  "requestIds",
  "releases",
  "releaseStartedAt",
] as const satisfies readonly (keyof Progress)[];

function pick(status: RolloutStatus, phase: Progress["phase"]): Progress {
  const members = REMEMBERED.flatMap((name) => (status[name] === undefined ? [] : [[name, status[name]] as const]));
  return { ...Object.fromEntries(members), phase };
}

function olderRollout(cache: CacheReader, rollout: Rollout): string | undefined {
  const { deployment } = rollout.spec.target;
  const { namespace = "", name } = rollout.metadata;
  if (deployment === undefined) return undefined;
  const age = ({ metadata }: Rollout): string => `${metadata.creationTimestamp ?? ""} ${metadata.name}`;
  return cache
    .byIndex(ROLLOUT, ON_DEPLOYMENT, `${namespace}/${deployment}`)
    .filter((other) => other.metadata.name !== name && age(other) < age(rollout))
    .map(({ metadata }) => metadata.name)[0];
}

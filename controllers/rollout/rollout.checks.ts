/** The checks of the release under way: what they are, what is known of them, what is to be asked and made for them. */
import type { RolloutPort } from "../../crds/rollout-target.ts";
import type { KubeObject } from "../../lib/kube/types.ts";
import { create, remove } from "../../operator/runtime/actions.ts";
import type { Write } from "../../operator/runtime/types.ts";
import type { World } from "./rollout.observe.ts";
import type { Progress } from "./rollout.progress.ts";
import { type Check, checksOf, runningChecks } from "./verification/checks.ts";
import { type ObservedJob, type Subject, seenJob, smokeJob } from "./verification/jobs.ts";
import type { CheckFacts, Seen } from "./verification/memory.ts";
import type { ProbeTask } from "./verification/prober.ts";

/** What the canary must pass, unless it is a return that was verified a moment ago. */
function checksIn({ progress, target }: World): readonly Check[] {
  const { canary, releaseStartedAt = "" } = progress;
  if (canary === undefined) return [];
  return checksOf(target.spec.verify, `${target.owner.uid} ${canary.revision}@${releaseStartedAt}`);
}

/** As the phase machine sees them. */
export function checkFacts(world: World): readonly CheckFacts[] {
  return checksIn(world).map((check) => ({
    name: check.name,
    hash: check.hash,
    isHealth: check.kind === "health",
    ...(check.kind === "job" ? { deadlineSeconds: check.job.activeDeadlineSeconds } : {}),
    seen: seenNow(check, world),
  }));
}

function seenNow(check: Check, world: World): Seen {
  if (check.kind !== "job") return world.asked(check.hash);
  return seenJob(jobOf(check, world), world.jobPods, world.clues);
}

function jobOf({ name, hash }: Check, { jobs, target }: World): ObservedJob | undefined {
  return jobs.find((job) => job.name === target.names.smoke(name, hash));
}

/** What pods are to be asked now. */
export function probeTasks(world: World): readonly ProbeTask[] {
  const { progress, pods } = world;
  const port = portOf(world);
  if (progress.phase !== "Verifying" || progress.canary === undefined || port === undefined) return [];
  const { colour, revision } = progress.canary;
  const targets = pods
    .filter((pod) => pod.colour === colour && pod.revision === revision)
    .map(({ name, ip, ready }) => ({ name, ip, isReady: ready }))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return runningChecks(checksIn(world), progress.verify).flatMap((check): readonly ProbeTask[] => {
    const { hash, kind } = check;
    const { targetPort = port.port } = port;
    if (kind === "job") return [];
    const own = (kind === "health" ? check.health.http : check.http).port ?? targetPort;
    const task = { hash, pods: targets, port: own };
    if (kind === "http") return [{ ...task, kind, http: check.http }];
    return [{ ...task, kind, health: check.health, podsWanted: world.colours[colour]?.replicas ?? 1 }];
  });
}

/** Port of the canary to which requests go. */
function portOf({ progress, versions, wanted }: World): RolloutPort | undefined {
  const revision = progress.canary?.revision ?? "";
  const kept = versions.get(revision);
  if (kept !== undefined) return kept.ports[0];
  return "template" in wanted && wanted.revision === revision ? wanted.ports[0] : undefined;
}

/** Jobs that are to run, and those that nobody asks for any more. */
export function jobActions(world: World, acting: Progress): readonly Write[] {
  return [...madeJobs(world, acting), ...removedJobs(world, acting)];
}

function madeJobs(world: World, acting: Progress): readonly Write[] {
  const { target } = world;
  const port = portOf(world);
  if (acting.phase !== "Verifying" || acting.canary === undefined || port === undefined) return [];
  const { colour, revision } = acting.canary;
  const scheme = port.appProtocol === "https" ? "https" : "http";
  const url = `${scheme}://${target.names.colour(colour)}.${target.owner.namespace}.svc:${String(port.port)}`;
  const subject: Subject = { revision, colour, url };
  return runningChecks(checksIn(world), acting.verify).flatMap((check): readonly Write[] => {
    if (check.kind !== "job" || jobOf(check, world) !== undefined) return [];
    const job: KubeObject = smokeJob(target, check, subject);
    return [create(job, `smoke test ${check.name} of revision ${revision}`)];
  });
}

/** One that failed is kept for its log until another release begins, or its time is over. */
function removedJobs(world: World, acting: Progress): readonly Write[] {
  const isOver = acting.canary === undefined || acting.phase === "RollingBack";
  const asked = isOver ? [] : checksIn(world).map(({ name, hash }) => world.target.names.smoke(name, hash));
  return world.jobs
    .filter(({ name, state }) => !asked.includes(name) && !(isOver && state === "failed"))
    .map((job) => remove(job, "its release is over, or does not ask for it any more"));
}

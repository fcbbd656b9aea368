/** What is to be looked at to judge the release under way. */

import type { Colour } from "../../crds/rollout-status.ts";
import { copiedBps } from "./rollout.mirror.ts";
import type { World } from "./rollout.observe.ts";
import { isOfOneRelease, runName, runPolicy } from "./rollout.run.ts";
import { stageBps, stageIndex } from "./rollout.weights.ts";
import type { Standing } from "./sampling/release.ts";
import { type SampleTask, type ScrapeTarget, TARGETS_MAX } from "./sampling/task.ts";

/** Phases in which both versions are looked at: the stable one alone, too, before the first share. */
const LOOKED_AT = new Set(["Preparing", "Verifying", "Shadowing", "Canary", "Baking", "Switching"]);

/** Phases of pods that have given their address back: somebody else may answer there. */
const ENDED = new Set(["Succeeded", "Failed"]);

export function sampleTask({ rollout, target, progress, pods }: World): SampleTask | undefined {
  const { stable, canary, isFastTrack } = progress;
  const name = runName(rollout);
  if (stable === undefined || canary === undefined || name === undefined) return undefined;
  if (isFastTrack === true || !LOOKED_AT.has(progress.phase)) return undefined;
  const { spec, owner, names } = target;
  const targetsOf = (version: { readonly colour: Colour; readonly revision: string }): readonly ScrapeTarget[] =>
    pods
      .filter(({ colour, revision }) => colour === version.colour && revision === version.revision)
      .filter(({ phase }) => !ENDED.has(phase))
      .flatMap(({ name: pod, uid, ip, ready }) =>
        uid === undefined || ip === undefined ? [] : [{ name: pod, uid, ip, isReady: ready }],
      )
      // Uids are random, and so is the choice, which stays as it is while pods come and go.
      .toSorted((one, other) => (one.uid < other.uid ? -1 : 1))
      .slice(0, TARGETS_MAX);
  return {
    key: { namespace: owner.namespace, name: owner.name },
    revision: name,
    policy: runPolicy(progress, spec),
    analysis: spec.analysis,
    ...placeOf(progress, spec),
    ...besideOf(progress, spec),
    canary: targetsOf(canary),
    stable: targetsOf(stable),
    services: { canary: names.colour(canary.colour), stable: names.colour(stable.colour) },
    route: names.route,
  };
}

function besideOf({ phase }: World["progress"], { traffic }: World["target"]["spec"]): Pick<SampleTask, "beside"> {
  if (phase === "Shadowing") return { beside: "Copies" };
  return traffic.gatewayAPI.testers === undefined ? {} : { beside: "Testers" };
}

/** A release in which harm was found has nothing left to show: an edited analysis must not begin a run that has not seen it. */
export function isToFollow(task: SampleTask | undefined, before: Standing | undefined): boolean {
  return task === undefined || before?.failure === undefined || !isOfOneRelease(before.revision, task.revision);
}

/** Nobody asks the canary for anything that counts. */
const BEFORE_ALL = { stage: 0, weightBps: 0 };

/** While weights are on their way the place before them counts: what is counted meanwhile belongs to no stage. */
function placeOf(progress: World["progress"], spec: World["target"]["spec"]): Pick<SampleTask, "stage" | "weightBps"> {
  const index = stageIndex(progress, spec);
  const isThere = progress.verifiedAt !== undefined || progress.phase === "Baking" || progress.phase === "Switching";
  if (progress.phase === "Preparing" || progress.phase === "Verifying") return BEFORE_ALL;
  // Of the run of copies, which has one place.
  if (progress.phase === "Shadowing") return isThere ? { stage: 0, weightBps: copiedBps({ spec }) } : BEFORE_ALL;
  if (isThere) return { stage: index, weightBps: stageBps(index, spec) };
  return index === 0 ? BEFORE_ALL : { stage: index - 1, weightBps: stageBps(index - 1, spec) };
}

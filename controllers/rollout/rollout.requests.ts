/** What people ask for, once for each id: a request that cannot be carried out is refused with a sentence, and not kept. */

import { type RolloutRequest } from "../../crds/rollout-request.ts";
import { REQUESTS_MAX } from "../../crds/rollout-status.ts";
import { isOutsideWindows } from "./rollout.hold.ts";
import { isJudged, type Progress, type ReleaseFacts, releaseOf } from "./rollout.progress.ts";
import { startOf } from "./rollout.start.ts";
import { begin, goTo, retreatFor } from "./rollout.steps.ts";
import { stageIndex } from "./rollout.weights.ts";

interface DoneAnswer {
  readonly progress: Progress;
  readonly message: string;
}
type Answer = DoneAnswer | { readonly refused: string };

/** The progress after the spec's request, with what became of it. @param now milliseconds since the epoch */
export function answerRequest(progress: Progress, facts: ReleaseFacts, now: number): Progress {
  const { request } = facts.spec;
  const { requestIds = [] } = progress;
  if (request === undefined || requestIds.includes(request.id)) return progress;
  const isHeld = facts.spec.paused && MOVES.has(request.action);
  const answer = isHeld ? IS_HELD : ACTIONS[request.action]({ progress, facts, request, now });
  const told = { id: request.id, action: request.action, at: new Date(now).toISOString() };
  const ids = { requestIds: [request.id, ...requestIds].slice(0, REQUESTS_MAX) };
  if ("refused" in answer) {
    return { ...progress, ...ids, lastRequest: { ...told, result: "Refused", message: answer.refused } };
  }
  // Who asks for more requests outside of the windows wants the release to go on.
  const isNow = facts.closed !== undefined && MOVES.has(request.action);
  const free = isNow ? { ...answer.progress, ignoresWindows: true } : answer.progress;
  return { ...free, ...ids, lastRequest: { ...told, result: "Done", message: answer.message } };
}

/** What gives the new version more requests. */
const MOVES: ReadonlySet<RolloutRequest["action"]> = new Set(["Promote", "PromoteFull", "Skip", "Jump"]);

interface Asked {
  readonly progress: Progress;
  readonly facts: ReleaseFacts;
  readonly request: RolloutRequest;
  readonly now: number;
}

const ACTIONS: Readonly<Record<RolloutRequest["action"], (asked: Asked) => Answer>> = {
  Promote: promote,
  PromoteFull: promoteFull,
  Abort: abort,
  Retry: retry,
  Skip: skip,
  Jump: jump,
};

const NONE: Answer = { refused: "no release is under way" };
const IS_HELD: Answer = { refused: "spec.paused holds the release: set it to false with the request" };
const OUTSIDE = "the release goes on outside of the windows";
const IS_ENDING: Answer = { refused: "the release is going back already" };

function promote({ progress, facts, now }: Asked): Answer {
  if (progress.canary === undefined) return startNow({ progress, facts, now }) ?? NONE;
  if (progress.pause === undefined && isOutsideWindows(progress, facts)) return { progress, message: OUTSIDE };
  if (progress.pause === undefined) return { refused: "the release waits for nobody; ask for Skip or PromoteFull" };
  return { progress: nextStage(progress, facts, now), message: `went on from ${where(progress, facts)}` };
}

/** A release that waits for a window does not wait any more. */
function startNow({ progress, facts, now }: Omit<Asked, "request">): DoneAnswer | undefined {
  const start = startOf(progress, facts, now);
  if (start?.waits !== true) return undefined;
  return { progress: begin(progress, start.revision, { ...start, now }), message: OUTSIDE };
}

function promoteFull({ progress, facts, now }: Asked): Answer {
  const from = progress.canary === undefined ? startNow({ progress, facts, now })?.progress : progress;
  if (from === undefined) return NONE;
  if (progress.phase === "RollingBack") return IS_ENDING;
  return {
    progress: goTo(from, "Switching", now),
    message: "all requests go to the new version once it has all its pods",
  };
}

function abort({ progress, now }: Asked): Answer {
  if (progress.canary === undefined) return NONE;
  if (progress.stable === undefined) return { refused: "the first version has none to go back to" };
  if (progress.phase === "RollingBack") return { progress, message: "the release was going back already" };
  const cause = { outcome: "Aborted", reason: "Aborted", message: "somebody asked for it" } as const;
  return { progress: retreatFor(progress, cause, now), message: "the release goes back" };
}

function retry({ progress, facts }: Asked): Answer {
  const { failedRevision, canary } = progress;
  if (canary !== undefined) return { refused: "a release is under way" };
  if (failedRevision === undefined || failedRevision !== facts.wanted) {
    return { refused: "the version of the spec was not taken back" };
  }
  const { failedRevision: _, ...rest } = progress;
  return { progress: rest, message: `revision ${failedRevision} is released again` };
}

function skip({ progress, facts, now }: Asked): Answer {
  if (progress.phase !== "Canary" && progress.phase !== "Shadowing") return { refused: "no stage is being judged" };
  return { progress: nextStage(progress, facts, now), message: `skipped ${where(progress, facts)}` };
}

function jump({ progress, facts, request, now }: Asked): Answer {
  if (!isJudged(progress)) return { refused: "no stage is being judged" };
  const { stage } = request;
  if (stage === undefined) return { refused: "request.stage is missing" };
  const last = facts.spec.stages.length - 1;
  if (stage > last) return { refused: `request.stage is ${String(stage)}, the last stage is ${String(last)}` };
  return { progress: goTo(progress, "Canary", now, stage), message: `went to stage ${String(stage + 1)}` };
}

function nextStage(progress: Progress, facts: ReleaseFacts, now: number): Progress {
  if (progress.phase === "Baking") return goTo(progress, "Switching", now);
  if (progress.phase === "Shadowing") return goTo(progress, "Canary", now, 0);
  const index = stageIndex(progress, facts.spec);
  return index === facts.spec.stages.length - 1
    ? goTo(progress, "Baking", now)
    : goTo(progress, "Canary", now, index + 1);
}

function where(progress: Progress, facts: ReleaseFacts): string {
  if (releaseOf(progress) === undefined || progress.phase !== "Canary") return `phase ${progress.phase}`;
  return `stage ${String(stageIndex(progress, facts.spec) + 1)} of ${String(facts.spec.stages.length)}`;
}

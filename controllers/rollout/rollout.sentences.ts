/** Where a release stands, in words with numbers. */
import { WHOLE_BPS } from "../../crds/rollout-ladder.ts";
import { risingFlags } from "./flags/memory.ts";
import { shadowOf } from "./rollout.mirror.ts";
import type { Progress, ReleaseFacts } from "./rollout.progress.ts";
import { stageIndex } from "./rollout.weights.ts";

/** A share as people read it: `5 %`, `0.5 %`. @param bps basis points */
export function shareText(bps: number): string {
  return `${String(Number(((bps * 100) / WHOLE_BPS).toFixed(2)))} %`;
}

/** `2/5`: stage and number of stages; `mirror 25 %`: copies before them; nothing else. */
export function stepText(progress: Progress, facts: ReleaseFacts): string | undefined {
  const { spec } = facts;
  const shadow = shadowOf(facts);
  if (progress.phase === "Shadowing" && shadow !== undefined) return `mirror ${String(shadow.percent)} %`;
  if (progress.phase !== "Canary") return undefined;
  return `${String(stageIndex(progress, spec) + 1)}/${String(spec.stages.length)}`;
}

const FORCED = ". No gateway has taken its share away in 30 s, so its pods are stopped";

/** The pods of a version that goes back were stopped before its share was. */
export function isForced({ retreat }: Progress): boolean {
  return retreat?.forcedAt !== undefined && retreat.observedAt === undefined;
}

/** What the release is doing; the same for as long as it does the same. */
export function doingText(progress: Progress, facts: ReleaseFacts, shareBps: number): string {
  const revision = progress.canary?.revision ?? "";
  const share = shareText(shareBps);
  switch (progress.phase) {
    case "Idle":
      return "no release is under way";
    case "Preparing":
      return `pods of revision ${revision} are being started`;
    case "Verifying":
      return `revision ${revision} is verified before its first request: ${checksText(progress, facts)}`;
    case "Shadowing":
      return progress.verifiedAt === undefined
        ? `revision ${revision} is to get copies of ${copiesText(facts)}, and no request yet`
        : `revision ${revision} is judged by copies of ${copiesText(facts)}, before its first request`;
    case "Canary": {
      const place = `stage ${String(stageIndex(progress, facts.spec) + 1)} of ${String(facts.spec.stages.length)}`;
      return progress.verifiedAt === undefined
        ? `revision ${revision} goes to ${place}`
        : `revision ${revision} is judged at ${share} of the requests${flagText(progress)}, ${place}`;
    }
    case "Baking":
      return `revision ${revision} has ${share} of the requests${flagText(progress)} and is watched for ${String(facts.spec.bakeSeconds)} s`;
    case "Switching":
      return `all requests go to revision ${revision}`;
    case "Retiring":
      return "the former version is drained";
    case "RollingBack":
      return `revision ${revision} is taken back: ${progress.retreat?.message ?? ""}${isForced(progress) ? FORCED : ""}`;
  }
}

/** `25 % of the requests (GET, HEAD)`. */
function copiesText(facts: ReleaseFacts): string {
  const { percent = 0, methods = [] } = shadowOf(facts) ?? {};
  return `${String(percent)} % of the requests (${methods.join(", ")})`;
}

/** For whom the flags of the release are on. */
function flagText(progress: Progress): string {
  const [first] = risingFlags(progress);
  return first === undefined ? "" : `, with its flags on for ${shareText(first.bps)} of the contexts`;
}

function checksText({ verify = [] }: Progress, { checks = [] }: ReleaseFacts): string {
  const passed = verify.filter(({ result }) => result === "Passed").length;
  const running = verify.filter(({ result }) => result === "Running");
  const held = running.find(({ message }) => message !== "");
  const parts = [
    `${String(passed)} of ${String(checks.length)} checks passed`,
    ...(running.length === 0 ? [] : [`running: ${running.map(({ name }) => name).join(", ")}`]),
    ...(held === undefined ? [] : [`${held.name}: ${held.message}`]),
  ];
  return parts.join("; ");
}

/** The command that lets a release that waits go on. */
export function goOnCommand({ namespace, name }: { readonly namespace: string; readonly name: string }): string {
  return `shieldx rollout promote ${name} -n ${namespace}`;
}

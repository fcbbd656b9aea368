import type { Rollout } from "../../crds/rollout.ts";
import { readyCondition } from "./next.ts";
import { sinceText, tableText } from "./text.ts";

const HEAD = ["NAMESPACE", "NAME", "PHASE", "STEP", "WEIGHT", "VERDICT", "STABLE", "CANARY", "REASON", "AGE"];

/** One line for each Rollout. @param now milliseconds since the epoch */
export function listText(rollouts: readonly Rollout[], now: number): string {
  if (rollouts.length === 0) return "there are no Rollouts\n";
  return tableText([HEAD, ...rollouts.map((rollout) => rowOf(rollout, now))]);
}

function rowOf({ metadata, status }: Rollout, now: number): readonly string[] {
  const { namespace = "", name, creationTimestamp } = metadata;
  const cells = [
    status?.phase,
    status?.step,
    status?.share,
    status?.verdict?.verdict,
    status?.stable?.revision,
    status?.canary?.revision,
    readyCondition(status)?.reason,
    creationTimestamp === undefined ? undefined : sinceText(creationTimestamp, now),
  ];
  return [namespace, name, ...cells.map((cell) => cell ?? "-")];
}

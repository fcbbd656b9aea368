import type { Rollout } from "../../crds/rollout.ts";
import { sinceText, spanText, tableText } from "./text.ts";

const HEAD = ["REVISION", "OUTCOME", "ENDED", "TOOK", "REASON", "MESSAGE"];

/** The releases that are remembered, the newest first. @param now milliseconds since the epoch */
export function historyText({ status }: Rollout, now: number): string {
  const releases = status?.releases ?? [];
  if (releases.length === 0) return "no release has ended yet\n";
  const rows = releases.map(({ revision, outcome, startedAt, endedAt, reason, message }) => {
    const took = spanText(Date.parse(endedAt) - Date.parse(startedAt));
    return [revision, outcome, `${sinceText(endedAt, now)} ago`, took, reason, message];
  });
  return tableText([HEAD, ...rows]);
}

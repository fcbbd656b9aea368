import type { Rollout } from "../../crds/rollout.ts";
import { commandText, type Place } from "./text.ts";

/** What somebody may type next, and what it does. */
export interface NextStep {
  readonly command: string;
  readonly purpose: string;
}

/** What there is to do about a Rollout; nothing where it needs nobody. */
export function nextSteps({ metadata, spec, status }: Rollout): readonly NextStep[] {
  const place: Place = { namespace: metadata.namespace ?? "", name: metadata.name };
  const step = (verb: string, purpose: string): NextStep => ({ command: commandText(verb, place), purpose });
  const { canary, stable, phase, pause, failedRevision } = status ?? {};
  const isOutside = readyCondition(status)?.reason === "WaitingForWindow";
  const now = isOutside ? [step("promote", "lets it go on now, outside of spec.windows")] : [];
  const back = stable === undefined ? [] : [step("abort", "takes it back")];
  if (canary === undefined) {
    // The revision of the spec may be another one by now: the controller alone knows, and says so.
    if (failedRevision === undefined || readyCondition(status)?.reason !== "RolledBack") return now;
    return [step("retry", `releases revision ${failedRevision} again`)];
  }
  if (phase === "RollingBack") return [];
  if (spec.paused) return [step("resume", "lets it go on"), ...back];
  if (pause !== undefined) return [step("promote", "lets it go on"), ...back];
  return [...now, ...back];
}

/** Condition Ready. */
export function readyCondition(status: Rollout["status"]) {
  return status?.conditions?.find(({ type }) => type === "Ready");
}

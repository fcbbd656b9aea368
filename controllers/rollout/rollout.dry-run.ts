/** What the policy of `spec.analysis.dryRun` would have done, as the status tells it: of the release under way, and of the last one. */
import type { Rollout } from "../../crds/rollout.ts";
import { DRY_RUNS_MAX, type DryRunStatus, type RolloutDryRun } from "../../crds/rollout-dry-run.ts";
import type { RolloutRun } from "../../crds/rollout-run.ts";
import { contentHash } from "../../lib/core/canonical.ts";
import { dryRun } from "./judge/dry-run.ts";

/** Characters of a policy's hash. */
const HASH_LENGTH = 16;

/** A policy that was not tried on anything yet, while no release is under way: the record of the last one tells of it at once. */
export function isToTryOnRecord({ spec, status }: Rollout): boolean {
  const { dryRun: tried } = spec.analysis;
  if (tried === undefined || status?.phase !== "Idle") return false;
  return status.dryRun?.policy !== hashOf(tried);
}

/**
 * @param run the release under way, or the last one when a new policy is tried on it; `undefined` where nothing is new, or nothing is
 *   recorded
 */
export function dryRunStatus({ spec, status }: Rollout, run: RolloutRun | undefined): DryRunStatus | undefined {
  const { dryRun: tried } = spec.analysis;
  if (tried === undefined) return undefined;
  const policy = hashOf(tried);
  const known = status?.dryRun?.policy === policy ? status.dryRun.releases : [];
  if (run === undefined) return { policy, releases: [...known] };
  const judged = { release: run.revision, ...dryRun(run, tried) };
  const others = known.filter(({ release }) => release !== run.revision);
  return { policy, releases: [judged, ...others].slice(0, DRY_RUNS_MAX) };
}

function hashOf(tried: RolloutDryRun): string {
  return contentHash(tried, HASH_LENGTH);
}

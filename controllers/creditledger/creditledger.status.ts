import type { CreditLedgerConditionType, CreditLedgerReason } from "../../crds/conditions.ts";
import type { CreditLedgerStatus, LedgerHead } from "../../crds/creditledger.ts";
import { omitUndefined } from "../../lib/core/objects.ts";
import { conditionsOf } from "../../operator/runtime/conditions.ts";
import type { Run as ReconcileRun } from "../../operator/runtime/reconciler.ts";
import {
  announceReady,
  failureState,
  type ResourceState,
  type Summary,
  stuck,
  summaryOf,
  working,
} from "../../operator/runtime/summary.ts";
import type { Action } from "../../operator/runtime/types.ts";
import { type Check, type Checks, currentJob, type Scope, unfinishedRollout } from "./creditledger.checks.ts";
import { ledgerUrl, shardIndexes } from "./creditledger.desired.ts";
import type { ObservedLease } from "./creditledger.facts.ts";
import { dropProgress, retainedProblem } from "./creditledger.plan.ts";

/** What became of the reconcile that the status reports. */
export interface Run extends Pick<ReconcileRun, "now" | "paused" | "error"> {
  /** Whether the positions of the heads may change now: they do at most every 10 s. */
  readonly publishPositions: boolean;
}

/** The whole status of a ledger. */
export function computeCreditLedgerStatus(scope: Scope, checks: Checks, run: Run): CreditLedgerStatus {
  const { ledger } = scope.observed;
  const summary = summarise(scope, checks, run);
  const before = ledger.status;
  return omitUndefined({
    observedGeneration: ledger.metadata.generation ?? 0,
    conditions: conditionsOf(ledger, statements({ ...checks, ...summary }), run.now),
    url: ledgerUrl(scope.target.ledger),
    shards: scope.target.shards,
    writersReady: writersReady(scope),
    replicasReady: Math.min(scope.observed.deployment?.readyReplicas ?? 0, scope.observed.ledger.spec.replicas),
    // The pod of an old Job may be gone; what it once reported stays true.
    schemaVersion: currentJob(scope)?.job?.schemaVersion ?? before?.schemaVersion,
    heads: computeHeads(scope, run.publishPositions),
  });
}

/** True when a writer has moved on since the status was written. */
export function positionsMoved(scope: Scope): boolean {
  const published = new Map(
    (scope.observed.ledger.status?.heads ?? []).map(({ shard, position }) => [shard, position]),
  );
  return computeHeads(scope, true).some(({ shard, position }) => published.get(shard) !== position);
}

/** Tells the user once when condition Ready gets another reason: with the same sentence that the condition has. */
export function announce(scope: Scope, checks: Checks, run: Run): Action[] {
  return announceReady(scope.observed.ledger.status?.conditions, summarise(scope, checks, run));
}

/** Condition Ready with its companions: the first thing that stands in the way, from the strangest to the usual. */
export function summarise(
  scope: Scope,
  checks: Checks,
  run: Pick<Run, "error" | "paused">,
): Summary<CreditLedgerReason> {
  const { deletionTimestamp } = scope.observed.ledger.metadata;
  const state = deletionTimestamp === undefined ? stateOf(scope, checks, run.error) : deletionState(scope, run.error);
  return summaryOf(state, run);
}

type State = ResourceState<CreditLedgerReason>;

function stateOf(scope: Scope, checks: Checks, error: Error | undefined): State {
  const failed = failureState(error);
  if (failed !== undefined) return failed;
  const problem = retainedProblem(scope);
  if (problem !== undefined) return stuck("RetainedDataConflict", problem);
  const gate = [checks.shardSetReady, checks.databaseReady, checks.migrated, checks.available].find(
    ({ status }) => status !== "True",
  );
  if (gate !== undefined)
    return needsPeople(gate) ? stuck(gate.reason, gate.message) : working(gate.reason, gate.message);
  const rollout = unfinishedRollout(scope);
  if (rollout !== undefined) return working("Deploying", rollout);
  return { kind: "ready", ready: { status: "True", reason: "Ready", message: checks.available.message } };
}

function deletionState(scope: Scope, error: Error | undefined): State {
  const failed = failureState(error);
  if (failed !== undefined) return failed;
  const dropping = scope.observed.ledger.spec.deletionPolicy === "Delete" ? dropProgress(scope) : undefined;
  if (dropping !== undefined) return working("DroppingDatabase", dropping);
  return working("Deleting", "the ledger's objects are being removed");
}

/** A failed migration is tried again for ever, but 20 failures in a row deserve a look. */
function needsPeople({ reason }: Check): boolean {
  return reason === "MigrationFailed" || reason === "DatabaseNameConflict";
}

function statements(checks: Checks & Summary<CreditLedgerReason>): [CreditLedgerConditionType, Check][] {
  return [
    ["Ready", checks.ready],
    ["Reconciling", checks.reconciling],
    ["Stalled", checks.stalled],
    ["ShardSetReady", checks.shardSetReady],
    ["DatabaseReady", checks.databaseReady],
    ["Migrated", checks.migrated],
    ["Available", checks.available],
  ];
}

function writersReady(scope: Scope): number {
  return shardIndexes(scope.target).filter((shard) => leaseOf(scope, shard)?.holder !== undefined).length;
}

function computeHeads(scope: Scope, publishPositions: boolean): LedgerHead[] {
  const published = new Map((scope.observed.ledger.status?.heads ?? []).map((head) => [head.shard, head.position]));
  return shardIndexes(scope.target).map((shard) => {
    const lease = leaseOf(scope, shard);
    return omitUndefined({
      shard,
      // A Lease that was made anew knows no position until its writer publishes one.
      position: (publishPositions ? lease?.position : undefined) ?? published.get(shard),
      epoch: lease?.epoch,
      writer: lease?.holder?.split("_")[0],
    });
  });
}

function leaseOf({ observed }: Scope, shard: number): ObservedLease | undefined {
  return observed.leases.find((lease) => lease.shard === shard);
}

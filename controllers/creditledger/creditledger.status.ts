import type { CreditLedgerConditionType, CreditLedgerReason } from "../../crds/conditions.ts";
import type { CreditLedgerStatus, LedgerHead } from "../../crds/creditledger.ts";
import { type ErrorCode, toOperatorError } from "../../lib/core/errors.ts";
import { omitUndefined } from "../../lib/core/objects.ts";
import { findCondition, mergeConditions } from "../../operator/runtime/conditions.ts";
import { type ResourceState, type Summary, stuck, summaryOf, working } from "../../operator/runtime/summary.ts";
import type { Action, Condition } from "../../operator/runtime/types.ts";
import { type Check, type Checks, currentJob, type Scope, unfinishedRollout } from "./creditledger.checks.ts";
import { ledgerUrl, shardIndexes } from "./creditledger.desired.ts";
import type { ObservedLease } from "./creditledger.facts.ts";
import { dropProgress, retainedProblem } from "./creditledger.plan.ts";

/** What became of the reconcile that the status reports. */
export interface Run {
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly paused: boolean;
  /** The failure that stopped the plan. */
  readonly error: Error | undefined;
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
    conditions: conditions(scope, { ...checks, ...summary }, run.now),
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
  const { ready, stalled } = summarise(scope, checks, run);
  const before = findCondition(scope.observed.ledger.status?.conditions, "Ready");
  if (before?.reason === ready.reason && before.status === ready.status) return [];
  const eventType = stalled.status === "True" || ready.reason === "ReconcileFailed" ? "Warning" : "Normal";
  return [{ type: "event", eventType, reason: ready.reason, note: ready.message }];
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
  const failed = error && failedState(error);
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
  const failed = error && failedState(error);
  if (failed !== undefined) return failed;
  const dropping = scope.observed.ledger.spec.deletionPolicy === "Delete" ? dropProgress(scope) : undefined;
  if (dropping !== undefined) return working("DroppingDatabase", dropping);
  return working("Deleting", "the ledger's objects are being removed");
}

/** A failed migration is tried again for ever, but 20 failures in a row deserve a look. */
function needsPeople({ reason }: Check): boolean {
  return reason === "MigrationFailed" || reason === "DatabaseNameConflict";
}

/** Somebody wrote at the same time, or this process must stop: the world is read again, and nobody needs to hear of it. */
const QUIET_CODES: readonly ErrorCode[] = ["KUBE_CONFLICT", "KUBE_ALREADY_EXISTS", "ABORTED", "LEASE_LOST"];

function failedState(error: Error): State | undefined {
  const { code, message, retry } = toOperatorError(error);
  if (QUIET_CODES.includes(code)) return undefined;
  if (code === "NAME_CONFLICT") return stuck("NameConflict", message);
  const sentence = `${code}: ${message}`;
  return retry === "terminal" ? stuck("ReconcileFailed", sentence) : working("ReconcileFailed", sentence);
}

function conditions(scope: Scope, checks: Checks & Summary<CreditLedgerReason>, now: number): Condition[] {
  const { metadata, status } = scope.observed.ledger;
  const ordered: readonly [CreditLedgerConditionType, Check][] = [
    ["Ready", checks.ready],
    ["Reconciling", checks.reconciling],
    ["Stalled", checks.stalled],
    ["ShardSetReady", checks.shardSetReady],
    ["DatabaseReady", checks.databaseReady],
    ["Migrated", checks.migrated],
    ["Available", checks.available],
  ];
  const observedGeneration = metadata.generation ?? 0;
  return mergeConditions(
    status?.conditions,
    ordered.map(([type, check]) => ({ type, ...check, observedGeneration })),
    now,
  );
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

import { CREDIT_LEDGER, type CreditLedger } from "../../crds/creditledger.ts";
import { ANNOTATIONS, COMPONENTS, LABELS } from "../../crds/group.ts";
import { SHARD_SET, type ShardSet } from "../../crds/shardset.ts";
import { type KubeObject, type LeaseObject, RESOURCES, type ResourceType } from "../../lib/kube/types.ts";
import type { CacheReader, Controller, Key, ReconcileContext, Result, Watch } from "../../operator/runtime/types.ts";
import { checkAll, type Scope } from "./creditledger.checks.ts";
import type { Target } from "./creditledger.desired.ts";
import { observeLease } from "./creditledger.facts.ts";
import { createMaterialMaker, type MaterialSources } from "./creditledger.material.ts";
import { observeCreditLedger } from "./creditledger.observe.ts";
import { isLetGo, letsGo, planCreditLedger } from "./creditledger.plan.ts";
import { announce, computeCreditLedgerStatus, positionsMoved } from "./creditledger.status.ts";
import { createThrottle } from "./creditledger.throttle.ts";

/** What the controller of CreditLedgers is built from. */
export interface CreditLedgerDeps extends MaterialSources {
  readonly images: {
    /** Image of the program `shieldx`: ledger pods and migrations run it. */
    readonly shieldx: string;
  };
  /** DNS domain of the cluster, for example `cluster.local`. */
  readonly clusterDomain: string;
}

/** Keys reconciled at once: a reconcile of a ledger at rest takes about a millisecond and waits for nothing. */
const CONCURRENCY = 4;

/** Positions in the status change at most this often (architecture.md, "Decisions that several kinds share"). */
export const POSITIONS_INTERVAL_SECONDS = 10;

/** Controller of CreditLedgers: observe, plan, execute, report (docs/lifecycle.md). */
export function createCreditLedgerController(deps: CreditLedgerDeps): Controller<CreditLedger> {
  const makeMaterial = createMaterialMaker(deps);
  const positions = createThrottle(POSITIONS_INTERVAL_SECONDS);

  const reconcile = async (key: Key, context: ReconcileContext): Promise<Result> => {
    const observed = observeCreditLedger(context.cache, key);
    if (observed === undefined) {
      positions.forget(keyText(key));
      return {};
    }
    const { ledger } = observed;
    // Somebody else's finalizer holds it; our part is done.
    if (isLetGo(ledger)) return {};

    const now = context.clock.now();
    const target = targetOf(deps, ledger, observed.shardSet);
    const scope: Scope = { observed, target, material: await makeMaterial(observed, target, now) };
    const checks = checkAll(scope);
    const paused = ledger.metadata.annotations?.[ANNOTATIONS.paused] === "true";
    const plan = paused ? { actions: [] } : planCreditLedger(scope, checks, now);
    const outcome = await context.execute(ledger, plan);
    // The ledger may be gone with its finalizer: there is no status to write.
    if (outcome.error === undefined && letsGo(ledger, plan)) return {};

    const moved = positionsMoved(scope);
    const waitSeconds = moved ? positions.waitSeconds(keyText(key), context.clock) : 0;
    const publishPositions = moved && waitSeconds === 0;
    const run = { now, paused, error: outcome.error, publishPositions };
    await context.patchStatus(ledger, computeCreditLedgerStatus(scope, checks, run));
    if (publishPositions) positions.mark(keyText(key), context.clock);
    const told = await context.execute(ledger, { actions: announce(scope, checks, run) });

    const error = outcome.error ?? told.error;
    if (error !== undefined) throw error;
    return soonest(plan.requeueAfterSeconds, waitSeconds);
  };

  return {
    name: "creditledger",
    resource: CREDIT_LEDGER,
    concurrency: CONCURRENCY,
    watches: watches(),
    reconcile,
  };
}

function targetOf(deps: CreditLedgerDeps, ledger: CreditLedger, shardSet: ShardSet | undefined): Target {
  const { name, namespace = "", uid = "" } = ledger.metadata;
  return {
    ledger: { name, namespace, uid },
    spec: ledger.spec,
    shards: shardSet?.spec.shards ?? 0,
    image: deps.images.shieldx,
    clusterDomain: deps.clusterDomain,
  };
}

function soonest(planned: number | undefined, positionsSeconds: number): Result {
  const wanted = [planned ?? 0, positionsSeconds].filter((seconds) => seconds > 0);
  return wanted.length === 0 ? {} : { requeueAfterSeconds: Math.min(...wanted) };
}

function keyText({ namespace, name }: Key): string {
  return `${namespace}/${name}`;
}

// Every kind that a ledger owns is watched, so that what somebody deletes or changes comes back.
function watches(): Watch[] {
  return [
    { resource: SHARD_SET, keys: ledgersOn },
    owned(RESOURCES.Secret),
    { resource: RESOURCES.Secret, labelSelector: REQUEST_SELECTOR, keys: ledgersBeside },
    owned(RESOURCES.Deployment),
    owned(RESOURCES.Service),
    owned(RESOURCES.PodDisruptionBudget),
    owned(RESOURCES.ServiceAccount),
    owned(RESOURCES.Role),
    owned(RESOURCES.RoleBinding),
    owned(RESOURCES.Job),
    // Migration pods alone: their last words explain a failed Job.
    { ...owned(RESOURCES.Pod), labelSelector: `${OWNED_SELECTOR},${LABELS.component}=${COMPONENTS.migration}` },
    // Renewals every 2 s are nobody's business: holder, epoch and position are.
    { ...owned(RESOURCES.Lease), changed: (before, after) => leaseFacts(before) !== leaseFacts(after) },
  ];
}

const OWNED_SELECTOR = `${LABELS.kind}=${CREDIT_LEDGER.kind}`;

/** Database requests, of whatever kind: two for one database are told. */
const REQUEST_SELECTOR = `${LABELS.component}=${COMPONENTS.databaseRequest}`;

function owned(resource: ResourceType): Watch {
  return { resource, labelSelector: OWNED_SELECTOR, keys: ledgerOf };
}

function ledgerOf({ metadata }: KubeObject): readonly Key[] {
  const name = metadata.labels?.[LABELS.name];
  return name === undefined ? [] : [{ namespace: metadata.namespace ?? "", name }];
}

function ledgersOn({ metadata }: KubeObject, cache: CacheReader): readonly Key[] {
  return ledgersOfShardSet(cache, metadata.namespace ?? "", metadata.name);
}

function ledgersBeside({ metadata }: KubeObject, cache: CacheReader): readonly Key[] {
  return ledgersOfShardSet(cache, metadata.namespace ?? "", metadata.labels?.[LABELS.shardSet] ?? "");
}

function ledgersOfShardSet(cache: CacheReader, namespace: string, shardSet: string): readonly Key[] {
  return cache
    .list(CREDIT_LEDGER, namespace)
    .filter((ledger) => ledger.spec.shardSet === shardSet)
    .map((ledger) => ({ namespace, name: ledger.metadata.name }));
}

function leaseFacts(lease: LeaseObject): string {
  return JSON.stringify(observeLease(lease));
}

import { CREDIT_LEDGER, type CreditLedger } from "../../crds/creditledger.ts";
import { COMPONENTS, LABELS } from "../../crds/group.ts";
import { SHARD_SET, type ShardSet } from "../../crds/shardset.ts";
import { RESOURCES } from "../../lib/kube/types.ts";
import { owned, references, referringKeys } from "../../operator/runtime/mapping.ts";
import { factsChanged } from "../../operator/runtime/predicates.ts";
import { createReconciler } from "../../operator/runtime/reconciler.ts";
import { createThrottle } from "../../operator/runtime/throttle.ts";
import type { Controller, Grant, Watch } from "../../operator/runtime/types.ts";
import { type Checks, checkAll, type Scope } from "./creditledger.checks.ts";
import type { Target } from "./creditledger.desired.ts";
import { observeLease } from "./creditledger.facts.ts";
import { createMaterialMaker, type MaterialSources } from "./creditledger.material.ts";
import { observeCreditLedger } from "./creditledger.observe.ts";
import { planCreditLedger } from "./creditledger.plan.ts";
import { announce, computeCreditLedgerStatus, positionsMoved } from "./creditledger.status.ts";

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

  return {
    name: "creditledger",
    resource: CREDIT_LEDGER,
    concurrency: CONCURRENCY,
    watches: WATCHES,
    indexes: { [ON_SHARD_SET]: references<CreditLedger>(({ spec }) => spec.shardSet) },
    grants: GRANTS,
    reconcile: createReconciler<CreditLedger, Checked>({
      resource: CREDIT_LEDGER,
      observe: async (ledger, { cache }, now) => {
        const observed = observeCreditLedger(cache, ledger);
        const target = targetOf(deps, ledger, observed.shardSet);
        const scope = { observed, target, material: await makeMaterial(observed, target, now) };
        return { scope, checks: checkAll(scope) };
      },
      plan: ({ scope, checks }, now) => planCreditLedger(scope, checks, now),
      report: ({ scope, checks }, run, { clock }) => {
        const { uid = "" } = scope.observed.ledger.metadata;
        const moved = positionsMoved(scope);
        const waitSeconds = moved ? positions.waitSeconds(uid, clock) : 0;
        const publishPositions = moved && waitSeconds === 0;
        if (publishPositions) positions.mark(uid, clock, true);
        const told = { ...run, publishPositions };
        return {
          status: computeCreditLedgerStatus(scope, checks, told),
          events: announce(scope, checks, told),
          requeueAfterSeconds: waitSeconds,
        };
      },
    }),
  };
}

/** What a reconcile decides from: the facts, and what they mean. */
interface Checked {
  readonly scope: Scope;
  readonly checks: Checks;
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

/** Ledgers by the ShardSet that they are on. */
const ON_SHARD_SET = "shardSet";
const ours = owned(CREDIT_LEDGER);

// Every kind that a ledger owns is watched, so that what somebody deletes or changes comes back.
const WATCHES: readonly Watch[] = [
  { resource: SHARD_SET, keys: referringKeys(CREDIT_LEDGER, ON_SHARD_SET) },
  ours(RESOURCES.Secret),
  // Database requests, of whatever kind: two for one database are told.
  {
    resource: RESOURCES.Secret,
    labelSelector: `${LABELS.component}=${COMPONENTS.databaseRequest}`,
    keys: referringKeys(CREDIT_LEDGER, ON_SHARD_SET, ({ metadata }) => metadata.labels?.[LABELS.shardSet]),
  },
  ours(RESOURCES.Deployment),
  ours(RESOURCES.Service),
  ours(RESOURCES.PodDisruptionBudget),
  ours(RESOURCES.ServiceAccount),
  ours(RESOURCES.Role),
  ours(RESOURCES.RoleBinding),
  // A changed migration is another Job.
  ours(RESOURCES.Job, { writes: ["create", "delete"] }),
  // Migration pods alone: their last words explain a failed Job.
  ours(RESOURCES.Pod, { component: COMPONENTS.migration, writes: [] }),
  // Renewals every 2 s are nobody's business: holder, epoch and position are.
  ours(RESOURCES.Lease, { changed: factsChanged(observeLease), writes: ["create", "delete"] }),
];

/** What the Role of the ledger pods grants them by name. */
const GRANTS: readonly Grant[] = [
  { resource: RESOURCES.Lease, verbs: ["get", "update", "patch"] },
  { resource: RESOURCES.ConfigMap, verbs: ["get", "list", "watch"] },
];

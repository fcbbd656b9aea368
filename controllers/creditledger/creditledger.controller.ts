import { CREDIT_LEDGER, type CreditLedger } from "../../crds/creditledger.ts";
import { COMPONENTS, LABELS } from "../../crds/group.ts";
import { SHARD_SET } from "../../crds/shardset.ts";
import { RESOURCES } from "../../lib/kube/types.ts";
import { createClueReader } from "../../operator/runtime/clues.ts";
import { owned, references, referringKeys } from "../../operator/runtime/mapping.ts";
import { factsChanged } from "../../operator/runtime/predicates.ts";
import { createReconciler } from "../../operator/runtime/reconciler.ts";
import { createThrottle } from "../../operator/runtime/throttle.ts";
import type { Controller, Watch } from "../../operator/runtime/types.ts";
import { grantsOf } from "../kit/access.ts";
import { podFacts } from "../kit/explain/pods.ts";
import { type Assessment, assessCreditLedger } from "./creditledger.assess.ts";
import { observeLease } from "./creditledger.facts.ts";
import { createMaker, type Made, type Sources } from "./creditledger.make.ts";
import { POD_ACCESS } from "./creditledger.objects.ts";
import { observeCreditLedger, suspectsOf, type World } from "./creditledger.observe.ts";
import { planCreditLedger } from "./creditledger.plan.ts";
import { positionsMoved, reportCreditLedger } from "./creditledger.report.ts";

/** What the controller of CreditLedgers is built from. */
export interface CreditLedgerDeps extends Sources {
  readonly images: {
    /** Image of the program `shieldx`: ledger pods and migrations run it. */
    readonly shieldx: string;
  };
  /** DNS domain of the cluster, for example `cluster.local`. */
  readonly clusterDomain: string;
  /** Ports on which the Kubernetes API answers; without them no NetworkPolicies are made. */
  readonly apiServerPorts?: readonly number[] | undefined;
}

/** Keys reconciled at once: a reconcile of a ledger at rest takes about a millisecond and waits for nothing. */
const CONCURRENCY = 4;

/** Positions in the status change at most this often: each change is a write, and a writer moves many times a second. */
export const POSITIONS_INTERVAL_SECONDS = 10;

/** Controller of CreditLedgers: observe, make, assess, plan, report (docs/lifecycle.md). */
export function createCreditLedgerController(deps: CreditLedgerDeps): Controller<CreditLedger> {
  const readClues = createClueReader();
  const positions = createThrottle(POSITIONS_INTERVAL_SECONDS);
  const settings = {
    image: deps.images.shieldx,
    clusterDomain: deps.clusterDomain,
    apiServerPorts: deps.apiServerPorts,
  };
  return {
    name: "creditledger",
    resource: CREDIT_LEDGER,
    concurrency: CONCURRENCY,
    watches: WATCHES,
    indexes: { [ON_SHARD_SET]: references<CreditLedger>(({ spec }) => spec.shardSet) },
    reads: [RESOURCES.Event],
    grants: grantsOf(POD_ACCESS),
    reconcile: createReconciler<CreditLedger, World, Assessment, Made>({
      resource: CREDIT_LEDGER,
      observe: async (ledger, context) => {
        const seen = observeCreditLedger(context.cache, ledger, settings);
        return { ...seen, clues: await readClues(suspectsOf(seen), context) };
      },
      make: createMaker(deps),
      assess: assessCreditLedger,
      plan: planCreditLedger,
      report: (assessment, _run, { clock }) => {
        const { uid } = assessment.world.target.owner;
        const moved = positionsMoved(assessment);
        const waitSeconds = moved ? positions.waitSeconds(uid, clock) : 0;
        const publishPositions = moved && waitSeconds === 0;
        if (publishPositions) positions.mark(uid, clock, true);
        return { ...reportCreditLedger(assessment, publishPositions), requeueAfterSeconds: waitSeconds };
      },
    }),
  };
}

/** Ledgers by the ShardSet that they are on. */
const ON_SHARD_SET = "shardSet";
const ours = owned(CREDIT_LEDGER);

// Every kind that a ledger owns is watched, so that what somebody deletes or changes comes back.
const WATCHES: readonly Watch[] = [
  { resource: SHARD_SET, keys: referringKeys(CREDIT_LEDGER, ON_SHARD_SET) },
  ours(RESOURCES.Secret),
  // Names that a ShardSet has are not ours to take; when it lets go of them, nothing changes.
  { resource: RESOURCES.Secret, labelSelector: `${LABELS.kind}=${SHARD_SET.kind}`, keys: () => [] },
  // Database requests, of whatever kind: two for one database are told.
  {
    resource: RESOURCES.Secret,
    labelSelector: `${LABELS.component}=${COMPONENTS.databaseRequest}`,
    keys: referringKeys(CREDIT_LEDGER, ON_SHARD_SET, ({ metadata }) => metadata.labels?.[LABELS.shardSet]),
  },
  ours(RESOURCES.Deployment),
  ours(RESOURCES.Service),
  ours(RESOURCES.NetworkPolicy),
  ours(RESOURCES.PodDisruptionBudget),
  ours(RESOURCES.ServiceAccount),
  ours(RESOURCES.Role),
  ours(RESOURCES.RoleBinding),
  // A changed migration is another Job; only labels that somebody took from it come back.
  ours(RESOURCES.Job, { writes: ["create", "patch", "delete"] }),
  // Their last words explain a failed Job, and why a Deployment is not ready.
  ours(RESOURCES.Pod, { component: COMPONENTS.migration, writes: [] }),
  ours(RESOURCES.Pod, { component: COMPONENTS.ledger, changed: factsChanged(podFacts), writes: [] }),
  // Renewals every 2 s are nobody's business: holder, epoch, position and problem are.
  ours(RESOURCES.Lease, { changed: factsChanged(observeLease) }),
];

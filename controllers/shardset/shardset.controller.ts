import { CREDIT_LEDGER, type CreditLedger } from "../../crds/creditledger.ts";
import { COMPONENTS, LABELS } from "../../crds/group.ts";
import { SHARD_SET, type ShardSet } from "../../crds/shardset.ts";
import { RESOURCES } from "../../lib/kube/types.ts";
import { fieldKeys, labelKeys, owned } from "../../operator/runtime/mapping.ts";
import { factsChanged } from "../../operator/runtime/predicates.ts";
import { createReconciler } from "../../operator/runtime/reconciler.ts";
import type { Controller, Grant, Watch } from "../../operator/runtime/types.ts";
import { createAgentReader, type GetJson } from "./shardset.agents.ts";
import { checkAll, type Scope } from "./shardset.checks.ts";
import { serverNames, type Target } from "./shardset.desired.ts";
import { type Certificates, makeMaterial } from "./shardset.material.ts";
import { observeShardSet } from "./shardset.observe.ts";
import { isEnding, planGrowth, planShardSet } from "./shardset.plan.ts";
import { announce, computeShardSetStatus } from "./shardset.status.ts";

/** What the controller of ShardSets is built from. */
export interface ShardSetDeps {
  /** `lib/node/certificates.ts`. */
  readonly certificates: Certificates;
  /** Asks an agent over mutual TLS; `getJson` of `lib/node/https-json.ts`. */
  readonly getJson: GetJson;
  readonly images: {
    /** Image of shieldx-postgres. */
    readonly postgres: string;
  };
  /** DNS domain of the cluster, for example `cluster.local`. */
  readonly clusterDomain: string;
}

/** Keys reconciled at once. A reconcile waits for agents, 2 s at most, so others should go on meanwhile. */
const CONCURRENCY = 4;

/** Controller of ShardSets: observe, plan, execute, report (docs/lifecycle.md). */
export function createShardSetController(deps: ShardSetDeps): Controller<ShardSet> {
  const readAgents = createAgentReader(deps.getJson);
  return {
    name: "shardset",
    resource: SHARD_SET,
    concurrency: CONCURRENCY,
    watches: WATCHES,
    grants: GRANTS,
    reconcile: createReconciler<ShardSet, Scope>({
      resource: SHARD_SET,
      observe: async (shardSet, context, now) => {
        const observed = observeShardSet(context.cache, shardSet);
        const target = targetOf(deps, shardSet);
        const agents = isEnding({ observed })
          ? new Map()
          : await readAgents(observed, (shard) => serverNames(target, shard)[2] ?? "", context);
        const material = await makeMaterial(deps.certificates, { observed, target }, now);
        return { observed, target, material, agents };
      },
      plan: planShardSet,
      aside: planGrowth,
      report: (scope, run) => {
        const checks = checkAll(scope);
        return { status: computeShardSetStatus(scope, checks, run), events: announce(scope, checks, run) };
      },
    }),
  };
}

function targetOf(deps: ShardSetDeps, shardSet: ShardSet): Target {
  const { name, namespace = "", uid = "" } = shardSet.metadata;
  return {
    shardSet: { name, namespace, uid },
    spec: shardSet.spec,
    image: deps.images.postgres,
    clusterDomain: deps.clusterDomain,
  };
}

const ours = owned(SHARD_SET);

// Every kind that a ShardSet owns is watched, so that what somebody deletes or changes comes back.
const WATCHES: readonly Watch[] = [
  { resource: CREDIT_LEDGER, keys: fieldKeys<CreditLedger>(({ spec }) => spec.shardSet) },
  {
    resource: RESOURCES.Secret,
    labelSelector: `${LABELS.component}=${COMPONENTS.databaseRequest}`,
    keys: labelKeys(LABELS.shardSet),
  },
  // Replaced, never changed.
  ours(RESOURCES.Pod, { writes: ["create", "delete"] }),
  ours(RESOURCES.PersistentVolumeClaim),
  ours(RESOURCES.Secret),
  // Made once; a lost one is made anew.
  ours(RESOURCES.ConfigMap, { writes: ["create", "delete"] }),
  ours(RESOURCES.Service),
  ours(RESOURCES.ServiceAccount),
  ours(RESOURCES.Role),
  ours(RESOURCES.RoleBinding),
  // Renewals every 2 s are nobody's business: a change of holder is.
  ours(RESOURCES.Lease, {
    changed: factsChanged(({ spec }) => [spec?.holderIdentity, spec?.leaseTransitions]),
    writes: ["create", "delete"],
  }),
];

/** What the Role of the agents grants them by name. */
const GRANTS: readonly Grant[] = [
  { resource: RESOURCES.Lease, verbs: ["get", "update", "patch"] },
  { resource: RESOURCES.ConfigMap, verbs: ["get", "list", "watch"] },
  { resource: RESOURCES.Secret, verbs: ["get", "list", "watch"] },
];

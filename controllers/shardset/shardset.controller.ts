import { CREDIT_LEDGER, type CreditLedger } from "../../crds/creditledger.ts";
import { COMPONENTS, LABELS } from "../../crds/group.ts";
import { SHARD_SET, type ShardSet } from "../../crds/shardset.ts";
import { RESOURCES } from "../../lib/kube/types.ts";
import { createClueReader } from "../../operator/runtime/clues.ts";
import { fieldKeys, labelKeys, owned } from "../../operator/runtime/mapping.ts";
import { factsChanged } from "../../operator/runtime/predicates.ts";
import { createReconciler } from "../../operator/runtime/reconciler.ts";
import type { Controller, Watch } from "../../operator/runtime/types.ts";
import { grantsOf } from "../kit/access.ts";
import type { Certificates } from "../kit/pki/certificates.ts";
import { type MadePki, makePki } from "../kit/pki/make.ts";
import { askedRotation } from "../kit/pki/objects.ts";
import { createAgentReader, createSettingsTrier, type GetJson } from "./shardset.agents.ts";
import { type Assessment, assessShardSet, type Observed } from "./shardset.assess.ts";
import { observeLease } from "./shardset.facts.ts";
import { targetOf } from "./shardset.names.ts";
import { AGENT_ACCESS } from "./shardset.objects.ts";
import { observeNames, observeShardSet, suspectsOf } from "./shardset.observe.ts";
import { planGrowth, planShardSet } from "./shardset.plan.ts";
import { reportShardSet } from "./shardset.report.ts";
import { ledgersInTheWay, shardSetTrusters } from "./shardset.trust.ts";

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
  /** Ports on which the Kubernetes API answers; without them no NetworkPolicies are made. */
  readonly apiServerPorts?: readonly number[] | undefined;
}

/** Keys reconciled at once. A reconcile waits for agents, 2 s at most, so others should go on meanwhile. */
const CONCURRENCY = 4;

/** Controller of ShardSets: observe, make, assess, plan, report (docs/lifecycle.md). */
export function createShardSetController(deps: ShardSetDeps): Controller<ShardSet> {
  const readAgents = createAgentReader(deps.getJson);
  const trySettings = createSettingsTrier(deps.getJson);
  const settings = {
    image: deps.images.postgres,
    clusterDomain: deps.clusterDomain,
    apiServerPorts: deps.apiServerPorts,
  };
  const readClues = createClueReader();
  return {
    name: "shardset",
    resource: SHARD_SET,
    concurrency: CONCURRENCY,
    watches: WATCHES,
    reads: [RESOURCES.Event, RESOURCES.StorageClass],
    grants: grantsOf(AGENT_ACCESS),
    reconcile: createReconciler<ShardSet, Observed, Assessment, MadePki>({
      resource: SHARD_SET,
      observe: async (shardSet, context) => {
        const seen = observeShardSet(
          context.cache,
          shardSet,
          targetOf(shardSet, settings, observeNames(context.cache, shardSet)),
        );
        const agents = seen.isEnding ? new Map() : await readAgents(seen, context);
        const world = { ...seen, clues: await readClues(suspectsOf(seen), context), seenAt: context.clock.now() };
        return { world, agents, settings: await trySettings(world, agents, context) };
      },
      make: ({ world, agents }, now) => {
        const { owner } = world.target;
        const commonName = `${owner.namespace}/${owner.name} shard set CA`;
        return makePki(
          deps.certificates,
          {
            ...world,
            commonName,
            trusters: shardSetTrusters(world, agents),
            holdUps: ledgersInTheWay(world),
            asked: askedRotation(world.shardSet),
          },
          now,
        );
      },
      assess: assessShardSet,
      plan: planShardSet,
      aside: planGrowth,
      report: reportShardSet,
    }),
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
  // Names that a ledger has are not ours to take; when it lets go of them, nothing changes.
  { resource: RESOURCES.Secret, labelSelector: `${LABELS.kind}=${CREDIT_LEDGER.kind}`, keys: () => [] },
  // Replaced, never changed, but for labels that somebody took from it.
  ours(RESOURCES.Pod, { writes: ["create", "patch", "delete"] }),
  ours(RESOURCES.PersistentVolumeClaim),
  ours(RESOURCES.Secret),
  // Made once, a lost one is made anew; what is known of the shards' data is patched in.
  ours(RESOURCES.ConfigMap),
  ours(RESOURCES.Service),
  ours(RESOURCES.NetworkPolicy),
  ours(RESOURCES.ServiceAccount),
  ours(RESOURCES.Role),
  ours(RESOURCES.RoleBinding),
  // Renewals every 2 s are nobody's business: a change of holder is, and what it works on.
  ours(RESOURCES.Lease, {
    changed: factsChanged((lease) => [lease.spec?.holderIdentity, observeLease(lease)]),
    writes: ["create", "patch", "delete"],
  }),
];

import type { DatabaseRequest } from "../../crds/database-request.ts";
import type { Trouble } from "../kit/explain/trouble.ts";
import { type LedgerConditions, ledgerConditions } from "./creditledger.conditions.ts";
import type { ObservedLease } from "./creditledger.facts.ts";
import { type KeptData, keptData } from "./creditledger.kept.ts";
import { lossesOf, type ShardLoss } from "./creditledger.losses.ts";
import type { Made } from "./creditledger.make.ts";
import { currentMigration, type Migration } from "./creditledger.migration.ts";
import { databaseRequest, podConfigHash } from "./creditledger.objects.ts";
import type { World } from "./creditledger.observe.ts";
import { deploymentTrouble, withTrouble } from "./creditledger.troubles.ts";

/** What is so: computed once a reconcile, read by plan and report. */
export interface Assessment {
  readonly world: World;
  readonly made: Made;
  /** The request that the ledger makes, once its passwords are in the cache. */
  readonly request: DatabaseRequest | undefined;
  readonly migration: Migration | undefined;
  readonly kept: KeptData;
  /** Writer Leases of the shards that there are, in order; `undefined` where there is none yet. */
  readonly writers: readonly (ObservedLease | undefined)[];
  /** Hash of what the pods read at their start; unknown without passwords. */
  readonly configHash: string | undefined;
  /** Why the pods are not yet as the spec asks; `undefined` when they are. */
  readonly unfinishedRollout: Trouble | undefined;
  /** Data that shards have no more. */
  readonly losses: readonly ShardLoss[];
  readonly conditions: LedgerConditions;
}

/** Puts facts together to gates, problems and progress. */
export function assessCreditLedger(world: World, made: Made): Assessment {
  const { target, roles } = world;
  const request = made.verifiers && databaseRequest(target.names, made.verifiers);
  const migration = currentMigration(world);
  const byShard = new Map(world.leases.map((lease) => [lease.shard, lease]));
  const writers = target.shards.map((shard) => byShard.get(shard));
  const withoutWriter = target.shards.filter((shard) => !hasWriter(byShard.get(shard)));
  const losses = lossesOf(world, writers);
  const trouble = deploymentTrouble(world);
  const configHash = roles?.value && podConfigHash(target, roles.value, world.deployment?.configHash);
  return {
    world,
    made,
    request,
    migration,
    kept: keptData(world, made, request),
    writers,
    configHash,
    unfinishedRollout: unfinishedRollout(world, configHash, trouble),
    losses,
    conditions: ledgerConditions(world, {
      request,
      migration,
      withoutWriter,
      losses,
      podTrouble: trouble,
      pki: made.pki,
    }),
  };
}

/** A holder that is no pod of the ledger writes nothing. */
export function hasWriter(lease: ObservedLease | undefined): boolean {
  return lease?.holder !== undefined && lease.isHolderGone !== true;
}

function unfinishedRollout(
  { deployment, target }: World,
  configHash: string | undefined,
  trouble: Trouble | undefined,
): Trouble | undefined {
  const state = rolloutInWords(deployment, { configHash, replicas: target.spec.replicas });
  if (state === undefined) return undefined;
  const text = withTrouble(state, trouble);
  if (deployment?.isPaused !== true) return { text, needsPerson: trouble?.needsPerson === true };
  const { namespace, name } = deployment;
  const resume = `kubectl rollout resume deployment ${name} -n ${namespace}`;
  return {
    text: `${text}; somebody paused its Deployment, which replaces no pods until then: ${resume}`,
    needsPerson: true,
  };
}

function rolloutInWords(
  deployment: World["deployment"],
  { configHash, replicas }: { readonly configHash: string | undefined; readonly replicas: number },
): string | undefined {
  if (deployment === undefined || configHash === undefined) return "no ledger pod was started yet";
  const pods = `${String(deployment.readyReplicas)} of ${String(replicas)} pods are ready`;
  if (deployment.configHash !== configHash) return `the pods still run the earlier version; ${pods}`;
  if (deployment.replicas !== replicas || !deployment.rolledOut) {
    return `pods are being ${deployment.isFirst ? "started" : "replaced"}; ${pods}`;
  }
  return deployment.readyReplicas < replicas ? pods : undefined;
}

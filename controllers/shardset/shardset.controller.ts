import { CREDIT_LEDGER } from "../../crds/creditledger.ts";
import { ANNOTATIONS, COMPONENTS, LABELS } from "../../crds/group.ts";
import { SHARD_SET, type ShardSet } from "../../crds/shardset.ts";
import { isOperatorError } from "../../lib/core/errors.ts";
import { type KubeObject, type LeaseObject, RESOURCES, type ResourceType } from "../../lib/kube/types.ts";
import type { Controller, Key, Plan, ReconcileContext, Result, Watch } from "../../operator/runtime/types.ts";
import { createAgentReader, type GetJson } from "./shardset.agents.ts";
import { checkAll, type Scope } from "./shardset.checks.ts";
import { serverNames, type Target } from "./shardset.desired.ts";
import { type Certificates, makeMaterial } from "./shardset.material.ts";
import { observeShardSet } from "./shardset.observe.ts";
import { isEnding, isLetGo, letsGo, planGrowth, planShardSet } from "./shardset.plan.ts";
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

/** A StorageClass that refuses to let volumes grow is asked again this often: somebody may have changed it. */
const GROWTH_RETRY_SECONDS = 300;

/** Controller of ShardSets: observe, plan, execute, report. */
export function createShardSetController(deps: ShardSetDeps): Controller<ShardSet> {
  const readAgents = createAgentReader(deps.getJson);
  const grow = createGrower();

  const reconcile = async (key: Key, context: ReconcileContext): Promise<Result> => {
    const observed = observeShardSet(context.cache, key);
    // Gone, or held by somebody else's finalizer: our part is done.
    if (observed === undefined || isLetGo(observed)) return {};
    const { shardSet } = observed;
    const now = context.clock.now();
    const target = targetOf(deps, shardSet);
    const agents = isEnding({ observed })
      ? new Map()
      : await readAgents(observed, (shard) => serverNames(target, shard)[2] ?? "", context);
    const scope: Scope = {
      observed,
      target,
      material: await makeMaterial(deps.certificates, { observed, target }, now),
      agents,
    };
    const checks = checkAll(scope);
    const paused = shardSet.metadata.annotations?.[ANNOTATIONS.paused] === "true";
    const nothing: Plan = { actions: [] };
    const plan = paused ? nothing : planShardSet(scope, now);
    const outcome = await context.execute(shardSet, plan);
    // The ShardSet may be gone with its finalizer: there is no status to write.
    if (outcome.error === undefined && letsGo(scope, plan)) return {};
    const growthError = paused ? undefined : await grow(key, scope, context);

    const run = { now, paused, error: outcome.error, growthError };
    await context.patchStatus(shardSet, computeShardSetStatus(scope, checks, run));
    const told = await context.execute(shardSet, { actions: announce(scope, checks, run) });

    const error = outcome.error ?? (isRefusal(growthError) ? undefined : growthError) ?? told.error;
    if (error !== undefined) throw error;
    return plan.requeueAfterSeconds === undefined ? {} : { requeueAfterSeconds: plan.requeueAfterSeconds };
  };

  return { name: "shardset", resource: SHARD_SET, concurrency: CONCURRENCY, watches: watches(), reconcile };
}

/**
 * Lets volumes grow. A StorageClass that refuses is not asked again for a while; its answer stays.
 * @returns why they could not, if so
 */
function createGrower(): (key: Key, scope: Scope, context: ReconcileContext) => Promise<Error | undefined> {
  const refusals = new Map<string, { readonly size: string; readonly at: number; readonly error: Error }>();
  return async ({ namespace, name }, scope, context) => {
    const plan = planGrowth(scope);
    const id = `${namespace}/${name}`;
    if (plan.actions.length === 0) {
      refusals.delete(id);
      return undefined;
    }
    const { size } = scope.target.spec.storage;
    const last = refusals.get(id);
    const now = context.clock.monotonic();
    if (last?.size === size && now - last.at < GROWTH_RETRY_SECONDS * 1_000) return last.error;
    const { error } = await context.execute(scope.observed.shardSet, plan);
    if (error !== undefined && isRefusal(error)) refusals.set(id, { size, at: now, error });
    return error;
  };
}

/** The StorageClass, or the claim as it is, does not allow the change. */
function isRefusal(error: Error | undefined): boolean {
  return isOperatorError(error, "KUBE_FORBIDDEN") || isOperatorError(error, "KUBE_INVALID");
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

// Every kind that a ShardSet owns is watched, so that what somebody deletes or changes comes back.
function watches(): Watch[] {
  return [
    { resource: CREDIT_LEDGER, keys: shardSetOfLedger },
    {
      resource: RESOURCES.Secret,
      labelSelector: `${LABELS.component}=${COMPONENTS.databaseRequest}`,
      keys: shardSetOfRequest,
    },
    owned(RESOURCES.Pod),
    owned(RESOURCES.PersistentVolumeClaim),
    owned(RESOURCES.Secret),
    owned(RESOURCES.ConfigMap),
    owned(RESOURCES.Service),
    owned(RESOURCES.ServiceAccount),
    owned(RESOURCES.Role),
    owned(RESOURCES.RoleBinding),
    // Renewals every 2 s are nobody's business: a change of holder is.
    { ...owned(RESOURCES.Lease), changed: (before, after) => holderOf(before) !== holderOf(after) },
  ];
}

function owned(resource: ResourceType): Watch {
  return { resource, labelSelector: `${LABELS.kind}=${SHARD_SET.kind}`, keys: shardSetOf };
}

function shardSetOf({ metadata }: KubeObject): readonly Key[] {
  return keyOf(metadata, metadata.labels?.[LABELS.name]);
}

function shardSetOfRequest({ metadata }: KubeObject): readonly Key[] {
  return keyOf(metadata, metadata.labels?.[LABELS.shardSet]);
}

function shardSetOfLedger(object: KubeObject): readonly Key[] {
  const spec = object["spec"] as { shardSet?: string } | undefined;
  return keyOf(object.metadata, spec?.shardSet);
}

function keyOf({ namespace = "" }: KubeObject["metadata"], name: string | undefined): readonly Key[] {
  return name === undefined ? [] : [{ namespace, name }];
}

function holderOf(lease: KubeObject): string {
  const { spec } = lease as LeaseObject;
  return `${spec?.holderIdentity ?? ""} ${spec?.leaseTransitions ?? 0}`;
}

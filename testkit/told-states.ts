import { createCreditLedgerController } from "../controllers/creditledger/creditledger.controller.ts";
import { deps, NAME as LEDGER, ledger, NAMESPACE, shardSet } from "../controllers/creditledger/testing/builders.ts";
import { failJob, KIND as LEDGER_KIND, LOWER_STEPS, shardSetStep } from "../controllers/creditledger/testing/lower.ts";
import { createWorld as createLedgerWorld } from "../controllers/creditledger/testing/world.ts";
import { NAME as SHARD_SET } from "../controllers/shardset/testing/builders.ts";
import { createWorld as createShardSetWorld } from "../controllers/shardset/testing/world.ts";
import { FINALIZER } from "../crds/group.ts";
import type { KubeObject } from "../lib/kube/types.ts";
import { reconcileOnce, toRest } from "./story.ts";
import { album, type ToldState } from "./told-album.ts";
import { rolloutStates } from "./told-rollouts.ts";

// Resources of all kinds as the controllers really tell of them, for whoever reads health out of a status.

/** Moments from the lives of all kinds: new, on the way, ready, changed, stuck, paused, deleted. */
export async function toldStates(): Promise<readonly ToldState[]> {
  return [...(await shardSetStates()), ...(await ledgerStates()), ...(await rolloutStates())];
}

async function shardSetStates(): Promise<readonly ToldState[]> {
  const world = createShardSetWorld();
  const { states, take } = album(() => world.find("ShardSet", SHARD_SET));
  const annotate = (annotations: Record<string, string>): void =>
    world.edit("ShardSet", SHARD_SET, (object) => ({ ...object, metadata: { ...object.metadata, annotations } }));
  take("just made, without a status", "Progressing");
  await world.reconcile();
  take("its objects are being made", "Progressing");
  await world.settle();
  take("ready", "Healthy");
  world.setSpec({ shards: 4 });
  take("its spec changed and nobody has looked", "Progressing");
  await world.reconcile();
  take("a shard is being added", "Progressing");
  await world.settle();
  take("ready again", "Healthy");
  world.disturb(1, { reason: "Starting", message: "PostgreSQL starts" });
  world.lower();
  await world.reconcile();
  take("a shard does not accept writes", "Progressing");
  world.disturb(1, undefined);
  await world.settle();
  annotate({ "shieldx.dev/paused": "true" });
  await world.reconcile();
  take("paused while ready", "Suspended");
  annotate({});
  await world.settle();
  const key = world.find("Secret", `${SHARD_SET}-ca-key`) as KubeObject;
  world.edit("Secret", `${SHARD_SET}-ca-key`, (secret) => ({ ...secret, data: {} }));
  await world.reconcile();
  take("its CA cannot be used", "Degraded");
  world.edit("Secret", `${SHARD_SET}-ca-key`, (secret) => ({ ...secret, data: key["data"] }));
  await world.settle();
  take("ready after its CA was restored", "Healthy");
  world.put({
    apiVersion: "shieldx.dev/v1alpha1",
    kind: "CreditLedger",
    metadata: { name: "credits", namespace: key.metadata.namespace ?? "", finalizers: [FINALIZER] },
    spec: { shardSet: SHARD_SET },
  });
  world.deleteShardSet();
  await world.reconcile();
  take("deleted while a ledger is on it", "Progressing");
  return states;
}

async function ledgerStates(): Promise<readonly ToldState[]> {
  const controller = createCreditLedgerController(deps());
  const world = createLedgerWorld(controller.indexes);
  const cast = {
    world,
    controller,
    key: { namespace: NAMESPACE, name: LEDGER },
    kind: LEDGER_KIND,
    steps: LOWER_STEPS,
  };
  const { states, take } = album(() => world.find(LEDGER_KIND, LEDGER));
  world.put(ledger());
  take("just made, without a status", "Progressing");
  await reconcileOnce(cast);
  take("there is no ShardSet", "Progressing");
  world.put(shardSet());
  while (shardSetStep(world) !== undefined || world.all("Job").length === 0) await reconcileOnce(cast);
  take("its database is migrated", "Progressing");
  failJob(world, new Date(world.clock.now()).toISOString());
  await reconcileOnce(cast);
  take("its migration failed", "Degraded");
  await world.clock.advance(3_600_000);
  await toRest(cast);
  take("ready", "Healthy");
  world.edit(LEDGER_KIND, LEDGER, (object) => ({ ...object, spec: { ...(object["spec"] as object), replicas: 3 } }));
  take("its spec changed and nobody has looked", "Progressing");
  await toRest(cast);
  take("ready again", "Healthy");
  world.edit("Secret", `${LEDGER}-roles`, (secret) => ({ ...secret, data: {} }));
  await reconcileOnce(cast);
  take("its passwords are damaged", "Degraded");
  return states;
}

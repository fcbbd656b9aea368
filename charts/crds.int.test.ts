// A CRD is deleted by mistake, which deletes all of its resources, and is installed again: what becomes of data is what
// deletionPolicy says, and the operator goes on without a restart.

import { randomBytes } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "@jest/globals";
import { createCreditLedgerController } from "../controllers/creditledger/creditledger.controller.ts";
import { createShardSetController } from "../controllers/shardset/shardset.controller.ts";
import { crdName } from "../crds/crd.ts";
import { CREDIT_LEDGER, CREDIT_LEDGER_KIND } from "../crds/creditledger.ts";
import type { KindDefinition } from "../crds/kind.ts";
import { SHARD_SET, SHARD_SET_KIND } from "../crds/shardset.ts";
import { serveKinds } from "../crds/testing/served.ts";
import type { KubeClient } from "../lib/kube/client.ts";
import { type KubeObject, RESOURCES, type ResourceType } from "../lib/kube/types.ts";
import * as certificates from "../lib/node/certificates.ts";
import { silentLogger } from "../lib/node/logger.ts";
import { createMetrics } from "../lib/node/metrics.ts";
import { scramVerifier } from "../lib/node/scram.ts";
import { createManager, type Manager } from "../operator/manager.ts";
import { startControlPlane, type TestControlPlane } from "../testkit/kube-apiserver.ts";
import { makeNamespace } from "../testkit/namespaces.ts";
import { createScaledClock } from "../testkit/scaled-clock.ts";
import { eventually } from "../testkit/wait.ts";
import { createLife } from "./testing/life.ts";

/** The operator's waits are shorter by so much. */
const SPEED = 10;
/** Until a list that was refused is tried again and all is made. */
const DEADLINE_MS = 60_000;

let plane: TestControlPlane;
let user: KubeClient;
beforeAll(async () => {
  plane = await startControlPlane({ garbageCollector: true });
  user = plane.client();
}, 120_000);
afterAll(() => plane.stop());
let namespace = "";
let count = 0;
beforeEach(async () => {
  for (const kind of [SHARD_SET_KIND, CREDIT_LEDGER_KIND]) {
    if ((await user.find(RESOURCES.CustomResourceDefinition, crdOf(kind))) === undefined)
      await serveKinds(user, [kind]);
  }
  count += 1;
  namespace = `bank-${count}`;
  await makeNamespace(user, namespace);
}, 60_000);
/** Ends what a test that failed left running. */
let ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends) await end();
  ends = [];
});

function startOperator(): { readonly manager: Manager; stop(): Promise<number> } {
  const life = createLife(user, { namespace, shardSet: "s" });
  const common = { images: { shieldx: "x:1", postgres: "p:1" }, clusterDomain: "cluster.local", certificates };
  const abort = new AbortController();
  const manager = createManager({
    client: plane.client(namespace),
    controllers: [
      createShardSetController({ ...common, getJson: life.getJson }),
      createCreditLedgerController({ ...common, scramVerifier, randomBytes }),
    ],
    namespace: "default",
    identity: randomBytes(4).toString("hex"),
    watchNamespaces: [],
    port: "none",
    metrics: createMetrics(),
    // What was refused is tried again after up to 45 s, and a plan is looked at again after seconds.
    clock: createScaledClock(SPEED),
    random: () => 0.5,
    log: silentLogger,
    // The product's, on the machine's clock.
    lease: { durationSeconds: 15 * SPEED, renewSeconds: 10 * SPEED, retrySeconds: 2 * SPEED },
  });
  const running = Promise.all([manager.run(abort.signal), life.run(abort.signal)]);
  const stop = async (): Promise<number> => {
    abort.abort();
    return (await running)[0];
  };
  ends.push(stop);
  return { manager, stop };
}

const apply = (type: ResourceType, name: string, spec: object): Promise<KubeObject> =>
  user.create<KubeObject>(type, {
    apiVersion: "shieldx.dev/v1alpha1",
    kind: type.kind,
    metadata: { name, namespace },
    spec,
  });

async function reasonIs(type: ResourceType, name: string, wanted: string): Promise<void> {
  let seen = "";
  await eventually(
    `${type.kind} ${name} says ${wanted}`,
    async () => {
      const object = await user.find<KubeObject>(type, { namespace, name });
      const { conditions = [] } = (object?.["status"] ?? {}) as { conditions?: { type: string; reason: string }[] };
      const ready = conditions.find((condition) => condition.type === "Ready");
      seen = JSON.stringify(ready);
      return ready?.reason === wanted;
    },
    DEADLINE_MS,
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${seen}`);
  });
}

const crdOf = (kind: KindDefinition) => ({ name: crdName(kind) });
const isGone = (what: string, type: ResourceType, ref: { namespace?: string; name: string }): Promise<unknown> =>
  eventually(`${what} is gone`, async () => (await user.find(type, ref)) === undefined, DEADLINE_MS);

/** Of what must outlive a ShardSet under `Retain`. */
const uidsOfKept = async (): Promise<(string | undefined)[]> => {
  const names: [ResourceType, string][] = [
    [RESOURCES.PersistentVolumeClaim, "s-0-0"],
    [RESOURCES.ConfigMap, "s-map"],
    [RESOURCES.Secret, "s-ca-key"],
  ];
  return Promise.all(
    names.map(async ([type, name]) => {
      const found = await user.find(type, { namespace, name });
      // Nobody here takes the protection off a claim that is deleted.
      return found?.metadata.deletionTimestamp === undefined ? found?.metadata.uid : undefined;
    }),
  );
};

const SHARDS = { shards: 1 };
const LEDGER = { shardSet: "s", assets: [{ code: "CZK", scale: 2 }] };

test("with Retain the data waits for the ShardSet that is applied again, also when nobody was there meanwhile", async () => {
  const first = startOperator();
  await apply(SHARD_SET, "s", SHARDS);
  await reasonIs(SHARD_SET, "s", "Ready");
  const kept = await uidsOfKept();
  expect(kept).not.toContain(undefined);

  await user.delete(RESOURCES.CustomResourceDefinition, crdOf(SHARD_SET_KIND));
  await isGone("the CRD", RESOURCES.CustomResourceDefinition, crdOf(SHARD_SET_KIND));
  await isGone("its pod", RESOURCES.Pod, { namespace, name: "s-0-0" });
  expect(await uidsOfKept()).toEqual(kept);
  expect(first.manager.isLeader()).toBe(true);
  await serveKinds(user, [SHARD_SET_KIND]);
  await apply(SHARD_SET, "s", SHARDS);
  await reasonIs(SHARD_SET, "s", "Ready");
  expect(await uidsOfKept()).toEqual(kept);
  // Of other kinds a real server may say nothing for a minute, which is long on this clock.
  const isUnread = (reason: string): boolean => reason.startsWith(SHARD_SET.plural);
  await eventually("it is read", () => !first.manager.ready().reasons?.some(isUnread), DEADLINE_MS);

  expect(await first.stop()).toBe(0);
  await user.delete(RESOURCES.CustomResourceDefinition, crdOf(SHARD_SET_KIND));
  await eventually("the resource waits for the operator", async () => {
    const found = await user.get(SHARD_SET, { namespace, name: "s" });
    return found.metadata.deletionTimestamp !== undefined;
  });
  const second = startOperator();
  await isGone("the CRD", RESOURCES.CustomResourceDefinition, crdOf(SHARD_SET_KIND));
  expect(await uidsOfKept()).toEqual(kept);
  await serveKinds(user, [SHARD_SET_KIND]);
  await apply(SHARD_SET, "s", SHARDS);
  await reasonIs(SHARD_SET, "s", "Ready");
  expect(await uidsOfKept()).toEqual(kept);
  await user.delete(SHARD_SET, { namespace, name: "s" });
  await isGone("the ShardSet", SHARD_SET, { namespace, name: "s" });
  expect(await second.stop()).toBe(0);
}, 400_000);

test("a ledger on the ShardSet holds the CRD; both gone and both applied again, the ledger is as it was; with Delete nothing is left", async () => {
  const operator = startOperator();
  await apply(SHARD_SET, "s", SHARDS);
  await reasonIs(SHARD_SET, "s", "Ready");
  await apply(CREDIT_LEDGER, "l", LEDGER);
  await reasonIs(CREDIT_LEDGER, "l", "Ready");
  const key = { namespace, name: "l-admin-key" };
  const before = [...(await uidsOfKept()), (await user.get(RESOURCES.Secret, key)).metadata.uid];

  await user.delete(RESOURCES.CustomResourceDefinition, crdOf(SHARD_SET_KIND));
  await reasonIs(SHARD_SET, "s", "DeletionBlocked");
  expect(await user.find(RESOURCES.Pod, { namespace, name: "s-0-0" })).toBeDefined();
  await user.delete(RESOURCES.CustomResourceDefinition, crdOf(CREDIT_LEDGER_KIND));
  for (const kind of [CREDIT_LEDGER_KIND, SHARD_SET_KIND]) {
    await isGone("the CRD", RESOURCES.CustomResourceDefinition, crdOf(kind));
  }
  await serveKinds(user, [CREDIT_LEDGER_KIND, SHARD_SET_KIND]);
  await apply(SHARD_SET, "s", { ...SHARDS, deletionPolicy: "Delete" });
  await apply(CREDIT_LEDGER, "l", { ...LEDGER, deletionPolicy: "Delete" });
  await reasonIs(CREDIT_LEDGER, "l", "Ready");
  expect([...(await uidsOfKept()), (await user.get(RESOURCES.Secret, key)).metadata.uid]).toEqual(before);

  for (const kind of [CREDIT_LEDGER_KIND, SHARD_SET_KIND]) {
    await user.delete(RESOURCES.CustomResourceDefinition, crdOf(kind));
  }
  for (const kind of [CREDIT_LEDGER_KIND, SHARD_SET_KIND]) {
    await isGone("the CRD", RESOURCES.CustomResourceDefinition, crdOf(kind));
  }
  expect(await uidsOfKept()).toEqual([undefined, undefined, undefined]);
  expect(await user.find(RESOURCES.Secret, key)).toBeUndefined();
  expect(operator.manager.isLeader()).toBe(true);
  expect(await operator.stop()).toBe(0);
}, 400_000);

import { readdir, readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { parse, parseAllDocuments } from "yaml";
import { CREDIT_LEDGER } from "../crds/creditledger.ts";
import { KINDS } from "../crds/kinds.ts";
import { SHARD_SET } from "../crds/shardset.ts";
import { systemClock } from "../lib/core/clock.ts";
import { createKubeClient, type KubeClient } from "../lib/kube/client.ts";
import { createTransport } from "../lib/kube/transport.ts";
import { type KubeObject, RESOURCES, type ResourceType } from "../lib/kube/types.ts";
import { silentLogger } from "../lib/node/logger.ts";
import { createMetrics } from "../lib/node/metrics.ts";
import { startControlPlane, type TestControlPlane } from "../testkit/kube-apiserver.ts";
import { waitForKind } from "../testkit/kube-contract.ts";
import { eventually } from "../testkit/wait.ts";
import type { ControllerConfig } from "./config.ts";
import { createManager, type Manager } from "./manager.ts";
import { createControllers } from "./wiring.ts";

// Goal: with the real controllers, the samples and resources that are spelled as no server spells them, an operator at rest
// and a restarted operator send nothing but their Lease, whatever others state beside them. No pod ever runs here, so the
// resources rest at "Provisioning"; that is a state like any other.

const TYPES = KINDS.map(({ type }) => type as ResourceType);
const CRDS = resolve(import.meta.dirname, "../crds");

let controlPlane: TestControlPlane;
let user: KubeClient;
beforeAll(async () => {
  controlPlane = await startControlPlane();
  user = controlPlane.client();
  for (const file of await readdir(`${CRDS}/generated`)) {
    if (!file.endsWith(".yaml")) continue;
    const crd = parse(await readFile(`${CRDS}/generated/${file}`, "utf8")) as KubeObject;
    await user.create(RESOURCES.CustomResourceDefinition, crd);
  }
  for (const type of TYPES) await waitForKind(user, type);
});
afterAll(() => controlPlane.stop());

/** Trial 14: the longest names. */
const LONG = { shardSet: "shardset-with-a-name-of-36-character", ledger: "creditledger-with-name-of-36-chars-x" };

/** Resources of one name, a ledger that is called as a shard, and the longest names. */
const TWINS: readonly KubeObject[] = [
  { kind: "ShardSet", name: "twin", spec: { shards: 1 } },
  { kind: "CreditLedger", name: "twin", spec: { shardSet: "twin", assets: [{ code: "CZK", scale: 2 }] } },
  { kind: "CreditLedger", name: "twin-0", spec: { shardSet: "twin", assets: [{ code: "CZK", scale: 2 }] } },
  { kind: "ShardSet", name: LONG.shardSet, spec: { shards: 2 } },
  {
    kind: "CreditLedger",
    name: LONG.ledger,
    spec: { shardSet: LONG.shardSet, assets: [{ code: "LOYALTY_POINTS_X", scale: 9 }] },
  },
].map(({ kind, name, spec }) => ({ apiVersion: "shieldx.dev/v1alpha1", kind, metadata: { name }, spec }));

/** Quantities that the server writes otherwise, and lists, maps and texts that it does not keep when they are empty. */
const SPELLED = {
  resources: { requests: { cpu: "1000m", memory: "1024Mi" }, limits: { cpu: "1.5", memory: "2048Mi" } },
  scheduling: { nodeSelector: {}, tolerations: [{ key: "", operator: "Exists", value: "" }] },
};
const UNUSUAL: readonly KubeObject[] = [
  {
    apiVersion: "shieldx.dev/v1alpha1",
    kind: "ShardSet",
    metadata: { name: "spelled" },
    spec: { shards: 1, storage: { size: "1024Mi" }, ...SPELLED },
  },
  {
    apiVersion: "shieldx.dev/v1alpha1",
    kind: "CreditLedger",
    metadata: { name: "spelled-ledger" },
    spec: { shardSet: "spelled", assets: [{ code: "CZK", scale: 2 }], ...SPELLED },
  },
  ...TWINS,
  {
    apiVersion: "shieldx.dev/v1alpha1",
    kind: "ShardSet",
    metadata: { name: "empty" },
    spec: { shards: 1, resources: { requests: {}, limits: {} }, scheduling: { nodeSelector: {}, tolerations: [] } },
  },
];

/** Somebody else's condition in the status of a resource. */
async function addCondition(type: ResourceType, name: string): Promise<void> {
  const { apiVersion, kind } = UNUSUAL.find((object) => object.kind === type.kind) as KubeObject;
  const condition = {
    type: "Backed",
    status: "True",
    reason: "Done",
    message: "",
    observedGeneration: 1,
    lastTransitionTime: "2026-01-01T00:00:00Z",
  };
  await user.apply(
    type,
    { apiVersion, kind, metadata: { name, namespace: "default" }, status: { conditions: [condition] } },
    { fieldManager: "backup", subresource: "status" },
  );
}

interface Running {
  readonly manager: Manager;
  readonly requests: string[];
  stop(): Promise<number>;
}

function start(identity: string): Running {
  const requests: string[] = [];
  const transport = createTransport(controlPlane.endpoint());
  const client = createKubeClient({
    transport: {
      ...transport,
      send: (request) => {
        requests.push(`${request.method} ${request.path}`);
        return transport.send(request);
      },
    },
    namespace: "default",
    userAgent: "shieldx/test",
    clock: systemClock,
    random: () => 0.5,
  });
  const environment = { SHIELDX_NAMESPACE: "default" };
  const metrics = createMetrics();
  const config: ControllerConfig = {
    shieldxImage: "shieldx:test",
    postgresImage: "shieldx-postgres:test",
    clusterDomain: "cluster.local",
    logLevel: "silent",
    listen: 0,
    watchNamespaces: [],
    namespace: environment.SHIELDX_NAMESPACE,
  };
  const manager = createManager({
    client,
    controllers: createControllers(config, metrics),
    namespace: "default",
    identity,
    watchNamespaces: [],
    port: 0,
    metrics,
    clock: systemClock,
    random: () => 0.5,
    log: silentLogger,
  });
  const abort = new AbortController();
  const exited = manager.run(abort.signal).finally(() => client.close());
  return {
    manager,
    requests,
    stop: () => {
      abort.abort();
      return exited;
    },
  };
}

/** Writes other than renewals of the Lease, which are the only PUTs. */
const writes = ({ requests }: Running): string[] => requests.filter((request) => !/^(GET|PUT) /.test(request));

async function rest(running: Running): Promise<void> {
  let last = -1;
  let since = systemClock.monotonic();
  await eventually("rest", () => {
    const count = writes(running).length;
    if (count !== last) since = systemClock.monotonic();
    last = count;
    return systemClock.monotonic() - since > 1_500;
  });
}

/** Reasons of the condition Ready of all resources of a kind. */
async function reasonsOf(type: ResourceType): Promise<string[]> {
  const { items } = await user.list(type, { namespace: "default" });
  return items.flatMap((object) => {
    const { conditions = [] } = object["status"] as { conditions?: readonly { type: string; reason: string }[] };
    return conditions.filter((condition) => condition.type === "Ready").map(({ reason }) => reason);
  });
}

/** Everything in the namespace but the operator's own Lease, by kind and name, with its version. */
async function world(): Promise<string[]> {
  // What is not a part of every cluster is not installed here: the operator does without.
  const served = new Set((await user.servedKinds()).map(({ group, plural }) => `${plural}.${group}`));
  const others = Object.values(RESOURCES).filter(({ group, plural }) => served.has(`${plural}.${group}`));
  const kinds = [...TYPES, ...others.filter(({ namespaced }) => namespaced)];
  const lists = await Promise.all(kinds.map((type) => user.list(type, { namespace: "default" })));
  return lists
    .flatMap(({ items }) => items)
    .filter(({ metadata }) => metadata.name !== "shieldx-controller")
    .map(({ kind, metadata }) => `${kind}/${metadata.name} ${metadata.resourceVersion}`)
    .sort();
}

async function add(object: KubeObject): Promise<void> {
  const type = TYPES.find(({ kind }) => kind === object.kind);
  if (type === undefined) throw new Error(`${object.kind} is none of ours`);
  await user.create(type, { ...object, metadata: { ...object.metadata, namespace: "default" } });
}

describe("the operator over the samples", () => {
  it("comes to rest, stays there, and a restart sends nothing", async () => {
    const first = start("a");
    await eventually("it leads", () => first.manager.isLeader());
    for (const file of await readdir(`${CRDS}/samples`)) {
      if (!file.endsWith(".yaml")) continue;
      for (const document of parseAllDocuments(await readFile(`${CRDS}/samples/${file}`, "utf8"))) {
        await add(document.toJS() as KubeObject);
      }
    }
    for (const object of UNUSUAL) await add(object);
    await eventually(
      "pods are wanted",
      async () => (await user.list(RESOURCES.Pod, { namespace: "default" })).items.length > 0,
    );
    await rest(first);
    await addCondition(SHARD_SET, "spelled");
    await addCondition(CREDIT_LEDGER, "spelled-ledger");
    await rest(first);
    for (const reason of ["NameConflict", "ReconcileFailed"])
      for (const type of TYPES) expect(await reasonsOf(type)).not.toContain(reason);
    for (const name of [`${LONG.shardSet}-1-0`, `${LONG.shardSet}-1`]) {
      await user.get(name.endsWith("-0") ? RESOURCES.Pod : RESOURCES.Service, { name, namespace: "default" });
    }
    const caSecretOf = async (type: ResourceType): Promise<unknown> =>
      ((await user.get(type, { name: "twin", namespace: "default" }))["status"] as { caSecret?: string }).caSecret;
    expect(await caSecretOf(SHARD_SET)).toBe("twin-ca");
    expect(await caSecretOf(CREDIT_LEDGER)).toBe("twin-ca-ledger");
    const { data } = await user.get(RESOURCES.Secret, { name: "twin-ca-ledger", namespace: "default" });
    expect(data?.["ca.crt"]).toBeDefined();
    await user.get(RESOURCES.Service, { name: "twin-0-ledger", namespace: "default" });
    // It is told only after some seconds, in which the control plane might have mended it.
    for (const name of ["empty", LONG.shardSet]) {
      await eventually("the missing StorageClass is told", async () =>
        JSON.stringify((await user.get(SHARD_SET, { name, namespace: "default" }))["status"]).includes(
          "no default StorageClass",
        ),
      );
    }
    await rest(first);
    const atRest = await world();
    const written = writes(first).length;
    await rest(first);
    expect(writes(first).slice(written)).toEqual([]);
    expect(await first.stop()).toBe(0);

    const second = start("b");
    await eventually("the second leads", () => second.manager.isLeader());
    await rest(second);
    expect(await second.stop()).toBe(0);
    expect(writes(second)).toEqual([]);
    expect(await world()).toEqual(atRest);
  });
});

import { readdir, readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { parse, parseAllDocuments } from "yaml";
import { CREDIT_LEDGER } from "../crds/creditledger.ts";
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
import { createManager, type Manager } from "./manager.ts";
import { createControllers } from "./wiring.ts";

// Goal: with the real controllers and the samples, an operator at rest and a restarted operator write nothing but their
// Lease. No pod ever runs here, so the resources rest at "Provisioning"; that is a state like any other.

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
  for (const type of [SHARD_SET, CREDIT_LEDGER]) await waitForKind(user, type);
});
afterAll(() => controlPlane.stop());

interface Running {
  readonly manager: Manager;
  readonly requests: string[];
  stop(): Promise<number>;
}

function start(identity: string): Running {
  const requests: string[] = [];
  const client = createKubeClient({
    transport: createTransport(controlPlane.endpoint()),
    namespace: "default",
    userAgent: "shieldx/test",
    clock: systemClock,
    random: () => 0.5,
    onRequest: ({ method }) => requests.push(method),
  });
  const environment = { SHIELDX_NAMESPACE: "default" };
  const manager = createManager({
    client,
    controllers: createControllers({
      shieldxImage: "shieldx:test",
      postgresImage: "shieldx-postgres:test",
      clusterDomain: "cluster.local",
      logLevel: "silent",
      listen: 0,
      watchNamespaces: [],
      namespace: environment.SHIELDX_NAMESPACE,
    }),
    namespace: "default",
    identity,
    watchNamespaces: [],
    port: 0,
    metrics: createMetrics(),
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
const writes = ({ requests }: Running): string[] => requests.filter((method) => method !== "GET" && method !== "PUT");

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

/** Everything in the namespace but the operator's own Lease, by kind and name, with its version. */
async function world(): Promise<string[]> {
  const kinds = [SHARD_SET, CREDIT_LEDGER, ...Object.values(RESOURCES).filter((type) => type.namespaced)];
  const lists = await Promise.all(kinds.map((type) => user.list(type, { namespace: "default" })));
  return lists
    .flatMap(({ items }) => items)
    .filter(({ metadata }) => metadata.name !== "shieldx-controller")
    .map(({ kind, metadata }) => `${kind}/${metadata.name} ${metadata.resourceVersion}`)
    .sort();
}

describe("the operator over the samples", () => {
  it("comes to rest, stays there, and a restart writes nothing", async () => {
    const first = start("a");
    await eventually("it leads", () => first.manager.isLeader());
    for (const file of await readdir(`${CRDS}/samples`)) {
      if (!file.endsWith(".yaml")) continue;
      for (const document of parseAllDocuments(await readFile(`${CRDS}/samples/${file}`, "utf8"))) {
        const sample = document.toJS() as KubeObject;
        const type: ResourceType = sample.kind === "ShardSet" ? SHARD_SET : CREDIT_LEDGER;
        await user.create(type, { ...sample, metadata: { ...sample.metadata, namespace: "default" } });
      }
    }
    await eventually(
      "pods are wanted",
      async () => (await user.list(RESOURCES.Pod, { namespace: "default" })).items.length > 0,
    );
    await rest(first);
    const atRest = await world();
    const written = writes(first).length;
    await rest(first);
    expect(writes(first)).toHaveLength(written);
    expect(await first.stop()).toBe(0);

    const second = start("b");
    await eventually("the second leads", () => second.manager.isLeader());
    await rest(second);
    expect(await second.stop()).toBe(0);
    expect(writes(second)).toEqual([]);
    expect(await world()).toEqual(atRest);
  });
});

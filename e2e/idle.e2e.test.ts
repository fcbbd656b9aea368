// Promise: at rest the operator writes nothing but Lease renewals, and a restart of it writes nothing either.
import { expect } from "@jest/globals";
import type { KubeObject } from "../lib/kube/types.ts";
import { createBank } from "./bank.ts";
import { type Cluster, SYSTEM_NAMESPACE } from "./cluster.ts";
import { waitFor } from "./run.ts";
import { suite } from "./suite.ts";

const NAMESPACE = "idle";

/** How long rest is watched. */
const REST_MS = 60_000;

/** Minutes that are begun until one passes without a change of writers. */
const ATTEMPTS = 3;

const CONTROLLERS = "app.kubernetes.io/component=controller";

/** Kinds whose every write would show as a new resource version. Leases are left out: renewing them is the one write at rest. */
const KINDS =
  "shardsets,creditledgers,pods,pvc,services,secrets,configmaps,serviceaccounts,roles,rolebindings,deployments,jobs,pdb,events";

/** All objects of the namespace by kind and name. */
type Picture = ReadonlyMap<string, KubeObject>;

async function takePicture(cluster: Cluster): Promise<Picture> {
  const objects = await cluster.list(KINDS, NAMESPACE);
  return new Map(objects.map((object) => [`${object.kind}/${object.metadata.name}`, object]));
}

/** What was written between two pictures: whole objects, so that a failure shows which field it was. */
function changes(before: Picture, after: Picture): object[] {
  return [...new Set([...before.keys(), ...after.keys()])]
    .sort()
    .map((name) => ({ name, before: before.get(name), after: after.get(name) }))
    .filter((pair) => pair.before?.metadata.resourceVersion !== pair.after?.metadata.resourceVersion);
}

/**
 * Who may write to which shard. A machine that stands still for longer than a Lease changes that, and the operator has to
 * say so in a status: a minute in which it happened was no rest.
 */
async function writers(cluster: Cluster): Promise<string> {
  const leases = await cluster.list("leases", NAMESPACE);
  const facts = leases.map(({ metadata, ...lease }) => {
    const spec = lease["spec"] as { holderIdentity?: string; leaseTransitions?: number } | undefined;
    return [metadata.name, spec?.holderIdentity, spec?.leaseTransitions];
  });
  return JSON.stringify(facts.sort());
}

/** Waits until nothing has changed for longer than the slowest report of the operator waits (10 s): start-up is over. */
async function settle(cluster: Cluster): Promise<Picture> {
  let last = await takePicture(cluster);
  let quietSince = performance.now();
  await waitFor("the namespace to come to rest", 120_000, async () => {
    const now = await takePicture(cluster);
    if (changes(last, now).length > 0) {
      last = now;
      quietSince = performance.now();
    }
    return performance.now() - quietSince > 15_000;
  });
  return last;
}

/** Watches a minute of rest. @returns false when the world itself did not rest: its picture and the minute begin anew */
async function restsFrom(cluster: Cluster, before: Picture, writersBefore: string): Promise<boolean> {
  const until = performance.now() + REST_MS;
  let rested = true;
  await waitFor("the minute of rest to pass", REST_MS + 30_000, async () => {
    rested = (await writers(cluster)) === writersBefore;
    if (rested) expect(changes(before, await takePicture(cluster))).toEqual([]);
    return !rested || performance.now() >= until;
  });
  return rested;
}

/** @param disturb done between the picture and the minute of rest: it must not lead to a write */
async function watchRest(cluster: Cluster, disturb: () => Promise<void> = async () => undefined): Promise<void> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const writersBefore = await writers(cluster);
    const before = await settle(cluster);
    await disturb();
    if (await restsFrom(cluster, before, writersBefore)) return;
  }
  throw new Error(`writers changed hands in each of ${ATTEMPTS} minutes of rest`);
}

/** Restarts both controllers and waits until one of the new ones leads. */
async function restart(cluster: Cluster): Promise<void> {
  const of = ["deployment", "-n", SYSTEM_NAMESPACE, "-l", CONTROLLERS];
  await cluster.kubectl(["rollout", "restart", ...of]);
  await cluster.kubectl(["rollout", "status", ...of, "--timeout=120s"]);
  await waitFor("a new leader", 60_000, async () => {
    const pods = await cluster.list("pods", SYSTEM_NAMESPACE, CONTROLLERS);
    const holder = (await cluster.get("lease", "shieldx-controller", SYSTEM_NAMESPACE))?.["spec"] as {
      holderIdentity?: string;
    };
    return pods.some(({ metadata }) => holder.holderIdentity === `${metadata.name}_${metadata.uid ?? ""}`);
  });
}

suite("idle", [NAMESPACE], ({ cluster, prepare, promise }) => {
  prepare(() => createBank(cluster(), { namespace: NAMESPACE, shards: 2, deletionPolicy: "Delete" }));

  promise("writes nothing for a minute at rest", async () => {
    await watchRest(cluster());
  });

  promise("writes nothing after a restart", async () => {
    await watchRest(cluster(), () => restart(cluster()));
  });
});

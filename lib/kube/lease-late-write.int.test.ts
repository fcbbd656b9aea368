import { afterAll, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import { startControlPlane, type TestControlPlane } from "../../operator/testing/kube-apiserver.ts";
import { eventually } from "../../operator/testing/wait.ts";
import { systemClock } from "../core/clock.ts";
import { OperatorError } from "../core/errors.ts";
import { silentLogger } from "../node/logger.ts";
import type { KubeClient } from "./client.ts";
import { createLeaseHolder, type LeaseHolder } from "./lease.ts";
import { type KubeObject, type LeaseObject, RESOURCES } from "./types.ts";

// Goal: a write that the holder sent in time, and that a frozen API server carries out after the thaw, is over before the
// next holder begins. The order of etcd's revisions is the judge. A candidate that takes the silence of the server for
// the silence of the holder fails here each time: then most of the late writes come after its acquisition.

const { ConfigMap } = RESOURCES;
const NAMESPACE = "default";
/** As many as the pool has connections, less two for the Lease: what waits in the pool never leaves at all. */
const WRITES = 14;
const DURATION_SECONDS = 3;

let plane: TestControlPlane;
let observer: KubeClient;
beforeAll(async () => {
  plane = await startControlPlane();
  observer = plane.client();
});
afterAll(() => plane.stop());

let name: string;
let begun: Map<number, number>;
let round = 0;
beforeEach(async () => {
  round += 1;
  begun = new Map();
  name = `late-${round}`;
  for (let index = 0; index < WRITES; index += 1) {
    await observer.create(ConfigMap, {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { namespace: NAMESPACE, name: `${name}-${index}` },
      data: { by: "nobody" },
    });
  }
});

/** Takes part in the Lease, and notes the revision at which each epoch began. */
function compete(client: KubeClient, identity: string): LeaseHolder {
  return createLeaseHolder({
    client: {
      get: client.get,
      create: client.create,
      replace: async (type, object, how) => {
        const answer = await client.replace(type, object, how);
        const epoch = (answer as LeaseObject).spec?.leaseTransitions ?? 0;
        if (!begun.has(epoch)) begun.set(epoch, Number(answer.metadata.resourceVersion));
        return answer;
      },
    },
    namespace: NAMESPACE,
    name,
    identity,
    durationSeconds: DURATION_SECONDS,
    renewSeconds: 2,
    retrySeconds: 0.3,
    createIfMissing: true,
    clock: systemClock,
    random: () => 0.5,
    log: silentLogger,
  });
}

const refOf = (index: number) => ({ namespace: NAMESPACE, name: `${name}-${index}` });

/** A holder whose writes lie unread in the frozen server. @returns once its right has ended */
async function freezeWithWrites(
  holder: LeaseHolder,
  client: KubeClient,
): Promise<{ readonly settled: Promise<unknown> }> {
  const fence = (): void => {
    if (!holder.isHeld()) throw new OperatorError("LEASE_LOST", "not ours any more");
  };
  // Connections that are open already: a handshake would not get through.
  await Promise.all(Array.from({ length: WRITES }, (_, index) => client.get(ConfigMap, refOf(index))));
  plane.pause();
  const writes = Array.from({ length: WRITES }, (_, index) =>
    client.patch(ConfigMap, refOf(index), { format: "merge", patch: { data: { by: "former holder" } }, fence }),
  );
  await eventually("the right has ended", () => !holder.isHeld());
  return { settled: Promise.allSettled(writes) };
}

/** Revisions of the late writes that were carried out. */
async function lateRevisions(): Promise<number[]> {
  const { items } = await observer.list<KubeObject & { data?: Record<string, string> }>(ConfigMap, {
    namespace: NAMESPACE,
  });
  return items
    .filter(({ metadata, data }) => metadata.name.startsWith(`${name}-`) && data?.["by"] === "former holder")
    .map(({ metadata }) => Number(metadata.resourceVersion));
}

describe("a write that a frozen API server carries out late", () => {
  it("comes before the acquisition of another candidate", async () => {
    const [former, next] = [plane.client(), plane.client()];
    const [a, b] = [compete(former, "a"), compete(next, "b")];
    void a.run();
    await eventually("a holds", () => a.isHeld());
    void b.run();
    await eventually("b has seen it", () => b.record()?.holderIdentity === "a");
    const { settled } = await freezeWithWrites(a, former);
    await systemClock.sleep(DURATION_SECONDS * 1000);
    const thawedAt = systemClock.monotonic();
    plane.resume();
    // The process of the former holder ends with the loss.
    await former.close();
    await eventually("b holds", () => b.isHeld());
    expect(systemClock.monotonic() - thawedAt).toBeLessThan((DURATION_SECONDS + 2) * 1000);
    await settled;
    const late = await lateRevisions();
    expect(late.length).toBeGreaterThan(0);
    expect(Math.max(...late)).toBeLessThan(begun.get(2) ?? 0);
    await Promise.all([a.stop(), b.stop()]);
  });

  it("comes before the acquisition of the same pod's next process", async () => {
    const [former, next] = [plane.client(), plane.client()];
    const a = compete(former, "a");
    void a.run();
    await eventually("a holds", () => a.isHeld());
    const { settled } = await freezeWithWrites(a, former);
    const again = compete(next, "a");
    void again.run();
    await systemClock.sleep(DURATION_SECONDS * 1000);
    plane.resume();
    await former.close();
    await eventually("it holds again", () => again.isHeld());
    await settled;
    const late = await lateRevisions();
    expect(late.length).toBeGreaterThan(0);
    expect(Math.max(...late)).toBeLessThan(begun.get(2) ?? 0);
    await Promise.all([a.stop(), again.stop()]);
  });
});

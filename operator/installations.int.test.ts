import { afterAll, afterEach, beforeAll, describe, expect, it } from "@jest/globals";
import { ANNOTATIONS } from "../crds/group.ts";
import { systemClock } from "../lib/core/clock.ts";
import { createKubeClient, type KubeClient } from "../lib/kube/client.ts";
import { createTransport } from "../lib/kube/transport.ts";
import { RESOURCES } from "../lib/kube/types.ts";
import { silentLogger } from "../lib/node/logger.ts";
import { createMetrics } from "../lib/node/metrics.ts";
import { startControlPlane, type TestControlPlane } from "../testkit/kube-apiserver.ts";
import { renewals } from "../testkit/lease-renewals.ts";
import { makeNamespace } from "../testkit/namespaces.ts";
import { eventually } from "../testkit/wait.ts";
import { createManager, LEASE_NAME, type Manager } from "./manager.ts";

// Goal: of installations that want the same namespaces one leads at a time, the older one, and the others by themselves
// when it is gone.

const { Lease } = RESOURCES;

let plane: TestControlPlane;
let user: KubeClient;
/** Of all that run: no two may lead at any look, but for those that a test says do not overlap. */
let running: Pod[] = [];
beforeAll(async () => {
  plane = await startControlPlane();
  user = plane.client();
  for (const name of ["one", "two", "three"]) {
    await makeNamespace(user, name);
  }
}, 120_000);
afterAll(() => plane.stop());
afterEach(async () => {
  await Promise.all(running.map((pod) => pod.stop()));
  running = [];
  for (const { metadata } of (await user.list(Lease, { fieldSelector: `metadata.name=${LEASE_NAME}` })).items) {
    await user.delete(Lease, { namespace: metadata.namespace, name: LEASE_NAME });
  }
});

interface Pod {
  readonly namespace: string;
  manager(): Manager;
  metrics(): Promise<string>;
  /** Processes that ended by themselves. */
  ends(): number;
  stop(): Promise<void>;
}

/** A pod of an installation: whenever its process ends, the next one has the same identity. */
function install(namespace: string, watchNamespaces: readonly string[] = []): Pod {
  const abort = new AbortController();
  let ends = 0;
  let metrics = createMetrics();
  const begin = () => {
    metrics = createMetrics();
    const client = createKubeClient({
      transport: createTransport(plane.endpoint(namespace)),
      namespace,
      userAgent: "shieldx/test",
      clock: systemClock,
      random: Math.random,
    });
    const manager = createManager({
      client,
      controllers: [],
      namespace,
      identity: `pod-in-${namespace}`,
      watchNamespaces,
      port: "none",
      metrics,
      clock: systemClock,
      random: Math.random,
      log: silentLogger,
      lease: { durationSeconds: 3, renewSeconds: 2, retrySeconds: 0.2 },
    });
    return { manager, exited: manager.run(abort.signal).finally(() => client.close()) };
  };
  let current = begin();
  const life = (async () => {
    for (;;) {
      await current.exited;
      if (abort.signal.aborted) return;
      ends += 1;
      current = begin();
    }
  })();
  const pod = {
    namespace,
    manager: () => current.manager,
    metrics: () => metrics.text(),
    ends: () => ends,
    stop: async () => {
      abort.abort();
      await life;
    },
  };
  running.push(pod);
  return pod;
}

const leaders = (): string[] => running.filter((pod) => pod.manager().isLeader()).map(({ namespace }) => namespace);

/** Waits until this installation leads; never two meanwhile. */
const leads = (namespace: string): Promise<unknown> =>
  eventually(
    `the installation in ${namespace} leads`,
    () => {
      const now = leaders();
      if (now.length > 1) throw new Error(`two installations lead at once: ${now.join(", ")}`);
      return now[0] === namespace;
    },
    20_000,
  );

const STANDS_BY =
  "stands by for the installation in namespace one, which is older and serves all namespaces: " +
  "uninstall one of the two, or give them watchNamespaces that do not overlap";

const leaseOf = (namespace: string) => ({ namespace, name: LEASE_NAME });

/** Waits until a Lease that is made now is younger than that of an installation: the server counts in whole seconds. */
const isOlder = (namespace: string): Promise<unknown> =>
  eventually(`the Lease in ${namespace} is older than now`, async () => {
    const { metadata } = await user.get(Lease, leaseOf(namespace));
    return systemClock.now() >= Date.parse(metadata.creationTimestamp ?? "") + 1_000;
  });

/** Of a leader, until whoever was to object or to follow has looked at it several times. */
const RENEWALS = 10;

describe("two installations that want the same namespaces", () => {
  it("the older one leads; the other one says why it does not, takes over when it goes, and lets it come back", async () => {
    const one = install("one");
    await leads("one");
    await isOlder("one");
    const two = install("two", ["bank"]);
    await eventually("told", () => two.manager().ready().reasons?.[0] === STANDS_BY);
    expect(two.manager().ready().ok).toBe(true);
    expect(await two.metrics()).toContain("\nshieldx_other_installations 1\n");
    await eventually("written on its Lease", async () => {
      const { metadata } = await user.get(Lease, leaseOf("two"));
      return metadata.annotations?.[ANNOTATIONS.installation] === "waits for one";
    });
    expect(leaders()).toEqual(["one"]);
    expect(two.ends()).toBe(0);

    await one.stop();
    running = [two];
    await leads("two");
    expect(two.manager().ready().reasons).toEqual(["leading"]);
    expect(two.ends()).toBe(0);

    install("one");
    await leads("one");
    await eventually("told again", () => two.manager().ready().reasons?.[0] === STANDS_BY);
    expect(leaders()).toEqual(["one"]);
  }, 60_000);

  it("that start at once do not lead at once", async () => {
    for (let round = 0; round < 5; round += 1) {
      const pods = ["one", "two", "three"].map((namespace) => install(namespace));
      let since = systemClock.monotonic();
      await eventually("one leads", () => {
        if (leaders().length > 1) throw new Error(`two installations lead at once: ${leaders().join(", ")}`);
        // The others would lead by now, if they were to.
        if (leaders().length === 0) since = systemClock.monotonic();
        return systemClock.monotonic() - since > 1_000;
      });
      await Promise.all(pods.map((pod) => pod.stop()));
      running = [];
    }
  }, 90_000);

  it("one that ended without giving its Lease back is waited for until that has expired", async () => {
    await user.create(Lease, {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: leaseOf("one"),
      spec: { holderIdentity: "ghost", leaseDurationSeconds: 1_000_000, leaseTransitions: 1 },
    });
    await user.patch(Lease, leaseOf("one"), {
      format: "merge",
      patch: { spec: { leaseDurationSeconds: 3 } },
    });
    await isOlder("one");
    const startedAt = systemClock.monotonic();
    const two = install("two");
    await eventually("told", () => two.manager().ready().reasons?.[0] === STANDS_BY);
    await leads("two");
    expect(systemClock.monotonic() - startedAt).toBeGreaterThan(3_000);
    // Its Lease lies around for ever, and is nobody's.
    await renewals(user, leaseOf("two"), RENEWALS);
    expect([two.ends(), leaders()]).toEqual([0, ["two"]]);
    expect(await two.metrics()).toContain("\nshieldx_other_installations 0\n");
  }, 60_000);

  it("a younger Lease that somebody keeps alive by hand delays the older installation, and no more", async () => {
    install("one");
    await leads("one");
    await running[0]?.stop();
    running = [];
    await isOlder("one");
    const forged = leaseOf("two");
    await user.create(Lease, {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: forged,
      spec: { holderIdentity: "forged", leaseDurationSeconds: 3 },
    });
    let beats = 0;
    const heart = setInterval(() => {
      beats += 1;
      void user.patch(Lease, forged, { format: "merge", patch: { spec: { leaseTransitions: beats } } });
    }, 500);
    const one = install("one");
    await eventually("told", () => one.manager().ready().reasons?.[0]?.startsWith("waits until the younger") === true);
    await leads("one");
    clearInterval(heart);
  }, 60_000);

  it("of different namespaces lead side by side", async () => {
    const pods = [install("one", ["bank"]), install("two", ["shop"])];
    await eventually("both lead", () => pods.every((pod) => pod.manager().isLeader()));
    await Promise.all(pods.map(({ namespace }) => renewals(user, leaseOf(namespace), RENEWALS)));
    expect(pods.map((pod) => pod.manager().isLeader())).toEqual([true, true]);
  });
});

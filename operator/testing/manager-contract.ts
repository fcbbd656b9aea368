import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { FINALIZER, LABELS } from "../../crds/group.ts";
import { type Clock, systemClock } from "../../lib/core/clock.ts";
import type { KubeClient, RequestRecord } from "../../lib/kube/client.ts";
import { type KubeObject, RESOURCES } from "../../lib/kube/types.ts";
import { silentLogger } from "../../lib/node/logger.ts";
import { createMetrics } from "../../lib/node/metrics.ts";
import { createManager, LEASE_NAME, type Manager } from "../manager.ts";
import { mergeConditions } from "../runtime/conditions.ts";
import { ensureFinalizer, removeFinalizer } from "../runtime/finalizers.ts";
import type { Condition, Controller, Result } from "../runtime/types.ts";
import { eventually } from "./wait.ts";
import { WIDGET, type Widget, widget } from "./widget.ts";

/** A server under test, and clients that report their requests. */
export interface ManagerServer {
  client(onRequest: (record: RequestRecord) => void): KubeClient;
  /** Speeds up waits of the code under test where the server is as fast. */
  readonly clock: Clock;
}

/** A running replica. */
export interface Replica {
  readonly manager: Manager;
  readonly writes: string[];
  /** Reconciles of each widget, in order. */
  readonly runs: string[];
  stop(): Promise<number>;
  readonly exited: Promise<number>;
}

const { ConfigMap, Lease } = RESOURCES;
const NAMESPACE = "default";
const LEASE = { namespace: NAMESPACE, name: LEASE_NAME };

/** Keeps a ConfigMap beside each widget; deletes it before the widget goes. */
function widgetController(runs: string[], before: () => Promise<void>): Controller {
  return {
    name: "widget",
    resource: WIDGET,
    concurrency: 2,
    watches: [
      {
        resource: ConfigMap,
        labelSelector: `${LABELS.kind}=Widget`,
        keys: ({ metadata }) => [{ namespace: metadata.namespace ?? "", name: metadata.labels?.[LABELS.name] ?? "" }],
      },
    ],
    reconcile: async (key, context): Promise<Result> => {
      runs.push(key.name);
      await before();
      const owner: Widget | undefined = context.cache.get(WIDGET, key.namespace, key.name);
      if (owner === undefined) return {};
      const child = context.cache.get(ConfigMap, key.namespace, key.name);
      if (owner.metadata.deletionTimestamp !== undefined) {
        const gone = child === undefined;
        const { error } = await context.execute(owner, {
          actions: gone
            ? removeFinalizer(owner, WIDGET)
            : [{ type: "delete", resource: ConfigMap, ...key, uid: child.metadata.uid, note: "clean up" }],
        });
        if (error !== undefined) throw error;
        return {};
      }
      const { error } = await context.execute(owner, {
        actions: [
          ...ensureFinalizer(owner, WIDGET),
          { type: "apply", object: childOf(owner), note: "wanted" },
          { type: "event", eventType: "Normal", reason: "Applied", note: `size ${owner.spec?.size}` },
        ],
      });
      const conditions = mergeConditions(
        owner.status?.["conditions"] as readonly Condition[] | undefined,
        [
          {
            type: "Ready",
            status: error === undefined ? "True" : "False",
            reason: error === undefined ? "Applied" : "Failed",
            message: `size ${owner.spec?.size}`,
            observedGeneration: owner.metadata.generation ?? 0,
          },
        ],
        context.clock.now(),
      );
      await context.patchStatus(owner, { conditions, observedGeneration: owner.metadata.generation ?? 0 });
      if (error !== undefined) throw error;
      return {};
    },
  };
}

function childOf(owner: Widget): KubeObject {
  const { name } = owner.metadata;
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { namespace: NAMESPACE, name, labels: { [LABELS.kind]: "Widget", [LABELS.name]: name } },
    data: { size: String(owner.spec?.size ?? 0) },
  };
}

/**
 * The whole operator with one small controller: what it promises at rest, at a restart, at a hand-over and at a stop.
 * The same suite runs on the fake and on a real API server.
 */
export function describeManagerContract(start: () => Promise<ManagerServer>, stop: () => Promise<void>): void {
  let server: ManagerServer;
  let user: KubeClient;
  let replicas: Replica[];

  const open = (identity: string, before: () => Promise<void> = async () => undefined): Replica => {
    const writes: string[] = [];
    const runs: string[] = [];
    const client = server.client(({ method }) => {
      if (method !== "GET") writes.push(method);
    });
    const manager = createManager({
      client,
      controllers: [widgetController(runs, before)],
      namespace: NAMESPACE,
      identity,
      watchNamespaces: [NAMESPACE],
      port: 0,
      metrics: createMetrics(),
      clock: server.clock,
      random: () => 0.5,
      log: silentLogger,
      lease: { durationSeconds: 3, renewSeconds: 2, retrySeconds: 0.2 },
    });
    const abort = new AbortController();
    const exited = manager.run(abort.signal).finally(() => client.close());
    const replica: Replica = {
      manager,
      writes,
      runs,
      exited,
      stop: () => {
        abort.abort();
        return exited;
      },
    };
    replicas.push(replica);
    return replica;
  };
  const leader = async (replica: Replica): Promise<void> => {
    await eventually("the replica leads", () => replica.manager.isLeader());
  };
  const patch = (name: string, change: unknown) =>
    user.patch(WIDGET, { namespace: NAMESPACE, name }, { format: "merge", patch: change });
  const isReady = async (name: string, size: number): Promise<boolean> => {
    const found = await user.find(WIDGET, { namespace: NAMESPACE, name });
    const conditions = (found?.status?.["conditions"] ?? []) as Condition[];
    return conditions[0]?.message === `size ${size}` && conditions[0].observedGeneration === found?.metadata.generation;
  };
  /** Nothing is written and nothing is reconciled for a while: all echoes have come. */
  const rest = async (replica: Replica): Promise<void> => {
    let last = "";
    let since = systemClock.monotonic();
    await eventually("rest", () => {
      const now = `${replica.runs.length} ${replica.writes.filter((method) => method !== "PUT").length}`;
      if (now !== last) since = systemClock.monotonic();
      last = now;
      return systemClock.monotonic() - since > 150;
    });
  };
  /** Writes other than renewals of the Lease, which are the only PUTs. */
  const ownWrites = (replica: Replica): string[] => replica.writes.filter((method) => method !== "PUT");

  beforeEach(async () => {
    server = await start();
    user = server.client(() => undefined);
    replicas = [];
    // Tests share a server, but no Lease.
    if ((await user.find(Lease, LEASE)) !== undefined) await user.delete(Lease, LEASE);
  });
  afterEach(async () => {
    await Promise.all(replicas.map((replica) => replica.stop()));
    for (const { metadata } of (await user.list(WIDGET, { namespace: NAMESPACE })).items) {
      await patch(metadata.name, { metadata: { finalizers: null } });
      await user.delete(WIDGET, { namespace: NAMESPACE, name: metadata.name }).catch(() => undefined);
      await user.delete(ConfigMap, { namespace: NAMESPACE, name: metadata.name }).catch(() => undefined);
    }
    await user.close();
    await stop();
  });

  describe("converging", () => {
    it("brings existing and new objects to what is wanted, and comes to rest", async () => {
      await user.create(WIDGET, widget("before", { size: 1 }));
      const replica = open("a");
      await leader(replica);
      await user.create(WIDGET, widget("after", { size: 2 }));
      await eventually("both are ready", async () => (await isReady("before", 1)) && (await isReady("after", 2)));
      await patch("after", { spec: { size: 5 } });
      await eventually("the change is carried out", () => isReady("after", 5));
      expect((await user.get(ConfigMap, { namespace: NAMESPACE, name: "after" })).data).toEqual({ size: "5" });
      await rest(replica);
      const [writes, runs] = [ownWrites(replica).length, replica.runs.length];
      await patch("before", { metadata: { labels: { touched: "1" } } });
      await eventually("looked at", () => replica.runs.length > runs);
      await rest(replica);
      expect(ownWrites(replica)).toHaveLength(writes);
    });

    it("brings back what somebody deletes", async () => {
      await user.create(WIDGET, widget("mended"));
      await leader(open("a"));
      await eventually("ready", () => isReady("mended", 1));
      const child = { namespace: NAMESPACE, name: "mended" };
      const { metadata } = await user.get(ConfigMap, child);
      await user.delete(ConfigMap, child);
      await eventually("made again", async () => {
        const again = await user.find(ConfigMap, child);
        return again !== undefined && again.metadata.uid !== metadata.uid;
      });
    });

    it("cleans up before a deletion goes on", async () => {
      await user.create(WIDGET, widget("ended"));
      await leader(open("a"));
      await eventually("ready", () => isReady("ended", 1));
      expect((await user.get(WIDGET, { namespace: NAMESPACE, name: "ended" })).metadata.finalizers).toEqual([
        FINALIZER,
      ]);
      await user.delete(WIDGET, { namespace: NAMESPACE, name: "ended" });
      await eventually(
        "gone",
        async () => (await user.find(WIDGET, { namespace: NAMESPACE, name: "ended" })) === undefined,
      );
      expect(await user.find(ConfigMap, { namespace: NAMESPACE, name: "ended" })).toBeUndefined();
    });
  });

  describe("a restart", () => {
    it("over a converged state writes nothing but its Lease", async () => {
      await user.create(WIDGET, widget("quiet-a", { size: 1 }));
      await user.create(WIDGET, widget("quiet-b", { size: 2 }));
      const first = open("a");
      await leader(first);
      await eventually("ready", async () => (await isReady("quiet-a", 1)) && (await isReady("quiet-b", 2)));
      await rest(first);
      expect(await first.stop()).toBe(0);
      const second = open("b");
      await leader(second);
      await eventually("both were looked at", () => new Set(second.runs).size === 2);
      await rest(second);
      expect(ownWrites(second)).toEqual([]);
    });
  });

  describe("two replicas", () => {
    it("one leads, the other is ready; a clean stop hands over in under 3 s", async () => {
      const first = open("a");
      await leader(first);
      const second = open("b");
      await eventually("the standby is ready", () => second.manager.ready().ok);
      expect(second.manager.ready().reasons).toEqual(["standing by"]);
      expect(second.manager.isLeader()).toBe(false);
      const epoch = (await user.get(Lease, LEASE)).spec?.leaseTransitions ?? 0;
      const stoppedAt = systemClock.monotonic();
      expect(await first.stop()).toBe(0);
      await leader(second);
      expect(systemClock.monotonic() - stoppedAt).toBeLessThan(3_000);
      const lease = await user.get(Lease, LEASE);
      expect(lease.spec).toMatchObject({ holderIdentity: "b", leaseTransitions: epoch + 1 });
      await user.create(WIDGET, widget("after-handover"));
      await eventually("the new leader works", () => isReady("after-handover", 1));
      expect(first.runs).not.toContain("after-handover");
    });

    it("a leader that loses its Lease writes nothing more and ends with 1", async () => {
      let go: () => void = () => undefined;
      const held = new Promise<void>((resolve) => {
        go = resolve;
      });
      const replica = open("a", () => held);
      await leader(replica);
      await user.create(WIDGET, widget("fenced"));
      await eventually("a reconcile runs", () => replica.runs.length === 1);
      await user.patch(Lease, LEASE, {
        format: "merge",
        patch: { spec: { holderIdentity: "usurper", leaseTransitions: 90 } },
      });
      await eventually("the loss is noticed", () => !replica.manager.isLeader());
      go();
      expect(await replica.exited).toBe(1);
      expect(ownWrites(replica)).toEqual(["POST"]); // The Lease itself, made at the start.
      expect((await user.get(Lease, LEASE)).spec?.holderIdentity).toBe("usurper");
    });
  });

  describe("a stop", () => {
    it("starts no reconcile, lets the running one end, then gives the Lease back", async () => {
      let go: () => void = () => undefined;
      const held = new Promise<void>((resolve) => {
        go = resolve;
      });
      const replica = open("a", () => held);
      await leader(replica);
      await user.create(WIDGET, widget("running"));
      await eventually("a reconcile runs", () => replica.runs.length === 1);
      const exited = replica.stop();
      await user.create(WIDGET, widget("too-late"));
      const holder = async () => (await user.get(Lease, LEASE)).spec?.holderIdentity;
      expect(await holder()).toBe("a");
      go();
      expect(await exited).toBe(0);
      expect((await holder()) ?? "").toBe("");
      expect(replica.runs).toEqual(["running"]);
    });
  });

  describe("probes", () => {
    it("answer over HTTP with the state, and metrics by the names of controller-runtime", async () => {
      const replica = open("a");
      const get = async (path: string) => {
        const response = await fetch(`http://127.0.0.1:${replica.manager.port()}${path}`);
        return { status: response.status, text: await response.text() };
      };
      await leader(replica);
      await user.create(WIDGET, widget("probed"));
      await eventually("ready", () => isReady("probed", 1));
      await rest(replica);
      expect(await get("/healthz")).toEqual({ status: 200, text: "ok\n" });
      expect(await get("/readyz")).toEqual({ status: 200, text: "ok\nleading\n" });
      expect((await get("/nothing")).status).toBe(404);
      const { text } = await get("/metrics");
      expect(text).toContain('leader_election_master_status{name="shieldx-controller"} 1');
      expect(text).toMatch(/controller_runtime_reconcile_total\{controller="widget",result="success"\} [1-9]/);
      expect(text).toContain('shieldx_informer_objects{informer="widgets.test.shieldx.dev"} 1');
      expect(text).toContain('shieldx_informer_faults_total{informer="widgets.test.shieldx.dev",fault="gone"} 0');
      expect(text).toContain('shieldx_plan_actions_total{controller="widget",action="apply",result="written"} 1');
    });
  });
}

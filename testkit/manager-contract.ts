import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { RESOURCES } from "../lib/kube/types.ts";
import { LEASE_NAME } from "../operator/manager.ts";
import { useFixture } from "./acceptance/fixture.ts";
import { createGate } from "./acceptance/gate.ts";
import type { AcceptanceServer } from "./acceptance/server.ts";
import { eventually } from "./wait.ts";
import { createWidgetOperator } from "./widget-operator.ts";

const { ConfigMap, Lease } = RESOURCES;
/** A right of 2 s: a busy machine does not lose it by accident, and a test can wait for its end. */
const SHORT_LEASE = { durationSeconds: 3, renewSeconds: 2, retrySeconds: 0.2 };

/**
 * The whole operator with one small controller: what it makes of the world, and what it tells of itself. What it promises
 * beyond that is the acceptance list, in `acceptance/`. The same suite runs on the fake and on a real API server.
 */
export function describeManagerContract(begin: () => Promise<AcceptanceServer>): void {
  let opened: AcceptanceServer | undefined;
  beforeAll(async () => {
    opened = await begin();
  });
  afterAll(() => opened?.close());
  const server = (): AcceptanceServer => {
    if (opened === undefined) throw new Error("the server is used before its tests");
    return opened;
  };
  const { start, create, patch, child, isReady, lease } = useFixture(server);

  describe("converging", () => {
    it("brings existing and new objects to what is wanted, and comes to rest", async () => {
      await create("before", { size: 1 });
      const replica = start("a");
      await replica.leads();
      await create("after", { size: 2 });
      await eventually("both are ready", async () => (await isReady("before", 1)) && (await isReady("after", 2)));
      await patch("after", { spec: { size: 5 } });
      await eventually("the change is carried out", () => isReady("after", 5));
      expect((await child("after"))?.data).toEqual({ text: "", size: "5" });
      await replica.rests();
      const [writes, runs] = [replica.writes().length, replica.runs.length];
      await patch("before", { metadata: { labels: { touched: "1" } } });
      await eventually("looked at", () => replica.runs.length > runs);
      await replica.rests();
      expect(replica.writes()).toHaveLength(writes);
    });

    it("brings back what somebody deletes", async () => {
      const { user, namespace } = server();
      await create("mended");
      await start("a").leads();
      await eventually("ready", () => isReady("mended", 1));
      const first = await child("mended");
      await user.delete(ConfigMap, { namespace, name: "mended" });
      await eventually("made again", async () => {
        const again = await child("mended");
        return again !== undefined && again.metadata.uid !== first?.metadata.uid;
      });
    });
  });

  describe("the Lease", () => {
    it("a leader that loses it to somebody else writes nothing more and ends with 1", async () => {
      const { user, namespace } = server();
      const gate = createGate();
      const controller = createWidgetOperator({ before: () => gate.opened });
      const replica = start("a", { controller, lease: SHORT_LEASE });
      await replica.leads();
      await create("fenced");
      await eventually("a reconcile runs", () => replica.runs.length === 1);
      const spec = { holderIdentity: "usurper", leaseTransitions: 90 };
      await user.patch(Lease, { namespace, name: LEASE_NAME }, { format: "merge", patch: { spec } });
      await eventually("the loss is noticed", () => !replica.manager.isLeader());
      gate.open();
      expect(await replica.exited).toBe(1);
      expect(replica.writes()).toEqual([]);
      expect((await lease())?.spec?.holderIdentity).toBe("usurper");
    });
  });

  describe("probes", () => {
    it("answer over HTTP with the state, and metrics by the names of controller-runtime", async () => {
      const replica = start("a");
      const get = async (path: string) => {
        const response = await fetch(`http://127.0.0.1:${replica.manager.port()}${path}`);
        return { status: response.status, text: await response.text() };
      };
      await replica.leads();
      await create("probed");
      await eventually("ready", () => isReady("probed", 1));
      await replica.rests();
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

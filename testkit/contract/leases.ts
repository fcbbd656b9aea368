import { describe, expect, it } from "@jest/globals";
import { systemClock } from "../../lib/core/clock.ts";
import { followObject } from "../../lib/kube/follow.ts";
import { createLeaseHolder } from "../../lib/kube/lease.ts";
import { type LeaseObject, RESOURCES } from "../../lib/kube/types.ts";
import { silentLogger } from "../../lib/node/logger.ts";
import { objectOf } from "../builders.ts";
import { eventually } from "../wait.ts";
import { configMap } from "../widget.ts";
import { type ContractCases, ref } from "./server.ts";

const { ConfigMap, Event, Lease } = RESOURCES;

/** What programs beside the cache build on: Leases, one followed object, Events. */
export const leaseCases: ContractCases = (server) => {
  const client = () => server().client();

  describe("Leases", () => {
    it("pass from one process to the other on release, with a higher epoch, and keep their labels", async () => {
      await client().create(Lease, leaseObject("right"));
      const join = (identity: string) =>
        createLeaseHolder({
          client: client(),
          ...ref("right"),
          identity,
          durationSeconds: 3,
          renewSeconds: 2,
          retrySeconds: 0.1,
          clock: systemClock,
          random: () => 0.5,
          log: silentLogger,
          holderUrl: `https://${identity}`,
        });
      const a = join("a");
      void a.run();
      await eventually("a holds", () => a.isHeld());
      const b = join("b");
      void b.run();
      await eventually("b sees a", () => b.record()?.holderUrl === "https://a");
      await a.stop();
      await eventually("b holds", () => b.isHeld());
      expect(a.isHeld()).toBe(false);
      expect(b.epoch()).toBe(2);
      expect(await b.setMinimumEpoch(40)).toBe(40);
      const lease = await client().get(Lease, ref("right"));
      expect(lease.metadata.labels).toEqual({ keep: "me" });
      expect(lease.spec).toMatchObject({ holderIdentity: "b", leaseTransitions: 40, leaseDurationSeconds: 3 });
      await b.stop();
      expect((await client().get(Lease, ref("right"))).spec?.holderIdentity ?? "").toBe("");
    });
  });

  describe("one object", () => {
    it("can be followed by name through its whole life", async () => {
      const story: (string | undefined)[] = [];
      const stop = new AbortController();
      const running = followObject({
        client: client(),
        type: ConfigMap,
        ref: ref("followed"),
        clock: systemClock,
        random: () => 0.5,
        log: silentLogger,
        onChange: (object) => story.push(object?.data?.["a"]),
      }).run(stop.signal);
      await eventually("absence seen", () => story.length === 1);
      await client().create(ConfigMap, configMap("followed", { a: "1" }));
      await client().create(ConfigMap, configMap("followed-not", { a: "2" }));
      await eventually("creation seen", () => story.length === 2);
      await client().delete(ConfigMap, ref("followed"));
      await eventually("deletion seen", () => story.length === 3);
      expect(story).toEqual([undefined, "1", undefined]);
      stop.abort();
      await running;
    });
  });

  describe("Events", () => {
    it("are objects that can be counted up", async () => {
      const event = objectOf(Event, "happened", {
        eventTime: "2026-01-01T00:00:00.000000Z",
        reason: "Happened",
        action: "Reconcile",
        type: "Normal",
        note: "it did",
        reportingController: "shieldx.dev/test",
        reportingInstance: "test-0",
        regarding: { apiVersion: "v1", kind: "ConfigMap", ...ref("followed") },
      });
      const made = await client().create(Event, event);
      expect(made.metadata.generation).toBeUndefined();
      const series = { count: 2, lastObservedTime: "2026-01-01T00:00:01.000000Z" };
      const again = await client().patch(Event, ref("happened"), { format: "merge", patch: { series } });
      expect(again).toMatchObject({ series, note: "it did" });
    });
  });
};

function leaseObject(name: string): LeaseObject {
  return { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: { ...ref(name), labels: { keep: "me" } } };
}

import { expect } from "@jest/globals";
import { createScaledClock } from "../scaled-clock.ts";
import { eventually } from "../wait.ts";
import { createWidgetOperator } from "../widget-operator.ts";
import { describeAtOnce } from "./at-once.ts";
import { createGate } from "./gate.ts";
import type { AcceptanceSuite } from "./items.ts";
import { type ReplicaProcess, startReplicaProcess } from "./replica-process.ts";

const LEASE = { durationSeconds: 15, renewSeconds: 10, retrySeconds: 2 } as const;

/** Item 10: the end of a process, in its order. */
export function describeStopItems(suite: AcceptanceSuite): void {
  describeAtOnce(suite, 10, {
    "a process with a reconcile under way": async ({ create, lease, child }, { link, namespace }) => {
      const holder = async () => (await lease())?.spec?.holderIdentity ?? "";
      const replica = startReplicaProcess({
        server: link.server,
        namespace,
        identity: "a",
        lease: LEASE,
        hold: "running",
      });
      try {
        await eventually("it leads", async () => (await holder()) === "a", 20_000);
        await create("running");
        const { reports } = replica;
        await eventually("a reconcile is under way", () => reports.some(({ type }) => type === "began"));

        replica.signal("SIGTERM");
        await eventually("it is told to end", () => reports.some(({ type }) => type === "aborted"));
        await create("too-late");
        const before = link.requests().length;
        // Renewals go on: the Lease is given back after the reconcile, not before.
        await eventually("the Lease is renewed", () =>
          link
            .requests()
            .slice(before)
            .some(({ method, path }) => method !== "GET" && path.includes("/leases/")),
        );
        expect(await holder()).toBe("a");

        replica.release();
        expect(await replica.exited).toBe(0);
        expect(await holder()).toBe("");
        expect(reports).toEqual([
          { type: "began", name: "running" },
          { type: "aborted", name: "running" },
          { type: "goes on", name: "running" },
        ]);
        // Aborted means: no write was begun after the signal.
        expect(await child("running")).toBeUndefined();
        expect(link.writes().at(-1)?.path).toContain("/leases/");
      } finally {
        await replica.kill();
      }
    },

    "a reconcile that does not end is left after the grace time, and the exit code says so": async (fixture) => {
      const { start, create, lease } = fixture;
      const gate = createGate();
      // Half a minute passes in half a second.
      const clock = createScaledClock(60);
      const stuck = start("a", { clock, controller: createWidgetOperator({ before: () => gate.opened }) });
      await stuck.leads();
      await create("stuck");
      await eventually("a reconcile is under way", () => stuck.runs.length === 1);
      const stoppedAt = clock.monotonic();
      expect(await stuck.stop()).toBe(1);
      expect(clock.monotonic() - stoppedAt).toBeGreaterThanOrEqual(30_000);
      // Not given back: who takes it over must not meet what may still go on here.
      expect((await lease())?.spec?.holderIdentity).toBe("a");
      gate.open();
    },

    "a stand-by, which has nothing to hand over": async ({ lease }, { link, namespace }) => {
      const common = { server: link.server, namespace, lease: LEASE };
      const leader = startReplicaProcess({ ...common, identity: "a" });
      let replica: ReplicaProcess | undefined;
      try {
        await eventually("it leads", async () => (await lease())?.spec?.holderIdentity === "a", 20_000);
        replica = startReplicaProcess({ ...common, identity: "b" });
        await eventually(
          "the second stands by",
          () => link.requests().some(({ userAgent, path }) => userAgent.includes("(b)") && path.includes("/leases")),
          20_000,
        );
        replica.signal("SIGTERM");
        expect(await replica.exited).toBe(0);
        expect((await lease())?.spec?.holderIdentity).toBe("a");
      } finally {
        await leader.kill();
        await replica?.kill();
      }
    },
  });
}

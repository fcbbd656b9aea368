import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "@jest/globals";
import { systemClock } from "../../lib/core/clock.ts";
import { createManualClock } from "../../lib/core/manual-clock.ts";
import type { Transport } from "../../lib/kube/transport.ts";
import { temporaryFolder } from "../../lib/node/testing/leftovers.ts";
import type { SeenRequest } from "../faults.ts";
import { eventually } from "../wait.ts";
import { createWidgetOperator } from "../widget-operator.ts";
import { describeAtOnce, type OwnCase } from "./at-once.ts";
import { type EpochRecord, recordEpochs } from "./epochs.ts";
import { type Fixture, useFixture } from "./fixture.ts";
import { createGate } from "./gate.ts";
import { type AcceptanceSuite, describeItem } from "./items.ts";
import { startReplicaProcess } from "./replica-process.ts";
import type { AcceptanceServer, Link } from "./server.ts";

/** A fifth of the product's times. A right of 2 s is what a busy machine does not lose by accident. */
const LEASE = { durationSeconds: 3, renewSeconds: 2, retrySeconds: 0.4 } as const;
/** client-go's: what the stand-by may wait for after the leader's last sign of life. */
const [PRODUCT_LEASE_MS, PRODUCT_RETRY_MS] = [15_000, 2_000];
const STEP_MS = 100;
const TIMEOUT_MS = 60_000;

const stamped = (options: Parameters<typeof createWidgetOperator>[0] = {}) =>
  createWidgetOperator({ ...options, stamp: ({ epoch }) => ({ epoch: String(epoch) }) });

/** Writes of a replica that are not about its Lease. */
function writesOf(requests: readonly SeenRequest[], identity: string): string[] {
  return requests
    .filter(({ userAgent, path }) => userAgent.includes(`(${identity})`) && !path.includes("/leases"))
    .map(({ method, path }) => `${method} ${path}`);
}

/** What a replica still wrote after another one had taken the Lease, by the order of one link. */
function writesAfterTakeover(link: Link, former: string, next: string): string[] {
  const all = link.writes();
  const taken = all.findIndex(
    ({ userAgent, method, path, body }) =>
      userAgent.includes(`(${next})`) &&
      path.includes("/leases/") &&
      method !== "POST" &&
      body.includes(`"holderIdentity":"${next}"`),
  );
  if (taken < 0) throw new Error(`${next} has not taken the Lease`);
  return writesOf(all.slice(taken), former);
}

/** Items 7 to 9: one leader at a time, and what the former one may not do any more. */
export function describeLeadershipItems(suite: AcceptanceSuite): void {
  describeAtOnce(suite, 7, {
    "the leader that cannot reach the server ends by itself, with a plan half done": async (
      { start, create, isReady, child, lease },
      server,
    ) => {
      const record = await recordEpochs(server);
      const [linkA, linkB] = [await server.openLink(), await server.openLink()];
      const gate = createGate();
      const first = start("a", {
        link: linkA,
        lease: LEASE,
        controller: stamped({ before: ({ name }) => (name === "contested" ? gate.opened : undefined) }),
      });
      await first.leads();
      await create("before");
      await eventually("the first works", () => isReady("before", 1));
      const second = start("b", { link: linkB, lease: LEASE, controller: stamped() });
      await eventually("the second stands by", () => second.manager.ready().ok);
      await create("contested");
      await eventually("a plan is begun", () => first.runs.includes("contested"));

      linkA.inject({ times: Number.POSITIVE_INFINITY, action: { type: "hang" } });
      linkA.stallWatches();
      await eventually("the second leads", () => {
        const both = first.manager.isLeader() && second.manager.isLeader();
        if (both) throw new Error("two replicas lead at once");
        return second.manager.isLeader();
      });
      expect(first.manager.isLeader()).toBe(false);

      linkA.heal();
      linkA.cutWatches();
      linkA.forgetRequests();
      gate.open();
      expect(await first.exited).toBe(1);
      await eventually("the second has carried it out", () => isReady("contested", 1));
      expect(writesOf(linkA.writes(), "a")).toEqual([]);
      expect((await child("contested"))?.data).toMatchObject({ epoch: "2" });
      expect((await lease())?.spec).toMatchObject({ holderIdentity: "b", leaseTransitions: 2 });
      await second.rests();
      expect(await record.finish()).toMatchObject({ epochs: [1, 2], stale: [] });
    },

    ...Object.fromEntries(
      [0, 700, 1_400].map((phaseMs) => [
        `with the times of the product, on a clock that waits for each answer, ${phaseMs} ms after a renewal`,
        async ({ start }: Fixture, server: AcceptanceServer) => {
          const clock = createManualClock();
          const [linkA, linkB] = [await server.openLink(), await server.openLink()];
          let underWay = 0;
          const counted = (transport: Transport): Transport => ({
            ...transport,
            send: async (request) => {
              if (request.stream === true) return transport.send(request);
              underWay += 1;
              return transport.send(request).finally(() => {
                underWay -= 1;
              });
            },
          });
          /** Moves on by a step, once everything that was asked has been answered. */
          const step = async (): Promise<void> => {
            await eventually("all answers are here", async () => {
              await clock.advance(0);
              return underWay === 0;
            });
            await clock.advance(STEP_MS);
          };
          const first = start("a", { link: linkA, lease: {}, clock, transport: counted });
          await eventually("the first leads", async () => {
            await step();
            return first.manager.isLeader();
          });
          const second = start("b", { link: linkB, lease: {}, clock, transport: counted });
          await eventually("the second stands by", async () => {
            await step();
            return second.manager.ready().ok;
          });
          const renewals = () => linkA.writes().length;
          const before = renewals();
          while (renewals() === before) await step();
          for (let elapsed = 0; elapsed < phaseMs; elapsed += STEP_MS) await step();

          linkA.inject({ times: Number.POSITIVE_INFINITY, action: { type: "reset" } });
          linkA.cutWatches();
          const partedAt = clock.monotonic();
          while (!second.manager.isLeader()) {
            await step();
            expect(first.manager.isLeader() && second.manager.isLeader()).toBe(false);
            expect(clock.monotonic() - partedAt).toBeLessThanOrEqual(PRODUCT_LEASE_MS + PRODUCT_RETRY_MS + STEP_MS);
          }
          expect(first.manager.isLeader()).toBe(false);
          expect(await first.exited).toBe(1);
        },
      ]),
    ),

    "a write that is on its way when the connection breaks does not arrive late": async (
      { start, create, isReady, child },
      server,
    ) => {
      const record = await recordEpochs(server);
      const [linkA, linkB] = [await server.openLink(), await server.openLink()];
      const first = start("a", { link: linkA, lease: LEASE, controller: stamped() });
      await first.leads();
      const second = start("b", { link: linkB, lease: LEASE, controller: stamped() });
      await eventually("the second stands by", () => second.manager.ready().ok);
      const road = createGate();
      linkA.inject({ path: /configmaps\/late/, action: { type: "wait", until: road.opened } });
      await create("late");
      await eventually("the write is on its way", () =>
        linkA.writes().some(({ path }) => path.endsWith("/configmaps/late")),
      );
      linkA.inject({ times: Number.POSITIVE_INFINITY, action: { type: "hang" } });
      linkA.stallWatches();
      await second.leads();
      road.open();
      linkA.heal();
      expect(await first.exited).toBe(1);
      await eventually("the second has carried it out", () => isReady("late", 1));
      await second.rests();
      expect((await child("late"))?.data).toMatchObject({ epoch: "2" });
      expect(await record.finish()).toMatchObject({ epochs: [1, 2], stale: [] });
    },
  });

  describeAtOnce(suite, 8, {
    "the process is stopped between two writes of a plan": stalled("stop"),
    "its event loop is blocked between two writes of a plan": stalled("block"),
    "the process is stopped between two attempts of one write": async (fixture, server) => {
      const path = /configmaps\/contested/;
      server.link.inject({ method: "PATCH", path, action: { type: "answer", status: 503 } });
      await stalled("stop")(fixture, server);
    },
  });

  describeItem(suite, 9, (server) => {
    const { start, create, isReady, lease } = useFixture(server);

    it(
      "with the times of the product",
      async () => {
        const first = start("a", { lease: {} });
        await first.leads();
        const second = start("b", { lease: {} });
        await eventually("the second stands by", () => second.manager.ready().ok);
        expect(second.manager.ready().reasons).toEqual(["standing by"]);
        const epoch = (await lease())?.spec?.leaseTransitions ?? 0;
        const stoppedAt = systemClock.monotonic();
        expect(await first.stop()).toBe(0);
        await second.leads();
        expect(systemClock.monotonic() - stoppedAt).toBeLessThan(3_000);
        expect((await lease())?.spec).toMatchObject({ holderIdentity: "b", leaseTransitions: epoch + 1 });
        await create("after");
        await eventually("the new leader works", () => isReady("after", 1));
        expect(first.runs).not.toContain("after");
      },
      TIMEOUT_MS,
    );
  });
}

/** A leader in a process of its own that stands still in the middle of a plan, and a stand-by that takes over meanwhile. */
function stalled(how: "stop" | "block"): OwnCase {
  return async ({ start, create, patch, isReady, child }, server) => {
    const { link, namespace } = server;
    const directory = temporaryFolder("stall");
    const untilFile = join(directory, "go-on");
    const record: EpochRecord = await recordEpochs(server);
    await create("contested");
    const stall = how === "stop" ? ({ how } as const) : ({ how, untilFile } as const);
    const first = startReplicaProcess({ server: link.server, namespace, identity: "a", lease: LEASE, stall });
    try {
      await eventually("the leader stands still", () => first.reports.some(({ type }) => type === "stalled"), 20_000);
      if (how === "stop") await first.standsStill();
      const second = start("b", { lease: LEASE, controller: stamped() });
      await second.leads();
      await patch("contested", { spec: { size: 2 } });
      await eventually("the second has carried it out", () => isReady("contested", 2));
      if (how === "stop") first.signal("SIGCONT");
      else await writeFile(untilFile, "");
      expect(await first.exited).toBe(1);
      await second.rests();
      expect(writesAfterTakeover(link, "a", "b")).toEqual([]);
      expect((await child("contested"))?.data).toEqual({ text: "", size: "2", epoch: "2" });
      expect(await record.finish()).toMatchObject({ epochs: [1, 2], stale: [] });
    } finally {
      await first.kill();
      await rm(directory, { recursive: true });
    }
  };
}

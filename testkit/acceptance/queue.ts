import { afterEach, expect, it } from "@jest/globals";
import { OperatorError } from "../../lib/core/errors.ts";
import { createManualClock, type ManualClock } from "../../lib/core/manual-clock.ts";
import { type KubeObject, RESOURCES } from "../../lib/kube/types.ts";
import type { CacheReader, Controller } from "../../operator/runtime/types.ts";
import { eventually } from "../wait.ts";
import { WIDGET } from "../widget.ts";
import { useFixture } from "./fixture.ts";
import { createGate } from "./gate.ts";
import { type AcceptanceSuite, describeItem } from "./items.ts";
import type { Replica } from "./replica.ts";

/** Making and reading thousands of objects takes its time on a busy machine. */
const BULK_TIMEOUT_MS = 60_000;

/** On what leads to the key of item 1. */
const SOURCE_LABEL = "test.shieldx.dev/source=yes";
const { ConfigMap } = RESOURCES;

/** Items 1 to 3: the work queue under a storm of events, of failures and of a start. */
export function describeQueueItems(suite: AcceptanceSuite): void {
  describeItem(suite, 1, (server) => {
    const { start, create, patch } = useFixture(server);
    let gate = createGate();
    afterEach(() => {
      gate.open();
      gate = createGate();
    });

    it(
      "the run that goes on is followed by one that has seen the last event",
      async () => {
        const { user, namespace, many } = server();
        const sources = Array.from({ length: 16 }, (_none, index) => `source-${index}`);
        for (const name of sources) await user.create(ConfigMap, configMapOf(name, namespace));
        const versions = new Set<string | undefined>();
        const seen: string[] = [];
        const stateIn = (cache: CacheReader): string =>
          cache
            .list(ConfigMap, namespace)
            .map(({ metadata }) => metadata.resourceVersion)
            .join();
        const controller: Controller = {
          name: "widget",
          resource: WIDGET,
          concurrency: 4,
          watches: [
            {
              resource: ConfigMap,
              labelSelector: SOURCE_LABEL,
              keys: ({ metadata }) => {
                versions.add(metadata.resourceVersion);
                return [{ namespace, name: "hot" }];
              },
            },
          ],
          reconcile: async (_key, { cache }) => {
            if (replica.runs.length === 1) await gate.opened;
            seen.push(stateIn(cache));
            return {};
          },
        };
        const replica: Replica = start("a", { controller });
        await eventually("a run goes on", () => replica.runs.length === 1);
        versions.clear();
        await server().touchMany(sources);
        const labelSelector = SOURCE_LABEL;
        const { items } = await user.list(ConfigMap, { namespace, labelSelector });
        const last = items.map(({ metadata }) => metadata.resourceVersion).join();
        const isHere = (): boolean => stateIn(replica.cache()) === last;
        await eventually("all events have come", isHere, BULK_TIMEOUT_MS);
        expect(versions.size).toBeGreaterThanOrEqual(many);
        expect(replica.runs).toEqual(["hot"]);
        gate.open();
        await eventually("it runs once more", () => seen.length === 2);
        await replica.rests();
        expect(replica.runs).toEqual(["hot", "hot"]);
        expect(seen.at(-1)).toBe(last);
        expect(replica.overlaps()).toBe(0);
      },
      BULK_TIMEOUT_MS,
    );

    it("at rest, one event is one run", async () => {
      const controller: Controller = {
        name: "widget",
        resource: WIDGET,
        concurrency: 4,
        watches: [],
        reconcile: async () => ({}),
      };
      const replica = start("a", { controller });
      await replica.leads();
      await create("calm");
      await eventually("the first run", () => replica.runs.length === 1);
      await patch("calm", { spec: { size: 2 } });
      await eventually("the second run", () => replica.runs.length === 2);
      await replica.rests();
      expect(replica.runs).toHaveLength(2);
    });
  });

  describeItem(suite, 2, (server) => {
    const { start, create, patch } = useFixture(server);

    /** A replica on a clock that stands still, and the times of its runs on that clock. */
    const begin = async (reconcile: () => Promise<object>, watches: Controller["watches"] = []) => {
      const clock = createManualClock();
      const times: number[] = [];
      const controller: Controller = {
        name: "widget",
        resource: WIDGET,
        watches,
        concurrency: 1,
        reconcile: async () => {
          times.push(clock.monotonic());
          return reconcile();
        },
      };
      const replica = start("a", { clock, controller });
      await pump(clock, "the replica leads", () => replica.manager.isLeader());
      return { clock, times, replica };
    };

    it("delays grow from 5 ms by a factor of two, and start anew after a success", async () => {
      let failures = 12;
      const { clock, times } = await begin(async () => {
        failures -= 1;
        if (failures >= 0) throw new OperatorError("KUBE_FAILED", "injected");
        return {};
      });
      await create("failing");
      await eventually("the first run", () => times.length === 1);
      await clock.advance(30_000);
      expect(gapsOf(times)).toEqual([5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10_240]);
      failures = 1;
      times.length = 0;
      await patch("failing", { spec: { size: 2 } });
      await eventually("the run of the change", () => times.length === 1);
      await clock.advance(60_000);
      expect(gapsOf(times)).toEqual([5]);
    });

    it("events of what the key depends on do not pass the delay; an edit of the resource does", async () => {
      const { user, namespace } = server();
      const source = { namespace, name: "source-of-failing" };
      const keys = () => [{ namespace, name: "failing" }];
      const { clock, times, replica } = await begin(async () => {
        throw new OperatorError("KUBE_FAILED", "injected");
      }, [{ resource: ConfigMap, labelSelector: SOURCE_LABEL, keys }]);
      await create("failing");
      await eventually("the first run", () => times.length === 1);
      await user.create(ConfigMap, configMapOf(source.name, namespace));
      await clock.advance(21_000);
      const due = [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10_240];
      expect(gapsOf(times)).toEqual(due);
      for (let event = 0; event < 10; event += 1) {
        const data = { event: String(event) };
        await user.patch(ConfigMap, source, { format: "merge", patch: { data } });
        const isHere = () => replica.cache().get(ConfigMap, namespace, source.name)?.data?.["event"] === data.event;
        await eventually("the event has come", isHere);
        await clock.advance(1_000);
      }
      expect(gapsOf(times)).toEqual(due);
      await clock.advance(10_000);
      expect(gapsOf(times)).toEqual([...due, 20_480]);
      times.length = 0;
      await patch("failing", { spec: { size: 2 } });
      await eventually("the run of the edit", () => times.length === 1);
      await clock.advance(40);
      expect(gapsOf(times)).toEqual([5, 10, 20]);
    });

    it("a terminal error waits for a change, however long that takes", async () => {
      const { clock, times, replica } = await begin(async () => {
        throw new OperatorError("KUBE_INVALID", "injected");
      });
      await create("invalid");
      await eventually("the first run", () => times.length === 1);
      await clock.advance(8 * 3_600_000);
      expect(times).toHaveLength(1);
      expect(await replica.metric("controller_runtime_terminal_reconcile_errors_total")).toBe(1);
      expect(await replica.metric("workqueue_retries_total")).toBe(0);
      await patch("invalid", { spec: { size: 2 } });
      await eventually("the run of the change", () => times.length === 2);
    });

    it("an error that names a time is tried again after that time", async () => {
      const { clock, times } = await begin(async () => {
        throw new OperatorError("KUBE_THROTTLED", "injected", { retryAfterSeconds: 7 });
      });
      await create("throttled");
      await eventually("the first run", () => times.length === 1);
      await clock.advance(22_000);
      expect(gapsOf(times)).toEqual([7_000, 7_000, 7_000]);
    });
  });

  describeItem(suite, 3, (server) => {
    const { start, patch } = useFixture(server);
    const gate = createGate();
    afterEach(gate.open);

    it(
      "the edit is next, whatever waits",
      async () => {
        const { many, namespace } = server();
        const nameOf = (index: number): string => `w-${String(index).padStart(5, "0")}`;
        const last = nameOf(many - 1);
        await server().createMany(nameOf);
        const sizes: (number | undefined)[] = [];
        const controller: Controller = {
          name: "widget",
          resource: WIDGET,
          watches: [],
          concurrency: 1,
          reconcile: async ({ name }, { cache }) => {
            await gate.opened;
            sizes.push(cache.get(WIDGET, namespace, name)?.spec?.size);
            return {};
          },
        };
        const replica: Replica = start("a", { controller });
        await eventually("the backlog is begun", () => replica.runs.length === 1, BULK_TIMEOUT_MS);
        expect(await replica.metric("workqueue_depth")).toBe(many - 1);
        await patch(last, { spec: { size: 77 } });
        await eventually("the edit has come", () => replica.cache().get(WIDGET, namespace, last)?.spec?.size === 77);
        gate.open();
        await eventually("the backlog has ended", () => new Set(replica.runs).size === many, BULK_TIMEOUT_MS);
        expect(replica.runs[1]).toBe(last);
        expect(sizes[1]).toBe(77);
        // The edit's run serves the start's as well.
        await replica.rests();
        expect(replica.runs).toHaveLength(many);
      },
      BULK_TIMEOUT_MS,
    );
  });
}

/** Moves a standing clock on until something has happened that also needs real I/O. */
async function pump(clock: ManualClock, what: string, check: () => boolean): Promise<void> {
  await eventually(what, async () => {
    await clock.advance(20);
    return check();
  });
}

function gapsOf(times: readonly number[]): number[] {
  return times.slice(1).map((at, index) => at - (times[index] ?? 0));
}

function configMapOf(name: string, namespace: string): KubeObject {
  const [label = "", value = ""] = SOURCE_LABEL.split("=");
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { namespace, name, labels: { [label]: value } }, data: {} };
}

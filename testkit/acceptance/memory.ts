import { expect, it } from "@jest/globals";
import type { ReflectorFault } from "../../lib/kube/reflector.ts";
import { RESOURCES } from "../../lib/kube/types.ts";
import { createScaledClock } from "../scaled-clock.ts";
import { eventually } from "../wait.ts";
import { useFixture } from "./fixture.ts";
import { type AcceptanceSuite, describeItem } from "./items.ts";
import type { Replica } from "./replica.ts";
import type { Link } from "./server.ts";

/** Backoffs of seconds pass in a fraction of one. */
const FACTOR = 20;
/** A watch that is silent for so long is left; real milliseconds. */
const INACTIVITY_MS = 500;

const NAMES = ["stays", "changes", "goes", "bereft"];

interface Interruption {
  readonly name: string;
  readonly fault: ReflectorFault;
  readonly inactivityMs?: number;
  /** Does it, and changes the world while the operator cannot see it. @returns once the operator may see again */
  readonly interrupt: (link: Link, change: () => Promise<void>) => Promise<void>;
}

/** Breaks all watches, and keeps them from coming back until the world has changed. */
async function whileAway(link: Link, change: () => Promise<void>): Promise<void> {
  const heal = link.inject({ watch: true, times: Number.POSITIVE_INFINITY, action: { type: "reset" } });
  link.cutWatches();
  await eventually("no watch is left", () => link.watches() === 0);
  await change();
  heal();
}

const INTERRUPTIONS: readonly Interruption[] = [
  {
    name: "a watch that is cut",
    fault: "cut",
    interrupt: whileAway,
  },
  {
    name: "a watch that is cut in the middle of a line",
    fault: "cut",
    interrupt: async (link, change) => {
      link.cutWatches({ half: true });
      await change();
    },
  },
  {
    name: "a watch that falls silent",
    fault: "stalled",
    inactivityMs: INACTIVITY_MS,
    interrupt: async (link, change) => {
      link.stallWatches();
      await change();
    },
  },
  ...(["status", "frame"] as const).map(
    (as): Interruption => ({
      name: `410 as ${as}`,
      fault: "gone",
      interrupt: async (link, change) => {
        await whileAway(link, async () => {
          await change();
          link.compact(as);
        });
      },
    }),
  ),
  {
    name: "429 with Retry-After",
    fault: "throttled",
    interrupt: async (link, change) => {
      const action = { type: "answer", status: 429, retryAfterSeconds: 5 } as const;
      link.inject({ watch: true, times: 2, action });
      link.cutWatches();
      await change();
    },
  },
  {
    name: "a line of garbage",
    fault: "garbage",
    interrupt: async (link, change) => {
      link.sendLine("<html>502 Bad Gateway</html>");
      await change();
    },
  },
];

/** Items 4 and 14: what is held in memory equals the server again after every interruption, and tells when it does not. */
export function describeMemoryItems(suite: AcceptanceSuite): void {
  describeItem(suite, 4, (server) => {
    const { start, create, patch, remove, widget, child, isReady, equalsServer } = useFixture(server);

    it.each(INTERRUPTIONS)("$name", async ({ fault, inactivityMs, interrupt }) => {
      const { link, user, namespace } = server();
      for (const name of NAMES) await create(name);
      const replica = start("a", {
        clock: createScaledClock(FACTOR),
        ...(inactivityMs === undefined ? {} : { inactivityMs }),
      });
      await replica.leads();
      await eventually("all are ready", async () => {
        const states = await Promise.all(NAMES.map((name) => isReady(name, 1)));
        return states.every(Boolean);
      });
      await replica.rests();
      const before = await replica.metric("shieldx_informer_faults_total", { fault });
      link.forgetRequests();
      await interrupt(link, async () => {
        await patch("changes", { spec: { size: 2 } });
        await remove("goes");
        await create("comes", { size: 3 });
        // Gone without a trace: nothing but its absence tells of it.
        await user.delete(RESOURCES.ConfigMap, { namespace, name: "bereft" });
      });
      await eventually("the world is as wanted", async () => {
        const [isChanged, isHere] = [await isReady("changes", 2), await isReady("comes", 3)];
        return isChanged && isHere && (await widget("goes")) === undefined && (await child("bereft")) !== undefined;
      });
      await replica.rests();
      await eventually("the memory equals the server", () => equalsServer(replica.cache()));
      expect(await replica.metric("shieldx_informer_faults_total", { fault })).toBeGreaterThan(before);
      // What a watch can go on from is told by it; only after a 410 does a list have to show it.
      const missed = await replica.metric("shieldx_informer_missed_changes_total");
      expect(missed > 0).toBe(fault === "gone");
      expect(effectsOf(replica)).toEqual([
        "bereft: apply configmaps",
        "changes: apply configmaps",
        "changes: apply widgets/status",
        "changes: event",
        "comes: apply configmaps",
        "comes: apply widgets/status",
        "comes: event",
        "comes: merge widgets",
        "goes: delete configmaps",
        "goes: merge widgets",
      ]);
    });
  });

  describeItem(suite, 14, (server) => {
    const { start } = useFixture(server);

    it("and true again once the informer has caught up", async () => {
      const { link } = server();
      // Two minutes pass in one second; a watch is left after a quarter of that.
      const replica = start("a", { clock: createScaledClock(120), inactivityMs: 250 });
      await replica.leads();
      await eventually("ready", () => replica.manager.ready().ok);
      link.inject({ path: /widgets/, times: Number.POSITIVE_INFINITY, action: { type: "reset" } });
      link.cutWatches();
      await eventually("unready", () => !replica.manager.ready().ok);
      const reason = replica.manager.ready().reasons?.[0] ?? "";
      expect(reason).toMatch(/^widgets\.test\.shieldx\.dev in namespace [-\w]+: silent for \d+ s$/);
      const silentSeconds = Number(/\d+(?= s$)/.exec(reason)?.[0]);
      expect(silentSeconds).toBeGreaterThanOrEqual(120);
      // A machine that is busy for a second and a half is three minutes late.
      expect(silentSeconds).toBeLessThan(300);
      const answer = await fetch(`http://127.0.0.1:${replica.manager.port()}/readyz`);
      expect(answer.status).toBe(503);
      link.heal();
      await eventually("ready again", () => replica.manager.ready().ok);
    });
  });
}

/** What a replica did to the world, sorted: a repeated effect would be a repeated line. */
function effectsOf(replica: Replica): string[] {
  return replica
    .writes()
    .map(({ method, path, query, body }) => {
      const object = JSON.parse(body === "" ? "{}" : body) as { regarding?: { name: string } };
      if (path.endsWith("/events")) return `${object.regarding?.name}: event`;
      const [plural, name, subresource] = path.split("/").slice(path.startsWith("/api/") ? 5 : 6);
      const what = subresource === undefined ? plural : `${plural}/${subresource}`;
      const isApply = query.get("fieldManager") !== null && (query.has("force") || plural === "configmaps");
      const verb = method === "DELETE" ? "delete" : isApply ? "apply" : "merge";
      return `${name}: ${verb} ${what}`;
    })
    .sort();
}

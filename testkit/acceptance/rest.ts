import { expect, it } from "@jest/globals";
import { createManualClock } from "../../lib/core/manual-clock.ts";
import { eventually } from "../wait.ts";
import { useFixture } from "./fixture.ts";
import { type AcceptanceSuite, describeItem } from "./items.ts";

const NAMES = ["a", "b", "c", "d", "e"];
/** Every key is looked at again within ten hours and a tenth. */
const RESYNC_MS = 11 * 3_600_000;

/** Items 5 and 6: who has nothing to do writes nothing. */
export function describeRestItems(suite: AcceptanceSuite): void {
  describeItem(suite, 5, (server) => {
    const { start, create, isReady, versions } = useFixture(server);

    it("neither time nor a resync of every key makes a write", async () => {
      const { link } = server();
      const clock = createManualClock();
      for (const name of NAMES) await create(name);
      const replica = start("a", { clock });
      const pump = async (what: string, check: () => Promise<boolean> | boolean): Promise<void> => {
        await eventually(what, async () => {
          await clock.advance(20);
          return check();
        });
      };
      await pump("the replica leads", () => replica.manager.isLeader());
      await pump("all are ready", async () =>
        (await Promise.all(NAMES.map((name) => isReady(name, 1)))).every(Boolean),
      );
      // What waits for its turn gets it now.
      await clock.advance(5_000);
      await replica.rests();
      const before = await versions();
      link.forgetRequests();

      for (let minute = 0; minute < 10; minute += 1) {
        await clock.advance(60_000);
        expect(await versions()).toEqual(before);
      }
      const runs = replica.runs.length;
      await clock.advance(RESYNC_MS);
      await eventually("every key was looked at again", () => new Set(replica.runs.slice(runs)).size === NAMES.length);
      await replica.rests();
      expect(replica.writes()).toEqual([]);
      expect(await versions()).toEqual(before);
    });
  });

  describeItem(suite, 6, (server) => {
    const { start, create, isReady, versions } = useFixture(server);

    it("it looks at everything and leaves it as it is", async () => {
      const { link } = server();
      for (const [index, name] of NAMES.entries()) await create(name, { size: index });
      const first = start("a");
      await first.leads();
      await eventually("all are ready", async () =>
        (await Promise.all(NAMES.map((name, index) => isReady(name, index)))).every(Boolean),
      );
      await first.rests();
      expect(await first.stop()).toBe(0);
      const before = await versions();
      link.forgetRequests();
      const second = start("b");
      await second.leads();
      await eventually("all were looked at", () => new Set(second.runs).size === NAMES.length);
      await second.rests();
      expect(second.writes()).toEqual([]);
      expect(await versions()).toEqual(before);
    });
  });
}

import { systemClock } from "../../../lib/core/clock.ts";
import type { Caller } from "./caller.ts";
import { gadget, oldGadget } from "./gadget.ts";

/** Users who create, read, change and delete gadgets, each step of which asks webhooks. */
export interface Load {
  /** Requests that were answered so far. */
  done(): number;
  /** Ends the load. @returns what failed, one line each */
  stop(): Promise<readonly string[]>;
}

/** A pause between rounds leaves the other processes of a small machine their share. */
const PAUSE_MS = 5;

/** Starts users that do not rest until `stop`. Half of them know only the old version of the kind. */
export function startLoad(caller: Caller, users: number): Load {
  const stop = new AbortController();
  const failures: string[] = [];
  let done = 0;

  const step = async (what: string, work: () => Promise<unknown>): Promise<void> => {
    try {
      await work();
      done += 1;
    } catch (error) {
      failures.push(`${what}: ${(error as Error).message}`);
    }
  };
  const user = async (number: number): Promise<void> => {
    const isOld = number % 2 === 0;
    for (let round = 0; !stop.signal.aborted; round += 1) {
      const name = `load-${number}-${round}`;
      await step("create", () => caller.create(isOld ? oldGadget(name) : gadget(name)));
      await step("read at the other version", async () => {
        const seen = await caller.get(isOld ? "v2" : "v1", name);
        if (seen.spec["color"] !== "grey") throw new Error(`it was stored without being completed`);
      });
      await step("update", async () => {
        const seen = await caller.get(isOld ? "v1" : "v2", name);
        await caller.update({ ...seen, spec: { ...seen.spec, color: "red" } });
      });
      await step("delete", () => caller.remove(name));
      await systemClock.sleep(PAUSE_MS);
    }
  };
  const running = Array.from({ length: users }, (_, number) => user(number));
  return {
    done: () => done,
    stop: async () => {
      stop.abort();
      await Promise.all(running);
      return failures;
    },
  };
}

import { systemClock } from "../../lib/core/clock.ts";
import type { User } from "./user.ts";
import type { Place, World } from "./world.ts";

/*
 * What is done to the API server and to the replicas, one after the other. Times are given for a Lease of 15 s and shrink
 * with it. Faults that must be survived within a bound measure themselves.
 */

export interface FaultContext {
  readonly world: World;
  readonly user: User;
  /** In [0, 1), seeded. */
  readonly random: () => number;
  /** Waits for seconds of a Lease of 15 s. */
  readonly wait: (seconds: number) => Promise<void>;
  /**
   * Measures work that has a bound, in real seconds. No connection is cut before and meanwhile: within 5 s of an outage
   * nobody takes the Lease, by design, and a cut would be a second fault.
   */
  readonly measure: (what: Measured, work: () => Promise<unknown>) => Promise<void>;
}

/** What has a bound; see `bounds` in storm.ts. */
export type Measured = "hand-over" | "take-over" | "return of the same pod";

export interface Fault {
  readonly name: string;
  /** Ends no process of an operator, so that memory can be compared after many of them. */
  readonly gentle?: boolean;
  readonly strike: (context: FaultContext) => Promise<void>;
}

/** The leader, once there is one: a fault before may have left none. */
async function leading({ world }: FaultContext): Promise<Place> {
  return (await world.waitForLeader(LEADER_SECONDS)).place;
}

function otherThan(world: World, place: Place): Place {
  return world.places[0] === place ? world.places[1] : world.places[0];
}

/** The longest time without a leader: an outage, a settling time, a Lease, a restart on busy cores. */
const LEADER_SECONDS = 90;
/** Writes are on their way when the server freezes. */
const IN_FLIGHT_MS = 15;

export const FAULTS: readonly Fault[] = [
  {
    name: "API server killed",
    gentle: true,
    strike: async ({ world, wait, random }) => {
      await world.plane.kill();
      await wait(1 + 2 * random());
      await world.plane.start();
    },
  },
  {
    name: "API server frozen for 40 s",
    strike: async (context) => {
      const { world, user, wait } = context;
      await leading(context);
      const burst = user.burst();
      await systemClock.sleep(IN_FLIGHT_MS * 4 * context.random());
      world.plane.pause();
      await wait(40);
      world.plane.resume();
      await burst;
    },
  },
  {
    name: "API server frozen for 4 s",
    gentle: true,
    strike: async ({ world, wait }) => {
      world.plane.pause();
      await wait(4);
      world.plane.resume();
    },
  },
  {
    name: "leader frozen for 20 s",
    strike: async (context) => {
      const { world, user, wait, measure } = context;
      const old = await leading(context);
      const next = otherThan(world, old);
      await readyStandby(context, next);
      await measure("take-over", async () => {
        void user.burst();
        await systemClock.sleep(IN_FLIGHT_MS);
        old.replica.signal("SIGSTOP");
        await world.waitForOther(old, LEADER_SECONDS);
      });
      await wait(4); // It wakes in a world that another has led for a while.
      old.replica.signal("SIGCONT");
    },
  },
  {
    name: "standby frozen for 20 s",
    gentle: true,
    strike: async (context) => {
      const standby = otherThan(context.world, await leading(context));
      standby.replica.signal("SIGSTOP");
      await context.wait(20);
      standby.replica.signal("SIGCONT");
    },
  },
  {
    name: "leader killed, its pod comes back",
    strike: async (context) => {
      const { world, measure } = context;
      const old = await leading(context);
      await measure("return of the same pod", async () => {
        await old.replica.end("SIGKILL");
        await world.waitForLeader(LEADER_SECONDS);
      });
    },
  },
  {
    name: "leader killed for good",
    strike: async (context) => {
      const { world, measure } = context;
      const old = await leading(context);
      await readyStandby(context, otherThan(world, old));
      old.held = true;
      await measure("take-over", async () => {
        await old.replica.end("SIGKILL");
        await world.waitForLeader(LEADER_SECONDS);
      });
      old.held = false;
    },
  },
  {
    name: "standby killed",
    strike: async (context) => {
      await otherThan(context.world, await leading(context)).replica.end("SIGKILL");
    },
  },
  {
    name: "leader stopped in order",
    strike: async (context) => {
      const { world, measure } = context;
      const old = await leading(context);
      await readyStandby(context, otherThan(world, old));
      old.held = true;
      const ended = old.replica.ended();
      await measure("hand-over", async () => {
        void old.replica.end("SIGTERM");
        await world.waitForOther(old, LEADER_SECONDS);
      });
      await ended;
      old.held = false;
    },
  },
  {
    name: "leader cut off for 20 s",
    strike: async (context) => {
      const old = await leading(context);
      old.proxy.close();
      await context.wait(20);
      old.proxy.reopen();
    },
  },
  {
    // The leader's sockets stay open, so that what lies in the server's is carried out at the thaw.
    name: "API server and leader frozen together",
    strike: async (context) => {
      const { world, user, wait } = context;
      const old = await leading(context);
      const burst = user.burst();
      await systemClock.sleep(IN_FLIGHT_MS);
      world.plane.pause();
      await systemClock.sleep(IN_FLIGHT_MS);
      old.replica.signal("SIGSTOP");
      await wait(20);
      world.plane.resume();
      await wait(8);
      old.replica.signal("SIGCONT");
      await burst;
    },
  },
];

/** A take-over is measured only while there is somebody to take over. */
async function readyStandby({ wait }: FaultContext, standby: Place): Promise<void> {
  while (!standby.replica.isRunning() || standby.replica.ageSeconds() < STANDBY_SECONDS) await wait(0.1);
}

/** A process that starts needs this long until its caches are full and it has read the Lease. */
const STANDBY_SECONDS = 6;

// The supervisor on a clock that the test moves, with server processes that end when told to.
import { beforeEach, describe, expect, test } from "@jest/globals";
import type { OperatorError } from "../../lib/core/errors.ts";
import { createManualClock, type ManualClock } from "../../lib/core/manual-clock.ts";
import { silentLogger } from "../../lib/node/logger.ts";
import {
  createSupervisor,
  FAST_STOP_LIMIT_MS,
  IMMEDIATE_STOP_LIMIT_MS,
  type ServerProcess,
  STOP_LIMIT_MS,
  type Supervisor,
} from "./postmaster.ts";

interface FakeServer extends ServerProcess {
  readonly signals: readonly NodeJS.Signals[];
  end(how: string): void;
}

/** @param obeys signals at which it ends at once */
function fakeServer(pid: number, obeys: readonly NodeJS.Signals[]): FakeServer {
  const { promise, resolve } = Promise.withResolvers<string>();
  const signals: NodeJS.Signals[] = [];
  return {
    pid,
    exited: promise,
    signals,
    end: resolve,
    signal: (name) => {
      signals.push(name);
      if (obeys.includes(name)) resolve(`signal ${name}`);
    },
  };
}

describe("the supervisor", () => {
  let clock: ManualClock;
  let servers: FakeServer[];
  let obeys: readonly NodeJS.Signals[];
  let cleared: number;
  let supervisor: Supervisor;
  /** Whether the log was read along, for each start. */
  let readLogs: boolean[];

  beforeEach(() => {
    clock = createManualClock();
    servers = [];
    obeys = ["SIGINT", "SIGQUIT", "SIGKILL"];
    cleared = 0;
    readLogs = [];
    supervisor = createSupervisor({
      clock,
      log: silentLogger,
      spawn: (readsLog) => {
        const said = readsLog ? `FATAL: complaint of ${100 + servers.length}` : undefined;
        const server = { ...fakeServer(100 + servers.length, obeys), complaint: () => said };
        readLogs.push(readsLog);
        servers.push(server);
        return server;
      },
      clearLeftovers: () => {
        cleared += 1;
        return Promise.resolve();
      },
    });
  });

  test("restarts a crashed server at once, after the last process of the old one is gone", async () => {
    await supervisor.start();
    await clock.advance(60_000);
    servers[0]?.end("signal SIGKILL");
    await clock.advance(0);
    expect(servers).toHaveLength(2);
    expect(supervisor.pid()).toBe(101);
    expect(supervisor.restarts()).toBe(1);
    expect(supervisor.lastExit()).toBe("signal SIGKILL");
    expect(cleared).toBe(2);
  });

  test("waits longer and longer, but never for ever, while starts fail one after the other", async () => {
    await supervisor.start();
    const waits: number[] = [];
    for (let failure = 0; failure < 10; failure += 1) {
      servers.at(-1)?.end("exit code 1");
      const before = servers.length;
      let waited = 0;
      for (await clock.advance(0); servers.length === before; waited += 250) await clock.advance(250);
      waits.push(waited);
    }
    expect(waits).toEqual([0, 250, 500, 1000, 2000, 4000, 8000, 10000, 10000, 10000]);
  });

  test("forgets failures after a healthy run", async () => {
    await supervisor.start();
    for (let failure = 0; failure < 3; failure += 1) {
      servers.at(-1)?.end("exit code 1");
      await clock.advance(1_000);
    }
    await clock.advance(30_000);
    const before = servers.length;
    servers.at(-1)?.end("exit code 1");
    await clock.advance(0);
    expect(servers.length).toBe(before + 1);
  });

  test("trial 6: reads the log of starts after one that failed, and says what the last one complained of", async () => {
    await supervisor.start();
    expect([supervisor.failuresInARow(), supervisor.isSettled(), supervisor.complaint()]).toEqual([
      0,
      false,
      undefined,
    ]);
    servers[0]?.end("exit code 1");
    await clock.advance(0);
    servers[1]?.end("exit code 1");
    await clock.advance(250);
    expect(supervisor.failuresInARow()).toBe(2);
    expect(supervisor.complaint()).toBe("FATAL: complaint of 101");
    expect(readLogs).toEqual([false, true, true]);
    // One that runs on is recovering, or ready.
    await clock.advance(5_000);
    expect([supervisor.isSettled(), supervisor.failuresInARow()]).toEqual([true, 2]);
    await clock.advance(30_000);
    servers[2]?.end("signal SIGKILL");
    await clock.advance(0);
    expect([supervisor.failuresInARow(), supervisor.complaint()]).toEqual([0, undefined]);
    expect(readLogs.at(-1)).toBe(false);
  });

  test("stops fast with SIGINT and does not start again", async () => {
    await supervisor.start();
    await supervisor.stop("fast");
    await clock.advance(60_000);
    expect(servers.map(({ signals }) => signals)).toEqual([["SIGINT"]]);
    expect(supervisor.restarts()).toBe(0);
    expect(supervisor.pid()).toBeUndefined();
  });

  test("gives up on one that nothing ends, in time, and says so", async () => {
    obeys = [];
    await supervisor.start();
    const stopped = supervisor.stop("fast").then(
      () => "stopped",
      (error: unknown) => (error as OperatorError).code,
    );
    let outcome: string | undefined;
    void stopped.then((how) => {
      outcome = how;
    });
    for (let passed = 0; passed < STOP_LIMIT_MS; passed += 500) await clock.advance(500);
    expect(servers[0]?.signals).toEqual(["SIGINT", "SIGQUIT", "SIGKILL"]);
    expect(outcome).toBe("POSTGRES_FAILED");
  });

  test("stops at once with SIGQUIT", async () => {
    await supervisor.start();
    await supervisor.stop("immediate");
    expect(servers[0]?.signals).toEqual(["SIGQUIT"]);
  });

  test("a server that hangs in its shutdown is ended harder each time, within the limits", async () => {
    obeys = ["SIGKILL"];
    await supervisor.start();
    let stopped = false;
    const stopping = supervisor.stop("fast").then(() => {
      stopped = true;
    });
    await clock.advance(FAST_STOP_LIMIT_MS - 1);
    expect(servers[0]?.signals).toEqual(["SIGINT"]);
    await clock.advance(1);
    expect(servers[0]?.signals).toEqual(["SIGINT", "SIGQUIT"]);
    await clock.advance(IMMEDIATE_STOP_LIMIT_MS);
    await stopping;
    expect(servers[0]?.signals).toEqual(["SIGINT", "SIGQUIT", "SIGKILL"]);
    expect(stopped).toBe(true);
  });

  test("a stop during the wait between two starts ends the wait", async () => {
    await supervisor.start();
    for (let failure = 0; failure < 4; failure += 1) {
      servers.at(-1)?.end("exit code 1");
      await clock.advance(failure === 3 ? 0 : 5_000);
    }
    const before = servers.length;
    await supervisor.stop("fast");
    await clock.advance(60_000);
    expect(servers).toHaveLength(before);
  });

  test("passes a reload on to the running server", async () => {
    await supervisor.start();
    supervisor.reload();
    expect(servers[0]?.signals).toEqual(["SIGHUP"]);
  });

  test("a stop during the first clearing of leftovers ends it, and whoever waits for the start", async () => {
    const cleared: string[] = [];
    const stuck = createSupervisor({
      clock,
      log: silentLogger,
      spawn: () => {
        throw new Error("it was told to stop");
      },
      clearLeftovers: async (signal) => {
        if (cleared.length > 0) return void cleared.push("at the end");
        await clock.sleep(30_000, signal);
        cleared.push(signal?.aborted ? "interrupted" : "timed out");
      },
    });
    let started = false;
    const starting = stuck.start().then(() => {
      started = true;
    });
    await clock.advance(1_000);
    expect(started).toBe(false);
    await stuck.stop("fast");
    await starting;
    expect(cleared).toEqual(["interrupted", "at the end"]);
    expect(stuck.restarts()).toBe(0);
  });

  test("leftovers that cannot be cleared count as failed starts and are tried again", async () => {
    let failures = 0;
    const failing = createSupervisor({
      clock,
      log: silentLogger,
      spawn: () => fakeServer(1, obeys),
      clearLeftovers: () => {
        failures += 1;
        return failures <= 3 ? Promise.reject(new Error("process 7 cannot be ended")) : Promise.resolve();
      },
    });
    const starting = failing.start();
    await clock.advance(1_000);
    await starting;
    expect(failing.restarts()).toBe(3);
    expect(failing.lastExit()).toBe("process 7 cannot be ended");
    await failing.stop("fast");
  });
});

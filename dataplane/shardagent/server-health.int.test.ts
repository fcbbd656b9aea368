// A server that hangs in ways that open connections do not notice, on a real PostgreSQL.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, expect, test } from "@jest/globals";
import { Client } from "pg";
import { systemClock } from "../../lib/core/clock.ts";
import { silentLogger } from "../../lib/node/logger.ts";
import { openClient, sqlState, withClient } from "../../lib/node/postgres.ts";
import { eventually } from "../../testkit/wait.ts";
import { startTestPostgres, type TestPostgres } from "../testing/postgres.ts";
import { createServerHealth, type ServerHealth } from "./server-health.ts";

const PRIMARY = { epoch: 1, holder: "a-pod" };
/** Two tries and the wait before them. */
const NOTICED_WITHIN_MS = 20_000;
/** A new connection is tried within this time. */
const TRIED_WITHIN_MS = 6_000;

const run = promisify(execFile);

let postgres: TestPostgres;
let health: ServerHealth;

beforeAll(async () => {
  postgres = await startTestPostgres();
}, 120_000);

afterEach(() => health.close());
afterAll(async () => {
  await postgres?.stop();
});

/** What the last check said. */
async function check(): Promise<string> {
  return health.check(PRIMARY).catch((error: unknown) => (error instanceof Error ? error.message : String(error)));
}

async function signal(name: string): Promise<void> {
  await run("podman", ["kill", "--signal", name, postgres.container]);
}

test("a postmaster that is stopped does not stay ready, although open connections go on", async () => {
  health = createServerHealth(postgres.superuser(), { clock: systemClock, log: silentLogger });
  expect(await check()).toBe("Ready");
  const open = await openClient(postgres.superuser());
  await signal("STOP");
  try {
    const said = await eventually(
      "noticed",
      async () => {
        expect((await open.query("SELECT 1 AS one")).rows).toEqual([{ one: 1 }]);
        const answer = await check();
        return answer !== "Ready" && answer;
      },
      NOTICED_WITHIN_MS,
    );
    expect(said).toBe("new connections are not answered, open ones go on");
    expect(health.silentSince()).toBeLessThanOrEqual(systemClock.now());
  } finally {
    await signal("CONT");
    await open.end();
  }
  await eventually("ready again", async () => (await check()) === "Ready", NOTICED_WITHIN_MS);
  expect(health.silentSince()).toBeUndefined();
}, 60_000);

test("a server that takes connections whose processes then hang does not stay ready", async () => {
  health = createServerHealth(postgres.superuser(), { clock: systemClock, log: silentLogger });
  expect(await check()).toBe("Ready");
  const open = await openClient(postgres.superuser());
  const setDelay = async (seconds: number): Promise<void> => {
    await open.query(`ALTER SYSTEM SET post_auth_delay = ${seconds}`);
    await open.query("SELECT pg_reload_conf()");
  };
  await setDelay(300);
  try {
    const said = await eventually(
      "noticed",
      async () => {
        const answer = await check();
        return answer !== "Ready" && answer;
      },
      NOTICED_WITHIN_MS,
    );
    expect(said).toContain("new connections are not answered");
  } finally {
    await setDelay(0);
    await open.end();
  }
  await eventually("ready again", async () => (await check()) === "Ready", NOTICED_WITHIN_MS);
}, 60_000);

test("one process that hangs is no hung server, and does not keep the check from its end", async () => {
  health = createServerHealth(postgres.superuser(), { clock: systemClock, log: silentLogger });
  expect(await check()).toBe("Ready");
  const pids = await withClient(postgres.superuser(), async (client) => {
    const found = await client.query<{ pid: number }>(
      "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
    );
    return found.rows.map(({ pid }) => String(pid));
  });
  await run("podman", ["exec", postgres.container, "sh", "-c", `kill -STOP ${pids.join(" ")}`]);
  const began = systemClock.monotonic();
  try {
    expect(await check()).toBe("Ready");
    expect(systemClock.monotonic() - began).toBeLessThan(8_000);
  } finally {
    await run("podman", ["exec", postgres.container, "sh", "-c", `kill -CONT ${pids.join(" ")}`]);
  }
  await eventually("ready again", async () => (await check()) === "Ready", NOTICED_WITHIN_MS);
}, 60_000);

test("a server whose connections are all taken still answers", async () => {
  health = createServerHealth(postgres.superuser(), { clock: systemClock, log: silentLogger });
  expect(await check()).toBe("Ready");
  const taken: Client[] = [];
  try {
    for (let full = false; !full; ) {
      const opened = await openClient(postgres.superuser()).catch((error: unknown) => error);
      if (opened instanceof Client) taken.push(opened);
      else {
        expect(sqlState(opened)).toBe("53300");
        full = true;
      }
    }
    const endsAt = systemClock.monotonic() + TRIED_WITHIN_MS;
    while (systemClock.monotonic() < endsAt) {
      expect(await check()).toBe("Ready");
      await systemClock.sleep(500);
    }
  } finally {
    await Promise.all(taken.map((client) => client.end()));
  }
}, 60_000);

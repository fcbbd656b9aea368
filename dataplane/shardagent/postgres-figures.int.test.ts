// What the agent tells Prometheus of a real PostgreSQL, and what that costs the server.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { systemClock } from "../../lib/core/clock.ts";
import { createManualClock } from "../../lib/core/manual-clock.ts";
import { silentLogger } from "../../lib/node/logger.ts";
import { openClient } from "../../lib/node/postgres.ts";
import { startTestPostgres, type TestPostgres } from "../testing/postgres.ts";
import { createPostgresLook } from "./postgres-figures.ts";

const run = promisify(execFile);

let postgres: TestPostgres;

beforeAll(async () => {
  postgres = await startTestPostgres();
}, 120_000);

afterAll(async () => {
  await postgres?.stop();
});

test("figures are the server's own, and only requested databases have a size", async () => {
  const look = createPostgresLook(postgres.superuser(), { clock: createManualClock(), log: silentLogger });
  const idle = await openClient(postgres.superuser());
  const open = await openClient(postgres.superuser());
  await open.query("BEGIN; SELECT 1");
  const found = await look(["postgres", "no_such_database"]);
  expect(found?.figures).toEqual({
    connectionsMax: 60,
    connections: { active: 0, idle: 1, idleInTransaction: 1 },
    oldestTransactionSeconds: expect.any(Number),
    commits: expect.any(Number),
    rollbacks: expect.any(Number),
    deadlocks: 0,
    checkpointsTimed: expect.any(Number),
    checkpointsRequested: expect.any(Number),
    walBytes: expect.any(Number),
  });
  for (const value of Object.values(found?.figures ?? {})) if (typeof value === "number") expect(value).not.toBeNaN();
  expect(found?.sizes).toEqual([{ database: "postgres", bytes: expect.any(Number) }]);
  await Promise.all([idle.end(), open.end()]);
});

test("a hundred scrapes at once, and those within five seconds, are one look", async () => {
  const clock = createManualClock();
  const look = createPostgresLook(postgres.superuser(), { clock, log: silentLogger });
  const looks = await Promise.all(Array.from({ length: 100 }, () => look([])));
  expect(new Set(looks).size).toBe(1);
  await clock.advance(4_999);
  expect(await look([])).toBe(looks[0]);
  await clock.advance(1);
  expect(await look([])).not.toBe(looks[0]);
});

test("a server that hangs costs a scrape less than Prometheus waits", async () => {
  const look = createPostgresLook(postgres.superuser(), { clock: systemClock, log: silentLogger });
  await run("podman", ["kill", "--signal", "STOP", postgres.container]);
  try {
    const began = systemClock.monotonic();
    expect(await look([])).toBeUndefined();
    expect(systemClock.monotonic() - began).toBeLessThan(6_000);
  } finally {
    await run("podman", ["kill", "--signal", "CONT", postgres.container]);
  }
});

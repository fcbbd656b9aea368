// A volume that really ends (a tmpfs), filled by somebody else beside the data, under an agent in a container as
// restricted as its pod and a real ledger writer: nothing is acknowledged and lost, everybody is told at once and why,
// the server comes back while the volume is full, and everything goes on by itself with the room.
import { appendFile, rm, stat, statfs, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "@jest/globals";
import type { DatabaseRequest } from "../../crds/database-request.ts";
import { systemClock } from "../../lib/core/clock.ts";
import { toOperatorError } from "../../lib/core/errors.ts";
import { proposeOwners } from "../../lib/core/ring.ts";
import { formatShardMap } from "../../lib/core/shard-map.ts";
import { RESOURCES } from "../../lib/kube/types.ts";
import { silentLogger } from "../../lib/node/logger.ts";
import { withClient } from "../../lib/node/postgres.ts";
import { scramVerifier } from "../../lib/node/scram.ts";
import { startControlPlane, type TestControlPlane } from "../../testkit/kube-apiserver.ts";
import { identitiesOf } from "../ledger/fingerprint.ts";
import { loadMigrations, migrate } from "../ledger/ledger.migrate.ts";
import { openStore } from "../ledger/ledger.store.ts";
import { verifyShard } from "../ledger/ledger.verify.ts";
import { RESULT } from "../ledger/ledger.work.ts";
import { createWriter, type LedgerWriter } from "../ledger/ledger.writer.ts";
import { createLocalLease } from "../ledger/local-lease.ts";
import {
  type AgentContainer,
  createShardHost,
  type ShardHost,
  startAgent,
  tcpTarget,
} from "./testing/agent-container.ts";

const SHARD_SET = "tiny";
const DATABASE = "ledger_tiny";
const PASSWORD = "correct-horse-battery-staple";
const MAP = { version: 1, epoch: 1, owners: proposeOwners(1) };
const VOLUME_MIB = 420;
const MIB = 1024 * 1024;

let plane: TestControlPlane;
let host: ShardHost;
let agent: AgentContainer;
let writer: LedgerWriter;
let sent = 0;
const accepted: string[] = [];

beforeAll(async () => {
  plane = await startControlPlane();
  await publish();
  host = await createShardHost(SHARD_SET, 0, VOLUME_MIB);
  agent = await start();
  await agent.until("ready with its database", ({ ready, databases }) => ready && databases[0]?.ready === true);
  const migrations = await loadMigrations();
  const roles = { writerRole: `${DATABASE}_writer`, readerRole: `${DATABASE}_reader` };
  await withClient(target("owner"), (client) =>
    migrate(
      client,
      { shard: 0, assets: [{ code: "CZK", scale: 2 }], adminKeyHash: Buffer.alloc(32), ...roles },
      migrations,
    ),
  );
  writer = createWriter({
    shard: 0,
    lease: createLocalLease(),
    openStore: (instance) => openStore({ shard: 0, target: target("writer"), instance }),
    snapshotEvery: 100,
    clock: systemClock,
    log: silentLogger,
  });
  void writer.run();
}, 120_000);

afterAll(async () => {
  await writer?.stop("lost");
  await agent?.kill();
  await host?.remove();
  await plane?.stop();
});

afterEach(async () => {
  await rm(join(host.directory, "volume", "filler"), { force: true });
  await agent.until("ready again", ({ ready, disk }) => ready && disk?.level === "enough");
});

function start(): Promise<AgentContainer> {
  return startAgent(host, { shardSet: SHARD_SET, shard: 0, kubeconfig: plane.kubeconfig });
}

function target(role: "owner" | "writer" | "reader"): ReturnType<typeof tcpTarget> {
  return tcpTarget(host, { database: DATABASE, user: `${DATABASE}_${role}`, password: PASSWORD });
}

async function publish(): Promise<void> {
  const kube = plane.client();
  const metadata = (name: string) => ({ name, namespace: "default" });
  const role = (name: string) => ({ name, verifier: scramVerifier(PASSWORD, Buffer.alloc(16, name)) });
  const request: DatabaseRequest = {
    database: DATABASE,
    owner: role(`${DATABASE}_owner`),
    writer: role(`${DATABASE}_writer`),
    reader: role(`${DATABASE}_reader`),
  };
  await kube.create(RESOURCES.Lease, {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: metadata(`${SHARD_SET}-0`),
    spec: {},
  });
  await kube.create(RESOURCES.ConfigMap, {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: metadata(`${SHARD_SET}-map`),
    data: { ...formatShardMap(MAP), "systemIdentifier.0": "new" },
  });
  await kube.create(RESOURCES.Secret, {
    apiVersion: "v1",
    kind: "Secret",
    metadata: metadata(`${SHARD_SET}-databases`),
    data: { "databases.json": Buffer.from(JSON.stringify({ databases: [request] })).toString("base64") },
  });
}

interface Sent {
  /** "posted", or the code. */
  readonly outcome: string;
  readonly detail: string;
  readonly ms: number;
}

/** One transfer under a new key, as one client sends it. */
async function send(): Promise<Sent> {
  sent += 1;
  const id = `k${sent}`;
  const request = { id, debitAccount: "system:external:CZK", creditAccount: "a", amount: 1 };
  const startedAt = systemClock.monotonic();
  const answer = (outcome: string, detail: string): Sent => {
    return { outcome, detail, ms: systemClock.monotonic() - startedAt };
  };
  try {
    const results = await writer.transfer({
      requests: [request],
      identities: identitiesOf([request]),
      createAccounts: true,
      mapVersion: 1,
    });
    const problem = results.problems.get(0);
    if (results.status[0] === RESULT.posted) accepted.push(id);
    return answer(problem?.code ?? "posted", problem?.detail ?? "");
  } catch (error) {
    const { code, message } = toOperatorError(error);
    return answer(code, message);
  }
}

async function sendUntil(outcome: string, withinMs: number): Promise<Sent> {
  const endsAt = systemClock.monotonic() + withinMs;
  for (;;) {
    const answer = await send();
    if (answer.outcome === outcome) return answer;
    if (systemClock.monotonic() > endsAt) {
      throw new Error(`not ${outcome}: ${JSON.stringify({ answer, status: writer.status() })}`);
    }
    await systemClock.sleep(50);
  }
}

/**
 * Writes zeros beside the data until there is no room. What is given up meanwhile is PostgreSQL's: one who goes on to take
 * that too leaves no room to start a crashed server in, whatever is kept.
 */
async function fill(): Promise<void> {
  const chunk = Buffer.alloc(MIB);
  const path = join(host.directory, "volume", "filler");
  const chunks = Math.ceil(await freeMib());
  await writeFile(path, "");
  try {
    for (let count = 0; count < chunks; count += 1) await appendFile(path, chunk);
  } catch (error) {
    expect((error as NodeJS.ErrnoException).code).toBe("ENOSPC");
  }
}

async function freeMib(): Promise<number> {
  const { bavail, bsize } = await statfs(join(host.directory, "volume"));
  return (bavail * bsize) / MIB;
}

async function ballastBytes(): Promise<number> {
  return (await stat(join(host.directory, "volume", "shieldx-ballast"))).size;
}

async function storedKeys(): Promise<string[]> {
  const { rows } = await withClient(target("reader"), (client) =>
    client.query<{ id: string }>("SELECT id FROM ledger.event ORDER BY position"),
  );
  return rows.map(({ id }) => id);
}

async function expectEachAcceptedOnce(): Promise<void> {
  const stored = await storedKeys();
  expect(new Set(stored).size).toBe(stored.length);
  expect(accepted.filter((id) => !stored.includes(id))).toEqual([]);
  const { findings } = await verifyShard({ shard: 0, target: target("reader"), snapshotEvery: 100 });
  expect(Object.values(findings).filter((finding) => finding.violations > 0)).toEqual([]);
}

test("its settings follow from its size, and its statements are counted", async () => {
  expect(await agent.sql("postgres", "SHOW max_wal_size")).toBe("80MB");
  expect(await agent.sql("postgres", "SHOW temp_file_limit")).toBe("42MB");
  expect(await agent.sql("postgres", "SHOW recovery_init_sync_method")).toMatch(/^(syncfs|fsync)$/);
  expect(await agent.sql(DATABASE, "SELECT count(*) > 0 FROM shard_meta.pg_stat_statements")).toBe("t");
  expect(await ballastBytes()).toBe(Math.floor((VOLUME_MIB * MIB) / 8));
  expect((await agent.status())?.disk).toMatchObject({ level: "enough", totalBytes: VOLUME_MIB * MIB });
});

test("trial 1: a full volume is a coded refusal within a second and a reason, and heals with the room", async () => {
  for (let count = 0; count < 20; count += 1) expect((await send()).outcome).toBe("posted");
  await fill();
  const { message } = await agent.until("full", ({ reason }) => reason === "DiskFull");
  expect(message).toMatch(
    /^the volume is full \(\d+% of 420 MiB used, \d+ MiB free\): writes are refused until \d+ MiB are free; raise storage\.size, or free space: /,
  );
  expect((await agent.status())?.ready).toBe(false);
  const refused = await sendUntil("SHARD_DISK_FULL", 5_000);
  expect(refused.detail).toMatch(/volume is full|No space left/);
  for (let count = 0; count < 5; count += 1) {
    const again = await send();
    expect(again).toMatchObject({ outcome: "SHARD_DISK_FULL", ms: expect.any(Number) });
    expect(again.ms).toBeLessThan(1_000);
  }
  // Reads go on.
  expect(await storedKeys()).toEqual(accepted);

  // The server crashes, and the whole pod goes: both come back while there is no room.
  await agent.exec("bash", "-c", "kill -9 $(head -1 /var/lib/postgresql/data/postmaster.pid)");
  await agent.until("back, still full", ({ reason, restarts, message: text }) => {
    return reason === "DiskFull" && restarts > 0 && !text.includes("PostgreSQL");
  });
  await agent.kill();
  agent = await start();
  const back = await agent.until("full again", ({ reason, epoch, postgresVersion }) => {
    return reason === "DiskFull" && epoch !== undefined && postgresVersion !== undefined;
  });
  expect(back.ready).toBe(false);
  expect(await ballastBytes()).toBe(0);
  const late = await sendUntil("SHARD_DISK_FULL", 20_000);
  expect(late.ms).toBeLessThan(1_000);
  expect(await agent.sql("postgres", "SELECT current_setting('shieldx.writes_refused') <> ''")).toBe("t");

  await rm(join(host.directory, "volume", "filler"));
  const startedAt = systemClock.monotonic();
  await agent.until("ready", ({ ready }) => ready);
  await sendUntil("posted", 15_000);
  expect(systemClock.monotonic() - startedAt).toBeLessThan(15_000);
  expect(await ballastBytes()).toBeGreaterThan(0);
  await expectEachAcceptedOnce();
}, 180_000);

test("the way out needs no room: a table is dropped on a full volume, and writes go on", async () => {
  await agent.sql(DATABASE, "CREATE TABLE bulk (x text STORAGE PLAIN)");
  await agent.sql(DATABASE, "INSERT INTO bulk SELECT repeat('x', 7000) FROM generate_series(1, 16000)");
  await fill();
  await agent.until("full", ({ reason }) => reason === "DiskFull");
  await expect(agent.sql(DATABASE, "DROP TABLE bulk")).rejects.toThrow("read-only transaction");
  await agent.sql(DATABASE, "BEGIN READ WRITE; DROP TABLE bulk; COMMIT; CHECKPOINT");
  expect(await freeMib()).toBeGreaterThan(100);
  await agent.until("ready", ({ ready }) => ready);
  await sendUntil("posted", 15_000);
  await rm(join(host.directory, "volume", "filler"));
  await expectEachAcceptedOnce();
}, 120_000);

test("a ledger that fills the volume by itself is told of before it is full, and refused while there is room", async () => {
  const path = join(host.directory, "volume", "filler");
  await writeFile(path, Buffer.alloc(Math.floor(((await freeMib()) - 56) * MIB)));
  const low = await agent.until("low", ({ disk }) => disk?.level === "low");
  expect(low).toMatchObject({ ready: true, reason: "Ready" });
  expect(low.disk?.message).toMatch(/^\d+% of 420 MiB used, \d+ MiB free; below 32 MiB writes are refused: /);
  await appendFile(path, Buffer.alloc(30 * MIB));
  await agent.until("full", ({ reason }) => reason === "DiskFull");
  // Room for the log is left, and what was kept is not touched.
  expect(await freeMib()).toBeGreaterThan(20);
  expect(await ballastBytes()).toBeGreaterThan(0);
  expect(await sendUntil("SHARD_DISK_FULL", 5_000)).toMatchObject({
    detail: expect.stringMatching(/^shard 0: the volume is full \(/),
  });
  await rm(path);
  await agent.until("ready", ({ ready }) => ready);
  await sendUntil("posted", 15_000);
  await expectEachAcceptedOnce();
}, 120_000);

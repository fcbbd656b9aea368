/**
 * The stage of a benchmark without a cluster: PostgreSQL in a container on loopback and `shieldx ledger serve --local`
 * as a process of its own.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { createLedgerClient } from "../../dataplane/ledger/ledger-client.ts";
import { writeLedgerFiles } from "../../dataplane/testing/ledger-files.ts";
import { startTestPostgres, type TestPostgres } from "../../dataplane/testing/postgres.ts";
import { systemClock } from "../../lib/core/clock.ts";
import { proposeOwners } from "../../lib/core/ring.ts";
import { freePort } from "../../lib/node/testing/free-port.ts";
import { temporaryFolder, trackChild } from "../../lib/node/testing/leftovers.ts";
import { parseTiming, parseTps, type Stage, timedPsql, type Verified } from "./stage.ts";

const run = promisify(execFile);
const ROOT = resolve(import.meta.dirname, "../..");
const NODE = join(ROOT, "node_modules/.bin/node");
const MAIN = join(ROOT, "operator/main.ts");
const DATABASE = "ledger_bench";
const START_TIMEOUT_MS = 60_000;

/** The settings of a shard, see the ShardSet's defaults; the rest is PostgreSQL's own. */
const SETTINGS = {
  shared_buffers: "512MB",
  max_wal_size: "4GB",
  checkpoint_timeout: "15min",
  wal_compression: "lz4",
};

/** Starts everything on this machine. */
export async function openLocalStage(settings: Readonly<Record<string, string>> = SETTINGS): Promise<Stage> {
  const releases: (() => Promise<void> | void)[] = [];
  const close = async (): Promise<void> => {
    for (const release of releases.reverse()) await release();
  };
  try {
    const postgres = await startTestPostgres({ fsync: true, settings });
    releases.push(() => postgres.stop());
    await postgres.createLedgerDatabase(DATABASE, 0, { version: 1, epoch: 1, owners: proposeOwners(1) });
    const directory = temporaryFolder("bench");
    releases.push(() => rm(directory, { recursive: true, force: true }));
    const key = `sxk_${randomBytes(32).toString("base64url")}`;
    const caPem = await writeLedgerFiles(directory, postgres, DATABASE);
    await writeFile(join(directory, "key"), key, { mode: 0o600 });
    const connection = connectionFlags(directory, postgres);
    await run(NODE, [MAIN, "ledger", "migrate", ...connection, "--admin-key-file", join(directory, "key")]);
    const port = await freePort();
    const server = await startServer(directory, connection, port);
    releases.push(() => stopServer(server));
    const client = createLedgerClient({ url: `https://127.0.0.1:${port}`, caPem, key });
    releases.push(() => client.close());
    return {
      name: "local: PostgreSQL in a container, server and client on this machine",
      client,
      shard: 0,
      isOnShard: () => true,
      asset: "CZK",
      verify: (what) => verify(directory, postgres, what),
      timeSql: (statement) => timeSql(postgres, statement),
      pgbench: (args) => pgbench(postgres, args),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function connectionFlags(directory: string, postgres: TestPostgres): string[] {
  return [
    ...["--ledger", "bench/local", "--shardset", "local", "--shards", "1"],
    ...["--database", DATABASE, "--assets", "CZK:2", "--log-level", "warn"],
    ...["--postgres-ca-dir", join(directory, "postgres-ca"), "--roles-dir", join(directory, "roles")],
    ...["--postgres-host-template", "127.0.0.1", "--postgres-port-base", String(postgres.port)],
  ];
}

async function startServer(directory: string, connection: readonly string[], port: number): Promise<ChildProcess> {
  const probePort = await freePort();
  const server = spawn(
    NODE,
    [
      ...[MAIN, "ledger", "serve", "--local", ...connection, "--tls-dir", join(directory, "tls")],
      ...["--listen", String(port), "--probe-listen", String(probePort), "--listen-host", "127.0.0.1"],
    ],
    { stdio: ["ignore", "inherit", "inherit"] },
  );
  trackChild(server);
  const endsAt = systemClock.monotonic() + START_TIMEOUT_MS;
  for (;;) {
    const ready = await fetch(`http://127.0.0.1:${probePort}/readyz`).then(
      (answer) => answer.status === 200,
      () => false,
    );
    if (ready) return server;
    if (server.exitCode !== null || systemClock.monotonic() > endsAt) {
      server.kill("SIGKILL");
      throw new Error("the ledger did not get ready");
    }
    await systemClock.sleep(50);
  }
}

async function stopServer(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null) return;
  const exited = new Promise((resolve) => server.once("exit", resolve));
  server.kill("SIGTERM");
  await exited;
}

async function verify(directory: string, postgres: TestPostgres, what: "everything" | "journal"): Promise<Verified> {
  const { stdout } = await run(NODE, [
    ...[MAIN, "ledger", "verify", "--json", "--postgres", `127.0.0.1:${postgres.port}`, "--database", DATABASE],
    ...["--user", `${DATABASE}_reader`, "--password-file", join(directory, "roles/reader-password")],
    ...["--ca-file", join(directory, "postgres-ca/ca.crt")],
    ...(what === "journal" ? ["--journal-only"] : []),
  ]);
  const { intact, shards } = JSON.parse(stdout) as { intact: boolean; shards: { events: number; seconds: number }[] };
  return { intact, ...(shards[0] as { events: number; seconds: number }) };
}

async function timeSql(postgres: TestPostgres, statement: string): Promise<number> {
  const connection = ["-h", "/run/postgresql", "-p", String(postgres.port), "-U", "postgres", "-d", DATABASE];
  const [program, ...args] = timedPsql(statement) as [string, ...string[]];
  const { stdout } = await run("podman", ["exec", postgres.container, program, ...connection, ...args]);
  return parseTiming(stdout);
}

async function pgbench(postgres: TestPostgres, args: readonly string[]): Promise<number | undefined> {
  const connection = ["-h", "/run/postgresql", "-p", String(postgres.port), "-U", "postgres"];
  if (args.includes("-i")) await run("podman", ["exec", postgres.container, "createdb", ...connection, "pgbench"]);
  const { stdout } = await run("podman", ["exec", postgres.container, "pgbench", ...connection, ...args, "pgbench"]);
  return parseTps(stdout);
}

/**
 * The stage of a benchmark without a cluster: a PostgreSQL in a container for each shard and `shieldx ledger serve --local`
 * as a process of its own, all on loopback.
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
import { bucketOf, DEFAULT_TENANT, proposeOwners } from "../../lib/core/ring.ts";
import { freePort, freePorts } from "../../lib/node/testing/free-port.ts";
import { temporaryFolder, trackChild } from "../../lib/node/testing/leftovers.ts";
import { stageMicros } from "./processor-time.ts";
import {
  type PgbenchFigures,
  parsePgbench,
  parseTiming,
  type Stage,
  timedPgbench,
  timedPsql,
  type Verified,
} from "./stage.ts";

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

export interface LocalStageOptions {
  readonly shards?: number;
  /** PostgreSQL settings over those of a shard. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** Starts everything on this machine. */
export async function openLocalStage({ shards = 1, settings = {} }: LocalStageOptions = {}): Promise<Stage> {
  const releases: (() => Promise<void> | void)[] = [];
  const close = async (): Promise<void> => {
    for (const release of releases.reverse()) await release();
  };
  try {
    const map = { version: 1, epoch: 1, owners: proposeOwners(shards) };
    const servers: TestPostgres[] = [];
    for (const [shard, port] of (await freePorts(shards)).entries()) {
      const server = await startTestPostgres({ port, fsync: true, settings: { ...SETTINGS, ...settings } });
      releases.push(() => server.stop());
      await server.createLedgerDatabase(DATABASE, shard, map);
      servers.push(server);
    }
    const postgres = servers[0] as TestPostgres;
    const directory = temporaryFolder("bench");
    releases.push(() => rm(directory, { recursive: true, force: true }));
    const key = `sxk_${randomBytes(32).toString("base64url")}`;
    const caPem = await writeLedgerFiles(directory, postgres, DATABASE);
    await writeFile(join(directory, "postgres-ca/ca.crt"), servers.map((server) => server.caPem).join("\n"));
    await writeFile(join(directory, "key"), key, { mode: 0o600 });
    const connection = connectionFlags(directory, servers);
    await run(NODE, [MAIN, "ledger", "migrate", ...connection, "--admin-key-file", join(directory, "key")]);
    const port = await freePort();
    const server = await startServer(directory, connection, port);
    releases.push(() => stopServer(server));
    const roots = { postgres: await Promise.all(servers.map(firstPid)), ledger: server.pid as number };
    const client = createLedgerClient({ url: `https://127.0.0.1:${port}`, caPem, key });
    releases.push(() => client.close());
    return {
      name: `local: ${shards} PostgreSQL in ${shards === 1 ? "a container" : "containers"}, server and client on this machine`,
      client,
      shard: 0,
      shardOf: (id) => map.owners[bucketOf(DEFAULT_TENANT, id)] as number,
      asset: "CZK",
      verify: (what, checkout = ROOT) => verify({ directory, postgres, checkout }, what),
      timeSql: (statement) => timeSql(postgres, statement),
      fillPgbench: (scale) => fillPgbench(postgres, scale),
      pgbench: (args) => pgbench(postgres, args),
      processorTime: () => stageMicros(roots),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function connectionFlags(directory: string, servers: readonly TestPostgres[]): string[] {
  return [
    ...["--ledger", "bench/local", "--shardset", "local", "--shards", String(servers.length)],
    ...["--database", DATABASE, "--assets", "CZK:2", "--log-level", "warn"],
    ...["--postgres-ca-dir", join(directory, "postgres-ca"), "--roles-dir", join(directory, "roles")],
    ...["--postgres-host-template", "127.0.0.1", "--postgres-port-base", String(servers[0]?.port)],
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

interface VerifyPlace {
  readonly directory: string;
  readonly postgres: TestPostgres;
  readonly checkout: string;
}

async function verify(place: VerifyPlace, what: "everything" | "journal"): Promise<Verified> {
  const { directory, postgres, checkout } = place;
  const { stdout } = await run(NODE, [
    ...[join(checkout, "operator/main.ts"), "ledger", "verify", "--json"],
    ...["--postgres", `127.0.0.1:${postgres.port}`, "--database", DATABASE],
    ...["--user", `${DATABASE}_reader`, "--password-file", join(directory, "roles/reader-password")],
    ...["--ca-file", join(directory, "postgres-ca/ca.crt")],
    ...(what === "journal" ? ["--journal-only"] : []),
  ]);
  const { intact, shards } = JSON.parse(stdout) as { intact: boolean; shards: { events: number; seconds: number }[] };
  return { intact, ...(shards[0] as { events: number; seconds: number }) };
}

/** The server's first process, on this machine. */
async function firstPid({ container }: TestPostgres): Promise<number> {
  return Number((await run("podman", ["inspect", "--format", "{{.State.Pid}}", container])).stdout);
}

/** Runs a program beside a server. @returns what it printed */
async function runBeside({ container, port }: TestPostgres, program: readonly string[]): Promise<string> {
  const connection = ["PGHOST=/run/postgresql", `PGPORT=${port}`, "PGUSER=postgres"].flatMap((text) => ["--env", text]);
  return (await run("podman", ["exec", ...connection, container, ...program])).stdout;
}

async function timeSql(postgres: TestPostgres, statement: string): Promise<number> {
  const [program, ...args] = timedPsql(statement) as [string, ...string[]];
  return parseTiming(await runBeside(postgres, [program, "-d", DATABASE, ...args]));
}

async function fillPgbench(postgres: TestPostgres, scale: number): Promise<void> {
  await runBeside(postgres, ["createdb", "pgbench"]);
  await runBeside(postgres, ["pgbench", "-i", "-s", String(scale), "-q", "pgbench"]);
}

async function pgbench(postgres: TestPostgres, args: readonly string[]): Promise<PgbenchFigures> {
  return parsePgbench(await runBeside(postgres, timedPgbench([...args, "pgbench"])));
}

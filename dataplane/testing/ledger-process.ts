/** `shieldx ledger serve --local` as a process of its own, to be killed. */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { sha256 } from "../../lib/core/canonical.ts";
import { systemClock } from "../../lib/core/clock.ts";
import { proposeOwners } from "../../lib/core/ring.ts";
import { withClient } from "../../lib/node/postgres.ts";
import { freePort } from "../../lib/node/testing/free-port.ts";
import { temporaryFolder, trackChild } from "../../lib/node/testing/leftovers.ts";
import { loadMigrations, migrate } from "../ledger/ledger.migrate.ts";
import { createLedgerClient, type LedgerClient } from "../ledger/ledger-client.ts";
import { writeLedgerFiles } from "./ledger-files.ts";
import { type TestPostgres } from "./postgres.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const NODE = join(ROOT, "node_modules/.bin/node");
const MAIN = join(ROOT, "operator/main.ts");
const START_TIMEOUT_MS = 60_000;

export interface LedgerProcess {
  readonly url: string;
  /** Plain HTTP server of the metrics, without a path. */
  readonly metricsUrl: string;
  readonly caPem: string;
  readonly adminKey: string;
  readonly database: string;
  readonly client: LedgerClient;
  start(): Promise<void>;
  /** SIGKILL: nothing is finished, nothing is given back. */
  kill(): Promise<void>;
  /** SIGTERM. @returns the exit code */
  terminate(): Promise<number | null>;
  remove(): Promise<void>;
}

/** Makes the database and the files of a one-shard ledger; nothing runs before `start`. */
export async function prepareLedgerProcess(postgres: TestPostgres, database: string): Promise<LedgerProcess> {
  const directory = temporaryFolder("ledger");
  const adminKey = `sxk_${randomBytes(32).toString("base64url")}`;
  await postgres.createLedgerDatabase(database, 0, { version: 1, epoch: 1, owners: proposeOwners(1) });
  const migrations = await loadMigrations();
  await withClient(postgres.role(database, "owner"), (client) =>
    migrate(
      client,
      {
        shard: 0,
        writerRole: `${database}_writer`,
        readerRole: `${database}_reader`,
        assets: [{ code: "CZK", scale: 2 }],
        adminKeyHash: sha256(adminKey),
      },
      migrations,
    ),
  );
  const caPem = await writeLedgerFiles(directory, postgres, database);
  const [port, probePort, metricsPort] = [await freePort(), await freePort(), await freePort()];
  const args = [
    ...["ledger", "serve", "--local", "--ledger", "test/local", "--shardset", "local", "--shards", "1"],
    ...["--database", database, "--assets", "CZK:2", "--log-level", "error"],
    ...["--postgres-ca-dir", join(directory, "postgres-ca"), "--roles-dir", join(directory, "roles")],
    ...["--postgres-host-template", "127.0.0.1", "--postgres-port-base", String(postgres.port)],
    ...["--tls-dir", join(directory, "tls"), "--listen-host", "127.0.0.1"],
    ...["--listen", String(port), "--probe-listen", String(probePort)],
    ...["--metrics-listen", String(metricsPort)],
  ];
  const url = `https://127.0.0.1:${port}`;
  const client = createLedgerClient({ url, caPem, key: adminKey });
  let child: ChildProcess | undefined;

  const end = async (signal: NodeJS.Signals): Promise<number | null> => {
    const ending = child;
    child = undefined;
    if (ending === undefined || ending.exitCode !== null) return ending?.exitCode ?? null;
    const exited = new Promise<number | null>((done) => ending.once("exit", (code) => done(code)));
    ending.kill(signal);
    return exited;
  };
  return {
    url,
    metricsUrl: `http://127.0.0.1:${metricsPort}`,
    caPem,
    adminKey,
    database,
    client,
    start: async () => {
      child = spawn(NODE, [MAIN, ...args], { stdio: ["ignore", "ignore", "inherit"] });
      trackChild(child);
      await waitUntilReady(probePort, child);
    },
    kill: async () => void (await end("SIGKILL")),
    terminate: () => end("SIGTERM"),
    remove: async () => {
      await end("SIGKILL");
      client.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function waitUntilReady(probePort: number, child: ChildProcess): Promise<void> {
  const endsAt = systemClock.monotonic() + START_TIMEOUT_MS;
  for (;;) {
    const ready = await fetch(`http://127.0.0.1:${probePort}/readyz`).then(
      (answer) => answer.status === 200,
      () => false,
    );
    if (ready) return;
    if (child.exitCode !== null) throw new Error(`the ledger ended with code ${child.exitCode}`);
    if (systemClock.monotonic() > endsAt) throw new Error("the ledger did not get ready");
    await systemClock.sleep(50);
  }
}

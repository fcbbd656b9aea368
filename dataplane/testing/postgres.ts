/**
 * One PostgreSQL 17 for a test file, from the product's own image, with TLS 1.3 and `shard_meta` as the agent makes it.
 * Several "shards" are several databases of one server: the ledger cannot tell.
 */

import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmod, chown, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Client } from "pg";
import { systemClock } from "../../lib/core/clock.ts";
import type { ShardMap } from "../../lib/core/shard-map.ts";
import { createCertificateAuthority, issueCertificate } from "../../lib/node/certificates.ts";
import { openClient, type PostgresTarget } from "../../lib/node/postgres.ts";
import { freePort } from "../../lib/node/testing/free-port.ts";
import { temporaryFolder, trackContainer } from "../../lib/node/testing/leftovers.ts";

const run = promisify(execFile);

/** The operating system layer of image shieldx-postgres. */
const IMAGE = "localhost/shieldx-postgres:os";
/** The image's user. */
const POSTGRES_UID = 10001;
const START_TIMEOUT_MS = 60_000;
const POLL_MS = 100;

/** A running server. */
export interface TestPostgres {
  readonly port: number;
  /** CA certificate that clients trust. */
  readonly caPem: string;
  /** Name of the container, for tools that run beside the server. */
  readonly container: string;
  /** A target for the superuser. */
  superuser(database?: string): PostgresTarget;
  /** A target for a role of a ledger database; the password of every role is its own name. */
  role(database: string, kind: "owner" | "writer" | "reader"): PostgresTarget;
  /** Makes a database with its three roles and `shard_meta`, as the shard agent does. */
  createLedgerDatabase(database: string, shard: number, map: ShardMap): Promise<void>;
  /** SIGKILL to every process of the server at once, as when a node's power goes. */
  kill(): Promise<void>;
  /** Starts the server again after `kill`. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

export interface TestPostgresOptions {
  /** A free one when absent. */
  readonly port?: number;
  /** Settings beyond the defaults, for benchmarks. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Off makes throw-away servers quicker; on for measurements and crash tests. */
  readonly fsync?: boolean;
}

const START_SCRIPT = `set -e
if [ ! -f /data/PG_VERSION ]; then
  printf %s "$SUPERUSER_PASSWORD" >/tmp/password
  initdb -D /data -U postgres --pwfile /tmp/password --auth-local peer --auth-host scram-sha-256 --data-checksums -E UTF8 --locale C.UTF-8 >/dev/null
  printf 'local all postgres peer\\nhostssl all all all scram-sha-256\\n' >/data/pg_hba.conf
fi
rm -f /data/postmaster.pid
exec postgres -D /data "$@"`;

/** Starts a server on a free port of loopback. Stop it in the file's last hook. */
export async function startTestPostgres(options: TestPostgresOptions = {}): Promise<TestPostgres> {
  const directory = temporaryFolder("postgres");
  const tls = join(directory, "tls");
  const data = join(directory, "data");
  const container = `shieldx-test-${randomBytes(6).toString("hex")}`;
  const password = randomBytes(12).toString("hex");
  const authority = await createCertificateAuthority("test", systemClock.now());
  const server = await issueCertificate(
    authority,
    { commonName: "localhost", usage: "server", dnsNames: ["localhost"], ipAddresses: ["127.0.0.1"] },
    systemClock.now(),
  );
  await chmod(directory, 0o755);
  await mkdir(tls);
  await mkdir(data, { mode: 0o700 });
  await writeFile(join(tls, "tls.crt"), server.certPem);
  await writeFile(join(tls, "tls.key"), server.keyPem, { mode: 0o600 });
  for (const path of [data, tls, join(tls, "tls.key")]) await chown(path, POSTGRES_UID, POSTGRES_UID);

  const port = options.port ?? (await freePort());
  const settings: Record<string, string> = {
    listen_addresses: "127.0.0.1",
    port: String(port),
    ssl: "on",
    ssl_cert_file: "/tls/tls.crt",
    ssl_key_file: "/tls/tls.key",
    ssl_min_protocol_version: "TLSv1.3",
    unix_socket_directories: "/run/postgresql",
    fsync: options.fsync === true ? "on" : "off",
    max_connections: "60",
    jit: "off",
    ...options.settings,
  };
  const forget = trackContainer(container);
  await run("podman", [
    "run",
    "--detach",
    "--network=host",
    "--name",
    container,
    `--user=${POSTGRES_UID}`,
    "--shm-size=512m",
    `--volume=${tls}:/tls:ro`,
    `--volume=${data}:/data`,
    "--env",
    `SUPERUSER_PASSWORD=${password}`,
    IMAGE,
    "sh",
    "-c",
    START_SCRIPT,
    "postgres",
    ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
  ]);

  const target = (database: string, user: string, secret: string): PostgresTarget => ({
    address: { host: "127.0.0.1", port, caPem: authority.certPem },
    database,
    user,
    password: secret,
    applicationName: "shieldx-test",
  });
  const postgres: TestPostgres = {
    port,
    caPem: authority.certPem,
    container,
    superuser: (database = "postgres") => target(database, "postgres", password),
    role: (database, kind) => target(database, `${database}_${kind}`, `${database}_${kind}`),
    createLedgerDatabase: async (database, shard, map) => {
      await withSuperuser(postgres.superuser(), (client) => createRolesAndDatabase(client, database));
      await withSuperuser(postgres.superuser(database), (client) => createShardMeta(client, database, { shard, map }));
    },
    kill: async () => {
      await run("podman", ["kill", "--signal=KILL", container]);
      await run("podman", ["wait", container]);
    },
    start: async () => {
      await run("podman", ["start", container]);
      await waitUntilReady(postgres);
    },
    stop: async () => {
      await run("podman", ["rm", "--force", "--time=0", container]);
      forget();
      await rm(directory, { recursive: true, force: true, maxRetries: 5 });
    },
  };
  try {
    await waitUntilReady(postgres);
    return postgres;
  } catch (error) {
    const logs = await run("podman", ["logs", container]).catch(() => ({ stdout: "", stderr: "no log" }));
    await postgres.stop();
    throw new Error(`PostgreSQL did not start:\n${logs.stdout}${logs.stderr}`, { cause: error });
  }
}

async function waitUntilReady(postgres: TestPostgres): Promise<void> {
  const endsAt = systemClock.monotonic() + START_TIMEOUT_MS;
  for (;;) {
    try {
      return await withSuperuser(postgres.superuser(), async (client) => void (await client.query("SELECT 1")));
    } catch (error) {
      if (systemClock.monotonic() > endsAt) throw error;
    }
    await systemClock.sleep(POLL_MS);
  }
}

async function withSuperuser<T>(target: PostgresTarget, work: (client: Client) => Promise<T>): Promise<T> {
  const client = await openClient(target);
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

async function createRolesAndDatabase(client: Client, database: string): Promise<void> {
  for (const kind of ["owner", "writer", "reader"]) {
    await client.query(`CREATE ROLE ${database}_${kind} LOGIN PASSWORD '${database}_${kind}'`);
  }
  await client.query(`CREATE DATABASE ${database} OWNER ${database}_owner`);
  await client.query(`REVOKE ALL ON DATABASE ${database} FROM PUBLIC`);
  await client.query(`GRANT CONNECT ON DATABASE ${database} TO ${database}_writer, ${database}_reader`);
}

async function createShardMeta(
  client: Client,
  database: string,
  given: { shard: number; map: ShardMap },
): Promise<void> {
  const roles = `${database}_owner, ${database}_writer, ${database}_reader`;
  await client.query(`
    REVOKE ALL ON SCHEMA public FROM PUBLIC;
    CREATE SCHEMA shard_meta;
    CREATE TABLE shard_meta.map (version bigint NOT NULL, epoch bigint NOT NULL, shard integer NOT NULL);
    CREATE TABLE shard_meta.owner (bucket integer PRIMARY KEY, shard integer NOT NULL, epoch bigint NOT NULL);
    CREATE FUNCTION shard_meta.guard(expected_version bigint) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
      SET search_path = pg_catalog, pg_temp AS $$
      DECLARE found_version bigint;
      BEGIN
        SELECT version INTO found_version FROM shard_meta.map FOR SHARE;
        IF found_version IS DISTINCT FROM expected_version THEN
          RAISE EXCEPTION 'shard map is at version %, not %', found_version, expected_version USING ERRCODE = 'SH001';
        END IF;
      END $$;
    REVOKE ALL ON FUNCTION shard_meta.guard(bigint) FROM PUBLIC;
    GRANT USAGE ON SCHEMA shard_meta TO ${roles};
    GRANT SELECT ON shard_meta.map, shard_meta.owner TO ${roles};
    GRANT EXECUTE ON FUNCTION shard_meta.guard(bigint) TO ${database}_owner, ${database}_writer;
  `);
  await writeMap(client, given);
}

/** Replaces the map in a ledger database, as the agent does when the ConfigMap changes. */
export async function writeMap(client: Client, given: { shard: number; map: ShardMap }): Promise<void> {
  const { shard, map } = given;
  await client.query("BEGIN");
  await client.query("DELETE FROM shard_meta.owner");
  await client.query("DELETE FROM shard_meta.map");
  await client.query("INSERT INTO shard_meta.map VALUES ($1, $2, $3)", [map.version, map.epoch, shard]);
  await client.query(
    "INSERT INTO shard_meta.owner SELECT bucket - 1, shard, $2 FROM unnest($1::int[]) WITH ORDINALITY AS u(shard, bucket)",
    [map.owners, map.epoch],
  );
  await client.query("COMMIT");
}

/** A ledger in the test's own process, on databases of one PostgreSQL: everything but Kubernetes is the real thing. */
import { randomBytes } from "node:crypto";
import { sha256 } from "../../lib/core/canonical.ts";
import { systemClock } from "../../lib/core/clock.ts";
import { proposeOwners } from "../../lib/core/ring.ts";
import type { ShardMap } from "../../lib/core/shard-map.ts";
import { type CertificatePair, createCertificateAuthority, issueCertificate } from "../../lib/node/certificates.ts";
import { createLifecycle } from "../../lib/node/lifecycle.ts";
import { type Logger, silentLogger } from "../../lib/node/logger.ts";
import { createMetrics, type Metrics } from "../../lib/node/metrics.ts";
import { type PostgresTarget, withClient } from "../../lib/node/postgres.ts";
import type { Deadlines } from "../ledger/connection-guard.ts";
import { type AssetDefinition, loadMigrations, migrate } from "../ledger/ledger.migrate.ts";
import { startService } from "../ledger/ledger.service.ts";
import { createLedgerClient, type LedgerClient } from "../ledger/ledger-client.ts";
import { databaseMapSource } from "../ledger/shard-map-source.ts";
import { createLocalSeat, type ShardSeat } from "../ledger/shard-seats.ts";
import type { TestPostgres } from "./postgres.ts";

export interface LocalLedger {
  readonly url: string;
  readonly probeUrl: string;
  readonly caPem: string;
  /** The CA, and what the API shows. */
  readonly authority: CertificatePair;
  readonly tls: CertificatePair;
  readonly adminKey: string;
  /** Database of each shard. */
  readonly databases: readonly string[];
  readonly map: ShardMap;
  readonly seats: readonly ShardSeat[];
  readonly metrics: Metrics;
  /** With the administrator's key. */
  readonly client: LedgerClient;
  clientWith(key: string | undefined): LedgerClient;
  stop(): Promise<void>;
  /** Stops the pod alone. @returns how many of its steps failed */
  end(): Promise<number>;
}

export interface LocalLedgerOptions {
  readonly postgres: TestPostgres;
  /** Prefix of the databases; the same name again finds the same data. */
  readonly name: string;
  readonly shards: number;
  readonly assets?: readonly AssetDefinition[];
  readonly adminKey?: string;
  readonly log?: Logger;
  readonly snapshotEvery?: number;
  /** Ports of loopback that lead to the server, by shard; the server's own where there is none. */
  readonly wires?: readonly (number | undefined)[];
  readonly silentMs?: number;
  readonly deadlines?: Deadlines;
}

const START_TIMEOUT_MS = 30_000;

/** Makes what is missing (databases, schema), starts the service and waits until it is ready. */
export async function startLocalLedger(options: LocalLedgerOptions): Promise<LocalLedger> {
  const { postgres, name } = options;
  const map: ShardMap = { version: 1, epoch: 1, owners: proposeOwners(options.shards) };
  const adminKey = options.adminKey ?? `sxk_${randomBytes(32).toString("base64url")}`;
  const assets = options.assets ?? [
    { code: "CZK", scale: 2 },
    { code: "EUR", scale: 2 },
  ];
  const databases = Array.from({ length: options.shards }, (_, shard) => `${name}_${shard}`);
  for (const [shard, database] of databases.entries()) {
    await makeShard(postgres, database, { shard, map, assets, adminKeyHash: sha256(adminKey) });
  }

  const authority = await createCertificateAuthority("test", systemClock.now());
  const request = {
    commonName: "ledger",
    usage: "server",
    dnsNames: ["localhost"],
    ipAddresses: ["127.0.0.1"],
  } as const;
  const tls = await issueCertificate(authority, request, systemClock.now());
  const log = options.log ?? silentLogger;
  const lifecycle = createLifecycle(log);
  const metrics = createMetrics();
  const seats: ShardSeat[] = [];
  const roleOf = (database: string, shard: number, kind: "writer" | "reader"): PostgresTarget => {
    const target = postgres.role(database, kind);
    const port = options.wires?.[shard];
    return port === undefined ? target : { ...target, address: { ...target.address, port } };
  };
  const service = await startService({
    targets: databases.map((database, shard) => ({
      writer: roleOf(database, shard, "writer"),
      reader: roleOf(database, shard, "reader"),
    })),
    ...(options.silentMs === undefined ? {} : { silentMs: options.silentMs }),
    snapshotEvery: options.snapshotEvery ?? 100,
    tls: { ...tls, caPem: () => authority.certPem },
    servername: "localhost",
    listen: { port: 0, probePort: 0, host: "127.0.0.1" },
    makeSeat: (shard, makeWriter) => {
      const seat = createLocalSeat(shard, makeWriter);
      seats.push(seat);
      return seat;
    },
    makeMapSource: (reads) => databaseMapSource({ reads, clock: systemClock, log }),
    deadlines: options.deadlines,
    clock: systemClock,
    log,
    metrics,
    lifecycle,
  });

  const url = `https://127.0.0.1:${service.port}`;
  const probeUrl = `http://127.0.0.1:${service.probePort}`;
  const clients: LedgerClient[] = [];
  const clientWith = (key: string | undefined): LedgerClient => {
    const client = createLedgerClient({ url, caPem: authority.certPem, key });
    clients.push(client);
    return client;
  };
  await waitUntilReady(probeUrl);
  return {
    url,
    probeUrl,
    caPem: authority.certPem,
    authority,
    tls,
    adminKey,
    databases,
    map,
    seats,
    metrics,
    client: clientWith(adminKey),
    clientWith,
    stop: async () => {
      for (const client of clients) client.close();
      await lifecycle.stop("test ended");
    },
    end: () => lifecycle.stop("SIGTERM"),
  };
}

async function makeShard(
  postgres: TestPostgres,
  database: string,
  given: { shard: number; map: ShardMap; assets: readonly AssetDefinition[]; adminKeyHash: Buffer },
): Promise<void> {
  const exists = await withClient(postgres.superuser(), async (client) => {
    const { rows } = await client.query("SELECT 1 FROM pg_database WHERE datname = $1", [database]);
    return rows.length > 0;
  });
  if (!exists) await postgres.createLedgerDatabase(database, given.shard, given.map);
  const { shard, assets, adminKeyHash } = given;
  const roles = { writerRole: `${database}_writer`, readerRole: `${database}_reader` };
  const migrations = await loadMigrations();
  await withClient(postgres.role(database, "owner"), (client) =>
    migrate(client, { shard, assets, adminKeyHash, ...roles }, migrations),
  );
}

async function waitUntilReady(probeUrl: string): Promise<void> {
  const endsAt = systemClock.monotonic() + START_TIMEOUT_MS;
  for (;;) {
    const answer = await fetch(`${probeUrl}/readyz`);
    const text = await answer.text();
    if (answer.status === 200) return;
    if (systemClock.monotonic() > endsAt) throw new Error(`the ledger is not ready: ${text}`);
    await systemClock.sleep(20);
  }
}

// The agent in a container as restricted as its pod, against a real kube-apiserver: what it promises about data,
// connections and crashes is checked from outside, as clients, the controller and the kubelet would.
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type connect } from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { Client } from "pg";
import { type AgentStatus, SETTINGS_PATH, type SettingsAnswer, settingsAnswer } from "../../crds/agent-status.ts";
import type { DatabaseRequest } from "../../crds/database-request.ts";
import { requestHash } from "../../crds/database-request.ts";
import { systemClock } from "../../lib/core/clock.ts";
import { proposeOwners } from "../../lib/core/ring.ts";
import { formatShardMap } from "../../lib/core/shard-map.ts";
import type { KubeClient } from "../../lib/kube/client.ts";
import { type LeaseObject, RESOURCES } from "../../lib/kube/types.ts";
import { readCertificate } from "../../lib/node/certificates.ts";
import { openClient, sqlState, withClient } from "../../lib/node/postgres.ts";
import { scramVerifier } from "../../lib/node/scram.ts";
import { startControlPlane, type TestControlPlane } from "../../testkit/kube-apiserver.ts";
import { eventually } from "../../testkit/wait.ts";
import {
  type AgentContainer,
  createShardHost,
  freePorts,
  type ShardHost,
  startAgent,
  tcpTarget,
} from "./testing/agent-container.ts";

const PASSWORD = "correct-horse-battery-staple";
const MAP = { version: 3, epoch: 1, owners: proposeOwners(2) };

let plane: TestControlPlane;
let kube: KubeClient;

beforeAll(async () => {
  plane = await startControlPlane();
  kube = plane.client();
});

afterAll(async () => {
  await plane?.stop();
});

function role(name: string, password = PASSWORD): { name: string; verifier: string } {
  return { name, verifier: scramVerifier(password, Buffer.alloc(16, name)) };
}

function databaseRequest(database: string): DatabaseRequest {
  return {
    database,
    owner: role(`${database}_owner`),
    writer: role(`${database}_writer`),
    reader: role(`${database}_reader`),
  };
}

/** What the controller makes before the pod: Lease, map, requests. @param identity what the map says of the data */
async function publish(
  shardSet: string,
  requests: readonly DatabaseRequest[],
  identity: Readonly<Record<string, string>> = { "systemIdentifier.0": "new" },
): Promise<void> {
  const metadata = (name: string) => ({ name, namespace: "default" });
  await kube.create(RESOURCES.Lease, {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: metadata(`${shardSet}-0`),
    spec: {},
  });
  await kube.create(RESOURCES.ConfigMap, {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: metadata(`${shardSet}-map`),
    data: { ...formatShardMap(MAP), ...identity },
  });
  await publishRequests(shardSet, requests);
}

async function publishRequests(shardSet: string, requests: readonly DatabaseRequest[]): Promise<void> {
  await kube.apply(
    RESOURCES.Secret,
    {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: `${shardSet}-databases`, namespace: "default" },
      data: { "databases.json": Buffer.from(JSON.stringify({ databases: requests })).toString("base64") },
    },
    { fieldManager: "test", force: true },
  );
}

/** What the map says of the shard's data from now on. */
async function record(shardSet: string, identity: string): Promise<void> {
  const patch = { data: { "systemIdentifier.0": identity } };
  await kube.patch(RESOURCES.ConfigMap, { namespace: "default", name: `${shardSet}-map` }, { format: "merge", patch });
}

function readLease(shardSet: string): Promise<LeaseObject> {
  return kube.get(RESOURCES.Lease, { namespace: "default", name: `${shardSet}-0` });
}

async function withShard(
  shardSet: string,
  work: (host: ShardHost, start: (parameters?: Record<string, string>) => Promise<AgentContainer>) => Promise<void>,
): Promise<void> {
  const host = await createShardHost(shardSet, 0);
  const started: AgentContainer[] = [];
  try {
    await work(host, async (parameters = {}) => {
      const agent = await startAgent(host, { shardSet, shard: 0, kubeconfig: plane.kubeconfig, parameters });
      started.push(agent);
      return agent;
    });
  } finally {
    for (const agent of started) await agent.kill();
    await host.remove();
  }
}

/** A PostgreSQL connection attempt with plain settings of the driver, beside our helper. */
async function refusal(config: ConstructorParameters<typeof Client>[0]): Promise<string> {
  const client = new Client(config);
  client.on("error", () => undefined);
  try {
    await client.connect();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    await client.end().catch(() => undefined);
  }
  throw new Error("the connection was accepted");
}

describe("a shard", () => {
  const request = databaseRequest("ledger_bank");
  let host: ShardHost;
  let agent: AgentContainer;

  beforeAll(async () => {
    await publish("bank", [request]);
    host = await createShardHost("bank", 0);
    agent = await startAgent(host, { shardSet: "bank", shard: 0, kubeconfig: plane.kubeconfig });
    await agent.until("ready with its database", ({ ready, databases }) => ready && databases[0]?.ready === true);
  }, 120_000);

  afterAll(async () => {
    await agent?.kill();
    await host?.remove();
  });

  test("starts from an empty volume with checksums and tells what it is", async () => {
    expect(await agent.sql("postgres", "SHOW data_checksums")).toBe("on");
    expect(await agent.sql("postgres", "SHOW allow_alter_system")).toBe("off");
    expect(
      await agent.sql("postgres", "SELECT datlocprovider, datlocale FROM pg_database WHERE datname = 'ledger_bank'"),
    ).toBe("b|C.UTF-8");
    const lease = await readLease("bank");
    expect(lease.spec?.holderIdentity).toBe(agent.podUid);
    expect(await agent.status()).toEqual({
      tls: {
        certificate: expect.stringMatching(/^[0-9a-f]{64}$/),
        authorities: [expect.stringMatching(/^[0-9a-f]{64}$/)],
      },
      shardSet: "bank",
      shard: 0,
      instance: 0,
      canTrySettings: true,
      role: "primary",
      ready: true,
      reason: "Ready",
      message: "PostgreSQL accepts writes",
      systemIdentifier: await agent.sql("postgres", "SELECT system_identifier FROM pg_control_system()"),
      epoch: lease.spec?.leaseTransitions,
      postgresVersion: expect.stringMatching(/^17\./),
      mapVersion: 3,
      startedAt: expect.stringMatching(/Z$/),
      restarts: expect.any(Number),
      databases: [{ database: "ledger_bank", ready: true, requestHash: requestHash(request) }],
      disk: {
        level: expect.any(String),
        message: expect.any(String),
        totalBytes: expect.any(Number),
        freeBytes: expect.any(Number),
      },
    });
  });

  test("speaks TLS 1.3 only: no older version, no plaintext, no unknown server", async () => {
    const login = {
      host: "127.0.0.1",
      port: host.postgresPort,
      database: "ledger_bank",
      user: "ledger_bank_writer",
      password: PASSWORD,
    };
    await withClient(tcpTarget(host, login), async (client) => {
      const found = await client.query("SELECT version, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
      expect(found.rows).toEqual([{ version: "TLSv1.3", ssl: true }]);
      expect((await client.query("SHOW search_path")).rows).toEqual([{ search_path: "pg_catalog" }]);
    });
    const trusted = { ca: host.ca.certPem };
    expect(await refusal({ ...login, ssl: { ...trusted, minVersion: "TLSv1.2", maxVersion: "TLSv1.2" } })).toMatch(
      /protocol version/,
    );
    expect(await refusal({ ...login, ssl: false })).toMatch(/no pg_hba.conf entry .* no encryption/);
    expect(await refusal({ ...login, ssl: {} })).toMatch(/unable to verify the first certificate/);
  });

  test("lets nobody in with a wrong password, and the superuser not at all", async () => {
    const wrong = tcpTarget(host, { database: "ledger_bank", user: "ledger_bank_writer", password: "wrong" });
    await expect(openClient(wrong)).rejects.toMatchObject({
      code: "SHARD_UNAVAILABLE",
      message: expect.stringContaining("28P01"),
    });
    const superuser = tcpTarget(host, { database: "postgres", user: "postgres", password: PASSWORD });
    await expect(openClient(superuser)).rejects.toMatchObject({
      message: expect.stringContaining("pg_hba.conf rejects"),
    });
    const elsewhere = tcpTarget(host, { database: "postgres", user: "ledger_bank_owner", password: PASSWORD });
    await expect(openClient(elsewhere)).rejects.toMatchObject({
      message: expect.stringContaining("permission denied for database"),
    });
  });

  test("gives each role what it needs and no more", async () => {
    const target = (user: string) => tcpTarget(host, { database: "ledger_bank", user, password: PASSWORD });
    await withClient(target("ledger_bank_owner"), async (client) => {
      await client.query("CREATE SCHEMA IF NOT EXISTS rights; GRANT USAGE ON SCHEMA rights TO ledger_bank_writer");
      await expect(client.query("UPDATE shard_meta.map SET version = 9")).rejects.toMatchObject({ code: "42501" });
      await expect(client.query("DROP SCHEMA shard_meta CASCADE")).rejects.toMatchObject({ code: "42501" });
      await expect(client.query("CREATE ROLE other")).rejects.toMatchObject({ code: "42501" });
      await expect(client.query("ALTER SYSTEM SET work_mem = '1GB'")).rejects.toMatchObject({
        code: expect.stringMatching(/^(42501|0A000)$/),
      });
    });
    await withClient(target("ledger_bank_writer"), async (client) => {
      await expect(client.query("CREATE SCHEMA mine")).rejects.toMatchObject({ code: "42501" });
      await expect(client.query("CREATE TABLE public.mine (x int)")).rejects.toMatchObject({ code: "42501" });
      await expect(client.query("CREATE TEMPORARY TABLE mine (x int)")).rejects.toMatchObject({ code: "42501" });
    });
    await withClient(target("ledger_bank_reader"), async (client) => {
      const owners = await client.query(
        "SELECT count(*) AS buckets, count(*) FILTER (WHERE shard = 0) AS mine FROM shard_meta.owner",
      );
      expect(owners.rows).toEqual([{ buckets: 4096, mine: MAP.owners.filter((owner) => owner === 0).length }]);
      await expect(client.query("SELECT shard_meta.guard(3)")).rejects.toMatchObject({ code: "42501" });
    });
  });

  test("guards writers against a stale map with SQLSTATE SH001", async () => {
    const target = tcpTarget(host, { database: "ledger_bank", user: "ledger_bank_writer", password: PASSWORD });
    await withClient(target, async (client) => {
      await client.query("SELECT shard_meta.guard(3)");
      const stale = await client.query("SELECT shard_meta.guard(2)").catch((error: unknown) => error);
      expect(sqlState(stale)).toBe("SH001");
    });
    const stale = withClient(target, (client) => client.query("SELECT shard_meta.guard(4)"));
    await expect(stale).rejects.toMatchObject({ code: "SHARD_MAP_STALE" });
  });

  test("answers the operator's certificate alone", async () => {
    const { issueCertificate, createCertificateAuthority } = await import("../../lib/node/certificates.ts");
    const now = systemClock.now();
    expect((await agent.get("/metrics")).body).toContain('shard_ready{shardset="bank",shard="0"} 1');
    const other = await issueCertificate(host.ca, { commonName: "somebody", usage: "client" }, now);
    expect(await agent.get("/status", other)).toMatchObject({ status: 403 });
    const foreign = await createCertificateAuthority("foreign", now);
    const forged = await issueCertificate(foreign, { commonName: "shieldx-operator", usage: "client" }, now);
    await expect(agent.get("/status", forged)).rejects.toThrow();
  });

  test("shows its metrics, PostgreSQL's among them, to whoever has no certificate, and nothing else", async () => {
    const text = await (await fetch(`${agent.metricsUrl}/metrics`)).text();
    expect(text).toContain('shard_ready{shardset="bank",shard="0"} 1');
    expect(text).toContain('shard_postgres_up{shardset="bank",shard="0"} 1');
    expect(text).toMatch(/^shard_postgres_database_bytes\{shardset="bank",shard="0",database="ledger_bank"\} [0-9]+$/m);
    expect((await fetch(`${agent.metricsUrl}/status`)).status).toBe(404);
  });

  test("is back within seconds with all its data after a SIGKILL of the postmaster", async () => {
    await withClient(
      tcpTarget(host, { database: "ledger_bank", user: "ledger_bank_owner", password: PASSWORD }),
      (client) =>
        client.query("CREATE SCHEMA IF NOT EXISTS crash; CREATE TABLE crash.t AS SELECT generate_series(1, 1000) AS x"),
    );
    const before = (await agent.status())?.restarts ?? 0;
    const startedAt = systemClock.monotonic();
    await agent.exec("bash", "-c", "kill -9 $(head -1 /var/lib/postgresql/data/postmaster.pid)");
    await agent.until("restarted", ({ ready, restarts }) => ready && restarts === before + 1);
    expect(systemClock.monotonic() - startedAt).toBeLessThan(10_000);
    expect(await agent.sql("ledger_bank", "SELECT count(*) FROM crash.t")).toBe("1000");
  });

  test("takes new certificates into use without a restart", async () => {
    const fresh = await host.renewCertificate();
    const wanted = readCertificate(fresh.certPem);
    const served = async (): Promise<string> => {
      const client = await openClient(
        tcpTarget(host, { database: "ledger_bank", user: "ledger_bank_reader", password: PASSWORD }),
      );
      const stream = (client as unknown as { connection: { stream: ReturnType<typeof connect> } }).connection.stream;
      const { fingerprint256 } = stream.getPeerCertificate();
      await client.end();
      return fingerprint256;
    };
    const { fingerprint } = await import("../../lib/node/certificates.ts");
    const endsAt = systemClock.monotonic() + 20_000;
    while ((await served()) !== fingerprint(fresh.certPem)) {
      if (systemClock.monotonic() > endsAt) throw new Error(`the certificate of ${wanted.notBefore} is not in use`);
      await systemClock.sleep(100);
    }
    expect((await agent.status())?.ready).toBe(true);
  });

  test("outlives the API server", async () => {
    plane.pause();
    try {
      // Longer than the Lease: whoever trusted the API server for its right would have stopped by then.
      const endsAt = systemClock.monotonic() + 18_000;
      while (systemClock.monotonic() < endsAt) {
        expect(await agent.sql("ledger_bank", "SELECT 1")).toBe("1");
        expect((await agent.status())?.ready).toBe(true);
        await systemClock.sleep(1_000);
      }
    } finally {
      plane.resume();
    }
  });

  test("keeps passwords, verifiers and data out of its log", async () => {
    const log = await agent.logs();
    expect(log).not.toContain(PASSWORD);
    expect(log).not.toContain("SCRAM-SHA-256$");
    expect(log).not.toContain("PRIVATE KEY");
  });
});

test("data, databases and passwords survive the container; a request can change and be dropped", async () => {
  const request = databaseRequest("ledger_keep");
  await publish("keep", [request]);
  await withShard("keep", async (host, start) => {
    const first = await start();
    const { systemIdentifier, epoch } = await first.until("made", ({ databases }) => databases[0]?.ready === true);
    const owner = (password: string) =>
      tcpTarget(host, { database: "ledger_keep", user: "ledger_keep_owner", password });
    await withClient(owner(PASSWORD), (client) =>
      client.query("CREATE SCHEMA app; CREATE TABLE app.t (x int); INSERT INTO app.t VALUES (42)"),
    );
    // A node loss leaves a lock file and an unclean data directory behind, and the Lease to expire.
    await first.kill();

    const second = await start();
    const again = await second.until("ready again", ({ databases }) => databases[0]?.ready === true);
    expect(again.systemIdentifier).toBe(systemIdentifier);
    expect(again.epoch).toBeGreaterThan(epoch ?? 0);
    expect(await second.sql("ledger_keep", "SELECT x FROM app.t")).toBe("42");
    expect(await second.sql("postgres", "SELECT epoch FROM shard_meta.primary_epoch")).toBe(String(again.epoch));

    const changed = { ...request, owner: role("ledger_keep_owner", "another-password") };
    await publishRequests("keep", [changed]);
    await second.until(
      "changed",
      ({ databases }) => databases[0]?.requestHash === requestHash(changed) && databases[0].ready,
    );
    await withClient(owner("another-password"), (client) => client.query("SELECT 1"));
    await expect(openClient(owner(PASSWORD))).rejects.toMatchObject({ code: "SHARD_UNAVAILABLE" });

    const drop = { ...changed, drop: true };
    await publishRequests("keep", [drop]);
    await second.until(
      "dropped",
      ({ databases }) => databases[0]?.requestHash === requestHash(drop) && databases[0].ready,
    );
    expect(await second.sql("postgres", "SELECT count(*) FROM pg_database WHERE datname = 'ledger_keep'")).toBe("0");
    expect(await second.sql("postgres", "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'ledger_keep%'")).toBe("0");

    expect(await second.stop()).toBe(0);
    expect((await readLease("keep")).spec?.holderIdentity).toBe("");
  });
});

test("a restarted container of the same pod does not wait for its own Lease", async () => {
  await publish("again", []);
  const host = await createShardHost("again", 0);
  const podUid = "same-pod";
  const start = (): Promise<AgentContainer> =>
    startAgent(host, { shardSet: "again", shard: 0, kubeconfig: plane.kubeconfig, podUid });
  const first = await start();
  let second: AgentContainer | undefined;
  try {
    await first.until("ready", ({ ready }) => ready);
    // The death of the agent alone takes PostgreSQL with it, and the shell that kills it too.
    const killAgent = "for p in /proc/[0-9]*; do [ $(cat $p/comm) = MainThread ] && kill -9 ${p#/proc/}; done";
    await first.exec("bash", "-c", killAgent).catch(() => undefined);
    expect(await first.ended()).not.toBe(0);
    const startedAt = systemClock.monotonic();
    second = await start();
    expect(await second.until("ready", ({ ready }) => ready)).toMatchObject({ epoch: 2, restarts: 0 });
    // Less than the 15 s for which a foreign Lease would be waited for.
    expect(systemClock.monotonic() - startedAt).toBeLessThan(12_000);
  } finally {
    await first.kill();
    await second?.kill();
    await host.remove();
  }
});

test("one request that cannot be carried out does not hold up the others", async () => {
  await publish("mixed", []);
  await withShard("mixed", async (_host, start) => {
    const agent = await start();
    await agent.until("ready", ({ ready }) => ready);
    await agent.sql("postgres", "CREATE ROLE ledger_a_owner LOGIN");
    await agent.sql("postgres", "CREATE DATABASE ledger_b");
    await publishRequests("mixed", ["ledger_a", "ledger_b", "ledger_c"].map(databaseRequest));
    const { databases } = await agent.until("through", ({ databases }) => databases.length === 3);
    expect(databases.map(({ database, ready, message }) => ({ database, ready, message }))).toEqual([
      { database: "ledger_a", ready: false, message: "role ledger_a_owner exists and belongs to somebody else" },
      { database: "ledger_b", ready: false, message: "database ledger_b belongs to role postgres, not ledger_b_owner" },
      { database: "ledger_c", ready: true, message: undefined },
    ]);
  });
});

test("a Lease that goes to somebody else ends PostgreSQL and the agent at once", async () => {
  await publish("lost", []);
  await withShard("lost", async (_host, start) => {
    const agent = await start();
    await agent.until("ready", ({ ready }) => ready);
    const lease = await readLease("lost");
    await kube.patch(
      RESOURCES.Lease,
      { namespace: "default", name: "lost-0" },
      {
        format: "merge",
        patch: { spec: { holderIdentity: "usurper", leaseTransitions: (lease.spec?.leaseTransitions ?? 0) + 1 } },
      },
    );
    expect(await agent.ended()).toBe(1);
    expect((await readLease("lost")).spec?.holderIdentity).toBe("usurper");
  });
});

test("PostgreSQL does not start while another pod holds the Lease", async () => {
  await publish("held", []);
  await kube.patch(
    RESOURCES.Lease,
    { namespace: "default", name: "held-0" },
    {
      format: "merge",
      patch: { spec: { holderIdentity: "other-pod", leaseTransitions: 4, leaseDurationSeconds: 3600 } },
    },
  );
  await withShard("held", async (_host, start) => {
    const agent = await start();
    await agent.until(
      "waiting",
      ({ reason, message }) => reason === "WaitingForLease" && message.includes("other-pod"),
    );
    expect(await agent.exec("ls", "-A", "/var/lib/postgresql")).toBe("");
    await kube.patch(
      RESOURCES.Lease,
      { namespace: "default", name: "held-0" },
      {
        format: "merge",
        patch: { spec: { holderIdentity: "" } },
      },
    );
    expect(await agent.until("ready", ({ ready }) => ready)).toMatchObject({ epoch: 5 });
  });
});

test("a volume of another shard, and a volume whose data is gone, are refused and left alone", async () => {
  await publish("mine", []);
  await publish("other", []);
  await withShard("other", async (host, start) => {
    const first = await start();
    await first.until("ready", ({ ready }) => ready);
    await first.stop();

    const foreign = await startAgent(host, { shardSet: "mine", shard: 0, kubeconfig: plane.kubeconfig });
    try {
      const refused = await foreign.until("refusing", ({ reason }) => reason === "DataRefused");
      expect(refused).toMatchObject({
        ready: false,
        message: "the volume belongs to shard 0 of other, not to shard 0 of mine",
      });
      await foreign.exec("rm", "-rf", "/var/lib/postgresql/data");
    } finally {
      await foreign.kill();
    }

    const second = await start();
    const gone = await second.until("refusing", ({ reason }) => reason === "DataLost");
    expect(gone.message).toBe(
      `PersistentVolumeClaim other-0-0 holds no data, but shard 0 has had some: the PostgreSQL cluster with system identifier ${gone.expectedIdentifier}`,
    );
    expect(await second.exec("ls", "-A", "/var/lib/postgresql")).toBe(
      "shieldx-ballast\nshieldx-probe\nshieldx-shard.json\nshieldx-shard.lock\n",
    );
  });
});

const settled = ({ ready, reason }: AgentStatus): boolean => ready || reason.startsWith("Data");
const ls = (agent: AgentContainer): Promise<string> => agent.exec("ls", "-A", "/var/lib/postgresql");

test("trial 13: an empty volume is initialised for a shard that never had data, and for no other one", async () => {
  const former = "7400000000000000001";
  const empty = "PersistentVolumeClaim gone-0-0 holds no data";
  const lost = `${empty}, but shard 0 has had some: the PostgreSQL cluster with system identifier ${former}`;
  await publish("gone", [], { "systemIdentifier.0": former });
  await withShard("gone", async (_host, start) => {
    const agent = await start();
    expect(await agent.until("settled", settled)).toMatchObject({
      reason: "DataLost",
      expectedIdentifier: former,
      message: lost,
    });
    expect(await ls(agent)).toBe("");
    await agent.stop();
    // Other data than what the Lease remembers was given up.
    await record("gone", "given-up-7400000000000000002");
    await kube.patch(
      RESOURCES.Lease,
      { namespace: "default", name: "gone-0" },
      { format: "merge", patch: { metadata: { annotations: { "shieldx.dev/system-identifier": former } } } },
    );
    const second = await start();
    expect(await second.until("settled", settled)).toMatchObject({ reason: "DataLost", message: lost });
    await record("gone", `given-up-${former}`);
    const { systemIdentifier } = await second.until("ready", ({ ready }) => ready);
    expect(systemIdentifier).not.toBe(former);
    await eventually("the Lease names the new data", async () => {
      const { annotations } = (await readLease("gone")).metadata;
      return annotations?.["shieldx.dev/system-identifier"] === systemIdentifier;
    });
  });
});

test("trial 13: where nothing says that a shard never had data, an empty volume stays empty", async () => {
  await publish("mute", [], {});
  await withShard("mute", async (_host, start) => {
    const agent = await start();
    expect(await agent.until("settled", settled)).toMatchObject({
      reason: "DataLost",
      message:
        "PersistentVolumeClaim mute-0-0 holds no data, and ConfigMap mute-map does not say that shard 0 never had any",
    });
    await kube.delete(RESOURCES.ConfigMap, { namespace: "default", name: "mute-map" });
    await agent.stop();
    const second = await start();
    await second.until("waiting", ({ ready, message }) => ready || message.includes("is not there or cannot be read"));
    expect(await ls(second)).toBe("");
  });
});

test("data that was found is taken over once, and only that data is used afterwards", async () => {
  await publish("found", []);
  await withShard("found", async (host, start) => {
    const first = await start();
    const { systemIdentifier } = await first.until("ready", ({ ready }) => ready);
    await first.stop();
    // The controller did not come to record it, and the version before recorded nothing: the data is there.
    await kube.patch(
      RESOURCES.ConfigMap,
      { namespace: "default", name: "found-map" },
      { format: "merge", patch: { data: { "systemIdentifier.0": null } } },
    );
    const second = await start();
    expect(await second.until("ready", ({ ready }) => ready)).toMatchObject({ systemIdentifier });
    await second.stop();
    await record("found", "7400000000000000001");
    const third = await start();
    expect(await third.until("settled", settled)).toMatchObject({
      reason: "DataRefused",
      expectedIdentifier: "7400000000000000001",
      message: `PersistentVolumeClaim found-0-0 holds the PostgreSQL cluster with system identifier ${systemIdentifier}, but the data of shard 0 is the one with 7400000000000000001`,
    });
    await record("found", systemIdentifier ?? "");
    await third.until("ready", ({ ready }) => ready);
    await third.stop();

    // Emptied before the controller had recorded what was made: the Lease still knows it.
    await record("found", "new");
    for (const name of ["data", "shieldx-shard.json"]) {
      await rm(join(host.directory, "volume", name), { recursive: true });
    }
    const fourth = await start();
    expect(await fourth.until("settled", settled)).toMatchObject({
      reason: "DataLost",
      expectedIdentifier: systemIdentifier,
    });
  });
});

test("two servers never work on one volume, even when the first one's agent hangs and loses its Lease", async () => {
  await publish("twice", []);
  await withShard("twice", async (host, start) => {
    const first = await start();
    await first.until("ready", ({ ready }) => ready);
    await first.sql("postgres", "CREATE TABLE kept AS SELECT 1 AS a");
    // The agent hangs, PostgreSQL goes on: a pod that was deleted by force on a node that has no time for it.
    const hang = "for p in /proc/[0-9]*; do [ $(cat $p/comm) = MainThread ] && kill -STOP ${p#/proc/}; done";
    await first.exec("bash", "-c", hang);
    const [postgresPort] = (await freePorts(1)) as [number];
    const second = await startAgent(
      { ...host, postgresPort },
      { shardSet: "twice", shard: 0, kubeconfig: plane.kubeconfig },
    );
    try {
      const blocked = await second.until(
        "blocked",
        ({ ready, message }) => ready || message.startsWith("another PostgreSQL"),
      );
      expect(blocked).toMatchObject({
        ready: false,
        message: "another PostgreSQL works on this volume: its pod or container has to end first",
      });
      expect(await first.sql("postgres", "SELECT a FROM kept")).toBe("1");
      await first.kill();
      await second.until("ready", ({ ready }) => ready);
      expect(await second.sql("postgres", "SELECT a FROM kept")).toBe("1");
    } finally {
      await second.kill();
    }
  });
});

test("a program that a server started and that outlives it does not keep the next server from the volume", async () => {
  await publish("child", []);
  await withShard("child", async (_host, start) => {
    const agent = await start();
    const { restarts } = await agent.until("ready", ({ ready }) => ready);
    // It leaves the data directory, its session and its parent, and keeps what it has inherited.
    await agent.sql("postgres", "COPY (SELECT 1) TO PROGRAM 'cd / && (setsid sleep 600 >/dev/null 2>&1 &)'");
    await agent.exec("bash", "-c", "kill -9 $(head -1 /var/lib/postgresql/data/postmaster.pid)");
    const again = await agent.until("ready again", (now) => now.ready && now.restarts > restarts);
    expect(again.restarts).toBe(restarts + 1);
    expect(await agent.logs()).toContain("killed processes that a crashed server left behind");
  });
});

test("a postmaster that is stopped is told, and ready again when it goes on", async () => {
  await publish("stopped", []);
  await withShard("stopped", async (_host, start) => {
    const agent = await start();
    await agent.until("ready", ({ ready }) => ready);
    const pid = (await agent.exec("head", "-1", "/var/lib/postgresql/data/postmaster.pid")).trim();
    await agent.exec("bash", "-c", `kill -STOP ${pid}`);
    const told = await agent.until("told", ({ ready }) => !ready);
    expect(told.reason).toBe("PostgresUnresponsive");
    expect(told.message).toMatch(
      new RegExp(
        `^PostgreSQL has not answered since \\S+Z: new connections are not answered, open ones go on; process ${pid} is stopped by a signal or a debugger: SIGCONT lets it go on, deleting the pod starts it anew$`,
      ),
    );
    await agent.exec("bash", "-c", `kill -CONT ${pid}`);
    expect((await agent.until("ready again", ({ ready }) => ready)).restarts).toBe(0);
  });
});

test("a server whose processes are stopped ends within the pod's time, and leaves data that starts", async () => {
  await publish("halted", []);
  await withShard("halted", async (_host, start) => {
    const agent = await start();
    await agent.until("ready", ({ ready }) => ready);
    await agent.exec("bash", "-c", "kill -STOP $(pgrep -x postgres)");
    const began = systemClock.monotonic();
    expect(await agent.stop()).toBe(0);
    // terminationGracePeriodSeconds is 40.
    expect(systemClock.monotonic() - began).toBeLessThan(35_000);
    const again = await start();
    await again.until("ready", ({ ready }) => ready);
  });
});

describe("settings that PostgreSQL does not start with", () => {
  const REFUSED: readonly (readonly [name: string, value: string, words: string])[] = [
    ["max_connections", "3", 'must be less than "max_connections" (3)'],
    ["work_mem", "8mb", 'invalid value for parameter "work_mem": "8mb"'],
    ["no_such_setting", "1", 'unrecognized configuration parameter "no_such_setting"'],
    ["max_wal_size", "10", '"max_wal_size" must be at least twice "wal_segment_size"'],
    ["timezone", "Mars", 'invalid value for parameter "TimeZone": "Mars"'],
    ["max_connections", "3000000", "3000000 is outside the valid range"],
  ];

  test("trial 6: are refused on a copy, with the setting and PostgreSQL's words, while the server goes on", async () => {
    await publish("trial", []);
    await withShard("trial", async (_host, start) => {
      const agent = await start();
      const { startedAt } = await agent.until("ready", ({ ready }) => ready);
      const tried = async (parameters: Record<string, string>): Promise<SettingsAnswer> => {
        const { status, body } = await agent.post(SETTINGS_PATH, JSON.stringify({ parameters }));
        expect(status).toBe(200);
        return settingsAnswer.parse(JSON.parse(body));
      };
      for (const [setting, value, words] of REFUSED) {
        const answer = await tried({ work_mem: "4MB", [setting]: value });
        expect(answer).toMatchObject({ outcome: "refused", setting, message: expect.stringContaining(words) });
      }
      const began = systemClock.monotonic();
      const accepted = await tried({ shared_buffers: "64GB", work_mem: "16MB", "app.tenant": "x" });
      expect(systemClock.monotonic() - began).toBeLessThan(5_000);
      expect(accepted.outcome).toBe("accepted");
      expect(accepted.sharedMemoryBytes).toBeGreaterThan(64 * 1024 ** 3);
      expect(accepted.nodeMemoryBytes).toBeGreaterThan(0);
      expect(await tried({ fsync: "off" })).toMatchObject({
        outcome: "refused",
        message: expect.stringContaining("fsync"),
      });
      // Nothing of the trials is left, and the server did not notice.
      expect(await agent.exec("sh", "-c", "ls /run/postgresql | grep -c trial || true")).toBe("0\n");
      expect(await agent.status()).toMatchObject({ ready: true, startedAt, restarts: 0 });
      expect((await agent.post(SETTINGS_PATH, "{")).status).toBe(400);
      expect((await agent.post(SETTINGS_PATH, `{"parameters":{"a":"${"x".repeat(70_000)}"}}`)).status).toBe(400);
      expect((await agent.get(SETTINGS_PATH)).status).toBe(405);
    });
  });

  test("trial 6: are named before the first start, and the data is there for the corrected spec", async () => {
    await publish("named", []);
    await withShard("named", async (_host, start) => {
      const agent = await start({ max_connections: "3" });
      const status = await agent.until("refused", ({ reason }) => reason === "ConfigInvalid");
      expect(status.setting).toBe("max_connections");
      expect(status.message).toMatch(/^PostgreSQL does not start with max_connections = '3': FATAL: .*\(3\)$/);
      expect(status.restarts).toBe(0);
      expect(await agent.stop()).toBe(0);
      const corrected = await start({ max_connections: "30" });
      expect(await corrected.until("ready", ({ ready }) => ready)).not.toHaveProperty("setting");
    });
  });

  test("trial 6: that show only when the server starts are told in its words, without a flicker", async () => {
    await publish("huge", []);
    await withShard("huge", async (_host, start) => {
      const agent = await start({ huge_pages: "on" });
      const failed = ({ reason }: AgentStatus): boolean => reason === "PostgresFailed";
      await agent.until("failed", (status) => failed(status) && status.setting !== undefined);
      for (let look = 0; look < 20; look += 1) {
        const status = await agent.status();
        expect(status).toMatchObject({ reason: "PostgresFailed", setting: "huge_pages" });
        expect(status?.message).toMatch(
          /^PostgreSQL ends right after each start, last with exit code 1: PostgreSQL does not start with huge_pages = 'on': FATAL: could not map anonymous shared memory/,
        );
        await systemClock.sleep(100);
      }
      expect(await agent.logs()).toContain("could not map anonymous shared memory");
    });
  });
});

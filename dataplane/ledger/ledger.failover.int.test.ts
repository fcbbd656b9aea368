import { randomBytes, randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "@jest/globals";
import { sha256 } from "../../lib/core/canonical.ts";
import { systemClock } from "../../lib/core/clock.ts";
import { bucketOf, DEFAULT_TENANT, proposeOwners } from "../../lib/core/ring.ts";
import { formatShardMap } from "../../lib/core/shard-map.ts";
import type { ShardMemory } from "../../lib/core/shard-memory.ts";
import { type LeaseObject, RESOURCES } from "../../lib/kube/types.ts";
import { type CertificatePair, createCertificateAuthority, issueCertificate } from "../../lib/node/certificates.ts";
import { createLifecycle } from "../../lib/node/lifecycle.ts";
import { silentLogger } from "../../lib/node/logger.ts";
import { createMetrics } from "../../lib/node/metrics.ts";
import { withClient } from "../../lib/node/postgres.ts";
import { freePort } from "../../lib/node/testing/free-port.ts";
import { startControlPlane, type TestControlPlane } from "../../testkit/kube-apiserver.ts";
import { startTestPostgres, type TestPostgres } from "../testing/postgres.ts";
import { memoryOn } from "./lease-memory.ts";
import { loadMigrations, migrate } from "./ledger.migrate.ts";
import { startService } from "./ledger.service.ts";
import { verifyShard } from "./ledger.verify.ts";
import { type ClientAnswer, createLedgerClient, type LedgerClient } from "./ledger-client.ts";
import { configMapSource } from "./shard-map-source.ts";
import { createLeaseSeat, type ShardSeat } from "./shard-seats.ts";

// Goal (C12, C42): two pods on real Leases. A client may send to either: what the other pod writes is handed on, once.
// When a pod stops, the other one takes its shards over, and every key keeps its one effect and its answer.

const NAMESPACE = "default";
const SHARDS = 2;
const MAP = { version: 1, epoch: 1, owners: proposeOwners(SHARDS) };
const ADMIN_KEY = `sxk_${randomBytes(32).toString("base64url")}`;
const databases = ["failover_0", "failover_1"];

interface Pod {
  readonly client: LedgerClient;
  readonly seats: readonly ShardSeat[];
  stop(): Promise<void>;
}

let postgres: TestPostgres;
let plane: TestControlPlane;
let authority: CertificatePair;
const releases: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  [postgres, plane] = await Promise.all([startTestPostgres(), startControlPlane()]);
  releases.push(
    () => plane.stop(),
    () => postgres.stop(),
  );
  authority = await createCertificateAuthority("test", systemClock.now());
  const migrations = await loadMigrations();
  for (const [shard, database] of databases.entries()) {
    await postgres.createLedgerDatabase(database, shard, MAP);
    await withClient(postgres.role(database, "owner"), (client) =>
      migrate(
        client,
        {
          shard,
          writerRole: `${database}_writer`,
          readerRole: `${database}_reader`,
          assets: [{ code: "CZK", scale: 2 }],
          adminKeyHash: sha256(ADMIN_KEY),
        },
        migrations,
      ),
    );
  }
  const kube = plane.client();
  for (let shard = 0; shard < SHARDS; shard += 1) {
    const lease: LeaseObject = {
      apiVersion: RESOURCES.Lease.apiVersion,
      kind: "Lease",
      metadata: { name: `l-writer-${shard}`, namespace: NAMESPACE },
      spec: {},
    };
    await kube.create(RESOURCES.Lease, lease);
  }
  const data = formatShardMap(MAP);
  await kube.create(RESOURCES.ConfigMap, {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "s-map", namespace: NAMESPACE },
    data,
  });
}, 180_000);
afterAll(async () => {
  for (const release of releases.reverse()) await release();
});

/** Ends of the pods so far. */
const stops: (() => Promise<void>)[] = [];

/** Pods of one test are no rivals in the next. */
afterEach(async () => {
  await Promise.all(stops.map((stop) => stop()));
});

/** A pod that competes for the given shards only, so that the test knows who writes what. */
async function startPod(competesFor: readonly number[]): Promise<Pod> {
  const port = await freePort();
  const tls = await issueCertificate(
    authority,
    { commonName: "l", usage: "server", dnsNames: ["l.default.svc"], ipAddresses: ["127.0.0.1"] },
    systemClock.now(),
  );
  const lifecycle = createLifecycle(silentLogger);
  const kube = plane.client();
  const common = { client: kube, namespace: NAMESPACE, clock: systemClock, random: () => 0.5, log: silentLogger };
  const identity = randomUUID();
  const seats: ShardSeat[] = [];
  await startService({
    targets: databases.map((database) => ({
      writer: postgres.role(database, "writer"),
      reader: postgres.role(database, "reader"),
    })),
    snapshotEvery: 100,
    tls: { ...tls, caPem: () => authority.certPem },
    servername: "l.default.svc",
    listen: { port, probePort: 0, host: "127.0.0.1" },
    makeSeat: (shard, makeWriter) => {
      const seat = createLeaseSeat({
        ...common,
        shard,
        name: `l-writer-${shard}`,
        identity,
        url: `https://127.0.0.1:${port}`,
        delayMs: competesFor.includes(shard) ? 0 : 3_000,
        makeWriter,
      });
      seats.push(seat);
      return seat;
    },
    makeMapSource: (reads) => configMapSource({ ...common, reads, name: "s-map" }),
    clock: systemClock,
    log: silentLogger,
    metrics: createMetrics(),
    lifecycle,
  });
  const client = createLedgerClient({ url: `https://127.0.0.1:${port}`, caPem: authority.certPem, key: ADMIN_KEY });
  let stopped: Promise<number> | undefined;
  const stop = async (): Promise<void> => {
    stopped ??= lifecycle.stop("test");
    await stopped;
    client.close();
  };
  releases.push(stop);
  stops.push(stop);
  return { client, seats, stop };
}

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const endsAt = systemClock.monotonic() + 40_000;
  while (!(await condition())) {
    if (systemClock.monotonic() > endsAt) throw new Error(`${what} did not happen in time`);
    await systemClock.sleep(20);
  }
}

const isWriting = (pod: Pod, shard: number): boolean => pod.seats[shard]?.writer()?.status().phase === "writing";

async function leaseAnnotations(shard: number): Promise<Record<string, string>> {
  const lease = await plane.client().get(RESOURCES.Lease, { namespace: NAMESPACE, name: `l-writer-${shard}` });
  return { ...lease.metadata.annotations };
}

async function annotateLease(shard: number, annotations: Record<string, string | null>): Promise<void> {
  await plane
    .client()
    .patch(
      RESOURCES.Lease,
      { namespace: NAMESPACE, name: `l-writer-${shard}` },
      { format: "merge", patch: { metadata: { annotations } } },
    );
}

let serial = 0;
function idOn(shard: number): string {
  for (;;) {
    serial += 1;
    const id = `acc-${serial}`;
    if (MAP.owners[bucketOf(DEFAULT_TENANT, id)] === shard) return id;
  }
}

const deposit = (account: string, id: string): object => ({
  id,
  debitAccount: "system:external:CZK",
  creditAccount: account,
  amount: 5,
});

describe("two pods", () => {
  test("hand on what the other one writes, and take over when it stops", async () => {
    const one = await startPod([0]);
    const two = await startPod([1]);
    await until("each pod writes its shard", () => isWriting(one, 0) && isWriting(two, 1));
    await until("each pod knows the other", () => {
      return one.seats[1]?.holderUrl() !== undefined && two.seats[0]?.holderUrl() !== undefined;
    });
    const [a, b] = [idOn(0), idOn(1)];
    const send = (pod: Pod, path: string, body: unknown): Promise<ClientAnswer> =>
      pod.client.send("POST", path, { body });

    // Accounts and single transfers: each pod answers for both shards, with the same words.
    for (const [index, id] of [a, b].entries()) {
      const opened = await send(index === 0 ? two : one, "/v1/accounts", { id, asset: "CZK" });
      expect([opened.status, opened.json<{ shard: number }>().shard]).toEqual([201, index]);
    }
    const first = await send(one, "/v1/transfers", deposit(b, "t1"));
    expect([first.status, first.json<{ shard: number }>().shard]).toEqual([201, 1]);
    const again = await send(two, "/v1/transfers", deposit(b, "t1"));
    expect(again.json()).toEqual({ ...first.json<object>(), replayed: true });
    const replayedThere = await send(one, "/v1/transfers", deposit(b, "t1"));
    expect([replayedThere.status, replayedThere.headers["idempotency-replayed"]]).toEqual([200, "true"]);

    // A key is claimed at its owner, in whichever pod that is written: for single transfers and for bulks.
    const [c, d] = [idOn(0), idOn(1)];
    for (const id of [c, d]) expect((await send(one, "/v1/accounts", { id, asset: "CZK" })).status).toBe(201);
    for (const owner of [0, 1]) {
      const key = idOn(owner);
      const answers = await Promise.all(
        [one, two].flatMap((pod) => [c, d].map((account) => send(pod, "/v1/transfers", deposit(account, key)))),
      );
      expect(answers.map(({ status }) => status).sort()).toEqual([200, 201, 422, 422]);
      const bulkKey = idOn(owner);
      const items = [deposit(c, bulkKey), deposit(d, bulkKey), deposit(d, idOn(owner))];
      for (const pod of [one, two]) {
        const bulk = (await send(pod, "/v1/transfers:bulk", { items })).json<{ items: { status: number }[] }>();
        const statuses = bulk.items.map(({ status }) => status).sort();
        expect(statuses).toEqual(pod === one ? [201, 201, 422] : [200, 200, 422]);
      }
    }
    // Claims of a whole bulk are longer than the body of a single transfer.
    const many = Array.from({ length: 10_000 }, () => deposit(c, idOn(1)));
    const whole = (await send(one, "/v1/transfers:bulk", { items: many })).json<{ items: { status: number }[] }>();
    expect(whole.items.filter(({ status }) => status !== 201)).toEqual([]);
    const refused = await send(one, "/v1/transfers", { ...deposit(b, "t1"), amount: 6 });
    expect([refused.status, refused.json<{ code: string }>().code]).toEqual([422, "IDEMPOTENCY_KEY_REUSED"]);
    expect(refused.headers["content-type"]).toContain("application/problem+json");

    // A pointer on one shard, the account on the other.
    const [wanderer, key] = [idOn(0), idOn(1)];
    const opened = await send(one, "/v1/accounts", { id: wanderer, asset: "CZK", placementKey: key, creditLimit: 3 });
    expect([opened.status, opened.json()]).toEqual([
      201,
      expect.objectContaining({ id: wanderer, placementKey: key, shard: 1, creditLimit: 3 }),
    ]);

    // Bulk: for the other pod as a whole, and mixed.
    const elsewhere = await send(one, "/v1/transfers:bulk", { items: [deposit(b, "b1"), deposit(b, "b2")] });
    expect(elsewhere.json<{ items: object[] }>().items).toMatchObject([{ status: 201 }, { status: 201 }]);
    const items = [deposit(a, "m1"), deposit(b, "m2"), { id: "m3" }, deposit(wanderer, "m4"), deposit("nobody", "m5")];
    const mixed = await send(one, "/v1/transfers:bulk", { items });
    const answers = mixed.json<{ items: { id: string; status: number; shard?: number }[] }>().items;
    expect(answers.map(({ id, status, shard }) => [id, status, shard])).toEqual([
      ["m1", 201, 0],
      ["m2", 201, 1],
      ["m3", 400, undefined],
      ["m4", 201, 1],
      ["m5", 404, undefined],
    ]);

    // The first pod stops: the second one takes over, and old keys answer as before.
    const epoch = one.seats[0]?.writer()?.status().epoch ?? 0;
    await one.stop();
    await until("the second pod writes both shards", () => isWriting(two, 0) && isWriting(two, 1));
    expect(two.seats[0]?.writer()?.status().epoch).toBeGreaterThan(epoch);
    const replayed = await send(two, "/v1/transfers", deposit(a, "m1"));
    expect([replayed.status, replayed.json<{ replayed: boolean }>().replayed]).toEqual([200, true]);
    expect((await send(two, "/v1/transfers", deposit(a, "after"))).status).toBe(201);
    const balance = (await two.client.send("GET", `/v1/accounts/${a}/balance`)).json();
    expect(balance).toMatchObject({ posted: 10, version: 2 });

    for (const [shard, database] of databases.entries()) {
      const target = postgres.role(database, "reader");
      const replay = await verifyShard({ shard, target, snapshotEvery: 100 });
      expect(Object.values(replay.findings).filter((finding) => finding.violations > 0)).toEqual([]);
    }
  });
});

describe("a log that is shorter than it was (trial 13)", () => {
  test("is not written to, and the Lease says so until its loss is accepted", async () => {
    const pod = await startPod([0, 1]);
    await until("both shards are written", () => isWriting(pod, 0) && isWriting(pod, 1));
    await until("the Lease remembers", async () => {
      return (await leaseAnnotations(0))["shieldx.dev/system-identifier"] !== undefined;
    });
    const position = pod.seats[0]?.writer()?.status().position ?? 0;
    await pod.stop();
    const { "shieldx.dev/head-position": kept, "shieldx.dev/system-identifier": cluster } = await leaseAnnotations(0);
    expect(kept).toBe(String(position));

    const target = postgres.role(databases[0] as string, "reader");
    const verified = async (memory: ShardMemory): Promise<(string | undefined)[]> => {
      const { findings } = await verifyShard({ shard: 0, target, snapshotEvery: 100, memory });
      const { checked, violations, first } = findings.memory;
      const others = Object.values(findings).filter((finding) => finding.violations > 0 && finding !== findings.memory);
      return [`${violations} of ${checked}`, first, ...others.map(({ invariant }) => invariant)];
    };
    expect(await verified(memoryOn((name) => (name.endsWith("head-position") ? kept : cluster)))).toEqual([
      "0 of 2",
      undefined,
    ]);
    expect(await verified({ position: position + 5, systemIdentifier: cluster })).toEqual([
      "1 of 2",
      `position ${position}: the log of shard 0 ends at position ${position}, but it has reached position ${position + 5}`,
    ]);
    expect(await verified({ position, systemIdentifier: "7400000000000000001" })).toEqual([
      "1 of 2",
      `shard 0 is PostgreSQL cluster ${cluster}, but the ledger's data is in cluster 7400000000000000001, where its log reached position ${position}`,
    ]);

    await annotateLease(0, { "shieldx.dev/head-position": String(position + 5) });
    const next = await startPod([0, 1]);
    await until("the loss is told", async () => {
      return (await leaseAnnotations(0))["shieldx.dev/writer-problem"] !== undefined;
    });
    const lost = `DATA_LOST: the log of shard 0 ends at position ${position}, but it has reached position ${position + 5}`;
    expect(await leaseAnnotations(0)).toMatchObject({
      "shieldx.dev/head-position": String(position + 5),
      "shieldx.dev/system-identifier": cluster,
      "shieldx.dev/writer-problem": lost,
    });
    expect(next.seats[0]?.problem()).toBe(lost);
    const answer = await next.client.send("POST", "/v1/accounts", { body: { id: idOn(0), asset: "CZK" } });
    expect([answer.status, answer.json<{ code: string }>().code]).toEqual([503, "WRITER_UNAVAILABLE"]);
    // What the controller does when somebody accepts it.
    await annotateLease(0, {
      "shieldx.dev/head-position": null,
      "shieldx.dev/system-identifier": null,
      "shieldx.dev/writer-problem": null,
    });
    await until("the shard is written again", () => isWriting(next, 0));
    await until("the Lease remembers what there is", async () => {
      const { "shieldx.dev/head-position": head, "shieldx.dev/writer-problem": problem } = await leaseAnnotations(0);
      return head === String(position) && problem === undefined;
    });
    await next.stop();
  });
});

// Stories of a ledger whose data is not where it was: what is told, what is never done, and how people go on.
import { expect, test } from "@jest/globals";
import type { ShardStatus } from "../../crds/shardset.ts";
import type { KubeObject } from "../../lib/kube/types.ts";
import type { Controller } from "../../operator/runtime/types.ts";
import { toRest as bringToRest, conditionOf, reconcileOnce, type StoryCast } from "../../testkit/story.ts";
import { createCreditLedgerController, POSITIONS_INTERVAL_SECONDS } from "./creditledger.controller.ts";
import { deps, ledger, NAME, NAMESPACE, shardSet } from "./testing/builders.ts";
import { KIND, LOWER_STEPS } from "./testing/lower.ts";
import { createWorld, type World } from "./testing/world.ts";

const KEY = { namespace: NAMESPACE, name: NAME };
const CLUSTERS = ["7400000000000000000", "7400000000000000001", "7400000000000000002"];

interface Story {
  readonly world: World;
  readonly controller: Controller;
  toRest(): Promise<string[]>;
  reconcile(): Promise<string[]>;
  /** A condition as "status reason: message". */
  condition(type: string): string;
}

const shardStatuses = (clusters: readonly string[]): ShardStatus[] =>
  clusters.map((systemIdentifier, shard) => ({ shard, ready: true, bucketCount: 1, systemIdentifier }));

async function ready(): Promise<Story> {
  const world = createWorld();
  const controller = createCreditLedgerController(deps());
  const cast: StoryCast = {
    world,
    controller,
    key: KEY,
    kind: KIND,
    steps: LOWER_STEPS,
    waitSeconds: POSITIONS_INTERVAL_SECONDS,
  };
  world.put({ ...ledger(), metadata: { name: NAME, namespace: NAMESPACE } });
  world.put(shardSet({ status: { shardStatuses: shardStatuses(CLUSTERS) } }));
  const story: Story = {
    world,
    controller,
    toRest: () => bringToRest(cast),
    reconcile: () => reconcileOnce(cast),
    condition: (type) => {
      const found = conditionOf(cast, type);
      return `${found?.status ?? ""} ${found?.reason ?? ""}: ${found?.message ?? ""}`;
    },
  };
  await story.toRest();
  expect(story.condition("Ready")).toMatch(/^True Ready/);
  return story;
}

function annotate(world: World, [kind, name]: readonly [string, string], annotations: Record<string, string>): void {
  world.edit(kind, name, (object) => ({
    ...object,
    metadata: { ...object.metadata, annotations: { ...object.metadata.annotations, ...annotations } },
  }));
}

/** What the writer of a shard leaves on its Lease. */
const wrote = (world: World, shard: number, more: Record<string, string> = {}): void =>
  annotate(world, ["Lease", `bank-writer-${String(shard)}`], {
    "shieldx.dev/head-position": "200",
    "shieldx.dev/system-identifier": CLUSTERS[shard] ?? "",
    ...more,
  });

const becomes = (world: World, clusters: readonly string[]): void =>
  world.edit("ShardSet", "main", (object) => ({
    ...object,
    status: { ...(object["status"] as object), shardStatuses: shardStatuses(clusters) },
  }));

const giveUp = (token: string): string =>
  `restore the data of that shard; to go on with what is there: kubectl annotate --overwrite creditledger bank -n bank-ns shieldx.dev/accept-data-loss=${token}`;
const aboutLeases = (lines: readonly string[]): string[] => lines.filter((line) => /Lease|DataGivenUp|Job/.test(line));
const leaseOf = (world: World, shard: number): KubeObject | undefined =>
  world.find("Lease", `bank-writer-${String(shard)}`);

test("a log that is shorter than the Lease remembers is told with the way out, and accepted once (trial 13)", async () => {
  const { world, condition, toRest, reconcile } = await ready();
  const reason = "the log of shard 1 ends at position 0, but it has reached position 200";
  wrote(world, 1, { "shieldx.dev/writer-problem": `DATA_LOST: ${reason}` });
  await toRest();
  const message = `${reason}; ${giveUp(`1:${CLUSTERS[1] ?? ""}:200:1`)}`;
  expect(condition("Ready")).toBe(`False DataLost: ${message}`);
  expect(condition("Stalled")).toBe(`True DataLost: ${message}`);
  expect(condition("Available")).toBe(`False DataLost: ${message}`);
  for (const wrong of ["1", `1:${CLUSTERS[1] ?? ""}:199:1`, `1:${CLUSTERS[1] ?? ""}:200:2`]) {
    annotate(world, [KIND, NAME], { "shieldx.dev/accept-data-loss": wrong });
    expect(aboutLeases(await reconcile())).toEqual([]);
  }
  annotate(world, [KIND, NAME], { "shieldx.dev/accept-data-loss": `1:${CLUSTERS[1] ?? ""}:200:1` });
  const note = `data of shard 1 up to position 200 in PostgreSQL cluster ${CLUSTERS[1] ?? ""} is given up as annotated`;
  expect(aboutLeases(await reconcile())).toEqual([
    `patch  Lease bank-writer-1: ${note}`,
    `event  Warning DataGivenUp: ${note}`,
  ]);
  expect(leaseOf(world, 1)?.metadata.annotations).toEqual({});
  await toRest();
  expect(condition("Ready")).toMatch(/^True Ready/);
  expect(aboutLeases(await reconcile())).toEqual([]);
});

test("a ShardSet that comes back empty under the same name is told, not migrated, until its loss is accepted", async () => {
  const { world, condition, toRest, reconcile } = await ready();
  for (const shard of [0, 1, 2]) wrote(world, shard);
  await toRest();
  expect(condition("Ready")).toMatch(/^True Ready/);
  const others = CLUSTERS.map((cluster) => cluster.replace("74", "75"));
  becomes(world, others);
  expect(aboutLeases(await reconcile())).toEqual([]);
  expect(condition("Migrated")).toBe(
    `False DataLost: ${[0, 1, 2].map((shard) => `shard ${String(shard)} is PostgreSQL cluster ${others[shard] ?? ""}, but the ledger's data is in cluster ${CLUSTERS[shard] ?? ""}, where its log reached position 200; ${giveUp(`${String(shard)}:${CLUSTERS[shard] ?? ""}:200:1`)}`).join("; ")}`,
  );
  expect(condition("Stalled")).toMatch(/^True DataLost/);
  const tokens = [0, 1, 2].map((shard) => `${String(shard)}:${CLUSTERS[shard] ?? ""}:200:1`);
  annotate(world, [KIND, NAME], { "shieldx.dev/accept-data-loss": tokens.join(", ") });
  const lines = [...(await reconcile()), ...(await toRest())];
  expect(lines.map((line) => line.trim()).filter((line) => /^(delete|create) Job/.test(line))).toEqual([
    expect.stringMatching(
      /^delete Job bank-migrate-\w+: Job bank-migrate-\w+ was for PostgreSQL clusters 7400000000000000000, 7400000000000000001, 7400000000000000002, which the shards are not any more, and is made anew$/,
    ),
    expect.stringMatching(/^create Job bank-migrate-\w+: 3 shards to migrate/),
  ]);
  expect(condition("Ready")).toMatch(/^True Ready/);
});

test("a ledger that wrote nothing is migrated again by itself, and says so", async () => {
  const { world, condition, toRest, reconcile } = await ready();
  for (const shard of [0, 1, 2]) {
    world.edit("Lease", `bank-writer-${String(shard)}`, (lease) => ({
      ...lease,
      metadata: { ...lease.metadata, annotations: {} },
    }));
  }
  becomes(world, ["7400000000000000009", ...CLUSTERS.slice(1)]);
  await reconcile();
  expect(condition("Migrated")).toMatch(/^False Migrating: Job bank-migrate-\w+ was for PostgreSQL clusters 74/);
  await toRest();
  expect(condition("Migrated")).toMatch(/^True Migrated/);
  expect(condition("Ready")).toMatch(/^True Ready/);
});

test("the status remembers for a Lease that somebody deletes", async () => {
  const { world, toRest, reconcile } = await ready();
  wrote(world, 2);
  await world.clock.advance(POSITIONS_INTERVAL_SECONDS * 1_000);
  await toRest();
  world.edit("Lease", "bank-writer-2", () => undefined);
  await reconcile();
  expect(leaseOf(world, 2)?.metadata.annotations).toEqual({
    "shieldx.dev/head-position": "200",
    "shieldx.dev/system-identifier": CLUSTERS[2],
  });
});

test("a Job of the version that recorded nothing stays what it is", async () => {
  const { world, condition, toRest, reconcile } = await ready();
  const [job] = world.all("Job");
  world.edit("Job", job?.metadata.name ?? "", (object) => ({
    ...object,
    metadata: { ...object.metadata, annotations: {} },
  }));
  becomes(
    world,
    CLUSTERS.map((cluster) => cluster.replace("74", "75")),
  );
  expect(aboutLeases(await reconcile())).toEqual([]);
  await toRest();
  expect(condition("Ready")).toMatch(/^True Ready/);
});

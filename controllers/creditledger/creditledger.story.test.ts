import { describe, expect, test } from "@jest/globals";
import type { CreditLedger } from "../../crds/creditledger.ts";
import { OperatorError } from "../../lib/core/errors.ts";
import type { Controller } from "../../operator/runtime/types.ts";
import {
  toRest as bringToRest,
  conditionOf,
  expectGolden,
  namesIn,
  reconcileOnce,
  type StoryCast,
  toRestInRandomOrder,
} from "../../testkit/story.ts";
import { createCreditLedgerController, POSITIONS_INTERVAL_SECONDS } from "./creditledger.controller.ts";
import { MIGRATION_RETRY_SECONDS } from "./creditledger.migration.ts";
import { deps, ledger, NAME, NAMESPACE, shardSet, spec } from "./testing/builders.ts";
import { failJob, KIND, LOWER_STEPS, shardSetStep, takeLease } from "./testing/lower.ts";
import { createWorld, type World } from "./testing/world.ts";

// Runs the whole controller against a small world in memory, together with what others do there (agents, Jobs, pods),
// to rest; transcripts are compared with __golden__ (rewritten by `make update-golden`).

const KEY = { namespace: NAMESPACE, name: NAME };

describe("stories", () => {
  test("from nothing to Ready", async () => {
    const { world, controller, lines } = begin();
    lines.push(...(await reconcile(controller, world)), "· the ShardSet appears");
    world.put(shardSet({ status: { shardsReady: 0 } }));
    lines.push(...(await toRest(controller, world)));
    expect(condition(world, "Ready")).toMatchObject({ status: "True", observedGeneration: 1 });
    expectGolden(import.meta.dirname, "from-nothing-to-ready", lines);
  });

  test("a new version: migration first, then pods, then old Jobs", async () => {
    const { world, lines } = await ready();
    const upgraded = createCreditLedgerController(deps({ images: { shieldx: "shieldx:2" } }));
    lines.push("· the operator brings image shieldx:2", ...(await toRest(upgraded, world)));
    expectGolden(import.meta.dirname, "new-version", lines);
  });

  test("a failed migration is shown, and made anew later", async () => {
    const { world, controller, lines } = begin();
    world.put(shardSet());
    while (shardSetStep(world) !== undefined || world.all("Job").length === 0) await reconcile(controller, world);
    failJob(world, new Date(world.clock.now()).toISOString());
    lines.push("· the migration fails five times", ...(await reconcile(controller, world)));
    await world.clock.advance(MIGRATION_RETRY_SECONDS * 1_000);
    lines.push(`· ${String(MIGRATION_RETRY_SECONDS)} s later`, ...(await toRest(controller, world)));
    expectGolden(import.meta.dirname, "failed-migration", lines);
  });

  test("deleted with Retain, then made again: the kept objects are taken over", async () => {
    const { world, controller, lines } = await ready();
    const kept = ["bank-ca", "bank-ca-key", "bank-admin-key", "bank-roles"].map((name) => world.find("Secret", name));
    remove(world);
    lines.push("· deleted", ...(await toRest(controller, world)), "· made again");
    expect(world.find(KIND, NAME)).toBeUndefined();
    world.put(freshLedger());
    lines.push(...(await toRest(controller, world)));
    expect(condition(world, "Ready")).toMatchObject({ status: "True" });
    for (const before of kept)
      expect(world.find("Secret", before?.metadata.name ?? "")?.["data"]).toEqual(before?.["data"]);
    expectGolden(import.meta.dirname, "retained-and-adopted", lines);
  });

  test("deleted with Delete: the database is dropped on every shard before the keys go", async () => {
    const { world, controller, lines } = await ready({ deletionPolicy: "Delete" });
    remove(world);
    lines.push("· deleted", ...(await toRest(controller, world)));
    expect([...world.all(KIND), ...world.all("Secret"), ...world.all("Lease"), ...world.all("Deployment")]).toEqual([]);
    expectGolden(import.meta.dirname, "deleted", lines);
  });

  test("deleted with Delete after its ShardSet is gone: nothing is waited for", async () => {
    const { world, controller } = await ready({ deletionPolicy: "Delete" });
    world.edit("ShardSet", "main", () => undefined);
    remove(world);
    await reconcile(controller, world);
    expect([...world.all(KIND), ...world.all("Secret"), ...world.all("Lease")]).toEqual([]);
  });

  test("Retain chosen while a drop is under way takes the drop back", async () => {
    const { world, controller } = await ready({ deletionPolicy: "Delete" });
    remove(world);
    await reconcile(controller, world);
    expect(requestJson(world)).toMatchObject({ drop: true });
    world.edit(KIND, NAME, (object) => ({
      ...object,
      spec: { ...(object as CreditLedger).spec, deletionPolicy: "Retain" },
    }));
    await reconcile(controller, world);
    expect(world.find(KIND, NAME)).toBeUndefined();
    expect(requestJson(world)).not.toHaveProperty("drop");
  });
});

describe("rest", () => {
  test("a second reconcile, and a restarted controller, write nothing", async () => {
    const { world, controller } = await ready();
    expect(await reconcile(controller, world)).toEqual([]);
    expect(await reconcile(createCreditLedgerController(deps()), world)).toEqual([]);
  });

  test.each(Array.from({ length: 20 }, (_, seed) => seed))(
    "any order of what others do ends the same (seed %i)",
    async (seed) => {
      const { world, controller } = begin();
      world.put(shardSet({ status: { shardsReady: 0 } }));
      await toRestInRandomOrder(castOf(controller, world), seed);
      const { world: expected } = await ready();
      const kinds = ["Secret", "Lease", "Job", "Deployment", "Service", "Role"];
      expect(condition(world, "Ready")).toMatchObject({ status: "True" });
      // Names of Jobs hold the hash of the admin key, which is made from the same numbers in both worlds.
      expect(namesIn(world, kinds)).toEqual(namesIn(expected, kinds));
    },
  );
});

describe("failures", () => {
  test("an object of somebody else is left alone and named in the condition", async () => {
    const { world, controller } = begin();
    world.put(shardSet());
    world.put({ apiVersion: "v1", kind: "Service", metadata: { name: NAME }, spec: { ports: [] } });
    await expect(controller.reconcile(KEY, world.context)).resolves.toMatchObject({ error: { code: "NAME_CONFLICT" } });
    expect(world.find("Service", NAME)).toMatchObject({ spec: { ports: [] } });
    const says = { reason: "NameConflict", message: expect.stringContaining('Service "bank" exists and is not ours') };
    expect(condition(world, "Ready")).toMatchObject({ status: "False", ...says });
    expect(condition(world, "Stalled")).toMatchObject({ status: "True", ...says });
    world.edit("Service", NAME, () => undefined);
    await toRest(controller, world);
    expect(condition(world, "Ready")).toMatchObject({ status: "True" });
  });

  test.each([
    ["KUBE_FORBIDDEN", "True", "False"],
    ["KUBE_INVALID", "False", "True"],
  ] as const)("a write refused with %s is shown and returned", async (code, reconciling, stalled) => {
    const { world, controller } = await ready();
    world.edit("Deployment", NAME, () => undefined);
    world.fail("Deployment", NAME, new OperatorError(code, "no"), "once");
    await expect(controller.reconcile(KEY, world.context)).resolves.toMatchObject({ error: { code } });
    expect(condition(world, "Ready")).toMatchObject({ reason: "ReconcileFailed", message: `${code}: no` });
    expect(condition(world, "Reconciling")?.status).toBe(reconciling);
    expect(condition(world, "Stalled")?.status).toBe(stalled);
  });

  test("a conflict is returned, and no condition speaks of it", async () => {
    const { world, controller } = await ready();
    const before = world.find(KIND, NAME)?.["status"];
    world.fail("Service", NAME, new OperatorError("KUBE_CONFLICT", "changed"), "once");
    await expect(controller.reconcile(KEY, world.context)).resolves.toMatchObject({ error: { code: "KUBE_CONFLICT" } });
    expect(world.find(KIND, NAME)?.["status"]).toEqual(before);
  });

  test("a shard that goes away shows, and takes nothing away", async () => {
    const { world, controller } = await ready();
    world.edit("ShardSet", "main", (object) => ({
      ...object,
      status: { ...(object["status"] as object), shardsReady: 2 },
    }));
    expect(await reconcile(controller, world)).toEqual([
      "status",
      "event  Normal WaitingForShards: 2 of 3 shards of ShardSet main accept writes",
    ]);
    expect(condition(world, "Ready")).toMatchObject({ status: "False", reason: "WaitingForShards" });
    expect(condition(world, "Available")).toMatchObject({ status: "True" });
  });

  test("a CA that cannot be used is told with the way out, keeps nothing else down, and heals when it is deleted", async () => {
    const { world, controller } = await ready();
    const text = (name: string, key: string): string =>
      Buffer.from(
        (world.find("Secret", name) as { data?: Record<string, string> } | undefined)?.data?.[key] ?? "",
        "base64",
      ).toString();
    const first = text("bank-ca", "ca.crt").trim();
    world.edit("Secret", "bank-ca-key", (secret) => ({
      ...secret,
      data: { ...(secret["data"] as object), "tls.crt": Buffer.from("RSA\n").toString("base64") },
    }));
    const message =
      "Secret bank-ca-key holds no usable CA (its certificate is not that of a CA); restore it, or delete it to have it made anew";
    expect(await reconcile(controller, world)).toEqual(["status", `event  Warning AuthorityInvalid: ${message}`]);
    expect(condition(world, "Ready")).toMatchObject({ status: "False", reason: "AuthorityInvalid", message });
    expect(condition(world, "Stalled")).toMatchObject({ status: "True", reason: "AuthorityInvalid", message });
    await world.clock.advance(61 * 86_400_000);
    expect(await reconcile(controller, world)).toEqual([]);

    for (const kind of ["Deployment", "Service"]) world.edit(kind, NAME, () => undefined);
    await toRest(controller, world);
    for (const kind of ["Deployment", "Service"]) expect(world.find(kind, NAME)).toBeDefined();
    expect(condition(world, "Available")).toMatchObject({ status: "True" });
    expect(condition(world, "Ready")).toMatchObject({ reason: "AuthorityInvalid" });

    world.edit("Secret", "bank-ca-key", () => undefined);
    await toRest(controller, world);
    expect(condition(world, "Ready")).toMatchObject({ status: "True" });
    expect(text("bank-ca-key", "tls.crt")).toBe("");
    await world.clock.advance(11 * 60_000);
    await toRest(controller, world);
    expect(condition(world, "Ready")).toMatchObject({ status: "True" });
    const second = text("bank-ca-key", "tls.crt").trim();
    expect(text("bank-ca", "ca.crt").trim().split("\n")).toEqual([first, second]);
    expect(text("bank-tls", "ca.crt").trim().split("\n")).toEqual([first, second]);
  });

  test("a paused ledger is observed and left alone", async () => {
    const { world, controller } = await ready();
    world.edit(KIND, NAME, (object) => ({
      ...object,
      metadata: { ...object.metadata, annotations: { "shieldx.dev/paused": "true" } },
    }));
    world.edit("Service", NAME, () => undefined);
    expect(await reconcile(controller, world)).toEqual(["status"]);
    expect(condition(world, "Reconciling")).toMatchObject({ status: "False", reason: "Paused" });
    expect(world.find("Service", NAME)).toBeUndefined();
  });

  test("a kept database on another ShardSet is refused", async () => {
    const { world, controller } = await ready();
    remove(world);
    await toRest(controller, world);
    world.put({ ...freshLedger(), spec: spec({ shardSet: "other" }) });
    const other = shardSet();
    world.put({ ...other, metadata: { ...other.metadata, name: "other" } });
    await reconcile(controller, world);
    expect(condition(world, "Stalled")).toMatchObject({
      status: "True",
      reason: "RetainedDataConflict",
      message: "Secret bank-database keeps a database on ShardSet main, but spec.shardSet is other",
    });
  });
});

describe("positions", () => {
  test("change in the status at most every 10 s, writers at once", async () => {
    const { world, controller } = await ready();
    await world.clock.advance(POSITIONS_INTERVAL_SECONDS * 1_000);
    takeLease(world, "bank-writer-0", { holder: "a_uid", epoch: 1, position: "100" });
    expect(await reconcile(controller, world)).toEqual(["status"]);
    takeLease(world, "bank-writer-0", { holder: "a_uid", epoch: 1, position: "200" });
    await world.clock.advance(3_000);
    await expect(controller.reconcile(KEY, world.context)).resolves.toEqual({ requeueAfterSeconds: 7 });
    expect(world.takeTranscript()).toEqual([]);
    takeLease(world, "bank-writer-0", { holder: "b_uid", epoch: 2, position: "300" });
    expect(await reconcile(controller, world)).toEqual(["status"]);
    expect(head(world)).toEqual({ shard: 0, position: 100, epoch: 2, writer: "b" });
    await world.clock.advance(7_000);
    expect(await reconcile(controller, world)).toEqual(["status"]);
    expect(head(world)).toEqual({ shard: 0, position: 300, epoch: 2, writer: "b" });
  });
});

function begin(changes: Partial<CreditLedger["spec"]> = {}): { world: World; controller: Controller; lines: string[] } {
  const world = createWorld();
  world.put({ ...freshLedger(), spec: spec(changes) });
  return { world, controller: createCreditLedgerController(deps()), lines: [] };
}

async function ready(changes: Partial<CreditLedger["spec"]> = {}): Promise<ReturnType<typeof begin>> {
  const story = begin(changes);
  story.world.put(shardSet());
  await toRest(story.controller, story.world);
  expect(condition(story.world, "Ready")).toMatchObject({ status: "True" });
  return story;
}

/** As a user applies it: no finalizer, no status. */
function freshLedger(): CreditLedger {
  const made = ledger();
  return { ...made, metadata: { name: NAME, namespace: NAMESPACE } };
}

function remove(world: World): void {
  world.edit(KIND, NAME, (object) => ({
    ...object,
    metadata: { ...object.metadata, deletionTimestamp: "2025-01-01T00:00:00Z" },
  }));
}

const castOf = (controller: Pick<Controller, "reconcile">, world: World): StoryCast => ({
  world,
  controller,
  key: KEY,
  kind: KIND,
  steps: LOWER_STEPS,
  // Positions wait for their turn; everything else at rest waits for hours.
  waitSeconds: POSITIONS_INTERVAL_SECONDS,
});

const reconcile = (controller: Pick<Controller, "reconcile">, world: World) => reconcileOnce(castOf(controller, world));
const toRest = (controller: Pick<Controller, "reconcile">, world: World) => bringToRest(castOf(controller, world));
const condition = (world: World, type: string) => conditionOf({ world, kind: KIND, key: KEY }, type);

function head(world: World): unknown {
  return (world.find(KIND, NAME) as CreditLedger).status?.heads?.[0];
}

function requestJson(world: World): unknown {
  const secret = world.find("Secret", "bank-database") as { data?: Record<string, string> } | undefined;
  return JSON.parse(Buffer.from(secret?.data?.["request.json"] ?? "", "base64").toString("utf8"));
}

// What people do by hand to a ledger that runs: to its status, its Deployment and Leases, and to labels of its objects.
import { describe, expect, test } from "@jest/globals";
import type { CreditLedger } from "../../crds/creditledger.ts";
import { ANNOTATIONS, LABELS } from "../../crds/group.ts";
import { conditionOf, type StoryCast, toRest } from "../../testkit/story.ts";
import { createCreditLedgerController, POSITIONS_INTERVAL_SECONDS } from "./creditledger.controller.ts";
import { deps, ledger, NAME, NAMESPACE, shardSet } from "./testing/builders.ts";
import { KIND, LOWER_STEPS } from "./testing/lower.ts";
import { createWorld } from "./testing/world.ts";

async function ready(): Promise<StoryCast> {
  const controller = createCreditLedgerController(deps());
  const world = createWorld(controller.indexes);
  const { finalizers: _, resourceVersion: __, ...metadata } = ledger().metadata;
  world.put({ ...ledger(), metadata });
  world.put(shardSet());
  const key = { namespace: NAMESPACE, name: NAME };
  const waitSeconds = POSITIONS_INTERVAL_SECONDS;
  const cast: StoryCast = { world, controller, key, kind: KIND, steps: LOWER_STEPS, waitSeconds };
  await toRest(cast);
  expect(conditionOf(cast, "Ready")).toMatchObject({ status: "True" });
  return cast;
}

const told = (cast: StoryCast, type: string): string => {
  const { status = "", reason = "", message = "" } = conditionOf(cast, type) ?? {};
  return `${status} ${reason}: ${message}`;
};

/** Without the times of its conditions. */
const statusOf = (cast: StoryCast): object => {
  const { conditions = [], ...rest } = (cast.world.find(KIND, NAME) as CreditLedger | undefined)?.status ?? {};
  return { ...rest, conditions: conditions.map(({ lastTransitionTime: _, ...says }) => says) };
};

test("a status that somebody empties comes back as it was", async () => {
  const cast = await ready();
  const before = statusOf(cast);
  cast.world.edit(KIND, NAME, ({ status: _, ...object }) => object);
  await toRest(cast);
  expect(statusOf(cast)).toEqual(before);
});

describe("a writer Lease", () => {
  const hold = (cast: StoryCast, holderIdentity: string): void =>
    cast.world.edit("Lease", "bank-writer-1", (lease) => ({
      ...lease,
      spec: { ...(lease["spec"] as object), holderIdentity },
    }));

  test.each(["intruder", "bank-7d9f-abcde_uid-former"])(
    "that %s holds, who is no pod of the ledger, is no writer",
    async (holder) => {
      const cast = await ready();
      hold(cast, holder);
      await toRest(cast);
      expect(told(cast, "Ready")).toBe(
        `False WritersUnavailable: 2 of 3 shards have a writer, none: 1; 2 of 2 pods are ready; held by ${holder}, which is no pod of the ledger: Lease bank-writer-1`,
      );
      expect(cast.world.find(KIND, NAME)).toMatchObject({ status: { writersReady: 2 } });
      hold(cast, "bank-7d9f-abcde_uid-pod");
      await toRest(cast);
      expect(told(cast, "Ready")).toMatch(/^True Ready/);
    },
  );

  test("is without a writer once the pod that holds it is gone", async () => {
    const cast = await ready();
    cast.world.edit("Pod", "bank-7d9f-abcde", () => undefined);
    await toRest(cast);
    expect(told(cast, "Available")).toMatch(/^False WritersUnavailable: 0 of 3 shards have a writer/);
  });
});

test("a database that its writer cannot use is told, with what to do, and is no loss that could be given up", async () => {
  const cast = await ready();
  const say = (problem: string | undefined): void =>
    cast.world.edit("Lease", "bank-writer-1", (lease) => {
      const { [ANNOTATIONS.writerProblem]: _, ...annotations } = lease.metadata.annotations ?? {};
      const said = problem === undefined ? {} : { [ANNOTATIONS.writerProblem]: problem };
      return { ...lease, metadata: { ...lease.metadata, annotations: { ...annotations, ...said } } };
    });
  say('INTERNAL: shard 1: relation "ledger.event" does not exist (SQLSTATE 42P01)');
  await toRest(cast);
  expect(told(cast, "Stalled")).toBe(
    'True DatabaseUnusable: shard 1: relation "ledger.event" does not exist (SQLSTATE 42P01); nothing is written there until the database is as it was: restore what is missing, or the right that was taken; the writer goes on by itself',
  );
  say(undefined);
  await toRest(cast);
  expect(told(cast, "Ready")).toMatch(/^True Ready/);
});

test("a Deployment that somebody paused is told when its pods are to be replaced, with the way on", async () => {
  const cast = await ready();
  const pause = (paused: boolean): void =>
    cast.world.edit("Deployment", NAME, (object) => ({ ...object, spec: { ...(object["spec"] as object), paused } }));
  pause(true);
  await toRest(cast);
  expect(told(cast, "Ready")).toMatch(/^True Ready/);
  cast.world.edit(KIND, NAME, (object) => ({
    ...object,
    spec: { ...(object["spec"] as object), snapshotEveryEvents: 77 },
  }));
  // Its controllers do nothing.
  const others = LOWER_STEPS.filter(({ name }) => name !== "deploymentStep");
  await toRest({ ...cast, steps: others });
  expect(told(cast, "Stalled")).toBe(
    "True StartBlocked: pods are being replaced; 2 of 2 pods are ready; somebody paused its Deployment, which replaces no pods until then: kubectl rollout resume deployment bank -n bank-ns",
  );
  pause(false);
  await toRest(cast);
  expect(told(cast, "Ready")).toMatch(/^True Ready/);
});

describe("labels that somebody takes off", () => {
  test.each([
    ["Secret", "bank-roles"],
    ["Secret", "bank-admin-key"],
    ["Secret", "bank-ca"],
    ["Secret", "bank-database"],
    ["Lease", "bank-writer-1"],
    ["Deployment", "bank"],
    ["Service", "bank"],
  ])("%s %s come back, and the object is the same one", async (kind, name) => {
    const cast = await ready();
    const before = cast.world.find(kind, name);
    for (const taken of [[LABELS.name], [LABELS.kind], [LABELS.kind, LABELS.name]] as string[][]) {
      cast.world.edit(kind, name, ({ metadata, ...rest }) => ({
        ...rest,
        metadata: {
          ...metadata,
          labels: Object.fromEntries(Object.entries(metadata.labels ?? {}).filter(([label]) => !taken.includes(label))),
        },
      }));
      await toRest(cast);
      expect(told(cast, "Ready")).toMatch(/^True Ready/);
    }
    const after = cast.world.find(kind, name);
    expect(after?.metadata.labels).toEqual(before?.metadata.labels);
    expect([after?.metadata.uid, after?.["data"]]).toEqual([before?.metadata.uid, before?.["data"]]);
  });
});

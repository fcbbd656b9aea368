// What clumsy users and intruders do to the objects of a ledger: nothing may be lost, and no sentence wrong.
import { describe, expect, test } from "@jest/globals";
import { creditLedgerStatus } from "../../crds/creditledger.ts";
import { ANNOTATIONS, LABELS } from "../../crds/group.ts";
import { OperatorError } from "../../lib/core/errors.ts";
import { omitUndefined } from "../../lib/core/objects.ts";
import { conditionOf, reconcileOnce, type StoryCast, toRest } from "../../testkit/story.ts";
import { createCreditLedgerController } from "./creditledger.controller.ts";
import { deps, ledger, NAME, NAMESPACE, shardSet } from "./testing/builders.ts";
import { KIND, LOWER_STEPS } from "./testing/lower.ts";
import { createWorld } from "./testing/world.ts";

async function ready(): Promise<StoryCast> {
  const controller = createCreditLedgerController(deps());
  const world = createWorld(controller.indexes);
  const { finalizers: _, resourceVersion: __, ...metadata } = ledger().metadata;
  world.put({ ...ledger(), metadata });
  world.put(shardSet());
  const cast = { world, controller, key: { namespace: NAMESPACE, name: NAME }, kind: KIND, steps: LOWER_STEPS };
  await toRest(cast);
  expect(conditionOf(cast, "Ready")).toMatchObject({ status: "True" });
  return cast;
}

test("what somebody changes of objects of the ledger is taken back (trial 7)", async () => {
  const cast = await ready();
  cast.world.edit("Secret", `${NAME}-tls`, (secret) => ({ ...secret, data: { "tls.crt": "Z2FyYmFnZQo=" } }));
  cast.world.edit("Service", NAME, (service) => ({
    ...service,
    spec: { ...(service["spec"] as object), selector: { app: "other" } },
  }));
  await toRest(cast);
  expect(cast.world.find("Secret", `${NAME}-tls`)).toMatchObject({ data: { "tls.key": expect.any(String) } });
  expect((cast.world.find("Service", NAME)?.["spec"] as { selector: object }).selector).not.toHaveProperty("app");
  expect(conditionOf(cast, "Ready")).toMatchObject({ status: "True" });
});

test("what somebody deletes comes back while other objects cannot be written", async () => {
  const cast = await ready();
  for (const [kind, name] of [
    ["Secret", "bank-ca"],
    ["Role", "bank-ledger"],
    ["Service", NAME],
  ] as const) {
    cast.world.fail(kind, name, new OperatorError("KUBE_FORBIDDEN", `no ${kind}`));
  }
  cast.world.edit("Deployment", NAME, () => undefined);
  cast.world.edit("Secret", "bank-database", () => undefined);
  await reconcileOnce(cast).catch(() => undefined);
  expect(cast.world.find("Deployment", NAME)).toBeDefined();
  expect(cast.world.find("Secret", "bank-database")).toBeDefined();
  expect(conditionOf(cast, "Ready")?.message).toBe(
    "3 steps failed: KUBE_FORBIDDEN: no Secret; KUBE_FORBIDDEN: no Role; KUBE_FORBIDDEN: no Service",
  );
});

describe("deletion", () => {
  test("held by somebody else's finalizer does not keep the Ready of before", async () => {
    const cast = await ready();
    const { world } = cast;
    world.edit(KIND, NAME, ({ metadata, ...rest }) => ({
      ...rest,
      metadata: { ...metadata, finalizers: [...(metadata.finalizers ?? []), "other.example/hold"] },
    }));
    world.markDeleted(KIND, NAME);
    await toRest(cast);
    expect(world.find(KIND, NAME)?.metadata.finalizers).toEqual(["other.example/hold"]);
    expect(conditionOf(cast, "Ready")).toMatchObject({
      status: "False",
      reason: "Deleting",
      message: "nothing of ours is left; finalizers of others still hold it: other.example/hold",
    });
  });

  test("with its ShardSet, whose volumes go, waits for no drop of the database", async () => {
    const cast = await ready();
    const { world } = cast;
    const { name } = shardSet().metadata;
    world.edit(KIND, NAME, (object) => ({
      ...object,
      spec: { ...(object["spec"] as object), deletionPolicy: "Delete" },
    }));
    world.edit("ShardSet", name, ({ metadata, spec, ...rest }) => ({
      ...rest,
      metadata: { ...metadata, finalizers: ["shieldx.dev/finalizer"] },
      spec: { ...(spec as object), deletionPolicy: "Delete" },
    }));
    world.markDeleted("ShardSet", name);
    world.markDeleted(KIND, NAME);
    await reconcileOnce(cast);
    expect(world.find(KIND, NAME)).toBeUndefined();
  });
});

describe("Leases", () => {
  test.each([
    ["a negative position", { annotations: { [ANNOTATIONS.headPosition]: "-5" } }, {}],
    ["a long holder", {}, { holderIdentity: "h".repeat(300) }],
  ])("%s makes no status that the server refuses", async (_what, metadata, spec) => {
    const cast = await ready();
    cast.world.edit("Lease", "bank-writer-1", (lease) => ({
      ...lease,
      metadata: { ...lease.metadata, ...metadata },
      spec: { ...(lease["spec"] as object), ...spec },
    }));
    await cast.world.clock.advance(11_000);
    await toRest(cast);
    const { status } = cast.world.find(KIND, NAME) as { status?: object };
    expect(creditLedgerStatus.safeParse(omitUndefined(status ?? {})).error?.issues).toBeUndefined();
  });

  test.each(["x", "", "0", "-1", "7"])(
    "one whose shard label somebody sets to %j is not said to be without a writer",
    async (label) => {
      const cast = await ready();
      cast.world.edit("Lease", "bank-writer-1", (lease) => ({
        ...lease,
        metadata: { ...lease.metadata, labels: { ...lease.metadata.labels, [LABELS.shard]: label } },
      }));
      await toRest(cast);
      expect(conditionOf(cast, "Available")?.message).not.toContain("none: 1");
    },
  );
});

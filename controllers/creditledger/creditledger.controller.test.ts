import { describe, expect, test } from "@jest/globals";
import type { CreditLedger } from "../../crds/creditledger.ts";
import type { KubeObject } from "../../lib/kube/types.ts";
import type { Watch } from "../../operator/runtime/types.ts";
import { createCreditLedgerController } from "./creditledger.controller.ts";
import { deps, ledger, NAMESPACE, shardSet, spec } from "./testing/builders.ts";
import { createWorld } from "./testing/world.ts";

// Which change of which object wakes which ledger.

const controller = createCreditLedgerController(deps());

describe("watches", () => {
  const world = createWorld(controller.indexes);
  for (const [name, on] of [
    ["bank", "main"],
    ["points", "main"],
    ["other", "side"],
  ] as const) {
    const made: CreditLedger = { ...ledger(), metadata: { name, namespace: NAMESPACE }, spec: spec({ shardSet: on }) };
    world.put(made);
  }
  const wakes = (watch: Watch, object: KubeObject): string[] =>
    watch.keys(object, world.cache).map(({ namespace, name }) => `${namespace}/${name}`);

  test("a ShardSet wakes the ledgers on it", () => {
    expect(wakes(watchOf("ShardSet"), shardSet())).toEqual(["bank-ns/bank", "bank-ns/points"]);
  });

  test("an object of ours wakes its ledger", () => {
    const labels = { "shieldx.dev/kind": "CreditLedger", "shieldx.dev/name": "points" };
    for (const kind of ["Secret", "Deployment", "Service", "PodDisruptionBudget", "Role", "Job", "Pod", "Lease"]) {
      expect(wakes(watchOf(kind), object(kind, labels))).toEqual(["bank-ns/points"]);
    }
    expect(wakes(watchOf("Secret"), object("Secret", {}))).toEqual([]);
  });

  test("a database request of anybody wakes the ledgers on its ShardSet", () => {
    const requests = controller.watches.find(({ labelSelector }) => labelSelector?.includes("database-request"));
    const labels = { "shieldx.dev/component": "database-request", "shieldx.dev/shardset": "side" };
    expect(wakes(requests as Watch, object("Secret", labels))).toEqual(["bank-ns/other"]);
  });

  test.each<[string, Record<string, unknown>, boolean]>([
    ["a renewal", { renewTime: "2025-01-01T00:00:02Z" }, false],
    ["another holder", { holderIdentity: "b_uid" }, true],
    ["another epoch", { leaseTransitions: 2 }, true],
    ["a release", { holderIdentity: "" }, true],
  ])("of a writer Lease %s", (_name, change, wakesUp) => {
    const held = { holderIdentity: "a_uid", leaseTransitions: 1, renewTime: "2025-01-01T00:00:00Z" };
    const before = { ...object("Lease", { "shieldx.dev/shard": "0" }), spec: held };
    expect(watchOf("Lease").changed?.(before, { ...before, spec: { ...held, ...change } })).toBe(wakesUp);
  });

  test("of a writer Lease another position", () => {
    const before = object("Lease", { "shieldx.dev/shard": "0" });
    const after = { ...before, metadata: { ...before.metadata, annotations: { "shieldx.dev/head-position": "7" } } };
    expect(watchOf("Lease").changed?.(before, after)).toBe(true);
  });
});

test("a key that is gone has nothing to do", async () => {
  const world = createWorld();
  await expect(controller.reconcile({ namespace: NAMESPACE, name: "gone" }, world.context)).resolves.toEqual({});
});

function watchOf(kind: string): Watch {
  const found = controller.watches.find(({ resource }) => resource.kind === kind);
  if (found === undefined) throw new Error(`${kind} is not watched`);
  return found;
}

function object(kind: string, labels: Record<string, string>): KubeObject {
  return { apiVersion: "v1", kind, metadata: { name: "x", namespace: NAMESPACE, labels } };
}

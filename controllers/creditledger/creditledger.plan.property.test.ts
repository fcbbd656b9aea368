import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { CREDIT_LEDGER } from "../../crds/creditledger.ts";
import { requestHash } from "../../crds/database-request.ts";
import { FINALIZER } from "../../crds/group.ts";
import { canonicalJson } from "../../lib/core/canonical.ts";
import { withFinalizer } from "../../operator/runtime/finalizers.ts";
import { tellReport } from "../../operator/runtime/report.ts";
import type { Action, Condition, Plan } from "../../operator/runtime/types.ts";
import type { Assessment } from "./creditledger.assess.ts";
import type { ObservedJob } from "./creditledger.facts.ts";
import { databaseRequest, migrationJobName } from "./creditledger.objects.ts";
import { planCreditLedger } from "./creditledger.plan.ts";
import { reportCreditLedger } from "./creditledger.report.ts";
import {
  assessment,
  job as jobOf,
  kept,
  lease,
  ledger,
  NAMES,
  ROOTS,
  readyShardSet,
  spec,
  target,
  VERIFIERS,
} from "./testing/builders.ts";

// Whatever is observed, in whatever combination: the rules that protect data hold for every plan.

const NOW = 1_750_000_000_000;
const DROP = { ...databaseRequest(NAMES, VERIFIERS), drop: true };

/** Every observation is a choice of which parts of the world exist, and in which state. */
const scopes = fc
  .record({
    deletion: fc.constantFrom<"no" | "Retain" | "Delete">("no", "no", "Retain", "Delete"),
    finalizer: fc.boolean(),
    shardSet: fc.boolean(),
    shardsReady: fc.integer({ min: 0, max: 3 }),
    databaseOn: fc.integer({ min: 0, max: 3 }),
    dropReported: fc.boolean(),
    roots: fc.record({ caKey: fc.boolean(), adminKey: fc.boolean(), roles: fc.boolean() }),
    request: fc.constantFrom<"none" | "made" | "drop">("none", "made", "drop"),
    requestOn: fc.constantFrom("main", "main", "main", "other"),
    job: fc.constantFrom<ObservedJob["state"] | "none">("none", "running", "succeeded", "failed"),
    oldJob: fc.boolean(),
    leases: fc.subarray([0, 1, 2]),
    broken: fc.boolean(),
  })
  .map((given): Assessment => {
    const request = given.dropReported ? DROP : databaseRequest(NAMES, VERIFIERS);
    const jobs = [
      ...(given.oldJob ? [job("bank-migrate-old", "succeeded")] : []),
      ...(given.job === "none" ? [] : [job(migrationJobName(target(), "sxk_1"), given.job)]),
    ];
    const asked = given.request === "drop" ? DROP : databaseRequest(NAMES, VERIFIERS);
    const pair = { certPem: "CA\n", keyPem: "key" };
    return assessment(
      {
        ledger: ledger({
          metadata: {
            name: "bank",
            namespace: "bank-ns",
            finalizers: given.finalizer || given.deletion !== "no" ? [FINALIZER] : [],
            ...(given.deletion === "no" ? {} : { deletionTimestamp: "2025-01-01T00:00:00Z" }),
          },
          spec: spec({ deletionPolicy: policyOf(given.deletion) }),
        }),
        shardSet: given.shardSet
          ? readyShardSet({ shardsReady: given.shardsReady, done: given.databaseOn, request })
          : undefined,
        caKey: given.roots.caKey ? ROOTS.caKey : undefined,
        adminKey: given.roots.adminKey ? ROOTS.adminKey : undefined,
        roles: given.roots.roles ? ROOTS.roles : undefined,
        request:
          given.request === "none" ? undefined : kept("bank-database", { shardSet: given.requestOn, request: asked }),
        jobs,
        leases: given.leases.map((shard) => lease(shard)),
      },
      {
        ...(given.broken ? { problem: "Secret bank-roles lacks a key" } : {}),
        pki: { leaves: new Map(), ...(given.roots.caKey ? {} : { ca: pair }) },
        ...(given.roots.adminKey ? {} : { adminKey: "sxk_1" }),
        ...(given.roots.roles ? { verifiers: VERIFIERS } : { passwords: { owner: "o", writer: "w", reader: "r" } }),
      },
    );
  });

test("pods start only after the migration of their version succeeded", () => {
  always(({ world: seen }, { actions }) => {
    const serves = actions.some((action) => touches(action, "apply", "Deployment"));
    const migrated = seen.jobs.some(({ name, state }) => name !== "bank-migrate-old" && state === "succeeded");
    expect(serves && !migrated).toBe(false);
  });
});

test("keys and passwords are removed only when the policy says so and nothing is left that needs them", () => {
  always(({ world: seen }, { actions }) => {
    const removed = actions.some(
      (action) => action.type === "delete" && /-(roles|admin-key|ca|ca-key|database)$/.test(action.name),
    );
    if (!removed) return;
    expect(seen.ledger.metadata.deletionTimestamp).toBeDefined();
    expect(seen.ledger.spec.deletionPolicy).toBe("Delete");
    expect(seen.request?.value?.shardSet ?? "main").toBe("main");
    const databases = seen.shardSet?.status?.databases ?? [];
    const dropped = databases.some((it) => it.requestHash === requestHash(DROP) && it.shardsReady === 3);
    const neverAsked = seen.request === undefined && seen.roles === undefined;
    expect(seen.shardSet === undefined || dropped || neverAsked).toBe(true);
  });
});

test("a drop is asked for only when the policy says so", () => {
  always(({ world: seen }, { actions }) => {
    const drops = actions.some(
      (action) => touches(action, "apply", "Secret") && textOf(action).includes('"drop":true'),
    );
    if (drops) expect(seen.ledger.spec.deletionPolicy).toBe("Delete");
    if (drops) expect(seen.ledger.metadata.deletionTimestamp).toBeDefined();
  });
});

test("nothing is derived from a root that is made in the same plan", () => {
  always(({ world: seen }, { actions }) => {
    const makes = (name: string): boolean =>
      actions.some((action) => action.type !== "delete" && "object" in action && action.object.metadata.name === name);
    if (seen.caKey === undefined) expect([makes("bank-ca"), makes("bank-tls")]).toEqual([false, false]);
    if (seen.roles === undefined && seen.ledger.metadata.deletionTimestamp === undefined) {
      expect([makes("bank-database"), actions.some((action) => touches(action, "apply", "Deployment"))]).toEqual([
        false,
        false,
      ]);
    }
  });
});

test("the finalizer is the first thing on and the last thing off", () => {
  always(({ world: seen }, { actions }) => {
    const at = actions.findIndex(({ type }) => type === "patch");
    if (at < 0) return;
    expect(at).toBe(seen.ledger.metadata.deletionTimestamp === undefined ? 0 : actions.length - 1);
  });
});

test("a living ledger never loses an object but an outdated or failed Job", () => {
  always(({ world: seen }, { actions }) => {
    if (seen.ledger.metadata.deletionTimestamp !== undefined) return;
    for (const action of actions) if (action.type === "delete") expect(action.resource.kind).toBe("Job");
  });
});

test("the same observation gives the same plan and status, and a status that says why it is not ready", () => {
  always((given, plan) => {
    expect(canonicalJson(planFor(given))).toBe(canonicalJson(plan));
    const run = { now: NOW, paused: false, error: undefined, asideError: undefined };
    const { status } = tellReport(given.world.ledger, reportCreditLedger(given, true), run);
    const conditions = status["conditions"] as readonly Condition[];
    const [ready, reconciling, stalled] = conditions;
    const states = [ready?.status, reconciling?.status, stalled?.status].map((status) => status === "True");
    // Exactly one of the three holds: there, on the way, or stuck.
    expect(states.filter(Boolean)).toHaveLength(1);
    expect(ready?.message).not.toBe("");
  });
});

/** As the runtime carries it out: with the finalizer around it. */
function planFor(given: Assessment): Plan {
  return withFinalizer(given.world.ledger, CREDIT_LEDGER, planCreditLedger(given, NOW));
}

function always(check: (given: Assessment, plan: Plan) => void): void {
  fc.assert(
    fc.property(scopes, (given) => check(given, planFor(given))),
    { numRuns: 500 },
  );
}

function touches(action: Action, type: "apply" | "create", kind: string): boolean {
  return action.type === type && action.object.kind === kind;
}

function textOf(action: Action): string {
  const { data = {} } = (action as unknown as { object: { data?: Record<string, string> } }).object;
  return Object.values(data)
    .map((text) => Buffer.from(text, "base64").toString("utf8"))
    .join("\n");
}

function policyOf(deletion: "no" | "Retain" | "Delete"): "Retain" | "Delete" {
  return deletion === "no" ? "Delete" : deletion;
}

function job(name: string, state: ObservedJob["state"]): ObservedJob {
  return jobOf(name, { state, failedAt: state === "failed" ? 0 : undefined });
}

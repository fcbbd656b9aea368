import { expect, test } from "@jest/globals";
import fc from "fast-check";
import type { ShardSetStatus } from "../../crds/shardset.ts";
import { canonicalJson } from "../../lib/core/canonical.ts";
import { identityKey, type ShardIdentity } from "../../lib/core/shard-identity.ts";
import { tellReport } from "../../operator/runtime/report.ts";
import type { Action, Condition } from "../../operator/runtime/types.ts";
import type { Assessment } from "./shardset.assess.ts";
import type { ObservedLease } from "./shardset.facts.ts";
import { planGrowth, planShardSet } from "./shardset.plan.ts";
import { reportShardSet } from "./shardset.report.ts";
import {
  agent,
  assessment,
  claim,
  map,
  NAME,
  NAMES,
  NAMESPACE,
  pod,
  READY_STATUS,
  ROOTS,
  type Seen,
  shardSet,
  spec,
  UID,
  unboundClaim,
} from "./testing/builders.ts";

// Whatever is observed, in whatever combination: the rules that protect data hold for every plan.

const NOW = 1_750_000_000_000;
/** Shards that own buckets wherever there is a map. */
const OWNERS = [0, 1, 2];
const MAP = map(OWNERS.length);
const FORMER = "uid-former";
const OLD_SPEC = { postgres: { parameters: { work_mem: "8MB" } } };

/** What there is of one shard. */
const shardPart = fc.record({
  claim: fc.constantFrom<"none" | "bound" | "deleting" | "small" | "unbound" | "wrong">(
    "none",
    "unbound",
    "unbound",
    "wrong",
    "bound",
    "bound",
    "bound",
    "deleting",
    "small",
  ),
  pod: fc.constantFrom<"none" | "good" | "outdated" | "deleting" | "Failed" | "young">(
    "none",
    "good",
    "good",
    "outdated",
    "outdated",
    "deleting",
    "Failed",
    "young",
  ),
  agent: fc.constantFrom<"none" | "ready" | "down" | "recovering">(
    "none",
    "ready",
    "ready",
    "ready",
    "down",
    "recovering",
  ),
  certificate: fc.boolean(),
  lease: fc.constantFrom<"none" | "held" | "unheld">("none", "held", "unheld"),
  identity: fc.constantFrom<ShardIdentity | undefined>(
    undefined,
    { state: "new" },
    { state: "known", systemIdentifier: "74" },
    { state: "given-up", systemIdentifier: "73" },
  ),
});
type ShardPart = typeof shardPart extends fc.Arbitrary<infer T> ? T : never;

const ANSWERS = {
  ready: {},
  down: { ready: false, reason: "PostgresFailed" },
  recovering: { ready: false, reason: "PostgresStarting" },
};

function podOf(shard: number, state: ShardPart["pod"]): NonNullable<Seen["pods"]> {
  switch (state) {
    case "none":
      return [];
    case "good":
      return [pod(shard)];
    case "outdated":
      return [pod(shard, {}, OLD_SPEC)];
    case "deleting":
      return [pod(shard, { deleting: true })];
    case "Failed":
      return [pod(shard, { phase: "Failed" })];
    case "young":
      return [pod(shard, { phase: "Failed", createdAt: NOW - 1 })];
  }
}

/** Every observation is a choice of which parts of the world exist, and in which state. */
const scopes = fc
  .record({
    shards: fc.constantFrom(2, 3, 3, 4),
    deletion: fc.constantFrom<"no" | "Retain" | "Delete">("no", "no", "no", "Retain", "Delete"),
    ledger: fc.boolean(),
    /** This very ShardSet has published its map. */
    published: fc.boolean(),
    initialized: fc.boolean(),
    map: fc.constantFrom<"none" | "good" | "broken">("none", "good", "good", "broken"),
    caKey: fc.constantFrom<"none" | "good" | "unusable">("none", "good", "good", "good", "unusable"),
    ca: fc.boolean(),
    leaseFacts: fc.constantFrom<Partial<ObservedLease>>({}, { epoch: 3 }, { epoch: 3, systemIdentifier: "75" }),
    isFormer: fc.boolean(),
    /** All of them: a deletion goes on only then. */
    arePodsGone: fc.boolean(),
    parts: fc.tuple(shardPart, shardPart, shardPart, shardPart),
  })
  .map((given): Assessment => {
    const parts = [...given.parts.entries()];
    const createdFor = given.isFormer ? FORMER : UID;
    const { map: known, shardStatuses } = READY_STATUS;
    const status: ShardSetStatus = {
      observedGeneration: 1,
      ...(given.published && known !== undefined && shardStatuses !== undefined ? { map: known, shardStatuses } : {}),
      ...(given.initialized ? { initialized: true } : {}),
    };
    const of = shardSet({
      metadata: {
        name: NAME,
        namespace: NAMESPACE,
        ...(given.deletion === "no" ? {} : { deletionTimestamp: "2025-01-01T00:00:00Z" }),
      },
      spec: spec({ shards: given.shards, deletionPolicy: given.deletion === "no" ? "Delete" : given.deletion }),
      status,
    });
    const seen: Seen = {
      shardSet: of,
      ca: given.ca ? ROOTS.ca : undefined,
      caKey: given.caKey === "none" ? undefined : ROOTS.caKey,
      map:
        given.map === "none"
          ? undefined
          : {
              ...MAP,
              createdFor,
              value: given.map === "broken" ? undefined : MAP.value,
              identities: new Map(
                given.map === "broken"
                  ? []
                  : parts.flatMap(([shard, { identity }]) =>
                      identity === undefined ? [] : [[shard, identity] as const],
                    ),
              ),
            },
      leaseFacts: given.leaseFacts,
      ledgers: given.ledger ? ["credits"] : [],
      claims: parts.flatMap(([shard, { claim: state }]) => {
        if (state === "none") return [];
        const requested = state === "small" || state === "wrong" ? "512Mi" : "1Gi";
        if (state === "unbound" || state === "wrong") return [unboundClaim(shard, { createdFor, requested })];
        return [claim(shard, { createdFor, requested, deleting: state === "deleting" })];
      }),
      pods: given.arePodsGone ? [] : parts.flatMap(([shard, part]) => podOf(shard, part.pod)),
      agents: parts.flatMap(([shard, { agent: state }]) => (state === "none" ? [] : [agent(shard, ANSWERS[state])])),
      leases: parts.flatMap(([shard, { lease }]) => (lease === "none" ? [] : [shard])),
      held: parts.flatMap(([shard, { lease }]) => (lease === "held" ? [shard] : [])),
      certificates: parts.flatMap(([shard, { certificate }]) => (certificate ? [NAMES.shardTls(shard)] : [])),
    };
    const pair = { certPem: "CA\n", keyPem: "key" };
    const fresh = new Map(parts.map(([shard]) => [NAMES.shardTls(shard), { pair, why: "there is none" }]));
    return assessment(seen, {
      leaves: given.caKey === "good" ? fresh : new Map(),
      ...(given.caKey === "none" ? { ca: pair } : {}),
      ...(given.caKey === "unusable" ? { problem: "Secret bank-ca-key holds no usable CA" } : {}),
    });
  });

/** All that a reconcile would do. */
const actionsOf = (given: Assessment): readonly Action[] => [
  ...planShardSet(given, NOW).actions,
  ...planGrowth(given).actions,
];

function always(check: (given: Assessment, actions: readonly Action[]) => void): void {
  fc.assert(
    fc.property(scopes, (given) => check(given, actionsOf(given))),
    { numRuns: 400 },
  );
}

/** `data` of the patches of a ConfigMap. */
function patchesOf(actions: readonly Action[], name: string): Record<string, string>[] {
  return actions.flatMap((action) =>
    action.type === "patch" && action.name === name ? [action.patch["data"] as Record<string, string>] : [],
  );
}

/** "create Pod bank-0-0", "delete Pod bank-0-0", and so on. */
function deedsOf(actions: readonly Action[]): string[] {
  return actions.flatMap((action) => {
    if (action.type === "event") return [];
    return "object" in action
      ? [`${action.type} ${action.object.kind} ${action.object.metadata.name}`]
      : [`${action.type} ${action.resource.kind} ${action.name}`];
  });
}

/** Nobody can have made data for the shard: this very ShardSet made the map, and its Lease, which nobody ever held. */
function isUnused({ map: seen, leases, shardSet: { status } }: Assessment["world"], shard: number): boolean {
  const isNew = seen?.createdFor === UID && seen.identities.get(shard)?.state === "new";
  return isNew && leases.get(shard)?.wasHeld === false && status?.initialized !== true;
}

test("an empty volume is never made for a shard that owns buckets, unless nobody ever made data for it", () => {
  always(({ world }, actions) => {
    const isKnown = world.map?.value !== undefined || world.shardSet.status?.map !== undefined;
    if (!isKnown) return;
    const deeds = deedsOf(actions);
    for (const shard of OWNERS.filter((owner) => !isUnused(world, owner))) {
      expect(deeds).not.toContain(`create PersistentVolumeClaim ${NAMES.instance(shard)}`);
    }
  });
});

test("a claim is made anew only while it has no volume, and refused by the server when it gets one", () => {
  always(({ world }, actions) => {
    if (world.isEnding) return;
    for (const action of actions) {
      if (action.type !== "delete" || action.resource.kind !== "PersistentVolumeClaim") continue;
      const found = [...world.claims.values()].find(({ name }) => name === action.name);
      expect([found?.wasBound, found?.createdFor]).toEqual([false, UID]);
      expect(action.resourceVersion).toBe("7");
    }
  });
});

test("pods are replaced while no PostgreSQL works in them, or one alone while all shards accept writes", () => {
  always(({ shards, world }, actions) => {
    const replaced = shards.filter((state) =>
      actions.some(
        (action) => action.type === "delete" && action.note.includes("is replaced") && action.name === state.pod?.name,
      ),
    );
    for (const { shard, difference, activity } of replaced) {
      expect(difference).toBeDefined();
      expect(["idle", "serving"]).toContain(activity);
      expect(world.claims.get(shard)?.deleting).not.toBe(true);
    }
    if (replaced.every(({ activity }) => activity === "idle")) return;
    expect(replaced).toHaveLength(1);
    expect(shards.every(({ activity }) => activity === "serving")).toBe(true);
  });
});

test("a pod that serves is never taken from a living ShardSet but to be replaced", () => {
  always(({ shards, world }, actions) => {
    if (world.shardSet.metadata.deletionTimestamp !== undefined) return;
    for (const action of actions) {
      if (action.type !== "delete" || action.resource.kind === "PersistentVolumeClaim") continue;
      expect(action.resource.kind).toBe("Pod");
      const state = shards.find(({ shard }) => NAMES.instance(shard) === action.name);
      if (!action.note.includes("is replaced")) expect(state?.pod?.phase).toBe("Failed");
    }
  });
});

test("a pod is made only on a volume that stays, and after its certificate", () => {
  always(({ world, volumes }, actions) => {
    const deeds = deedsOf(actions);
    for (const [at, deed] of deeds.entries()) {
      const shard = world.target.shards.find((index) => deed === `create Pod ${NAMES.instance(index)}`);
      if (shard === undefined) continue;
      const before = deeds.slice(0, at);
      const hasVolume =
        world.claims.has(shard) || before.includes(`create PersistentVolumeClaim ${NAMES.instance(shard)}`);
      const secret = NAMES.shardTls(shard);
      const isCertified =
        before.includes(`apply Secret ${secret}`) ||
        world.leaves.some((leaf) => leaf.secret === secret && leaf.kept !== undefined);
      expect([hasVolume, volumes.ending.includes(shard), isCertified]).toEqual([true, false, true]);
    }
  });
});

test("nothing is made, changed or removed beside kept data that does not fit", () => {
  always(({ volumes, world }, actions) => {
    if (volumes.conflict !== undefined && !world.isEnding) expect(actions).toEqual([]);
  });
});

test("kept objects are removed only with the policy Delete, by the ShardSet that used them, after its pods", () => {
  always(({ world, volumes }, actions) => {
    const kept = deedsOf(actions).filter((deed) =>
      /^delete (PersistentVolumeClaim|ConfigMap|Secret bank-ca(-key)?$)/.test(deed),
    );
    if (kept.length === 0) return;
    if (!world.isEnding) {
      // Claims that never got a volume, see above.
      expect(kept).toEqual(volumes.wrong.map(({ name }) => `delete PersistentVolumeClaim ${name}`));
      return;
    }
    expect([world.ledgers, world.pods.size]).toEqual([[], 0]);
    if (world.target.spec.deletionPolicy === "Retain") {
      const claims = [...world.claims.values()];
      const empty = claims.filter(({ wasBound, createdFor }) => !wasBound && createdFor === UID);
      const isEmpty = OWNERS.every((shard) => claims.every((of) => of.shard !== shard || empty.includes(of)));
      const removable = empty.map(({ name }) => `delete PersistentVolumeClaim ${name}`);
      if (isEmpty && OWNERS.every((shard) => isUnused(world, shard))) removable.push(`delete ConfigMap ${NAMES.map}`);
      expect(kept.filter((deed) => !removable.includes(deed))).toEqual([]);
      return;
    }
    const isFormer = [...world.claims.values(), world.map].some((object) => object?.createdFor === FORMER);
    expect([volumes.isForeign, isFormer && world.shardSet.status?.map === undefined]).toEqual([false, false]);
  });
});

test("the map is made only where there is none, after the volumes", () => {
  always(({ world }, actions) => {
    const deeds = deedsOf(actions);
    const at = deeds.indexOf(`create ConfigMap ${NAMES.map}`);
    expect(deeds.some((deed) => deed.startsWith("apply ConfigMap"))).toBe(false);
    for (const patch of patchesOf(actions, NAMES.map)) {
      expect(Object.keys(patch).filter((key) => !key.startsWith("systemIdentifier."))).toEqual([]);
    }
    if (at < 0) return;
    expect(world.map).toBeUndefined();
    expect(deeds.findLastIndex((deed) => deed.startsWith("create PersistentVolumeClaim"))).toBeLessThan(at);
  });
});

test("a shard may begin only where nothing says that it had data, and what its data is never changes by itself", () => {
  always(({ world, agents }, actions) => {
    const isOurs = world.map?.createdFor === UID;
    for (const patch of patchesOf(actions, NAMES.map)) {
      for (const shard of world.target.shards) {
        const [recorded, next] = [world.map?.identities.get(shard), patch[identityKey(shard)]];
        if (next === undefined) continue;
        expect(recorded?.state).not.toBe("known");
        expect(next).not.toMatch(/^given-up/);
        if (next !== "new") {
          const known = world.shardSet.status?.shardStatuses?.find((state) => state.shard === shard);
          const { systemIdentifier } = { ...world.leases.get(shard), ...known, ...agents.get(shard) };
          expect(next).toBe(systemIdentifier);
        }
        const hadData = OWNERS.includes(shard) && (!isOurs || world.shardSet.status?.initialized === true);
        if (hadData || (world.leases.get(shard)?.epoch ?? 0) > 0) expect(next).not.toBe("new");
      }
    }
  });
});

test("nothing is signed with a CA that is made in the same plan, or that cannot be used", () => {
  always(({ made }, actions) => {
    if (made.ca === undefined && made.problem === undefined) return;
    expect(deedsOf(actions).filter((deed) => /^apply Secret bank-(ca|.*-tls)$/.test(deed))).toEqual([]);
  });
});

test("the same world gives the same plan and status, and a status that says why it is not ready", () => {
  always((given, actions) => {
    expect(canonicalJson(actionsOf(given))).toBe(canonicalJson(actions));
    const run = { now: NOW, paused: false, error: undefined, asideError: undefined };
    const { status } = tellReport(given.world.shardSet, reportShardSet(given, run), run);
    const [ready, reconciling, stalled] = status["conditions"] as readonly Condition[];
    const states = [ready?.status, reconciling?.status, stalled?.status].map((holds) => holds === "True");
    // Exactly one of the three holds: there, on the way, or stuck.
    expect(states.filter(Boolean)).toHaveLength(1);
    expect(ready?.message).not.toBe("");
  });
});

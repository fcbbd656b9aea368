// Rollouts as a game: the controller plans, the world answers with whatever may happen to agents, kubelets and people, in
// every order. No move of ours may make a second shard unready, or end a PostgreSQL that we know nothing of.
import { expect, test } from "@jest/globals";
import fc from "fast-check";
import type { ShardSetSpec } from "../../crds/shardset.ts";
import type { AgentAnswer, ObservedPod } from "./shardset.facts.ts";
import { planShardSet } from "./shardset.plan.ts";
import { agent, assessment, NAMES, pod, READY, withSpec } from "./testing/builders.ts";

const NOW = 1_750_000_000_000;
const SHARDS = [0, 1, 2];

/** Specs that people ask for in turn; pods of the bad one come up and never serve. */
const SPECS = {
  first: {},
  good: { postgres: { parameters: { work_mem: "8MB" } } },
  bad: { postgres: { parameters: { max_connections: "3" } } },
} as const satisfies Record<string, Partial<ShardSetSpec>>;
type SpecName = keyof typeof SPECS;

/** What may be in a pod; `silent` hides one of the others from us. */
const ACTIVITIES = ["pulling", "failing", "recovering", "serving"] as const;
type Activity = (typeof ACTIVITIES)[number];

interface Shard {
  readonly spec: SpecName;
  readonly activity: Activity;
  readonly silent: "no" | "remembered" | "unreachable";
}

const shardStart = fc.record({
  spec: fc.constantFrom<SpecName>("first", "good", "bad"),
  activity: fc.constantFrom<Activity>(...ACTIVITIES),
  silent: fc.constantFrom<Shard["silent"]>("no", "no", "remembered", "unreachable"),
});

type Move =
  | { readonly type: "spec"; readonly spec: SpecName }
  | ({ readonly type: "world"; readonly shard: number } & Pick<Shard, "activity" | "silent">)
  | { readonly type: "reconcile" };

const moves: fc.Arbitrary<Move[]> = fc.array(
  fc.oneof(
    fc.record({ type: fc.constant("spec" as const), spec: fc.constantFrom<SpecName>("first", "good", "bad") }),
    fc.record({
      type: fc.constant("world" as const),
      shard: fc.constantFrom(...SHARDS),
      activity: fc.constantFrom<Activity>(...ACTIVITIES),
      silent: fc.constantFrom<Shard["silent"]>("no", "no", "remembered", "unreachable"),
    }),
    fc.constant({ type: "reconcile" as const }),
    fc.constant({ type: "reconcile" as const }),
  ),
  { maxLength: 24 },
);

function podOf(shard: number, { spec, activity }: Shard): ObservedPod {
  const isStarted = activity !== "pulling";
  return pod(
    shard,
    { isStarted, phase: isStarted ? "Running" : "Pending", ready: activity === "serving" },
    SPECS[spec],
  );
}

function answerOf(shard: number, { activity, silent }: Shard): AgentAnswer[] {
  if (silent === "unreachable" || activity === "pulling") return [];
  const reason = { failing: "PostgresFailed", recovering: "PostgresStarting", serving: "Ready" }[activity];
  const answer = agent(shard, { ready: reason === "Ready", reason });
  // Only an answer of a pod that its kubelet calls ready is remembered.
  if (silent === "remembered") return activity === "serving" ? [{ ...answer, isRemembered: true }] : [];
  return [answer];
}

/** The shards whose pods one reconcile takes away. */
function taken(shards: readonly Shard[], wanted: SpecName): number[] {
  const given = assessment({
    ...READY,
    shardSet: withSpec(SPECS[wanted]),
    pods: shards.map((state, shard) => podOf(shard, state)),
    agents: shards.flatMap((state, shard) => answerOf(shard, state)),
  });
  return planShardSet(given, NOW).actions.flatMap((action) =>
    action.type === "delete" ? SHARDS.filter((shard) => NAMES.instance(shard) === action.name) : [],
  );
}

/** A pod that was just made from a spec: it comes up, or not. */
const fresh = (spec: SpecName): Shard => ({ spec, activity: spec === "bad" ? "failing" : "recovering", silent: "no" });

test("no move of ours ends more than one serving shard, a recovery, or what we cannot see", () => {
  fc.assert(
    fc.property(fc.tuple(shardStart, shardStart, shardStart), moves, (start, steps) => {
      let shards: readonly Shard[] = start;
      let wanted: SpecName = "first";
      for (const move of steps) {
        if (move.type === "spec") wanted = move.spec;
        else if (move.type === "world") {
          const { activity, silent } = move;
          shards = shards.map((state, shard) =>
            shard === move.shard ? { ...state, silent, activity: state.spec === "bad" ? "failing" : activity } : state,
          );
        } else {
          const goes = taken(shards, wanted);
          const serving = goes.filter((shard) => shards[shard]?.activity === "serving");
          for (const shard of goes) {
            const { spec, activity, silent } = shards[shard] as Shard;
            expect(spec).not.toBe(wanted);
            expect(activity).not.toBe("recovering");
            // What never started has no agent to hear from.
            if (activity !== "pulling") expect(silent).toBe("no");
          }
          // One that serves goes alone, and only while we know that all others serve: the last one is through.
          if (serving.length > 0) {
            expect(goes).toHaveLength(1);
            expect(shards.every(({ activity, silent }) => activity === "serving" && silent === "no")).toBe(true);
          }
          const wants = wanted;
          shards = shards.map((state, shard) => (goes.includes(shard) ? fresh(wants) : state));
        }
      }
    }),
    { numRuns: 100 },
  );
});

test("from every state that can be seen, a good spec is reached without hands", () => {
  fc.assert(
    fc.property(fc.tuple(shardStart, shardStart, shardStart), (start) => {
      let shards: readonly Shard[] = start.map((state) => ({ ...state, silent: "no" as const }));
      for (let look = 0; look < 12; look += 1) {
        const goes = taken(shards, "good");
        shards = shards.map((state, shard) => {
          if (goes.includes(shard)) return fresh("good");
          // Recoveries end; what is of a good spec and does not start was only slow.
          const ends = state.activity === "recovering" || (state.spec === "good" && state.activity !== "serving");
          return ends ? { ...state, activity: "serving" as const } : state;
        });
      }
      expect(shards.map(({ spec, activity }) => `${spec} ${activity}`)).toEqual(SHARDS.map(() => "good serving"));
    }),
    { numRuns: 100 },
  );
});

test("trial 6, trial 9: whatever happens, a bad spec takes one serving shard at most", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...SHARDS), { maxLength: 12 }), (outOfReach) => {
      let shards: readonly Shard[] = SHARDS.map(() => ({ spec: "first", activity: "serving", silent: "no" }));
      for (const hidden of outOfReach) {
        const goes = taken(shards, "bad");
        shards = shards.map((state, shard) => ({
          ...(goes.includes(shard) ? fresh("bad") : state),
          silent: shard === hidden ? "unreachable" : "no",
        }));
      }
      expect(shards.filter(({ spec }) => spec === "bad").length).toBeLessThanOrEqual(1);
    }),
    { numRuns: 100 },
  );
});

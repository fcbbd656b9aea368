import { describe, expect, test } from "@jest/globals";
import type { RolloutStatus } from "../../crds/rollout-status.ts";
import { type Transition, transitionsOf } from "./rollout.transitions.ts";

// What counts as having happened between two statuses, each thing once.

const retreat = { reason: "Harm", message: "m", outcome: "RolledBack", decidedAt: "2026-01-01T00:10:00.000Z" } as const;
const taken = { ...retreat, observedAt: "2026-01-01T00:10:01.500Z" };
const ended = {
  revision: "r2",
  outcome: "RolledBack",
  reason: "Harm",
  message: "m",
  startedAt: "2026-01-01T00:00:00.000Z",
  endedAt: "2026-01-01T00:11:00.000Z",
} as const;
const first = { ...ended, revision: "r1", outcome: "Promoted", startedAt: "2025-12-31T00:00:00.000Z" } as const;

const status = (given: Partial<RolloutStatus>): RolloutStatus => ({ phase: "Idle", ...given }) as RolloutStatus;

const DECIDED: Transition = { type: "retreat", outcome: "RolledBack", reason: "Harm" };
const TAKEN: Transition = { type: "taken-back", outcome: "RolledBack", seconds: 1.5 };
const ENDED: Transition = { type: "ended", outcome: "RolledBack", seconds: 660 };

describe("what happened", () => {
  test.each<{ name: string; before: RolloutStatus | undefined; after: RolloutStatus | undefined; want: Transition[] }>([
    { name: "nothing was told yet", before: undefined, after: undefined, want: [] },
    { name: "a release begins", before: status({}), after: status({ phase: "Preparing" }), want: [] },
    { name: "a retreat is decided", before: status({}), after: status({ retreat }), want: [DECIDED] },
    { name: "the retreat goes on", before: status({ retreat }), after: status({ retreat }), want: [] },
    { name: "weight 0 is taken", before: status({ retreat }), after: status({ retreat: taken }), want: [TAKEN] },
    { name: "both at once", before: status({}), after: status({ retreat: taken }), want: [DECIDED, TAKEN] },
    {
      name: "another retreat",
      before: status({ retreat: taken }),
      after: status({ retreat: { ...retreat, decidedAt: "2026-01-02T00:00:00.000Z" } }),
      want: [DECIDED],
    },
    {
      name: "the release ends",
      before: status({ retreat: taken, releases: [first] }),
      after: status({ releases: [ended, first] }),
      want: [ENDED],
    },
    {
      name: "the first release ends",
      before: status({}),
      after: status({ releases: [ended] }),
      want: [ENDED],
    },
    {
      name: "the list is full",
      before: status({ releases: [ended, first] }),
      after: status({ releases: [ended] }),
      want: [],
    },
    {
      name: "the clock of a new leader is behind",
      before: status({ retreat }),
      after: status({ retreat: { ...retreat, observedAt: "2026-01-01T00:09:00.000Z" } }),
      want: [{ ...TAKEN, seconds: 0 }],
    },
    { name: "the status is lost", before: status({ retreat, releases: [first] }), after: undefined, want: [] },
  ])("$name", ({ before, after, want }) => {
    expect(transitionsOf(before, after)).toEqual(want);
    expect(transitionsOf(after, after)).toEqual([]);
  });
});

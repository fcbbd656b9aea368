import { expect, test } from "@jest/globals";
import type { RolloutStatus } from "../../crds/rollout-status.ts";
import { stepDeadline } from "./rollout.deadline.ts";
import { spec } from "./testing/builders.ts";

// The times of the test's spec: deadline 600 s, stages of at most 600 s, bake 60 s, drain 30 s.

const SINCE = "2026-01-01T00:00:00.000Z";
const LATER = "2026-01-01T00:01:00.000Z";
const retreat = { reason: "Harm", message: "m", outcome: "RolledBack", decidedAt: SINCE } as const;
const forEver = spec().stages.map((stage) => ({ ...stage, maxHoldSeconds: 0 }));
const verified = { verifiedAt: LATER };

test.each<{
  name: string;
  status: Partial<RolloutStatus>;
  want: number | undefined;
  spec?: Parameters<typeof spec>[0];
}>([
  { name: "nothing told", status: {}, want: undefined },
  { name: "at rest", status: { phase: "Idle" }, want: undefined },
  { name: "pods come up", status: { phase: "Preparing" }, want: 600 },
  { name: "it is verified, each check in its time", status: { phase: "Verifying" }, want: undefined },
  { name: "the gateway takes the weight", status: { phase: "Canary", stage: 0 }, want: 600 },
  { name: "a stage is judged", status: { phase: "Canary", stage: 1, ...verified }, want: 600 },
  {
    name: "a stage that may take for ever",
    status: { phase: "Canary", stage: 0, ...verified },
    spec: { stages: forEver },
    want: undefined,
  },
  { name: "a bake", status: { phase: "Baking", ...verified }, want: 660 },
  { name: "all requests move", status: { phase: "Switching" }, want: 600 },
  { name: "the former version is drained", status: { phase: "Retiring" }, want: 30 },
  { name: "weight 0 is on its way", status: { phase: "RollingBack", retreat }, want: 60 },
  {
    name: "the canary is drained",
    status: { phase: "RollingBack", retreat: { ...retreat, observedAt: LATER } },
    want: 90,
  },
  { name: "a retreat that is not described", status: { phase: "RollingBack" }, want: undefined },
  {
    name: "it waits for a person",
    status: { phase: "Canary", pause: { reason: "Approval", since: LATER } },
    want: undefined,
  },
  { name: "somebody holds it", status: { phase: "Canary", heldSince: LATER }, want: undefined },
  { name: "somebody begins to hold it", status: { phase: "Preparing" }, spec: { paused: true }, want: undefined },
  {
    name: "a retreat waits for nobody",
    status: { phase: "RollingBack", retreat, heldSince: LATER },
    spec: { paused: true },
    want: 60,
  },
])("$name", ({ status, want, spec: given }) => {
  const told = status.phase === undefined ? status : { phaseSince: SINCE, ...status };
  const deadline = stepDeadline(told as RolloutStatus, spec(given));
  expect(deadline).toBe(want === undefined ? undefined : Date.parse(SINCE) + want * 1_000);
});

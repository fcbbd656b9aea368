import { ROLLOUT, type Rollout, rolloutSpec } from "../../../crds/rollout.ts";
import { type RolloutStatus } from "../../../crds/rollout-status.ts";

/** 2026-03-01T12:00:00Z */
export const NOW = Date.parse("2026-03-01T12:00:00Z");

/** Some time before `NOW`. */
export function ago(seconds: number): string {
  return new Date(NOW - seconds * 1_000).toISOString();
}

/** The smallest spec, with what is given. */
export function specOf(members: object = {}): Rollout["spec"] {
  return rolloutSpec.parse({
    target: { deployment: "shop" },
    service: { name: "shop" },
    traffic: { gatewayAPI: { parentRefs: [{ name: "public" }] } },
    ...members,
  });
}

/** Rollout `shop` of namespace `bank`. */
export function rolloutOf(status: Partial<RolloutStatus> = {}, spec: object = {}): Rollout {
  return {
    apiVersion: ROLLOUT.apiVersion,
    kind: ROLLOUT.kind,
    metadata: { namespace: "bank", name: "shop", generation: 1, creationTimestamp: ago(7_200) },
    spec: specOf(spec),
    status: { observedGeneration: 1, ...status },
  };
}

/** Condition Ready. */
export function readyAs(status: "True" | "False", reason: string, message: string) {
  return [{ type: "Ready", status, reason, message, observedGeneration: 1, lastTransitionTime: ago(60) }];
}

/** What is so in the middle of a release, at the second of five stages. */
export const RELEASING: Partial<RolloutStatus> = {
  phase: "Canary",
  stage: 1,
  step: "2/5",
  phaseSince: ago(192),
  stable: { colour: "Blue", revision: "aaaa000000", since: ago(90_000) },
  canary: { colour: "Green", revision: "bbbb000000", since: ago(400) },
  releaseStartedAt: ago(400),
  share: "5 %",
  weight: { desiredBps: 500, observedBps: 500, measuredBps: 487 },
  verdict: { verdict: "Inconclusive", reason: "TooFewSamples", message: "errors: canary 0 of 212 of 500" },
  conditions: readyAs("False", "Releasing", "revision bbbb000000 is judged at 5 % of the requests, stage 2 of 5"),
};

/** What is to be sampled: one release at one place of its ladder. */
import type { RolloutAnalysis } from "../../../crds/rollout-analysis.ts";
import type { RolloutPolicy } from "../../../crds/rollout-policy.ts";
import type { Key } from "../../../operator/runtime/types.ts";

/** A pod of one version. */
export interface ScrapeTarget {
  readonly name: string;
  readonly uid: string;
  readonly ip: string;
  /** Whether requests come to it. One that just lost them has counts that matter; one that never had any need not answer. */
  readonly isReady: boolean;
}

/** Processes that are asked at one look, of one version or of a gateway: they stand for the others, and each costs a question. */
export const TARGETS_MAX = 200;

export interface SampleTask {
  /** Namespace and name of the Rollout. */
  readonly key: Key;
  /** Names the run: another one is another run. */
  readonly revision: string;
  readonly policy: RolloutPolicy;
  readonly analysis: RolloutAnalysis;
  /** Index in the policy's stages. */
  readonly stage: number;
  /** The weight that the gateway was seen to have taken; 0 at stage 0 for the stable version alone, before the first weight. */
  readonly weightBps: number;
  /** What the canary answers in place of a share of the requests (copies: its weight is theirs), or beside it. */
  readonly beside?: "Copies" | "Testers";
  readonly canary: readonly ScrapeTarget[];
  readonly stable: readonly ScrapeTarget[];
  /** Names of both Services, in the Rollout's namespace; for a gateway. */
  readonly services: { readonly canary: string; readonly stable: string };
  /** Name of the HTTPRoute, in the Rollout's namespace; for a gateway. */
  readonly route: string;
}

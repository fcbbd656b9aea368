import type { RolloutAnalysis } from "../../../crds/rollout-analysis.ts";
import type { RolloutPolicy } from "../../../crds/rollout-policy.ts";
import type { RolloutRun, Verdict } from "../../../crds/rollout-run.ts";
import type { Key, Source } from "../../../operator/runtime/types.ts";
export interface ScrapeTarget {
  readonly name: string;
  readonly uid: string;
  readonly ip: string;
}
export interface SampleTask {
  readonly key: Key;
  readonly revision: string;
  readonly policy: RolloutPolicy;
  readonly analysis: RolloutAnalysis;
  readonly stage: number;
  readonly weightBps: number;
  readonly canary: readonly ScrapeTarget[];
  readonly stable: readonly ScrapeTarget[];
  readonly services: { readonly canary: string; readonly stable: string };
  readonly route: string;
}
export interface Standing {
  readonly revision: string;
  readonly run: RolloutRun;
  readonly verdict: Verdict | undefined;
  readonly failure: Verdict | undefined;
  readonly failedAt?: number;
  readonly unknownSinceMs?: number;
  readonly measured: { readonly canary: number; readonly stable: number };
  readonly lastSampleAt?: number;
  readonly trouble?: string;
}
export interface Sampler {
  follow(uid: string, task: SampleTask | undefined, stored?: RolloutRun): void;
  standing(uid: string): Standing | undefined;
  readonly source: Source;
}

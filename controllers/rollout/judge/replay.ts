/**
 * A stored run, judged again. Under its own policy every row that was not merged must come out as it was recorded, bit for bit:
 * anything else is a difference. Under another policy the differences are where it would have decided otherwise.
 */
import type { RolloutPolicy } from "../../../crds/rollout-policy.ts";
import type { RolloutRun, RunRow, Verdict } from "../../../crds/rollout-run.ts";
import { canonicalJson } from "../../../lib/core/canonical.ts";
import { OperatorError } from "../../../lib/core/errors.ts";
import { beginJudge, type Judgement, judgeTick } from "./judge.ts";

/** A row beside its judgement of today; none for a merged row under the run's own policy. */
export interface ReplayedRow {
  readonly row: RunRow;
  readonly judgement: Judgement | undefined;
  readonly differs: boolean;
}

export interface Replay {
  readonly rows: readonly ReplayedRow[];
  /** Verdict after the last row; none for a run without rows. */
  readonly end: Verdict | undefined;
  /** Another policy than the recorded one was asked. */
  readonly isOtherPolicy: boolean;
  /** Merged rows: taken as recorded under the run's own policy, and under another one judged in their merged, coarser form. */
  readonly mergedRows: number;
}

/** @param policy the run's own when absent @throws OperatorError ROLLOUT_RUN_INVALID when it lacks a stage of the run */
export function replay(run: RolloutRun, policy: RolloutPolicy = run.policy): Replay {
  const beyond = run.rows.findIndex(({ stage }) => stage >= policy.stages.length);
  if (beyond >= 0) {
    const [stage, stages] = [run.rows[beyond]?.stage ?? 0, policy.stages.length];
    throw new OperatorError(
      "ROLLOUT_RUN_INVALID",
      `policy: stages: it has ${stages}, but rows[${beyond}].stage is ${stage}`,
    );
  }
  const isOtherPolicy = canonicalJson(policy) !== canonicalJson(run.policy);
  const trusted = isOtherPolicy ? 0 : (run.merged?.rows ?? 0);
  let state = isOtherPolicy ? beginJudge(policy) : (run.merged?.state ?? beginJudge(policy));
  const rows = run.rows.map((row, index): ReplayedRow => {
    if (index < trusted) return { row, judgement: undefined, differs: false };
    const next = judgeTick(state, row, policy);
    state = next.state;
    return { row, judgement: next.judgement, differs: differs(row, next.judgement, isOtherPolicy) };
  });
  const last = rows.at(-1);
  const end = last?.judgement?.verdict ?? last?.row.verdict;
  return { rows, end, isOtherPolicy, mergedRows: run.merged?.rows ?? 0 };
}

function differs(recorded: Judgement, now: Judgement, isOtherPolicy: boolean): boolean {
  if (isOtherPolicy) return recorded.verdict.verdict !== now.verdict.verdict;
  const { verdict, evidence } = recorded;
  return canonicalJson({ verdict, evidence }) !== canonicalJson({ verdict: now.verdict, evidence: now.evidence });
}

/**
 * What another policy would have done with a release: its counts judged again, tick by tick, beside what was decided. The counts are
 * those of the release as it went. Where the other policy would have waited longer, or gone on, nobody knows what would have come then.
 */
import type { DryRunDecision, RolloutDryRun } from "../../../crds/rollout-dry-run.ts";
import type { RolloutPolicy } from "../../../crds/rollout-policy.ts";
import type { RolloutRun, Verdict } from "../../../crds/rollout-run.ts";
import { type ReplayedRow, replay } from "./replay.ts";

/** Where two policies part first, by the gravest of what parts them. */
export interface DryRun {
  readonly decision: DryRunDecision;
  /** One sentence with the numbers. */
  readonly message: string;
}

/** The policy that decided, but for what the dry run names. Gates for another number of stages belong to another ladder. */
export function triedPolicy(deciding: RolloutPolicy, tried: RolloutDryRun): RolloutPolicy {
  const { falseRollbackRateBps, falsePromotionRateBps, errors, latency, stages } = tried;
  const gates = stages?.length === deciding.stages.length ? stages : [];
  return {
    ...deciding,
    ...(falseRollbackRateBps === undefined ? {} : { falseRollbackRate: falseRollbackRateBps / 10_000 }),
    ...(falsePromotionRateBps === undefined ? {} : { falsePromotionRate: falsePromotionRateBps / 10_000 }),
    stages: deciding.stages.map((stage, index) => {
      const { maxErrorRateBps, ...rest } = gates[index] ?? {};
      return {
        ...stage,
        ...rest,
        ...(maxErrorRateBps === undefined ? {} : { maxErrorRate: maxErrorRateBps / 10_000 }),
      };
    }),
    errors: { ...deciding.errors, ...ratiosOf(errors) },
    ...(deciding.latency === undefined
      ? {}
      : {
          latency: {
            ...deciding.latency,
            ...ratiosOf(latency),
            ...(latency?.quantileBps === undefined ? {} : { quantile: latency.quantileBps / 10_000 }),
            ...(latency?.required === undefined ? {} : { required: latency.required }),
          },
        }),
  };
}

function ratiosOf(of: RolloutDryRun["errors"]): Partial<RolloutPolicy["errors"]> {
  return {
    ...(of?.ratioPercent === undefined ? {} : { ratio: of.ratioPercent / 100 }),
    ...(of?.promoteRatioPercent === undefined ? {} : { promoteRatio: of.promoteRatioPercent / 100 }),
  };
}

/** Two verdicts on one tick. */
interface Pair {
  readonly row: ReplayedRow["row"];
  readonly decided: Verdict;
  readonly tried: Verdict;
}

/** Judges a run by another policy. */
export function dryRun(run: RolloutRun, tried: RolloutDryRun): DryRun {
  const { rows } = replay(run, triedPolicy(run.policy, tried));
  const pairs = rows.map(
    ({ row, judgement }): Pair => ({ row, decided: row.verdict, tried: judgement?.verdict ?? row.verdict }),
  );
  return CHECKS.map((check) => check(pairs)).find((found) => found !== undefined) ?? SAME;
}

const SAME: DryRun = { decision: "Same", message: "it decides as the present policy does" };

const CHECKS: readonly ((pairs: readonly Pair[]) => DryRun | undefined)[] = [
  wouldRollBack,
  wouldGoOn,
  wouldWait,
  wouldPassEarlier,
];

/** Earlier than the present policy, or where that one does not. */
function wouldRollBack(pairs: readonly Pair[]): DryRun | undefined {
  const back = pairs.find(({ decided, tried }) => tried.verdict === "Fail" && decided.verdict !== "Fail");
  return back && parting("WouldRollBack", back);
}

function wouldGoOn(pairs: readonly Pair[]): DryRun | undefined {
  const back = pairs.find(({ decided, tried }) => decided.verdict === "Fail" && tried.verdict !== "Fail");
  return back && parting("WouldGoOn", back);
}

/** At a tick after which the release went on to another stage. */
function wouldWait(pairs: readonly Pair[]): DryRun | undefined {
  const left = pairs.find(
    ({ row, decided, tried }, index) =>
      decided.verdict === "Pass" && tried.verdict !== "Pass" && pairs[index + 1]?.row.stage === row.stage + 1,
  );
  return left && parting("WouldWait", left);
}

function wouldPassEarlier(pairs: readonly Pair[]): DryRun | undefined {
  const passed = pairs.find(({ decided, tried }) => tried.verdict === "Pass" && decided.verdict !== "Pass");
  return passed && parting("WouldPassEarlier", passed);
}

function parting(decision: DryRunDecision, { row, decided, tried }: Pair): DryRun {
  const weight = `${String(row.weightBps / 100)} %`;
  const message = `at ${weight}, ${row.to}: ${wordsOf(tried)}; the present policy said ${decided.verdict} (${decided.reason})`;
  return { decision, message };
}

function wordsOf({ verdict, reason, message }: Verdict): string {
  return `${verdict} (${reason}): ${message}`;
}

import type { CommonConditionType } from "../../crds/conditions.ts";
import type { Statement } from "../../operator/runtime/types.ts";

/** What each condition of a kind says, beside the three that every kind has. */
export type OwnConditions<Type extends string, Reason extends string> = Readonly<
  Record<Exclude<Type, CommonConditionType>, Statement<Reason>>
>;

/** A condition that is as it should be. */
export function yes<Reason extends string>(reason: Reason, message: string): Statement<Reason> {
  return { status: "True", reason, message };
}

/** A condition that is not. */
export function no<Reason extends string>(reason: Reason, message: string): Statement<Reason> {
  return { status: "False", reason, message };
}

/** A named check of an ordered chain: what it finds, or nothing. */
export type Policy<Input, Finding> = readonly [name: string, check: (input: Input) => Finding | undefined];

/**
 * What the first check of the chain that finds something finds.
 * @throws Error for a chain that ends without a finding: its last check has to hold for every input
 */
export function firstFinding<Input, Finding>(chain: readonly Policy<Input, Finding>[], input: Input): Finding {
  for (const [, check] of chain) {
    const finding = check(input);
    if (finding !== undefined) return finding;
  }
  throw new Error(`none of ${String(chain.length)} checks found anything: ${chain.map(([name]) => name).join(", ")}`);
}

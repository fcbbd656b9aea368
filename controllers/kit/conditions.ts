import type { CommonConditionType } from "../../crds/conditions.ts";
import type { Statement } from "../../operator/runtime/types.ts";

/** What each condition of a kind says, beside the three that every kind has. */
export type OwnConditions<Type extends string, Reason extends string> = Readonly<
  Record<Exclude<Type, CommonConditionType>, Statement<Reason>>
>;

/** What is found of a condition: its reason tells the status. */
export interface Says<Reason extends string> {
  readonly reason: Reason;
  readonly message: string;
}

/** Which reasons make a condition True, and which say that nothing is known; all others make it False. */
export interface Meanings<Reason extends string> {
  readonly yes: readonly Reason[];
  readonly unknown?: readonly Reason[];
}

/** Conditions with the status that their reasons stand for. */
export function statementsOf<Type extends string, Reason extends string>(
  found: Readonly<Record<Type, Says<Reason>>>,
  { yes, unknown = [] }: Meanings<Reason>,
): Readonly<Record<Type, Statement<Reason>>> {
  const statusOf = (reason: Reason): Statement["status"] =>
    yes.includes(reason) ? "True" : unknown.includes(reason) ? "Unknown" : "False";
  const statements = Object.entries<Says<Reason>>(found).map(([type, says]) => [
    type,
    { status: statusOf(says.reason), ...says },
  ]);
  return Object.fromEntries(statements) as Record<Type, Statement<Reason>>;
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

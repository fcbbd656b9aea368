import type { Policy } from "../kit/conditions.ts";

/** What the first check of a chain finds that finds something, if one does. */
export function firstOf<Input, Finding>(chain: readonly Policy<Input, Finding>[], input: Input): Finding | undefined {
  for (const [, check] of chain) {
    const finding = check(input);
    if (finding !== undefined) return finding;
  }
  return undefined;
}

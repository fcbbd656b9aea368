/** How far the rows of a file, by themselves, take accounts below zero. */
import type { CsvRow } from "./rows.ts";

/** The lowest point of an account, in minor units, and the line that takes it there. */
export interface LowestBalance {
  readonly account: string;
  readonly balance: bigint;
  readonly line: number;
}

/** Looks at row after row, in the order of posting. */
export function createLowestBalances(): {
  see(row: Pick<CsvRow, "account" | "direction" | "amount" | "line">): void;
  /** Accounts that fall below zero, the lowest first. */
  below(): readonly LowestBalance[];
} {
  const accounts = new Map<string, { balance: bigint; lowest: bigint; line: number }>();
  return {
    see: ({ account, direction, amount, line }) => {
      const state = accounts.get(account) ?? { balance: 0n, lowest: 0n, line };
      accounts.set(account, state);
      state.balance += direction === "credit" ? BigInt(amount) : -BigInt(amount);
      if (state.balance >= state.lowest) return;
      state.lowest = state.balance;
      state.line = line;
    },
    below: () =>
      [...accounts]
        .filter(([, { lowest }]) => lowest < 0n)
        .sort(([, a], [, b]) => (a.lowest < b.lowest ? -1 : 1))
        .map(([account, { lowest, line }]) => ({ account, balance: lowest, line })),
  };
}

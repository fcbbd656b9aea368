/** Whether the minus of debits says something: where some have one and others have none, one kind takes the other back. */
import { OperatorError } from "../../../lib/core/errors.ts";
import type { CsvRow } from "./rows.ts";

/** Looks at row after row. */
export function createMinusWatch(): {
  see(row: CsvRow): void;
  /** @throws OperatorError CSV_ROW_INVALID */
  check(): void;
} {
  let withMinus = 0;
  let without = 0;
  return {
    see: ({ line, debitMinus }) => {
      if (debitMinus === true && withMinus === 0) withMinus = line;
      if (debitMinus === false && without === 0) without = line;
    },
    check: () => {
      if (withMinus === 0 || without === 0) return;
      throw new OperatorError(
        "CSV_ROW_INVALID",
        `line ${without} is a debit without a minus, and line ${withMinus} is one with it: one of them takes money back. Write that one as a credit`,
      );
    },
  };
}

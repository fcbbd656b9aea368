/** What a file's rows become. */
import type { ErrorCode } from "../../../lib/core/errors.ts";

/** A row that can be sent. */
export interface CsvRow {
  readonly line: number;
  readonly id: string;
  readonly account: string;
  readonly direction: "credit" | "debit";
  /** Whole minor units, at least 1. */
  readonly amount: number;
  /** Whether a debit that is told by its direction or column has a minus besides; absent where the sign is the direction. */
  readonly debitMinus?: boolean | undefined;
  /** A date or an RFC 3339 time. */
  readonly date: string;
  /** Goes along as metadata. */
  readonly details: Readonly<Record<string, string>>;
  /** The record as it was in the file. */
  readonly fields: readonly string[];
}

/** A row that was not posted. */
export interface BrokenRow {
  readonly line: number;
  /** "" when not even that can be read. */
  readonly id: string;
  readonly code: ErrorCode;
  readonly reason: string;
  readonly fields: readonly string[];
}

export type ParsedRow = { readonly row: CsvRow } | { readonly broken: BrokenRow };

/** A value of a row that cannot be read, with the sentence that says so. */
import type { ErrorCode } from "../../../lib/core/errors.ts";

const SHOWN_CHARACTERS = 60;

/** Thrown by the readers of values and caught by that of rows, since a row has many values and each may end it. */
export class Unreadable extends Error {
  readonly code: ErrorCode;
  constructor(reason: string, code: ErrorCode = "CSV_ROW_INVALID") {
    super(reason);
    this.code = code;
  }
}

/** Reads one value; what is wrong with it joins the others. */
export function orFault(faults: Unreadable[], read: () => unknown): void {
  try {
    read();
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    faults.push(error);
  }
}

/** Several faults of one row as one; at least one. */
export function allFaults(faults: readonly Unreadable[]): Unreadable {
  const [first, ...others] = faults as [Unreadable, ...Unreadable[]];
  const reason = faults.map(({ message }) => message).join("; ");
  return others.length === 0 ? first : new Unreadable(reason);
}

/** A value as sentences show it. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text);
}

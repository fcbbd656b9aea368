/**
 * Bank transactions as CSV: one line a row. Lines are cut first and parsed one by one, so that a stray quote spoils its
 * own line and not the rest of the file.
 */
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { type ErrorCode, OperatorError } from "../../lib/core/errors.ts";
import { parseCredits } from "../../lib/core/money.ts";
import { parseTimestamp } from "./timestamps.ts";
import { ACCOUNT_ID } from "./transfer-parser.ts";

/** Columns that must be there, in any order; `partner_bank` and `partner_account` are kept when present. */
export const REQUIRED_COLUMNS = ["id", "date", "account", "direction", "operation", "amount_minor"] as const;
const KEPT_COLUMNS = ["operation", "partner_bank", "partner_account"] as const;

/** Keys of imported transfers: the same row has the same key in every run. */
export const IMPORT_KEY_PREFIX = "import:";
const ROW_ID = /^[\x21-\x7e]{1,120}$/;

/** A row that can be sent. */
export interface CsvRow {
  readonly line: number;
  readonly id: string;
  readonly account: string;
  readonly direction: "credit" | "debit";
  readonly amount: number;
  readonly date: string;
  /** Goes along as metadata. */
  readonly details: Readonly<Record<string, string>>;
}

/** A row that cannot. */
export interface BrokenRow {
  readonly line: number;
  /** "" when not even that can be read. */
  readonly id: string;
  readonly code: ErrorCode;
  readonly reason: string;
}

export type ParsedRow =
  | { readonly row: CsvRow; readonly bytes: number }
  | { readonly broken: BrokenRow; readonly bytes: number };

/** Reads one line against the header. Exported for its test. */
export type LineParser = (line: string, number: number) => { row: CsvRow } | { broken: BrokenRow };

/** @throws OperatorError CSV_HEADER_INVALID */
export function createLineParser(header: string): LineParser {
  const columns = splitLine(header.replace(/^\ufeff/, "")) ?? [];
  const missing = REQUIRED_COLUMNS.filter((name) => columns.filter((column) => column === name).length !== 1);
  if (missing.length > 0) {
    throw new OperatorError(
      "CSV_HEADER_INVALID",
      `the first line must name each of ${REQUIRED_COLUMNS.join(", ")} once; missing or doubled: ${missing.join(", ")}`,
    );
  }
  const at = Object.fromEntries(columns.map((name, index) => [name, index])) as Record<string, number>;

  return (line, number) => {
    const fields = splitLine(line);
    const field = (name: string): string => fields?.[at[name] as number] ?? "";
    const broken = (reason: string, code: ErrorCode = "CSV_ROW_INVALID"): { broken: BrokenRow } => ({
      broken: { line: number, id: fields === undefined ? "" : field("id"), code, reason },
    });
    if (fields === undefined) return broken("the quotes do not match");
    if (fields.length !== columns.length) return broken(`${fields.length} fields instead of ${columns.length}`);
    const [id, date, account, direction] = [field("id"), field("date"), field("account"), field("direction")];
    if (!ROW_ID.test(id)) return broken("id is not 1 to 120 printable characters");
    if (!ACCOUNT_ID.test(account)) return broken("account is not an account id");
    if (direction !== "credit" && direction !== "debit") return broken("direction is neither credit nor debit");
    if (Number.isNaN(parseTimestamp(date))) return broken("date is not a date");
    const amount = parseCredits(field("amount_minor"));
    if (amount === undefined) return broken("amount_minor is not a whole number of at most 9007199254740991");
    if (amount < 1) return broken(`amount_minor ${amount} is not positive`, "AMOUNT_NOT_POSITIVE");
    const details: Record<string, string> = {};
    for (const name of KEPT_COLUMNS) {
      const value = at[name] === undefined ? "" : field(name);
      if (value !== "") details[name] = value.slice(0, 500);
    }
    return { row: { line: number, id, account, direction, amount, date, details } };
  };
}

/** Fields of a line; `undefined` when its quotes do not match. */
function splitLine(line: string): string[] | undefined {
  if (!line.includes('"')) return line.split(",");
  const fields: string[] = [];
  for (let at = 0; ; at += 1) {
    const field = line[at] === '"' ? quotedField(line, at) : plainField(line, at);
    if (field === undefined) return undefined;
    fields.push(field.text);
    at = field.end;
    if (at >= line.length) return fields;
  }
}

interface Field {
  readonly text: string;
  /** Where the comma behind it is, or the line's length. */
  readonly end: number;
}

function plainField(line: string, at: number): Field | undefined {
  const comma = line.indexOf(",", at);
  const end = comma < 0 ? line.length : comma;
  const text = line.slice(at, end);
  return text.includes('"') ? undefined : { text, end };
}

/** A quote within quotes is doubled. */
function quotedField(line: string, at: number): Field | undefined {
  let text = "";
  for (let from = at + 1; ; ) {
    const quote = line.indexOf('"', from);
    if (quote < 0) return undefined;
    text += line.slice(from, quote);
    if (line[quote + 1] === '"') {
      text += '"';
      from = quote + 2;
      continue;
    }
    const end = quote + 1;
    return end === line.length || line[end] === "," ? { text, end } : undefined;
  }
}

/** Reads a file row by row. @throws OperatorError FILE_UNREADABLE, CSV_HEADER_INVALID */
export async function* readCsv(path: string): AsyncGenerator<ParsedRow> {
  const stream = createReadStream(path);
  const failed = new Promise<never>((_resolve, reject) => {
    stream.once("error", (cause) =>
      reject(new OperatorError("FILE_UNREADABLE", `${path}: ${cause.message}`, { cause })),
    );
  });
  // Reported where the first line is waited for; an error after the end of reading has nobody to tell.
  failed.catch(() => undefined);
  await Promise.race([new Promise((resolve) => stream.once("open", resolve)), failed]);

  let parseLine: LineParser | undefined;
  let number = 0;
  try {
    for await (const line of createInterface({ input: stream, crlfDelay: Infinity })) {
      number += 1;
      if (parseLine === undefined) {
        parseLine = createLineParser(line);
        continue;
      }
      if (line === "") continue;
      yield { ...parseLine(line, number), bytes: Buffer.byteLength(line) + 1 };
    }
  } finally {
    stream.destroy();
  }
  if (parseLine === undefined) throw new OperatorError("CSV_HEADER_INVALID", `${path} is empty`);
}

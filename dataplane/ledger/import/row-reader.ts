/** One record of a file as the row that is posted, or the sentence that says which value is wrong and what helps. */
import { hash } from "node:crypto";
import type { ErrorCode } from "../../../lib/core/errors.ts";
import { parseCredits } from "../../../lib/core/money.ts";
import { explainTimestamp, parseTimestamp } from "../timestamps.ts";
import { ACCOUNT_ID, METADATA_VALUE_MAX } from "../transfer-parser.ts";
import { type AmountForm, readAmount } from "./amount.ts";
import type { Field, Layout } from "./columns.ts";
import { type DateReader, guessDateForm } from "./date-form.ts";
import type { CsvRecord } from "./records.ts";
import type { CsvRow, ParsedRow } from "./rows.ts";

/** How the values of a file are read. */
export interface RowForm {
  readonly amounts: AmountForm;
  /** Dates and RFC 3339 times when absent. */
  readonly dates?: { readonly form: string; readonly read: DateReader } | undefined;
  /** Words for the two directions. */
  readonly directions: Readonly<Record<"credit" | "debit", readonly string[]>>;
  readonly values: Readonly<Partial<Record<Field, string>>>;
  /** Most characters of an id. */
  readonly idMax: number;
}

const ID = /^[\x21-\x7e]+$/;
const DETAILS = ["operation", "partner_bank", "partner_account"] as const;
const SHOWN_CHARACTERS = 60;
/** What means to be an RFC 3339 date or time, and is told which rule it breaks. */
const ISO_LIKE = /^\d{4}-\d{2}-\d{2}(?:[Tt]|$)/;

/** Thrown within this file only, since a row has many values and each may end it. */
class Unreadable extends Error {
  readonly code: ErrorCode;
  constructor(reason: string, code: ErrorCode = "CSV_ROW_INVALID") {
    super(reason);
    this.code = code;
  }
}

/** Reads record after record; the same record gives the same row. */
export interface RowReader {
  /** The id of the record, from its columns; repeated rows have the same. */
  idOf(record: CsvRecord): string;
  read(record: CsvRecord, id: string): ParsedRow;
}

/** A reader of the records of one file. */
export function createRowReader(layout: Layout, form: RowForm): RowReader {
  const { at, header } = layout;
  const valueOf = (fields: readonly string[], field: Field): string =>
    form.values[field] ?? (at[field] === undefined ? "" : (fields[at[field]] ?? ""));
  const has = (field: Field): boolean => form.values[field] !== undefined || at[field] !== undefined;

  const readRow = (line: number, fields: readonly string[], id: string): CsvRow => {
    if (fields.length !== header.length) throw new Unreadable(`${fields.length} fields instead of ${header.length}`);
    checkId(id, form.idMax);
    const account = readAccount(valueOf(fields, "account"));
    const { direction, amount } = readMoney(fields);
    const date = readDate(valueOf(fields, "date"), form);
    return { line, id, account, direction, amount, date, details: readDetails(fields), fields };
  };

  /** All that is wrong with a row, for those that have something: it is looked for value by value. */
  const faultsOf = (fields: readonly string[], id: string): Unreadable[] => {
    const faults: Unreadable[] = [];
    orFault(faults, () => checkId(id, form.idMax));
    orFault(faults, () => readDate(valueOf(fields, "date"), form));
    orFault(faults, () => readAccount(valueOf(fields, "account")));
    orFault(faults, () => readMoney(fields));
    orFault(faults, () => readDetails(fields));
    return faults;
  };

  const readMoney = (fields: readonly string[]): Pick<CsvRow, "direction" | "amount"> => {
    if (has("credit")) return readApart(valueOf(fields, "credit"), valueOf(fields, "debit"));
    if (!has("direction")) return readSize(fields, undefined);
    try {
      const direction = readDirection(valueOf(fields, "direction"));
      return { direction, amount: readSize(fields, direction).amount };
    } catch (error) {
      const faults: Unreadable[] = [];
      orFault(faults, () => readDirection(valueOf(fields, "direction")));
      if (faults.length > 0) orFault(faults, () => readSize(fields, undefined));
      throw faults.length === 0 ? error : all(faults);
    }
  };

  const readSize = (
    fields: readonly string[],
    direction: "credit" | "debit" | undefined,
  ): Pick<CsvRow, "direction" | "amount"> => {
    if (!has("amount")) return { direction: "credit", amount: readMinor(valueOf(fields, "amount_minor")) };
    const minor = readSigned("amount", valueOf(fields, "amount"));
    if (minor === 0) throw nothing("amount", valueOf(fields, "amount"));
    if (minor < 0 && direction === "credit") {
      throw new Unreadable(`amount ${quoted(valueOf(fields, "amount"))} is negative, and its direction is credit`);
    }
    return { direction: minor < 0 ? "debit" : "credit", amount: Math.abs(minor) };
  };

  const readDirection = (text: string): "credit" | "debit" => {
    for (const direction of ["credit", "debit"] as const) {
      if (form.directions[direction].includes(text)) return direction;
    }
    const words = [...form.directions.credit, ...form.directions.debit].map((word) => `"${word}"`).join(" nor ");
    const help = `--direction credit=... and --direction debit=... name other words`;
    throw new Unreadable(`direction ${quoted(text)} is neither ${words} (${help})`);
  };

  const readMinor = (text: string): number => {
    const amount = parseCredits(text);
    if (amount === undefined) {
      const help = `a decimal amount is read with --column amount=${JSON.stringify(header[at.amount_minor ?? 0])}`;
      throw new Unreadable(
        `amount_minor ${quoted(text)} is not a whole number of minor units of at most ${Number.MAX_SAFE_INTEGER} (${help})`,
      );
    }
    if (amount < 1) throw nothing("amount_minor", text);
    return amount;
  };

  const readSigned = (field: Field, text: string): number => {
    const read = readAmount(text, form.amounts);
    if ("reason" in read) throw new Unreadable(`${field} ${quoted(text)} ${read.reason}`);
    return read.minor;
  };

  /** Of two columns one holds an amount; debits may carry a minus. */
  const readApart = (credit: string, debit: string): Pick<CsvRow, "direction" | "amount"> => {
    const given = {
      credit: credit.trim() === "" ? 0 : readSigned("credit", credit),
      debit: debit.trim() === "" ? 0 : readSigned("debit", debit),
    };
    if (given.credit !== 0 && given.debit !== 0) {
      throw new Unreadable(`credit ${quoted(credit)} and debit ${quoted(debit)} are both given`);
    }
    if (given.credit < 0) throw new Unreadable(`credit ${quoted(credit)} is negative`);
    if (given.credit === 0 && given.debit === 0) throw nothing("credit and debit", credit === "" ? debit : credit);
    return given.credit > 0
      ? { direction: "credit", amount: given.credit }
      : { direction: "debit", amount: Math.abs(given.debit) };
  };

  const readDetails = (fields: readonly string[]): Record<string, string> => {
    const details: Record<string, string> = {};
    const put = (name: string, value: string): void => {
      if (value === "") return;
      if (value.length > METADATA_VALUE_MAX) {
        throw new Unreadable(
          `${name} has ${value.length} characters, at most ${METADATA_VALUE_MAX} are kept and none are cut off: ${quoted(value)}`,
        );
      }
      details[name] = value;
    };
    for (const field of DETAILS) put(field, valueOf(fields, field));
    for (const kept of layout.keep) put(kept.name, fields[kept.at] ?? "");
    return details;
  };

  return {
    idOf: ({ fields }) =>
      layout.idFrom.length === 0
        ? valueOf(fields, "id")
        : `row-${hash("sha256", layout.idFrom.map((index) => fields[index] ?? "").join("\0"), "hex").slice(0, 24)}`,
    read: ({ line, fields }, id) => {
      try {
        return { row: readRow(line, fields, id) };
      } catch (error) {
        if (!(error instanceof Unreadable)) throw error;
        const { code, message } = fields.length === header.length ? all(faultsOf(fields, id)) : error;
        return { broken: { line, id, code, reason: message, fields } };
      }
    },
  };
}

function orFault(faults: Unreadable[], read: () => unknown): void {
  try {
    read();
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    faults.push(error);
  }
}

function all(faults: readonly Unreadable[]): Unreadable {
  const [first, ...others] = faults as [Unreadable, ...Unreadable[]];
  const reason = faults.map(({ message }) => message).join("; ");
  return others.length === 0 ? first : new Unreadable(reason);
}

function checkId(id: string, idMax: number): void {
  if (!ID.test(id)) throw new Unreadable(`id ${quoted(id)} is not made of printable ASCII characters without spaces`);
  if (id.length > idMax) {
    throw new Unreadable(`id ${quoted(id)} has ${id.length} characters, at most ${idMax} are taken`);
  }
}

function readAccount(account: string): string {
  if (ACCOUNT_ID.test(account)) return account;
  throw new Unreadable(`account ${quoted(account)} is not an account id (letters, digits and _ . : @ -, at most 128)`);
}

function readDate(text: string, { dates }: RowForm): string {
  const date = dates === undefined ? text : dates.read(text);
  if (date !== undefined && !Number.isNaN(parseTimestamp(date))) return date;
  if (date !== undefined && dates !== undefined) throw new Unreadable(`date ${quoted(text)} ${explainTimestamp(date)}`);
  if (dates !== undefined) throw new Unreadable(`date ${quoted(text)} is not ${dates.form}`);
  const rule = ISO_LIKE.test(text) ? explainTimestamp(text) : "is not YYYY-MM-DD";
  const help = `--date-format names another form, for example ${guessDateForm(text)}`;
  throw new Unreadable(`date ${quoted(text)} ${rule} (${help})`);
}

function nothing(field: string, text: string): Unreadable {
  return new Unreadable(`${field} ${quoted(text)} is not positive`, "AMOUNT_NOT_POSITIVE");
}

function quoted(text: string): string {
  return JSON.stringify(text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text);
}

/** One record of a file as the row that is posted, or the sentence that says which value is wrong and what helps. */
import { hash } from "node:crypto";
import { explainTimestamp, parseTimestamp } from "../timestamps.ts";
import { ACCOUNT_ID, METADATA_VALUE_MAX } from "../transfer-parser.ts";
import type { Layout } from "./columns.ts";
import type { DateReader } from "./date-form.ts";
import { guessDateForm } from "./date-guess.ts";
import { createMoneyReader, type MoneyForm } from "./money-reader.ts";
import { createRecordFields } from "./record-fields.ts";
import type { CsvRecord } from "./records.ts";
import type { CsvRow, ParsedRow } from "./rows.ts";
import { shellWord } from "./shell-word.ts";
import { allFaults, orFault, quoted, Unreadable } from "./unreadable.ts";

/** How the values of a file are read. */
export interface RowForm extends MoneyForm {
  /** Dates and RFC 3339 times when absent. */
  readonly dates?: { readonly form: string; readonly read: DateReader } | undefined;
  /** Texts that stand for nothing. */
  readonly nulls: readonly string[];
  /** Most characters of an id. */
  readonly idMax: number;
}

const ID = /^[\x21-\x7e]+$/;
const DETAILS = ["operation", "partner_bank", "partner_account"] as const;
/** What means to be an RFC 3339 date or time, and is told which rule it breaks. */
const ISO_LIKE = /^\d{4}-\d{2}-\d{2}(?:[Tt]|$)/;

/** Reads record after record; the same record gives the same row. */
export interface RowReader {
  /** The id of the record, from its columns; repeated rows have the same. */
  idOf(record: CsvRecord): string;
  read(record: CsvRecord, id: string): ParsedRow;
}

/** A reader of the records of one file. */
export function createRowReader(layout: Layout, form: RowForm): RowReader {
  const { header } = layout;
  const read = createRecordFields(layout, form);
  const { textAt, textOf, valueOf, passing } = read;
  const readMoney = createMoneyReader(read, form);

  const readRow = (line: number, fields: readonly string[], id: string): CsvRow => {
    if (fields.length !== header.length) throw new Unreadable(`${fields.length} fields instead of ${header.length}`);
    checkId(id, form.idMax);
    const account = readAccount(valueOf(fields, "account"));
    checkAsset(fields);
    const money = readMoney(fields);
    const date = readDay(fields);
    return { line, id, account, ...money, date, details: readDetails(fields), fields };
  };

  /** All that is wrong with a row, for those that have something: it is looked for value by value. */
  const faultsOf = (fields: readonly string[], id: string): Unreadable[] => {
    const faults: Unreadable[] = [];
    orFault(faults, () => checkId(id, form.idMax));
    orFault(faults, () => readDay(fields));
    orFault(faults, () => readAccount(valueOf(fields, "account")));
    orFault(faults, () => checkAsset(fields));
    orFault(faults, () => readMoney(fields));
    orFault(faults, () => readDetails(fields));
    return faults;
  };

  const checkAsset = (fields: readonly string[]): void => {
    const column = read.columnOf("asset");
    if (column === "") return;
    const { asset } = form.amounts;
    const text = valueOf(fields, "asset");
    if (text.toUpperCase() === asset.toUpperCase()) return;
    const only = shellWord(`${column}=${asset}`);
    throw new Unreadable(`asset ${quoted(text)} is not ${asset}; --only ${only} passes such rows over`);
  };

  const readDay = (fields: readonly string[]): string => {
    const text = valueOf(fields, "date");
    if (text === "") throw new Unreadable(`date is empty${passing("date", "")}`);
    return readDate(text, form);
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
    for (const field of DETAILS) put(field, textOf(fields, field));
    for (const kept of layout.keep) put(kept.name, textAt(fields, kept.at));
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
        const { code, message } = fields.length === header.length ? allFaults(faultsOf(fields, id)) : error;
        return { broken: { line, id, code, reason: message, fields } };
      }
    },
  };
}

function checkId(id: string, idMax: number): void {
  if (!ID.test(id)) throw new Unreadable(`id ${quoted(id)} is not made of printable ASCII characters without spaces`);
  if (id.length > idMax) {
    throw new Unreadable(`id ${quoted(id)} has ${id.length} characters, at most ${idMax} are taken`);
  }
}

function readAccount(account: string): string {
  if (ACCOUNT_ID.test(account)) return account;
  throw new Unreadable(
    `account ${quoted(account)} is not an account id (letters, digits and _ . : @ -, at most 128; --value account=... is one account for all rows)`,
  );
}

function readDate(text: string, { dates }: RowForm): string {
  const date = dates === undefined ? text : dates.read(text);
  if (date !== undefined && !Number.isNaN(parseTimestamp(date))) return date;
  if (date !== undefined && dates !== undefined) throw new Unreadable(`date ${quoted(text)} ${explainTimestamp(date)}`);
  if (dates !== undefined) {
    const names = dates.form.includes("MMM") ? "; names of months are read in English" : "";
    throw new Unreadable(`date ${quoted(text)} is not ${dates.form}${names}`);
  }
  const rule = ISO_LIKE.test(text) ? explainTimestamp(text) : "is not YYYY-MM-DD";
  const help = `--date-format names another form, for example ${guessDateForm(text)}`;
  throw new Unreadable(`date ${quoted(text)} ${rule} (${help})`);
}

/** Which column of a file is which of ours. */
import { OperatorError } from "../../../lib/core/errors.ts";

/** What a row may have; the first six are the columns of the ledger's own form of CSV. */
export const FIELDS = [
  "id",
  "date",
  "account",
  "direction",
  "operation",
  "amount_minor",
  "partner_bank",
  "partner_account",
  "amount",
  "credit",
  "debit",
  "asset",
] as const;
export type Field = (typeof FIELDS)[number];

/** Columns that are looked for by their name without being asked for. */
const OWN_NAMES: readonly Field[] = FIELDS.slice(0, 8);

/** What the command line says about columns. */
export interface ColumnOptions {
  /** Names in the file's header by field. */
  readonly columns: Readonly<Partial<Record<Field, string>>>;
  /** What every row has, in place of a column. */
  readonly values: Readonly<Partial<Record<Field, string>>>;
  /** Further columns that go along as metadata: name by column. */
  readonly keep: Readonly<Record<string, string>>;
  /** Columns that make the id, where the file has none. */
  readonly idFrom: readonly string[];
  /** Rows that are read, by column and values. */
  readonly only: ColumnValues;
  /** Rows that are passed over, by column and values. */
  readonly without: ColumnValues;
}

/** Texts by column. */
export type ColumnValues = Readonly<Record<string, readonly string[]>>;

/** Texts of one column. */
export interface ValuesAt {
  readonly column: string;
  readonly at: number;
  readonly texts: readonly string[];
}

/** Where things are in a record. */
export interface Layout {
  readonly header: readonly string[];
  readonly at: Readonly<Partial<Record<Field, number>>>;
  readonly keep: readonly { readonly name: string; readonly at: number }[];
  readonly idFrom: readonly number[];
  readonly only: readonly ValuesAt[];
  readonly without: readonly ValuesAt[];
}

/** A layout, or what is wrong with the header. */
export type FoundLayout =
  | { readonly layout: Layout }
  | { readonly missing: readonly string[]; readonly doubled: readonly string[] };

/** Columns that are named and not there, or there twice, or needed and not named. Blanks around a name are no part of it. */
export function findLayout(columns: readonly string[], options: ColumnOptions): FoundLayout {
  const header = columns.map((name) => name.trim());
  const missing: string[] = [];
  const doubled: string[] = [];
  const place = (named: string): number | undefined => {
    const column = named.trim();
    const at = header.indexOf(column);
    if (at >= 0 && header.indexOf(column, at + 1) >= 0) doubled.push(column);
    else if (at < 0) missing.push(column);
    return at < 0 ? undefined : at;
  };
  const valuesAt = (values: ColumnValues): ValuesAt[] =>
    Object.entries(values).map(([column, texts]) => ({ column, at: place(column) ?? -1, texts }));
  const at: Partial<Record<Field, number>> = {};
  for (const field of fieldsOf(header, options)) {
    const index = place(options.columns[field] ?? field);
    if (index !== undefined) at[field] = index;
  }
  const keep = Object.entries(options.keep).map(([name, column]) => ({ name, at: place(column) ?? -1 }));
  const idFrom = options.idFrom.map((column) => place(column) ?? -1);
  const [only, without] = [valuesAt(options.only), valuesAt(options.without)];
  if (missing.length > 0 || doubled.length > 0) return { missing, doubled };
  return { layout: { header, at, keep, idFrom, only, without } };
}

/** The fields that are read from columns: what is needed, and what is there besides. */
function fieldsOf(header: readonly string[], { columns, values, idFrom }: ColumnOptions): readonly Field[] {
  const named = new Set(Object.keys(columns) as Field[]);
  const isApart = named.has("credit") || named.has("debit");
  const amounts: readonly Field[] = isApart ? ["credit", "debit"] : named.has("amount") ? ["amount"] : ["amount_minor"];
  const needed: readonly Field[] = ["id", "date", "account", "operation", ...amounts];
  const isNeeded = (field: Field): boolean => {
    if (values[field] !== undefined || (field === "id" && idFrom.length > 0)) return false;
    if (needed.includes(field) || named.has(field)) return true;
    // A signed amount and two columns tell the direction themselves.
    if (field === "direction" && amounts[0] === "amount_minor") return true;
    const isOther = field === "amount_minor" || (field === "direction" && isApart);
    return !isOther && OWN_NAMES.includes(field) && header.includes(field);
  };
  return FIELDS.filter(isNeeded);
}

/** @throws OperatorError USAGE where options contradict each other */
export function checkColumnOptions({ columns, values, idFrom }: ColumnOptions): void {
  const both = Object.keys(columns).find((field) => Object.hasOwn(values, field));
  if (both !== undefined) throw usage(`--column ${both}=... and --value ${both}=... exclude each other`);
  if (columns.id !== undefined && idFrom.length > 0) throw usage("--column id=... and --id-from exclude each other");
  const apart = [columns.credit, columns.debit].filter((column) => column !== undefined).length;
  if (apart === 1)
    throw usage("--column credit=... and --column debit=... go together; one signed column is --column amount=...");
  if (apart === 2 && columns.amount !== undefined) throw usage("--column amount=... excludes credit=... and debit=...");
  const amounts = [columns.amount_minor, columns.amount ?? columns.credit].filter((column) => column !== undefined);
  if (amounts.length === 2) throw usage("--column amount_minor=... excludes amount=..., credit=... and debit=...");
}

function usage(message: string): OperatorError {
  return new OperatorError("USAGE", message);
}

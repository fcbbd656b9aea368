/** The values of a record by our names for them. */
import type { Field, Layout } from "./columns.ts";
import { shellWord } from "./shell-word.ts";

/** What stands where in the records of one file. */
export interface RecordFields {
  /** As it stands in the column at `index`; "" for what stands for nothing. */
  textAt(fields: readonly string[], index: number): string;
  /** As it stands; "" where neither a column nor a value was named. */
  textOf(fields: readonly string[], field: Field): string;
  /** Without the blanks around it, which are there for the eye; in a text they may mean something. */
  valueOf(fields: readonly string[], field: Field): string;
  /** Whether a field has a column or one value for all rows. */
  has(field: Field): boolean;
  /** Name of the field's column; "" where it has none. */
  columnOf(field: Field): string;
  /** How rows with this text in a field are passed over, to be said behind what is wrong with it; "" where it has no column. */
  passing(field: Field, text: string): string;
}

/** What spreadsheets are shown so that they keep a number as text: ="0012". */
const GUARDED = /^="([^"]*)"$/;

/** Access to records of a layout. */
export function createRecordFields(
  { at, header }: Layout,
  form: { readonly nulls: readonly string[]; readonly values: Readonly<Partial<Record<Field, string>>> },
): RecordFields {
  const textAt = (fields: readonly string[], index: number): string => {
    const text = fields[index] ?? "";
    return form.nulls.length > 0 && form.nulls.includes(text.trim()) ? "" : text;
  };
  const textOf = (fields: readonly string[], field: Field): string =>
    form.values[field] ?? (at[field] === undefined ? "" : textAt(fields, at[field]));
  const columnOf = (field: Field): string => (at[field] === undefined ? "" : (header[at[field]] ?? ""));
  return {
    textAt,
    textOf,
    valueOf: (fields, field) => textOf(fields, field).trim().replace(GUARDED, "$1"),
    has: (field) => form.values[field] !== undefined || at[field] !== undefined,
    columnOf,
    passing: (field, text) => {
      const column = columnOf(field);
      return column === "" ? "" : `; --without ${shellWord(`${column}=${text}`)} passes such rows over`;
    },
  };
}

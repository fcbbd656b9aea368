/** The options of `shieldx ledger import` that say how a file is written, as the parts of the import take them. */
import { z } from "zod";
import { OperatorError } from "../../../lib/core/errors.ts";
import { METADATA_MEMBERS_MAX, METADATA_NAME_MAX } from "../transfer-parser.ts";
import { type ColumnOptions, checkColumnOptions, FIELDS, type Field } from "./columns.ts";
import { createDateReader, DATE_PARTS } from "./date-form.ts";
import type { DialectOptions } from "./dialect.ts";
import { ENCODINGS, encodingNamed } from "./encoding.ts";
import type { FirstPassOptions } from "./first-pass.ts";
import type { RowForm } from "./row-reader.ts";

/** Flags that say how the file is written. */
export const fileFlags = {
  encoding: z.string().optional(),
  delimiter: z.string().optional(),
  skipLines: z.coerce.number().int().min(0).max(1000).default(0),
  skipLast: z.coerce.number().int().min(0).max(1000).default(0),
  column: z.array(z.string()).default([]),
  value: z.array(z.string()).default([]),
  keep: z.array(z.string()).default([]),
  idFrom: z.array(z.string()).default([]),
  only: z.array(z.string()).default([]),
  without: z.array(z.string()).default([]),
  null: z.array(z.string()).default([]),
  positive: z.enum(["credit", "debit"], { error: "can be credit or debit" }).optional(),
  direction: z.array(z.string()).default([]),
  decimalComma: z.boolean().default(false),
  dateFormat: z.string().optional(),
  sort: z.literal("date", { error: "can be date only" }).optional(),
  keepOrder: z.boolean().default(false),
  partial: z.boolean().default(false),
};
export type FileFlags = z.output<z.ZodObject<typeof fileFlags>>;

/** What the ledger says about the amounts. */
export interface AssetForm {
  readonly asset: string;
  /** Decimal places; unknown for a ledger that is named by its address. */
  readonly scale: number | undefined;
  readonly idMax: number;
}

/** @throws OperatorError USAGE */
export function firstPassOptions(flags: FileFlags, of: AssetForm): FirstPassOptions {
  const columns = columnOptions(flags);
  const { values } = columns;
  if (values.asset !== undefined && values.asset !== of.asset) {
    throw usage(`--value asset=${values.asset}: the amounts are read as ${of.asset}; --asset names another one`);
  }
  checkPositive(flags, columns);
  const isDecimal = ["amount", "credit", "debit"].some((field) => Object.hasOwn(columns.columns, field));
  if (isDecimal && of.scale === undefined) {
    throw usage(`say with --scale how many decimals ${of.asset} has: --url does not tell`);
  }
  if (flags.sort !== undefined && flags.keepOrder) throw usage("--sort and --keep-order exclude each other");
  return {
    dialect: { ...columns, delimiter: delimiterOf(flags), skipLines: flags.skipLines },
    form: {
      amounts: {
        asset: of.asset,
        scale: of.scale ?? 0,
        decimalComma: flags.decimalComma,
        anyCurrency: values.asset !== undefined,
      },
      dates: datesOf(flags),
      directions: directionsOf(flags),
      positive: flags.positive ?? "credit",
      nulls: flags.null,
      values,
      idMax: of.idMax,
    },
    encoding: encodingOf(flags),
    skipLast: flags.skipLast,
    order: flags.sort === undefined ? (flags.keepOrder ? "keep" : undefined) : "sort",
    partial: flags.partial,
  };
}

function columnOptions(flags: FileFlags): ColumnOptions {
  const columns = fieldsBy("--column", flags.column);
  const values = fieldsBy("--value", flags.value);
  const fixed: readonly Field[] = ["account", "direction", "operation", "partner_bank", "partner_account", "asset"];
  const unfit = (Object.keys(values) as Field[]).find((field) => !fixed.includes(field));
  if (unfit !== undefined) throw usage(`--value ${unfit}=...: only ${fixed.join(", ")} can be the same for all rows`);
  const keep = Object.fromEntries(flags.keep.map((text) => pair("--keep", text)));
  const long = Object.keys(keep).find((name) => name.length > METADATA_NAME_MAX);
  if (long !== undefined) throw usage(`--keep ${long}=...: a name has at most ${METADATA_NAME_MAX} characters`);
  if (Object.keys(keep).length > METADATA_MEMBERS_MAX - 3)
    throw usage(`more than ${METADATA_MEMBERS_MAX - 3} times --keep`);
  const [only, without] = [valuesBy("--only", flags.only), valuesBy("--without", flags.without)];
  const options = { columns, values, keep, idFrom: flags.idFrom, only, without };
  checkColumnOptions(options);
  return options;
}

function fieldsBy(option: string, texts: readonly string[]): Partial<Record<Field, string>> {
  const found: Partial<Record<Field, string>> = {};
  for (const text of texts) {
    const [field, value] = pair(option, text);
    if (!(FIELDS as readonly string[]).includes(field)) {
      throw usage(`${option} ${text}: "${field}" is none of ${FIELDS.join(", ")}`);
    }
    if (Object.hasOwn(found, field)) throw usage(`${option} ${field}=... is given twice`);
    found[field as Field] = value;
  }
  return found;
}

/** THEIRS=TEXT, where nothing behind the "=" is an empty field. */
function valuesBy(option: string, texts: readonly string[]): Record<string, readonly string[]> {
  const found: Record<string, string[]> = {};
  for (const text of texts) {
    const at = text.lastIndexOf("=");
    if (at < 1) throw usage(`${option} ${JSON.stringify(text)}: write COLUMN=VALUE`);
    const column = text.slice(0, at).trim();
    found[column] = [...(found[column] ?? []), text.slice(at + 1).trim()];
  }
  return found;
}

function checkPositive({ positive }: FileFlags, { columns, values }: ColumnOptions): void {
  if (positive === undefined) return;
  if (columns.amount === undefined) throw usage("--positive goes with --column amount=... only");
  const isDirected = columns.direction !== undefined || values.direction !== undefined;
  if (isDirected) throw usage("--positive and a direction of each row exclude each other");
}

/** The part in front of the first "=", which is ours, and the one behind it, which is the file's. */
function pair(option: string, text: string): [string, string] {
  const at = text.indexOf("=");
  if (at < 1 || at === text.length - 1) throw usage(`${option} ${JSON.stringify(text)}: write OURS=THEIRS`);
  return [text.slice(0, at), text.slice(at + 1)];
}

const DELIMITER_NAMES: Readonly<Record<string, string>> = {
  tab: "\t",
  "\\t": "\t",
  comma: ",",
  semicolon: ";",
  pipe: "|",
};

function delimiterOf({ delimiter }: FileFlags): DialectOptions["delimiter"] {
  if (delimiter === undefined) return undefined;
  const character = DELIMITER_NAMES[delimiter] ?? delimiter;
  if (!/^[^\w"\r\n]$/.test(character)) {
    throw usage(`--delimiter ${JSON.stringify(delimiter)}: one character, or tab, comma, semicolon, pipe`);
  }
  return character;
}

function encodingOf({ encoding }: FileFlags): FirstPassOptions["encoding"] {
  if (encoding === undefined) return undefined;
  const known = encodingNamed(encoding);
  if (known === undefined) throw usage(`--encoding ${encoding} is none of ${ENCODINGS.join(", ")}`);
  return known;
}

function datesOf({ dateFormat }: FileFlags): RowForm["dates"] {
  if (dateFormat === undefined) return undefined;
  const read = createDateReader(dateFormat);
  if (read === undefined) {
    throw usage(
      `--date-format ${JSON.stringify(dateFormat)} needs a year, a month and a day, each part once, and hh or h together with A; it is made of ${DATE_PARTS}`,
    );
  }
  return { form: dateFormat, read };
}

function directionsOf({ direction }: FileFlags): RowForm["directions"] {
  const words: Record<"credit" | "debit", string[]> = { credit: [], debit: [] };
  for (const text of direction) {
    const [ours, theirs] = pair("--direction", text);
    if (ours !== "credit" && ours !== "debit") throw usage(`--direction ${text}: begin with credit= or debit=`);
    words[ours].push(theirs);
  }
  const both = words.credit.find((word) => words.debit.includes(word));
  if (both !== undefined) throw usage(`--direction: "${both}" cannot be both`);
  return {
    credit: words.credit.length === 0 ? ["credit"] : words.credit,
    debit: words.debit.length === 0 ? ["debit"] : words.debit,
  };
}

function usage(message: string): OperatorError {
  return new OperatorError("USAGE", message);
}

/** How a file separates its fields and where its header is: told by the first lines where that is safe, else by options. */
import { parse } from "csv-parse/sync";
import { OperatorError } from "../../../lib/core/errors.ts";
import { exampleFor } from "./column-guess.ts";
import { type ColumnOptions, findLayout, type Layout } from "./columns.ts";

/** What the command line says about the form of a file. */
export interface DialectOptions extends ColumnOptions {
  readonly delimiter?: string | undefined;
  /** Lines above the header. */
  readonly skipLines: number;
}

/** The form of a file. */
export interface Dialect {
  readonly delimiter: string;
  /** What ends a line, where the file is strict with itself and where it is not. */
  readonly recordDelimiter: readonly string[];
  /** What ends its first line. */
  readonly lineEnd: string;
  readonly header: readonly string[];
  readonly layout: Layout;
  /** The lines above the header with their line ends. */
  readonly preamble: string;
}

/** Characters that separate fields in the files of this world. */
const DELIMITERS = [",", ";", "\t", "|"];
/** How far down a header is looked for, to name its line. */
const LOOK_LINES = 50;
const SHOWN_COLUMNS = 12;
/** Numbers, dates and amounts: no names of columns. */
const DATUM = /^[\d\s.,:;/'$€£()+-]+$/;

/**
 * @param head the beginning of the text, with the whole header
 * @throws OperatorError CSV_HEADER_INVALID with the option that helps
 */
export function detectDialect(head: string, options: DialectOptions): Dialect {
  const recordDelimiter = lineEndsOf(head);
  const start = afterLines(head, options.skipLines, recordDelimiter);
  const lineEnd = recordDelimiter.find((end) => /\r\n|[\r\n]/.exec(head)?.[0] === end) ?? "\n";
  const at = { preamble: head.slice(0, start), recordDelimiter, lineEnd };
  const text = head.slice(start);
  if (text.trim() === "") {
    throw refused(options.skipLines === 0 ? "the file is empty" : `below --skip-lines ${options.skipLines} is nothing`);
  }
  const candidates = headersOf(text, options, recordDelimiter);
  for (const { delimiter, header } of candidates) {
    const found = findLayout(header, options);
    if ("layout" in found) return { ...at, delimiter, header, layout: found.layout };
  }
  const best = candidates.reduce<Header | undefined>(
    (most, found) => (most === undefined || found.header.length > most.header.length ? found : most),
    undefined,
  );
  throw refused([whatIsMissing(best, options), whereToLook(head, options, recordDelimiter)].filter(Boolean).join(" "));
}

interface Header {
  readonly delimiter: string;
  readonly header: readonly string[];
}

/** A lone CR ends the lines of old Macintosh files only; elsewhere LF does, with or without CR. */
function lineEndsOf(head: string): readonly string[] {
  return head.includes("\n") || !head.includes("\r") ? ["\r\n", "\n"] : ["\r"];
}

/** Where the text goes on behind so many lines. */
function afterLines(text: string, lines: number, recordDelimiter: readonly string[]): number {
  const end = recordDelimiter.at(-1) as string;
  let at = 0;
  for (let line = 0; line < lines; line += 1) {
    const next = text.indexOf(end, at);
    if (next < 0) return text.length;
    at = next + end.length;
  }
  return at;
}

function headersOf(text: string, { delimiter }: DialectOptions, recordDelimiter: readonly string[]): Header[] {
  return (delimiter === undefined ? DELIMITERS : [delimiter]).flatMap((candidate) => {
    const header = firstRecord(text, candidate, recordDelimiter);
    return header === undefined ? [] : [{ delimiter: candidate, header }];
  });
}

function firstRecord(text: string, delimiter: string, recordDelimiter: readonly string[]): string[] | undefined {
  try {
    const options = { delimiter, record_delimiter: [...recordDelimiter], relax_column_count: true, to: 1 };
    return parse(text, options)[0];
  } catch {
    return undefined;
  }
}

function whatIsMissing(found: Header | undefined, options: DialectOptions): string {
  const line = options.skipLines + 1;
  if (found === undefined) return `line ${line} should be the header, and its quotes do not match.`;
  const layout = findLayout(found.header, options);
  const { missing, doubled } = "layout" in layout ? { missing: [], doubled: [] } : layout;
  const shown = found.header.slice(0, SHOWN_COLUMNS).map((name) => JSON.stringify(name.trim().slice(0, 60)));
  const more = found.header.length > SHOWN_COLUMNS ? ` and ${found.header.length - SHOWN_COLUMNS} more` : "";
  const separated = found.header.length === 1 ? "" : `, separated by ${nameOf(found.delimiter)}`;
  return [
    `the header in line ${line} has the columns ${shown.join(", ")}${more}${separated}.`,
    doubled.length === 0 ? "" : `There twice: ${doubled.join(", ")}.`,
    missing.length === 0 ? "" : `Not among them: ${missing.join(", ")}.`,
    missing.length === 0 ? "" : helpFor(missing, found.header),
  ]
    .filter(Boolean)
    .join(" ");
}

function helpFor(missing: readonly string[], header: readonly string[]): string {
  const example = exampleFor(missing, header);
  if (example === "") return "Names are taken as they stand in the header.";
  const others = [
    missing.includes("id") ? "--id-from makes ids of columns" : "",
    missing.includes("account") ? "--value account=... is one account for all rows" : "",
    missing.includes("amount_minor") ? "amount=... is a decimal amount, whose sign may tell the direction" : "",
  ].filter(Boolean);
  const besides = others.length === 0 ? "" : ` (${others.join("; ")})`;
  return `Say which column each is, for example ${example}${besides}.`;
}

/** The line that looks like the header, when it is not the first one. */
function whereToLook(head: string, options: DialectOptions, recordDelimiter: readonly string[]): string {
  let widest: { skip: number; width: number } | undefined;
  for (let skip = 0; skip < LOOK_LINES; skip += 1) {
    const start = afterLines(head, skip, recordDelimiter);
    if (start >= head.length) break;
    for (const { header } of headersOf(head.slice(start), options, recordDelimiter)) {
      if ("layout" in findLayout(header, options)) return `Line ${skip + 1} has them all: --skip-lines ${skip}.`;
      const width = namesIn(header);
      if (width > Math.max(2, widest?.width ?? 0)) widest = { skip, width };
    }
  }
  if (widest === undefined || widest.skip === options.skipLines) return "";
  return `Line ${widest.skip + 1} looks more like a header (${widest.width} columns): --skip-lines ${widest.skip}.`;
}

/** Different texts that may be names of columns: rows repeat themselves, are made of numbers, or have empty fields. */
function namesIn(header: readonly string[]): number {
  return new Set(header.map((name) => name.trim()).filter((name) => name !== "" && !DATUM.test(name))).size;
}

/** A separator in words. */
export function nameOf(delimiter: string): string {
  return delimiter === "\t" ? "tabs" : `"${delimiter}"`;
}

function refused(message: string): OperatorError {
  return new OperatorError("CSV_HEADER_INVALID", message);
}

/** Text as records of fields, as RFC 4180 says and not a bit more. */
import { finished } from "node:stream/promises";
import { type CsvError, parse } from "csv-parse";
import { OperatorError } from "../../../lib/core/errors.ts";

/** One record. */
export interface CsvRecord {
  /** Where it begins. */
  readonly line: number;
  readonly fields: readonly string[];
}

export interface RecordOptions {
  readonly delimiter: string;
  readonly recordDelimiter: readonly string[];
  /** Number of the first line. */
  readonly firstLine: number;
}

/** A record of so many bytes is a quote that was never closed. */
const RECORD_BYTES_MAX = 1024 * 1024;

/**
 * Groups of records, as they come. Empty lines are passed over. Up to the first quote of a file, records are its lines: they
 * are cut without the parser, which takes half of the time of a first pass (a test holds both against each other).
 * @throws OperatorError CSV_ROW_INVALID at the first quote that does not match: behind it nobody can tell where rows begin
 */
export async function* readRecords(
  chunks: AsyncIterable<string>,
  options: RecordOptions,
): AsyncGenerator<readonly CsvRecord[]> {
  const iterator = chunks[Symbol.asyncIterator]();
  const lineEnd = options.recordDelimiter.at(-1) as string;
  let line = options.firstLine;
  let rest = "";
  while (!rest.includes('"') && rest.length < RECORD_BYTES_MAX) {
    const next = await iterator.next();
    if (next.done === true) {
      // Behind the last line end there is no other one: a CR here is a character.
      if (rest !== "") yield [{ line, fields: rest.split(options.delimiter) }];
      return;
    }
    rest += next.value;
    const end = rest.includes('"') ? -1 : rest.lastIndexOf(lineEnd);
    if (end < 0) continue;
    const lines = rest.slice(0, end).split(lineEnd);
    rest = rest.slice(end + lineEnd.length);
    yield recordsOf(lines, options, line);
    line += lines.length;
  }
  const behind = async function* (): AsyncGenerator<string> {
    yield rest;
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value;
  };
  yield* parseRecords(behind(), { ...options, firstLine: line });
}

function recordsOf(lines: readonly string[], options: RecordOptions, firstLine: number): CsvRecord[] {
  const { delimiter, recordDelimiter } = options;
  const records: CsvRecord[] = [];
  for (let index = 0; index < lines.length; index += 1) {
    const text = lines[index] as string;
    const bare = text.endsWith("\r") && recordDelimiter.length > 1 ? text.slice(0, -1) : text;
    if (bare !== "") records.push({ line: firstLine + index, fields: bare.split(delimiter) });
  }
  return records;
}

/** The same by the parser alone. @throws OperatorError CSV_ROW_INVALID */
export async function* parseRecords(
  chunks: AsyncIterable<string>,
  options: RecordOptions,
): AsyncGenerator<readonly CsvRecord[]> {
  const lineEnd = options.recordDelimiter.at(-1) as string;
  let line = options.firstLine;
  let found: CsvRecord[] = [];
  const parser = parse({
    delimiter: options.delimiter,
    record_delimiter: [...options.recordDelimiter],
    relax_column_count: true,
    max_record_size: RECORD_BYTES_MAX,
    on_record: (fields: string[]) => {
      if (fields.length > 1 || fields[0] !== "") found.push({ line, fields });
      line += 1 + linesWithin(fields, lineEnd);
      return null;
    },
  });
  let failure: CsvError | undefined;
  parser.on("error", (error) => {
    failure = error as CsvError;
  });
  parser.resume();
  const taken = (): readonly CsvRecord[] => {
    const records = found;
    found = [];
    return records;
  };
  try {
    for await (const chunk of chunks) {
      if (chunk === "") continue;
      await new Promise<void>((resolve) => parser.write(chunk, () => resolve()));
      yield taken();
      if (parser.errored !== null) break;
    }
    if (parser.errored === null) parser.end();
    await finished(parser).catch(() => undefined);
    yield taken();
    if (failure !== undefined) throw quotesBroken(failure, line);
  } finally {
    parser.destroy();
  }
}

function linesWithin(fields: readonly string[], lineEnd: string): number {
  let lines = 0;
  for (const field of fields) {
    for (let at = field.indexOf(lineEnd); at >= 0; at = field.indexOf(lineEnd, at + 1)) lines += 1;
  }
  return lines;
}

const WORDS: Readonly<Record<string, string>> = {
  CSV_QUOTE_NOT_CLOSED: "opens a quote that is never closed: the file may be cut",
  CSV_INVALID_CLOSING_QUOTE: "has text behind a closing quote; a quote within quotes is doubled",
  INVALID_OPENING_QUOTE: "has a quote within a field without quotes",
  CSV_MAX_RECORD_SIZE: `is longer than ${RECORD_BYTES_MAX} bytes: a quote in it is probably never closed`,
};

function quotesBroken(error: CsvError, line: number): OperatorError {
  const what = WORDS[error.code] ?? error.message;
  return new OperatorError(
    "CSV_ROW_INVALID",
    `the row that begins in line ${line} ${what}. Nobody can tell where the next row begins, so --partial does not help either; nothing was posted`,
    { cause: error },
  );
}

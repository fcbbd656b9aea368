/**
 * Reads a whole file before anything is posted. What was checked is kept aside and is what is posted, so the file may
 * change meanwhile, and a pipe is read once.
 */
import { OperatorError } from "../../../lib/core/errors.ts";
import { parseTimestamp } from "../timestamps.ts";
import { createCurrencyWatch } from "./currency-watch.ts";
import { type Dialect, type DialectOptions, detectDialect } from "./dialect.ts";
import { createStrictDecoder, detectEncoding, type Encoding, type FoundEncoding } from "./encoding.ts";
import { refuseOtherKinds } from "./file-kind.ts";
import { createIdSet } from "./id-set.ts";
import { createMinusWatch } from "./minus-watch.ts";
import { packBroken, packRecord, unpack } from "./packed-rows.ts";
import { type CsvRecord, readRecords } from "./records.ts";
import { createRowFilter } from "./row-filter.ts";
import { createOrderWatch, isNewestFirst, type RowOrder, sortedByTime } from "./row-order.ts";
import { createRowReader, type RowForm, type RowReader } from "./row-reader.ts";
import type { BrokenRow, ParsedRow } from "./rows.ts";
import { createNumbers, createSpool, type Spool } from "./spool.ts";

export interface FirstPassOptions {
  readonly dialect: DialectOptions;
  readonly form: RowForm;
  readonly encoding?: Encoding | undefined;
  /** Records below the last row: totals. */
  readonly skipLast: number;
  /** What becomes of rows that are listed newest first: sorted, or posted as they are; else the file is refused. */
  readonly order?: "sort" | "keep" | undefined;
  /** Broken rows are left out in place of the whole file. */
  readonly partial: boolean;
  readonly onProgress?: ((progress: { readonly rows: number; readonly bytes: number }) => void) | undefined;
}

/** A file that may be posted. */
export interface CheckedFile extends FoundEncoding {
  readonly dialect: Dialect;
  /** Rows below the header, broken ones too. */
  readonly rows: number;
  readonly broken: number;
  /** Rows that were not asked for: they are counted nowhere else. */
  readonly passedOver: number;
  /** Fields of the records below the rows that were left out. */
  readonly below: readonly (readonly string[])[];
  /** What the user should know before anything is posted. */
  readonly notes: readonly string[];
  /** The rows in the order of posting. */
  read(): Generator<ParsedRow>;
  close(): void;
}

/** The header and everything above it must be within this many characters. */
const HEAD_CHARACTERS = 64 * 1024;
const SHOWN_ROWS = 5;

/**
 * @throws OperatorError FILE_NOT_CSV, CSV_ENCODING_INVALID, CSV_HEADER_INVALID, CSV_ROW_INVALID, CSV_CURRENCY_UNCLEAR,
 * CSV_NEWEST_FIRST, FILE_UNREADABLE
 */
export async function checkFile(chunks: AsyncIterable<Uint8Array>, options: FirstPassOptions): Promise<CheckedFile> {
  const source = await openText(chunks, options);
  const dialect = detectDialect(source.head, options.dialect);
  const reader = createRowReader(dialect.layout, options.form);
  const spool = createSpool(options.order === "sort");
  try {
    const pass = createPass({ reader, spool, options, dialect });
    const records = readRecords(bodyOf(source, dialect), {
      ...dialect,
      firstLine: options.dialect.skipLines + 1,
    });
    let isHeader = true;
    for await (const group of records) {
      for (const record of group) {
        if (isHeader) isHeader = false;
        else pass.take(record);
      }
      options.onProgress?.({ rows: pass.rows(), bytes: source.bytes() });
    }
    const found = pass.end(source.endsWith(dialect.recordDelimiter.at(-1) as string));
    return { ...source.encoding, dialect, ...found, close: () => spool.close() };
  } catch (error) {
    spool.close();
    throw error;
  }
}

interface Text {
  readonly encoding: FoundEncoding;
  /** The beginning: at least the head, or all there is. */
  readonly head: string;
  /** What comes behind the head. */
  readonly rest: AsyncIterable<string>;
  bytes(): number;
  /** Whether the text read so far ends so. */
  endsWith(end: string): boolean;
}

async function openText(chunks: AsyncIterable<Uint8Array>, options: FirstPassOptions): Promise<Text> {
  const iterator = chunks[Symbol.asyncIterator]();
  let bytes = 0;
  let last = "";
  const next = async (): Promise<Uint8Array | undefined> => {
    const result = await iterator.next();
    if (result.done === true) return undefined;
    bytes += result.value.length;
    return result.value;
  };
  let first: Uint8Array = new Uint8Array(0);
  // Four bytes tell a byte order mark, some more UTF-16; a pipe may give them one by one.
  for (let chunk: Uint8Array | undefined; first.length < 512; ) {
    chunk = await next();
    if (chunk === undefined) break;
    first = Buffer.concat([first, chunk]);
  }
  refuseOtherKinds(first);
  const encoding = detectEncoding(first, options.encoding);
  const decoder = createStrictDecoder(encoding.encoding);
  const note = (text: string): string => {
    if (text !== "") last = text.slice(-2);
    return text;
  };
  let head = note(decoder.write(first.subarray(encoding.markBytes)));
  let ended = false;
  const more = async (): Promise<string> => {
    const chunk = await next();
    ended = chunk === undefined;
    return note(chunk === undefined ? decoder.end() : decoder.write(chunk));
  };
  while (!ended && head.length < HEAD_CHARACTERS) head += await more();
  const rest = async function* (): AsyncGenerator<string> {
    while (!ended) yield await more();
  };
  return { encoding, head, rest: rest(), bytes: () => bytes, endsWith: (end) => last.endsWith(end) };
}

async function* bodyOf(source: Text, { preamble }: Dialect): AsyncGenerator<string> {
  yield source.head.slice(preamble.length);
  yield* source.rest;
}

interface Pass {
  take(record: CsvRecord): void;
  rows(): number;
  end(hasLineEnd: boolean): Pick<CheckedFile, "rows" | "broken" | "passedOver" | "below" | "notes" | "read">;
}

function createPass(of: { reader: RowReader; spool: Spool; options: FirstPassOptions; dialect: Dialect }): Pass {
  const { reader, spool, options } = of;
  const { layout } = of.dialect;
  const filter = createRowFilter(layout);
  const currencies = createCurrencyWatch(layout, options.form.amounts.asset, options.form.values.asset);
  const minus = createMinusWatch();
  const ids = createIdSet();
  const watch = createOrderWatch();
  const times = options.order === "sort" ? createNumbers() : undefined;
  const shown: BrokenRow[] = [];
  let rows = 0;
  let broken = 0;
  /** Broken rows since the last good one. */
  let trailing = 0;
  /** The last records: one, which may be cut, and those below the last row. */
  const held: CsvRecord[] = [];

  const store = (id: string, parsed: ParsedRow): void => {
    rows += 1;
    if ("broken" in parsed) {
      const { line, code, reason, fields } = parsed.broken;
      broken += 1;
      trailing += 1;
      if (shown.length < SHOWN_ROWS) shown.push(parsed.broken);
      spool.add(packBroken({ line, id, fields, code, reason }));
      times?.push(Number.NEGATIVE_INFINITY);
      return;
    }
    trailing = 0;
    const micros = parseTimestamp(parsed.row.date);
    watch.see(micros, parsed.row.line);
    minus.see(parsed.row);
    times?.push(micros);
    spool.add(packRecord(parsed.row, id));
  };
  const check = (found: CsvRecord): void => {
    // Spreadsheets write rows without anything in them.
    if (found.fields[0] === "" && found.fields.every((field) => field === "")) return;
    const record = withoutEmptyEnd(found, layout.header.length);
    if (filter.passesOver(record)) return;
    currencies.see(record);
    let id = reader.idOf(record);
    const parsed = reader.read(record, id);
    if ("broken" in parsed) return store(id, parsed);
    const isMade = options.dialect.idFrom.length > 0;
    const first = ids.add(id, record.line);
    if (first !== 0 && !isMade) return store(id, double(record, id, first));
    // The second of two equal rows of one day is another row, in every export that has the day whole.
    for (let count = 2, known = first; known !== 0; count += 1) {
      id = `${reader.idOf(record)}-${count}`;
      known = ids.add(id, record.line);
    }
    return store(id, parsed);
  };
  return {
    take: (record) => {
      held.push(record);
      if (held.length > options.skipLast + 1) check(held.shift() as CsvRecord);
    },
    rows: () => rows,
    end: (hasLineEnd) => {
      const below = held.splice(Math.max(0, held.length - options.skipLast));
      for (const record of below) refuseRowBelow(reader, record);
      const last = held.pop();
      if (last !== undefined && (hasLineEnd || below.length > 0)) check(last);
      else if (last !== undefined) store(reader.idOf(last), cut(last, reader.idOf(last)));
      if (below.length > 0 && !hasLineEnd)
        throw invalid(`line ${below.at(-1)?.line}, the last one, has no line end: ${CUT}`);
      const order = watch.order();
      filter.check();
      currencies.check();
      judge({ rows, broken, trailing, shown, order }, options);
      minus.check();
      const sorted = times === undefined ? undefined : sortedByTime(times.all(), order);
      const passedOver = filter.passedOver();
      const notes = [...filter.notes(), ...notesOf(order, options)];
      const read = (): Generator<ParsedRow> => readSpool({ spool, reader, order: sorted });
      return { rows, broken, passedOver, below: below.map(({ fields }) => fields), notes, read };
    },
  };
}

/** Some exports end each row with a separator, and the header without one. What is not empty there is something. */
function withoutEmptyEnd(record: CsvRecord, width: number): CsvRecord {
  const { line, fields } = record;
  const isLonger = fields.length > width && fields.slice(width).every((field) => field.trim() === "");
  return isLonger ? { line, fields: fields.slice(0, width) } : record;
}

const CUT = "the file may be cut there. Get it again, or add a line end when the line is whole";

/** Its last field is left out, so that nobody posts it by feeding the rejects in. */
function cut({ line, fields }: CsvRecord, id: string): ParsedRow {
  const reason = `the last row has no line end behind ${JSON.stringify(fields.at(-1)?.slice(-40))}: ${CUT}`;
  return { broken: { line, id, fields: fields.slice(0, -1), code: "CSV_ROW_INVALID", reason } };
}

function double({ line, fields }: CsvRecord, id: string, first: number): ParsedRow {
  const reason = `id ${JSON.stringify(id)} is that of line ${first} already; an id is of one row`;
  return { broken: { line, id, fields, code: "CSV_ROW_INVALID", reason } };
}

function refuseRowBelow(reader: RowReader, record: CsvRecord): void {
  if ("row" in reader.read(record, reader.idOf(record))) {
    throw invalid(`--skip-last would leave out line ${record.line}, and that is a row like any other`);
  }
}

interface Verdict {
  readonly rows: number;
  readonly broken: number;
  /** Broken rows below the last good one. */
  readonly trailing: number;
  readonly shown: readonly BrokenRow[];
  readonly order: RowOrder;
}

function judge(found: Verdict, options: FirstPassOptions): void {
  const { rows, broken, trailing, shown, order } = found;
  if (rows === 0) throw invalid("there are no rows below the header");
  if (broken > 0 && (!options.partial || broken === rows)) {
    const lines = shown.map(({ line, reason }) => `\n  line ${line}: ${reason}`).join("");
    const more = broken > shown.length ? `\n  and ${broken - shown.length} more` : "";
    const isBelow = trailing === broken && broken < rows;
    const below = isBelow ? `\nIf that is a total below the rows, --skip-last ${broken} leaves it out.` : "";
    throw invalid(`${broken} of ${rows} rows cannot be posted, so nothing was:${lines}${more}${below}`);
  }
  if (isNewestFirst(order) && options.order === undefined) {
    throw new OperatorError(
      "CSV_NEWEST_FIRST",
      `the rows are listed newest first (line ${order.firstFall} is older than the row above it; ${order.falls} rows go back in time, ${order.rises} forward). In this order money would be spent before it came, and a refusal is final for its id`,
    );
  }
}

function notesOf(order: RowOrder, options: FirstPassOptions): readonly string[] {
  if (order.falls === 0 || options.order !== undefined) return [];
  const rows = order.falls === 1 ? "1 row is" : `${order.falls} rows are`;
  return [
    `${rows} older than the row above (first: line ${order.firstFall}); rows are posted in the order of the file. --sort date posts the oldest first, --keep-order says that this is meant.`,
  ];
}

function* readSpool(of: { spool: Spool; reader: RowReader; order?: Uint32Array | undefined }): Generator<ParsedRow> {
  for (const text of of.spool.read(of.order)) {
    const stored = unpack(text);
    yield "broken" in stored ? stored : of.reader.read(stored.record, stored.id);
  }
}

function invalid(message: string): OperatorError {
  return new OperatorError("CSV_ROW_INVALID", message);
}

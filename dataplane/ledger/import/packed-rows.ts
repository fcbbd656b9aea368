/**
 * Checked rows as single lines of text. Almost all are fields with zeros in between, which no text of a file holds, since
 * that takes a fifth of the time of JSON; rows with line breaks in them are JSON.
 */
import type { CsvRecord } from "./records.ts";
import type { BrokenRow } from "./rows.ts";

/** What a line held. */
export type StoredRow = { readonly record: CsvRecord; readonly id: string } | { readonly broken: BrokenRow };

/** A record and the id that it was given. */
export function packRecord({ line, fields }: CsvRecord, id: string): string {
  const packed = `${line}\0${id}\0${fields.join("\0")}`;
  return packed.includes("\n") ? JSON.stringify({ record: { line, fields }, id }) : packed;
}

/** A row that is not posted, with its reason. */
export function packBroken({ line, id, code, reason, fields }: BrokenRow): string {
  return JSON.stringify({ broken: { line, id, code, reason, fields } });
}

/** The inverse of both. */
export function unpack(text: string): StoredRow {
  if (text.startsWith("{")) return JSON.parse(text) as StoredRow;
  const behindLine = text.indexOf("\0");
  const behindId = text.indexOf("\0", behindLine + 1);
  const line = Number(text.slice(0, behindLine));
  return { record: { line, fields: text.slice(behindId + 1).split("\0") }, id: text.slice(behindLine + 1, behindId) };
}

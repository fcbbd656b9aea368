/** The file of the rows that were not posted: as they were, with code and reason behind, to be mended and imported again. */
import { closeSync, existsSync, openSync, rmSync, statSync, writeSync } from "node:fs";
import { OperatorError } from "../../../lib/core/errors.ts";
import type { Dialect } from "./dialect.ts";
import { encodeText, type FoundEncoding, markOf } from "./encoding.ts";
import type { BrokenRow } from "./rows.ts";

/** Columns behind those of the file; a file that has them already keeps them, with what is so now. */
export const REJECT_COLUMNS = ["reject_code", "reject_reason"] as const;

export interface RejectsPlace {
  /** Where the user wants it. */
  readonly named?: string | undefined;
  /** Where it goes otherwise, when nothing is there; else beside it, under a number. */
  readonly usual: string;
  /** Whether what is there may be replaced. */
  readonly force: boolean;
}

export interface RejectsFile {
  readonly path: string;
  add(rejected: BrokenRow): void;
  /** Writes what waits; without any row the file goes. @returns its path, when there is one */
  close(): string | undefined;
}

/** Rows that wait to be sorted by their line: answers come from several shards. */
const WAITING_MAX = 20_000;
const NUMBERS_MAX = 1_000;

/** The file that the rows come from. */
export interface RejectsForm extends FoundEncoding {
  readonly dialect: Dialect;
  /** Fields of what stands below its rows. */
  readonly below: readonly (readonly string[])[];
}

/**
 * @param form the rejects are written like the file that they come from, so that the same options read both
 * @throws OperatorError FILE_EXISTS, FILE_UNREADABLE: before anything is posted
 */
export function openRejects(place: RejectsPlace, form: RejectsForm): RejectsFile {
  const path = place.named ?? freePath(place);
  const isOurs = !existsSync(path) || statSync(path).isFile();
  const descriptor = open(path, place.force || !isOurs ? "w" : "wx");
  let waiting: BrokenRow[] = [];
  let rows = 0;
  let closed = false;

  const write = (bytes: Buffer): void => {
    try {
      for (let done = 0; done < bytes.length; ) done += writeSync(descriptor, bytes, done);
    } catch (cause) {
      throw unwritable(path, cause);
    }
  };
  const flush = (): void => {
    if (waiting.length === 0) return;
    const { dialect, encoding, markBytes } = form;
    waiting.sort((a, b) => a.line - b.line);
    const lines = waiting.map((row) => lineOf(dialect, [...ownFields(dialect, row.fields), row.code, row.reason]));
    if (rows === 0) {
      if (markBytes > 0) write(markOf(encoding));
      lines.unshift(dialect.preamble, lineOf(dialect, [...ownFields(dialect, dialect.header), ...REJECT_COLUMNS]));
    }
    rows += waiting.length;
    waiting = [];
    write(encodeText(lines.join(""), encoding));
  };
  return {
    path,
    add: (rejected) => {
      waiting.push(rejected);
      if (waiting.length >= WAITING_MAX) flush();
    },
    close: () => {
      if (!closed) {
        closed = true;
        flush();
        const { dialect, encoding, below } = form;
        if (rows > 0) write(encodeText(below.map((fields) => lineOf(dialect, fields)).join(""), encoding));
        closeSync(descriptor);
        if (rows === 0 && isOurs) rmSync(path, { force: true });
      }
      return rows === 0 ? undefined : path;
    },
  };
}

function freePath({ usual, force }: RejectsPlace): string {
  if (force) return usual;
  for (let number = 1; number <= NUMBERS_MAX; number += 1) {
    const path = number === 1 ? usual : usual.replace(/(\.csv)?$/, `-${number}$1`);
    if (!existsSync(path)) return path;
  }
  return usual;
}

function open(path: string, mode: "w" | "wx"): number {
  try {
    return openSync(path, mode, 0o600);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "EEXIST") {
      throw new OperatorError(
        "FILE_EXISTS",
        `${path} is there already: name another file for the refused rows with --rejects, or replace it with --force`,
        { cause },
      );
    }
    throw unwritable(path, cause);
  }
}

function unwritable(path: string, cause: unknown): OperatorError {
  const { message } = cause as Error;
  return new OperatorError(
    "FILE_UNREADABLE",
    `refused rows cannot be written to ${path}: ${message}. Name another place with --rejects FILE`,
    { cause },
  );
}

/** The fields without what an earlier import has put behind them. */
function ownFields({ header }: Dialect, fields: readonly string[]): readonly string[] {
  const isRejects = REJECT_COLUMNS.every((name, index) => header.at(index - REJECT_COLUMNS.length) === name);
  return isRejects && fields.length === header.length ? fields.slice(0, -REJECT_COLUMNS.length) : fields;
}

function lineOf({ delimiter, lineEnd }: Dialect, fields: readonly string[]): string {
  return `${fields.map((field) => quote(field, delimiter)).join(delimiter)}${lineEnd}`;
}

function quote(text: string, delimiter: string): string {
  return text.includes(delimiter) || /["\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

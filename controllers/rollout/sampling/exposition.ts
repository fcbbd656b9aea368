/**
 * Prometheus' text format, as pods and gateways tell their metrics: version 0.0.4, and what OpenMetrics has beyond it (exemplars, the
 * end mark, names in quotes). Only the series that are asked for are kept; of all other lines the beginning is checked, so that a page
 * that is something else is not taken for one without metrics. A backslash before any other character than a backslash, a quote
 * or an n stands for itself, as Prometheus reads it. Timestamps are passed over.
 */
import { OperatorError } from "../../../lib/core/errors.ts";

/** One series at the time of the scrape. */
export interface Sample {
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly value: number;
}

/** What is wanted of a page of metrics. */
export interface Exposition {
  readonly samples: readonly Sample[];
  /** Families that the page announces (TYPE or HELP), with series or without. */
  readonly families: ReadonlySet<string>;
}

/** Most lines of a page, and most series that may be asked for; far above what a program of sane labels has. */
const LINES_MAX = 200_000;
const LINE_LENGTH_MAX = 65_536;
const SERIES_MAX = 20_000;

const NAME = /[a-zA-Z_:][a-zA-Z0-9_:]*/y;
const LABEL = /[a-zA-Z_][a-zA-Z0-9_]*/y;
const SPACES = /[ \t]*/y;
const QUOTED = /"((?:[^"\\]|\\.)*)"/y;
const WORD = /[^ \t]+/y;
const COMMENT = /^#[ \t]+(?:TYPE|HELP|UNIT)[ \t]+(?:"((?:[^"\\]|\\.)*)"|([^ \t"]+))/;
/** A timestamp and an exemplar, both or none of them. */
const REST = /^[ \t]*(?:[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?[ \t]*)?(?:#.*)?$/;
const DECIMAL = /^[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?$/;
const INFINITE = /^([-+])?inf(?:inity)?$/i;

/**
 * Reads a page of metrics.
 * @param wanted names of the series that are kept
 * @throws OperatorError METRICS_INVALID; the message has the line's number
 */
export function parseExposition(text: string, wanted: ReadonlySet<string>): Exposition {
  const samples: Sample[] = [];
  const families = new Set<string>();
  let number = 0;
  for (let start = 0; start < text.length; ) {
    const newline = text.indexOf("\n", start);
    const end = newline < 0 ? text.length : newline;
    const line = text.slice(start, end);
    start = end + 1;
    number += 1;
    if (number > LINES_MAX) throw invalid(`more than ${LINES_MAX} lines`);
    if (line.length > LINE_LENGTH_MAX) throw invalid(`line ${number} is longer than ${LINE_LENGTH_MAX} characters`);
    const begin = after(SPACES, line, 0);
    if (begin === line.length) continue;
    if (line[begin] === "#") {
      if (line.startsWith("# EOF", begin)) break;
      const [, quoted, plain] = COMMENT.exec(line.slice(begin)) ?? [];
      const family = quoted === undefined ? plain : unescaped(quoted);
      if (family !== undefined) families.add(family);
      continue;
    }
    const sample = sampleOf({ line, at: begin }, wanted);
    if (sample === undefined) throw invalid(`line ${number} is not in the text format of Prometheus`);
    if (sample === "unwanted") continue;
    if (samples.length >= SERIES_MAX) throw invalid(`more than ${SERIES_MAX} series of ${sample.name}`);
    samples.push(sample);
  }
  if (number === 0) throw invalid("the page is empty");
  return { samples, families };
}

/** A number as the format has it. @returns undefined for anything else */
export function numberOf(text: string): number | undefined {
  if (DECIMAL.test(text)) return Number(text);
  const infinite = INFINITE.exec(text);
  if (infinite !== null) return infinite[1] === "-" ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  return /^[-+]?nan$/i.test(text) ? Number.NaN : undefined;
}

/** A line, and how far it has been read. */
interface Cursor {
  readonly line: string;
  at: number;
}

/** @returns undefined for a line that is not a sample */
function sampleOf(cursor: Cursor, wanted: ReadonlySet<string>): Sample | "unwanted" | undefined {
  const { line } = cursor;
  const plain = take(NAME, cursor)?.[0];
  if (plain !== undefined && !wanted.has(plain)) return /[ \t{]/.test(line[cursor.at] ?? "") ? "unwanted" : undefined;
  take(SPACES, cursor);
  const labels = new Map<string, string>();
  const braced = line[cursor.at] === "{" ? takeLabels(cursor, labels) : { name: undefined };
  const name = plain ?? braced?.name;
  // A name stands either before the braces or, in quotes, in them.
  if (braced === undefined || name === undefined || (plain !== undefined && braced.name !== undefined))
    return undefined;
  take(SPACES, cursor);
  const value = numberOf(take(WORD, cursor)?.[0] ?? "");
  if (value === undefined || !REST.test(line.slice(cursor.at))) return undefined;
  return wanted.has(name) ? { name, labels, value } : "unwanted";
}

/** From the opening brace to behind the closing one. @returns the name that was among them, if any; undefined when they are broken */
function takeLabels(cursor: Cursor, labels: Map<string, string>): { readonly name: string | undefined } | undefined {
  const { line } = cursor;
  let name: string | undefined;
  cursor.at += 1;
  for (;;) {
    take(SPACES, cursor);
    if (line[cursor.at] === "}") break;
    const quoted = take(QUOTED, cursor)?.[1];
    const key = quoted === undefined ? take(LABEL, cursor)?.[0] : unescaped(quoted);
    if (key === undefined) return undefined;
    take(SPACES, cursor);
    if (line[cursor.at] === "=") {
      cursor.at += 1;
      take(SPACES, cursor);
      const value = take(QUOTED, cursor)?.[1];
      if (value === undefined || labels.has(key)) return undefined;
      labels.set(key, unescaped(value));
    } else if (quoted !== undefined && name === undefined) name = key;
    else return undefined;
    take(SPACES, cursor);
    if (line[cursor.at] === ",") cursor.at += 1;
    else if (line[cursor.at] !== "}") return undefined;
  }
  cursor.at += 1;
  return { name };
}

/** Matches right here, and moves behind it. */
function take(pattern: RegExp, cursor: Cursor): RegExpExecArray | undefined {
  pattern.lastIndex = cursor.at;
  const found = pattern.exec(cursor.line);
  if (found === null) return undefined;
  cursor.at = pattern.lastIndex;
  return found;
}

function after(pattern: RegExp, line: string, at: number): number {
  const cursor = { line, at };
  take(pattern, cursor);
  return cursor.at;
}

function unescaped(text: string): string {
  if (!text.includes("\\")) return text;
  return text.replace(/\\([\\"n])/g, (_, escaped: string) => (escaped === "n" ? "\n" : escaped));
}

function invalid(message: string): OperatorError {
  return new OperatorError("METRICS_INVALID", `metrics: ${message}`);
}

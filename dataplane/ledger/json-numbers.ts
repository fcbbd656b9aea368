/**
 * JSON as a ledger takes it, stricter than JSON.parse: `1e3`, `1.0` and `-0.0` are no plain integers, and two members of one
 * name are not one. Almost no body has either, so one pass over the bytes decides whether the slow, exact way is needed.
 */
import { isUtf8 } from "node:buffer";
import { OperatorError } from "../../lib/core/errors.ts";
import { DEPTH_MAX, findJsonFault } from "./json-faults.ts";

/** Stands for a number whose token has a fraction or an exponent. */
export class InexactNumber {
  readonly token: string;
  constructor(token: string) {
    this.token = token;
  }
}

/** Where the text is too long to search. */
const UNNAMED = { code: "JSON_MEMBER_REPEATED", detail: "an object in the body has one member twice" } as const;
const INEXACT = /[.eE]/;

/**
 * Members, list items and objects of one body: thirty for each of ten thousand transfers, whose most is 28. Parsed, each takes up
 * to a hundred bytes and more, however short its text is.
 */
export const VALUES_MAX = 300_000;

/**
 * Parses a request's body.
 * @param onValues told how many values there are at most, before any is made
 * @throws OperatorError JSON_INVALID, NUMBER_INVALID, JSON_MEMBER_REPEATED, BODY_TOO_LARGE
 */
export function parseJsonBody(body: Buffer, onValues: (values: number) => void = () => undefined): unknown {
  if (!isUtf8(body)) throw new OperatorError("JSON_INVALID", "the body is not UTF-8");
  const { colons, depth, values, hasInexact } = outline(body);
  if (depth > DEPTH_MAX) {
    throw new OperatorError("JSON_INVALID", `the body nests deeper than ${DEPTH_MAX} levels`);
  }
  if (values > VALUES_MAX) {
    throw new OperatorError("BODY_TOO_LARGE", `the body has ${values} values; at most ${VALUES_MAX} are taken at once`);
  }
  onValues(values);
  const text = body.toString("utf8");
  let value: unknown;
  try {
    value = hasInexact ? JSON.parse(text, keepInexact) : JSON.parse(text);
  } catch (cause) {
    const { code, detail } = findJsonFault(text) ?? { code: "JSON_INVALID", detail: "the body is not JSON" };
    throw new OperatorError(code, detail, { cause });
  }
  if (countMembers(value) === colons) return value;
  const { code, detail } = findJsonFault(text) ?? UNNAMED;
  throw new OperatorError(code, detail);
}

function keepInexact(_key: string, value: unknown, context?: { source?: string }): unknown {
  const token = context?.source;
  return typeof value === "number" && token !== undefined && INEXACT.test(token) ? new InexactNumber(token) : value;
}

const BYTE = { quote: 0x22, backslash: 0x5c, colon: 0x3a, comma: 0x2c, point: 0x2e, zero: 0x30, nine: 0x39 } as const;
/** `[` and `{`, `]` and `}` and `e` and `E` differ in this bit. */
const CASE_BIT = 0x20;
const OPEN = 0x7b;
const CLOSE = 0x7d;
const EXPONENT = 0x65;

/** What stands outside of text; right for JSON, anything for what is none. */
function outline(body: Buffer): { colons: number; depth: number; values: number; hasInexact: boolean } {
  let colons = 0;
  let values = 0;
  let level = 0;
  let depth = 0;
  let hasInexact = false;
  for (let at = 0; at < body.length; at += 1) {
    const byte = body[at] as number;
    if (byte === BYTE.quote) {
      at += 1;
      while (at < body.length && body[at] !== BYTE.quote) at += body[at] === BYTE.backslash ? 2 : 1;
      continue;
    }
    if (byte === BYTE.colon) {
      colons += 1;
      continue;
    }
    if (byte === BYTE.comma) {
      values += 1;
      continue;
    }
    const folded = byte | CASE_BIT;
    if (folded === OPEN) {
      level += 1;
      values += 1;
      if (level > depth) depth = level;
    } else if (folded === CLOSE) level -= 1;
    else if (byte === BYTE.point || (folded === EXPONENT && isDigit(body[at - 1]))) hasInexact = true;
  }
  return { colons, depth, values, hasInexact };
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= BYTE.zero && byte <= BYTE.nine;
}

/** Members of all objects; JSON.parse keeps the last of those with one name. */
function countMembers(value: unknown): number {
  const open: unknown[] = [value];
  let members = 0;
  for (let each = open.pop(); open.length > 0 || each !== undefined; each = open.pop()) {
    if (typeof each !== "object" || each === null || each instanceof InexactNumber) continue;
    if (Array.isArray(each)) {
      for (const item of each) if (typeof item === "object") open.push(item);
      continue;
    }
    for (const name in each) {
      members += 1;
      const member = (each as Record<string, unknown>)[name];
      if (typeof member === "object") open.push(member);
    }
  }
  return members;
}

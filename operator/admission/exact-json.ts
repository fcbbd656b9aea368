/**
 * JSON whose whole numbers keep all their digits. The API server knows 64-bit integers and JSON.parse does not: a
 * conversion sends whole objects back, so a field of another program that holds 2^60 would come out rounded, silently.
 * Such a number becomes a frozen value that JSON.stringify prints as it was; no handler can calculate with it, and a
 * schema refuses it. Almost no object has one: a scan of the text decides whether the slow way is needed.
 */

/** A whole number beyond 2^53, as JSON.rawJSON makes it. */
interface RawJson {
  readonly rawJSON: string;
}

/** Part of ECMAScript 2026 that TypeScript does not declare yet. */
const json = JSON as unknown as {
  rawJSON(text: string): RawJson;
  isRawJSON(value: unknown): boolean;
  parse(
    text: string,
    reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
  ): unknown;
};

/** 2^53 has 16 digits. Within a string such digits only cost time. */
const LONG_NUMBER = /[0-9]{16}/;
const WHOLE = /^-?[0-9]+$/;

/** Parses a document. @throws SyntaxError */
export function parseExactJson(text: string): unknown {
  if (!LONG_NUMBER.test(text)) return JSON.parse(text);
  return json.parse(text, (_key, value, { source }) =>
    typeof value === "number" && !Number.isSafeInteger(value) && source !== undefined && WHOLE.test(source)
      ? json.rawJSON(source)
      : value,
  );
}

/** A number that kept its digits. */
export function isLongNumber(value: unknown): value is RawJson {
  return json.isRawJSON(value);
}

/** A copy that shares nothing with the original but numbers that keep their digits. */
export function copyJson<T>(value: T): T {
  if (typeof value !== "object" || value === null || isLongNumber(value)) return value;
  if (Array.isArray(value)) return value.map(copyJson) as T;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, copyJson(member)])) as T;
}

import { createHash, hash } from "node:crypto";

/**
 * JSON with object keys in code-point order and `undefined` members left out: equal values give equal text.
 * Written directly, without a sorted copy of the value: every reconcile hashes what it wants.
 */
export function canonicalJson(value: unknown): string {
  return textOf(value) ?? JSON.stringify(value);
}

/** Printable ASCII without quote and backslash: JSON has it between quotes as it is. */
const PLAIN = /^[ !#-[\]-~]*$/;

/** @returns `undefined` for what JSON cannot say: it is left out of objects and is null in lists */
function textOf(value: unknown): string | undefined {
  if (typeof value === "string") return PLAIN.test(value) ? `"${value}"` : JSON.stringify(value);
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  if (Array.isArray(value)) {
    let text = "";
    for (const element of value) text += `${text === "" ? "[" : ","}${textOf(element) ?? "null"}`;
    return text === "" ? "[]" : `${text}]`;
  }
  const source = value as Record<string, unknown>;
  let text = "";
  for (const key of Object.keys(source).sort()) {
    const member = textOf(source[key]);
    if (member !== undefined) text += `${text === "" ? "{" : ","}${textOf(key) as string}:${member}`;
  }
  return text === "" ? "{}" : `${text}}`;
}

/** SHA-256 of the canonical JSON, `length` hex digits (64 at most). */
export function contentHash(value: unknown, length = 16): string {
  return hash("sha256", canonicalJson(value), "hex").slice(0, length);
}

/** SHA-256 of bytes or UTF-8 text. */
export function sha256(...parts: readonly (string | Uint8Array)[]): Buffer {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest();
}

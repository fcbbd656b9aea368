/**
 * JSON whose numbers are checked on their source token: `1e3`, `1.0` and `-0.0` are whole numbers to JSON.parse, but not
 * to a ledger. Almost no body has such a token, so one scan of the text decides whether the slow, exact way is needed.
 */
import { isUtf8 } from "node:buffer";
import { OperatorError } from "../../lib/core/errors.ts";

/** Stands for a number whose token has a fraction or an exponent. */
export class InexactNumber {
  readonly token: string;
  constructor(token: string) {
    this.token = token;
  }
}

/** A number token with a fraction or an exponent, or text within a string that looks like one. */
const SUSPECT = /[:[,]\s*-?[0-9]+[.eE]/;
const INEXACT = /[.eE]/;

/** Parses a request's body. @throws OperatorError JSON_INVALID */
export function parseJsonBody(body: Buffer): unknown {
  if (!isUtf8(body)) throw new OperatorError("JSON_INVALID", "the body is not UTF-8");
  const text = body.toString("utf8");
  try {
    return SUSPECT.test(text) ? JSON.parse(text, keepInexact) : JSON.parse(text);
  } catch (cause) {
    throw new OperatorError("JSON_INVALID", (cause as Error).message, { cause });
  }
}

function keepInexact(_key: string, value: unknown, context?: { source?: string }): unknown {
  const token = context?.source;
  return typeof value === "number" && token !== undefined && INEXACT.test(token) ? new InexactNumber(token) : value;
}

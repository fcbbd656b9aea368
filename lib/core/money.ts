declare const creditsBrand: unique symbol;

/** Whole minor units of an asset, |x| <= 2^53 - 1 (architecture rule 3: no floats, no exponents, no rounding). */
export type Credits = number & { readonly [creditsBrand]: true };

/** Largest absolute amount or balance: the largest integer that JavaScript, JSON and PostgreSQL bigint all keep. */
export const CREDITS_MAX = Number.MAX_SAFE_INTEGER as Credits;

/** Narrows a number to credits; `undefined` when it is not a whole number within the bound. */
export function asCredits(value: unknown): Credits | undefined {
  return typeof value === "number" && Number.isSafeInteger(value) ? ((value === 0 ? 0 : value) as Credits) : undefined;
}

const INTEGER_TOKEN = /^-?(0|[1-9][0-9]{0,15})$/;

/** Reads a decimal integer token (no sign but minus, no leading zero, no exponent); `undefined` for anything else. */
export function parseCredits(token: string): Credits | undefined {
  return INTEGER_TOKEN.test(token) ? asCredits(Number(token)) : undefined;
}

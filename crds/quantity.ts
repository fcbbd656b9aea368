/** The spellings of a Kubernetes quantity that our schemas accept: a whole or decimal number and one suffix. */
export const QUANTITY_PATTERN = /^[0-9]{1,15}(\.[0-9]{1,3})?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$/;

/** The largest number that the pattern takes: 15 digits, which programs read exactly. */
export const QUANTITY_NUMBER_MAX = 999_999_999_999_999;

/** Factor of each suffix, in thousandths of the base unit (so that `m` is whole too). */
const THOUSANDTHS: Readonly<Record<string, bigint>> = {
  m: 1n,
  "": 1_000n,
  k: 1_000n ** 2n,
  M: 1_000n ** 3n,
  G: 1_000n ** 4n,
  T: 1_000n ** 5n,
  P: 1_000n ** 6n,
  Ki: 1_000n * 1_024n,
  Mi: 1_000n * 1_024n ** 2n,
  Gi: 1_000n * 1_024n ** 3n,
  Ti: 1_000n * 1_024n ** 4n,
  Pi: 1_000n * 1_024n ** 5n,
};

/**
 * Reads a Kubernetes quantity such as `500m`, `1.5Gi` or `2`, in quotes or as a whole number.
 * @returns thousandths of the base unit, or `undefined` when it is not a quantity that our schemas accept
 */
export function parseQuantity(quantity: string | number): bigint | undefined {
  const text = String(quantity);
  if (!QUANTITY_PATTERN.test(text)) return undefined;
  const suffix = text.replace(/[0-9.]/g, "");
  const [whole = "0", fraction = ""] = text.slice(0, text.length - suffix.length).split(".");
  const factor = THOUSANDTHS[suffix];
  if (factor === undefined) return undefined;
  // Digits as a whole number of thousandths of the suffix; a rest below a thousandth rounds up, as the server does.
  const digits = BigInt(whole + fraction.padEnd(3, "0"));
  return (digits * factor + 999n) / 1_000n;
}

/** Negative, zero or positive, like a sort function. `undefined` when either is no quantity. */
export function compareQuantities(a: string | number, b: string | number): number | undefined {
  const left = parseQuantity(a);
  const right = parseQuantity(b);
  if (left === undefined || right === undefined) return undefined;
  return left < right ? -1 : left > right ? 1 : 0;
}

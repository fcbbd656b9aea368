/** Amounts as people and banks write them, as whole minor units. */
import { CREDITS_MAX } from "../../../lib/core/money.ts";
import { canMean, currencyBeside } from "./currencies.ts";

/** How the amounts of a file are written. */
export interface AmountForm {
  readonly asset: string;
  /** Decimal places of the asset. */
  readonly scale: number;
  readonly decimalComma: boolean;
  /** Amounts are in the asset, whatever currency stands beside them. */
  readonly anyCurrency: boolean;
}

/** Minor units with their sign, or why the text is no amount. */
export type ReadAmount = { readonly minor: number } | { readonly reason: string };

/** Spaces, also those that do not break and the narrow ones. */
const SPACES = /[\s\u00a0\u2007\u2009\u202f]+/g;
/** Digits, signs and marks as wide as a Chinese character. */
const WIDE = /[\uff01-\uff5e]/g;
const WIDE_OFFSET = 0xfee0;
/** In Japan a triangle is a minus. */
const SIGN = /^[-+\u2212▲△]|[-+\u2212]$/;
const GROUPED = /^\d{1,3}(?:([ ,.'’])\d{3})(?:\1\d{3})*$/;
/** Groups of two above the thousands: lakh and crore. */
const LAKH = /^\d{1,2}(?:,\d{2})+,\d{3}$/;

/**
 * Reads for example "1,234.56", "(12.50)", "-1.084,99" (with `decimalComma`), "1 250 000", "2,50,000.00", "12,50-", "$5",
 * "5.00 EUR", "12,50 Kč", "４２０円". Nothing is rounded and nothing guessed: what can be read in two ways is refused.
 */
export function readAmount(text: string, form: AmountForm): ReadAmount {
  const { bare, signs, isNegative, foreign } = undressed(narrow(text), form);
  if (foreign !== undefined) {
    const help = `--asset names another one; --value asset=${form.asset} says that the amounts are in ${form.asset} all the same`;
    return { reason: `has "${foreign}" beside the number, which is not ${form.asset} (${help})` };
  }
  if (signs > 1) return no(form, "has more than one sign");
  const mark = form.decimalComma ? "," : ".";
  const at = bare.lastIndexOf(mark);
  const whole = at < 0 ? bare : bare.slice(0, at);
  const decimals = at < 0 ? "" : bare.slice(at + 1);
  if (!isWhole(whole, mark) || (at >= 0 && !/^\d+$/.test(decimals))) return noNumber(form, bare);
  // With three decimals, 1,234 may be a thousand or a bit more than one.
  if (at < 0 && form.scale > 2 && /^\d{1,3}[.,]\d{3}$/.test(whole)) return no(form, "can be read in two ways");
  if (decimals.length > form.scale) {
    return no(form, `has ${decimals.length} decimals, and ${form.asset} has ${form.scale}`);
  }
  const minor = Number(`${whole.replace(/\D/g, "")}${decimals.padEnd(form.scale, "0")}`);
  if (minor > CREDITS_MAX) return { reason: `is more than ${CREDITS_MAX} minor units` };
  return { minor: isNegative && minor > 0 ? -minor : minor };
}

/** The text with ordinary digits, signs and single spaces. */
function narrow(text: string): string {
  const ascii = text.replace(WIDE, (character) => String.fromCharCode(character.charCodeAt(0) - WIDE_OFFSET));
  return ascii.replace(SPACES, " ").trim();
}

function isWhole(text: string, mark: string): boolean {
  if (/^\d+$/.test(text) || (mark !== "," && LAKH.test(text))) return true;
  const group = GROUPED.exec(text)?.[1];
  return group !== undefined && group !== mark;
}

function noNumber(form: AmountForm, bare: string): { reason: string } {
  const side = /(?:^|[\d\s])(cr|dr)\.?$/i.exec(bare)?.[1];
  if (side === undefined) return no(form, "is not an amount");
  const direction = side.toLowerCase() === "cr" ? "credit" : "debit";
  return { reason: `has "${side}" beside the number; --direction ${direction}=${side} says what it means` };
}

function no({ decimalComma, scale }: AmountForm, what: string): { reason: string } {
  const example = decimalComma ? "1.234,56" : "1,234.56";
  const other = decimalComma ? "leave out --decimal-comma" : "give --decimal-comma";
  const means = scale === 0 ? "" : `; where the other mark begins the decimals, ${other}`;
  return { reason: `${what} (amounts are read like ${example}${means})` };
}

interface Undressed {
  readonly bare: string;
  readonly signs: number;
  readonly isNegative: boolean;
  /** Another currency, as it stands beside the number. */
  readonly foreign?: string | undefined;
}

/** Takes signs, parentheses and the currency off, in whatever order they stand. */
function undressed(text: string, { asset, anyCurrency }: AmountForm): Undressed {
  let bare = text;
  let signs = 0;
  let isNegative = false;
  const negate = (): void => {
    signs += 1;
    isNegative = true;
  };
  const parentheses = /^([^()]*)\(([^()]*)\)([^()]*)$/.exec(bare);
  if (parentheses !== null) {
    negate();
    bare = parentheses.slice(1).join("").trim();
  }
  for (let before = ""; before !== bare; ) {
    before = bare;
    if (bare.endsWith(asset)) bare = bare.slice(0, -asset.length).trim();
    if (bare.startsWith(asset)) bare = bare.slice(asset.length).trim();
    const beside = currencyBeside(bare);
    if (beside !== undefined) {
      if (!anyCurrency && !canMean(beside, asset)) return { bare, signs, isNegative, foreign: beside };
      bare = (bare.startsWith(beside) ? bare.slice(beside.length) : bare.slice(0, -beside.length)).trim();
    }
    const sign = SIGN.exec(bare);
    if (sign === null) continue;
    if (sign[0] === "+") signs += 1;
    else negate();
    bare = (sign.index === 0 ? bare.slice(1) : bare.slice(0, -1)).trim();
  }
  return { bare, signs, isNegative };
}

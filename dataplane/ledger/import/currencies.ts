/** Currencies: their codes, and the words that people write beside amounts. */

const CODES: ReadonlySet<string> = new Set(Intl.supportedValuesOf("currency"));

/** What is written in place of a sign, by the codes that it may mean; a point may stand behind it. */
const WORDS: Readonly<Record<string, readonly string[]>> = {
  Kč: ["CZK"],
  zł: ["PLN"],
  Ft: ["HUF"],
  kr: ["SEK", "NOK", "DKK", "ISK"],
  Fr: ["CHF"],
  SFr: ["CHF"],
  lei: ["RON", "MDL"],
  лв: ["BGN"],
  руб: ["RUB", "BYN"],
  Rs: ["INR", "PKR", "LKR", "NPR", "MUR"],
  Rp: ["IDR"],
  RM: ["MYR"],
  TL: ["TRY"],
  円: ["JPY"],
  元: ["CNY"],
  원: ["KRW"],
};

const either = Object.keys(WORDS).join("|");
/** Such a word in front of a number or behind it. */
export const CURRENCY_WORD = new RegExp(`^(?:${either})\\.?(?=[^\\p{L}])|(?<=[^\\p{L}])(?:${either})\\.?$`, "u");

/** Whether a text is the code of a currency, in capital or small letters. */
export function isCurrency(code: string): boolean {
  return code.length === 3 && CODES.has(code.toUpperCase());
}

/** Whether a word can mean the asset; an asset that is no currency is counted in whatever the file says. */
export function isWordOf(word: string, asset: string): boolean {
  return !isCurrency(asset) || (WORDS[word.replace(/\.$/, "")] ?? []).includes(asset);
}

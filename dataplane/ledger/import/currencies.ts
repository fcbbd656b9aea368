/** Currencies: their codes, and the signs and words that people write beside amounts. */

const CODES: ReadonlySet<string> = new Set(Intl.supportedValuesOf("currency"));
const DOLLARS =
  "USD AUD CAD NZD HKD SGD TWD MXN ARS CLP COP UYU BRL BSD BBD BZD BMD FJD GYD JMD LRD NAD SBD SRD TTD XCD".split(" ");

/** What is written for a currency, by the codes that it may mean; a point may stand behind a word. */
const NAMES: Readonly<Record<string, readonly string[]>> = {
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
  US$: ["USD"],
  A$: ["AUD"],
  C$: ["CAD"],
  NZ$: ["NZD"],
  HK$: ["HKD"],
  S$: ["SGD"],
  NT$: ["TWD"],
  MX$: ["MXN"],
  R$: ["BRL"],
  $: DOLLARS,
  "€": ["EUR"],
  "£": ["GBP", "EGP", "GIP", "FKP", "SHP", "LBP", "SYP"],
  "¥": ["JPY", "CNY"],
  "￥": ["JPY", "CNY"],
  "₹": ["INR"],
  "₽": ["RUB"],
  "₩": ["KRW"],
  "₺": ["TRY"],
  "₴": ["UAH"],
  "₫": ["VND"],
  "฿": ["THB"],
  "₪": ["ILS"],
  "₦": ["NGN"],
};

const words = Object.keys(NAMES).filter((name) => /^\p{L}+$/u.test(name));
const either = `(?:${words.join("|")})\\.?|[A-Z]{3}`;
const sign = "[A-Z]{0,2}\\$|\\p{Sc}";
/** A sign, a word or a code in front of a number or behind it. */
const BESIDE = new RegExp(`^(?:${sign}|(?:${either})(?=[^\\p{L}]))|(?:${sign}|(?<=[^\\p{L}])(?:${either}))$`, "u");

/** Whether a text is the code of a currency, in capital or small letters. */
export function isCurrency(code: string): boolean {
  return code.length === 3 && CODES.has(code.toUpperCase());
}

/** The currency that stands beside a number; `undefined` when there is none. */
export function currencyBeside(text: string): string | undefined {
  const found = BESIDE.exec(text)?.[0];
  if (found === undefined) return undefined;
  return /^[A-Z]{3}$/.test(found) && !CODES.has(found) ? undefined : found;
}

/** Whether what stands beside a number can mean the asset; an asset that is no currency is counted in whatever the file says. */
export function canMean(beside: string, asset: string): boolean {
  if (!isCurrency(asset)) return true;
  const name = beside.replace(/\.$/, "");
  return CODES.has(name) ? name === asset : (NAMES[name] ?? [asset]).includes(asset);
}

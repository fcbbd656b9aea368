/** Dates as files write them, as the dates and times that the ledger takes. */

/** Reads one date. @returns a date or an RFC 3339 time, or `undefined` when the text is of another form */
export type DateReader = (text: string) => string | undefined;

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/** Parts of a form, longest first. */
const PARTS: readonly (readonly [part: string, pattern: string])[] = [
  ["YYYY", "(?<year>\\d{4})"],
  ["MMM", "(?<name>[A-Za-z]{3})"],
  ["YY", "(?<short>\\d{2})"],
  ["MM", "(?<month>\\d{2})"],
  ["DD", "(?<day>\\d{2})"],
  ["HH", "(?<hour>\\d{2})"],
  ["mm", "(?<minute>\\d{2})"],
  ["ss", "(?<second>\\d{2})"],
  ["ZZ", "(?<zone>Z|[+-]\\d{2}:?\\d{2})"],
  ["M", "(?<month>\\d{1,2})"],
  ["D", "(?<day>\\d{1,2})"],
  ["H", "(?<hour>\\d{1,2})"],
];

/** What `--date-format` may be made of, for help and errors. */
export const DATE_PARTS = "YYYY, YY, MM, M, MMM (Jan), DD, D, HH, H, mm, ss and ZZ (+01:00)";

/**
 * A reader of dates like `form`, for example `DD.MM.YYYY` or `YYYY-MM-DD HH:mm:ss`; a time without a zone is in UTC, a year
 * of two digits in this century. @returns `undefined` when the form lacks year, month or day or has one twice
 */
export function createDateReader(form: string): DateReader | undefined {
  const pattern = patternOf(form);
  if (pattern === undefined) return undefined;
  return (text) => {
    const found = pattern.exec(text)?.groups;
    if (found === undefined) return undefined;
    const year = found["year"] ?? `20${found["short"]}`;
    const month = found["name"] === undefined ? found["month"] : monthNamed(found["name"]);
    const date = `${year}-${two(month)}-${two(found["day"])}`;
    if (found["hour"] === undefined) return date;
    const time = `${two(found["hour"])}:${found["minute"] ?? "00"}:${found["second"] ?? "00"}`;
    return `${date}T${time}${(found["zone"] ?? "Z").replace(/(\d{2})(\d{2})$/, "$1:$2")}`;
  };
}

function patternOf(form: string): RegExp | undefined {
  let source = "";
  const seen = new Set<string>();
  for (let rest = form; rest !== ""; ) {
    const part = PARTS.find(([name]) => rest.startsWith(name));
    const name = /<(\w+)>/.exec(part?.[1] ?? "")?.[1] ?? "";
    const key = name === "short" ? "year" : name === "name" ? "month" : name;
    if (key !== "" && seen.has(key)) return undefined;
    seen.add(key);
    source += part?.[1] ?? (rest[0] as string).replace(/[\\^$.*+?()[\]{}|/]/, "\\$&");
    rest = rest.slice(part?.[0].length ?? 1);
  }
  return ["year", "month", "day"].every((key) => seen.has(key)) ? new RegExp(`^${source}$`) : undefined;
}

function monthNamed(name: string): string {
  return String(MONTHS.indexOf(name.toLowerCase()) + 1);
}

function two(digits: string | undefined): string {
  return (digits ?? "").padStart(2, "0");
}

/** The form that a text seems to have, for a hint. */
export function guessDateForm(text: string): string {
  if (/^\d{8}$/.test(text)) return "YYYYMMDD";
  if (/^\d{4}[./]\d{1,2}[./]\d{1,2}$/.test(text)) return `YYYY${text[4]}MM${text[4]}DD`;
  if (/^\d{1,2}\/\d{1,2}\/\d{4}$/.test(text)) return "DD/MM/YYYY or MM/DD/YYYY";
  if (/^\d{1,2}([.-])\d{1,2}\1\d{4}$/.test(text)) return `DD${/[.-]/.exec(text)?.[0]}MM${/[.-]/.exec(text)?.[0]}YYYY`;
  if (/^\d{1,2}([./-])\d{1,2}\1\d{2}$/.test(text)) return `DD${/[./-]/.exec(text)?.[0]}MM${/[./-]/.exec(text)?.[0]}YY`;
  if (/^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}$/.test(text)) return '"YYYY-MM-DD HH:mm:ss"';
  if (/^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2} [+-]\d{4}$/.test(text)) return '"YYYY-MM-DD HH:mm:ss ZZ"';
  return "DD.MM.YYYY";
}

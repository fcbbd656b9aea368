/** Dates as files write them, as the dates and times that the ledger takes. */

/** Reads one date. @returns a date or an RFC 3339 time, or `undefined` when the text is of another form */
export type DateReader = (text: string) => string | undefined;

const MONTHS = "january february march april may june july august september october november december".split(" ");

/** Parts of a form, longest first. */
const PARTS: readonly (readonly [part: string, pattern: string])[] = [
  // Databases leave decimals out that are zero, and the point with them.
  [".SSS", "(?:\\.(?<fraction>\\d{1,6}))?"],
  ["YYYY", "(?<year>\\d{4})"],
  ["MMMM", `(?<month>${MONTHS.join("|")})`],
  ["MMM", `(?<month>${MONTHS.map((name) => name.slice(0, 3)).join("|")})`],
  ["YY", "(?<year>\\d{2})"],
  ["MM", "(?<month>\\d{2})"],
  ["DD", "(?<day>\\d{2})"],
  ["HH", "(?<hour>\\d{2})"],
  ["mm", "(?<minute>\\d{2})"],
  ["ss", "(?<second>\\d{2})"],
  ["ZZ", "(?<zone>Z|[+-]\\d{2}(?::?\\d{2})?)"],
  ["M", "(?<month>\\d{1,2})"],
  ["D", "(?<day>\\d{1,2})"],
  ["H", "(?<hour>\\d{1,2})"],
];
/** Hours of a clock of twelve; they mean something together only, elsewhere "h" is a letter such as in 14h05. */
const TWELVE_HOURS: typeof PARTS = [
  ["hh", "(?<twelve>0[1-9]|1[0-2])"],
  ["h", "(?<twelve>0?[1-9]|1[0-2])"],
  ["A", "(?<half>[AP]M)"],
];

/** What `--date-format` may be made of, for help and errors. */
export const DATE_PARTS =
  "YYYY, YY, MM, M, MMM (Jan), MMMM (January), DD, D, HH, H, hh or h with A (AM, PM), mm, ss, .SSS (decimals of a second, which may be absent) and ZZ (+01:00)";

/**
 * A reader of dates like `form`, for example `DD.MM.YYYY` or `YYYY-MM-DD HH:mm:ss`; a time without a zone is in UTC, a year
 * of two digits in this century. @returns `undefined` when the form lacks year, month or day, has one twice, or has hours
 * of a clock of twelve without the half of the day
 */
export function createDateReader(form: string): DateReader | undefined {
  const pattern = patternOf(form);
  if (pattern === undefined) return undefined;
  return (text) => {
    const found = pattern.exec(text)?.groups;
    return found === undefined ? undefined : timestampOf(found);
  };
}

function timestampOf(found: Readonly<Record<string, string | undefined>>): string {
  const year = (found["year"] ?? "").padStart(4, "20");
  const date = `${year}-${two(monthOf(found["month"] ?? ""))}-${two(found["day"])}`;
  const hour = found["twelve"] === undefined ? found["hour"] : hourOf(found["twelve"], found["half"] ?? "");
  if (hour === undefined) return date;
  const fraction = found["fraction"] === undefined ? "" : `.${found["fraction"]}`;
  const zone = (found["zone"] ?? "Z").replace(
    /^([+-]\d{2}):?(\d{2})?$/,
    (_, hours, minutes = "00") => `${hours}:${minutes}`,
  );
  return `${date}T${two(hour)}:${found["minute"] ?? "00"}:${found["second"] ?? "00"}${fraction}${zone}`;
}

function patternOf(form: string): RegExp | undefined {
  const hasHalf = form.includes("A");
  const parts = hasHalf && form.includes("h") ? [...PARTS, ...TWELVE_HOURS] : PARTS;
  let source = "";
  const seen = new Set<string>();
  for (let rest = form; rest !== ""; ) {
    const part = parts.find(([name]) => rest.startsWith(name));
    const key = /<(\w+)>/.exec(part?.[1] ?? "")?.[1] ?? "";
    if (key !== "" && seen.has(key)) return undefined;
    seen.add(key);
    source += part?.[1] ?? (rest[0] as string).replace(/[\\^$.*+?()[\]{}|/]/, "\\$&");
    rest = rest.slice(part?.[0].length ?? 1);
  }
  const isTwelve = /hh|h:/.test(form);
  if (hasHalf !== seen.has("half") || isTwelve !== seen.has("twelve") || (seen.has("twelve") && seen.has("hour"))) {
    return undefined;
  }
  return ["year", "month", "day"].every((key) => seen.has(key)) ? new RegExp(`^${source}$`, "i") : undefined;
}

/** The number of a month that is given by it, or by its name. */
function monthOf(text: string): string {
  if (/^\d/.test(text)) return text;
  return String(MONTHS.findIndex((name) => name.startsWith(text.toLowerCase())) + 1);
}

function hourOf(twelve: string, half: string): string {
  return String((Number(twelve) % 12) + (half.toUpperCase() === "PM" ? 12 : 0));
}

function two(digits: string | undefined): string {
  return (digits ?? "").padStart(2, "0");
}

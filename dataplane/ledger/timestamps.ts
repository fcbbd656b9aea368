/** Dates and times as clients send them, and the rule that one of them breaks. */

/** Years that are taken: their microseconds, counted from 1970 and from PostgreSQL's 2000, are exact in 53 bits. */
export const EARLIEST_YEAR = 1715;
export const LATEST_YEAR = 2200;

const YEAR = "(171[5-9]|17[2-9][0-9]|1[89][0-9]{2}|2[01][0-9]{2}|2200)";
const TIME = "T([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9])(?:\\.([0-9]{1,6}))?";
const ZONE = "(?:Z|([+-])([01][0-9]|2[0-3]):([0-5][0-9]))";
/** A date, or a time with zone and at most microseconds; days that their month does not have are left to the parser. */
export const TIMESTAMP = new RegExp(`^${YEAR}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])(?:${TIME}${ZONE})?$`);

let lastText = "";
let lastMicros = Number.NaN;

/** Microseconds since 1970 of a date (its midnight in UTC) or an RFC 3339 time; NaN for anything else. */
export function parseTimestamp(value: unknown): number {
  if (typeof value !== "string") return Number.NaN;
  // Imports send long runs of one date.
  if (value !== lastText) {
    lastMicros = computeTimestamp(value);
    lastText = value;
  }
  return lastMicros;
}

function computeTimestamp(text: string): number {
  const match = TIMESTAMP.exec(text);
  if (match === null) return Number.NaN;
  const field = (index: number): number => Number(match[index] ?? 0);
  const [year, month, day] = [field(1), field(2), field(3)];
  if (day > daysOf(year, month)) return Number.NaN;
  const ms = Date.UTC(year, month - 1, day, field(4), field(5), field(6));
  const zoneMinutes = (match[8] === "-" ? -1 : 1) * (field(9) * 60 + field(10));
  return (ms - zoneMinutes * 60_000) * 1000 + Number((match[7] ?? "").padEnd(6, "0"));
}

function daysOf(year: number, month: number): number {
  return new Date(Date.UTC(year, month, 0)).getUTCDate();
}

const EXAMPLES = "a date such as 2026-03-29 or a time such as 2026-03-29T10:15:30.123456Z";
const MONTHS = "January February March April May June July August September October November December".split(" ");

/** What people and programs write for a time, wider than what is taken. */
const LOOSE =
  /^([0-9]{4})-([0-9]{2})-([0-9]{2})(?:([Tt ])([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]+))?)?(Z|z|[+ -][0-9]{2}:?[0-9]{2})?)?$/;

/** Which rule a value breaks that `parseTimestamp` does not take, to be said after its name: "has month 13; ...". */
export function explainTimestamp(value: unknown): string {
  if (typeof value !== "string") return `is not text: write ${EXAMPLES}`;
  const match = LOOSE.exec(value);
  if (match === null) return `is not ${EXAMPLES}`;
  const [, year = "", month = "", day = "", separator, hour, minute, second, fraction, zone] = match;
  const dateRule = explainDate(year, month, day);
  if (dateRule !== undefined) return dateRule;
  const time = { separator, hour, minute, second, fraction, zone };
  return explainTime(`${year}-${month}-${day}`, time) ?? `is not ${EXAMPLES}`;
}

function explainDate(year: string, month: string, day: string): string | undefined {
  if (Number(year) < EARLIEST_YEAR || Number(year) > LATEST_YEAR) {
    return `has year ${year}; years are ${EARLIEST_YEAR} to ${LATEST_YEAR}`;
  }
  const name = MONTHS[Number(month) - 1];
  if (name === undefined) return `has month ${month}; months are 01 to 12`;
  const days = daysOf(Number(year), Number(month));
  if (Number(day) >= 1 && Number(day) <= days) return undefined;
  return `has day ${day} in ${name} ${year}, which has ${days}`;
}

interface LooseTime {
  readonly separator: string | undefined;
  readonly hour: string | undefined;
  readonly minute: string | undefined;
  readonly second: string | undefined;
  readonly fraction: string | undefined;
  readonly zone: string | undefined;
}

function explainTime(date: string, time: LooseTime): string | undefined {
  const { separator, hour = "", minute = "", second, fraction, zone } = time;
  if (Number(hour) > 23) return `has hour ${hour}; hours are 00 to 23`;
  if (Number(minute) > 59) return `has minute ${minute}; minutes are 00 to 59`;
  if (second === undefined) return `has a time without seconds; write ${date}T${hour}:${minute}:00${zone ?? "Z"}`;
  if (second === "60") return "has second 60; leap seconds are not kept: write 59, or second 0 of the next minute";
  if (Number(second) > 59) return `has second ${second}; seconds are 00 to 59`;
  if (fraction !== undefined && fraction.length > 6) {
    return `has ${fraction.length} digits after the point; at most 6 (microseconds) are kept`;
  }
  const clock = `${hour}:${minute}:${second}${fraction === undefined ? "" : `.${fraction}`}`;
  if (zone === undefined) return "has a time without a zone; add Z, or an offset such as +02:00";
  if (separator === "t") return `has a small "t"; write ${date}T${clock}${zone.toUpperCase()}`;
  if (separator === " ") return `has a blank between date and time; write ${date}T${clock}${zone.toUpperCase()}`;
  return explainZone(`${date}T${clock}`, zone);
}

function explainZone(before: string, zone: string): string | undefined {
  if (zone === "z") return `has a small "z"; write ${before}Z`;
  if (zone === "Z") return undefined;
  const offset = `${zone.slice(1, 3)}:${zone.slice(-2)}`;
  if (zone.startsWith(" ")) {
    return `has a blank where "+" or "-" of the offset stands; in a URL "+" is written %2B: ${before}%2B${offset}, or send the time in UTC with Z`;
  }
  if (!zone.includes(":")) return `has the offset ${zone}; write ${zone.slice(0, 1)}${offset}`;
  return `has the offset ${zone}; offsets are -23:59 to +23:59`;
}

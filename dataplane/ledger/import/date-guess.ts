/** The form that a date seems to have, for the sentence that refuses it. */

const TIME =
  /^(?<date>.+?)(?<gap>[ T])(?<hour>\d{1,2}):\d{2}(?<second>:\d{2})?(?<fraction>\.\d{1,6})?(?<half> ?[AaPp][Mm])?(?<zone> ?(?:Z|[+-]\d{2}:?(?:\d{2})?))?$/;
const OTHERWISE = "DD.MM.YYYY";

/** A value for `--date-format`, with quotes where a shell needs them; two where the text can be read in two ways. */
export function guessDateForm(text: string): string {
  const { date = text, ...time } = TIME.exec(text)?.groups ?? {};
  const behind = timeOf(time);
  const forms = dateForms(date).map((form) => `${form}${behind}`);
  if (forms.length === 0) return OTHERWISE;
  return forms.map((form) => (form.includes(" ") ? `"${form}"` : form)).join(" or ");
}

function timeOf({ gap = "", hour, second, fraction, half, zone }: Readonly<Record<string, string>>): string {
  if (hour === undefined) return "";
  const clock = half === undefined ? "HH" : "hh";
  const hours = hour.length === 1 ? clock.slice(1) : clock;
  return [
    `${gap}${hours}:mm`,
    second === undefined ? "" : ":ss",
    fraction === undefined ? "" : ".SSS",
    half?.replace(/[AP]M/i, "A") ?? "",
    zone?.replace(/\S+/, "ZZ") ?? "",
  ].join("");
}

function dateForms(text: string): readonly string[] {
  if (/^\d{8}$/.test(text)) return ["YYYYMMDD"];
  if (/^\d{4}年\d{1,2}月\d{1,2}日$/.test(text)) return ["YYYY年M月D日"];
  const yearFirst = /^\d{4}([./-])(\d{1,2})\1(\d{1,2})$/.exec(text);
  if (yearFirst !== null) {
    const [, mark = "", month = "", day = ""] = yearFirst;
    return [["YYYY", ..."MD".split("").map((letter) => width(letter, month, day))].join(mark)];
  }
  const yearLast = /^(\d{1,2})([./-])(\d{1,2})\2(\d{4}|\d{2})$/.exec(text);
  if (yearLast !== null) {
    const [, first = "", mark = "", second = "", digits = ""] = yearLast;
    const [day, month] = ["D", "M"].map((letter) => width(letter, first, second));
    const year = "Y".repeat(digits.length);
    const dayFirst = [day, month, year].join(mark);
    return mark === "/" ? [dayFirst, [month, day, year].join(mark)] : [dayFirst];
  }
  return namedForms(text);
}

/** One letter where a number of the text has one digit. */
function width(letter: string, ...numbers: readonly string[]): string {
  return numbers.some((number) => number.length === 1) ? letter : letter.repeat(2);
}

function namedForms(text: string): readonly string[] {
  const dayFirst = /^(\d{1,2})([ -])([A-Za-z]{3,9})([ ,-]+)(\d{4}|\d{2})$/.exec(text);
  if (dayFirst !== null) {
    const [, day = "", gap = "", name = "", second = "", year = ""] = dayFirst;
    return [`${width("D", day)}${gap}${month(name)}${second}${"Y".repeat(year.length)}`];
  }
  const monthFirst = /^([A-Za-z]{3,9})( )(\d{1,2})(,? )(\d{4})$/.exec(text);
  if (monthFirst === null) return [];
  const [, name = "", gap = "", day = "", second = ""] = monthFirst;
  return [`${month(name)}${gap}${width("D", day)}${second}YYYY`];
}

function month(name: string): string {
  return name.length === 3 ? "MMM" : "MMMM";
}

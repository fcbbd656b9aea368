/**
 * Windows in which releases may go on. A window is told by the clocks of its time zone: one over an hour that clocks leave out is
 * shorter that day, one over an hour that they repeat is longer.
 */
import { DAYS, isTimeZone, type RolloutWindow } from "../../crds/rollout-windows.ts";

/** No window is open. */
export interface Closed {
  /** When the next one opens, in milliseconds since the epoch; absent: none ever does. */
  readonly opensAt: number | undefined;
  /** In how many seconds. */
  readonly seconds: number | undefined;
  /** The same in words. */
  readonly text: string;
}

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const DAY_MINUTES = 1_440;
/** Days that are looked through for a window; a weekly one may fall into the hour that clocks leave out. */
const DAYS_AHEAD = 15;

/** @param now milliseconds since the epoch @returns `undefined` while one of the windows is open, and without any */
export function closedAt(windows: readonly RolloutWindow[] | undefined, now: number): Closed | undefined {
  const known = (windows ?? []).filter(({ timeZone }) => isTimeZone(timeZone));
  if (windows === undefined || known.some((window) => isOpen(window, now))) return undefined;
  const openings = known.flatMap((window) => {
    const at = nextOpening(window, now);
    return at === undefined ? [] : [{ at, window }];
  });
  const [next] = openings.toSorted((one, other) => one.at - other.at);
  const unknown = windows.find(({ timeZone }) => !isTimeZone(timeZone));
  const text = [
    ...(next === undefined ? ["no window of spec.windows ever opens"] : [openingText(next)]),
    ...(unknown === undefined ? [] : [`time zone ${unknown.timeZone} of spec.windows is not known`]),
  ].join("; ");
  const seconds = next === undefined ? undefined : Math.ceil((next.at - now) / 1_000);
  return { opensAt: next?.at, seconds, text };
}

function openingText({ at, window }: { readonly at: number; readonly window: RolloutWindow }): string {
  const { day, minutes } = wallClock(at, window.timeZone);
  const [hours, rest] = [Math.floor(minutes / 60), minutes % 60].map((value) => String(value).padStart(2, "0"));
  const time = new Date(at).toISOString().replace(".000", "");
  return `waits for the window that opens at ${time} (${DAYS[day] ?? ""} ${hours ?? ""}:${rest ?? ""} ${window.timeZone})`;
}

function isOpen({ days, start, end, timeZone }: RolloutWindow, now: number): boolean {
  const { day, minutes } = wallClock(now, timeZone);
  const [from, to] = [minutesOf(start), minutesOf(end)];
  const isOn = (index: number): boolean => days.some((name) => name === DAYS[(index + DAYS.length) % DAYS.length]);
  if (from < to) return isOn(day) && minutes >= from && minutes < to;
  return (isOn(day) && minutes >= from) || (isOn(day - 1) && minutes < to);
}

/** Opens when clocks come to its start, or when they are turned into it. */
function nextOpening(window: RolloutWindow, now: number): number | undefined {
  for (let ahead = -1; ahead <= DAYS_AHEAD; ahead += 1) {
    const from = now + ahead * DAY_MS;
    const found = [...startsAround(window, from), ...clockChange(window, from)].filter(
      (at) => at > now && isOpen(window, at),
    );
    if (found.length > 0) return Math.min(...found);
  }
  return undefined;
}

/** When clocks come to the start of the window on the day of a time: twice where they repeat the hour. */
function startsAround({ start, timeZone }: RolloutWindow, at: number): readonly number[] {
  const midnight = Math.floor((at + offsetAt(at, timeZone)) / DAY_MS) * DAY_MS;
  const asUtc = midnight + minutesOf(start) * MINUTE_MS;
  return [at - DAY_MS, at + DAY_MS].map((around) => asUtc - offsetAt(around, timeZone));
}

/** When clocks are changed on the day that follows a time. */
function clockChange({ timeZone }: RolloutWindow, from: number): readonly number[] {
  const before = offsetAt(from, timeZone);
  let [low, high] = [from, from + DAY_MS];
  if (offsetAt(high, timeZone) === before) return [];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (offsetAt(middle, timeZone) === before) low = middle;
    else high = middle;
  }
  return [high];
}

function minutesOf(time: string): number {
  return Number(time.slice(0, 2)) * 60 + Number(time.slice(3));
}

function wallClock(at: number, timeZone: string): { readonly day: number; readonly minutes: number } {
  const wall = at + offsetAt(at, timeZone);
  return { day: new Date(wall).getUTCDay(), minutes: Math.floor((wall % DAY_MS) / MINUTE_MS) % DAY_MINUTES };
}

/** By how much the clocks of a time zone are ahead of UTC. */
function offsetAt(at: number, timeZone: string): number {
  const second = Math.floor(at / 1_000) * 1_000;
  const parts = Object.fromEntries(
    clockOf(timeZone)
      .formatToParts(second)
      .map(({ type, value }) => [type, Number(value)]),
  );
  const [year = 0, month = 1, day, hour, minute, seconds] = CLOCK_PARTS.map((part) => parts[part]);
  return Date.UTC(year, month - 1, day, hour, minute, seconds) - second;
}

const CLOCK_PARTS = ["year", "month", "day", "hour", "minute", "second"] as const;

/** Making a formatter takes some 50 times as long as using one. */
const clocks = new Map<string, Intl.DateTimeFormat>();

function clockOf(timeZone: string): Intl.DateTimeFormat {
  const known = clocks.get(timeZone);
  if (known !== undefined) return known;
  const numeric = Object.fromEntries(CLOCK_PARTS.map((part) => [part, "numeric"]));
  const made = new Intl.DateTimeFormat("en-US", { ...numeric, timeZone, hourCycle: "h23" });
  clocks.set(timeZone, made);
  return made;
}

import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { DAYS, type RolloutWindow } from "../../crds/rollout-windows.ts";
import { closedAt } from "./rollout.windows.ts";

// Times are those of Prague unless told: clocks go from 02:00 to 03:00 on 29 March 2026, and from 03:00 to 02:00 on 25 October.

const window = (given: Partial<RolloutWindow>): RolloutWindow => ({
  days: ["Mon", "Tue", "Wed", "Thu", "Fri"],
  start: "09:00",
  end: "17:00",
  timeZone: "Europe/Prague",
  ...given,
});
const at = (time: string): number => Date.parse(time);
const opening = (windows: readonly RolloutWindow[], time: string): string => {
  const closed = closedAt(windows, at(time));
  if (closed === undefined) return "open";
  return closed.opensAt === undefined ? "never" : new Date(closed.opensAt).toISOString().slice(0, 16);
};

describe("the next opening", () => {
  test.each<[string, Partial<RolloutWindow>, string, string]>([
    ["before it", {}, "2026-01-05T07:59:59Z", "2026-01-05T08:00"],
    ["at its start", {}, "2026-01-05T08:00:00Z", "open"],
    ["at its end", {}, "2026-01-05T16:00:00Z", "2026-01-06T08:00"],
    ["over the weekend", {}, "2026-01-09T16:00:00Z", "2026-01-12T08:00"],
    ["over the weekend on which clocks change", {}, "2026-03-27T16:00:00Z", "2026-03-30T07:00"],
    ["of a day only, a week later", { days: ["Mon"] }, "2026-01-05T16:00:00Z", "2026-01-12T08:00"],
    ["over midnight, before it", { start: "22:00", end: "04:00" }, "2026-01-05T20:59:00Z", "2026-01-05T21:00"],
    ["over midnight, after it", { start: "22:00", end: "04:00" }, "2026-01-06T02:59:00Z", "open"],
    ["over midnight, the night to Saturday", { start: "22:00", end: "04:00" }, "2026-01-10T02:59:00Z", "open"],
    [
      "over midnight, the night to Monday",
      { start: "22:00", end: "04:00" },
      "2026-01-05T00:00:00Z",
      "2026-01-05T21:00",
    ],
    ["to the end of the day", { start: "20:00", end: "24:00" }, "2026-01-05T22:59:59Z", "open"],
    ["after the end of the day", { start: "20:00", end: "24:00" }, "2026-01-05T23:00:00Z", "2026-01-06T19:00"],
    [
      "that begins in the hour left out",
      { days: ["Sun"], start: "02:30", end: "05:00" },
      "2026-03-29T00:00:00Z",
      "2026-03-29T01:00",
    ],
    [
      "that lies in the hour left out",
      { days: ["Sun"], start: "02:00", end: "03:00" },
      "2026-03-29T00:00:00Z",
      "2026-04-05T00:00",
    ],
    ["in the repeated hour, first", { days: ["Sun"], start: "02:00", end: "03:00" }, "2026-10-25T00:30:00Z", "open"],
    ["in the repeated hour, again", { days: ["Sun"], start: "02:00", end: "03:00" }, "2026-10-25T01:30:00Z", "open"],
    ["between the two", { days: ["Sun"], start: "02:00", end: "02:30" }, "2026-10-25T00:30:00Z", "2026-10-25T01:00"],
    ["over all midnights", { days: ["Sun"], start: "00:00", end: "24:00" }, "2026-03-29T21:59:59Z", "open"],
    [
      "of a day without midnight",
      { timeZone: "America/Santiago", days: ["Sun"], start: "00:00", end: "12:00" },
      "2026-09-06T03:00:00Z",
      "2026-09-06T04:00",
    ],
    ["in another zone", { timeZone: "Asia/Kathmandu" }, "2026-01-05T00:00:00Z", "2026-01-05T03:15"],
    ["in a zone nobody knows", { timeZone: "Mars/Base" }, "2026-01-05T12:00:00Z", "never"],
  ])("%s", (_name, given, time, opens) => {
    expect(opening([window(given)], time)).toBe(opens);
  });

  test("of several windows the first, and words for it", () => {
    const windows = [window({}), window({ start: "06:00", end: "07:00", timeZone: "UTC" })];
    expect(opening(windows, "2026-01-05T05:00:00Z")).toBe("2026-01-05T06:00");
    const says = (list: readonly RolloutWindow[]) => closedAt(list, at("2026-01-05T07:30:00Z"))?.text;
    expect(says(windows)).toBe("waits for the window that opens at 2026-01-05T08:00:00Z (Mon 09:00 Europe/Prague)");
    expect(says([window({ timeZone: "Mars/Base" })])).toBe(
      "no window of spec.windows ever opens; time zone Mars/Base of spec.windows is not known",
    );
    expect(closedAt(undefined, 0)).toBeUndefined();
  });
});

test("it is closed until it opens, to the second, in any zone", () => {
  const time = fc.integer({ min: 0, max: 1_439 }).map((minutes) => {
    const [hours, rest] = [Math.floor(minutes / 60), minutes % 60].map((value) => String(value).padStart(2, "0"));
    return `${hours ?? ""}:${rest ?? ""}`;
  });
  const any = fc.record({
    days: fc.subarray([...DAYS], { minLength: 1 }),
    start: time,
    end: time,
    timeZone: fc.constantFrom("Europe/Prague", "America/Santiago", "Australia/Lord_Howe", "Africa/Cairo", "UTC"),
  });
  fc.assert(
    fc.property(
      any,
      fc.integer({ min: at("2026-01-01"), max: at("2027-01-01") }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (of, now, part) => {
        fc.pre(of.start !== of.end);
        const closed = closedAt([of], now);
        if (closed?.opensAt === undefined) return closed === undefined;
        const { opensAt } = closed;
        expect(closedAt([of], opensAt)).toBeUndefined();
        // Not a moment before, nor at any moment until then.
        expect(closedAt([of], opensAt - 1)).toBeDefined();
        expect(closedAt([of], now + Math.floor((opensAt - now) * part))).toBeDefined();
        return opensAt > now;
      },
    ),
    { numRuns: 300 },
  );
});

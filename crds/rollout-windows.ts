/** When releases may go on. */
import { z } from "zod";
import { listAtomic, listSet, withRules } from "./common.ts";

/** Days of the week, as time zones are asked for them. */
export const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"] as const;

const TIME = "([01][0-9]|2[0-3]):[0-5][0-9]";

/** True for a name that the time zone database of this program has. */
export function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat("en-US", { timeZone: name }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}

const timeZone = withRules(
  z
    .string()
    .min(1)
    .max(64)
    .regex(/^(UTC|[A-Z][A-Za-z]+(\/[A-Z][-A-Za-z_]+){1,2})$/)
    .meta({ description: "Name of the IANA database, for example Europe/Prague." }),
  [
    {
      // A zone that the server does not know fails the rule.
      rule: "timestamp('2026-01-01T00:00:00Z').getHours(self) >= 0",
      message: "must be a time zone of the IANA database, for example Europe/Prague",
      check: isTimeZone,
    },
  ],
);

const window = withRules(
  z.strictObject({
    days: listSet(z.array(z.enum(DAYS)).min(1).max(DAYS.length))
      .meta({ description: "Days on which the window opens." })
      .default([...DAYS]),
    start: z
      .string()
      .max(5)
      .regex(new RegExp(`^${TIME}$`))
      .meta({ description: "When it opens, by the clocks of the time zone: 09:00." }),
    end: z
      .string()
      .max(5)
      .regex(new RegExp(`^(${TIME}|24:00)$`))
      .meta({ description: "When it closes: 17:00. Before start it is on the next day; 24:00 is the end of the day." }),
    timeZone: timeZone.default("UTC"),
  }),
  [
    {
      rule: "self.start != self.end",
      message: "start and end must differ: a whole day is 00:00 to 24:00",
      check: ({ start, end }) => start !== end,
    },
  ],
);
export type RolloutWindow = z.output<typeof window>;

/** `spec.windows` of a Rollout. */
export const rolloutWindows = listAtomic(z.array(window).min(1).max(16));

import { describe, expect, test } from "@jest/globals";
import { createDateReader } from "./date-form.ts";
import { guessDateForm } from "./date-guess.ts";

// Goal: the sentence that refuses a date names a form that reads it.

describe("a form for a date", () => {
  test.each([
    ["02.03.2026", "DD.MM.YYYY"],
    ["20260302", "YYYYMMDD"],
    ["03/31/2026", "DD/MM/YYYY or MM/DD/YYYY"],
    ["2026.03.02", "YYYY.MM.DD"],
    ["02.03.26", "DD.MM.YY"],
    ["2.3.2026", "D.M.YYYY"],
    ["3/2/26", "D/M/YY or M/D/YY"],
    ["2026-03-05 00:11", '"YYYY-MM-DD HH:mm"'],
    ["2026-03-02 14:05:06 +0100", '"YYYY-MM-DD HH:mm:ss ZZ"'],
    ["2026-03-02 08:00:00.123456+00", '"YYYY-MM-DD HH:mm:ss.SSSZZ"'],
    ["03/02/2026 02:05 PM", '"DD/MM/YYYY hh:mm A" or "MM/DD/YYYY hh:mm A"'],
    ["02-Mar-26", "DD-MMM-YY"],
    ["2 Mar 2026", '"D MMM YYYY"'],
    ["March 2, 2026", '"MMMM D, YYYY"'],
    ["02.03.2026 14:05", '"DD.MM.YYYY HH:mm"'],
    ["2026年3月2日", "YYYY年M月D日"],
  ])("%s looks like %s", (text, form) => {
    expect(guessDateForm(text)).toBe(form);
    for (const guess of form.split(" or ")) expect(createDateReader(guess.replaceAll('"', ""))?.(text)).toBeDefined();
  });
});

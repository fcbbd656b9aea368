import { describe, expect, test } from "@jest/globals";
import { createDateReader, guessDateForm } from "./date-form.ts";

// Goal: a date is read by the form that was named and by no other.

describe("dates by a form", () => {
  test.each([
    ["DD.MM.YYYY", "02.03.2026", "2026-03-02"],
    ["MM/DD/YYYY", "03/31/2026", "2026-03-31"],
    ["D.M.YYYY", "2.3.2026", "2026-03-02"],
    ["DD.MM.YY", "02.03.26", "2026-03-02"],
    ["YYYYMMDD", "20260302", "2026-03-02"],
    ["YYYY.MM.DD", "2026.03.02", "2026-03-02"],
    ["DD MMM YYYY", "02 Mar 2026", "2026-03-02"],
    ["YYYY-MM-DD HH:mm:ss", "2026-03-02 14:05:06", "2026-03-02T14:05:06Z"],
    ["YYYY-MM-DD HH:mm", "2026-03-02 14:05", "2026-03-02T14:05:00Z"],
    ["YYYY-MM-DD HH:mm:ss ZZ", "2026-03-02 14:05:06 +0100", "2026-03-02T14:05:06+01:00"],
    ["YYYY-MM-DDTHH:mm:ssZZ", "2026-03-02T14:05:06Z", "2026-03-02T14:05:06Z"],
  ])("%s reads %s", (form, text, date) => {
    expect(createDateReader(form)?.(text)).toBe(date);
  });

  test.each([
    ["DD.MM.YYYY", "2.3.2026"],
    ["DD.MM.YYYY", "02.03.2026 "],
    ["DD.MM.YYYY", "02-03-2026"],
    ["DD.MM.YYYY", "Total"],
    ["MM/DD/YYYY", "03/31/26"],
  ])("%s does not read %s", (form, text) => {
    expect(createDateReader(form)?.(text)).toBeUndefined();
  });

  test.each(["DD.MM", "YYYY", "DD.MM.YYYY DD", "dd.mm.yyyy", ""])('"%s" is no form', (form) => {
    expect(createDateReader(form)).toBeUndefined();
  });

  test.each([
    ["02.03.2026", "DD.MM.YYYY"],
    ["20260302", "YYYYMMDD"],
    ["03/31/2026", "DD/MM/YYYY or MM/DD/YYYY"],
    ["2026.03.02", "YYYY.MM.DD"],
    ["02.03.26", "DD.MM.YY"],
  ])("%s looks like %s", (text, form) => {
    expect(guessDateForm(text)).toBe(form);
  });
});

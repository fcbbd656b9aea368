import { describe, expect, test } from "@jest/globals";
import { createDateReader } from "./date-form.ts";

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
    ["YYYY-MM-DD HH:mm:ssZZ", "2026-03-02 14:05:06+01", "2026-03-02T14:05:06+01:00"],
    ["YYYY-MM-DD HH:mm:ss.SSSZZ", "2026-03-02 14:05:06.123456+00", "2026-03-02T14:05:06.123456+00:00"],
    ["YYYY-MM-DD HH:mm:ss.SSS", "2026-03-02 14:05:06.5", "2026-03-02T14:05:06.5Z"],
    ["YYYY-MM-DD HH:mm:ss.SSS", "2026-03-02 14:05:06.000001", "2026-03-02T14:05:06.000001Z"],
    ["YYYY-MM-DD HH:mm:ss.SSS", "2026-03-02 14:05:06", "2026-03-02T14:05:06Z"],
    ["MM/DD/YYYY hh:mm A", "03/02/2026 02:05 PM", "2026-03-02T14:05:00Z"],
    ["M/D/YYYY h:mm:ss A", "3/2/2026 12:00:01 am", "2026-03-02T00:00:01Z"],
    ["M/D/YYYY h:mm A", "3/2/2026 12:30 PM", "2026-03-02T12:30:00Z"],
    ["MMMM D, YYYY", "March 2, 2026", "2026-03-02"],
    ["D MMMM YYYY", "2 september 2026", "2026-09-02"],
    ["DD.MM.YYYY HHhmm", "02.03.2026 14h05", "2026-03-02T14:05:00Z"],
    ["YYYY年M月D日", "2026年3月2日", "2026-03-02"],
  ])("%s reads %s", (form, text, date) => {
    expect(createDateReader(form)?.(text)).toBe(date);
  });

  test.each([
    ["DD.MM.YYYY", "2.3.2026"],
    ["DD.MM.YYYY", "02.03.2026 "],
    ["DD.MM.YYYY", "02-03-2026"],
    ["DD.MM.YYYY", "Total"],
    ["MM/DD/YYYY", "03/31/26"],
    ["MM/DD/YYYY hh:mm A", "03/31/2026 14:05 PM"],
    ["MM/DD/YYYY hh:mm A", "03/31/2026 00:05 AM"],
    ["DD-MMM-YYYY", "02-ene-2026"],
    ["D MMMM YYYY", "2 Mar 2026"],
  ])("%s does not read %s", (form, text) => {
    expect(createDateReader(form)?.(text)).toBeUndefined();
  });

  test.each(["DD.MM", "YYYY", "DD.MM.YYYY DD", "dd.mm.yyyy", "", "YYYY-MM-DD hh:mm", "YYYY-MM-DD HH:mm A"])(
    '"%s" is no form',
    (form) => {
      expect(createDateReader(form)).toBeUndefined();
    },
  );
});

import { describe, expect, test } from "@jest/globals";
import { refuseOtherKinds } from "./file-kind.ts";

// Goal: a file that is no CSV is named by its kind, in place of a riddle about columns or bytes.

describe("files that are no CSV", () => {
  test.each<[words: string, content: string]>([
    ["a workbook (.xlsx, .ods) or another ZIP archive", "PK\u0003\u0004\u0014\0\0\0"],
    ["an old workbook (.xls)", "\u00d0\u00cf\u0011\u00e0\u00a1\u00b1\u001a\u00e1"],
    ["a PDF", "%PDF-1.7\n%\u00e2\u00e3"],
    ["packed with gzip", "\u001f\u008b\u0008\0"],
    ["ISO 20022 (camt)", '<?xml version="1.0"?>\n<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08">'],
    ["XML", '\u00ef\u00bb\u00bf<?xml version="1.0" encoding="UTF-8"?>\n<a/>'],
    ["HTML", "\r\n<!DOCTYPE html>\n<html>"],
    ["HTML", "<html><table><tr><td>Date</td>"],
    ["HTML", "<table border=1><tr>"],
    ["MT940", ":20:STARTUMS\r\n:25:10020030/1234567\r\n"],
    ["MT940", "{1:F01BANKDEFFA0010000000000}{2:I940}{4:\r\n:20:X\r\n"],
    ["OFX", "OFXHEADER:100\r\nDATA:OFXSGML\r\n"],
    ["OFX", '<?xml version="1.0"?><?OFX OFXHEADER="200"?><OFX>'],
    ["QIF", "!Type:Bank\nD03/02/26\n"],
    ["JSON", '[{"id":"1"}]\n'],
    ["JSON", '{\n  "rows": []}\n'],
  ])("%s", (words, content) => {
    expect(() => refuseOtherKinds(Buffer.from(content, "latin1"))).toThrow(
      expect.objectContaining({ code: "FILE_NOT_CSV", message: expect.stringContaining(`the file is ${words}`) }),
    );
  });

  test.each([
    "id,date\n",
    "<Ref>;Datum\n",
    "[Date],[Amount]\n",
    "PK;Betrag\n",
    ":20;x\n",
    "{id},b\n",
    "",
    "\ufeffDatum;x\n",
  ])("%j may be CSV", (content) => {
    expect(() => refuseOtherKinds(Buffer.from(content))).not.toThrow();
  });
});

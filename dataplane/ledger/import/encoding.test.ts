import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { createStrictDecoder, detectEncoding, ENCODINGS, encodeText, encodingNamed } from "./encoding.ts";

// Goal: what was written is read, in whatever pieces it comes; what cannot be read is refused with its place.

function decode(encoding: (typeof ENCODINGS)[number], pieces: readonly Uint8Array[]): string {
  const decoder = createStrictDecoder(encoding);
  return pieces.map((piece) => decoder.write(piece)).join("") + decoder.end();
}

describe("encodings", () => {
  test("text comes back as it was, cut anywhere", () => {
    fc.assert(
      fc.property(
        fc.constantFrom("utf-8" as const, "utf-16le" as const, "utf-16be" as const),
        fc.string({ unit: "grapheme" }).filter((text) => !text.includes("\0")),
        fc.nat(50),
        (encoding, text, cut) => {
          const bytes = encodeText(text, encoding);
          expect(decode(encoding, [bytes.subarray(0, cut), bytes.subarray(cut)])).toBe(text);
        },
      ),
    );
  });

  test("every encoding of the list is known to the runtime and writes what it reads", () => {
    for (const encoding of ENCODINGS) {
      expect(decode(encoding, [encodeText("id;1,5\r\n", encoding)])).toBe("id;1,5\r\n");
    }
    expect(decode("windows-1252", [encodeText("März 5 €", "windows-1252")])).toBe("März 5 €");
    expect(encodeText("ł", "windows-1252").toString()).toBe("?");
  });

  test.each([
    ["shift_jis", "ご利用日,スーパー見本,１２,ｶﾅ,①"],
    ["gb18030", "支付宝,金额（元）,镕"],
    ["big5", "交易日期,金額"],
    ["euc-kr", "거래일자,금액"],
    ["euc-jp", "取引日,ﾃｽﾄ"],
    ["windows-874", "วันที่,จำนวน"],
    ["windows-1255", "תאריך,סכום"],
    ["windows-1256", "تاريخ,مبلغ"],
  ] as const)("%s comes back as it was, cut anywhere", (encoding, text) => {
    const bytes = encodeText(`${text}\n`, encoding);
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      expect(decode(encoding, [bytes.subarray(0, cut), bytes.subarray(cut)])).toBe(`${text}\n`);
    }
  });

  test("a character that cannot be written back is refused: the rejects file would lose it", () => {
    const bytes = Uint8Array.of(0x61, 0x0a, 0x94, 0x39, 0xda, 0x33);
    expect(() => decode("gb18030", [bytes])).toThrow(/^line 2 has the character U\+1F4A9, which .*as UTF-8/);
  });

  test("what is broken in a text of several bytes a character is refused with its line", () => {
    expect(() => decode("shift_jis", [Uint8Array.of(0x61, 0x0a, 0x82, 0xb2, 0xff, 0x0a)])).toThrow(
      "line 2 is not shift_jis: the bytes ff 0a",
    );
  });

  test.each([
    ["Shift-JIS", "shift_jis"],
    ["sjis", "shift_jis"],
    ["cp932", "shift_jis"],
    ["GBK", "gb18030"],
    ["cp949", "euc-kr"],
    ["latin1", "windows-1252"],
    ["ISO-8859-1", "windows-1252"],
    ["UTF8", "utf-8"],
    ["CP1250", "windows-1250"],
    ["ebcdic", undefined],
  ])("%s means %s", (label, encoding) => {
    expect(encodingNamed(label)).toBe(encoding);
  });

  test("a byte order mark tells, and contradicts loudly", () => {
    expect(detectEncoding(Buffer.from("\ufeffid", "utf16le"))).toEqual({ encoding: "utf-16le", markBytes: 2 });
    expect(detectEncoding(Buffer.from("\ufeffid"))).toEqual({ encoding: "utf-8", markBytes: 3 });
    expect(() => detectEncoding(Buffer.from("\ufeffid"), "windows-1252")).toThrow("leave --encoding windows-1252 out");
  });

  test("UTF-16 without a mark names its option", () => {
    expect(() => detectEncoding(Buffer.from("id,date,account", "utf16le"))).toThrow("--encoding utf-16le");
    expect(() => detectEncoding(Buffer.from("id,date,account", "utf16le").swap16())).toThrow("--encoding utf-16be");
  });

  test("trial 7: Latin-1 is refused with its line and the option, never replaced", () => {
    const bytes = Buffer.from("id,operation\n1,plain\n2,M\xe4rz\n", "latin1");
    for (const cut of [0, 5, 23, 24, 25]) {
      expect(() => decode("utf-8", [bytes.subarray(0, cut), bytes.subarray(cut)])).toThrow(
        expect.objectContaining({
          code: "CSV_ENCODING_INVALID",
          message: expect.stringMatching(/^line 3 is not utf-8: the bytes e4 72 .*--encoding windows-1252/),
        }),
      );
    }
  });

  test("a cut character, an undefined byte and a zero are refused", () => {
    expect(() => decode("utf-8", [Buffer.from("1,Mä").subarray(0, 4)])).toThrow("in the middle of a character");
    expect(() => decode("windows-1252", [Uint8Array.of(0x41, 0x81)])).toThrow(
      "line 1 is not windows-1252: the bytes 81",
    );
    expect(() => decode("utf-8", [Uint8Array.of(0x0a, 0)])).toThrow("line 2");
  });
});

import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { type CsvRecord, parseRecords, type RecordOptions, readRecords } from "./records.ts";

// Goal: cutting lines up to the first quote gives what the parser gives, whatever the text and its pieces.

async function all(
  read: typeof readRecords,
  text: string,
  options: RecordOptions & { readonly piece: number },
): Promise<CsvRecord[] | string> {
  const pieces = async function* (): AsyncGenerator<string> {
    for (let at = 0; at < text.length; at += options.piece) yield text.slice(at, at + options.piece);
  };
  const records: CsvRecord[] = [];
  try {
    for await (const group of read(pieces(), options)) records.push(...group);
  } catch (error) {
    return (error as Error).message;
  }
  return records;
}

test.each([[["\r\n", "\n"]], [["\r"]]])(
  "both ways give the same records, lines and refusals (line ends %j)",
  async (recordDelimiter) => {
    const text = fc.array(
      fc.constantFrom("a", "é", ";", ";", "\r\n", "\n", "\r", '"', '""', " ", "\u2028", "a;b\n", '"x";'),
      { maxLength: 30 },
    );
    const quotes = fc.boolean();
    await fc.assert(
      fc.asyncProperty(text, quotes, fc.integer({ min: 1, max: 9 }), async (parts, withQuotes, piece) => {
        const joined = parts.filter((part) => withQuotes || !part.includes('"')).join("");
        const options = { delimiter: ";", recordDelimiter, firstLine: 3, piece };
        expect(await all(readRecords, joined, options)).toEqual(
          await all(parseRecords, joined, { ...options, piece: 1_000 }),
        );
      }),
      { numRuns: 1_500 },
    );
  },
);

test("a line without an end is not kept in memory for ever", async () => {
  const options = { delimiter: ",", recordDelimiter: ["\r\n", "\n"], firstLine: 1, piece: 65_536 };
  expect(await all(readRecords, "x".repeat(3_000_000), options)).toContain("is longer than 1048576 bytes");
});

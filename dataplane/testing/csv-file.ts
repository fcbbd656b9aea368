/** Files for the importer's tests, checked as the command line would. */
import { z } from "zod";
import { type CheckedFile, checkFile } from "../ledger/import/first-pass.ts";
import { type FileFlags, fileFlags, firstPassOptions } from "../ledger/import/import-options.ts";

const shape = z.strictObject(fileFlags);

/** The first pass over a file in pieces of so many bytes, with the defaults of the command line; CZK has two decimals. */
export async function checkCsv(
  content: string | Uint8Array,
  flags: Partial<FileFlags> = {},
  pieceBytes = 65_536,
): Promise<CheckedFile> {
  const bytes = typeof content === "string" ? Buffer.from(content) : content;
  const pieces = async function* (): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
  };
  return checkFile(pieces(), firstPassOptions(shape.parse(flags), { asset: "CZK", scale: 2, idMax: 120 }));
}

/** `shieldx ledger generate-sample FILE`. */
import { createWriteStream } from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { z } from "zod";
import { OperatorError } from "../../lib/core/errors.ts";
import { sampleLines } from "./ledger.generate.ts";

export const generateFlags = z.strictObject({
  rows: z.coerce.number().int().min(1).max(100_000_000),
  seed: z.coerce.number().int().min(0),
});

/** @throws OperatorError FILE_UNREADABLE when the file cannot be written */
export async function generateCommand(file: string, flags: z.output<typeof generateFlags>): Promise<number> {
  const lines = function* (): Generator<string> {
    for (const line of sampleLines(flags)) yield `${line}\n`;
  };
  try {
    await pipeline(Readable.from(lines()), createWriteStream(file));
  } catch (cause) {
    throw new OperatorError("FILE_UNREADABLE", `${file}: ${(cause as Error).message}`, { cause });
  }
  process.stdout.write(`${flags.rows} rows written to ${file}\n`);
  return 0;
}

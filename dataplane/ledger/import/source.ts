/** Where the bytes of an import come from: a file, a pipe with a name, or standard input. */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { OperatorError } from "../../../lib/core/errors.ts";

export interface Source {
  /** For people. */
  readonly name: string;
  /** Bytes, where that is known in advance. */
  readonly size: number | undefined;
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** Standard input. */
const STDIN = "-";

/** @throws OperatorError FILE_UNREADABLE, here or while it is read */
export async function openSource(file: string): Promise<Source> {
  if (file === STDIN) return { name: "standard input", size: undefined, chunks: read(process.stdin, file) };
  try {
    const found = await stat(file);
    if (found.isDirectory()) throw new Error("it is a folder");
    const size = found.isFile() ? found.size : undefined;
    return { name: file, size, chunks: read(createReadStream(file), file) };
  } catch (cause) {
    throw unreadable(file, cause);
  }
}

async function* read(stream: AsyncIterable<Uint8Array>, file: string): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of stream) yield chunk;
  } catch (cause) {
    throw unreadable(file, cause);
  }
}

function unreadable(file: string, cause: unknown): OperatorError {
  return new OperatorError("FILE_UNREADABLE", `${file}: ${(cause as Error).message}`, { cause });
}

/** The usual place of its refused rows. */
export function rejectsBeside(file: string): string {
  return file === STDIN ? "import.rejects.csv" : `${file}.rejects.csv`;
}

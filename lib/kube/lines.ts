/** A line is longer than the reader allows. */
export class LineTooLong extends Error {}

export interface LineOptions {
  /** Called for every piece that arrives: a sign of life. */
  readonly onBytes?: () => void;
  /** Longest line in bytes. */
  readonly bytesMax: number;
  /** How a last piece without an end of line is taken: as the last line, or as a line that was cut. */
  readonly rest: "line" | "cut";
}

/**
 * Cuts a body into its lines, without empty ones, however the pieces arrive.
 * @throws LineTooLong; Error when the body ends in the middle of a line and `rest` is "cut"
 */
export async function* linesOf(body: AsyncIterable<Uint8Array>, options: LineOptions): AsyncGenerator<string> {
  let pieces: Uint8Array[] = [];
  let held = 0;
  for await (const chunk of body) {
    options.onBytes?.();
    let from = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      pieces.push(chunk.subarray(from, end));
      const line = textOf(pieces);
      pieces = [];
      held = 0;
      from = end + 1;
      if (line.trim() !== "") yield line;
    }
    if (from < chunk.length) {
      pieces.push(chunk.subarray(from));
      held += chunk.length - from;
      if (held > options.bytesMax) throw new LineTooLong(`a line has more than ${options.bytesMax} bytes`);
    }
  }
  if (held === 0) return;
  if (options.rest === "cut") throw new Error("the stream ended in the middle of a line");
  yield textOf(pieces);
}

function textOf(pieces: readonly Uint8Array[]): string {
  const [only] = pieces;
  const bytes =
    pieces.length === 1 && only !== undefined
      ? Buffer.from(only.buffer, only.byteOffset, only.byteLength)
      : Buffer.concat(pieces);
  return bytes.toString("utf8");
}

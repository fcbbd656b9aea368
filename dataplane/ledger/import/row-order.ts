/** In which order of time a file's rows are. */

/** What was seen of the order. */
export interface RowOrder {
  /** Rows that are older than the row above them. */
  readonly falls: number;
  /** Rows that are newer than the row above them. */
  readonly rises: number;
  /** Line of the first fall; 0 when there is none. */
  readonly firstFall: number;
}

/** More rows go back in time than forth: the file lists the newest first. */
export function isNewestFirst({ falls, rises }: RowOrder): boolean {
  return falls > rises;
}

/** Looks at row after row. */
export function createOrderWatch(): { see(micros: number, line: number): void; order(): RowOrder } {
  let last = Number.NaN;
  let falls = 0;
  let rises = 0;
  let firstFall = 0;
  return {
    see: (micros, line) => {
      if (micros < last) {
        falls += 1;
        if (firstFall === 0) firstFall = line;
      } else if (micros > last) rises += 1;
      last = micros;
    },
    order: () => ({ falls, rises, firstFall }),
  };
}

/**
 * Indexes of rows by time, oldest first. Rows of the same time keep their order; where the file lists the newest first,
 * they are turned round too, since the file does that within a day as well.
 */
export function sortedByTime(micros: Float64Array, order: RowOrder): Uint32Array {
  const indexes = Uint32Array.from(micros, (_, index) => index);
  const turn = isNewestFirst(order) ? -1 : 1;
  return indexes.sort((a, b) => (micros[a] as number) - (micros[b] as number) || turn * (a - b));
}

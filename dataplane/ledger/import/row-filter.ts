/** Which rows of a file are read, by the values of their columns. */
import { OperatorError } from "../../../lib/core/errors.ts";
import type { Layout, ValuesAt } from "./columns.ts";
import type { CsvRecord } from "./records.ts";

/** Values of a column that are kept for a refusal. */
const SHOWN_VALUES = 8;

/** Looks at row after row. */
export interface RowFilter {
  /** Whether the row was not asked for. Rows of another width are never passed over: they are broken. */
  passesOver(record: CsvRecord): boolean;
  passedOver(): number;
  /** @throws OperatorError USAGE when nothing is left, and a value of --only is none of its column */
  check(): void;
  notes(): readonly string[];
}

/** Rows must have one of the texts in each column of `only`, and none of `without`. */
export function createRowFilter({ header, only, without }: Layout): RowFilter {
  const seen = only.map(() => new Set<string>());
  let passed = 0;
  let rows = 0;
  const textAt = ({ fields }: CsvRecord, { at }: ValuesAt): string => (fields[at] as string).trim();
  /** Texts of --only that no row has, with those that the column has. */
  const absentTexts = (): { what: string; seen: ReadonlySet<string> }[] =>
    only.flatMap(({ column, texts }, index) => {
      const found = seen[index] as Set<string>;
      const absent = texts.filter((text) => !found.has(text));
      return absent.map((text) => ({ what: `${column} ${JSON.stringify(text)}`, seen: found }));
    });
  return {
    passesOver: (record) => {
      if (record.fields.length !== header.length) return false;
      rows += 1;
      for (const [index, wanted] of only.entries()) note(seen[index] as Set<string>, textAt(record, wanted), wanted);
      const isWanted =
        only.every((wanted) => wanted.texts.includes(textAt(record, wanted))) &&
        !without.some((unwanted) => unwanted.texts.includes(textAt(record, unwanted)));
      if (!isWanted) passed += 1;
      return !isWanted;
    },
    passedOver: () => passed,
    check: () => {
      if (rows === 0 || passed < rows) return;
      const [absent] = absentTexts();
      if (absent === undefined) return;
      const there = [...absent.seen].slice(0, SHOWN_VALUES).map((text) => JSON.stringify(text));
      throw new OperatorError("USAGE", `no row has ${absent.what} of --only; the column has ${there.join(", ")}`);
    },
    notes: () => {
      const unused = absentTexts().map(({ what }) => `no row has ${what} of --only`);
      if (passed === 0) return unused;
      return [`${passed === 1 ? "1 row is" : `${passed} rows are`} passed over (--only, --without)`, ...unused];
    },
  };
}

/** Few values are kept, and those that were asked for always. */
function note(seen: Set<string>, text: string, { texts }: ValuesAt): void {
  if (seen.size < SHOWN_VALUES || texts.includes(text)) seen.add(text);
}

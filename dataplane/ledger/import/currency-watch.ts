/** Whether a file has amounts of other currencies: a column of codes says so, and nobody was told which rows are meant. */
import { OperatorError } from "../../../lib/core/errors.ts";
import type { Layout } from "./columns.ts";
import { isCurrency } from "./currencies.ts";
import type { CsvRecord } from "./records.ts";
import { shellWord } from "./shell-word.ts";

/** Codes of a column that are kept for the sentence. */
const SHOWN_CODES = 4;

/** Looks at row after row. */
export interface CurrencyWatch {
  see(record: CsvRecord): void;
  /** @throws OperatorError CSV_CURRENCY_UNCLEAR */
  check(): void;
}

/**
 * A column of which each value is the code of a currency, or empty, tells what the amounts are in; unless the user said which one
 * does (`asset` as a column, --only), or that none does (`asset` for all rows).
 * @param said what the user said that every amount is in
 */
export function createCurrencyWatch(layout: Layout, asset: string, said: string | undefined): CurrencyWatch {
  /** Columns that hold nothing but codes so far: lines by code. */
  const columns = new Map(layout.header.map((_, at) => [at, new Map<string, number>()]));
  const isOff = said !== undefined || layout.at.asset !== undefined;
  return {
    see: ({ line, fields }) => {
      if (isOff) return;
      for (const [at, codes] of columns) {
        const text = (fields[at] ?? "").trim();
        if (text === "") continue;
        const code = text.toUpperCase();
        if (code === asset.toUpperCase() || isCurrency(text)) codes.set(code, codes.get(code) ?? line);
        else columns.delete(at);
      }
    },
    check: () => {
      const isSettled = layout.only.some(({ at }) => columns.has(at));
      if (isOff || isSettled) return;
      for (const [at, codes] of columns) {
        if (isUnclear([...codes.keys()], asset)) throw unclear(layout.header[at] ?? "", codes, asset);
      }
    },
  };
}

/** An asset that is no currency, such as points, may be counted in one of them. */
function isUnclear(codes: readonly string[], asset: string): boolean {
  return codes.length > 1 || (codes.length === 1 && isCurrency(asset) && codes[0] !== asset.toUpperCase());
}

function unclear(column: string, codes: ReadonlyMap<string, number>, asset: string): OperatorError {
  const shown = [...codes].slice(0, SHOWN_CODES).map(([code, line]) => `${code} (line ${line})`);
  const there = shown.length === 1 ? shown[0] : `${shown.slice(0, -1).join(", ")} and ${shown.at(-1)}`;
  const option = (code: string): string => `--only ${shellWord(`${column}=${code}`)}`;
  const [only] = codes.keys();
  const help =
    codes.size === 1
      ? `--asset ${only} posts them as what they are, where the ledger keeps ${only}`
      : `${option(codes.has(asset) ? asset : "...")} reads the rows ${codes.has(asset) ? `in ${asset}` : "in one of them"} alone; for each currency import the file again, with its --asset and an account of its own`;
  return new OperatorError(
    "CSV_CURRENCY_UNCLEAR",
    `column ${JSON.stringify(column)} has ${there}, and every amount would be posted as ${asset}. ${help}. --value asset=${asset} says that the amounts are in ${asset} whatever stands there`,
  );
}

/** What a dry run shows: how the file was understood, in rows that a person can compare with the file. */
import { formatTable } from "../tables.ts";
import { nameOf } from "./dialect.ts";
import type { CheckedFile } from "./first-pass.ts";
import type { CsvRow } from "./rows.ts";

const SHOWN_ROWS = 5;

/** The form of the file, its first rows as they would be posted, and sums. */
export function previewOf(checked: CheckedFile, of: { asset: string; scale: number | undefined }): string {
  const sums = { credit: 0n, debit: 0n };
  const counts = { credit: 0, debit: 0 };
  const first: CsvRow[] = [];
  for (const parsed of checked.read()) {
    if ("broken" in parsed) continue;
    const { row } = parsed;
    sums[row.direction] += BigInt(row.amount);
    counts[row.direction] += 1;
    if (first.length < SHOWN_ROWS) first.push(row);
  }
  const money = (minor: bigint): string => `${inUnits(minor, of.scale)} ${of.asset}`;
  const rows = first.map(
    ({ id, date, account, direction, amount, details }) =>
      `  ${date}  ${direction.padEnd(6)}  ${money(BigInt(amount)).padStart(16)}  account ${account}  id ${id}  ${JSON.stringify(details)}\n`,
  );
  return [
    formatTable([
      ["encoding", checked.encoding],
      ["separator", nameOf(checked.dialect.delimiter)],
      ["rows", String(checked.rows)],
      ["left out (--partial)", String(checked.broken)],
      ...(checked.passedOver === 0 ? [] : [["passed over", String(checked.passedOver)] as [string, string]]),
      [`credits (${counts.credit})`, money(sums.credit)],
      [`debits (${counts.debit})`, money(sums.debit)],
    ]),
    `The first rows as they would be posted:\n`,
    ...rows,
    "Nothing was posted: this was a dry run.\n",
  ].join("");
}

function inUnits(minor: bigint, scale: number | undefined): string {
  if (scale === undefined) return `${minor} minor units of`;
  const digits = minor.toString().padStart(scale + 1, "0");
  return scale === 0 ? digits : `${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

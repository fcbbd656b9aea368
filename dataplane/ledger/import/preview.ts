/** What a dry run shows: how the file was understood, in rows that a person can compare with the file. */
import { formatTable } from "../tables.ts";
import { nameOf } from "./dialect.ts";
import type { CheckedFile } from "./first-pass.ts";
import { createLowestBalances, type LowestBalance } from "./lowest-balances.ts";
import type { CsvRow } from "./rows.ts";

const SHOWN_ROWS = 5;
const SHOWN_ACCOUNTS = 5;

/** The form of the file, its first rows as they would be posted, and sums. */
export function previewOf(checked: CheckedFile, of: { asset: string; scale: number | undefined }): string {
  const sums = { credit: 0n, debit: 0n };
  const counts = { credit: 0, debit: 0 };
  const first: CsvRow[] = [];
  const lowest = createLowestBalances();
  for (const parsed of checked.read()) {
    if ("broken" in parsed) continue;
    const { row } = parsed;
    sums[row.direction] += BigInt(row.amount);
    counts[row.direction] += 1;
    lowest.see(row);
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
    shortOf(lowest.below(), money),
    "Nothing was posted: this was a dry run.\n",
  ].join("");
}

/** Which accounts need money before, or a credit limit. */
function shortOf(below: readonly LowestBalance[], money: (minor: bigint) => string): string {
  if (below.length === 0) return "";
  const shown = below
    .slice(0, SHOWN_ACCOUNTS)
    .map(({ account, balance, line }) => `  account ${account}: down to ${money(balance)}, in line ${line}\n`);
  const more = below.length > SHOWN_ACCOUNTS ? [`  and ${below.length - SHOWN_ACCOUNTS} more\n`] : [];
  return [
    "These rows alone take accounts below zero. What an account does not have when its row comes is refused for good: pay the balance\n",
    "from before in, or open the account with a credit limit (POST /v1/accounts; an import opens accounts with none).\n",
    ...shown,
    ...more,
  ].join("");
}

function inUnits(minor: bigint, scale: number | undefined): string {
  if (scale === undefined) return `${minor} minor units of`;
  const digits = (minor < 0n ? -minor : minor).toString().padStart(scale + 1, "0");
  const sign = minor < 0n ? "-" : "";
  return `${sign}${scale === 0 ? digits : `${digits.slice(0, -scale)}.${digits.slice(-scale)}`}`;
}

/** What the end of an import tells: figures, what to do next, and the exit code. */
import { type ImportSummary, isFinal } from "../ledger.import.ts";
import { formatTable } from "../tables.ts";

/** Every row is in the ledger. */
const EXIT_DONE = 0;
/** Rows were refused; the others are in the ledger. */
const EXIT_REFUSED = 3;

/** 0 when every row of the file is in the ledger, 3 when some are not. */
export function exitCodeOf(summary: ImportSummary): number {
  return summary.posted + summary.alreadyThere === summary.rows ? EXIT_DONE : EXIT_REFUSED;
}

/** The table that ends an import. */
export function importTable(summary: ImportSummary, rejectsFile: string | undefined): string {
  const count = (value: number): string => value.toLocaleString("en");
  const rejected = Object.entries(summary.rejected).sort(([a], [b]) => (a < b ? -1 : 1));
  return formatTable([
    ["rows", count(summary.rows)],
    ["posted", count(summary.posted)],
    ["already there", count(summary.alreadyThere)],
    ...rejected.map(([code, rows]): [string, string] => [`rejected ${code}`, count(rows)]),
    ...summary.shards.map((shard): [string, string] => [
      `shard ${shard.shard}`,
      `${count(shard.posted + shard.alreadyThere)} rows`,
    ]),
    ["rate", `${count(Math.round(summary.rowsPerSecond))} rows/s`],
    ["longest pause of writes", `${summary.longestPauseSeconds.toFixed(1)} s`],
    ...(rejectsFile === undefined ? [] : [["rejected rows in", rejectsFile] as [string, string]]),
  ]);
}

/** Sentences for the user, one a line; none when every row is in the ledger. */
export function nextSteps(summary: ImportSummary, rejectsFile: string | undefined): readonly string[] {
  const codes = Object.keys(summary.rejected);
  const refused = Object.values(summary.rejected).reduce((sum, rows) => sum + rows, 0);
  if (refused === 0) return [];
  const file = rejectsFile ?? "the rejects file";
  const steps = [`${rows(refused)} not posted; ${file} has ${refused === 1 ? "it" : "them"}, each with its reason.`];
  if (codes.some(isFinal)) {
    steps.push(
      `A refusal for want of credit is final: the same row gets the same answer for ever, also when the account has the money by now or an earlier --retry has posted the row. To try again, import ${file} with the same options and --retry.`,
    );
  }
  if (codes.includes("IDEMPOTENCY_KEY_REUSED")) {
    steps.push(
      "IDEMPOTENCY_KEY_REUSED: the ledger has another transfer under that id. A corrected row needs an id of its own; ids of another origin need --source NAME.",
    );
  }
  if (codes.some((code) => !isFinal(code) && code !== "IDEMPOTENCY_KEY_REUSED")) {
    steps.push(`Correct the others in ${file} and import it with the same options.`);
  }
  return steps;
}

function rows(count: number): string {
  return count === 1 ? "1 row was" : `${count.toLocaleString("en")} rows were`;
}

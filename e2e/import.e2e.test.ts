// Promise: a year of bank transactions goes in exactly once. Every balance is the sum of its accepted rows, exactly the rows
// that would break the limit at their turn are refused, and importing the file again changes nothing.
// SHIELDX_DATA names the file; without it the bank year beside the repository is read, or a generated one.
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "@jest/globals";
import { createBank, LEDGER, type LedgerApi, openLedgerApi } from "./bank.ts";
import { must, ROOT } from "./run.ts";
import { suite } from "./suite.ts";

const NAMESPACE = "import";
const BANK_YEAR = join(ROOT, "..", "shared", "data", "czech-bank-1993.csv");

/** Exit code of an import of which some rows were refused. */
const ROWS_REFUSED = 3;

/** What an honest clerk would write down, row after row. */
interface Books {
  readonly rows: number;
  readonly balances: ReadonlyMap<string, number>;
  /** Ids of the rows that would take an account below zero at their turn. */
  readonly refused: readonly string[];
}

function keepBooks(file: string): Books {
  const [header, ...lines] = readFileSync(file, "utf8").trim().split("\n");
  const columns = (header ?? "").split(",");
  const at = (name: string): number => columns.indexOf(name);
  const balances = new Map<string, number>();
  const refused: string[] = [];
  for (const line of lines) {
    const cells = line.split(",");
    const account = cells[at("account")] ?? "";
    const amount = Number(cells[at("amount_minor")]) * (cells[at("direction")] === "credit" ? 1 : -1);
    const balance = balances.get(account) ?? 0;
    if (balance + amount < 0) refused.push(cells[at("id")] ?? "");
    balances.set(account, balance + amount < 0 ? balance : balance + amount);
  }
  return { rows: lines.length, balances, refused };
}

async function dataFile(): Promise<{ file: string; isBankYear: boolean }> {
  const given = process.env["SHIELDX_DATA"];
  if (given !== undefined) return { file: given, isBankYear: false };
  if (existsSync(BANK_YEAR)) return { file: BANK_YEAR, isBankYear: true };
  const folder = join(ROOT, ".build", "e2e");
  mkdirSync(folder, { recursive: true });
  const file = join(folder, "generated.csv");
  await must(join(ROOT, "bin", "shieldx"), ["ledger", "generate-sample", file, "--rows", "28205", "--seed", "7"]);
  return { file, isBankYear: false };
}

/** Balances of all accounts that the books name, eight requests at a time. */
async function readBalances(api: LedgerApi, accounts: readonly string[]): Promise<Map<string, number>> {
  const balances = new Map<string, number>();
  const waiting = [...accounts];
  const reader = async (): Promise<void> => {
    for (let account = waiting.pop(); account !== undefined; account = waiting.pop()) {
      const answer = await api.call("GET", `/v1/accounts/${account}/balance`);
      if (answer.status === 200) balances.set(account, Number(answer.json?.["posted"]));
    }
  };
  await Promise.all(Array.from({ length: 8 }, reader));
  return balances;
}

async function heads(api: LedgerApi): Promise<string> {
  return JSON.stringify((await api.call("GET", "/v1/shards")).json?.["shards"]);
}

suite("import", [NAMESPACE], ({ cluster, prepare, promise }) => {
  prepare(() => createBank(cluster(), { namespace: NAMESPACE, shards: 3, deletionPolicy: "Delete" }));

  promise("posts every row once, refuses what breaks the limit, and proves it", async () => {
    const { file: source, isBankYear } = await dataFile();
    const folder = join(ROOT, ".build", "e2e");
    mkdirSync(folder, { recursive: true });
    // The data may lie where nobody may write.
    const rejectsFile = join(folder, "year.rejects.csv");
    const books = keepBooks(source);
    const code = books.refused.length === 0 ? 0 : ROWS_REFUSED;
    if (isBankYear) expect([books.rows, books.balances.size, books.refused.length]).toEqual([28_205, 1_139, 6]);

    const importOnce = async (): Promise<Record<string, unknown>> => {
      const finished = await cluster().shieldx([
        "ledger",
        "import",
        source,
        "--ledger",
        `${NAMESPACE}/${LEDGER}`,
        "--rejects",
        rejectsFile,
        "--force",
        "--json",
      ]);
      expect({ code: finished.code, output: finished.code === code ? "" : finished.stderr }).toEqual({
        code,
        output: "",
      });
      return JSON.parse(finished.stdout) as Record<string, unknown>;
    };
    const api = await openLedgerApi(cluster(), NAMESPACE);
    try {
      const first = await importOnce();
      expect(first).toMatchObject({
        rows: books.rows,
        posted: books.rows - books.refused.length,
        alreadyThere: 0,
        rejected: { INSUFFICIENT_CREDIT: books.refused.length },
      });
      const rejects = books.refused.length === 0 ? [] : readFileSync(rejectsFile, "utf8").trim().split("\n").slice(1);
      expect(rejects.map((line) => line.split(",")[0]).sort()).toEqual([...books.refused].sort());
      const before = await heads(api);
      expect(await readBalances(api, [...books.balances.keys()])).toEqual(books.balances);

      const second = await importOnce();
      expect(second).toMatchObject({ rows: books.rows, posted: 0, alreadyThere: books.rows - books.refused.length });
      expect(await heads(api)).toBe(before);
    } finally {
      api.close();
    }
    const verified = await cluster().shieldx(["ledger", "verify", "--ledger", `${NAMESPACE}/${LEDGER}`]);
    expect({ code: verified.code, output: verified.code === 0 ? "" : verified.stdout + verified.stderr }).toEqual({
      code: 0,
      output: "",
    });
  });
});

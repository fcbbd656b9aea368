/** A year of bank transactions for tests, and what a ledger must make of it, by a model that shares no code with it. */
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { environment } from "../../lib/node/env.ts";
import { sampleLines } from "../ledger/ledger.generate.ts";

/** Where the real year lies beside the sources, when it does. */
const REAL_YEAR = resolve(import.meta.dirname, "../../../shared/data/czech-bank-1993.csv");
const SAMPLE = { rows: 20_000, seed: 42 };

export interface BankYear {
  readonly text: string;
  readonly rows: number;
  /** Final balance by account, of the accepted rows in the order of the file, without credit. */
  readonly balances: ReadonlyMap<string, bigint>;
  /** Ids of the rows that would break the limit at their turn. */
  readonly refused: readonly string[];
}

/** The file that `SHIELDX_DATA` names, the real year, or a generated one. */
export function loadBankYear(): BankYear {
  const named = environment()["SHIELDX_DATA"];
  const path = named ?? (existsSync(REAL_YEAR) ? REAL_YEAR : undefined);
  const text = path === undefined ? `${[...sampleLines(SAMPLE)].join("\n")}\n` : readFileSync(path, "utf8");
  return { text, ...modelOf(text) };
}

function modelOf(text: string): Omit<BankYear, "text"> {
  const [header, ...lines] = text.trimEnd().split("\n");
  const columns = (header as string).split(",");
  const at = (name: string): number => columns.indexOf(name);
  const balances = new Map<string, bigint>();
  const refused: string[] = [];
  for (const line of lines) {
    const fields = line.split(",");
    const account = fields[at("account")] as string;
    const amount = BigInt(fields[at("amount_minor")] as string);
    const before = balances.get(account) ?? 0n;
    const after = fields[at("direction")] === "credit" ? before + amount : before - amount;
    if (after < 0n) refused.push(fields[at("id")] as string);
    else balances.set(account, after);
  }
  return { rows: lines.length, balances, refused };
}

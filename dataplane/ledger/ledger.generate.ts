/**
 * Sample bank years, as text: the columns of the importer, each account's history from balance 0, and a few debits that
 * no account without a credit limit can bear. Pure: the same seed gives the same file.
 */
import { prng } from "../../lib/core/prng.ts";

export interface SampleOptions {
  readonly rows: number;
  readonly seed: number;
}

const HEADER = "id,date,account,direction,operation,amount_minor,recorded_balance_minor,partner_bank,partner_account";
/** Rows of an account on average. */
const ROWS_PER_ACCOUNT = 25;
/** One row in this many is a debit beyond the balance. */
const OVERDRAFT_EVERY = 4_000;
const FIRST_DAY_MS = Date.UTC(2024, 0, 1);
const DAY_MS = 86_400_000;
const DAYS = 365;
const BANKS = ["AB", "CD", "EF", "GH", "IJ", "KL", "MN", "OP", "QR", "ST"];

/** The lines of a sample file, header first, without line ends. */
export function* sampleLines(options: SampleOptions): Generator<string> {
  const random = prng(options.seed);
  const below = (limit: number): number => Math.floor(random() * limit);
  const accounts = Math.max(1, Math.round(options.rows / ROWS_PER_ACCOUNT));
  const balances = new Map<number, number>();
  yield HEADER;
  for (let row = 0; row < options.rows; row += 1) {
    const date = new Date(FIRST_DAY_MS + Math.floor((row * DAYS) / options.rows) * DAY_MS).toISOString().slice(0, 10);
    const account = 1 + below(accounts);
    const balance = balances.get(account) ?? 0;
    const isOverdraft = row % OVERDRAFT_EVERY === OVERDRAFT_EVERY - 1;
    const isDebit = isOverdraft || (balance > 1_000 && random() < 0.6);
    const amount = isOverdraft ? balance + 1 + below(50_000) : isDebit ? 1 + below(balance) : 100 * (1 + below(20_000));
    const after = isDebit ? balance - amount : balance + amount;
    // The bank of the file booked the overdraft; a ledger with limit 0 does not, and goes on from the balance before.
    balances.set(account, isOverdraft ? balance : after);
    const isTransfer = random() < 0.3;
    const operation = isTransfer
      ? isDebit
        ? "transfer-out"
        : "transfer-in"
      : isDebit
        ? "cash-withdrawal"
        : "cash-deposit";
    const partner = isTransfer ? `${BANKS[below(BANKS.length)]},${10_000_000 + below(89_999_999)}` : ",";
    yield `${1_000_000 + row},${date},${account},${isDebit ? "debit" : "credit"},${operation},${amount},${after},${partner}`;
  }
}

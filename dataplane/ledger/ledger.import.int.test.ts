import { afterAll, afterEach, beforeAll, describe, expect, test } from "@jest/globals";
import { systemClock } from "../../lib/core/clock.ts";
import { withClient } from "../../lib/node/postgres.ts";
import { loadBankYear } from "../testing/bank-year.ts";
import { checkCsv } from "../testing/csv-file.ts";
import { type LocalLedger, startLocalLedger } from "../testing/local-ledger.ts";
import { startTestPostgres, type TestPostgres } from "../testing/postgres.ts";
import type { FileFlags } from "./import/import-options.ts";
import { createRowKeys } from "./import/row-keys.ts";
import type { BrokenRow } from "./import/rows.ts";
import { type ImportSummary, importRows } from "./ledger.import.ts";
import { verifyShard } from "./ledger.verify.ts";
import { isIntact } from "./verify-fold.ts";

// Goal: a year of transactions goes in once, whatever happens meanwhile: every balance is the sum of the accepted rows,
// exactly the rows that break the limit at their turn are refused, and the same file again changes nothing.

const year = loadBankYear();
let postgres: TestPostgres;
let current: LocalLedger | undefined;
let made = 0;
beforeAll(async () => {
  postgres = await startTestPostgres({ fsync: true });
}, 120_000);
afterAll(() => postgres?.stop());

afterEach(async () => {
  await current?.stop();
  current = undefined;
});

/** One ledger at a time: three shards take some twenty connections. */
async function freshLedger(): Promise<LocalLedger> {
  made += 1;
  current = await startLocalLedger({ postgres, name: `imp${made}`, shards: 3 });
  return current;
}

async function importText(
  ledger: LocalLedger,
  text: string,
  flags: Partial<FileFlags> = {},
): Promise<{ summary: ImportSummary; rejects: BrokenRow[] }> {
  const checked = await checkCsv(text, flags);
  const rejects: BrokenRow[] = [];
  try {
    const summary = await importRows({
      client: ledger.client,
      rows: checked.read(),
      keys: createRowKeys(),
      retry: false,
      asset: "CZK",
      batchSize: 200,
      timeoutSeconds: 60,
      clock: systemClock,
      onReject: (rejected) => rejects.push(rejected),
    });
    return { summary, rejects };
  } finally {
    checked.close();
  }
}

async function storedBalances(ledger: LocalLedger): Promise<Map<string, bigint>> {
  const balances = new Map<string, bigint>();
  for (const database of ledger.databases) {
    await withClient(postgres.role(database, "reader"), async (client) => {
      const { rows } = await client.query<{ ext_id: string; posted: number }>(
        "SELECT ext_id, posted FROM ledger.account JOIN ledger.balance ON account = id WHERE ext_id NOT LIKE 'system:%'",
      );
      for (const row of rows) balances.set(row.ext_id, BigInt(row.posted));
    });
  }
  return balances;
}

async function expectWholeYear(ledger: LocalLedger, summary: ImportSummary): Promise<void> {
  expect(summary.rows).toBe(year.rows);
  expect(summary.posted + summary.alreadyThere).toBe(year.rows - year.refused.length);
  expect(summary.rejected).toEqual(year.refused.length === 0 ? {} : { INSUFFICIENT_CREDIT: year.refused.length });
  expect(await storedBalances(ledger)).toEqual(year.balances);
  for (const [shard, database] of ledger.databases.entries()) {
    const replay = await verifyShard({ shard, target: postgres.role(database, "reader"), snapshotEvery: 100 });
    expect(Object.values(replay.findings).filter((finding) => finding.violations > 0)).toEqual([]);
    expect(isIntact(replay)).toBe(true);
  }
}

describe("a year", () => {
  test("goes in, and a second time changes nothing", async () => {
    const ledger = await freshLedger();
    const first = await importText(ledger, year.text);
    await expectWholeYear(ledger, first.summary);
    expect(first.summary.posted).toBe(year.rows - year.refused.length);
    expect(first.rejects.map(({ id }) => id).sort()).toEqual([...year.refused].sort());

    const heads = (await ledger.client.send("GET", "/v1/shards")).text;
    const second = await importText(ledger, year.text);
    expect(second.summary).toMatchObject({
      posted: 0,
      alreadyThere: first.summary.posted,
      rejected: first.summary.rejected,
    });
    expect((await ledger.client.send("GET", "/v1/shards")).text).toBe(heads);
  });

  test("goes in while PostgreSQL is killed in the middle", async () => {
    const ledger = await freshLedger();
    const importing = importText(ledger, year.text);
    await untilHeadsPass(ledger, year.rows / 8);
    await postgres.kill();
    await postgres.start();
    const { summary } = await importing;
    await expectWholeYear(ledger, summary);
  });
});

async function untilHeadsPass(ledger: LocalLedger, events: number): Promise<void> {
  const endsAt = systemClock.monotonic() + 60_000;
  for (;;) {
    const positions = ledger.seats.map((seat) => seat.writer()?.status().position ?? 0);
    if (positions.reduce((sum, position) => sum + position, 0) >= events) return;
    if (systemClock.monotonic() > endsAt) throw new Error(`only ${positions.join("+")} events came`);
    await systemClock.sleep(5);
  }
}

describe("files that are not as they should be", () => {
  const header = "id,date,account,direction,operation,amount_minor,recorded_balance_minor,partner_bank,partner_account";

  const text = `${[
    header,
    "1,1993-01-01,a,credit,cash-deposit,100,100,,",
    "2,1993-01-01,a,credit,cash-deposit",
    "4,1993-01-01,a,sideways,cash-deposit,100,100,,",
    "5,1993-13-01,a,credit,cash-deposit,100,100,,",
    "6,1993-01-01,a,credit,cash-deposit,1.5,100,,",
    "7,1993-01-01,a,credit,cash-deposit,0,100,,",
    "8,1993-01-01,a,credit,cash-deposit,-4,100,,",
    "9,1993-01-01,a,credit,cash-deposit,9007199254740992,100,,",
    "10,1993-01-01,a b,credit,cash-deposit,100,100,,",
    ",1993-01-01,a,credit,cash-deposit,100,100,,",
    "",
    '12,1993-01-02,a,debit,"cash, in hand",30,70,,',
    "13,1993-01-02,a,debit,cash-withdrawal,71,-1,,",
  ].join("\n")}\n14,1993-01-02,a,debit,cash-withd`;

  test("broken rows refuse the file, and nothing is posted", async () => {
    const ledger = await freshLedger();
    const before = (await ledger.client.send("GET", "/v1/shards")).text;
    await expect(importText(ledger, text)).rejects.toMatchObject({ code: "CSV_ROW_INVALID" });
    expect((await ledger.client.send("GET", "/v1/shards")).text).toBe(before);
  });

  test("with --partial they are rejected one by one, the others go in", async () => {
    const ledger = await freshLedger();
    const { summary, rejects } = await importText(ledger, text, { partial: true });
    expect(summary).toMatchObject({
      rows: 13,
      posted: 2,
      rejected: { CSV_ROW_INVALID: 8, AMOUNT_NOT_POSITIVE: 2, INSUFFICIENT_CREDIT: 1 },
    });
    expect(rejects.map(({ line }) => line).sort((a, b) => a - b)).toEqual([3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 15]);
    expect(await storedBalances(ledger)).toEqual(new Map([["a", 70n]]));
  });
});

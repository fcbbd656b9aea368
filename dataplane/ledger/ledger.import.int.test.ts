import { existsSync, readFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "@jest/globals";
import { systemClock } from "../../lib/core/clock.ts";
import { withClient } from "../../lib/node/postgres.ts";
import { loadBankYear, temporaryFile } from "../testing/bank-year.ts";
import { type LocalLedger, startLocalLedger } from "../testing/local-ledger.ts";
import { startTestPostgres, type TestPostgres } from "../testing/postgres.ts";
import { type BrokenRow, readCsv } from "./csv-rows.ts";
import { type ImportSummary, importRows } from "./ledger.import.ts";
import { run } from "./ledger.main.ts";
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
): Promise<{ summary: ImportSummary; rejects: BrokenRow[] }> {
  const file = await temporaryFile("rows.csv", text);
  const rejects: BrokenRow[] = [];
  try {
    const summary = await importRows({
      client: ledger.client,
      rows: readCsv(file.path),
      asset: "CZK",
      batchSize: 200,
      timeoutSeconds: 60,
      clock: systemClock,
      onReject: (rejected) => rejects.push(rejected),
    });
    return { summary, rejects };
  } finally {
    await file.remove();
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

  test("broken rows are rejected one by one, the others go in", async () => {
    const ledger = await freshLedger();
    const { summary, rejects } = await importText(
      ledger,
      [
        header,
        "1,1993-01-01,a,credit,cash-deposit,100,100,,",
        "2,1993-01-01,a,credit,cash-deposit",
        '3,1993-01-01,a,credit,"cash,100,100,,',
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
        "14,1993-01-02,a,debit,cash-withd",
      ].join("\n"),
    );
    expect(summary).toMatchObject({
      rows: 14,
      posted: 2,
      rejected: { CSV_ROW_INVALID: 9, AMOUNT_NOT_POSITIVE: 2, INSUFFICIENT_CREDIT: 1 },
    });
    expect(rejects.map(({ line }) => line).sort((a, b) => a - b)).toEqual([3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 15, 16]);
    expect(await storedBalances(ledger)).toEqual(new Map([["a", 70n]]));
  });

  test.each([
    { name: "a missing column", text: "id,date,account,direction,operation\n1,1993-01-01,a,credit,x\n" },
    { name: "a doubled column", text: `${header},id\n` },
    { name: "an empty file", text: "" },
  ])("$name: nothing is sent", async ({ text }) => {
    const ledger = await freshLedger();
    const before = (await ledger.client.send("GET", "/v1/shards")).text;
    await expect(importText(ledger, text)).rejects.toMatchObject({ code: "CSV_HEADER_INVALID" });
    expect((await ledger.client.send("GET", "/v1/shards")).text).toBe(before);
  });

  test("the command writes a rejects file, and none when all is well", async () => {
    const ledger = await freshLedger();
    const rows = `${header}\n1,1993-01-01,a,credit,cash-deposit,100,100,,\n`;
    const [file, ca, key] = await Promise.all([
      temporaryFile("rows.csv", `${rows}2,1993-01-01,a,debit,cash-withdrawal,500,,,\nbroken\n`),
      temporaryFile("ca.crt", ledger.caPem),
      temporaryFile("key", ledger.adminKey),
    ]);
    const flags = ["--url", ledger.url, "--ca-file", ca.path, "--key-file", key.path, "--asset", "CZK", "--json"];
    expect(await run(["import", file.path, ...flags])).toBe(0);
    const rejects = readFileSync(`${file.path}.rejects.csv`, "utf8").trimEnd().split("\n");
    expect(rejects[0]).toBe("line,id,code,reason");
    expect(rejects.slice(1).sort()).toEqual([
      '3,2,INSUFFICIENT_CREDIT,"account ""a"" has 100 available, the transfer takes 500"',
      "4,broken,CSV_ROW_INVALID,1 fields instead of 9",
    ]);
    const good = await temporaryFile("rows.csv", rows);
    expect(await run(["import", good.path, ...flags])).toBe(0);
    expect(existsSync(`${good.path}.rejects.csv`)).toBe(false);
    await expect(run(["import", `${good.path}.nothing`, ...flags])).rejects.toMatchObject({ code: "FILE_UNREADABLE" });
    await expect(run(["import", good.path])).rejects.toMatchObject({ code: "USAGE" });
    for (const made of [file, ca, key, good]) await made.remove();
  });
});

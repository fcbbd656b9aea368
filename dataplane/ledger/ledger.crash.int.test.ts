import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { systemClock } from "../../lib/core/clock.ts";
import { prng } from "../../lib/core/prng.ts";
import { withClient } from "../../lib/node/postgres.ts";
import { eventually } from "../../testkit/wait.ts";
import { loadBankYear } from "../testing/bank-year.ts";
import { checkCsv } from "../testing/csv-file.ts";
import { type LedgerProcess, prepareLedgerProcess } from "../testing/ledger-process.ts";
import { startTestPostgres, type TestPostgres } from "../testing/postgres.ts";
import { createRowKeys } from "./import/row-keys.ts";
import { importRows } from "./ledger.import.ts";
import { verifyShard } from "./ledger.verify.ts";

// Goal (C11, C15, C26): kill -9 of the ledger's process and of PostgreSQL at random moments loses and doubles nothing.
// What was acknowledged is stored as acknowledged, and what was not is stored or not, never in half.

let postgres: TestPostgres;
const removals: (() => Promise<void>)[] = [];
beforeAll(async () => {
  postgres = await startTestPostgres({ fsync: true });
}, 120_000);
afterAll(async () => {
  for (const remove of removals) await remove();
  await postgres?.stop();
});

async function prepare(database: string): Promise<LedgerProcess> {
  const ledger = await prepareLedgerProcess(postgres, database);
  removals.push(() => ledger.remove());
  await ledger.start();
  return ledger;
}

async function expectIntact(ledger: LedgerProcess): Promise<void> {
  const target = postgres.role(ledger.database, "reader");
  const { findings } = await verifyShard({ shard: 0, target, snapshotEvery: 100 });
  expect(Object.values(findings).filter((finding) => finding.violations > 0)).toEqual([]);
}

describe("kill -9 at random moments", () => {
  test("the year goes in exactly once", async () => {
    const seed = Math.floor(systemClock.now() % 1e9);
    const random = prng(seed);
    const year = loadBankYear();
    const ledger = await prepare("crash_year");
    const checked = await checkCsv(year.text);
    let ended = false;
    const importing = importRows({
      client: ledger.client,
      rows: checked.read(),
      keys: createRowKeys(),
      retry: false,
      asset: "CZK",
      batchSize: 100,
      timeoutSeconds: 100,
      clock: systemClock,
      onReject: () => undefined,
    }).finally(() => {
      ended = true;
    });
    let kills = 0;
    for (; kills < 8 && !ended; kills += 1) {
      await systemClock.sleep(50 + random() * 700);
      if (random() < 0.6) {
        await ledger.kill();
        await ledger.start();
      } else {
        await postgres.kill();
        await postgres.start();
      }
    }
    const summary = await importing;
    checked.close();

    const context = `seed ${seed}, ${kills} kills`;
    expect([context, summary.posted + summary.alreadyThere]).toEqual([context, year.rows - year.refused.length]);
    expect([context, summary.rejected]).toEqual([
      context,
      year.refused.length === 0 ? {} : { INSUFFICIENT_CREDIT: year.refused.length },
    ]);
    await withClient(postgres.role(ledger.database, "reader"), async (client) => {
      const { rows } = await client.query<{ ext_id: string; posted: number }>(
        "SELECT ext_id, posted FROM ledger.account JOIN ledger.balance ON account = id WHERE ext_id NOT LIKE 'system:%'",
      );
      expect(new Map(rows.map((row) => [row.ext_id, BigInt(row.posted)]))).toEqual(year.balances);
    });
    await expectIntact(ledger);
  });

  test("every acknowledged transfer is stored as it was acknowledged", async () => {
    const ledger = await prepare("crash_ack");
    await ledger.client.send("POST", "/v1/accounts", { body: { id: "a", asset: "CZK", creditLimit: 1_000_000 } });
    await ledger.client.send("POST", "/v1/accounts", { body: { id: "b", asset: "CZK" } });
    const acknowledged = new Map<string, number>();
    let sending = true;
    let serial = 0;
    const sender = async (): Promise<void> => {
      while (sending) {
        serial += 1;
        const id = `t${serial}`;
        const body = { id, debitAccount: "a", creditAccount: "b", amount: 1 };
        const answer = await ledger.client.send("POST", "/v1/transfers", { body }).catch(() => undefined);
        if (answer?.status === 201) acknowledged.set(id, answer.json<{ position: number }>().position);
        else await systemClock.sleep(20);
      }
    };
    const senders = Array.from({ length: 8 }, sender);
    for (const victim of [ledger, postgres, ledger, postgres]) {
      const before = acknowledged.size;
      await until(() => acknowledged.size > before + 100);
      await victim.kill();
      await victim.start();
    }
    const before = acknowledged.size;
    await until(() => acknowledged.size > before + 100);
    sending = false;
    await Promise.all(senders);

    await withClient(postgres.role(ledger.database, "reader"), async (client) => {
      const { rows } = await client.query<{ id: string; position: number }>("SELECT id, position FROM ledger.event");
      const stored = new Map(rows.map((row) => [row.id, row.position]));
      const lost = [...acknowledged].filter(([id, position]) => stored.get(id) !== position);
      expect(lost).toEqual([]);
    });
    await expectIntact(ledger);
  });

  test("a stop in order finishes what was accepted and ends with 0", async () => {
    const ledger = await prepare("crash_stop");
    const items = Array.from({ length: 5_000 }, (_, index) => ({
      id: `s${index}`,
      debitAccount: "system:external:CZK",
      creditAccount: `c${index % 50}`,
      amount: 1,
    }));
    const answer = ledger.client.send("POST", "/v1/transfers:bulk", { body: { createAccounts: true, items } });
    await until(async () => (await headPosition(ledger)) >= 0);
    expect(await ledger.terminate()).toBe(0);
    const settled = await answer.catch(() => undefined);
    const position = await headPosition(ledger);
    // The request came before the stop and is carried out, or came after and is not; the answer says which.
    const posted = settled?.status === 200 ? countPosted(settled.text) : settled === undefined ? position : 0;
    expect([0, items.length]).toContain(position);
    expect(posted).toBe(position);
    await expectIntact(ledger);
  });
});

function countPosted(text: string): number {
  return (JSON.parse(text) as { items: { status: number }[] }).items.filter(({ status }) => status === 201).length;
}

async function headPosition(ledger: LedgerProcess): Promise<number> {
  return withClient(postgres.role(ledger.database, "reader"), async (client) => {
    const { rows } = await client.query<{ position: number }>("SELECT position FROM ledger.head");
    return (rows[0] as { position: number }).position;
  });
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const endsAt = systemClock.monotonic() + 60_000;
  while (!(await condition())) {
    if (systemClock.monotonic() > endsAt) throw new Error("the condition did not come true in time");
    await systemClock.sleep(5);
  }
}

test("a ledger shows its metrics to whoever has no certificate and no key, and nothing else", async () => {
  const ledger = await prepare("crash_metrics");
  const metrics = await eventually("served", () =>
    fetch(`${ledger.metricsUrl}/metrics`).then(
      (answer) => answer.text(),
      () => undefined,
    ),
  );
  expect(metrics).toContain('ledger_writer_held{shard="0"} 1');
  for (const path of ["/healthz", "/readyz", "/v1/shards"]) {
    expect((await fetch(`${ledger.metricsUrl}${path}`)).status).toBe(404);
  }
  expect(await ledger.terminate()).toBe(0);
}, 120_000);

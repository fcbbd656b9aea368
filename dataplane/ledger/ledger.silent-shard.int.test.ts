import { afterAll, beforeAll, beforeEach, expect, test } from "@jest/globals";
import { systemClock } from "../../lib/core/clock.ts";
import { type LocalLedger, startLocalLedger } from "../testing/local-ledger.ts";
import { startTestPostgres, type TestPostgres } from "../testing/postgres.ts";
import { type SilentWire, startSilentWire } from "../testing/silent-wire.ts";
import { shardOf } from "./account-locator.ts";
import type { ClientAnswer } from "./ledger-client.ts";

// Goal: a shard whose PostgreSQL says nothing costs the other shards nothing, and is told by name.

const SILENT_MS = 500;
/** A question, its repetition on a new connection, the pause before. */
const NOTICED_MS = 5_000;
/** Far below every limit of an answer from PostgreSQL. */
const PROMPT_MS = 2_000;
/** Longer than the API keys go without a refresh. */
const SILENCE_MS = 8_000;

let postgres: TestPostgres;
let wire: SilentWire;
let ledger: LocalLedger;
let sent = 0;
/** Accounts of shards 0 and 1. */
let good: readonly string[];
let ill: readonly string[];

beforeAll(async () => {
  postgres = await startTestPostgres();
  wire = await startSilentWire(postgres.port);
  ledger = await startLocalLedger({
    postgres,
    name: "apart",
    shards: 2,
    wires: [undefined, wire.port],
    silentMs: SILENT_MS,
  });
  const ids = Array.from({ length: 200 }, (_, index) => `account-${index}`);
  good = ids.filter((id) => shardOf(ledger.map, id) === 0);
  ill = ids.filter((id) => shardOf(ledger.map, id) === 1);
  const opened = await bulk([...good.slice(0, 20), ...ill.slice(0, 20)], true);
  expect(itemsOf(opened).map(({ status }) => status)).toEqual(Array.from({ length: 40 }, () => 201));
}, 120_000);
afterAll(async () => {
  await ledger.stop();
  await wire.close();
  await postgres.stop();
});
beforeEach(() => wire.restore());

interface Item {
  readonly status: number;
  readonly code?: string;
}

/** With a key that is owned where the account lives. */
const credit = (account: string) => {
  sent += 1;
  return { id: `{${account}}:${sent}`, debitAccount: "system:external:CZK", creditAccount: account, amount: 1 };
};
const bulk = (accounts: readonly string[], createAccounts = false): Promise<ClientAnswer> =>
  ledger.client.send("POST", "/v1/transfers:bulk", { body: { items: accounts.map(credit), createAccounts } });
const itemsOf = (answer: ClientAnswer): readonly Item[] => answer.json<{ items: readonly Item[] }>().items;
const single = (account: string): Promise<ClientAnswer> =>
  ledger.client.send("POST", "/v1/transfers", { body: credit(account) });

async function timed(work: Promise<ClientAnswer>): Promise<{ answer: ClientAnswer; ms: number }> {
  const startedAt = systemClock.monotonic();
  const answer = await work;
  return { answer, ms: systemClock.monotonic() - startedAt };
}

async function until(what: string, limitMs: number, condition: () => Promise<boolean>): Promise<void> {
  const endsAt = systemClock.monotonic() + limitMs;
  while (!(await condition())) {
    if (systemClock.monotonic() > endsAt) throw new Error(`${what}: not within ${limitMs} ms`);
    await systemClock.sleep(20);
  }
}

/** Requests of every kind to shard 0, one after another, until the time. @returns the slowest one's milliseconds, and refusals */
async function useShard0(endsAt: number): Promise<{ slowest: number; refused: string[]; answered: number }> {
  const found = { slowest: 0, refused: [] as string[], answered: 0 };
  for (let round = 0; systemClock.monotonic() < endsAt; round += 1) {
    const account = good[round % 20] as string;
    const fresh = good[20 + (round % 20)] as string;
    const kinds = [
      () => single(account),
      () => bulk(good.slice(0, 20)),
      // An account that is not known yet is looked for.
      () => bulk([fresh], true),
      () => ledger.client.send("GET", `/v1/accounts/${account}/balance`),
      () => ledger.client.send("GET", "/v1/events?shard=0&after=0&limit=10"),
    ];
    const { answer, ms } = await timed((kinds[round % kinds.length] as () => Promise<ClientAnswer>)());
    const statuses = answer.text.startsWith('{"items"') ? itemsOf(answer).map(({ status }) => status) : [answer.status];
    if (statuses.some((status) => status > 201)) found.refused.push(answer.text.slice(0, 200));
    found.slowest = Math.max(found.slowest, ms);
    found.answered += 1;
    await systemClock.sleep(5);
  }
  return found;
}

test("good load on the other shard goes on, reads, writes and refreshes of keys", async () => {
  wire.swallow();
  const endsAt = systemClock.monotonic() + SILENCE_MS;
  const lanes = await Promise.all([useShard0(endsAt), useShard0(endsAt), useShard0(endsAt)]);
  for (const { slowest, refused, answered } of lanes) {
    expect(refused).toEqual([]);
    expect(slowest).toBeLessThan(PROMPT_MS);
    expect(answered).toBeGreaterThan(50);
  }
});

test("who asks the silent shard is refused at once, item by item, and told which shard it is", async () => {
  wire.swallow();
  const firstBulk = timed(bulk([good[40] as string, ill[40] as string], true));
  const list = timed(ledger.client.send("GET", "/v1/shards"));
  for (const { answer, ms } of [await firstBulk, await list]) {
    expect(answer.status).toBe(200);
    expect(ms).toBeLessThan(NOTICED_MS);
  }
  expect(itemsOf((await firstBulk).answer)).toMatchObject([
    { status: 201 },
    { status: 503, code: "SHARD_UNAVAILABLE" },
  ]);
  expect((await list).answer.json()).toMatchObject({
    mapVersion: 1,
    shards: [
      { shard: 0, block: expect.any(Number) },
      { shard: 1, code: "SHARD_UNAVAILABLE" },
    ],
  });

  // Known by now: nobody waits any more, also for accounts whose shard is remembered.
  for (const send of [
    () => single(ill[0] as string),
    () => ledger.client.send("GET", `/v1/accounts/${ill[0]}/balance`),
    () => ledger.client.send("GET", `/v1/accounts/${ill[60]}/balance`),
  ]) {
    const { answer, ms } = await timed(send());
    expect({ status: answer.status, ...answer.json<object>() }).toMatchObject({
      status: 503,
      code: "SHARD_UNAVAILABLE",
    });
    expect(answer.headers["retry-after"]).toBe("1");
    expect(ms).toBeLessThan(PROMPT_MS);
  }
  // A key that the silent shard owns cannot be claimed there.
  const foreign = credit(good[0] as string);
  const owned = { ...foreign, id: `{${ill[0]}}:${sent}` };
  const unclaimed = await timed(ledger.client.send("POST", "/v1/transfers", { body: owned }));
  expect(unclaimed.answer.json()).toMatchObject({
    code: "SHARD_UNAVAILABLE",
    detail: expect.stringMatching(new RegExp(`^key "${owned.id}" belongs to shard 1: `)),
  });
  expect(unclaimed.ms).toBeLessThan(PROMPT_MS);

  const mixed = await timed(bulk([good[0] as string, ill[0] as string, good[1] as string]));
  expect(itemsOf(mixed.answer).map(({ status, code }) => code ?? status)).toEqual([201, "SHARD_UNAVAILABLE", 201]);
  expect(mixed.ms).toBeLessThan(PROMPT_MS);
  expect(await ledger.metrics.text()).toMatch(/^ledger_shard_up\{shard="0"\} 1\nledger_shard_up\{shard="1"\} 0$/m);

  wire.restore();
  await until("shard 1 to write again", 30_000, async () => (await single(ill[0] as string)).status === 201);
  await until("shard 1 to be up", 5_000, async () =>
    /ledger_shard_up\{shard="1"\} 1$/m.test(await ledger.metrics.text()),
  );
  expect((await ledger.client.send("GET", `/v1/accounts/${ill[0]}/balance`)).status).toBe(200);
});

test("a revocation that a silent shard does not take is told as failed, and counts all the same", async () => {
  await until("shard 1 to answer", 30_000, async () =>
    /ledger_shard_up\{shard="1"\} 1$/m.test(await ledger.metrics.text()),
  );
  const body = { name: "reader", scopes: ["read"] };
  const made = await ledger.client.send("POST", "/v1/api-keys", { body });
  expect(made.status).toBe(201);
  const { id, key } = made.json<{ id: string; key: string }>();
  const reader = ledger.clientWith(key);
  const read = async (): Promise<number> => (await reader.send("GET", "/v1/shards")).status;
  expect(await read()).toBe(200);

  wire.swallow();
  // The limit of an answer where nothing is known of the silence yet.
  const LIMIT_MS = 20_000;
  for (const send of [
    () => ledger.client.send("DELETE", `/v1/api-keys/${id}`),
    () => ledger.client.send("POST", "/v1/api-keys", { body }),
  ]) {
    const { answer, ms } = await timed(send());
    expect({ status: answer.status, ...answer.json<object>() }).toMatchObject({
      status: 503,
      code: "SHARD_UNAVAILABLE",
    });
    expect(ms).toBeLessThan(LIMIT_MS);
  }
  await until("the key to be refused", 7_000, async () => (await read()) === 401);
  wire.restore();
  await until("the revocation to be complete", 30_000, async () => {
    return (await ledger.client.send("DELETE", `/v1/api-keys/${id}`)).status === 204;
  });
  expect(await read()).toBe(401);
});

import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { bucketOf, DEFAULT_TENANT } from "../../lib/core/ring.ts";
import { withClient } from "../../lib/node/postgres.ts";
import { type LocalLedger, startLocalLedger } from "../testing/local-ledger.ts";
import { startTestPostgres, type TestPostgres } from "../testing/postgres.ts";
import { identitiesOf, type TransferRequest } from "./fingerprint.ts";
import { claimFormerKeys } from "./former-keys.ts";
import { shardMapOf } from "./ledger.reads.ts";
import { verifyShard } from "./ledger.verify.ts";
import type { ClientAnswer } from "./ledger-client.ts";

// Goal (docs/adr/0024-keys-of-the-ledger.md): on real databases a key has one payload and one effect in the whole ledger,
// whichever shards its transfers are for, and whichever version of the program used it first.

let postgres: TestPostgres;
let ledger: LocalLedger;
beforeAll(async () => {
  postgres = await startTestPostgres();
  ledger = await startLocalLedger({ postgres, name: "claims", shards: 2 });
}, 120_000);
afterAll(async () => {
  await ledger?.stop();
  await postgres?.stop();
});

let serial = 0;
const shardOf = (key: string): number => ledger.map.owners[bucketOf(DEFAULT_TENANT, key)] as number;

/** An id, of a key or an account, that falls to the shard. */
function idOn(shard: number, prefix: string): string {
  for (;;) {
    serial += 1;
    const id = `${prefix}-${serial}`;
    if (shardOf(id) === shard) return id;
  }
}

async function accountOn(shard: number): Promise<string> {
  const id = idOn(shard, "acc");
  expect((await ledger.client.send("POST", "/v1/accounts", { body: { id, asset: "CZK" } })).status).toBe(201);
  return id;
}

const deposit = (id: string, creditAccount: string, amount = 100): TransferRequest => ({
  id,
  debitAccount: "system:external:CZK",
  creditAccount,
  amount,
});
const post = (body: object): Promise<ClientAnswer> => ledger.client.send("POST", "/v1/transfers", { body });
const statuses = (answers: readonly { status: number }[]): number[] => answers.map(({ status }) => status).sort();

async function total(accounts: readonly string[]): Promise<number> {
  let sum = 0;
  for (const account of accounts) {
    const answer = await ledger.client.send("GET", `/v1/accounts/${account}/balance`);
    sum += answer.json<{ posted: number }>().posted;
  }
  return sum;
}

test("one key for six accounts on both shards is carried out once, whoever comes first", async () => {
  for (const owner of [0, 1]) {
    const accounts = await Promise.all([0, 1, 0, 1, 0, 1].map(accountOn));
    const id = idOn(owner, "key");
    const answers = await Promise.all(accounts.map((account) => post(deposit(id, account))));
    expect(statuses(answers)).toEqual([201, 422, 422, 422, 422, 422]);
    expect(await total(accounts)).toBe(100);
    const again = await Promise.all(accounts.map((account) => post(deposit(id, account))));
    expect(statuses(again)).toEqual([200, 422, 422, 422, 422, 422]);
    const refused = again.find(({ status }) => status === 422)?.json<object>();
    expect(refused).toMatchObject({
      code: "IDEMPOTENCY_KEY_REUSED",
      detail: `key "${id}" was used for a transfer with another payload`,
    });
  }
});

test("one key twice in a bulk, for accounts on two shards, is carried out once", async () => {
  const [a, b] = [await accountOn(0), await accountOn(1)];
  const ids = [idOn(0, "key"), idOn(1, "key")];
  const items = ids.flatMap((id) => [deposit(id, a), deposit(id, b)]);
  const answer = await ledger.client.send("POST", "/v1/transfers:bulk", { body: { items } });
  expect(statuses(answer.json<{ items: { status: number }[] }>().items)).toEqual([201, 201, 422, 422]);
  expect(await total([a, b])).toBe(200);
});

test("items of a bulk keep their order on a shard, whoever owns their keys", async () => {
  const account = await accountOn(0);
  const items = Array.from({ length: 20 }, (_, index) => {
    const id = idOn(index % 2, "key");
    const isDeposit = index % 4 < 2;
    return isDeposit
      ? deposit(id, account)
      : { id, debitAccount: account, creditAccount: "system:external:CZK", amount: 100 };
  });
  const answer = await ledger.client.send("POST", "/v1/transfers:bulk", { body: { items } });
  expect(statuses(answer.json<{ items: { status: number }[] }>().items)).toEqual(items.map(() => 201));
  expect(await total([account])).toBe(0);
});

/** As long as a request may be, and longer than the body of a single transfer. */
test("ten thousand keys of the other shard are claimed for one bulk", async () => {
  const account = await accountOn(0);
  const items = Array.from({ length: 10_000 }, () => deposit(idOn(1, "many"), account, 1));
  const answer = await ledger.client.send("POST", "/v1/transfers:bulk", { body: { items } });
  expect(answer.json<{ items: { status: number }[] }>().items.filter(({ status }) => status !== 201)).toEqual([]);
  expect(await total([account])).toBe(10_000);
});

test("a key is bound by a refusal too, on whichever shard it is owned", async () => {
  const account = await accountOn(0);
  for (const owner of [0, 1]) {
    const id = idOn(owner, "key");
    const wrong = { ...deposit(id, account), asset: "EUR" };
    const codes = [];
    for (const body of [wrong, deposit(id, account), wrong])
      codes.push((await post(body)).json<{ code: string }>().code);
    expect(codes).toEqual(["ASSET_MISMATCH", "IDEMPOTENCY_KEY_REUSED", "ASSET_MISMATCH"]);
  }
});

test("a tagged key is owned beside its account, and claimed nowhere", async () => {
  const account = await accountOn(0);
  const count = async (): Promise<number> =>
    withClient(postgres.superuser(ledger.databases[1] as string), async (client) => {
      const { rows } = await client.query<{ count: number }>("SELECT count(*)::int AS count FROM ledger.key_claim");
      return rows[0]?.count ?? -1;
    });
  const before = await count();
  for (let index = 0; index < 10; index += 1)
    expect((await post(deposit(`{${account}}:${index}`, account))).status).toBe(201);
  expect(await count()).toBe(before);
  expect((await post(deposit(idOn(1, "key"), account))).status).toBe(201);
  expect(await count()).toBe(before + 1);
});

test("keys that were used before there were claims are claimed by the migration, once", async () => {
  const account = await accountOn(0);
  const other = await accountOn(1);
  const ids = Array.from({ length: 20 }, () => idOn(1, "former"));
  const refusedId = idOn(1, "former");
  // As the version before did it: straight to the shard of the account.
  const requests: TransferRequest[] = [
    ...ids.map((id) => deposit(id, account)),
    { id: refusedId, debitAccount: account, creditAccount: "system:external:CZK", amount: 1_000_000 },
  ];
  const foreign = new Uint8Array(requests.length).fill(1);
  const group = { requests, identities: identitiesOf(requests), createAccounts: false, mapVersion: 1, foreign };
  await ledger.seats[0]?.writer()?.transfer(group);

  const owner = (shard: number) => postgres.role(ledger.databases[shard] as string, "owner");
  const claimAll = (): Promise<number> =>
    withClient(owner(0), (client) =>
      claimFormerKeys({
        shard: 0,
        client,
        onShard: (shard, work) => withClient(owner(shard), work),
        map: () => shardMapOf(client, 0),
        onProgress: () => undefined,
      }),
    );
  expect(await claimAll()).toBe(21);
  expect(await claimAll()).toBe(0);

  // The writer learns of them at its takeover.
  await ledger.stop();
  ledger = await startLocalLedger({ postgres, name: "claims", shards: 2, adminKey: ledger.adminKey });
  const answers = await Promise.all([...ids, refusedId].map((id) => post(deposit(id, other))));
  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 422));
  expect(answers.every((answer) => answer.json<{ code: string }>().code === "IDEMPOTENCY_KEY_REUSED")).toBe(true);
  const replayed = await Promise.all(ids.map((id) => post(deposit(id, account))));
  expect(replayed.map(({ status }) => status)).toEqual(ids.map(() => 200));
});

test("nobody but another pod claims keys over the network", async () => {
  const body = { owner: 0, mapVersion: 1, identities: "", shards: [], buckets: [] };
  const headers = { "x-shieldx-forwarded": "claims" };
  const answer = await ledger.client.send("POST", "/internal/key-claims", { body, headers });
  expect([answer.status, answer.json<{ code: string }>().code]).toEqual([404, "ROUTE_NOT_FOUND"]);
});

test("the books are whole afterwards", async () => {
  for (const [shard, database] of ledger.databases.entries()) {
    const target = postgres.role(database, "reader");
    const replay = await verifyShard({ shard, target, snapshotEvery: 100 });
    expect(Object.values(replay.findings).filter((finding) => finding.violations > 0)).toEqual([]);
  }
});

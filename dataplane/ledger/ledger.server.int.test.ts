import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { bucketOf, DEFAULT_TENANT } from "../../lib/core/ring.ts";
import { type LocalLedger, startLocalLedger } from "../testing/local-ledger.ts";
import { startTestPostgres, type TestPostgres } from "../testing/postgres.ts";
import { BODY_BYTES_MAX, BULK_ITEMS_MAX } from "./api-schema.ts";
import type { ClientAnswer } from "./ledger-client.ts";

// Goal: the API keeps its promises to clients: each bad input gets its code and changes nothing, each key has one
// effect and one answer (C03, C04, C08, C09, C14, C16, C23, C24, C25), reads see now and the past.

let postgres: TestPostgres;
let ledger: LocalLedger;
const releases: (() => Promise<void>)[] = [];
beforeAll(async () => {
  postgres = await startTestPostgres();
  releases.unshift(() => postgres.stop());
  ledger = await startLocalLedger({ postgres, name: "api", shards: 3, snapshotEvery: 10 });
  releases.unshift(() => ledger.stop());
}, 120_000);
afterAll(async () => {
  for (const release of releases) await release();
});

const MAX = 9007199254740991;
let serial = 0;
const fresh = (prefix = "t"): string => `${prefix}-${++serial}`;
const shardOf = (key: string): number => ledger.map.owners[bucketOf(DEFAULT_TENANT, key)] as number;

/** Ids of accounts on one shard. */
function idsOn(shard: number, count: number): string[] {
  const ids: string[] = [];
  while (ids.length < count) {
    const id = fresh("acc");
    if (shardOf(id) === shard) ids.push(id);
  }
  return ids;
}

const post = (path: string, body: unknown, headers: Record<string, string> = {}): Promise<ClientAnswer> =>
  ledger.client.send("POST", path, { body, headers });
const get = (path: string): Promise<ClientAnswer> => ledger.client.send("GET", path);

async function openOn(shard: number, count: number, creditLimit = 0): Promise<string[]> {
  const ids = idsOn(shard, count);
  for (const id of ids) expect((await post("/v1/accounts", { id, asset: "CZK", creditLimit })).status).toBe(201);
  return ids;
}

async function fund(account: string, amount: number): Promise<void> {
  const answer = await post("/v1/transfers", {
    id: fresh("fund"),
    debitAccount: "system:external:CZK",
    creditAccount: account,
    amount,
  });
  expect(answer.status).toBe(201);
}

async function heads(): Promise<number[]> {
  const { shards } = (await get("/v1/shards")).json<{ shards: { position: number; accounts: number }[] }>();
  return shards.flatMap(({ position, accounts }) => [position, accounts]);
}

/** Expects a problem of this code, and that nothing was written anywhere. */
async function expectRefused(answer: Promise<ClientAnswer>, status: number, code: string): Promise<void> {
  const before = await heads();
  const { headers, ...got } = await answer;
  expect([got.status, got.json<{ code: string }>().code]).toEqual([status, code]);
  expect(headers["content-type"]).toContain("application/problem+json");
  expect(got.json()).toMatchObject({ type: `https://shieldx.dev/errors/${code}`, status, action: expect.any(String) });
  expect(await heads()).toEqual(before);
}

describe("keys", () => {
  test("no key, a wrong key, a malformed key", async () => {
    const send = (key: string | undefined): Promise<ClientAnswer> => ledger.clientWith(key).send("GET", "/v1/shards");
    await expectRefused(send(undefined), 401, "API_KEY_MISSING");
    await expectRefused(send("nonsense"), 401, "API_KEY_INVALID");
    await expectRefused(send(`sxk_${"A".repeat(43)}`), 401, "API_KEY_INVALID");
  });

  test("a key is made, used within its scope, listed without its secret, revoked", async () => {
    const made = await post("/v1/api-keys", { name: "reporting", scopes: ["read"] });
    expect(made.status).toBe(201);
    const { id, key } = made.json<{ id: string; key: string }>();
    const reader = ledger.clientWith(key);
    expect((await reader.send("GET", "/v1/shards")).status).toBe(200);
    await expectRefused(reader.send("POST", "/v1/transfers", { body: {} }), 403, "SCOPE_MISSING");
    const list = (await get("/v1/api-keys")).text;
    expect(list).toContain(id);
    expect(list).not.toContain(key.slice(4));
    expect((await ledger.client.send("DELETE", `/v1/api-keys/${id}`)).status).toBe(204);
    await expectRefused(reader.send("GET", "/v1/shards"), 401, "API_KEY_INVALID");
    await expectRefused(ledger.client.send("DELETE", "/v1/api-keys/nothing"), 404, "API_KEY_NOT_FOUND");
  });
});

describe("bad input", () => {
  const transfer = (members: string): string =>
    `{"id":"${fresh("bad")}","debitAccount":"x","creditAccount":"y"${members}}`;
  const cases: { name: string; body: () => string; status: number; code: string }[] = [
    { name: "bad JSON", body: () => "{", status: 400, code: "JSON_INVALID" },
    { name: "bytes that are not UTF-8", body: () => "\u00ff", status: 400, code: "JSON_INVALID" },
    { name: "an empty body", body: () => "", status: 400, code: "JSON_INVALID" },
    { name: "amount 0", body: () => transfer(',"amount":0'), status: 400, code: "AMOUNT_NOT_POSITIVE" },
    { name: "a negative amount", body: () => transfer(',"amount":-5'), status: 400, code: "AMOUNT_NOT_POSITIVE" },
    { name: "a fraction", body: () => transfer(',"amount":1.5'), status: 400, code: "NUMBER_INVALID" },
    { name: "a whole fraction", body: () => transfer(',"amount":1.0'), status: 400, code: "NUMBER_INVALID" },
    { name: "an exponent", body: () => transfer(',"amount":1e3'), status: 400, code: "NUMBER_INVALID" },
    { name: "2^53", body: () => transfer(',"amount":9007199254740992'), status: 400, code: "NUMBER_INVALID" },
    { name: "a number as text", body: () => transfer(',"amount":"5"'), status: 400, code: "REQUEST_INVALID" },
    { name: "no amount", body: () => transfer(""), status: 400, code: "REQUEST_INVALID" },
    { name: "an unknown member", body: () => transfer(',"amount":1,"note":"x"'), status: 400, code: "REQUEST_INVALID" },
    {
      name: "a time that is none",
      body: () => transfer(',"amount":1,"effectiveAt":"1993-02-30"'),
      status: 400,
      code: "REQUEST_INVALID",
    },
    { name: "unknown accounts", body: () => transfer(',"amount":1'), status: 404, code: "ACCOUNT_NOT_FOUND" },
    {
      name: "one account twice",
      body: () => `{"id":"${fresh()}","debitAccount":"x","creditAccount":"x","amount":1}`,
      status: 422,
      code: "SAME_ACCOUNT",
    },
    {
      name: "no id",
      body: () => '{"debitAccount":"x","creditAccount":"y","amount":1}',
      status: 400,
      code: "REQUEST_INVALID",
    },
  ];
  test.each(cases)("$name", async ({ body, status, code }) => {
    const bytes = Buffer.from(body(), "latin1");
    await expectRefused(post("/v1/transfers", bytes), status, code);
  });

  test("a body that is too large, by length and by items (C25)", async () => {
    await expectRefused(post("/v1/transfers:bulk", Buffer.alloc(BODY_BYTES_MAX + 1, 32)), 413, "BODY_TOO_LARGE");
    const items = Array.from({ length: BULK_ITEMS_MAX + 1 }, () => 1);
    await expectRefused(post("/v1/transfers:bulk", { items }), 413, "BODY_TOO_LARGE");
  });

  test("another content type, another path, another parameter", async () => {
    const plain = ledger.client.send("POST", "/v1/transfers", {
      body: "{}",
      headers: { "content-type": "text/plain" },
    });
    await expectRefused(plain, 415, "CONTENT_TYPE_UNSUPPORTED");
    await expectRefused(get("/v1/nothing"), 404, "ROUTE_NOT_FOUND");
    await expectRefused(get("/v1/events?shard=0&from=1"), 400, "REQUEST_INVALID");
    await expectRefused(get("/v1/events?shard=7"), 400, "REQUEST_INVALID");
    await expectRefused(get("/v1/events?shard=0&limit=1e3"), 400, "REQUEST_INVALID");
  });

  test("bulk frames", async () => {
    await expectRefused(post("/v1/transfers:bulk", { items: [] }), 400, "REQUEST_INVALID");
    await expectRefused(post("/v1/transfers:bulk", { items: [{}], mode: "atomic" }), 400, "REQUEST_INVALID");
    await expectRefused(post("/v1/transfers:bulk", { items: [{}], extra: 1 }), 400, "REQUEST_INVALID");
  });

  test("accounts", async () => {
    await expectRefused(post("/v1/accounts", { id: "system:x", asset: "CZK" }), 400, "REQUEST_INVALID");
    await expectRefused(post("/v1/accounts", { id: "a b", asset: "CZK" }), 400, "REQUEST_INVALID");
    await expectRefused(post("/v1/accounts", { id: fresh(), asset: "XXX" }), 422, "ASSET_UNKNOWN");
    await expectRefused(post("/v1/accounts", '{"id":"q","asset":"CZK","creditLimit":1e3}'), 400, "NUMBER_INVALID");
    await expectRefused(get("/v1/accounts/nobody"), 404, "ACCOUNT_NOT_FOUND");
    await expectRefused(get("/v1/accounts/nobody/balance"), 404, "ACCOUNT_NOT_FOUND");
  });
});

describe("accounts", () => {
  test("opening again with the same properties answers 200, with others 409", async () => {
    const [id] = idsOn(0, 1) as [string];
    const request = { id, asset: "CZK", creditLimit: 50 };
    const first = await post("/v1/accounts", request);
    expect(first.status).toBe(201);
    const again = await post("/v1/accounts", request);
    expect([again.status, again.json()]).toEqual([200, first.json()]);
    expect(first.json()).toMatchObject({ id, asset: "CZK", creditLimit: 50, placementKey: id, shard: 0 });
    await expectRefused(post("/v1/accounts", { ...request, creditLimit: 51 }), 409, "ACCOUNT_CONFLICT");
    await expectRefused(post("/v1/accounts", { ...request, asset: "EUR" }), 409, "ACCOUNT_CONFLICT");
    await expectRefused(post("/v1/accounts", { ...request, placementKey: "other" }), 409, "ACCOUNT_CONFLICT");
  });

  test("a placement key brings accounts of any shard together", async () => {
    const [a, b] = [idsOn(0, 1)[0] as string, idsOn(1, 1)[0] as string];
    const placementKey = idsOn(2, 1)[0] as string;
    for (const id of [a, b]) {
      const opened = await post("/v1/accounts", { id, asset: "CZK", placementKey });
      expect([opened.status, opened.json<{ shard: number }>().shard]).toEqual([201, 2]);
    }
    await fund(a, 10);
    const moved = await post("/v1/transfers", { id: fresh(), debitAccount: a, creditAccount: b, amount: 4 });
    expect([moved.status, moved.json<{ shard: number }>().shard]).toEqual([201, 2]);
    expect((await get(`/v1/accounts/${b}/balance`)).json()).toMatchObject({ posted: 4, shard: 2 });
    await expectRefused(post("/v1/accounts", { id: a, asset: "CZK" }), 409, "ACCOUNT_CONFLICT");
  });
});

describe("transfers", () => {
  test("moves credits once and answers with positions and balances", async () => {
    const [a, b] = (await openOn(0, 2)) as [string, string];
    await fund(a, 100);
    const id = fresh();
    const request = { id, debitAccount: a, creditAccount: b, amount: 30, metadata: { note: "žluť" } };
    const first = await post("/v1/transfers", request);
    expect(first.status).toBe(201);
    expect(first.json()).toMatchObject({ id, shard: 0, debitBalance: 70, creditBalance: 30, replayed: false });
    expect(first.headers["idempotency-replayed"]).toBeUndefined();

    const again = await post("/v1/transfers", request);
    expect(again.status).toBe(200);
    expect(again.headers["idempotency-replayed"]).toBe("true");
    expect(again.json()).toEqual({ ...first.json<object>(), replayed: true });
    expect((await get(`/v1/accounts/${a}/balance`)).json()).toMatchObject({ posted: 70, available: 70, version: 2 });
  });

  test("the same key with another payload is refused (C09), by header or by body (C16)", async () => {
    const [a, b] = (await openOn(1, 2)) as [string, string];
    await fund(a, 100);
    const id = fresh();
    const request = { debitAccount: a, creditAccount: b, amount: 1 };
    const byHeader = await post("/v1/transfers", request, { "idempotency-key": id });
    expect(byHeader.status).toBe(201);
    expect((await post("/v1/transfers", { ...request, id })).json()).toEqual({
      ...byHeader.json<object>(),
      replayed: true,
    });
    await expectRefused(post("/v1/transfers", { ...request, id, amount: 2 }), 422, "IDEMPOTENCY_KEY_REUSED");
    await expectRefused(
      post("/v1/transfers", { ...request, id }, { "idempotency-key": "other" }),
      400,
      "REQUEST_INVALID",
    );
  });

  test("a refusal is kept: the key answers the same after money has come (C14)", async () => {
    const [a, b] = (await openOn(0, 2)) as [string, string];
    const request = { id: fresh(), debitAccount: a, creditAccount: b, amount: 5 };
    const first = await post("/v1/transfers", request);
    expect([first.status, first.json<{ code: string }>().code]).toEqual([422, "INSUFFICIENT_CREDIT"]);
    await fund(a, 100);
    const again = await post("/v1/transfers", request);
    const { requestId: _first, ...firstBody } = first.json<{ requestId: string }>();
    const { requestId: _again, ...againBody } = again.json<{ requestId: string }>();
    expect([again.status, againBody]).toEqual([422, firstBody]);
    expect(again.headers["idempotency-replayed"]).toBe("true");
    expect((await get(`/v1/accounts/${a}/balance`)).json()).toMatchObject({ posted: 100, version: 1 });
  });

  test("a key that found no account is free again: nothing was decided", async () => {
    const [a] = (await openOn(0, 1)) as [string];
    const [later] = idsOn(0, 1) as [string];
    await fund(a, 10);
    const request = { id: fresh(), debitAccount: a, creditAccount: later, amount: 5 };
    await expectRefused(post("/v1/transfers", request), 404, "ACCOUNT_NOT_FOUND");
    await post("/v1/accounts", { id: later, asset: "CZK" });
    expect((await post("/v1/transfers", request)).status).toBe(201);
  });

  test("across shards, across assets, beyond whole numbers", async () => {
    const [a] = (await openOn(0, 1)) as [string];
    const [b] = (await openOn(1, 1)) as [string];
    await fund(a, 10);
    await expectRefused(
      post("/v1/transfers", { id: fresh(), debitAccount: a, creditAccount: b, amount: 5 }),
      422,
      "CROSS_SHARD_TRANSFER",
    );
    const [euro] = idsOn(0, 1) as [string];
    await post("/v1/accounts", { id: euro, asset: "EUR" });
    const mismatch = { id: fresh(), debitAccount: a, creditAccount: euro, amount: 5 };
    await expectRefused(post("/v1/transfers", mismatch), 422, "ASSET_MISMATCH");
    await expectRefused(
      post("/v1/transfers", {
        id: fresh(),
        debitAccount: "system:external:CZK",
        creditAccount: a,
        amount: 5,
        asset: "EUR",
      }),
      422,
      "ASSET_MISMATCH",
    );
    const overflow = { id: fresh(), debitAccount: "system:external:EUR", creditAccount: euro, amount: MAX };
    expect((await post("/v1/transfers", overflow)).status).toBe(201);
  });

  test("the same request from many senders at once is carried out once (C10)", async () => {
    const [a, b] = (await openOn(2, 2)) as [string, string];
    await fund(a, 1_000);
    const request = { id: fresh(), debitAccount: a, creditAccount: b, amount: 7 };
    const answers = await Promise.all(Array.from({ length: 24 }, () => post("/v1/transfers", request)));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(23);
    expect(new Set(answers.map((answer) => answer.json<{ position: number }>().position)).size).toBe(1);
    expect((await get(`/v1/accounts/${b}/balance`)).json()).toMatchObject({ posted: 7, version: 1 });
  });
});

describe("bulk", () => {
  interface Item {
    id: string | null;
    status: number;
    shard?: number;
    replayed: boolean;
    code?: string;
    debitBalance?: number;
  }
  const bulk = async (items: unknown, more: object = {}): Promise<Item[]> => {
    const answer = await post("/v1/transfers:bulk", typeof items === "string" ? items : { items, ...more });
    expect(answer.status).toBe(200);
    return answer.json<{ items: Item[] }>().items;
  };

  test("each item has its own status; bad ones do not touch their neighbours (C23, C24)", async () => {
    const [a, b] = (await openOn(0, 2)) as [string, string];
    const [c, d] = (await openOn(1, 2)) as [string, string];
    await fund(a, 100);
    await fund(c, 100);
    const [one, two, three] = [fresh(), fresh(), fresh()];
    const text = JSON.stringify({
      items: [
        { id: one, debitAccount: a, creditAccount: b, amount: 60 },
        { id: fresh(), debitAccount: a, creditAccount: b, amount: 60 },
        { id: fresh(), debitAccount: a, creditAccount: b, amount: "@" },
        { id: two, debitAccount: c, creditAccount: d, amount: 1 },
        { id: fresh(), debitAccount: a, creditAccount: c, amount: 1 },
        { id: one, debitAccount: a, creditAccount: b, amount: 60 },
        { id: one, debitAccount: a, creditAccount: b, amount: 61 },
        7,
        { id: three, debitAccount: a, creditAccount: b, amount: 40 },
      ],
    }).replace('"@"', "1e3");
    const items = await bulk(text);
    expect(items.map(({ status, code }) => code ?? status)).toEqual([
      201,
      "INSUFFICIENT_CREDIT",
      "NUMBER_INVALID",
      201,
      "CROSS_SHARD_TRANSFER",
      200,
      "IDEMPOTENCY_KEY_REUSED",
      "REQUEST_INVALID",
      201,
    ]);
    expect(items.map(({ shard }) => shard)).toEqual([0, 0, undefined, 1, undefined, 0, shardOf(one), undefined, 0]);
    expect(items[5]).toMatchObject({ id: one, replayed: true, debitBalance: 40 });
    expect((await get(`/v1/accounts/${a}/balance`)).json()).toMatchObject({ posted: 0 });
    expect(await bulk(text)).toMatchObject(items.map(({ status }) => ({ status: status === 201 ? 200 : status })));
  });

  test("createAccounts opens what receives, and nothing for a transfer that is refused", async () => {
    const [a, b] = idsOn(2, 2) as [string, string];
    const external = "system:external:CZK";
    const items = await bulk(
      [
        { id: fresh(), debitAccount: external, creditAccount: a, amount: 10 },
        { id: fresh(), debitAccount: b, creditAccount: external, amount: 1 },
        { id: fresh(), debitAccount: a, creditAccount: external, amount: 11 },
        { id: fresh(), debitAccount: a, creditAccount: external, amount: 10 },
      ],
      { createAccounts: true },
    );
    expect(items.map(({ status, code }) => code ?? status)).toEqual([
      201,
      "INSUFFICIENT_CREDIT",
      "INSUFFICIENT_CREDIT",
      201,
    ]);
    expect((await get(`/v1/accounts/${a}`)).json()).toMatchObject({ asset: "CZK", creditLimit: 0 });
    expect((await get(`/v1/accounts/${b}`)).status).toBe(404);
  });

  test("a full request is decided in order and answered completely", async () => {
    const [a, b] = (await openOn(0, 2)) as [string, string];
    await fund(a, BULK_ITEMS_MAX);
    const items = Array.from({ length: BULK_ITEMS_MAX }, () => ({
      id: fresh(),
      debitAccount: a,
      creditAccount: b,
      amount: 1,
    }));
    const answers = await bulk(items);
    expect(answers.every(({ status }) => status === 201)).toBe(true);
    expect(answers.map(({ debitBalance }) => debitBalance)).toEqual(
      items.map((_, index) => BULK_ITEMS_MAX - 1 - index),
    );
  });
});

describe("reads", () => {
  test("the past: as of a position and as of a recorded time", async () => {
    const [a, b] = (await openOn(1, 2)) as [string, string];
    await fund(a, 1_000);
    const history: { position: number; recordedAt: string; balance: number }[] = [];
    for (let count = 1; count <= 35; count += 1) {
      const answer = await post("/v1/transfers", { id: fresh(), debitAccount: a, creditAccount: b, amount: count });
      const { position, recordedAt, creditBalance } = answer.json<{
        position: number;
        recordedAt: string;
        creditBalance: number;
      }>();
      history.push({ position, recordedAt, balance: creditBalance });
    }
    for (const [index, { position, recordedAt, balance }] of history.entries()) {
      const want = { posted: balance, version: index + 1, lastPosition: position, position };
      expect((await get(`/v1/accounts/${b}/balance?position=${position}`)).json()).toMatchObject(want);
      expect((await get(`/v1/accounts/${b}/balance?at=${recordedAt}`)).json()).toMatchObject(want);
    }
    const first = history[0] as { position: number };
    expect((await get(`/v1/accounts/${b}/balance?position=${first.position - 1}`)).json()).toMatchObject({
      posted: 0,
      version: 0,
      lastPosition: 0,
    });
    expect((await get(`/v1/accounts/${b}/balance?at=1993-01-01`)).json()).toMatchObject({ posted: 0, position: 0 });
    await expectRefused(get(`/v1/accounts/${b}/balance?position=999999`), 404, "POSITION_NOT_FOUND");
    await expectRefused(get(`/v1/accounts/${b}/balance?at=yesterday`), 400, "REQUEST_INVALID");
    await expectRefused(get(`/v1/accounts/${b}/balance?at=1993-01-01&position=1`), 400, "REQUEST_INVALID");
  });

  test("the external account of each shard is read by naming the shard", async () => {
    const [a] = (await openOn(2, 1)) as [string];
    const path = "/v1/accounts/system:external:CZK/balance?shard=2";
    const before = (await get(path)).json<{ posted: number; shard: number }>();
    await fund(a, 9);
    expect((await get(path)).json()).toMatchObject({ shard: 2, posted: before.posted - 9 });
    expect((await get("/v1/accounts/system:external:CZK?shard=1")).json()).toMatchObject({
      shard: 1,
      creditLimit: MAX,
    });
    await expectRefused(get("/v1/accounts/system:external:CZK/balance"), 400, "REQUEST_INVALID");
    await expectRefused(get("/v1/accounts/system:external:CZK/balance?shard=3"), 400, "REQUEST_INVALID");
    await expectRefused(get(`/v1/accounts/${a}/balance?shard=2`), 400, "REQUEST_INVALID");
    await expectRefused(get("/v1/accounts/system:external:XXX?shard=1"), 404, "ACCOUNT_NOT_FOUND");
  });

  test("events from a position: every one, once, in order", async () => {
    const { shards } = (await get("/v1/shards")).json<{ shards: { position: number }[] }>();
    const head = (shards[1] as { position: number }).position;
    const positions: number[] = [];
    let after = 0;
    for (;;) {
      const page = (await get(`/v1/events?shard=1&after=${after}&limit=7`)).json<{
        events: { position: number }[];
        next: number;
      }>();
      if (page.events.length === 0) break;
      positions.push(...page.events.map(({ position }) => position));
      after = page.next;
    }
    expect(positions).toEqual(Array.from({ length: head }, (_, index) => index + 1));
  });

  test("large events come in pages that end early, and none is left out", async () => {
    const [a] = (await openOn(0, 1)) as [string];
    const metadata = Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`name-${at}`, "x".repeat(500)]));
    const items = Array.from({ length: 600 }, () => ({
      id: fresh("large"),
      debitAccount: "system:external:CZK",
      creditAccount: a,
      amount: 1,
      metadata,
    }));
    const { shards } = (await get("/v1/shards")).json<{ shards: { position: number }[] }>();
    let after = (shards[0] as { position: number }).position;
    expect((await post("/v1/transfers:bulk", { items })).status).toBe(200);
    const pages: number[] = [];
    const ids: string[] = [];
    for (;;) {
      const { text, json } = await get(`/v1/events?shard=0&after=${after}&limit=1000`);
      const page = json<{ events: { id: string }[]; next: number }>();
      if (page.events.length === 0) break;
      pages.push(text.length);
      ids.push(...page.events.map(({ id }) => id));
      after = page.next;
    }
    expect(ids).toEqual(items.map(({ id }) => id));
    expect([pages.length, pages.every((length) => length < 5 * 1024 * 1024)]).toEqual([2, true]);
  });

  test("an event shows what was sent", async () => {
    const [a] = (await openOn(2, 1)) as [string];
    const id = fresh("event");
    const sent = {
      id,
      debitAccount: "system:external:CZK",
      creditAccount: a,
      amount: 12,
      effectiveAt: "1993-01-05",
      metadata: { note: 'quotes " and ž' },
    };
    const { position } = (await post("/v1/transfers", sent)).json<{ position: number }>();
    const { events } = (await get(`/v1/events?shard=2&after=${position - 1}`)).json<{ events: object[] }>();
    expect(events[0]).toMatchObject({ ...sent, effectiveAt: "1993-01-05T00:00:00.000000Z", position });
  });

  test("the OpenAPI document needs no key and names every route", async () => {
    const answer = await ledger.clientWith(undefined).send("GET", "/openapi.json");
    expect(answer.status).toBe(200);
    const document = answer.json<{ openapi: string; paths: Record<string, unknown> }>();
    expect(document.openapi).toBe("3.1.0");
    expect(Object.keys(document.paths).sort()).toEqual([
      "/openapi.json",
      "/v1/accounts",
      "/v1/accounts/{id}",
      "/v1/accounts/{id}/balance",
      "/v1/api-keys",
      "/v1/api-keys/{id}",
      "/v1/events",
      "/v1/shards",
      "/v1/transfers",
      "/v1/transfers:bulk",
    ]);
  });

  test("metrics count what was committed", async () => {
    const text = await (await fetch(`${ledger.probeUrl}/metrics`)).text();
    const { shards } = (await get("/v1/shards")).json<{ shards: { position: number }[] }>();
    for (const [shard, { position }] of shards.entries()) {
      expect(text).toContain(`event_store_events_total{shard="${shard}"} ${position}\n`);
    }
  });
});

import { randomBytes } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "@jest/globals";
import { eventually } from "../../testkit/wait.ts";
import { type LocalLedger, startLocalLedger } from "../testing/local-ledger.ts";
import { startTestPostgres, type TestPostgres } from "../testing/postgres.ts";
import { openRaw, type RawConnection, requestHead } from "../testing/raw-connection.ts";
import type { LedgerClient } from "./ledger-client.ts";

// Goal: what somebody announces, sends by halves or sends for ever costs others nothing, with a key or without one.

const MIB = 1024 * 1024;

let postgres: TestPostgres;
let ledger: LocalLedger;
let good: LedgerClient;
let serial = 0;
const open: RawConnection[] = [];
beforeAll(async () => {
  postgres = await startTestPostgres();
  ledger = await startLocalLedger({ postgres, name: "half", shards: 1 });
  good = ledger.clientWith(await makeKey(["read", "write", "mint"]));
  expect((await good.send("POST", "/v1/accounts", { body: { id: "alice", asset: "CZK" } })).status).toBe(201);
}, 90_000);
afterEach(() => {
  for (const connection of open.splice(0)) connection.close();
});
afterAll(async () => {
  await ledger?.stop();
  await postgres?.stop();
});

async function makeKey(scopes: readonly string[]): Promise<string> {
  const made = await ledger.client.send("POST", "/v1/api-keys", { body: { name: `key ${++serial}`, scopes } });
  return made.json<{ key: string }>().key;
}

const deposit = () => ({
  id: `d-${++serial}`,
  debitAccount: "system:external:CZK",
  creditAccount: "alice",
  amount: 1,
});

/** Statuses of single and bulk transfers of the good client, by how often each came. */
async function goodAnswers(): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (let round = 0; round < 10; round += 1) {
    const single = await good.send("POST", "/v1/transfers", { body: deposit() });
    const bulk = await good.send("POST", "/v1/transfers:bulk", { body: { items: [deposit(), deposit()] } });
    for (const { status } of [single, bulk]) counts[status] = (counts[status] ?? 0) + 1;
  }
  return counts;
}
const UNHARMED = { 201: 10, 200: 10 };

interface Half {
  readonly path?: string;
  readonly key?: string;
  /** Absent: chunked. */
  readonly announced?: number;
  /** Bytes of the body that come. */
  readonly sent?: number;
}

async function sendHalf({ path = "/v1/transfers:bulk", key, announced, sent = 10 }: Half): Promise<RawConnection> {
  const connection = await openRaw(ledger);
  open.push(connection);
  const head = requestHead("POST", path, [
    "content-type: application/json",
    announced === undefined ? "transfer-encoding: chunked" : `content-length: ${announced}`,
    ...(key === undefined ? [] : [`authorization: Bearer ${key}`]),
  ]);
  const body = Buffer.alloc(sent, 32);
  connection.send(head);
  if (announced === undefined) connection.send(`${sent.toString(16)}\r\n`);
  connection.send(body);
  return connection;
}

describe("half-sent requests stop nobody's writes", () => {
  test("four without a key", async () => {
    for (let count = 0; count < 4; count += 1) await sendHalf({ announced: 16 * MIB });
    expect(await goodAnswers()).toEqual(UNHARMED);
  });

  test("four without a key and without a length", async () => {
    for (let count = 0; count < 4; count += 1) await sendHalf({});
    expect(await goodAnswers()).toEqual(UNHARMED);
  });

  test("four to a path that does not exist", async () => {
    for (let count = 0; count < 4; count += 1) await sendHalf({ path: "/nothing", announced: 16 * MIB });
    expect(await goodAnswers()).toEqual(UNHARMED);
  });

  test("four with a key that is not known", async () => {
    const key = `sxk_${randomBytes(32).toString("base64url")}`;
    for (let count = 0; count < 4; count += 1) await sendHalf({ key, announced: 16 * MIB });
    expect(await goodAnswers()).toEqual(UNHARMED);
  });

  test("four with a key that may only read", async () => {
    const key = await makeKey(["read"]);
    for (let count = 0; count < 4; count += 1) await sendHalf({ key, announced: 16 * MIB });
    expect(await goodAnswers()).toEqual(UNHARMED);
  });

  test("many with another key that may write", async () => {
    const key = await makeKey(["write"]);
    for (let count = 0; count < 40; count += 1) await sendHalf({ key, announced: 16 * MIB });
    expect(await goodAnswers()).toEqual(UNHARMED);
  });

  test("many megabytes whose clients go away in the middle take nothing for good", async () => {
    const key = await makeKey(["write", "mint"]);
    for (let round = 0; round < 3; round += 1) {
      const halves: RawConnection[] = [];
      for (let count = 0; count < 8; count += 1)
        halves.push(await sendHalf({ key, announced: 16 * MIB, sent: 12 * MIB }));
      for (const connection of halves) connection.close();
    }
    const client = ledger.clientWith(key);
    const body = JSON.stringify({ items: [deposit()] }).padEnd(15 * MIB);
    await eventually("a large request is taken", async () => {
      const answers = await Promise.all([1, 2].map(() => client.send("POST", "/v1/transfers:bulk", { body })));
      return answers.every(({ status }) => status === 200);
    });
  });

  test("many megabytes of another key that may write", async () => {
    const key = await makeKey(["write"]);
    const halves = [];
    for (let count = 0; count < 12; count += 1)
      halves.push(await sendHalf({ key, announced: 16 * MIB, sent: 4 * MIB }));
    const refused = await Promise.race(halves.map(({ ended }) => ended));
    expect(refused).toMatch(/^HTTP\/1\.1 429 [^]*retry-after: 1\r\n[^]*"code":"OVERLOADED"/);
    expect(refused).toMatch(
      /"detail":"this API key has \d+ bytes of bulk requests under way, all keys have \d+ of at most/,
    );
    expect(await goodAnswers()).toEqual(UNHARMED);
  });
});

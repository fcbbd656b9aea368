import { Agent, request as httpsRequest } from "node:https";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { systemClock } from "../../lib/core/clock.ts";
import { createCertificateAuthority, issueCertificate } from "../../lib/node/certificates.ts";
import { withClient } from "../../lib/node/postgres.ts";
import { type LocalLedger, startLocalLedger } from "../testing/local-ledger.ts";
import { startTestPostgres, type TestPostgres } from "../testing/postgres.ts";
import type { ClientAnswer, LedgerClient } from "./ledger-client.ts";

// Goal: a key does what its scopes say and no more, gives nobody more than it has, and every event tells which key sent it;
// what only pods may say is believed of pods only.

let postgres: TestPostgres;
let ledger: LocalLedger;
beforeAll(async () => {
  postgres = await startTestPostgres();
  ledger = await startLocalLedger({ postgres, name: "scopes", shards: 2 });
}, 90_000);
afterAll(async () => {
  await ledger?.stop();
  await postgres?.stop();
});

const EXTERNAL = "system:external:CZK";
let serial = 0;
const fresh = (prefix: string): string => `${prefix}-${++serial}`;

interface Made {
  readonly id: string;
  readonly client: LedgerClient;
}

async function makeKey(scopes: readonly string[], as: LedgerClient = ledger.client): Promise<Made> {
  const answer = await as.send("POST", "/v1/api-keys", { body: { name: "k", scopes } });
  expect([answer.status, answer.text]).toEqual([201, expect.any(String)]);
  const { id, key } = answer.json<{ id: string; key: string }>();
  return { id, client: ledger.clientWith(key) };
}

const outcome = (answer: ClientAnswer): string =>
  answer.status < 400 ? String(answer.status) : `${answer.status} ${answer.json<{ code: string }>().code}`;
const detail = (answer: ClientAnswer): string => answer.json<{ detail: string }>().detail;

const transfer = (client: LedgerClient, debitAccount: string, creditAccount: string): Promise<ClientAnswer> =>
  client.send("POST", "/v1/transfers", { body: { id: fresh("t"), debitAccount, creditAccount, amount: 5 } });

describe("scopes", () => {
  test("a key that may write makes no keys, sees none and revokes none", async () => {
    const { client } = await makeKey(["read", "write", "mint"]);
    const { id } = await makeKey(["read"]);
    const stronger = await client.send("POST", "/v1/api-keys", { body: { name: "x", scopes: ["read", "write"] } });
    expect(outcome(stronger)).toBe("403 SCOPE_MISSING");
    expect(detail(stronger)).toBe('the API key has no scope "admin"');
    expect(outcome(await client.send("GET", "/v1/api-keys"))).toBe("403 SCOPE_MISSING");
    expect(outcome(await client.send("DELETE", `/v1/api-keys/${id}`))).toBe("403 SCOPE_MISSING");
  });

  test("an admin gives only what it has itself", async () => {
    const { client } = await makeKey(["read", "admin"]);
    await makeKey(["read"], client);
    await makeKey(["read", "admin"], client);
    const answer = await client.send("POST", "/v1/api-keys", { body: { name: "x", scopes: ["read", "mint"] } });
    expect(outcome(answer)).toBe("403 SCOPE_MISSING");
    expect(detail(answer)).toBe('the API key has no scope "mint", so it cannot give it to another key');
    expect(outcome(await client.send("POST", "/v1/accounts", { body: {} }))).toBe("403 SCOPE_MISSING");
  });

  test("what leaves a system account is made out of nothing: that takes the scope mint", async () => {
    const writer = (await makeKey(["read", "write"])).client;
    const minter = (await makeKey(["write", "mint"])).client;
    const account = fresh("acc");
    expect(outcome(await writer.send("POST", "/v1/accounts", { body: { id: account, asset: "CZK" } }))).toBe("201");
    const refused = await transfer(writer, EXTERNAL, account);
    expect(outcome(refused)).toBe("403 SCOPE_MISSING");
    expect(detail(refused)).toBe(
      `debiting "${EXTERNAL}" makes credits out of nothing: the API key needs the scope "mint"`,
    );
    expect(outcome(await transfer(minter, EXTERNAL, account))).toBe("201");
    expect(outcome(await transfer(writer, account, EXTERNAL))).toBe("201");
    const bulk = await writer.send("POST", "/v1/transfers:bulk", {
      body: {
        items: [
          { id: fresh("t"), debitAccount: EXTERNAL, creditAccount: account, amount: 1 },
          { id: fresh("t"), debitAccount: account, creditAccount: EXTERNAL, amount: 1 },
        ],
      },
    });
    const { items } = bulk.json<{ items: { status: number; code?: string }[] }>();
    expect(items.map(({ status, code }) => code ?? status)).toEqual(["SCOPE_MISSING", "INSUFFICIENT_CREDIT"]);
    const known = fresh("t");
    const body = { id: known, debitAccount: EXTERNAL, creditAccount: account, amount: 1 };
    expect(outcome(await minter.send("POST", "/v1/transfers", { body }))).toBe("201");
    expect(outcome(await writer.send("POST", "/v1/transfers", { body }))).toBe("403 SCOPE_MISSING");
  });

  test("a credit limit is money out of nothing too: a key that may only write opens accounts without", async () => {
    const writer = (await makeKey(["read", "write"])).client;
    const minter = (await makeKey(["write", "mint"])).client;
    const account = { id: fresh("acc"), asset: "CZK", creditLimit: 1_000 };
    const open = (client: LedgerClient) => client.send("POST", "/v1/accounts", { body: account });
    const refused = await open(writer);
    expect(outcome(refused)).toBe("403 SCOPE_MISSING");
    expect(detail(refused)).toBe(
      'an account with a credit limit spends what nobody paid in: the API key needs the scope "mint"',
    );
    expect(outcome(await writer.send("GET", `/v1/accounts/${account.id}`))).toBe("404 ACCOUNT_NOT_FOUND");
    expect(outcome(await open(minter))).toBe("201");
    expect(outcome(await open(writer))).toBe("403 SCOPE_MISSING");
  });

  test("the administrator's key may do everything, as may keys that could write before an upgrade", async () => {
    const { keys } = (await ledger.client.send("GET", "/v1/api-keys")).json<{
      keys: { name: string; scopes: string[] }[];
    }>();
    expect(keys.find(({ name }) => name === "admin")?.scopes).toEqual(["read", "write", "mint", "admin"]);
  });
});

describe("which key acted", () => {
  interface Shown {
    readonly id: string;
    readonly apiKey: string | null;
  }
  const eventsOf = async (shard: number): Promise<Shown[]> => {
    const page = await ledger.client.send("GET", `/v1/events?shard=${shard}&limit=1000`);
    return page.json<{ events: Shown[] }>().events.map(({ id, apiKey }) => ({ id, apiKey }));
  };

  test("every event tells the key that sent it, also of many at once", async () => {
    const makers = await Promise.all(Array.from({ length: 3 }, () => makeKey(["read", "write", "mint"])));
    const account = fresh("acc");
    await ledger.client.send("POST", "/v1/accounts", { body: { id: account, asset: "CZK" } });
    const sent = new Map<string, string>();
    await Promise.all(
      Array.from({ length: 30 }, async (_, index) => {
        const { id: key, client } = makers[index % 3] as Made;
        const items = Array.from({ length: 1 + (index % 4) }, () => ({
          id: fresh("who"),
          debitAccount: EXTERNAL,
          creditAccount: account,
          amount: 1,
        }));
        for (const { id } of items) sent.set(id, key);
        expect((await client.send("POST", "/v1/transfers:bulk", { body: { items } })).status).toBe(200);
      }),
    );
    const shown = [...(await eventsOf(0)), ...(await eventsOf(1))].filter(({ id }) => sent.has(id));
    expect(new Map(shown.map(({ id, apiKey }) => [id, apiKey]))).toEqual(sent);
  });

  test("who sends a known key again does not become its sender", async () => {
    const [first, second] = [await makeKey(["write", "mint"]), await makeKey(["write", "mint"])];
    const account = fresh("acc");
    await ledger.client.send("POST", "/v1/accounts", { body: { id: account, asset: "CZK" } });
    const body = { id: fresh("again"), debitAccount: EXTERNAL, creditAccount: account, amount: 1 };
    expect(outcome(await first.client.send("POST", "/v1/transfers", { body }))).toBe("201");
    expect(outcome(await second.client.send("POST", "/v1/transfers", { body }))).toBe("200");
    const events = [...(await eventsOf(0)), ...(await eventsOf(1))];
    expect(events.filter(({ id }) => id === body.id)).toEqual([{ id: body.id, apiKey: first.id }]);
  });

  test("what was posted before keys were recorded has none, and the record only grows", async () => {
    for (const [shard, database] of ledger.databases.entries()) {
      await withClient(postgres.role(database, "owner"), async (client) => {
        await expect(client.query("DELETE FROM ledger.acting_key")).rejects.toMatchObject({ code: "SX001" });
        await client.query("ALTER TABLE ledger.acting_key DISABLE TRIGGER append_only");
        await client.query("DELETE FROM ledger.acting_key WHERE first_position = 1");
        await client.query("ALTER TABLE ledger.acting_key ENABLE ALWAYS TRIGGER append_only");
      });
      const [first] = await eventsOf(shard);
      if (first !== undefined) expect(first.apiKey).toBeNull();
    }
  });
});

describe("the header of pods", () => {
  interface Shown {
    readonly certPem: string;
    readonly keyPem: string;
  }

  /** @param certificate shown to the server */
  async function openAs(id: string, certificate?: Shown, agent?: Agent): Promise<[number, string]> {
    const body = JSON.stringify({ id, asset: "CZK", placementKey: fresh("place") });
    return new Promise((resolve, reject) => {
      const outgoing = httpsRequest(
        new URL("/v1/accounts", ledger.url),
        {
          method: "POST",
          agent: agent ?? false,
          ca: ledger.caPem,
          ...(certificate === undefined ? {} : { cert: certificate.certPem, key: certificate.keyPem }),
          headers: {
            authorization: `Bearer ${ledger.adminKey}`,
            "content-type": "application/json",
            "x-shieldx-forwarded": "pointer",
          },
        },
        (answer) => {
          const chunks: Buffer[] = [];
          answer.on("data", (chunk: Buffer) => chunks.push(chunk));
          answer.once("end", () => resolve([answer.statusCode ?? 0, Buffer.concat(chunks).toString("utf8")]));
        },
      );
      outgoing.once("error", reject);
      outgoing.end(body);
    });
  }

  test("is not believed of a client: the account is opened, not only pointed to", async () => {
    const id = fresh("acc");
    const [status, text] = await openAs(id);
    expect([status, JSON.parse(text)]).toEqual([201, expect.objectContaining({ id, asset: "CZK" })]);
    expect((await ledger.client.send("GET", `/v1/accounts/${id}`)).status).toBe(200);
  });

  test("is not believed of a certificate of another CA, or for another name", async () => {
    const now = systemClock.now();
    const foreign = await createCertificateAuthority("test", now);
    const forLedger = { commonName: "ledger", usage: "client", dnsNames: ["localhost"] } as const;
    const strangers = [
      await issueCertificate(foreign, forLedger, now),
      await issueCertificate(ledger.authority, { ...forLedger, dnsNames: ["bank-0"] }, now),
      await issueCertificate(
        ledger.authority,
        { ...forLedger, lifetime: { validityMs: -1_000, backdateMs: 60_000 } },
        now,
      ),
    ];
    for (const certificate of strangers) {
      const [status, text] = await openAs(fresh("acc"), certificate);
      expect([status, Object.keys(JSON.parse(text) as object)]).toEqual([201, expect.arrayContaining(["openedAt"])]);
    }
  });

  test("is believed of a pod, which shows the ledger's own certificate", async () => {
    const id = fresh("acc");
    const [status, text] = await openAs(id, ledger.tls);
    expect([status, text]).toEqual([201, '{"created":true}']);
    expect((await ledger.client.send("GET", `/v1/accounts/${id}`)).status).toBe(404);
  });

  test("is believed of a pod on a connection that resumes the session of another one", async () => {
    const agent = new Agent({ keepAlive: false });
    for (let count = 0; count < 3; count += 1) {
      expect(await openAs(fresh("acc"), ledger.tls, agent)).toEqual([201, '{"created":true}']);
    }
    agent.destroy();
  });
});

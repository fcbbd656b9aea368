import { connect } from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { bucketOf, DEFAULT_TENANT } from "../../lib/core/ring.ts";
import { type LocalLedger, startLocalLedger } from "../testing/local-ledger.ts";
import { startTestPostgres, type TestPostgres } from "../testing/postgres.ts";
import type { ClientAnswer } from "./ledger-client.ts";

// Goal: at the border of what can be said and stored nothing is half done, rounded or made up: everything is checked before
// anything is written, every integer is exact, and every sequence of bytes gets an answer with a code.

let postgres: TestPostgres;
let ledger: LocalLedger;
beforeAll(async () => {
  postgres = await startTestPostgres();
  ledger = await startLocalLedger({ postgres, name: "border", shards: 2 });
}, 90_000);
afterAll(async () => {
  await ledger?.stop();
  await postgres?.stop();
});

const MAX = 9007199254740991;
let serial = 0;
const fresh = (prefix: string): string => `${prefix}-${++serial}`;
const shardOf = (key: string): number => ledger.map.owners[bucketOf(DEFAULT_TENANT, key)] as number;
const post = (path: string, body: unknown): Promise<ClientAnswer> => ledger.client.send("POST", path, { body });
const get = (path: string): Promise<ClientAnswer> => ledger.client.send("GET", path);
const told = (answer: ClientAnswer): string =>
  answer.status < 400
    ? String(answer.status)
    : `${answer.status} ${answer.json<{ code: string }>().code}: ${answer.json<{ detail: string }>().detail}`;

describe("accounts", () => {
  test("a bad asset burns no id: the account can be opened afterwards, under any placement key", async () => {
    const id = fresh("acc");
    const refused = await post("/v1/accounts", { id, asset: "JPY", placementKey: fresh("place") });
    expect(told(refused)).toBe("422 ASSET_UNKNOWN: asset JPY is not kept here");
    expect(told(await post("/v1/accounts", { id, asset: "CZK", placementKey: fresh("other") }))).toBe("201");
    const plain = fresh("acc");
    expect((await post("/v1/accounts", { id: plain, asset: "JPY" })).status).toBe(422);
    expect(told(await post("/v1/accounts", { id: plain, asset: "EUR" }))).toBe("201");
  });

  test("an id whose opening stopped half-way says how to go on", async () => {
    const [id, placementKey] = [fresh("acc"), fresh("place")];
    const home = ledger.seats[shardOf(id)]?.writer();
    await home?.openAccount({ role: "pointer", extId: id, placementKey, asset: "CZK", floor: 0 }, ledger.map.version);
    expect(told(await post("/v1/accounts", { id, asset: "CZK" }))).toBe(
      `409 ACCOUNT_CONFLICT: id "${id}" is taken with placement key "${placementKey}"`,
    );
    expect(told(await post("/v1/accounts", { id, asset: "CZK", placementKey }))).toBe("201");
  });

  test("the longest id works in a path", async () => {
    const id = `long-${"x".repeat(123)}`;
    expect((await post("/v1/accounts", { id, asset: "CZK" })).status).toBe(201);
    expect(told(await get(`/v1/accounts/${id}/balance`))).toBe("200");
  });
});

describe("integers", () => {
  test("what is available beyond 2^53 is exact", async () => {
    const id = fresh("rich");
    await post("/v1/accounts", { id, asset: "CZK", creditLimit: MAX });
    await post("/v1/transfers", {
      id: fresh("t"),
      debitAccount: "system:external:CZK",
      creditAccount: id,
      amount: MAX - 3,
    });
    const { text } = await get(`/v1/accounts/${id}/balance`);
    expect(text).toContain('"posted":9007199254740988,"available":18014398509481979,');
    await post("/v1/transfers", { id: fresh("t"), debitAccount: id, creditAccount: "system:external:CZK", amount: 1 });
    expect((await get(`/v1/accounts/${id}/balance`)).text).toContain('"available":18014398509481978,');
  });
});

describe("values", () => {
  test("a body of very many small ones is refused, whatever its bytes", async () => {
    const many = `{"items":[${"{},".repeat(5_000_000)}{}]}`;
    const answers = await Promise.all(Array.from({ length: 4 }, () => post("/v1/transfers:bulk", many)));
    const codes = answers.map((answer) => answer.json<{ code: string }>().code);
    // One key may have two such bodies under way.
    expect([...new Set(codes)].filter((code) => code !== "OVERLOADED")).toEqual(["BODY_TOO_LARGE"]);
    expect(answers.find(({ status }) => status === 413)?.json()).toMatchObject({
      detail: "the body has 10000003 values; at most 300000 are taken at once",
    });
  });
});

describe("bytes in a path", () => {
  const paths = [
    "/v1/accounts/%00",
    "/v1/accounts/%00/balance",
    "/v1/accounts/a%00b",
    "/v1/accounts/%ff",
    "/v1/accounts/%c3%28/balance",
    "/v1/accounts/%ed%a0%80",
    "/v1/accounts/%",
    "/v1/accounts/%f0%9f%8d%b5",
    "/v1/accounts/a%2Fb",
    `/v1/accounts/${"x".repeat(129)}`,
    `/v1/accounts/${"%00".repeat(400)}`,
    "/v1/accounts/",
    "/v1/accounts/..%2f..%2fetc",
    "/v1//accounts",
    "/v1/api-keys/%00",
    "/v1/events?shard=%00",
    "/v1/events?shard=0&%00=1",
    "/v1/events?shard=0&shard=1",
    "/v1/events?shard=%ff",
    "/v1/accounts/alice/balance?at=%00",
    "/%00",
  ];
  test.each(paths)("%s", async (path) => {
    for (const method of path.includes("api-keys") ? ["DELETE"] : ["GET"]) {
      const answer = await ledger.client.send(method, path);
      expect([answer.status >= 400 && answer.status < 500, told(answer)]).toEqual([true, expect.any(String)]);
      expect(answer.headers["content-type"]).toContain("application/problem+json");
    }
  });

  test.each(["QUERY", "TRACE", "PROPFIND", "OPTIONS", "PUT"])("method %s is answered, not run into", async (method) => {
    for (const path of ["/v1/shards", "/v1/accounts/alice", "/nothing"]) {
      const answer = await ledger.client.send(method, path);
      expect([answer.status >= 400 && answer.status < 500, told(answer)]).toEqual([true, expect.any(String)]);
    }
  });

  test("bytes that are no HTTP get a problem document too", async () => {
    for (const line of ["GET /v1/accounts/\u0000 HTTP/1.1", "GET /v1/\u00ff HTTP/9.9", "\u0001\u0002"]) {
      const text = await raw(`${line}\r\nhost: x\r\n\r\n`);
      expect(text).toMatch(/^HTTP\/1\.1 4\d\d /);
      expect(text).toContain("application/problem+json");
      expect(text).toContain('"code":"REQUEST_INVALID"');
    }
    const long = await raw(`GET / HTTP/1.1\r\nhost: x\r\nx: ${"y".repeat(40_000)}\r\n\r\n`);
    expect(long).toMatch(/^HTTP\/1\.1 431 /);
    expect(long).toContain('"code":"HEADERS_TOO_LARGE"');
  });

  function raw(bytes: string): Promise<string> {
    const { hostname, port } = new URL(ledger.url);
    return new Promise((resolve, reject) => {
      const socket = connect({ host: hostname, port: Number(port), ca: ledger.caPem }, () =>
        socket.end(Buffer.from(bytes, "latin1")),
      );
      let text = "";
      socket.on("data", (chunk: Buffer) => {
        text += chunk.toString("latin1");
      });
      socket.once("error", reject);
      socket.once("close", () => resolve(text));
    });
  }
});

describe("what is not there yet", () => {
  test("a balance as of a time to come is not made up", async () => {
    const id = fresh("acc");
    await post("/v1/accounts", { id, asset: "CZK" });
    expect(told(await get(`/v1/accounts/${id}/balance?at=2199-01-01T00:00:00Z`))).toMatch(
      /^400 REQUEST_INVALID: at 2199-01-01T00:00:00\.000000Z lies in the future, it is \d{4}-\S+Z now; leave it out for the present balance$/,
    );
    const posted = await post("/v1/transfers", {
      id: fresh("t"),
      debitAccount: "system:external:CZK",
      creditAccount: id,
      amount: 1,
    });
    const { recordedAt } = posted.json<{ recordedAt: string }>();
    expect((await get(`/v1/accounts/${id}/balance?at=${recordedAt}`)).json()).toMatchObject({ posted: 1 });
  });

  test("events after a position that does not exist are not an empty page", async () => {
    const shard = 0;
    const { shards } = (await get("/v1/shards")).json<{ shards: { position: number }[] }>();
    const head = shards[shard]?.position ?? 0;
    expect((await get(`/v1/events?shard=0&after=${head}`)).json()).toEqual({ events: [], next: head });
    expect(told(await get(`/v1/events?shard=0&after=${head + 1}`))).toBe(
      `404 POSITION_NOT_FOUND: after=${head + 1}: shard 0 ends at position ${head}`,
    );
  });

  test("a plus that became a blank is named (trial 16)", async () => {
    expect(told(await get("/v1/accounts/alice/balance?at=2026-01-01T10:00:00+02:00"))).toMatch(
      /^400 REQUEST_INVALID: at has a blank where "\+".*%2B/,
    );
  });
});

import { connect } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "@jest/globals";
import { systemClock } from "../../lib/core/clock.ts";
import { eventually } from "../../testkit/wait.ts";
import { type LocalLedger, startLocalLedger } from "../testing/local-ledger.ts";
import { startTestPostgres, type TestPostgres } from "../testing/postgres.ts";
import { openRaw, type RawConnection, requestHead } from "../testing/raw-connection.ts";

// Goal: whoever does not go on is cut off in time, with a sentence where one can be read, and nobody else notices.

const DEADLINES = { handshakeMs: 1_000, requestMs: 1_500, answerMs: 1_500, idleMs: 1_000 };
/** Node's check and ours, each once a second. */
const LATE_MS = 4_000;

let postgres: TestPostgres;
let ledger: LocalLedger;
const open: RawConnection[] = [];
beforeAll(async () => {
  postgres = await startTestPostgres();
  ledger = await startLocalLedger({ postgres, name: "deadlines", shards: 1, deadlines: DEADLINES });
  expect((await ledger.client.send("POST", "/v1/accounts", { body: { id: "alice", asset: "CZK" } })).status).toBe(201);
}, 90_000);
afterEach(() => {
  for (const connection of open.splice(0)) connection.close();
});
afterAll(async () => {
  await ledger?.stop();
  await postgres?.stop();
});

async function raw(): Promise<RawConnection> {
  const connection = await openRaw(ledger);
  open.push(connection);
  return connection;
}
const withKey = (): string[] => [`authorization: Bearer ${ledger.adminKey}`, "content-type: application/json"];

/** How often connections were cut for a reason. */
async function cuts(reason: string): Promise<number> {
  const page = await (await fetch(`${ledger.probeUrl}/metrics`)).text();
  return Number(new RegExp(`^ledger_connections_cut_total\\{reason="${reason}"\\} (\\d+)$`, "m").exec(page)?.[1] ?? 0);
}

/** All that was answered, and whether the end came in time. */
async function endOf(connection: Pick<RawConnection, "ended">, withinMs: number): Promise<string> {
  const startedAt = systemClock.monotonic();
  const text = await connection.ended;
  const lateMs = systemClock.monotonic() - startedAt - withinMs;
  return lateMs > LATE_MS ? `${lateMs} ms late: ${text}` : text;
}

describe("requests that do not come", () => {
  test("no TLS handshake", async () => {
    const before = await cuts("tls");
    const { hostname, port } = new URL(ledger.url);
    const socket = connect(Number(port), hostname);
    socket.on("error", () => undefined);
    const ended = new Promise<string>((resolve) => socket.once("close", () => resolve("")));
    expect(await endOf({ ended }, DEADLINES.handshakeMs)).toBe("");
    expect(await cuts("tls")).toBe(before + 1);
  });

  test("nothing after the handshake, and half of the headers", async () => {
    const before = await cuts("request");
    const [silent, half] = [await raw(), await raw()];
    half.send("GET /v1/shards HTTP/1.1\r\nhost: ");
    for (const connection of [silent, half]) {
      expect(await endOf(connection, DEADLINES.requestMs)).toMatch(/^HTTP\/1\.1 408 [^]*"code":"REQUEST_TIMEOUT"/);
    }
    expect(await cuts("request")).toBe(before + 2);
  });

  test("headers without end, line by line", async () => {
    const connection = await raw();
    connection.send("GET /v1/shards HTTP/1.1\r\n");
    const dripping = setInterval(() => connection.send("x: y\r\n"), 100);
    const text = await endOf(connection, DEADLINES.requestMs);
    clearInterval(dripping);
    expect(text).toMatch(/^HTTP\/1\.1 408 [^]*"detail":"the request was not complete after 1\.5 s"/);
  });

  test("half of a body, and one in chunks without end", async () => {
    const [half, endless] = [await raw(), await raw()];
    half.send(requestHead("POST", "/v1/transfers", [...withKey(), "content-length: 100"]));
    half.send("{");
    endless.send(requestHead("POST", "/v1/transfers:bulk", [...withKey(), "transfer-encoding: chunked"]));
    const dripping = setInterval(() => endless.send("1\r\n \r\n"), 50);
    const texts = [await endOf(half, DEADLINES.requestMs), await endOf(endless, DEADLINES.requestMs)];
    clearInterval(dripping);
    for (const text of texts) expect(text).toMatch(/^HTTP\/1\.1 408 [^]*"code":"REQUEST_TIMEOUT"/);
  });

  test("the answer of a whole request is not mixed up with the complaint about half a one behind it", async () => {
    const connection = await raw();
    connection.send(requestHead("GET", "/v1/shards", withKey()));
    connection.send(requestHead("POST", "/v1/transfers", [...withKey(), "content-length: 100"]));
    const text = await endOf(connection, DEADLINES.requestMs);
    expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 200", "HTTP/1.1 408"]);
  });
});

describe("more than is wanted", () => {
  test("a body in chunks that is too large is refused when it is, and one without a right before it comes", async () => {
    const [large, unknown] = [await raw(), await raw()];
    large.send(requestHead("POST", "/v1/transfers", [...withKey(), "transfer-encoding: chunked"]));
    for (let sent = 0; sent <= 256; sent += 16) large.send(`4000\r\n${" ".repeat(0x4000)}\r\n`);
    const startedAt = systemClock.monotonic();
    unknown.send(requestHead("POST", "/nothing", ["transfer-encoding: chunked"]));
    await eventually("answered", () => /"code":"ROUTE_NOT_FOUND"/.test(unknown.text()));
    expect(systemClock.monotonic() - startedAt).toBeLessThan(DEADLINES.requestMs);
    const flooding = setInterval(() => unknown.send(`4000\r\n${" ".repeat(0x4000)}\r\n`), 1);
    const text = await endOf(unknown, 1_000);
    clearInterval(flooding);
    expect(text).toMatch(/^HTTP\/1\.1 404 [^]*connection: close\r\n/);
    expect(await endOf(large, 1_000)).toMatch(/^HTTP\/1\.1 413 [^]*"code":"BODY_TOO_LARGE"/);
  });

  test("a small body that comes after its answer does not end the connection, and one that never comes does", async () => {
    const connection = await raw();
    for (let round = 1; round <= 3; round += 1) {
      connection.send(requestHead("POST", "/nothing", ["content-length: 10"]));
      await eventually("answered", () => connection.text().match(/"code":"ROUTE_NOT_FOUND"/g)?.length === round);
      if (round < 3) connection.send("0123456789");
    }
    expect((await endOf(connection, 1_000)).match(/HTTP\/1\.1 \d+/g)).toEqual(Array(3).fill("HTTP/1.1 404"));
  });

  test("a client that has sent all of a large body reads why it was refused", async () => {
    const body = Buffer.alloc(8 * 1024 * 1024, 32);
    for (const [client, path, told] of [
      [ledger.clientWith(undefined), "/v1/transfers:bulk", [401, "API_KEY_MISSING"]],
      [ledger.clientWith(undefined), "/nothing", [404, "ROUTE_NOT_FOUND"]],
      [ledger.client, "/v1/transfers", [413, "BODY_TOO_LARGE"]],
    ] as const) {
      const answer = await client.send("POST", path, { body });
      expect([answer.status, answer.json<{ code: string }>().code]).toEqual(told);
    }
  });

  test("a client that asks first is told to send when its body is wanted, and not before", async () => {
    const [wanted, unwanted] = [await raw(), await raw()];
    const expectation = ["content-type: application/json", "content-length: 2", "expect: 100-continue"];
    wanted.send(requestHead("POST", "/v1/transfers", [`authorization: Bearer ${ledger.adminKey}`, ...expectation]));
    unwanted.send(requestHead("POST", "/v1/transfers", expectation));
    await eventually("told to go on", () => wanted.text().startsWith("HTTP/1.1 100 Continue\r\n"));
    wanted.send("{}");
    await eventually("answered", () => /HTTP\/1\.1 400 /.test(wanted.text()));
    await eventually("refused", () => unwanted.text().startsWith("HTTP/1.1 401 "));
  });

  test("requests far ahead of their answers", async () => {
    const before = await cuts("pipelined");
    const connection = await raw();
    connection.send(requestHead("GET", "/v1/shards", withKey()).repeat(500));
    await endOf(connection, 0);
    expect(await cuts("pipelined")).toBe(before + 1);
    const polite = await raw();
    polite.send(requestHead("GET", "/v1/shards", withKey()).repeat(30));
    await eventually("thirty answers", () => polite.text().match(/HTTP\/1\.1 200 /g)?.length === 30);
  });
});

test("answers that nobody reads end their connection, and give back what they held", async () => {
  const metadata = Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`name-${at}`, "x".repeat(500)]));
  const items = Array.from({ length: 900 }, (_, at) => ({
    id: `fat-${at}`,
    debitAccount: "system:external:CZK",
    creditAccount: "alice",
    amount: 1,
    metadata,
  }));
  expect((await ledger.client.send("POST", "/v1/transfers:bulk", { body: { items } })).status).toBe(200);
  const before = await cuts("answer");
  const listing = requestHead("GET", "/v1/events?shard=0&limit=1000", withKey());
  const reader = await raw();
  reader.stopReading();
  // More than the buffers of both sides hold.
  reader.send(listing.repeat(8));
  await eventually("it is cut", async () => (await cuts("answer")) === before + 1, 20_000);
  expect((await ledger.client.send("GET", "/v1/events?shard=0&limit=1000")).status).toBe(200);
});

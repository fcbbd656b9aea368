import { type Socket, connect as tcpConnect } from "node:net";
import { connect as tlsConnect } from "node:tls";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { systemClock } from "../../lib/core/clock.ts";
import { type LocalLedger, startLocalLedger } from "../testing/local-ledger.ts";
import { startTestPostgres, type TestPostgres } from "../testing/postgres.ts";
import { type SilentWire, startSilentWire } from "../testing/silent-wire.ts";

// Goal: a pod that is told to end does so before the kubelet kills it (terminationGracePeriodSeconds, 45 s), whatever its
// databases and clients do, and every sender that was let in is answered.

/** What was accepted (15 s), readers and half requests (3 s), the rest. */
const STOP_MS = 30_000;

let postgres: TestPostgres;
let wire: SilentWire;
let ledger: LocalLedger;
const sockets: Socket[] = [];

beforeAll(async () => {
  postgres = await startTestPostgres();
  wire = await startSilentWire(postgres.port);
  ledger = await startLocalLedger({ postgres, name: "stop", shards: 2, wires: [wire.port, wire.port] });
}, 120_000);
afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  await wire.close();
  await postgres.stop();
});

async function open(): Promise<Socket> {
  const { hostname, port } = new URL(ledger.url);
  const socket = tlsConnect({ host: hostname, port: Number(port), ca: ledger.caPem, servername: "localhost" });
  sockets.push(socket.on("error", () => undefined));
  await new Promise<void>((resolve) => socket.once("secureConnect", resolve));
  return socket;
}

/** Reads that were begun. */
async function lookUps(): Promise<number> {
  const counts = (await ledger.metrics.text()).matchAll(/^shard_queries_total\{.*\} (\d+)$/gm);
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
}

test("a pod ends in time with silent databases, half requests, and clients that do not read", async () => {
  const authorization = `authorization: Bearer ${ledger.adminKey}\r\nhost: localhost\r\n`;
  const half = await open();
  half.write(
    `POST /v1/transfers HTTP/1.1\r\n${authorization}content-type: application/json\r\ncontent-length: 99\r\n\r\n{`,
  );
  const deaf = await open();
  deaf.pause();
  for (let count = 0; count < 2_000; count += 1) deaf.write("GET /v1/openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n");
  const { hostname, port } = new URL(ledger.url);
  sockets.push(tcpConnect(Number(port), hostname).on("error", () => undefined));

  const credit = (id: string, account: string) => ({
    createAccounts: true,
    items: [{ id, debitAccount: "system:external:CZK", creditAccount: account, amount: 1 }],
  });
  for (const id of ["opens", "finds"]) {
    const { text } = await ledger.client.send("POST", "/v1/transfers:bulk", { body: credit(id, "known") });
    expect(text).toContain('"status":201');
  }
  const before = await lookUps();
  wire.swallow();
  const waiting = Array.from({ length: 20 }, (_, index) =>
    // Half of them get as far as the writer, the others wait for the look-up of an account.
    ledger.client
      .send("POST", "/v1/transfers:bulk", { body: credit(`w${index}`, index % 2 ? "known" : `a${index}`) })
      .then(
        ({ text }) => text,
        (error: unknown) => String(error),
      ),
  );
  const endsAt = systemClock.monotonic() + 10_000;
  while ((await lookUps()) - before < 10 && systemClock.monotonic() < endsAt) await systemClock.sleep(5);
  const startedAt = systemClock.monotonic();
  const failures = await ledger.end();
  expect(systemClock.monotonic() - startedAt).toBeLessThan(STOP_MS);
  expect(failures).toBe(0);
  const told = await Promise.all(waiting);
  for (const text of told) expect(text).toMatch(/SHUTTING_DOWN|SHARD_UNAVAILABLE|WRITER_UNAVAILABLE|OUTCOME_UNKNOWN/);
});

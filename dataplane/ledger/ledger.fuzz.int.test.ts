import { randomInt } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { fuzzApi, installFuzzer } from "../testing/fuzz/fuzz-api.ts";
import { type LocalLedger, startLocalLedger } from "../testing/local-ledger.ts";
import { startTestPostgres, type TestPostgres } from "../testing/postgres.ts";

// Goal: the document says all that the server answers, and the server takes what the document says and nothing else.

const REQUESTS_MIN = 2_000;
const EXAMPLES = 125;
/** Twenty seconds of two cores; a busy machine takes several times as long. */
const TIMEOUT_MS = 240_000;

let postgres: TestPostgres;
let ledger: LocalLedger;
let requests = 0;
beforeAll(async () => {
  await installFuzzer();
  postgres = await startTestPostgres();
  ledger = await startLocalLedger({ postgres, name: "fuzz", shards: 2 });
}, 180_000);
afterAll(async () => {
  await ledger?.stop();
  await postgres?.stop();
});

test(
  "two thousand generated requests: no 5xx, and no answer that the document does not have",
  async () => {
    const seed = randomInt(2 ** 31);
    const { held, report } = await fuzzApi({ ledger, examples: EXAMPLES, seed, timeoutMs: TIMEOUT_MS });
    const metrics = await (await fetch(`${ledger.probeUrl}/metrics`)).text();
    for (const [, count] of metrics.matchAll(/^ledger_http_requests_total\{.*\} (\d+)$/gm)) requests += Number(count);
    expect(held ? "held" : `SEED=${seed}\n${report}`).toBe("held");
    expect(requests).toBeGreaterThanOrEqual(REQUESTS_MIN);
    const after = await ledger.client.send("POST", "/v1/accounts", { body: { id: `after-${seed}`, asset: "CZK" } });
    expect(after.status).toBe(201);
  },
  TIMEOUT_MS + 30_000,
);

import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { ATTACK_KEYS, type AttackCase, attack } from "../testing/attack.ts";
import { type LocalLedger, startLocalLedger } from "../testing/local-ledger.ts";
import { startTestPostgres, type TestPostgres } from "../testing/postgres.ts";
import { runSteadyLoad } from "../testing/steady-load.ts";

// Goal: hundreds of slow, half-sent, oversized and endless requests refuse and lose none of a good client's, and each ends
// with its answer by its deadline. `make chaos CHAOS=border` is the same with the real deadlines, and measures.

const DEADLINES = { handshakeMs: 2_000, requestMs: 2_000, answerMs: 2_000, idleMs: 10_000 };
const SECONDS = 9;
/** Checks of deadlines once a second, and a machine that is busy. */
const LATE_MS = 4_000;

let postgres: TestPostgres;
let ledger: LocalLedger;
beforeAll(async () => {
  postgres = await startTestPostgres();
  ledger = await startLocalLedger({ postgres, name: "attack", shards: 1, deadlines: DEADLINES });
}, 90_000);
afterAll(async () => {
  await ledger?.stop();
  await postgres?.stop();
});

async function makeKey(name: string): Promise<string> {
  const made = await ledger.client.send("POST", "/v1/api-keys", { body: { name, scopes: ["read", "write", "mint"] } });
  return made.json<{ key: string }>().key;
}

/** Status that ends every connection of a sort and key. */
function wanted({ sort, key }: AttackCase): string {
  if (sort === "slow headers") return "408";
  if (key !== "other key") return "401";
  return sort === "oversized" ? "413" : "408";
}

test("a good client gets all its answers beside four hundred bad ones, which get theirs in time", async () => {
  const good = ledger.clientWith(await makeKey("good"));
  await good.send("POST", "/v1/accounts", { body: { id: "alice", asset: "CZK" } });
  let attacking = true;
  const attacked = attack({
    url: ledger.url,
    caPem: ledger.caPem,
    otherKey: await makeKey("other"),
    clients: 400,
    perSecond: 200,
    everyMs: 2_500,
    dripMs: 300,
    seconds: SECONDS,
  }).finally(() => {
    attacking = false;
  });
  const load = await runSteadyLoad({
    client: good,
    name: "good",
    account: "alice",
    perSecond: 40,
    goesOn: () => attacking,
  });
  const { cases, openMost } = await attacked;

  expect(load.answers).toEqual({ 201: load.latenciesMs.length });
  expect(load.latenciesMs.length).toBeGreaterThan(SECONDS * 20);
  expect(openMost).toBeGreaterThan(150);
  expect(cases).toHaveLength(4 * ATTACK_KEYS.length);
  for (const found of cases) {
    const { sort, key, ends, longestMs } = found;
    expect([sort, key, Object.keys(ends)]).toEqual([sort, key, [wanted(found)]]);
    expect([sort, key, longestMs < DEADLINES.requestMs + LATE_MS]).toEqual([sort, key, true]);
  }
}, 60_000);

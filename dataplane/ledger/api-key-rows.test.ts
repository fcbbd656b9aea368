import { beforeEach, describe, expect, test } from "@jest/globals";
import { OperatorError } from "../../lib/core/errors.ts";
import { createManualClock, type ManualClock } from "../../lib/core/manual-clock.ts";
import { silentLogger } from "../../lib/node/logger.ts";
import { type ApiKeyRows, createApiKeyRows } from "./api-key-rows.ts";
import type { KeyRow } from "./ledger.reads.ts";

// Goal: a shard that says nothing delays no key and hides no revocation.

const HASH = Buffer.alloc(32, 7);
const NAME = HASH.toString("latin1");
const LIMIT_MS = 15_000;

const row = (overrides: Partial<KeyRow> = {}): KeyRow => ({
  hash: HASH,
  id: "1",
  name: "k",
  scopes: ["read"],
  createdAtMicros: 0,
  revoked: false,
  ...overrides,
});

let clock: ManualClock;
let shards: (KeyRow[] | "silent" | "down")[];
let asked: number[];
let rows: ApiKeyRows;

beforeEach(() => {
  clock = createManualClock();
  shards = [[row()], [row()]];
  asked = [0, 0];
  rows = createApiKeyRows({
    reads: [0, 1].map((shard) => ({
      apiKeys: async () => {
        (asked[shard] as number) += 1;
        const found = shards[shard];
        if (found === "silent") await clock.sleep(LIMIT_MS);
        if (typeof found === "string") throw new OperatorError("SHARD_UNAVAILABLE", found);
        return found as KeyRow[];
      },
    })),
    clock,
    log: silentLogger,
  });
});

/** Milliseconds of the clock that a refresh takes. */
async function refreshed(): Promise<number> {
  const startedAt = clock.monotonic();
  let endedAt: number | undefined;
  const work = rows.refresh().then(() => {
    endedAt = clock.monotonic();
  });
  while (endedAt === undefined) await clock.advance(100);
  await work;
  return endedAt - startedAt;
}

describe("a shard that says nothing", () => {
  test("is waited for half a second once, and not at all while it owes its answer", async () => {
    shards[1] = "silent";
    expect(await refreshed()).toBe(500);
    expect(await refreshed()).toBe(0);
    expect(await refreshed()).toBe(0);
    expect(asked).toEqual([3, 1]);
    expect(rows.find(NAME)?.revoked).toBe(false);
    expect(rows.failure()).toBeUndefined();
  });

  test("leaves what it said last: a revocation that it alone knows of counts on", async () => {
    shards[1] = [row({ revoked: true, revokedAtMicros: 5 })];
    await refreshed();
    shards[1] = "silent";
    for (let round = 0; round < 20; round += 1) {
      await refreshed();
      await clock.advance(5_000);
      expect(rows.find(NAME)).toMatchObject({ revoked: true, revokedAtMicros: 5 });
    }
  });

  test("does not hide a revocation that another one knows of", async () => {
    await refreshed();
    shards[1] = "silent";
    shards[0] = [row({ revoked: true })];
    await refreshed();
    expect(rows.find(NAME)?.revoked).toBe(true);
  });

  test("says a revocation late, and it counts from then on", async () => {
    shards[1] = "silent";
    await refreshed();
    await clock.advance(LIMIT_MS);
    shards[1] = [row({ revoked: true })];
    await refreshed();
    expect(rows.find(NAME)?.revoked).toBe(true);
  });
});

test("all that say nothing are waited for, and then what is known goes on", async () => {
  await refreshed();
  shards = ["silent", "silent"];
  expect(await refreshed()).toBe(LIMIT_MS);
  expect(rows.failure()?.code).toBe("SHARD_UNAVAILABLE");
  expect(rows.find(NAME)?.revoked).toBe(false);
  shards = [[row()], "down"];
  await refreshed();
  expect(rows.failure()).toBeUndefined();
});

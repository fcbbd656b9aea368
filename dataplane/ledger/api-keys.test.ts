import { describe, expect, test } from "@jest/globals";
import type { Pool } from "pg";
import { sha256 } from "../../lib/core/canonical.ts";
import { OperatorError } from "../../lib/core/errors.ts";
import { createManualClock } from "../../lib/core/manual-clock.ts";
import { silentLogger } from "../../lib/node/logger.ts";
import { createApiKeys, KEYS_REFRESH_MS } from "./api-keys.ts";
import type { KeyRow, LedgerReads } from "./ledger.reads.ts";

// Goal: keys hold while a shard is down, a revocation is never forgotten, and guessing costs the database little.

const RAW = `sxk_${"k".repeat(43)}`;
const row = (overrides: Partial<KeyRow> = {}): KeyRow => ({
  hash: sha256(RAW),
  id: "1",
  name: "k",
  scopes: ["read"],
  createdAtMicros: 0,
  revoked: false,
  ...overrides,
});

function stage(shards: number) {
  const rows: (KeyRow[] | undefined)[] = Array.from({ length: shards }, () => [row()]);
  let reads = 0;
  const clock = createManualClock();
  const keys = createApiKeys({
    reads: rows.map((_, shard) => ({
      apiKeys: async () => {
        reads += 1;
        const found = rows[shard];
        if (found === undefined) throw new OperatorError("SHARD_UNAVAILABLE", "down");
        return found;
      },
    })) as unknown as LedgerReads[],
    writers: [] as Pool[],
    clock,
    log: silentLogger,
  });
  return { rows, clock, keys, reads: () => reads };
}

const code = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "ok",
    (error: unknown) => (error as OperatorError).code,
  );

describe("api keys", () => {
  test("codes for what is wrong", async () => {
    const { keys } = stage(1);
    expect(await code(keys.check(undefined, "read"))).toBe("API_KEY_MISSING");
    expect(await code(keys.check("Basic x", "read"))).toBe("API_KEY_INVALID");
    expect(await code(keys.check(`Bearer sxk_${"x".repeat(43)}`, "read"))).toBe("API_KEY_INVALID");
    expect(await code(keys.check(`Bearer ${RAW}`, "write"))).toBe("SCOPE_MISSING");
    expect(await code(keys.check(`bearer  ${RAW}`, "read"))).toBe("ok");
  });

  test("a revocation that one shard knows of counts, also while that shard is down", async () => {
    const { keys, rows, clock } = stage(3);
    expect(await code(keys.check(`Bearer ${RAW}`, "read"))).toBe("ok");
    rows[1] = [row({ revoked: true })];
    await clock.advance(KEYS_REFRESH_MS + 1);
    expect(await code(keys.check(`Bearer ${RAW}`, "read"))).toBe("API_KEY_INVALID");
    rows[1] = undefined;
    await clock.advance(KEYS_REFRESH_MS + 1);
    expect(await code(keys.check(`Bearer ${RAW}`, "read"))).toBe("API_KEY_INVALID");
  });

  test("known keys go on working while every shard is down", async () => {
    const { keys, rows, clock } = stage(2);
    expect(await code(keys.check(`Bearer ${RAW}`, "read"))).toBe("ok");
    rows[0] = rows[1] = undefined;
    await clock.advance(KEYS_REFRESH_MS + 1);
    expect(await code(keys.check(`Bearer ${RAW}`, "read"))).toBe("ok");
    // One that may have been made meanwhile is not called wrong.
    await clock.advance(1);
    const unknown = code(keys.check(`Bearer sxk_${"n".repeat(43)}`, "read"));
    await clock.advance(250);
    expect(await unknown).toBe("SHARD_UNAVAILABLE");
  });

  test("without any shard nothing is known: that is not a wrong key", async () => {
    const { keys, rows } = stage(1);
    rows[0] = undefined;
    expect(await code(keys.check(`Bearer ${RAW}`, "read"))).toBe("SHARD_UNAVAILABLE");
  });

  test("guessing costs a read a quarter second at most", async () => {
    const { keys, reads, clock } = stage(1);
    const guess = (letter: string) =>
      Promise.all(
        Array.from({ length: 100 }, (_, index) =>
          code(keys.check(`Bearer sxk_${String(index).padStart(43, letter)}`, "read")),
        ),
      );
    const wrong = Array.from({ length: 100 }, () => "API_KEY_INVALID");
    expect(await guess("g")).toEqual(wrong);
    expect(reads()).toBe(1);
    await clock.advance(1);
    const second = guess("h");
    await clock.advance(248);
    expect(reads()).toBe(1);
    await clock.advance(1);
    expect(await second).toEqual(wrong);
    expect(reads()).toBe(2);
  });

  test("so many guesses wait for a read, and no more; known keys do not wait", async () => {
    const { keys, clock } = stage(1);
    expect(await code(keys.check(`Bearer ${RAW}`, "read"))).toBe("ok");
    await clock.advance(1);
    const guess = (index: number) => code(keys.check(`Bearer sxk_${String(index).padStart(43, "w")}`, "read"));
    const waiting = Array.from({ length: 1_024 }, (_, index) => guess(index));
    expect(await guess(1_024)).toBe("OVERLOADED");
    expect(await code(keys.check(`Bearer ${RAW}`, "read"))).toBe("ok");
    await clock.advance(250);
    expect(new Set(await Promise.all(waiting))).toEqual(new Set(["API_KEY_INVALID"]));
    const later = guess(1_025);
    await clock.advance(251);
    expect(await later).toBe("API_KEY_INVALID");
  });

  test("a key that was just made is found, however recently the keys were read", async () => {
    const { keys, rows, clock } = stage(1);
    expect(await code(keys.check(`Bearer ${RAW}`, "read"))).toBe("ok");
    const fresh = `sxk_${"f".repeat(43)}`;
    rows[0] = [row(), row({ hash: sha256(fresh), id: "2" })];
    await clock.advance(1);
    const found = code(keys.check(`Bearer ${fresh}`, "read"));
    await clock.advance(250);
    expect(await found).toBe("ok");
  });
});

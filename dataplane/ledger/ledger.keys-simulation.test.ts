import { expect, test } from "@jest/globals";
import { keyLies, simulateKeys } from "../testing/keys-simulation.ts";

// Goal: whatever dies between a claim and the transfer under it, a key has one effect in the whole ledger, and everybody was
// told the truth about it. KEYS_SEEDS=n runs more; KEYS_SEED=n runs one.

const ONE = process.env["KEYS_SEED"];
const SEEDS = ONE === undefined ? Number(process.env["KEYS_SEEDS"] ?? 30) : 1;

test(
  `keys that several shards want: ${SEEDS} seeds`,
  async () => {
    let commands = 0;
    const codes = new Map<string, number>();
    for (let index = 0; index < SEEDS; index += 1) {
      const seed = ONE === undefined ? index + 1 : Number(ONE);
      const result = await simulateKeys(seed);
      commands += result.told.length;
      for (const { outcome } of result.told) codes.set(String(outcome), (codes.get(String(outcome)) ?? 0) + 1);
      const lies = keyLies(result);
      if (lies.length > 0) throw new Error(`KEYS_SEED=${seed}: ${lies.slice(0, 5).join("; ")}`);
    }
    // What never happens is not tested.
    for (const outcome of ["posted", "IDEMPOTENCY_KEY_REUSED", "INSUFFICIENT_CREDIT", "WRITER_UNAVAILABLE", "broken"]) {
      expect([outcome, codes.get(outcome) ?? 0]).toEqual([outcome, expect.any(Number)]);
      expect(codes.get(outcome) ?? 0).toBeGreaterThan(0);
    }
    expect(commands).toBeGreaterThan(SEEDS * 200);
  },
  Math.max(120_000, SEEDS * 500),
);

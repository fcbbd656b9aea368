import { expect, test } from "@jest/globals";
import { lies, simulate } from "../testing/writer-simulation.ts";

// Goal: what a sender was told stays true, whatever happens to writers and their database. LEDGER_SEEDS=n runs more seeds,
// LEDGER_SEED=n runs one again.

const SEEDS = Number(process.env["LEDGER_SEEDS"] ?? 8);
const ONLY = process.env["LEDGER_SEED"];

test("told and true agree, seed by seed", async () => {
  const first = ONLY === undefined ? 1 : Number(ONLY);
  const outcomes = new Map<string, number>();
  for (let seed = first; seed < first + (ONLY === undefined ? SEEDS : 1); seed += 1) {
    const result = await simulate(seed);
    expect({ seed, lies: lies(result).slice(0, 5) }).toEqual({ seed, lies: [] });
    for (const { outcome } of result.told) outcomes.set(`${outcome}`, (outcomes.get(`${outcome}`) ?? 0) + 1);
  }
  // Otherwise the simulation says little.
  if (ONLY !== undefined) return;
  for (const outcome of ["posted", "INSUFFICIENT_CREDIT", "IDEMPOTENCY_KEY_REUSED", "WRITER_UNAVAILABLE"]) {
    expect([outcome, (outcomes.get(outcome) ?? 0) > SEEDS]).toEqual([outcome, true]);
  }
  for (const outcome of ["OUTCOME_UNKNOWN", "SHARD_MAP_STALE", "SHARD_DISK_FULL"]) {
    expect([outcome, (outcomes.get(outcome) ?? 0) > 0]).toEqual([outcome, true]);
  }
}, 120_000);

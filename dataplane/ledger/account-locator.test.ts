import { expect, test } from "@jest/globals";
import { OperatorError } from "../../lib/core/errors.ts";
import { proposeOwners } from "../../lib/core/ring.ts";
import type { ShardMap } from "../../lib/core/shard-map.ts";
import { createAccountLocator, shardOf } from "./account-locator.ts";
import type { LedgerReads } from "./ledger.reads.ts";

const map: ShardMap = { version: 1, epoch: 1, owners: proposeOwners(2) };

/** An id whose own shard is the given one. */
function idOn(shard: number, skip = 0): string {
  const found = Array.from({ length: 200 }, (_, index) => `id-${index}`).filter((id) => shardOf(map, id) === shard);
  return found[skip] as string;
}

test("ids of a shard that does not answer are told apart; those of the other one are found", async () => {
  let isDown = true;
  const failure = new OperatorError("SHARD_UNAVAILABLE", "shard 1 does not answer");
  const reads = [0, 1].map((shard) => ({
    locate: async (ids: readonly string[]) => {
      if (shard === 1 && isDown) throw failure;
      return ids.map((extId) => ({ extId, pointer: undefined }));
    },
  })) as unknown as LedgerReads[];
  const locator = createAccountLocator(reads);
  const ids = [idOn(0), idOn(1), "system:external:CZK", idOn(0, 1), idOn(1)];

  const { shards, exists, failures } = await locator.locate(map, ids);
  expect([...failures]).toEqual([
    [1, failure],
    [4, failure],
  ]);
  expect([0, 2, 3].map((index) => [shards[index], exists[index]])).toEqual([
    [0, 1],
    [-1, 1],
    [0, 1],
  ]);

  // It is asked again once it answers: what failed is not remembered.
  isDown = false;
  const later = await locator.locate(map, ids);
  expect(later.failures.size).toBe(0);
  expect([...later.shards]).toEqual([0, 1, -1, 0, 1]);
});

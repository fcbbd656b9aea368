import { expect, test } from "@jest/globals";
import { type AdminKey, supersededKeys } from "./ledger.admin-keys.ts";

// Goal: after a change of the administrator's key exactly one is left, whichever run of a migration comes late.

const key = (hash: string, knownAt: number, isRevoked = false): AdminKey => ({
  hash,
  knownAt: BigInt(knownAt),
  isRevoked,
});

test.each<[string, readonly (readonly AdminKey[])[], string, readonly string[]]>([
  ["the first key follows nobody", [[key("a", 1)]], "a", []],
  ["a new key follows those before it", [[key("a", 1), key("b", 2), key("c", 3)]], "c", ["a", "b"]],
  ["a late run of an earlier key leaves the later one alone", [[key("a", 1), key("b", 2)]], "a", []],
  [
    "what one shard learned first counts on all",
    [
      [key("a", 1), key("b", 2)],
      [key("b", 3), key("a", 4)],
    ],
    "b",
    ["a"],
  ],
  [
    "a shard that does not know of a revocation yet gets it",
    [[key("a", 1, true), key("b", 2)], [key("a", 1)]],
    "b",
    ["a"],
  ],
  ["what is revoked everywhere is done", [[key("a", 1, true), key("b", 2)]], "b", []],
  ["a key that is nowhere follows nobody", [[key("a", 1)]], "z", []],
])("%s", (_name, shards, current, want) => {
  expect(supersededKeys(shards, current)).toEqual(want);
});

import { describe, expect, test } from "@jest/globals";
import { formatIdentities, parseIdentities, type ShardIdentity } from "./shard-identity.ts";

describe("what is known of the shards' data", () => {
  const identities = new Map<number, ShardIdentity>([
    [0, { state: "new" }],
    [1, { state: "known", systemIdentifier: "7400000000000000001" }],
    [2, { state: "given-up", systemIdentifier: "7400000000000000002" }],
    [63, { state: "given-up", systemIdentifier: "unknown" }],
  ]);
  const data = {
    "systemIdentifier.0": "new",
    "systemIdentifier.1": "7400000000000000001",
    "systemIdentifier.2": "given-up-7400000000000000002",
    "systemIdentifier.63": "given-up-unknown",
  };

  test("is written and read as one member a shard", () => {
    expect(formatIdentities(identities)).toEqual(data);
    expect(parseIdentities({ version: "1", epoch: "1", owners: "0:0", ...data })).toEqual(identities);
    expect(parseIdentities(undefined)).toEqual(new Map());
    expect(parseIdentities({ version: "1" })).toEqual(new Map());
  });

  test.each([
    ["systemIdentifier.0", ""],
    ["systemIdentifier.0", "New"],
    ["systemIdentifier.0", "given-up-"],
    ["systemIdentifier.0", "given-up-new"],
    ["systemIdentifier.0", "unknown"],
    ["systemIdentifier.0", "123456789012345678901"],
    ["systemIdentifier.00", "new"],
    ["systemIdentifier.", "new"],
    ["systemIdentifier.x", "7"],
  ])("%s: %j is refused, never taken for a beginning", (key, value) => {
    expect(() => parseIdentities({ [key]: value })).toThrow(
      expect.objectContaining({ code: "SHARD_MAP_INVALID", message: `${key} of the shard map cannot be read` }),
    );
  });
});

// Every combination of what is said about data, with an empty directory and with one that holds a cluster.
import { describe, expect, test } from "@jest/globals";
import { isOperatorError } from "../../lib/core/errors.ts";
import type { ShardIdentity } from "../../lib/core/shard-identity.ts";
import { type Expectation, requireExpected, requireNoData } from "./data-expectation.ts";

const PLACE = { shard: 1, claim: "bank-1-0", map: "bank-map" };
const known: ShardIdentity = { state: "known", systemIdentifier: "A" };
const given: ShardIdentity = { state: "given-up", systemIdentifier: "A" };
const fresh: ShardIdentity = { state: "new" };

interface Said {
  readonly identity?: ShardIdentity;
  readonly isMapRead?: boolean;
  readonly onLease?: string;
  readonly onVolume?: string;
}

function outcome(work: () => void): string {
  try {
    work();
    return "may";
  } catch (error) {
    if (!isOperatorError(error)) throw error;
    const expected = error.details["expected"];
    return expected === undefined ? error.code : `${error.code} ${String(expected)}`;
  }
}

function evidence(said: Said): Expectation & { readonly onVolume: string | undefined } {
  return {
    identity: said.identity,
    isMapRead: said.isMapRead ?? true,
    onLease: said.onLease,
    onVolume: said.onVolume,
  };
}

describe("an empty volume", () => {
  test.each<[Said, string]>([
    [{ identity: fresh }, "may"],
    [{ identity: given }, "may"],
    [{ identity: given, onLease: "A", onVolume: "A" }, "may"],
    [{ identity: known }, "DATA_LOST A"],
    [{ identity: known, onLease: "B" }, "DATA_LOST A"],
    [{ identity: fresh, onLease: "A" }, "DATA_LOST A"],
    [{ identity: fresh, onVolume: "A" }, "DATA_LOST A"],
    [{ identity: given, onLease: "B" }, "DATA_LOST B"],
    [{ identity: given, onLease: "A", onVolume: "B" }, "DATA_LOST B"],
    [{}, "DATA_LOST"],
    [{ onLease: "A" }, "DATA_LOST A"],
    [{ isMapRead: false }, "SHARD_MAP_INVALID"],
    [{ isMapRead: false, onLease: "A" }, "DATA_LOST A"],
  ])("%j: %s", (said, want) => {
    expect(outcome(() => requireNoData(evidence(said), PLACE))).toBe(want);
  });
});

describe("a volume that holds cluster A", () => {
  test.each<[Said, string]>([
    [{ identity: known, onLease: "B", onVolume: "A" }, "may"],
    [{ identity: fresh }, "may"],
    [{ identity: fresh, onLease: "A" }, "may"],
    [{ identity: given, onLease: "A" }, "may"],
    [{}, "may"],
    [{ isMapRead: false, onLease: "A" }, "may"],
    [{ identity: { state: "known", systemIdentifier: "B" } }, "DATA_REFUSED B"],
    [{ identity: fresh, onLease: "B" }, "DATA_REFUSED B"],
    [{ isMapRead: false, onLease: "B" }, "DATA_REFUSED B"],
    [{ onVolume: "B" }, "DATA_REFUSED B"],
    [{ identity: { state: "given-up", systemIdentifier: "B" }, onLease: "B" }, "may"],
  ])("%j: %s", (said, want) => {
    expect(outcome(() => requireExpected("A", evidence(said), PLACE))).toBe(want);
  });
});

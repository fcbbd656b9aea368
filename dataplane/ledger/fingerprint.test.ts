import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { canonicalJson } from "../../lib/core/canonical.ts";
import { identitiesOf, KEY_BYTES, type TransferRequest } from "./fingerprint.ts";

// Goal: the key depends on the id alone, the fingerprint on everything else, and neither on the order of members.

const base: TransferRequest = { id: "k", debitAccount: "a", creditAccount: "b", amount: 5 };
const key = (request: TransferRequest): string => identitiesOf([request]).subarray(0, KEY_BYTES).toString("hex");
const fingerprint = (request: TransferRequest): string => identitiesOf([request]).subarray(KEY_BYTES).toString("hex");

describe("identities", () => {
  const changes: { name: string; change: Partial<TransferRequest> }[] = [
    { name: "debit account", change: { debitAccount: "c" } },
    { name: "credit account", change: { creditAccount: "c" } },
    { name: "amount", change: { amount: 6 } },
    { name: "asset", change: { asset: "CZK" } },
    { name: "effective time", change: { effectiveAtMicros: 0 } },
    { name: "metadata", change: { metadata: '{"note":"x"}' } },
  ];
  test.each(changes)("another $name is another payload under the same key", ({ change }) => {
    expect(key({ ...base, ...change })).toBe(key(base));
    expect(fingerprint({ ...base, ...change })).not.toBe(fingerprint(base));
  });

  test("another id is another key for the same payload", () => {
    expect(key({ ...base, id: "l" })).not.toBe(key(base));
    expect(fingerprint({ ...base, id: "l" })).toBe(fingerprint(base));
  });

  test("fields cannot run into each other", () => {
    expect(fingerprint({ ...base, debitAccount: "a1", creditAccount: "b" })).not.toBe(
      fingerprint({ ...base, debitAccount: "a", creditAccount: "1b" }),
    );
  });

  test("the order of metadata's members does not matter", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.string()), (metadata) => {
        const reversed = Object.fromEntries(Object.entries(metadata).reverse());
        expect(fingerprint({ ...base, metadata: canonicalJson(reversed) })).toBe(
          fingerprint({ ...base, metadata: canonicalJson(metadata) }),
        );
      }),
    );
  });
});

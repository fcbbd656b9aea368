import { describe, expect, it } from "@jest/globals";
import type { LeaseObject } from "../lib/kube/types.ts";
import { type Claim, claimAnnotations, claimOf, leadsBeside, rivalsOf, waitsForOlder } from "./installations.ts";

// Goal: of two installations that overlap exactly one comes first, whichever of them asks, and the sentence says what to do.

const claim = (change: Partial<Claim> = {}): Claim => ({
  namespace: "ours",
  uid: "m",
  createdAt: "2026-01-02T00:00:00Z",
  watches: [],
  isClaiming: true,
  ...change,
});
const older = claim({ namespace: "old", uid: "z", createdAt: "2026-01-01T00:00:00Z" });
const younger = claim({ namespace: "young", uid: "a", createdAt: "2026-01-03T00:00:00Z" });

function lease(annotations?: Record<string, string>): LeaseObject {
  const metadata = { name: "l", namespace: "n", uid: "u", creationTimestamp: "2026-01-01T00:00:00Z" };
  return { apiVersion: "v1", kind: "Lease", metadata: { ...metadata, ...(annotations && { annotations }) } };
}

describe("who comes first", () => {
  it("is the older Lease; of two of one second, the lower uid", () => {
    expect(rivalsOf(claim(), [younger, older])).toEqual({ older, younger, count: 2 });
    const twin = claim({ namespace: "twin", uid: "a" });
    expect(rivalsOf(claim(), [twin])).toMatchObject({ older: twin, younger: undefined });
    expect(rivalsOf(twin, [claim()])).toMatchObject({ older: undefined, younger: claim() });
  });

  it("is nobody who waits, and nobody who serves other namespaces", () => {
    expect(rivalsOf(claim(), [{ ...older, isClaiming: false }])).toEqual({
      older: undefined,
      younger: undefined,
      count: 1,
    });
    const [a, ab, c] = [["a"], ["a", "b"], ["c"]].map((watches) => ({ ...older, watches }));
    const own = claim({ watches: ["b", "d"] });
    expect([a, ab, c].map((other) => rivalsOf(own, other === undefined ? [] : [other]).count)).toEqual([0, 1, 0]);
    expect(rivalsOf(own, [older]).count).toBe(1);
    expect(rivalsOf(claim(), c === undefined ? [] : [c]).count).toBe(1);
  });
});

describe("what a Lease says", () => {
  it("is read as it was written", () => {
    expect(claimOf(lease(claimAnnotations([], undefined)))).toMatchObject({ watches: [], isClaiming: true });
    expect(claimOf(lease(claimAnnotations(["a", "b"], "old")))).toMatchObject({
      watches: ["a", "b"],
      isClaiming: false,
    });
  });

  it("without annotations is a claim of everything", () => {
    expect(claimOf(lease())).toEqual({
      namespace: "n",
      uid: "u",
      createdAt: "2026-01-01T00:00:00Z",
      watches: [],
      isClaiming: true,
    });
  });
});

it("the sentences name the other one, what it serves and the way out", () => {
  expect(waitsForOlder(older)).toBe(
    "stands by for the installation in namespace old, which is older and serves all namespaces: uninstall one of the two, or give them watchNamespaces that do not overlap",
  );
  const many = ["a", "b", "c", "d", "e", "f", "g"];
  expect(waitsForOlder({ ...older, watches: many })).toContain("serves namespaces a, b, c, d, e and 2 more: ");
  expect(leadsBeside({ ...younger, watches: ["a"] })).toContain("leads too and serves namespace a; ");
});

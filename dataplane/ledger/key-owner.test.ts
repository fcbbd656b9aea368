import { expect, test } from "@jest/globals";
import { bucketOf, DEFAULT_TENANT, proposeOwners } from "../../lib/core/ring.ts";
import { keyOf } from "./fingerprint.ts";
import { keyBucket, keyOwner } from "./key-owner.ts";

// Goal: one owner a key, which whoever has the id finds, and which a tag can put beside an account.

const bucket = (id: string): number => keyBucket(id, keyOf(id), 0);

test("an id falls into the bucket of an account with the same id", () => {
  for (const id of ["order-1", "7c9e6679-7425-40de-944b-e07fc1f90ae7", "~", "}{", "{}", "a{}b", "{open"]) {
    expect([id, bucket(id)]).toEqual([id, bucketOf(DEFAULT_TENANT, id)]);
  }
});

test("of a tagged id only the tag counts", () => {
  for (const id of ["{acc-7}:order-1", "order-1{acc-7}", "{acc-7}{acc-8}", "x{acc-7}y}"]) {
    expect([id, bucket(id)]).toEqual([id, bucketOf(DEFAULT_TENANT, "acc-7")]);
  }
  expect(bucket("{{a}}")).toBe(bucketOf(DEFAULT_TENANT, "{a"));
});

test("the map names the owner", () => {
  const map = { version: 1, epoch: 1, owners: proposeOwners(3) };
  expect(keyOwner(map, bucket("{acc-7}:1"))).toBe(map.owners[bucketOf(DEFAULT_TENANT, "acc-7")]);
});

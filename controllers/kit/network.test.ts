import { expect, test } from "@jest/globals";
import { RESOURCES } from "../../lib/kube/types.ts";
import { trafficActions } from "./network.ts";

test("told to make none, the operator takes back the policy that it made, and nothing else", () => {
  const made = { resource: RESOURCES.NetworkPolicy, namespace: "demo", name: "bank-shard", uid: "uid-policy" };
  expect(trafficActions(undefined, [{ ...made, resource: RESOURCES.Service }, made])).toEqual([
    expect.objectContaining({ type: "delete", resource: RESOURCES.NetworkPolicy, name: made.name }),
  ]);
});

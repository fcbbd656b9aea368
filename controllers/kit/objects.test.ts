import { describe, expect, test } from "@jest/globals";
import { SHARD_SET } from "../../crds/shardset.ts";
import { RESOURCES } from "../../lib/kube/types.ts";
import { componentLabels, componentSelector, keptObject, ownedObject, ownerOf, ownLabels } from "./objects.ts";
import { OWNER } from "./testing/owner.ts";

const LABELS = {
  "app.kubernetes.io/name": "shieldx",
  "app.kubernetes.io/managed-by": "shieldx",
  "app.kubernetes.io/instance": "bank",
  "app.kubernetes.io/component": "shard",
  "shieldx.dev/kind": "ShardSet",
  "shieldx.dev/name": "bank",
  "shieldx.dev/component": "shard",
};

describe("labels", () => {
  test("tell our objects from others, and the parts of one resource from each other", () => {
    expect(ownLabels(OWNER)).toEqual({ "shieldx.dev/kind": "ShardSet", "shieldx.dev/name": "bank" });
    expect(componentLabels(OWNER)).toEqual(LABELS);
    expect(componentLabels(OWNER, "other")).toMatchObject({
      "app.kubernetes.io/component": "other",
      "shieldx.dev/component": "other",
    });
  });

  test("of a selector are among those of its objects", () => {
    expect(componentSelector(OWNER)).toEqual({
      "shieldx.dev/kind": "ShardSet",
      "shieldx.dev/name": "bank",
      "shieldx.dev/component": "shard",
    });
    expect(componentLabels(OWNER)).toMatchObject(componentSelector(OWNER));
  });
});

describe("objects", () => {
  const content = {
    labels: { "shieldx.dev/shard": "1" },
    annotations: { note: "x" },
    spec: { type: "ClusterIP" },
  };

  test("that are kept have no owner: nobody takes them away with the resource", () => {
    expect(keptObject(OWNER, RESOURCES.Service, "bank-1", content)).toEqual({
      apiVersion: "v1",
      kind: "Service",
      metadata: {
        name: "bank-1",
        namespace: "demo",
        labels: { ...LABELS, "shieldx.dev/shard": "1" },
        annotations: { note: "x" },
      },
      spec: { type: "ClusterIP" },
    });
  });

  test("that are owned go with the resource, by its uid", () => {
    const kept = keptObject(OWNER, RESOURCES.Role, "bank-shard", {});
    expect(ownedObject(OWNER, RESOURCES.Role, "bank-shard", {})).toEqual({
      ...kept,
      apiVersion: "rbac.authorization.k8s.io/v1",
      metadata: {
        ...kept.metadata,
        ownerReferences: [
          {
            apiVersion: "shieldx.dev/v1alpha1",
            kind: "ShardSet",
            name: "bank",
            uid: "uid-bank",
            controller: true,
            blockOwnerDeletion: true,
          },
        ],
      },
    });
    expect(kept.metadata).not.toHaveProperty("annotations");
  });

  test("do not hold up an owner that is being deleted (trial 3)", () => {
    const { metadata } = ownedObject({ ...OWNER, isEnding: true }, RESOURCES.Pod, "bank-0-0", {});
    expect(metadata.ownerReferences).toMatchObject([{ uid: "uid-bank", blockOwnerDeletion: false }]);
  });
});

test("an owner that the server has not seen yet has empty names, not missing ones", () => {
  expect(ownerOf(SHARD_SET, { apiVersion: "v1", kind: "ShardSet", metadata: { name: "x" } }, "shard")).toEqual({
    resource: SHARD_SET,
    namespace: "",
    name: "x",
    uid: "",
    isEnding: false,
    component: "shard",
  });
});

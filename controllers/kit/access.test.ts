import { describe, expect, test } from "@jest/globals";
import { RESOURCES } from "../../lib/kube/types.ts";
import { ACCESS_KINDS, type Access, accessActions, grantsOf, type Identity, VERBS } from "./access.ts";
import { ownedObject } from "./objects.ts";
import { linesOf, OWNER, objectOf } from "./testing/owner.ts";

interface Target {
  readonly leases: readonly string[];
}

const ACCESS: readonly Access<Target>[] = [
  { resource: RESOURCES.Lease, verbs: VERBS.hold, names: ({ leases }) => leases },
  { resource: RESOURCES.ConfigMap, verbs: VERBS.follow, names: () => ["bank-map"] },
];
const IDENTITY: Identity<Target> = {
  name: "bank-shard",
  access: ACCESS,
  notes: { identity: "who they are", role: "what they may do", binding: "they may do it" },
};
const TARGET = { leases: ["bank-0", "bank-1"] };

describe("an identity", () => {
  const [account, role, binding] = accessActions(OWNER, TARGET, IDENTITY).map(objectOf);

  test("is an account, a role and their binding, with their notes", () => {
    expect(linesOf(accessActions(OWNER, TARGET, IDENTITY))).toEqual([
      "apply ServiceAccount bank-shard: who they are",
      "apply Role bank-shard: what they may do",
      "apply RoleBinding bank-shard: they may do it",
    ]);
  });

  test("may do to each object, by name, what the declaration says, and nothing else", () => {
    expect(role).toEqual(
      ownedObject(OWNER, RESOURCES.Role, "bank-shard", {
        rules: [
          {
            apiGroups: ["coordination.k8s.io"],
            resources: ["leases"],
            resourceNames: ["bank-0", "bank-1"],
            verbs: ["get", "update", "patch"],
          },
          {
            apiGroups: [""],
            resources: ["configmaps"],
            resourceNames: ["bank-map"],
            verbs: ["get", "list", "watch"],
          },
        ],
      }),
    );
  });

  test("is bound in its own namespace", () => {
    expect(binding).toMatchObject({
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "bank-shard" },
      subjects: [{ kind: "ServiceAccount", name: "bank-shard", namespace: "demo" }],
    });
  });

  test("mounts its token unless told otherwise", () => {
    expect(account).not.toHaveProperty("automountServiceAccountToken");
    const [other] = accessActions(OWNER, TARGET, { ...IDENTITY, automount: false });
    expect(objectOf(other)).toMatchObject({ automountServiceAccountToken: false });
  });

  test("goes with its owner, whose deletion finds every part of it", () => {
    expect([account, role, binding].map((part) => part?.metadata.ownerReferences?.[0]?.uid)).toEqual(
      Array.from({ length: 3 }, () => "uid-bank"),
    );
    expect(ACCESS_KINDS.map(({ kind }) => kind).sort()).toEqual(
      [account, binding, role].map((part) => part?.kind).sort(),
    );
  });
});

test("what makes the role holds the same, for any name", () => {
  expect(grantsOf(ACCESS)).toEqual([
    { resource: RESOURCES.Lease, verbs: ["get", "update", "patch"] },
    { resource: RESOURCES.ConfigMap, verbs: ["get", "list", "watch"] },
  ]);
});

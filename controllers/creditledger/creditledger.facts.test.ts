import { describe, expect, test } from "@jest/globals";
import { type KubeObject, type LeaseObject, RESOURCES } from "../../lib/kube/types.ts";
import { readKeyPair, secretText } from "../kit/secrets.ts";
import { observeDeployment, observeJob, observeLease, readPasswords } from "./creditledger.facts.ts";

// Raw objects in, facts out; what a server leaves out counts as not there.

describe("Job", () => {
  test("fresh from the server", () => {
    expect(observeJob(object("Job"), [])).toEqual({
      resource: RESOURCES.Job,
      namespace: "",
      name: "x",
      uid: "uid-x",
      configHash: undefined,
      createdAt: undefined,
      pods: [],
      state: "running",
      suspended: false,
      failedAt: undefined,
      message: undefined,
      podMessage: undefined,
      failures: 0,
      schemaVersion: undefined,
    });
  });

  test("that succeeded, with what its pod reports", () => {
    const status = { conditions: [{ type: "Complete", status: "True" }] };
    const done = pod({ state: { terminated: { exitCode: 0, message: ' {"schemaVersion": 12}\n' } }, restartCount: 2 });
    expect(observeJob(object("Job", { status }), [done])).toMatchObject({
      state: "succeeded",
      failures: 2,
      schemaVersion: 12,
    });
  });

  test("that failed for good", () => {
    const failed = { type: "Failed", status: "True", message: "limit", lastTransitionTime: "2025-01-01T00:00:10Z" };
    const status = { failed: 1, conditions: [failed] };
    expect(observeJob(object("Job", { status }), [])).toMatchObject({
      state: "failed",
      failedAt: Date.UTC(2025, 0, 1, 0, 0, 10),
      message: "limit",
      failures: 1,
    });
  });

  test("in a backoff between two attempts: the last words are those of the attempt before", () => {
    const waiting = pod({
      state: {},
      lastState: { terminated: { exitCode: 1, message: "no shard" } },
      restartCount: 4,
    });
    expect(observeJob(object("Job"), [waiting])).toMatchObject({
      state: "running",
      podMessage: "no shard",
      failures: 4,
    });
  });

  test("pods of another Job do not count", () => {
    const other = pod({ state: { terminated: { exitCode: 1, message: "other" } }, restartCount: 4 }, "uid-other");
    expect(observeJob(object("Job"), [other])).toMatchObject({ podMessage: undefined, failures: 0 });
  });

  test.each(["", "done", '{"schemaVersion": -1}', '{"schemaVersion": 1.5}', '{"schemaVersion": 12345678901}'])(
    "last words %j name no schema version",
    (message) => {
      const status = { conditions: [{ type: "Complete", status: "True" }] };
      const done = pod({ state: { terminated: { exitCode: 0, message } } });
      expect(observeJob(object("Job", { status }), [done]).schemaVersion).toBeUndefined();
    },
  );
});

describe("Lease", () => {
  test("that was just made", () => {
    const made = object("Lease", { spec: { leaseTransitions: 0 } }, { "shieldx.dev/shard": "7" });
    const lease = { ...made, metadata: { ...made.metadata, name: "x-writer-2" } };
    expect(observeLease(lease as LeaseObject)).toEqual({
      resource: RESOURCES.Lease,
      namespace: "",
      name: "x-writer-2",
      uid: "uid-x",
      shard: 2,
      holder: undefined,
      epoch: 0,
      position: undefined,
    });
  });

  test.each([
    ["1200", 1200],
    ["0", 0],
    ["-", undefined],
    ["1e3", undefined],
    ["99999999999999999999", undefined],
    ["-5", undefined],
  ])("with position %s", (text, position) => {
    const lease = object("Lease", { spec: { holderIdentity: "pod_uid", leaseTransitions: 7 } });
    lease.metadata.annotations = { "shieldx.dev/head-position": text };
    expect(observeLease(lease as LeaseObject)).toMatchObject({ holder: "pod_uid", epoch: 7, position });
  });

  test("that was released", () => {
    expect(observeLease(object("Lease", { spec: { holderIdentity: "" } }) as LeaseObject).holder).toBeUndefined();
  });
});

describe("Deployment", () => {
  test("trial 5b: whose pods were refused says what the server said, and whether it ever had others", () => {
    const message =
      'pods "x-1" is forbidden: exceeded quota: two-pods, requested: pods=1, used: pods=2, limited: pods=2';
    const conditions = [
      { type: "Progressing", status: "True", reason: "NewReplicaSetCreated", message: "Created new replica set" },
      {
        type: "ReplicaFailure",
        status: "True",
        reason: "FailedCreate",
        message,
        lastTransitionTime: "2025-01-01T00:00:10Z",
      },
    ];
    const given = object("Deployment", {
      spec: { replicas: 2 },
      status: { observedGeneration: 1, replicas: 1, updatedReplicas: 1, unavailableReplicas: 1, conditions },
    });
    given.metadata.generation = 1;
    given.metadata.annotations = { "shieldx.dev/nudged-at": "2025-01-01T00:01:10.000Z" };
    expect(observeDeployment(given)).toMatchObject({
      refused: { message, since: Date.UTC(2025, 0, 1, 0, 0, 10) },
      nudgedAt: Date.UTC(2025, 0, 1, 0, 1, 10),
      isFirst: true,
    });
  });

  const spec = { replicas: 2, template: { metadata: { annotations: { "shieldx.dev/config-hash": "abc" } } } };
  const status = { observedGeneration: 3, replicas: 2, updatedReplicas: 2, readyReplicas: 2 };

  test.each([
    ["carried out", {}, true],
    ["not seen by its controller", { observedGeneration: 2 }, false],
    ["with an old pod left", { replicas: 3 }, false],
    ["with a new pod missing", { updatedReplicas: 1 }, false],
  ])("%s", (_name, changes, rolledOut) => {
    const deployment = object("Deployment", { spec, status: { ...status, ...changes } });
    expect(observeDeployment(deployment)).toMatchObject({
      resource: RESOURCES.Deployment,
      namespace: "",
      name: "x",
      uid: "uid-x",
      configHash: "abc",
      replicas: 2,
      readyReplicas: 2,
      rolledOut,
    });
  });

  test("fresh from the server, and absent", () => {
    expect(observeDeployment(object("Deployment", { spec }))).toMatchObject({ readyReplicas: 0, rolledOut: false });
    expect(observeDeployment(undefined)).toBeUndefined();
  });
});

describe("Secret", () => {
  const text = secretText({
    ...object("Secret"),
    data: { "tls.crt": "Y2VydA==", "tls.key": "", "owner-password": "bw==", "writer-password": "dw==" },
  });

  test("an absent or empty member makes the whole unreadable", () => {
    expect(text("tls.crt")).toBe("cert");
    expect(text("tls.key")).toBeUndefined();
    expect(readKeyPair(text)).toBeUndefined();
    expect(readPasswords(text)).toBeUndefined();
  });
});

function object(kind: string, rest: Record<string, unknown> = {}, labels: Record<string, string> = {}): KubeObject {
  return { apiVersion: "v1", kind, metadata: { name: "x", uid: "uid-x", generation: 3, labels }, ...rest };
}

function pod(status: Record<string, unknown>, owner = "uid-x"): KubeObject {
  const made = object("Pod", { status: { containerStatuses: [{ name: "migrate", ...status }] } });
  made.metadata.ownerReferences = [{ apiVersion: "batch/v1", kind: "Job", name: "x", uid: owner }];
  return made;
}

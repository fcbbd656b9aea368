// What is wrong with a pod, a claim, a Job or a ReplicaSet, from objects and words as schedulers, kubelets and controllers
// of Kubernetes write them.
import { describe, expect, test } from "@jest/globals";
import type { KubeObject } from "../../../lib/kube/types.ts";
import { type Clues, NO_CLUES } from "../../../operator/runtime/clues.ts";
import { type ClaimFacts, claimTrouble } from "./claims.ts";
import { podFacts, podTrouble } from "./pods.ts";
import { refusalTrouble } from "./refusals.ts";
import { together } from "./trouble.ts";

const IMAGE = "localhost/shieldx:nope";

function pod(status: object, spec: object = {}): KubeObject {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "credits-7d9f8-abcde", namespace: "t", uid: "u", creationTimestamp: "2026-01-01T00:00:00Z" },
    spec: { nodeName: "node-1", containers: [{ name: "ledger", image: IMAGE }], ...spec },
    status,
  };
}

function waiting(reason: string, message?: string, more: object = {}): KubeObject {
  return pod({
    phase: "Pending",
    conditions: [{ type: "Ready", status: "False", reason: "ContainersNotReady" }],
    containerStatuses: [
      { name: "ledger", image: IMAGE, restartCount: 0, state: { waiting: { reason, message } }, ...more },
    ],
  });
}

const NOT_FOUND = `rpc error: code = NotFound desc = failed to pull and unpack image "${IMAGE}": failed to resolve image: ${IMAGE}: not found`;

describe("a pod", () => {
  test.each<[string, KubeObject, string | undefined, boolean]>([
    ["that is being started", waiting("ContainerCreating"), undefined, false],
    ["that nobody has looked at", pod({ phase: "Pending" }), undefined, false],
    [
      "that is ready, whatever it ended with before",
      pod({
        phase: "Running",
        conditions: [{ type: "Ready", status: "True" }],
        containerStatuses: [
          { name: "ledger", restartCount: 1, state: { running: {} }, lastState: { terminated: { exitCode: 1 } } },
        ],
      }),
      undefined,
      false,
    ],
    [
      "that no node has room for",
      pod({
        phase: "Pending",
        conditions: [
          {
            type: "PodScheduled",
            status: "False",
            reason: "Unschedulable",
            message:
              "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.",
          },
        ],
      }),
      "Unschedulable: 0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.",
      false,
    ],
    [
      "that somebody gated",
      pod({
        phase: "Pending",
        conditions: [
          {
            type: "PodScheduled",
            status: "False",
            reason: "SchedulingGated",
            message: "Scheduling is blocked due to non-empty scheduling gates",
          },
        ],
      }),
      "SchedulingGated: Scheduling is blocked due to non-empty scheduling gates; remove the scheduling gate",
      true,
    ],
    [
      "trial 9: whose image does not exist",
      waiting("ErrImagePull", NOT_FOUND),
      `image ${IMAGE} cannot be pulled: ErrImagePull: ${NOT_FOUND}; correct the image in the values of the operator, or name a pull secret in spec.imagePullSecrets`,
      true,
    ],
    [
      "trial 9: whose image does not exist, between two pulls",
      waiting("ImagePullBackOff", `Back-off pulling image "${IMAGE}": ErrImagePull: ${NOT_FOUND}`),
      `image ${IMAGE} cannot be pulled: ImagePullBackOff: Back-off pulling image "${IMAGE}": ErrImagePull: ${NOT_FOUND}; correct the image in the values of the operator, or name a pull secret in spec.imagePullSecrets`,
      true,
    ],
    [
      "whose registry does not answer",
      waiting("ErrImagePull", "failed to do request: dial tcp 10.0.0.1:443: i/o timeout"),
      `image ${IMAGE} cannot be pulled: ErrImagePull: failed to do request: dial tcp 10.0.0.1:443: i/o timeout`,
      false,
    ],
    [
      "whose image is no name",
      waiting("InvalidImageName", 'Failed to apply default image tag "x:": invalid reference format'),
      `image ${IMAGE} cannot be pulled: InvalidImageName: Failed to apply default image tag "x:": invalid reference format; correct the image in the values of the operator, or name a pull secret in spec.imagePullSecrets`,
      true,
    ],
    [
      "that lacks a Secret",
      waiting("CreateContainerConfigError", 'secret "credits-roles" not found'),
      'container ledger: CreateContainerConfigError: secret "credits-roles" not found',
      false,
    ],
    [
      "that ends again and again",
      waiting("CrashLoopBackOff", "back-off 40s restarting failed container=ledger pod=x", {
        restartCount: 3,
        lastState: { terminated: { exitCode: 1, reason: "Error", message: "starting\nSHARD_UNAVAILABLE: shard 1\n" } },
      }),
      "container ledger, restarted 3 times, ended with exit code 1: starting SHARD_UNAVAILABLE: shard 1",
      false,
    ],
    [
      "that is killed for its memory",
      waiting("CrashLoopBackOff", undefined, {
        restartCount: 2,
        lastState: { terminated: { exitCode: 137, reason: "OOMKilled" } },
      }),
      "container ledger, restarted 2 times, ended with exit code 137 (OOMKilled)",
      false,
    ],
    [
      "that its node threw out",
      pod({
        phase: "Failed",
        reason: "Evicted",
        message: "The node was low on resource: ephemeral-storage. Threshold quantity: 1Gi, available: 900Mi.",
      }),
      "it ended: Evicted: The node was low on resource: ephemeral-storage. Threshold quantity: 1Gi, available: 900Mi.",
      false,
    ],
  ])("%s", (_name, object, text, needsPerson) => {
    const want = text === undefined ? undefined : { text, needsPerson };
    expect(podTrouble(podFacts(object))).toEqual(want);
  });

  test("whose volumes cannot be mounted is told of in the words of an event", () => {
    const message = 'MountVolume.SetUp failed for volume "tls" : secret "credits-tls" not found';
    const complaint = { reason: "FailedMount", message };
    expect(podTrouble(podFacts(waiting("ContainerCreating")), complaint)?.text).toBe(`FailedMount: ${message}`);
    // An old complaint says nothing about a container that runs.
    const running = pod({ phase: "Running", containerStatuses: [{ name: "ledger", state: { running: {} } }] });
    expect(podTrouble(podFacts(running), complaint)).toBeUndefined();
  });

  test("of somebody's own template is told where its image is written", () => {
    const object = waiting("ErrImagePull", NOT_FOUND);
    expect(podTrouble(podFacts(object), undefined, "correct it there")?.text).toBe(
      `image ${IMAGE} cannot be pulled: ErrImagePull: ${NOT_FOUND}; correct it there`,
    );
  });
});

describe("a claim", () => {
  const pending: ClaimFacts = { uid: "c", phase: "Pending", wasBound: false, storageClass: "stanard" };
  const classes = [
    { name: "fast", isDefault: false },
    { name: "standard", isDefault: true },
  ];
  const said = (reason: string, message: string): Clues["complaints"] => new Map([["c", { reason, message }]]);

  test.each<[string, ClaimFacts, Partial<Clues>, string | undefined, boolean]>([
    ["that has its volume", { ...pending, phase: "Bound", wasBound: true }, { classes }, undefined, false],
    ["that waits for its pod", { ...pending, storageClass: "fast" }, { classes }, undefined, false],
    ["that nobody has asked about", pending, {}, undefined, false],
    [
      "trial 4: of a class that does not exist",
      pending,
      { classes },
      'storage class "stanard" does not exist; there are: fast, standard; do so',
      true,
    ],
    [
      "trial 4: of a class that does not exist, where nobody may see the classes",
      pending,
      { complaints: said("ProvisioningFailed", 'storageclass.storage.k8s.io "stanard" not found') },
      'storage class "stanard" does not exist; do so',
      true,
    ],
    [
      "trial 4b: without a class, where none is the default",
      { ...pending, storageClass: undefined },
      { classes: [{ name: "fast", isDefault: false }] },
      "the cluster has no default StorageClass; there are: fast; mark one as the default, or do so",
      true,
    ],
    [
      "trial 4b: the same, where nobody may see the classes",
      { ...pending, storageClass: undefined },
      {
        complaints: said("FailedBinding", "no persistent volumes available for this claim and no storage class is set"),
      },
      "the cluster has no default StorageClass; mark one as the default, or do so",
      true,
    ],
    [
      "whose provisioner fails",
      { ...pending, storageClass: "fast" },
      { classes, complaints: said("ProvisioningFailed", "rpc error: code = ResourceExhausted desc = no space") },
      "ProvisioningFailed: rpc error: code = ResourceExhausted desc = no space",
      false,
    ],
    [
      "whose volume is gone",
      { ...pending, phase: "Lost", wasBound: true },
      {},
      "its PersistentVolume is gone; restore the PersistentVolume under the name in spec.volumeName",
      true,
    ],
  ])("%s", (_name, claim, clues, text, needsPerson) => {
    const want = text === undefined ? undefined : { text, needsPerson };
    expect(claimTrouble(claim, { ...NO_CLUES, ...clues }, "do so")).toEqual(want);
  });
});

describe("a refusal", () => {
  test.each<[string, string, boolean]>([
    [
      "trial 5b: by a quota",
      'pods "credits-7d9f8-abcde" is forbidden: exceeded quota: two-pods, requested: pods=1, used: pods=2, limited: pods=2',
      true,
    ],
    [
      "trial 5c: by a limit range, as a Job's event tells it",
      'Error creating: pods "credits-migrate-9df0c76129-x" is forbidden: maximum memory usage per Container is 512Mi, but limit is 1Gi',
      true,
    ],
    [
      "by the level of pod security",
      'pods "x" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false',
      true,
    ],
    ["by a webhook", 'admission webhook "policy.example" denied the request: no team label', true],
    [
      "by a namespace that ends",
      'pods "x" is forbidden: unable to create new content in namespace t because it is being terminated',
      false,
    ],
    ["by nobody: the server fails", "Internal error occurred: etcdserver: request timed out", false],
  ])("%s", (_name, message, needsPerson) => {
    const words = message.replace("Error creating: ", "");
    const fix = needsPerson ? "; change the quota, the limit range or the policy, or the spec" : "";
    expect(refusalTrouble(message)).toEqual({ text: `no pod can be made: ${words}${fix}`, needsPerson });
  });
});

test("several troubles are told once each, and need a person when one does", () => {
  const [a, b] = [
    { text: "a", needsPerson: false },
    { text: "b", needsPerson: true },
  ];
  expect(together([a, undefined, b, a])).toEqual({ text: "a; b", needsPerson: true });
  expect(together([undefined])).toBeUndefined();
});

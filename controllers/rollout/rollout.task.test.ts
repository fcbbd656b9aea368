import { expect, test } from "@jest/globals";
import { LABELS } from "../../crds/group.ts";
import type { KubeObject } from "../../lib/kube/types.ts";
import { observePod } from "./rollout.facts.ts";
import { targetOf } from "./rollout.names.ts";
import type { World } from "./rollout.observe.ts";
import { sampleTask } from "./rollout.task.ts";
import { NAMESPACE, rollout } from "./testing/builders.ts";
import { midway } from "./testing/facts.ts";

// Goal: whoever may have counts of a version is asked, and nobody else.

interface Pod {
  readonly colour?: string;
  readonly revision?: string;
  readonly ready?: boolean;
  readonly phase?: string;
  readonly ip?: string | undefined;
}

function pod(name: string, given: Pod = {}): KubeObject {
  const { colour = "green", revision = "v2", ready = true, phase = "Running" } = given;
  const podIP = "ip" in given ? given.ip : "10.0.0.1";
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      namespace: NAMESPACE,
      name,
      uid: `uid-${name}`,
      labels: { [LABELS.colour]: colour, [LABELS.revision]: revision },
    },
    status: { phase, conditions: [{ type: "Ready", status: ready ? "True" : "False" }], podIP },
  };
}

function targetsOf(pods: readonly KubeObject[]) {
  const progress = midway();
  const object = { ...rollout(), status: { ...progress, observedGeneration: 1 } };
  const seen = { rollout: object, target: targetOf(object), progress, pods: pods.map(observePod) };
  const task = sampleTask(seen as unknown as World);
  if (task === undefined) throw new Error("nothing is sampled");
  return task;
}

test("pods of both versions are asked, ready or not", () => {
  const { canary, stable } = targetsOf([
    pod("a"),
    pod("b", { ready: false }),
    pod("c", { colour: "blue", revision: "v1" }),
    pod("d", { colour: "blue", revision: "v1", ready: false }),
  ]);
  expect(canary).toEqual([
    { name: "a", uid: "uid-a", ip: "10.0.0.1", isReady: true },
    { name: "b", uid: "uid-b", ip: "10.0.0.1", isReady: false },
  ]);
  expect(stable.map(({ name, isReady }) => [name, isReady])).toEqual([
    ["c", true],
    ["d", false],
  ]);
});

test.each<[string, Pod]>([
  ["of another revision", { revision: "v0" }],
  ["without an address", { ip: undefined }],
  ["that has ended, whose address another pod may have", { phase: "Failed", ready: false }],
])("a pod %s is not asked", (_, given) => {
  expect(targetsOf([pod("a", given)]).canary).toEqual([]);
});

test("of very many pods the same 200 are asked, whatever order they come in", () => {
  const names = Array.from({ length: 300 }, (_, index) => `pod-${1_000 + index}`);
  const { canary } = targetsOf(names.map((name) => pod(name)));
  const others = targetsOf(names.toReversed().map((name) => pod(name))).canary;
  expect(canary).toHaveLength(200);
  expect(others).toEqual(canary);
});

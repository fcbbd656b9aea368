import { describe, expect, test } from "@jest/globals";
import { containerResources, placement, spreadPlacement } from "./placement.ts";

// What a spec says about pods, as the API server gets it.

const OWN = { "shieldx.dev/name": "bank" };
const ZONES = { maxSkew: 1, topologyKey: "topology.kubernetes.io/zone", whenUnsatisfiable: "ScheduleAnyway" } as const;
const AFFINITY = {
  podAntiAffinity: {
    requiredDuringSchedulingIgnoredDuringExecution: [
      { labelSelector: { matchLabels: OWN }, topologyKey: "kubernetes.io/hostname" },
    ],
  },
};

describe("placement", () => {
  test("a spec that says nothing adds nothing: the hash of a pod that runs stays", () => {
    expect(placement({ scheduling: {} })).toEqual({});
    expect(spreadPlacement({ scheduling: {} }, OWN)).toEqual({});
    expect(spreadPlacement({ scheduling: { topologySpreadConstraints: [] } }, OWN)).toEqual({});
  });

  test("what a spec says is said in the same words", () => {
    const scheduling = { nodeSelector: { disk: "fast" }, affinity: AFFINITY, priorityClassName: "databases" };
    const imagePullSecrets = [{ name: "registry" }];
    expect(spreadPlacement({ scheduling, imagePullSecrets }, OWN)).toEqual({ ...scheduling, imagePullSecrets });
  });

  test("a constraint counts the pods of the resource, unless it says which", () => {
    const others = { ...ZONES, topologyKey: "kubernetes.io/hostname", labelSelector: { matchLabels: { app: "x" } } };
    const placed = { scheduling: { topologySpreadConstraints: [ZONES, others] } };
    expect(spreadPlacement(placed, OWN)).toEqual({
      topologySpreadConstraints: [{ ...ZONES, labelSelector: { matchLabels: OWN } }, others],
    });
    // One pod has nothing to spread.
    expect(placement(placed)).toEqual({});
  });
});

test("trial 10: a number without quotes is the text that the server keeps", () => {
  const numbers = { requests: { cpu: 1, memory: 268_435_456 }, limits: { cpu: "1500m" } };
  expect(containerResources(numbers)).toEqual({
    requests: { cpu: "1", memory: "268435456" },
    limits: { cpu: "1500m" },
  });
  expect(containerResources({})).toEqual({});
});

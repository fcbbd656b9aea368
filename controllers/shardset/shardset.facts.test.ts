import { expect, test } from "@jest/globals";
import { observePod } from "./shardset.facts.ts";

// Whether PostgreSQL may be at work in a pod, from what its kubelet says.

const pod = (status: Record<string, unknown>) =>
  observePod({ apiVersion: "v1", kind: "Pod", metadata: { name: "bank-0-0", namespace: "demo" }, status }, 0);
const container = (status: Record<string, unknown>) => ({
  phase: "Running",
  containerStatuses: [{ name: "postgres", ...status }],
});

test.each<[string, Record<string, unknown>, boolean]>([
  ["nothing is said", {}, false],
  ["it is not on a node", { phase: "Pending" }, false],
  [
    "trial 9: its image cannot be pulled",
    { phase: "Pending", containerStatuses: [{ name: "postgres", state: { waiting: { reason: "ErrImagePull" } } }] },
    false,
  ],
  ["its container runs", container({ started: true, state: { running: {} } }), true],
  ["its kubelet says nothing of the startup probe", container({ state: { running: {} } }), true],
  ["its kubelet says nothing of containers", { phase: "Running" }, true],
  ["its node is out of reach", { phase: "Unknown" }, true],
  [
    "its startup probe has not succeeded: nothing of ours came up",
    container({ started: false, state: { running: {} } }),
    false,
  ],
  [
    "its container waits to be started again",
    container({ started: false, state: { waiting: { reason: "CrashLoopBackOff" } } }),
    false,
  ],
  ["its container has ended", container({ started: false, state: { terminated: { exitCode: 1 } } }), false],
  [
    "a sidecar that an admission policy put before it has ended",
    {
      phase: "Running",
      containerStatuses: [
        { name: "proxy", started: false, state: { terminated: { exitCode: 0 } } },
        { name: "postgres", started: true, state: { running: {} } },
      ],
    },
    true,
  ],
  ["it has ended", { phase: "Failed" }, false],
])("PostgreSQL in a pod while %s: %j", (_name, status, may) => {
  expect(pod(status).isStarted).toBe(may);
});

// Whole objects: what the API server gets is what stands here.
import { describe, expect, test } from "@jest/globals";
import { contentHash } from "../../lib/core/canonical.ts";
import { proposeOwners } from "../../lib/core/ring.ts";
import { accessActions } from "../kit/access.ts";
import { serverNames } from "./shardset.certificates.ts";
import { agentIdentity, mapConfigMap, shardObjects } from "./shardset.objects.ts";
import { target } from "./testing/builders.ts";

const LABELS = {
  "app.kubernetes.io/name": "shieldx",
  "app.kubernetes.io/managed-by": "shieldx",
  "app.kubernetes.io/instance": "bank",
  "app.kubernetes.io/component": "shard",
  "shieldx.dev/kind": "ShardSet",
  "shieldx.dev/name": "bank",
  "shieldx.dev/component": "shard",
};
const SHARD = { "shieldx.dev/shard": "1" };
const INSTANCE = { ...SHARD, "shieldx.dev/instance": "0", "shieldx.dev/role": "primary" };
const OWNERS = [
  {
    apiVersion: "shieldx.dev/v1alpha1",
    kind: "ShardSet",
    name: "bank",
    uid: "uid-bank",
    controller: true,
    blockOwnerDeletion: true,
  },
];

describe("objects of a shard", () => {
  test("trial 11: what the autoscaler may leave behind are the scratch volumes; nobody's pod is replaced to say so", () => {
    const { pod, podHash } = shardObjects(target(), 1);
    const { volumes } = pod["spec"] as { volumes: readonly { name: string; emptyDir?: object }[] };
    const scratch = volumes.filter(({ emptyDir }) => emptyDir !== undefined).map(({ name }) => name);
    const told = pod.metadata.annotations?.["cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"];
    expect(told?.split(",")).toEqual(scratch);
    expect(podHash).toBe(contentHash(pod["spec"]));
  });

  test("the pod is restricted, has what the agent needs, and nothing else", () => {
    const pod = shardObjects(target({ postgres: { parameters: { work_mem: "8MB", jit: "off" } } }), 1).pod;
    expect(pod).toEqual({
      apiVersion: "v1",
      kind: "Pod",
      metadata: {
        name: "bank-1-0",
        namespace: "demo",
        labels: { ...LABELS, ...INSTANCE },
        annotations: {
          // Trial 11: every emptyDir of the pod, and nothing else.
          "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes": "run,tmp,shm",
          "shieldx.dev/config-hash": expect.stringMatching(/^[0-9a-f]{16}$/),
        },
        ownerReferences: OWNERS,
      },
      spec: {
        serviceAccountName: "bank-shard",
        automountServiceAccountToken: true,
        enableServiceLinks: false,
        hostname: "bank-1-0",
        restartPolicy: "Always",
        terminationGracePeriodSeconds: 40,
        securityContext: {
          runAsNonRoot: true,
          runAsUser: 10001,
          runAsGroup: 10001,
          fsGroup: 10001,
          fsGroupChangePolicy: "OnRootMismatch",
          seccompProfile: { type: "RuntimeDefault" },
        },
        topologySpreadConstraints: [
          {
            maxSkew: 1,
            topologyKey: "kubernetes.io/hostname",
            whenUnsatisfiable: "ScheduleAnyway",
            labelSelector: {
              matchLabels: {
                "shieldx.dev/kind": "ShardSet",
                "shieldx.dev/name": "bank",
                "shieldx.dev/component": "shard",
              },
            },
          },
        ],
        containers: [
          {
            name: "postgres",
            image: "shieldx-postgres:1",
            imagePullPolicy: "IfNotPresent",
            args: [
              ...["shard-agent", "--shardset", "bank", "--shard", "1", "--instance", "0"],
              ...["--tls-dir", "/etc/shieldx/tls", "--ca-dir", "/etc/shieldx/ca", "--metrics-listen", "9187"],
            ],
            env: [
              ...[
                ["SHIELDX_NAMESPACE", "metadata.namespace"],
                ["SHIELDX_POD_NAME", "metadata.name"],
                ["SHIELDX_POD_UID", "metadata.uid"],
                ["SHIELDX_POD_IP", "status.podIP"],
              ].map(([name, fieldPath]) => ({ name, valueFrom: { fieldRef: { apiVersion: "v1", fieldPath } } })),
              { name: "SHIELDX_POSTGRES_PARAMETERS", value: '{"jit":"off","work_mem":"8MB"}' },
            ],
            ports: [
              { name: "postgres", containerPort: 5432, protocol: "TCP" },
              { name: "agent", containerPort: 8443, protocol: "TCP" },
              { name: "probes", containerPort: 8080, protocol: "TCP" },
              { name: "metrics", containerPort: 9187, protocol: "TCP" },
            ],
            resources: { requests: { cpu: "100m", memory: "256Mi" } },
            securityContext: {
              allowPrivilegeEscalation: false,
              readOnlyRootFilesystem: true,
              capabilities: { drop: ["ALL"] },
            },
            startupProbe: {
              httpGet: { path: "/healthz", port: "probes" },
              timeoutSeconds: 3,
              periodSeconds: 1,
              failureThreshold: 60,
            },
            livenessProbe: {
              httpGet: { path: "/healthz", port: "probes" },
              timeoutSeconds: 3,
              periodSeconds: 10,
              failureThreshold: 6,
            },
            readinessProbe: {
              httpGet: { path: "/readyz", port: "probes" },
              timeoutSeconds: 3,
              periodSeconds: 1,
              failureThreshold: 1,
            },
            volumeMounts: [
              { name: "data", mountPath: "/var/lib/postgresql" },
              { name: "tls", mountPath: "/etc/shieldx/tls", readOnly: true },
              { name: "ca", mountPath: "/etc/shieldx/ca", readOnly: true },
              { name: "run", mountPath: "/run/postgresql" },
              { name: "tmp", mountPath: "/tmp" },
              { name: "shm", mountPath: "/dev/shm" },
            ],
          },
        ],
        volumes: [
          { name: "data", persistentVolumeClaim: { claimName: "bank-1-0" } },
          { name: "tls", secret: { secretName: "bank-1-tls", defaultMode: 0o440 } },
          { name: "ca", secret: { secretName: "bank-ca", defaultMode: 0o440 } },
          { name: "run", emptyDir: { medium: "Memory", sizeLimit: "16Mi" } },
          { name: "tmp", emptyDir: { sizeLimit: "64Mi" } },
          { name: "shm", emptyDir: { medium: "Memory", sizeLimit: "128Mi" } },
        ],
      },
    });
  });

  test("scheduling goes into the pod", () => {
    const scheduling = { nodeSelector: { disk: "ssd" }, tolerations: [{ key: "db", operator: "Exists" as const }] };
    expect(shardObjects(target({ scheduling }), 0).pod["spec"]).toMatchObject(scheduling);
  });

  test("the hash changes with what a pod reads at its start and with nothing else", () => {
    const base = shardObjects(target(), 0).podHash;
    expect(shardObjects(target({ shards: 9, storage: { size: "5Gi" }, deletionPolicy: "Delete" }), 0).podHash).toBe(
      base,
    );
    expect(shardObjects(target({ postgres: { parameters: { work_mem: "8MB" } } }), 0).podHash).not.toBe(base);
    expect(shardObjects({ ...target(), image: "shieldx-postgres:2" }, 0).podHash).not.toBe(base);
    expect(shardObjects(target(), 1).podHash).not.toBe(base);
  });

  test("the Service leads to the primary, ready or not", () => {
    expect(shardObjects(target(), 1).service).toEqual({
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "bank-1", namespace: "demo", labels: { ...LABELS, ...SHARD }, ownerReferences: OWNERS },
      spec: {
        type: "ClusterIP",
        publishNotReadyAddresses: true,
        selector: {
          "shieldx.dev/kind": "ShardSet",
          "shieldx.dev/name": "bank",
          ...SHARD,
          "shieldx.dev/role": "primary",
        },
        ports: [{ name: "postgres", port: 5432, protocol: "TCP", targetPort: "postgres" }],
      },
    });
  });

  test("the volume outlives the ShardSet and knows who made it", () => {
    expect(shardObjects(target({ storage: { size: "5Gi", storageClassName: "fast" } }), 1).claim).toEqual({
      apiVersion: "v1",
      kind: "PersistentVolumeClaim",
      metadata: {
        name: "bank-1-0",
        namespace: "demo",
        labels: { ...LABELS, ...INSTANCE },
        annotations: { "shieldx.dev/created-for": "uid-bank" },
      },
      spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "5Gi" } }, storageClassName: "fast" },
    });
  });
});

describe("objects of the set", () => {
  test("agents may touch their Leases, the map and the databases, each by name", () => {
    const aim = target({ shards: 2 });
    const [, role] = accessActions(aim.owner, aim, agentIdentity(aim));
    expect((role as { object?: unknown }).object).toHaveProperty("rules", [
      {
        apiGroups: ["coordination.k8s.io"],
        resources: ["leases"],
        resourceNames: ["bank-0", "bank-1"],
        verbs: ["get", "update", "patch"],
      },
      { apiGroups: [""], resources: ["configmaps"], resourceNames: ["bank-map"], verbs: ["get", "list", "watch"] },
      { apiGroups: [""], resources: ["secrets"], resourceNames: ["bank-databases"], verbs: ["get", "list", "watch"] },
    ]);
  });

  test("the map is written as runs, with what is known of the data", () => {
    const { data, metadata } = mapConfigMap(
      target(),
      { version: 1, epoch: 1, owners: proposeOwners(1) },
      { "systemIdentifier.0": "new" },
    );
    expect(data).toEqual({ version: "1", epoch: "1", owners: "0:0", "systemIdentifier.0": "new" });
    expect(metadata.ownerReferences).toBeUndefined();
  });

  test("certificates carry every name that clients use", () => {
    expect(serverNames(target(), 2)).toEqual([
      "bank-2",
      "bank-2.demo",
      "bank-2.demo.svc",
      "bank-2.demo.svc.cluster.local",
      "localhost",
    ]);
  });
});

import { describe, expect, test } from "@jest/globals";
import { contentHash } from "../../lib/core/canonical.ts";
import { type KubeObject, RESOURCES } from "../../lib/kube/types.ts";
import type { Action } from "../../operator/runtime/types.ts";
import { accessActions } from "../kit/access.ts";
import { pkiActions } from "../kit/pki/objects.ts";
import { withoutFieldVersions } from "../kit/pods.ts";
import { atRest } from "../kit/testing/pki.ts";
import { serverNames } from "./creditledger.names.ts";
import {
  adminKeySecret,
  databaseRequest,
  databaseRequestSecret,
  disruptionBudget,
  ledgerDeployment,
  ledgerService,
  migrationJob,
  migrationJobName,
  podConfigHash,
  podIdentity,
  rolesSecret,
  writerLease,
} from "./creditledger.objects.ts";
import { made, NAMES, target, world } from "./testing/builders.ts";

// Each owned object as a whole, as the API server will get it.

const PASSWORDS = { owner: "o", writer: "w", reader: "r" };

const LABELS = {
  "app.kubernetes.io/name": "shieldx",
  "app.kubernetes.io/managed-by": "shieldx",
  "app.kubernetes.io/instance": "bank",
  "app.kubernetes.io/component": "ledger",
  "shieldx.dev/kind": "CreditLedger",
  "shieldx.dev/name": "bank",
  "shieldx.dev/component": "ledger",
};

const SELECTOR = {
  "shieldx.dev/kind": "CreditLedger",
  "shieldx.dev/name": "bank",
  "shieldx.dev/component": "ledger",
};

const OWNER = {
  apiVersion: "shieldx.dev/v1alpha1",
  kind: "CreditLedger",
  name: "bank",
  uid: "uid-ledger",
  controller: true,
  blockOwnerDeletion: true,
};

const base64 = (text: string): string => Buffer.from(text).toString("base64");

describe("secrets", () => {
  test("the database request: labels that the ShardSet looks for, canonical JSON, no owner", () => {
    const request = databaseRequest(NAMES, { owner: "vo", writer: "vw", reader: "vr" });
    expect(databaseRequestSecret(target(), request)).toEqual({
      apiVersion: "v1",
      kind: "Secret",
      metadata: {
        name: "bank-database",
        namespace: "bank-ns",
        labels: {
          ...LABELS,
          "app.kubernetes.io/component": "database-request",
          "shieldx.dev/component": "database-request",
          "shieldx.dev/shardset": "main",
        },
      },
      type: "Opaque",
      data: {
        "request.json": base64(
          '{"database":"ledger_bank","owner":{"name":"ledger_bank_owner","verifier":"vo"},' +
            '"reader":{"name":"ledger_bank_reader","verifier":"vr"},"writer":{"name":"ledger_bank_writer","verifier":"vw"}}',
        ),
      },
    });
  });

  test("the server certificate goes with the ledger", () => {
    expect(pkiObjects("certificates")).toEqual([
      {
        apiVersion: "v1",
        kind: "Secret",
        metadata: { name: "bank-tls", namespace: "bank-ns", labels: LABELS, ownerReferences: [OWNER] },
        type: "kubernetes.io/tls",
        data: { "ca.crt": base64("ca"), "tls.crt": base64("cert"), "tls.key": base64("key") },
      },
    ]);
  });

  test("what must outlive the ledger has no owner", () => {
    const kept: KubeObject[] = [
      ...pkiObjects("authority"),
      ...pkiObjects("authority", "made now"),
      adminKeySecret(target(), "sxk_1"),
      rolesSecret(target(), PASSWORDS),
      writerLease(target(), 0),
    ];
    expect(kept.map(({ metadata }) => [metadata.name, metadata.ownerReferences])).toEqual([
      ["bank-ca", undefined],
      ["bank-ca-key", undefined],
      ["bank-admin-key", undefined],
      ["bank-roles", undefined],
      ["bank-writer-0", undefined],
    ]);
  });

  test("the certificate names every way to the Service", () => {
    expect(serverNames(target())).toEqual([
      "bank",
      "bank.bank-ns",
      "bank.bank-ns.svc",
      "bank.bank-ns.svc.cluster.local",
      "localhost",
    ]);
  });
});

describe("workload", () => {
  test("the Deployment", () => {
    const options = target({ spec: { scheduling: { nodeSelector: { disk: "fast" } } } });
    expect(ledgerDeployment(options, podConfigHash(options, PASSWORDS), "bank-migrate-1 on uid")).toEqual({
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: {
        name: "bank",
        namespace: "bank-ns",
        labels: LABELS,
        annotations: { "shieldx.dev/migration": "bank-migrate-1 on uid" },
        ownerReferences: [OWNER],
      },
      spec: {
        replicas: 2,
        revisionHistoryLimit: 2,
        selector: { matchLabels: SELECTOR },
        strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
        template: {
          metadata: {
            labels: LABELS,
            annotations: { "shieldx.dev/config-hash": podConfigHash(options, PASSWORDS) },
          },
          spec: {
            serviceAccountName: "bank-ledger",
            enableServiceLinks: false,
            nodeSelector: { disk: "fast" },
            securityContext: {
              runAsNonRoot: true,
              runAsUser: 65532,
              runAsGroup: 65532,
              fsGroup: 65532,
              seccompProfile: { type: "RuntimeDefault" },
            },
            terminationGracePeriodSeconds: 45,
            affinity: {
              podAntiAffinity: {
                preferredDuringSchedulingIgnoredDuringExecution: [
                  {
                    weight: 100,
                    podAffinityTerm: {
                      labelSelector: { matchLabels: SELECTOR },
                      topologyKey: "kubernetes.io/hostname",
                    },
                  },
                ],
              },
            },
            containers: [
              {
                name: "ledger",
                image: "shieldx:1",
                imagePullPolicy: "IfNotPresent",
                terminationMessagePolicy: "FallbackToLogsOnError",
                resources: { requests: { cpu: "100m", memory: "256Mi" }, limits: { memory: "1Gi" } },
                securityContext: {
                  allowPrivilegeEscalation: false,
                  readOnlyRootFilesystem: true,
                  capabilities: { drop: ["ALL"] },
                },
                args: [
                  ...["ledger", "serve", "--ledger", "bank-ns/bank", "--shardset", "main", "--shards", "3"],
                  ...["--database", "ledger_bank", "--postgres-ca-dir", "/etc/shieldx/postgres-ca"],
                  ...["--roles-dir", "/etc/shieldx/roles", "--assets", "CZK:2,EUR:2", "--listen", "8443"],
                  ...[
                    "--probe-listen",
                    "8080",
                    "--metrics-listen",
                    "9187",
                    "--tls-dir",
                    "/etc/shieldx/tls",
                    "--snapshot-every",
                    "100",
                  ],
                ],
                env: [
                  {
                    name: "SHIELDX_NAMESPACE",
                    valueFrom: { fieldRef: { apiVersion: "v1", fieldPath: "metadata.namespace" } },
                  },
                  {
                    name: "SHIELDX_POD_NAME",
                    valueFrom: { fieldRef: { apiVersion: "v1", fieldPath: "metadata.name" } },
                  },
                  { name: "SHIELDX_POD_UID", valueFrom: { fieldRef: { apiVersion: "v1", fieldPath: "metadata.uid" } } },
                  { name: "SHIELDX_POD_IP", valueFrom: { fieldRef: { apiVersion: "v1", fieldPath: "status.podIP" } } },
                ],
                ports: [
                  { name: "https", containerPort: 8443, protocol: "TCP" },
                  { name: "probes", containerPort: 8080, protocol: "TCP" },
                  { name: "metrics", containerPort: 9187, protocol: "TCP" },
                ],
                startupProbe: {
                  httpGet: { path: "/healthz", port: "probes" },
                  periodSeconds: 1,
                  failureThreshold: 120,
                },
                livenessProbe: {
                  httpGet: { path: "/healthz", port: "probes" },
                  periodSeconds: 10,
                  timeoutSeconds: 5,
                  failureThreshold: 3,
                },
                readinessProbe: {
                  httpGet: { path: "/readyz", port: "probes" },
                  periodSeconds: 2,
                  timeoutSeconds: 2,
                  failureThreshold: 3,
                },
                lifecycle: { preStop: { sleep: { seconds: 2 } } },
                volumeMounts: [
                  { name: "tls", mountPath: "/etc/shieldx/tls", readOnly: true },
                  { name: "postgres-ca", mountPath: "/etc/shieldx/postgres-ca", readOnly: true },
                  { name: "roles", mountPath: "/etc/shieldx/roles", readOnly: true },
                ],
              },
            ],
            volumes: [
              {
                name: "tls",
                secret: {
                  secretName: "bank-tls",
                  defaultMode: 0o440,
                  items: [
                    { key: "ca.crt", path: "ca.crt" },
                    { key: "tls.crt", path: "tls.crt" },
                    { key: "tls.key", path: "tls.key" },
                  ],
                },
              },
              {
                name: "postgres-ca",
                secret: { secretName: "main-ca", defaultMode: 0o440, items: [{ key: "ca.crt", path: "ca.crt" }] },
              },
              {
                name: "roles",
                secret: {
                  secretName: "bank-roles",
                  defaultMode: 0o440,
                  items: [
                    { key: "reader-password", path: "reader-password" },
                    { key: "writer-password", path: "writer-password" },
                  ],
                },
              },
            ],
          },
        },
      },
    });
  });

  test("the migration Job sees the owner's password and the admin key, and never the Kubernetes API", () => {
    const job = migrationJob(target(), "bank-migrate-1", ["74", undefined, "76"]);
    expect(job).toMatchObject({
      apiVersion: "batch/v1",
      kind: "Job",
      metadata: {
        labels: { "shieldx.dev/component": "migration" },
        annotations: { "shieldx.dev/migrated-clusters": "74,,76" },
        ownerReferences: [OWNER],
      },
      spec: {
        backoffLimit: 4,
        template: {
          metadata: { labels: { "shieldx.dev/component": "migration" } },
          spec: {
            restartPolicy: "Never",
            automountServiceAccountToken: false,
            containers: [
              {
                args: [
                  ...["ledger", "migrate", "--ledger", "bank-ns/bank", "--shardset", "main", "--shards", "3"],
                  ...["--database", "ledger_bank", "--postgres-ca-dir", "/etc/shieldx/postgres-ca"],
                  ...["--roles-dir", "/etc/shieldx/roles", "--assets", "CZK:2,EUR:2"],
                  ...["--admin-key-file", "/etc/shieldx/admin-key/key"],
                ],
              },
            ],
            volumes: [
              { name: "postgres-ca" },
              { name: "roles", secret: { secretName: "bank-roles", items: [{ key: "owner-password" }] } },
              { name: "admin-key", secret: { secretName: "bank-admin-key", items: [{ key: "key" }] } },
            ],
          },
        },
      },
    });
    // A finished Job stays: it is the record that its version may run.
    expect(job["spec"]).not.toHaveProperty("ttlSecondsAfterFinished");
  });

  test.each([
    ["image", { image: "shieldx:2" }, "sxk_1"],
    ["shards", { shards: 5 }, "sxk_1"],
    ["asset", { spec: { assets: [{ code: "USD", scale: 2 }] } }, "sxk_1"],
    ["admin key", {}, "sxk_2"],
  ])("another %s is another migration", (_what, changes, adminKey) => {
    const before = migrationJobName(target(), "sxk_1");
    expect(before).toMatch(/^bank-migrate-[0-9a-f]{10}$/);
    expect(migrationJobName(target(changes), adminKey)).not.toBe(before);
  });

  test.each([
    ["more replicas", { replicas: 3 }],
    ["deletion policy", { deletionPolicy: "Delete" as const }],
  ])("%s is no new migration", (_what, changes) => {
    expect(migrationJobName(target({ spec: changes }), "sxk_1")).toBe(migrationJobName(target(), "sxk_1"));
  });

  test("pods are replaced for new assets, shards and passwords, and for nothing else", () => {
    const before = podConfigHash(target(), PASSWORDS);
    expect(podConfigHash(target({ spec: { assets: [{ code: "USD", scale: 2 }] } }), PASSWORDS)).not.toBe(before);
    expect(podConfigHash(target({ shards: 5 }), PASSWORDS)).not.toBe(before);
    expect(podConfigHash(target(), { ...PASSWORDS, writer: "new" })).not.toBe(before);
    expect(podConfigHash(target({ spec: { deletionPolicy: "Delete", replicas: 3 } }), PASSWORDS)).toBe(before);
  });

  test("an upgrade with the same image replaces no pod that an earlier version made without what the server fills in", () => {
    const { spec } = (ledgerDeployment(target(), "", "")["spec"] as { template: { spec: unknown } }).template;
    const former = contentHash({ spec: withoutFieldVersions(spec), passwords: PASSWORDS });
    const now = podConfigHash(target(), PASSWORDS);
    expect(former).not.toBe(now);
    expect(podConfigHash(target(), PASSWORDS, former)).toBe(former);
    expect(podConfigHash(target(), PASSWORDS, now)).toBe(now);
    // Any other change replaces them as ever.
    expect(podConfigHash(target({ shards: 5 }), PASSWORDS, former)).toBe(
      podConfigHash(target({ shards: 5 }), PASSWORDS),
    );
  });
});

describe("where the pods run", () => {
  const affinity = { nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [] } };
  const scheduling = { affinity, priorityClassName: "banks", tolerations: [{ key: "a" }] };
  const imagePullSecrets = [{ name: "registry" }];
  const specOf = (object: KubeObject): Record<string, unknown> =>
    (object["spec"] as { template: { spec: Record<string, unknown> } }).template.spec;

  test("the spec says it for both pods; ledger pods still keep away from each other", () => {
    const given = target({ spec: { scheduling, imagePullSecrets } });
    const { podAntiAffinity } = specOf(ledgerDeployment(target(), "hash", "bank-migrate-1 on uid"))[
      "affinity"
    ] as Record<string, unknown>;
    expect(specOf(ledgerDeployment(given, "hash", "bank-migrate-1 on uid"))).toMatchObject({
      ...scheduling,
      imagePullSecrets,
      affinity: { ...affinity, podAntiAffinity },
    });
    expect(specOf(migrationJob(given, "job", []))).toMatchObject({ ...scheduling, imagePullSecrets });
  });

  test("anti-affinity of the spec takes the place of ours", () => {
    const own = { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [] } };
    const given = target({ spec: { scheduling: { affinity: own } } });
    expect(specOf(ledgerDeployment(given, "hash", "bank-migrate-1 on uid"))["affinity"]).toEqual(own);
  });
});

describe("network and access", () => {
  const metadata = (name: string): unknown => ({
    name,
    namespace: "bank-ns",
    labels: LABELS,
    ownerReferences: [OWNER],
  });

  test("the Service", () => {
    expect(ledgerService(target())).toEqual({
      apiVersion: "v1",
      kind: "Service",
      metadata: metadata("bank"),
      spec: {
        type: "ClusterIP",
        selector: SELECTOR,
        ports: [{ name: "https", port: 443, protocol: "TCP", targetPort: "https" }],
      },
    });
  });

  test("the disruption budget", () => {
    expect(disruptionBudget(target())).toEqual({
      apiVersion: "policy/v1",
      kind: "PodDisruptionBudget",
      metadata: metadata("bank"),
      spec: { maxUnavailable: 1, selector: { matchLabels: SELECTOR } },
    });
  });

  test("the pods may touch their own Leases and read one map", () => {
    const aim = target({ shards: 2 });
    const [account, role, binding] = objectsOf(accessActions(aim.owner, aim, podIdentity(aim)));
    expect(account).toEqual({
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: metadata("bank-ledger"),
    });
    expect(role).toEqual({
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "Role",
      metadata: metadata("bank-ledger"),
      rules: [
        {
          apiGroups: ["coordination.k8s.io"],
          resources: ["leases"],
          resourceNames: ["bank-writer-0", "bank-writer-1"],
          verbs: ["get", "update", "patch"],
        },
        { apiGroups: [""], resources: ["configmaps"], resourceNames: ["main-map"], verbs: ["get", "list", "watch"] },
      ],
    });
    expect(binding).toEqual({
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "RoleBinding",
      metadata: metadata("bank-ledger"),
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "bank-ledger" },
      subjects: [{ kind: "ServiceAccount", name: "bank-ledger", namespace: "bank-ns" }],
    });
  });

  test("a writer Lease", () => {
    expect(writerLease(target(), 2)).toEqual({
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { name: "bank-writer-2", namespace: "bank-ns", labels: { ...LABELS, "shieldx.dev/shard": "2" } },
      spec: { leaseTransitions: 0 },
    });
  });
});

function objectsOf(actions: readonly Action[]): KubeObject[] {
  return actions.flatMap((action) => ("object" in action ? [action.object] : []));
}

/** Secrets of CA or certificate. */
function pkiObjects(part: "authority" | "certificates", ca: "kept" | "made now" = "kept"): KubeObject[] {
  const pair = { certPem: "cert", keyPem: "key" };
  const secret = (name: string) => ({ resource: RESOURCES.Secret, namespace: "bank-ns", name, uid: "u" });
  const caKey = ca === "made now" ? undefined : { ...secret("bank-ca-key"), value: { certPem: "ca", keyPem: "key" } };
  const seen = world({ caKey, tls: { ...secret("bank-tls"), value: pair } });
  const { pki } = made(ca === "made now" ? { pki: { ca: pair, leaves: new Map() } } : {});
  return objectsOf(pkiActions({ ...seen, owner: seen.target.owner, names: NAMES, made: atRest(seen, pki) })[part]);
}

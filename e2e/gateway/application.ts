import type { KubeObject } from "../../lib/kube/types.ts";

/** One version of the application for releases: a Deployment and a Service of the same name. */
export interface Application {
  readonly namespace: string;
  readonly name: string;
  /** What the header `x-version` says. */
  readonly version: string;
  readonly image: string;
  readonly replicas?: number;
  /** ERRORS (share of 500s), LATENCY_MS, READY, GREETING, DRAIN_MS, SETTINGS: see e2e/gateway/README.md. */
  readonly env?: Readonly<Record<string, string>>;
  /** Name of a ConfigMap whose key `settings.json` goes before `env`. */
  readonly settings?: string;
}

/** Where a ConfigMap of settings is mounted, as a folder: a single file would never change. */
const SETTINGS_FOLDER = "/settings";

/** Ports of the Service: HTTP, and HTTP/2 without TLS for gRPC. Both lead to the same server. */
export const APPLICATION_PORTS = { http: 80, grpc: 81 } as const;

/** What Pod Security's level "restricted" asks of a pod and of its containers. */
export const RESTRICTED = {
  pod: { runAsNonRoot: true, runAsUser: 65532, runAsGroup: 65532, seccompProfile: { type: "RuntimeDefault" } },
  container: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ["ALL"] } },
} as const;

/** Deployment and Service of one version. */
export function applicationObjects(application: Application): KubeObject[] {
  const { namespace, name } = application;
  const labels = { "app.kubernetes.io/name": name };
  return [
    {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name, namespace, labels },
      spec: {
        replicas: application.replicas ?? 1,
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: podSpec(application) },
      },
    },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name, namespace, labels },
      spec: {
        selector: labels,
        ports: [
          { name: "http", port: APPLICATION_PORTS.http, targetPort: 8080 },
          { name: "grpc", port: APPLICATION_PORTS.grpc, targetPort: 8080, appProtocol: "kubernetes.io/h2c" },
        ],
      },
    },
  ];
}

function podSpec({ version, image, env = {}, settings }: Application): object {
  const variables = {
    VERSION: version,
    ...env,
    ...(settings === undefined ? {} : { SETTINGS: `${SETTINGS_FOLDER}/settings.json` }),
  };
  return {
    automountServiceAccountToken: false,
    securityContext: RESTRICTED.pod,
    containers: [
      {
        name: "app",
        image,
        imagePullPolicy: "IfNotPresent",
        args: ["serve"],
        env: Object.entries(variables).map(([name, value]) => ({ name, value })),
        ports: [{ name: "http", containerPort: 8080 }],
        readinessProbe: { httpGet: { port: "http", path: "/ready" }, periodSeconds: 1 },
        livenessProbe: { httpGet: { port: "http", path: "/live" } },
        resources: { requests: { cpu: "10m", memory: "16Mi" } },
        securityContext: RESTRICTED.container,
        ...(settings === undefined ? {} : { volumeMounts: [{ name: "settings", mountPath: SETTINGS_FOLDER }] }),
      },
    ],
    ...(settings === undefined ? {} : { volumes: [{ name: "settings", configMap: { name: settings } }] }),
  };
}

import { generateKeyPairSync, randomBytes } from "node:crypto";
import { access, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { systemClock } from "../lib/core/clock.ts";
import { createKubeClient, type KubeClient } from "../lib/kube/client.ts";
import { createTransport, type KubeEndpoint } from "../lib/kube/transport.ts";
import { temporaryFolder } from "../lib/node/testing/leftovers.ts";
import { type Child, startChild, waitForProbe } from "./child-process.ts";
import { apiServerFlags, type ControlPlanePorts, etcdFlags, garbageCollectorFlags } from "./kube-flags.ts";

/** A real etcd and kube-apiserver on loopback, without scheduler or nodes, and without controllers unless asked for. */
export interface TestControlPlane {
  /** `https://127.0.0.1:port` */
  readonly server: string;
  /** Certificate that clients trust, PEM. */
  readonly ca: string;
  /** Bearer token of a member of `system:masters`. */
  readonly token: string;
  /** Path of a kubeconfig with the same credentials. */
  readonly kubeconfig: string;
  /** Path of the audit log, one JSON event a line; empty unless `auditPolicy` was given. */
  readonly auditLog: string;
  /** An endpoint with the admin's token. */
  endpoint(namespace?: string): KubeEndpoint;
  /** A new client with a transport of its own; closed by `stop`. */
  client(namespace?: string): KubeClient;
  /** The API server's process; another one after `start`. */
  pid(): number;
  /** Freezes the API server (SIGSTOP), as a partition or an overloaded node does. */
  pause(): void;
  resume(): void;
  /** Ends the API server by SIGKILL; the data stay. */
  kill(): Promise<void>;
  /** Starts the API server again, on the same port and data, and waits until it is ready. */
  start(): Promise<void>;
  /** `kill` and `start`. */
  restart(): Promise<void>;
  /**
   * Makes etcd forget all versions but the present one. The API server's own window of versions is not touched: after a
   * `restart` it begins with the present one too, and then older ones answer 410.
   */
  compact(): Promise<void>;
  /** Ends all processes and removes their files. */
  stop(): Promise<void>;
}

export interface ControlPlaneOptions {
  /** Added to the API server's flags; the last one of a name counts. */
  readonly apiserverArguments?: readonly string[];
  /** An `audit.k8s.io/v1` Policy; written to a file, with the log beside it. */
  readonly auditPolicy?: object;
  /** Runs kube-controller-manager with its garbage collector alone. */
  readonly garbageCollector?: boolean;
}

/** One program that is all of Kubernetes' servers, by its first argument; see e2e/cluster/kube. */
const KUBE_PROGRAM = resolve(import.meta.dirname, "../.build/bin/kube");
/** A cold start on two busy cores. */
const START_TIMEOUT_MS = 90_000;

/** Starts the processes with their own folder, ports and certificates, and waits until the server is ready. */
export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<TestControlPlane> {
  await access(KUBE_PROGRAM).catch(() => {
    throw new Error(`${KUBE_PROGRAM} is missing: run 'make tools' first`);
  });
  const directory = temporaryFolder("kube");
  const clients: KubeClient[] = [];
  let etcd: Child | undefined;
  let apiserver: Child | undefined;
  let garbageCollector: Child | undefined;
  const run = (name: string, flags: readonly string[]): Child =>
    startChild(KUBE_PROGRAM, [name, ...flags], { name, directory });
  const stop = async (): Promise<void> => {
    await Promise.all(clients.map((client) => client.close()));
    // Whoever reads from the API server goes before it: it waits for its readers, and they for it.
    for (const child of [garbageCollector, apiserver, etcd]) await child?.stop();
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  };

  try {
    const ports = await freePorts();
    const server = `https://127.0.0.1:${ports.api}`;
    const token = await writeCredentials(directory);
    const auditLog = options.auditPolicy === undefined ? "" : join(directory, "audit.log");
    const flags = [
      ...apiServerFlags(directory, ports),
      ...(await auditFlags(directory, options.auditPolicy)),
      ...(options.apiserverArguments ?? []),
    ];
    const wait = <T>(what: string, probe: () => Promise<T>): Promise<T> => {
      const children = [etcd, apiserver].filter((child) => child !== undefined);
      return waitForProbe(what, probe, { children, timeoutMs: START_TIMEOUT_MS });
    };

    etcd = run("etcd", etcdFlags(directory, ports));
    apiserver = run("kube-apiserver", flags);
    const ca = await wait("the server's certificate", () => readWholeCertificate(join(directory, "apiserver.crt")));
    const tls = { ca };
    const endpoint = (namespace = "default"): KubeEndpoint => ({
      server,
      namespace,
      credentials: async () => ({ headers: { authorization: `Bearer ${token}` }, tls }),
      forget: () => undefined,
    });
    const client = (namespace = "default"): KubeClient => {
      const made = createKubeClient({
        transport: createTransport(endpoint(namespace)),
        namespace,
        userAgent: "shieldx/test",
        clock: systemClock,
        random: () => 0.5,
      });
      clients.push(made);
      return made;
    };

    const admin = client();
    const ready = () =>
      wait("readiness", () => admin.getPath("/api/v1/namespaces/default", { timeoutMs: 2_000, retries: 0 }));
    await ready();
    const kubeconfig = join(directory, "admin.kubeconfig");
    await writeFile(kubeconfig, kubeconfigText(server, ca, token), { mode: 0o600 });
    if (options.garbageCollector === true) {
      garbageCollector = run("kube-controller-manager", garbageCollectorFlags(directory, ports));
    }
    const plane: TestControlPlane = {
      server,
      ca,
      token,
      kubeconfig,
      auditLog,
      endpoint,
      client,
      pid: () => apiserver?.pid ?? 0,
      pause: () => apiserver?.signal("SIGSTOP"),
      resume: () => apiserver?.signal("SIGCONT"),
      kill: async () => {
        await apiserver?.kill();
        apiserver = undefined;
      },
      start: async () => {
        apiserver ??= run("kube-apiserver", flags);
        await ready();
      },
      restart: async () => {
        await plane.kill();
        await plane.start();
      },
      compact: () => compactEtcd(`http://127.0.0.1:${ports.etcd}`),
      stop,
    };
    return plane;
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The server makes the file first and fills it then: what is read between is a trust in nobody, or in the system's own authorities. */
async function readWholeCertificate(path: string): Promise<string> {
  const pem = await readFile(path, "utf8");
  if (!pem.trimEnd().endsWith("-----END CERTIFICATE-----")) throw new Error(`${path} is not whole yet`);
  return pem;
}

/** Keys of service account tokens, and an administrator. @returns the administrator's token */
async function writeCredentials(directory: string): Promise<string> {
  const token = randomBytes(16).toString("hex");
  const keys = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const privateKey = keys.privateKey.export({ type: "pkcs1", format: "pem" });
  await writeFile(join(directory, "sa.key"), privateKey, { mode: 0o600 });
  await writeFile(join(directory, "sa.pub"), keys.publicKey.export({ type: "spki", format: "pem" }));
  await writeFile(join(directory, "tokens.csv"), `${token},admin,admin,system:masters\n`, { mode: 0o600 });
  return token;
}

async function auditFlags(directory: string, policy: object | undefined): Promise<string[]> {
  if (policy === undefined) return [];
  const path = join(directory, "audit-policy.json");
  await writeFile(path, JSON.stringify(policy));
  return [`--audit-policy-file=${path}`, `--audit-log-path=${join(directory, "audit.log")}`];
}

/** Compaction through etcd's JSON gateway, at the version that a read just saw. */
async function compactEtcd(etcd: string): Promise<void> {
  const post = async (path: string, body: object): Promise<{ header?: { revision?: string } }> => {
    const response = await fetch(`${etcd}${path}`, { method: "POST", body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`etcd ${path}: HTTP ${response.status} ${await response.text()}`);
    return (await response.json()) as { header?: { revision?: string } };
  };
  const { header } = await post("/v3/kv/range", { key: Buffer.from("/").toString("base64") });
  await post("/v3/kv/compaction", { revision: header?.revision, physical: true });
}

/** Ports that were free a moment ago; all are held until the last is known, so that they differ. */
async function freePorts(): Promise<ControlPlanePorts> {
  const servers = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const server = createServer();
      await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
  const [etcd, etcdPeer, api, manager] = ports as [number, number, number, number];
  return { etcd, etcdPeer, api, manager };
}

function kubeconfigText(server: string, ca: string, token: string): string {
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "test", cluster: { server, "certificate-authority-data": Buffer.from(ca).toString("base64") } }],
    users: [{ name: "admin", user: { token } }],
    contexts: [{ name: "test", context: { cluster: "test", user: "admin", namespace: "default" } }],
    "current-context": "test",
  });
}

import { type ChildProcess, spawn } from "node:child_process";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { access, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { systemClock } from "../../lib/core/clock.ts";
import { createKubeClient, type KubeClient } from "../../lib/kube/client.ts";
import { createTransport, type KubeEndpoint } from "../../lib/kube/transport.ts";

/** A real etcd and kube-apiserver on loopback, without controllers, scheduler or nodes. */
export interface TestControlPlane {
  /** `https://127.0.0.1:port` */
  readonly server: string;
  /** Certificate that clients trust, PEM. */
  readonly ca: string;
  /** Bearer token of a member of `system:masters`. */
  readonly token: string;
  /** Path of a kubeconfig with the same credentials. */
  readonly kubeconfig: string;
  /** An endpoint with the admin's token. */
  endpoint(namespace?: string): KubeEndpoint;
  /** A new client with a transport of its own; closed by `stop`. */
  client(namespace?: string): KubeClient;
  /** Freezes the API server (SIGSTOP), as a partition or an overloaded node does. */
  pause(): void;
  resume(): void;
  /** Ends both processes and removes their files. */
  stop(): Promise<void>;
}

/** One program that is etcd and kube-apiserver, by its first argument; see e2e/cluster/kube. */
const KUBE_PROGRAM = resolve(import.meta.dirname, "../../.build/bin/kube");
/** A cold start on two busy cores. */
const START_TIMEOUT_MS = 90_000;
const POLL_MS = 50;
const STOP_TIMEOUT_MS = 10_000;

/** What a benchmark or a test may change about the API server. */
export interface ControlPlaneOptions {
  /** Further flags of kube-apiserver, for example for an audit log. */
  readonly apiserverArguments?: readonly string[];
}

/** Starts both processes with their own folder, ports and certificates, and waits until the server is ready. */
export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<TestControlPlane> {
  await access(KUBE_PROGRAM).catch(() => {
    throw new Error(`${KUBE_PROGRAM} is missing: run 'make tools' first`);
  });
  const directory = await mkdtemp(join(tmpdir(), "shieldx-kube-"));
  const children: Child[] = [];
  const clients: KubeClient[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(clients.map((client) => client.close()));
    for (const child of children.toReversed()) await child.stop();
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  };

  try {
    const [clientPort, peerPort, apiPort] = (await freePorts(3)) as [number, number, number];
    const token = randomBytes(16).toString("hex");
    const keys = generateKeyPairSync("rsa", { modulusLength: 2048 });
    await writeFile(join(directory, "sa.key"), keys.privateKey.export({ type: "pkcs1", format: "pem" }), {
      mode: 0o600,
    });
    await writeFile(join(directory, "sa.pub"), keys.publicKey.export({ type: "spki", format: "pem" }));
    await writeFile(join(directory, "tokens.csv"), `${token},admin,admin,system:masters\n`, { mode: 0o600 });

    const etcd = startChild(directory, "etcd", etcdArguments(directory, clientPort, peerPort));
    children.push(etcd);
    const apiserver = startChild(directory, "kube-apiserver", [
      ...apiserverArguments(directory, clientPort, apiPort),
      ...(options.apiserverArguments ?? []),
    ]);
    children.push(apiserver);

    const server = `https://127.0.0.1:${apiPort}`;
    const ca = await waitFor("the server's certificate", children, () =>
      readFile(join(directory, "apiserver.crt"), "utf8"),
    );
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
    await waitFor("readiness", children, async () => {
      await admin.getPath("/api/v1/namespaces/default", { timeoutMs: 2_000, retries: 0 });
    });
    const kubeconfig = join(directory, "admin.kubeconfig");
    await writeFile(kubeconfig, kubeconfigText(server, ca, token), { mode: 0o600 });
    return {
      server,
      ca,
      token,
      kubeconfig,
      endpoint,
      client,
      pause: () => apiserver.signal("SIGSTOP"),
      resume: () => apiserver.signal("SIGCONT"),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function etcdArguments(directory: string, clientPort: number, peerPort: number): string[] {
  return [
    `--data-dir=${join(directory, "etcd")}`,
    `--listen-client-urls=http://127.0.0.1:${clientPort}`,
    `--advertise-client-urls=http://127.0.0.1:${clientPort}`,
    `--listen-peer-urls=http://127.0.0.1:${peerPort}`,
    `--initial-advertise-peer-urls=http://127.0.0.1:${peerPort}`,
    `--initial-cluster=default=http://127.0.0.1:${peerPort}`,
    // Nothing here has to outlive the test.
    "--unsafe-no-fsync",
    "--log-level=warn",
  ];
}

function apiserverArguments(directory: string, etcdPort: number, port: number): string[] {
  return [
    `--etcd-servers=http://127.0.0.1:${etcdPort}`,
    "--bind-address=127.0.0.1",
    // A loopback address cannot be published as the endpoint of Service "kubernetes", and nobody here needs that.
    "--endpoint-reconciler-type=none",
    `--secure-port=${port}`,
    `--cert-dir=${directory}`,
    `--token-auth-file=${join(directory, "tokens.csv")}`,
    "--authorization-mode=RBAC",
    "--service-cluster-ip-range=10.96.0.0/16",
    "--service-account-issuer=https://kubernetes.default.svc",
    `--service-account-key-file=${join(directory, "sa.pub")}`,
    `--service-account-signing-key-file=${join(directory, "sa.key")}`,
    // No service account controller runs here, so Pods could not be created.
    "--disable-admission-plugins=ServiceAccount",
    "--allow-privileged=true",
  ];
}

interface Child {
  readonly name: string;
  /** The exit code or signal, once it has ended. */
  ended(): string | undefined;
  output(): Promise<string>;
  signal(name: NodeJS.Signals): void;
  stop(): Promise<void>;
}

function startChild(directory: string, name: string, args: readonly string[]): Child {
  const child: ChildProcess = spawn(KUBE_PROGRAM, [name, ...args], {
    cwd: directory,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const lines: string[] = [];
  let end: string | undefined;
  const keep = (data: Buffer): void => {
    lines.push(data.toString("utf8"));
    // The last words are the ones that explain a failure.
    if (lines.length > 200) lines.shift();
  };
  child.stdout?.on("data", keep);
  child.stderr?.on("data", keep);
  child.once("error", (error) => {
    end ??= error.message;
  });
  const exited = new Promise<void>((done) => {
    child.once("exit", (code, signal) => {
      end ??= `exit ${code ?? signal}`;
      done();
    });
  });
  return {
    name,
    ended: () => end,
    output: async () => lines.join(""),
    signal: (signal) => void child.kill(signal),
    stop: async () => {
      if (end !== undefined) return;
      child.kill("SIGCONT");
      child.kill("SIGTERM");
      const killer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
      await exited;
      clearTimeout(killer);
    },
  };
}

async function waitFor<T>(what: string, children: readonly Child[], probe: () => Promise<T>): Promise<T> {
  const endsAt = systemClock.monotonic() + START_TIMEOUT_MS;
  for (;;) {
    try {
      return await probe();
    } catch (error) {
      const dead = children.find((child) => child.ended() !== undefined);
      if (dead !== undefined) throw new Error(`${dead.name} ended (${dead.ended()}):\n${await dead.output()}`);
      if (systemClock.monotonic() > endsAt)
        throw new Error(`no ${what} within ${START_TIMEOUT_MS} ms`, { cause: error });
    }
    await systemClock.sleep(POLL_MS);
  }
}

/** Ports that were free a moment ago; all are held until the last is known, so that they differ. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
  return ports;
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

import { execFile, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { chmod, chown, mkdir, rm, writeFile } from "node:fs/promises";
import { request } from "node:https";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { type AgentStatus, agentStatus, OPERATOR_COMMON_NAME } from "../../../crds/agent-status.ts";
import { systemClock } from "../../../lib/core/clock.ts";
import { type CertificatePair, createCertificateAuthority, issueCertificate } from "../../../lib/node/certificates.ts";
import type { PostgresTarget } from "../../../lib/node/postgres.ts";
import { temporaryFolder, trackContainer } from "../../../lib/node/testing/leftovers.ts";

/** The operating system layer of image shieldx-postgres: PostgreSQL without the program, which is mounted. */
const IMAGE = "localhost/shieldx-postgres:os";
const REPOSITORY = resolve(import.meta.dirname, "../../..");
const USER_ID = 10_001;
const POLL_MS = 50;
const DEADLINE_MS = 60_000;

const execFileAsync = promisify(execFile);

/** Folders, certificates and ports of one shard; they outlive its containers, as a volume and Secrets do. */
export interface ShardHost {
  readonly directory: string;
  readonly ca: CertificatePair;
  readonly operator: CertificatePair;
  readonly postgresPort: number;
  /** Writes a new server certificate to where the agent reads it. */
  renewCertificate(): Promise<CertificatePair>;
  remove(): Promise<void>;
}

/** What to start an agent with. */
export interface AgentOptions {
  readonly shardSet: string;
  readonly shard: number;
  readonly kubeconfig: string;
  readonly podUid?: string;
  readonly parameters?: Readonly<Record<string, string>>;
}

/** An agent in a container, as restricted as the pod. */
export interface AgentContainer {
  readonly podUid: string;
  /** Plain HTTP server of the metrics, without a path. */
  readonly metricsUrl: string;
  /** `undefined` while the agent does not answer. */
  status(): Promise<AgentStatus | undefined>;
  /** Body of a GET with the given client certificate, trusting its bundle or else the host's CA. */
  get(path: string, client?: CertificatePair & { readonly caPem?: string }): Promise<{ status: number; body: string }>;
  /** Answer to a POST of the operator. */
  post(path: string, body: string): Promise<{ status: number; body: string }>;
  /** Waits until the agent's status satisfies `test`. */
  until(what: string, test: (status: AgentStatus) => boolean): Promise<AgentStatus>;
  /** Runs a command in the container as the container's user. */
  exec(...command: string[]): Promise<string>;
  /** SQL over the local socket as superuser. */
  sql(database: string, text: string): Promise<string>;
  /** SIGTERM, then waits. @returns the exit code */
  stop(): Promise<number>;
  /** SIGKILL to the whole container, as a node loss does. */
  kill(): Promise<void>;
  /** Waits until the container has ended by itself. @returns the exit code */
  ended(): Promise<number>;
  logs(): Promise<string>;
}

/**
 * Makes folders with the ownership that the kubelet gives them, and certificates.
 * @param volumeMib size of the volume, which is a file system of its own then (root only)
 * @throws Error when the file system cannot be mounted
 */
export async function createShardHost(shardSet: string, shard: number, volumeMib?: number): Promise<ShardHost> {
  const directory = temporaryFolder("agent");
  await chmod(directory, 0o755);
  const now = systemClock.now();
  const ca = await createCertificateAuthority("test", now);
  const operator = await issueCertificate(ca, { commonName: OPERATOR_COMMON_NAME, usage: "client" }, now);
  for (const name of ["volume", "tls", "ca", "kube"]) await mkdir(join(directory, name));
  const volume = join(directory, "volume");
  if (volumeMib !== undefined) {
    await execFileAsync("mount", ["-t", "tmpfs", "-o", `size=${volumeMib}m,mode=0700`, "tmpfs", volume]);
  }
  await chown(volume, USER_ID, USER_ID);
  await writeFile(join(directory, "ca", "ca.crt"), ca.certPem);
  const renewCertificate = async (): Promise<CertificatePair> => {
    const pair = await issueCertificate(
      ca,
      {
        commonName: `${shardSet}-${shard}`,
        usage: "server",
        dnsNames: [`${shardSet}-${shard}`, "localhost"],
        ipAddresses: ["127.0.0.1"],
      },
      systemClock.now(),
    );
    await writeFile(join(directory, "tls", "tls.crt"), pair.certPem);
    await writeFile(join(directory, "tls", "tls.key"), pair.keyPem);
    return pair;
  };
  await renewCertificate();
  const [postgresPort] = (await freePorts(1)) as [number];
  return {
    directory,
    ca,
    operator,
    postgresPort,
    renewCertificate,
    remove: async () => {
      if (volumeMib !== undefined) await execFileAsync("umount", [volume]);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Starts the agent on the host's folders. Read-only root, no capabilities, no new privileges, as the pod. */
export async function startAgent(host: ShardHost, options: AgentOptions): Promise<AgentContainer> {
  const podUid = options.podUid ?? randomUUID();
  const name = `shieldx-agent-test-${randomUUID().slice(0, 8)}`;
  const [listen, probes, metrics] = (await freePorts(3)) as [number, number, number];
  const kubeconfig = join(host.directory, "kube", "config");
  await execFileAsync("cp", [options.kubeconfig, kubeconfig]);
  await chmod(kubeconfig, 0o644);
  // As an emptyDir: new for each container.
  const scratch = `scratch-${name}`;
  await mkdir(join(host.directory, scratch));
  await chown(join(host.directory, scratch), USER_ID, USER_ID);
  const volume = (from: string, to: string, mode: string): string[] => [
    "-v",
    `${join(host.directory, from)}:${to}:${mode}`,
  ];
  const entry = `import("/opt/src/dataplane/shardagent/shardagent.main.ts").then(async (m) => { process.exitCode = await m.run(process.argv.slice(1)); })`;
  const args = [
    ...["run", "--name", name, "--network", "host", "--user", `${USER_ID}:${USER_ID}`, "--read-only"],
    ...["--cap-drop", "all", "--security-opt", "no-new-privileges", "--shm-size", "64m"],
    ...volume(scratch, "/run/postgresql", "rw"),
    ...volume(scratch, "/tmp", "rw"),
    ...["-v", `${REPOSITORY}:/opt/src:ro`],
    ...volume("volume", "/var/lib/postgresql", "rw"),
    ...volume("tls", "/etc/shieldx/tls", "ro"),
    ...volume("ca", "/etc/shieldx/ca", "ro"),
    ...volume("kube", "/etc/shieldx/kube", "ro"),
    ...["-e", "SHIELDX_NAMESPACE=default", "-e", `SHIELDX_POD_NAME=${options.shardSet}-${options.shard}-0`],
    ...[
      "-e",
      `SHIELDX_POD_UID=${podUid}`,
      "-e",
      `SHIELDX_POSTGRES_PARAMETERS=${JSON.stringify(options.parameters ?? {})}`,
    ],
    ...[IMAGE, "tini", "-g", "--", "/opt/src/node_modules/node/bin/node", "--disable-warning=ExperimentalWarning"],
    ...["--input-type=module", "-e", entry, "--"],
    ...["--shardset", options.shardSet, "--shard", String(options.shard), "--kubeconfig", "/etc/shieldx/kube/config"],
    ...["--listen", String(listen), "--probe-listen", String(probes), "--postgres-port", String(host.postgresPort)],
    ...["--metrics-listen", String(metrics)],
  ];
  const output: string[] = [];
  const forget = trackContainer(name);
  const child = spawn("podman", args, { stdio: ["ignore", "pipe", "pipe"] });
  child.stdout.on("data", (data: Buffer) => output.push(data.toString()));
  child.stderr.on("data", (data: Buffer) => output.push(data.toString()));
  const ended = new Promise<number>((done) => child.once("exit", (code) => done(code ?? -1)));
  let hasEnded = false;
  void ended.then(() => {
    hasEnded = true;
  });

  const podman = async (...command: string[]): Promise<string> =>
    (await execFileAsync("podman", command, { maxBuffer: 16 * 1024 * 1024 })).stdout;

  const ask = (
    path: string,
    {
      client = host.operator,
      body,
    }: { readonly client?: (CertificatePair & { readonly caPem?: string }) | undefined; readonly body?: string },
  ): Promise<{ status: number; body: string }> =>
    new Promise((done, fail) => {
      const sent = request(
        {
          host: "127.0.0.1",
          port: listen,
          path,
          method: body === undefined ? "GET" : "POST",
          ca: client.caPem ?? host.ca.certPem,
          cert: client.certPem,
          key: client.keyPem,
          minVersion: "TLSv1.3",
          agent: false,
          timeout: 10_000,
        },
        (response) => {
          const parts: string[] = [];
          response.setEncoding("utf8");
          response.on("data", (part: string) => parts.push(part));
          response.on("end", () => done({ status: response.statusCode ?? 0, body: parts.join("") }));
        },
      );
      sent.on("error", fail);
      sent.on("timeout", () => sent.destroy(new Error("no answer")));
      sent.end(body);
    });
  const get = (path: string, client?: CertificatePair): Promise<{ status: number; body: string }> =>
    ask(path, { client });

  const status = async (): Promise<AgentStatus | undefined> => {
    try {
      return agentStatus.parse(JSON.parse((await get("/status")).body));
    } catch {
      return undefined;
    }
  };

  return {
    podUid,
    metricsUrl: `http://127.0.0.1:${metrics}`,
    get,
    post: (path, body) => ask(path, { body }),
    status,
    until: async (what, test) => {
      const endsAt = systemClock.monotonic() + DEADLINE_MS;
      for (;;) {
        const now = await status();
        if (now !== undefined && test(now)) return now;
        if (hasEnded || systemClock.monotonic() > endsAt) {
          throw new Error(`agent is not ${what}: ${JSON.stringify(now)}\n${output.join("")}`);
        }
        await systemClock.sleep(POLL_MS);
      }
    },
    exec: (...command) => podman("exec", name, ...command),
    sql: async (database, text) => {
      const flags = ["-h", "/run/postgresql", "-p", String(host.postgresPort), "-U", "postgres", "-d", database];
      return (await podman("exec", name, "psql", ...flags, "-v", "ON_ERROR_STOP=1", "-XAtc", text)).trim();
    },
    stop: async () => {
      if (!hasEnded) await podman("stop", "--time", "40", name);
      const code = await ended;
      await podman("rm", "-f", name);
      forget();
      return code;
    },
    kill: async () => {
      await podman("rm", "-f", "--time", "0", name);
      await ended;
      forget();
    },
    ended: () => ended,
    logs: async () => output.join(""),
  };
}

/** A login over TCP with full verification of the server. */
export function tcpTarget(
  host: ShardHost,
  login: { database: string; user: string; password: string },
): PostgresTarget {
  return {
    address: { host: "127.0.0.1", port: host.postgresPort, caPem: host.ca.certPem },
    ...login,
    applicationName: "test",
  };
}

/** Ports that were free a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((done) => server.listen(0, done));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
  return ports;
}

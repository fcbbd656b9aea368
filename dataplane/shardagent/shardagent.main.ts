import { randomInt } from "node:crypto";
import { type Clock, systemClock } from "../../lib/core/clock.ts";
import { toOperatorError } from "../../lib/core/errors.ts";
import { inClusterEndpoint } from "../../lib/kube/auth-incluster.ts";
import { createKubeClient, type KubeClient } from "../../lib/kube/client.ts";
import { createLeaseHolder, type LeaseHolder } from "../../lib/kube/lease.ts";
import { createTransport, type KubeEndpoint } from "../../lib/kube/transport.ts";
import { environment } from "../../lib/node/env.ts";
import { METRICS_CONTENT_TYPE, startMetricsServer } from "../../lib/node/http-server.ts";
import { createLifecycle, type Lifecycle } from "../../lib/node/lifecycle.ts";
import { createLogger, type Logger } from "../../lib/node/logger.ts";
import { type Agent, createAgent } from "./agent.ts";
import { readTlsFiles, type TlsFiles, watchTlsFiles } from "./certificate-files.ts";
import { STOP_LIMIT_MS, type StopMode } from "./postmaster.ts";
import { type AgentConfig, parseAgentConfig } from "./shardagent.config.ts";
import { startServers } from "./shardagent.server.ts";

/** Its own limits end it before. */
const POSTGRES_STOP_MS = STOP_LIMIT_MS + 1_000;
/** The volume may not answer: nothing is lost with a loop that waits for it. */
const LOOPS_STOP_MS = 2_000;

/** Why the agent ends, and how. */
interface End {
  readonly cause: string;
  /** Exit code of the process. */
  readonly code: number;
  readonly mode: StopMode;
  readonly shown: "Stopping" | "LeaseLost";
}

interface Context {
  readonly config: AgentConfig;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  readonly lifecycle: Lifecycle;
}

/**
 * Runs `shieldx shard-agent` until SIGTERM or SIGINT, or until the shard's Lease goes to another pod.
 * @param args flags after the subcommand
 * @param random in [0, 1); spreads retries
 * @returns exit code: 0 after a clean stop, 1 when the Lease was lost or a step of the stop failed
 * @throws OperatorError CONFIG_INVALID, USAGE, CERTIFICATE_INVALID, KUBE_CONFIG_INVALID before anything was started
 */
export async function run(args: readonly string[], random: () => number = cryptoRandom): Promise<number> {
  const env = environment();
  const config = parseAgentConfig(args, env);
  const { shardset, shard, instance } = config;
  const log = createLogger(config.logLevel, { process: "shard-agent", shardset, shard, instance });
  const context: Context = { config, clock: systemClock, log, random, lifecycle: createLifecycle(log) };
  const tls = await readTlsFiles(config.tlsDir, config.caDir);
  const endpoint = await openEndpoint(config, env);
  return serve(context, tls, endpoint);
}

async function serve(context: Context, tls: TlsFiles, endpoint: KubeEndpoint): Promise<number> {
  const { config, clock, log, random, lifecycle } = context;
  const kube = createKubeClient({
    transport: createTransport(endpoint),
    namespace: config.namespace,
    userAgent: "shieldx (shard-agent)",
    clock,
    random,
  });
  const end = Promise.withResolvers<End>();
  const lease = createShardLease(context, kube, {
    annotations: () => agent.leaseAnnotations(),
    changed: () => agent.leaseChanged(),
    // Every moment counts: whoever has the Lease now may start a server of its own.
    lost: (why) => end.resolve({ cause: `Lease lost: ${why}`, code: 1, mode: "immediate", shown: "LeaseLost" }),
  });
  const agent: Agent = createAgent({ config, clock, log, random, kube, lease, tls });
  for (const name of ["SIGTERM", "SIGINT"] as const) {
    process.once(name, () => end.resolve({ cause: name, code: 0, mode: "fast", shown: "Stopping" }));
  }

  // Undone from the last to the first: PostgreSQL stops while the Lease is still ours, then the Lease is given back.
  lifecycle.defer("kubernetes client", () => kube.close());
  const servers = await startServers(agent, tls, config);
  lifecycle.defer("servers", () => servers.close());
  if (config.metricsListen !== undefined) {
    const metrics = { text: () => agent.metrics(), contentType: METRICS_CONTENT_TYPE };
    const server = await startMetricsServer({ port: config.metricsListen, metrics, log });
    lifecycle.defer("metrics server", () => server.close());
  }
  const leaseLoop = lease.run();
  let isServerGone = false;
  lifecycle.defer("lease", async () => {
    // While a process of the server is left, no other pod may start one: the Lease is not given back.
    await lease.stop(isServerGone ? "release" : "expire");
    await leaseLoop;
  });
  const watching = watchTlsFiles(config, { clock, log, signal: lifecycle.signal }, async (files) => {
    servers.useCertificates(files);
    await agent.useCertificates(files);
  });
  const running = agent.run(lifecycle.signal).catch((error: unknown) => {
    const { code, message } = toOperatorError(error);
    log.error({ code }, `the agent failed: ${message}`);
    end.resolve({ cause: message, code: 1, mode: "fast", shown: "Stopping" });
  });
  const loops = async (): Promise<void> => void (await Promise.all([running, watching]));
  lifecycle.defer("loops", loops, LOOPS_STOP_MS);

  const { cause, code, mode, shown } = await end.promise;
  // The last step to be put on the stack is the first to be undone: the loops may take a moment to end.
  const stopPostgres = async (): Promise<void> => {
    await agent.stopPostgres(mode, shown);
    isServerGone = true;
  };
  lifecycle.defer("postgres", stopPostgres, POSTGRES_STOP_MS);
  const failures = await lifecycle.stop(cause);
  return failures === 0 ? code : 1;
}

function createShardLease(
  context: Context,
  kube: KubeClient,
  on: {
    readonly annotations: () => Readonly<Record<string, string>>;
    readonly changed: () => void;
    readonly lost: (reason: string) => void;
  },
): LeaseHolder {
  const { config, clock, log, random, lifecycle } = context;
  return createLeaseHolder({
    client: kube,
    namespace: config.namespace,
    name: config.lease,
    // Not the pod's name: a pod that is deleted by force lives on for a while beside its successor of the same name.
    identity: config.podUid,
    clock,
    random,
    log,
    // The only instance of the shard: nobody else can take over while it lives, so it outlasts the API server.
    survivesApiLoss: true,
    // It writes nothing into the API under this right, so there is no late write to wait for.
    settleSeconds: 0,
    annotations: on.annotations,
    onHeld: on.changed,
    onRecord: on.changed,
    onLost: (reason) => {
      if (!lifecycle.signal.aborted) on.lost(reason);
    },
  });
}

/** In a pod the service account; elsewhere a kubeconfig, whose library is loaded only then. */
async function openEndpoint(
  config: AgentConfig,
  env: Readonly<Record<string, string | undefined>>,
): Promise<KubeEndpoint> {
  if (config.kubeconfig === undefined) return inClusterEndpoint({ environment: env, clock: systemClock });
  const { kubeconfigEndpoint } = await import("../../lib/kube/auth-kubeconfig.ts");
  return kubeconfigEndpoint({ path: config.kubeconfig, clock: systemClock });
}

/** A server lives for months; drawing from the system's generator costs nothing at the rate of retries. */
function cryptoRandom(): number {
  return randomInt(2 ** 32) / 2 ** 32;
}

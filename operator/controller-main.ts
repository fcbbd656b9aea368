import { randomBytes, randomInt } from "node:crypto";
import { hostname } from "node:os";
import { systemClock } from "../lib/core/clock.ts";
import { connectKube } from "../lib/kube/connect.ts";
import { environment } from "../lib/node/env.ts";
import { switchLevelOnSignals } from "../lib/node/log-signals.ts";
import { createLogger } from "../lib/node/logger.ts";
import { createMetrics } from "../lib/node/metrics.ts";
import { programVersion } from "../lib/node/version.ts";
import { createClientMetrics } from "./client-metrics.ts";
import { CONTROLLER_USAGE, type ControllerConfig, parseControllerConfig } from "./config.ts";
import { createManager } from "./manager.ts";
import { createControllers } from "./wiring.ts";

/** Bits of a random number; `randomInt` takes less than 2^48. */
const RANDOM_RANGE = 2 ** 47;

/**
 * Runs `shieldx controller` until SIGTERM or SIGINT, or until it loses the Lease.
 * @param args flags after the subcommand @returns exit code: 0 after a clean stop
 * @throws OperatorError USAGE, CONFIG_INVALID, KUBE_CONFIG_INVALID before anything was started
 */
export async function run(args: readonly string[]): Promise<number> {
  if (args.includes("--help")) {
    process.stdout.write(CONTROLLER_USAGE);
    return 0;
  }
  const env = environment();
  const config = parseControllerConfig(args, env);
  const log = createLogger(config.logLevel, {
    process: "controller",
    ...(config.podName === undefined ? {} : { pod: config.podName }),
  });
  const restoreSignals = switchLevelOnSignals(log, process);
  const metrics = createMetrics({ processMetrics: true });
  const random = (): number => randomInt(RANDOM_RANGE) / RANDOM_RANGE;
  const client = await connectKube({
    environment: env,
    kubeconfig: config.kubeconfig,
    context: config.context,
    userAgent: `shieldx/${programVersion()} (controller)`,
    clock: systemClock,
    random,
    onRequest: createClientMetrics(metrics),
  });
  const manager = createManager({
    client,
    controllers: createControllers(config, metrics),
    namespace: config.namespace ?? client.namespace,
    identity: identityOf(config),
    watchNamespaces: config.watchNamespaces,
    port: config.listen,
    metrics,
    clock: systemClock,
    random,
    log,
  });

  const stop = new AbortController();
  const onSignal = (name: NodeJS.Signals): void => {
    log.info({ signal: name }, "stop requested");
    stop.abort();
  };
  process.once("SIGTERM", onSignal);
  process.once("SIGINT", onSignal);
  try {
    return await manager.run(stop.signal);
  } finally {
    restoreSignals();
    await client.close();
  }
}

/** In a pod its name and uid: after a restart of the container the Lease need not expire first. Elsewhere a new identity. */
function identityOf(config: ControllerConfig): string {
  if (config.podName !== undefined && config.podUid !== undefined) return `${config.podName}_${config.podUid}`;
  return `${hostname()}_${randomBytes(8).toString("hex")}`;
}

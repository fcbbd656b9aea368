/** `shieldx ledger serve`: a pod of a ledger, or with --local a ledger on one machine without Kubernetes. */
import { join } from "node:path";
import { type Clock, systemClock } from "../../lib/core/clock.ts";
import { toOperatorError } from "../../lib/core/errors.ts";
import { connectKube } from "../../lib/kube/connect.ts";
import { environment } from "../../lib/node/env.ts";
import { startMetricsServer } from "../../lib/node/http-server.ts";
import { createLifecycle, type Lifecycle, stopOnSignals } from "../../lib/node/lifecycle.ts";
import { createLogger, type Logger } from "../../lib/node/logger.ts";
import { createMetrics } from "../../lib/node/metrics.ts";
import { programVersion } from "../../lib/node/version.ts";
import { podIdentity, type ServeFlags, splitLedger } from "./ledger.config.ts";
import { type RunningService, type ServiceOptions, startService } from "./ledger.service.ts";
import { createTargets, readText, trustedCa } from "./ledger.targets.ts";
import { processRandom } from "./process-random.ts";
import { configMapSource, databaseMapSource } from "./shard-map-source.ts";
import { createLeaseSeat, createLocalSeat } from "./shard-seats.ts";

/** A renewed certificate is served within this time; it is renewed weeks before the old one ends. */
const CERTIFICATE_CHECK_MS = 30_000;
/** Pods that start together begin with different shards and leave each other this time for each further one. */
const SEAT_STAGGER_MS = 2_000;

/** Runs until SIGTERM or SIGINT. */
export async function serve(flags: ServeFlags): Promise<number> {
  const log = createLogger(flags.logLevel, { process: "ledger", ledger: flags.ledger });
  const lifecycle = createLifecycle(log);
  stopOnSignals(lifecycle);
  try {
    const options = await serviceOptions(flags, log, lifecycle);
    const service = await startService(options);
    await startMetrics(flags, options);
    const watching = followCertificate(flags.tlsDir, service, {
      clock: systemClock,
      log,
      signal: lifecycle.signal,
    });
    lifecycle.defer("certificate", () => watching);
  } catch (error) {
    await lifecycle.stop("start failed");
    throw error;
  }
  await new Promise<void>((resolve) => lifecycle.signal.addEventListener("abort", () => resolve(), { once: true }));
  return (await lifecycle.stop("stopped")) === 0 ? 0 : 1;
}

async function startMetrics(flags: ServeFlags, { metrics, log, lifecycle }: ServiceOptions): Promise<void> {
  if (flags.metricsListen === undefined) return;
  const host = flags.listenHost === undefined ? {} : { host: flags.listenHost };
  const server = await startMetricsServer({ port: flags.metricsListen, ...host, metrics, log });
  lifecycle.defer("metrics server", () => server.close());
}

async function serviceOptions(flags: ServeFlags, log: Logger, lifecycle: Lifecycle): Promise<ServiceOptions> {
  const writerTarget = await createTargets(flags, "writer", "shieldx-ledger");
  const readerTarget = await createTargets(flags, "reader", "shieldx-ledger");
  const tls = await readCertificate(flags.tlsDir);
  const { namespace, name } = splitLedger(flags.ledger);
  const common = {
    targets: Array.from({ length: flags.shards }, (_, shard) => ({
      writer: writerTarget(shard),
      reader: readerTarget(shard),
    })),
    snapshotEvery: flags.snapshotEvery,
    tls: {
      certPem: tls.certPem,
      keyPem: tls.keyPem,
      caPem: await trustedCa(join(flags.tlsDir, "ca.crt"), systemClock),
    },
    servername: `${name}.${namespace}.svc`,
    listen: {
      port: flags.listen,
      probePort: flags.probeListen,
      ...(flags.listenHost === undefined ? {} : { host: flags.listenHost }),
    },
    clock: systemClock,
    log,
    metrics: createMetrics({ processMetrics: true }),
    lifecycle,
  };
  if (flags.local) {
    return {
      ...common,
      makeSeat: (shard, makeWriter) => createLocalSeat(shard, makeWriter),
      makeMapSource: (reads) => databaseMapSource({ reads, clock: systemClock, log }),
    };
  }

  const pod = podIdentity(environment());
  const random = processRandom;
  const client = await connectKube({
    environment: environment(),
    userAgent: `shieldx/${programVersion()} (ledger)`,
    clock: systemClock,
    random,
  });
  lifecycle.defer("Kubernetes client", () => client.close());
  const first = firstShard(pod.uid, flags.shards);
  const url = `https://${pod.ip.includes(":") ? `[${pod.ip}]` : pod.ip}:${flags.listen}`;
  return {
    ...common,
    makeSeat: (shard, makeWriter) =>
      createLeaseSeat({
        shard,
        client,
        namespace,
        name: `${name}-writer-${shard}`,
        identity: `${pod.name}_${pod.uid}`,
        url,
        delayMs: ((shard - first + flags.shards) % flags.shards) * SEAT_STAGGER_MS,
        makeWriter,
        clock: systemClock,
        random,
        log,
      }),
    makeMapSource: (reads) =>
      configMapSource({ reads, client, namespace, name: `${flags.shardset}-map`, clock: systemClock, random, log }),
  };
}

/** The shard that a pod competes for first. */
function firstShard(podUid: string, shards: number): number {
  let sum = 0;
  for (const character of podUid) sum = (sum * 31 + character.charCodeAt(0)) % 65_521;
  return sum % shards;
}

interface Certificate {
  readonly certPem: string;
  readonly keyPem: string;
  readonly caPem: string;
}

async function readCertificate(directory: string): Promise<Certificate> {
  const [certPem, keyPem, caPem] = await Promise.all(
    ["tls.crt", "tls.key", "ca.crt"].map((name) => readText(join(directory, name))),
  );
  return { certPem: certPem as string, keyPem: keyPem as string, caPem: caPem as string };
}

async function followCertificate(
  directory: string,
  service: Pick<RunningService, "useCertificate">,
  context: { clock: Clock; log: Logger; signal: AbortSignal },
): Promise<void> {
  const { clock, log, signal } = context;
  let served = (await readCertificate(directory)).certPem;
  while (!signal.aborted) {
    await clock.sleep(CERTIFICATE_CHECK_MS, signal);
    try {
      const found = await readCertificate(directory);
      if (found.certPem === served) continue;
      service.useCertificate(found);
      served = found.certPem;
      log.info({}, "serving with a renewed certificate");
    } catch (error) {
      // The files change one after another; the next look finds both.
      log.warn({ error: toOperatorError(error).message }, "certificate not read");
    }
  }
}

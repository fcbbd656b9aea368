/** Puts a serving ledger together: pools, reads, seats with their writers, router, server, probes, metrics. */
import type { Pool } from "pg";
import type { Clock } from "../../lib/core/clock.ts";
import { readCertificate } from "../../lib/node/certificates.ts";
import { type ProbeResult, type ProbeServer, startProbeServer } from "../../lib/node/http-server.ts";
import type { Lifecycle } from "../../lib/node/lifecycle.ts";
import type { Logger } from "../../lib/node/logger.ts";
import type { Metrics } from "../../lib/node/metrics.ts";
import { closePool, cutPool, openPool, type PostgresTarget } from "../../lib/node/postgres.ts";
import { programVersion } from "../../lib/node/version.ts";
import { createAccountLocator } from "./account-locator.ts";
import { createApiKeys } from "./api-keys.ts";
import type { Deadlines } from "./connection-guard.ts";
import { shareWriter } from "./fair-writer.ts";
import { createLiveness } from "./ledger.liveness.ts";
import { createReadiness } from "./ledger.readiness.ts";
import { createReads, type LedgerReads } from "./ledger.reads.ts";
import { createRouter } from "./ledger.router.ts";
import { createLedgerServer, type LedgerServer } from "./ledger.server.ts";
import { openStore } from "./ledger.store.ts";
import { createWriter, type LedgerWriter } from "./ledger.writer.ts";
import { openApiDocument } from "./openapi.ts";
import { createPeerCheck } from "./peer-certificate.ts";
import { createPeerClient } from "./peer-client.ts";
import type { RunningShardMapSource } from "./shard-map-source.ts";
import { createShardQuestion } from "./shard-question.ts";
import type { ShardSeat, WriterFactory } from "./shard-seats.ts";
import { createShardWatch, type ShardWatch } from "./shard-watch.ts";
import type { WriterLease } from "./writer-takeover.ts";

export interface ServiceOptions {
  /** By shard. */
  readonly targets: readonly { readonly writer: PostgresTarget; readonly reader: PostgresTarget }[];
  readonly snapshotEvery: number;
  /** A shard that twice in a row leaves a question without an answer for so long says nothing; two seconds unless told. */
  readonly silentMs?: number;
  /** Server certificate, and the CA that signed it and the other pods'. */
  readonly tls: ServingCertificate & { readonly caPem: () => string };
  /** Name in the certificate of the other pods. */
  readonly servername: string;
  readonly listen: { readonly port: number; readonly probePort: number; readonly host?: string };
  /** Seat of each shard. */
  readonly makeSeat: (shard: number, makeWriter: WriterFactory) => ShardSeat;
  readonly makeMapSource: (reads: readonly LedgerReads[]) => RunningShardMapSource;
  /** Of requests; those of the server unless told. */
  readonly deadlines?: Deadlines | undefined;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly lifecycle: Lifecycle;
}

export interface RunningService {
  readonly server: LedgerServer;
  readonly port: number;
  readonly probePort: number;
  /** Serves new connections with another certificate. */
  useCertificate(tls: ServingCertificate): void;
}

/** What the API shows. */
export interface ServingCertificate {
  readonly certPem: string;
  readonly keyPem: string;
}

/** Reads of one pod and shard at once; more would only queue in the database. */
const READERS_MAX = 4;
const KEY_WRITERS_MAX = 1;
const SILENT_MS = 2_000;
/** Less than the server's own patience. */
const READS_END_MS = 2_000;
/** What was accepted is finished (15 s), and Leases are given back to an API that may not answer. */
const SEATS_STOP_MS = 25_000;
const COMMIT_BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Measures reads of the past: each replays an account's events back from its next snapshot. */
function timeReplays(reads: LedgerReads, clock: Clock, observe: (seconds: number) => void): LedgerReads {
  return {
    ...reads,
    balance: async (extId, asOf) => {
      const startedAt = clock.monotonic();
      const found = await reads.balance(extId, asOf);
      if (asOf !== undefined) observe((clock.monotonic() - startedAt) / 1000);
      return found;
    },
  };
}

/** Starts everything; what was started is released by the lifecycle, last first. */
export async function startService(options: ServiceOptions): Promise<RunningService> {
  const { clock, log, metrics, lifecycle } = options;
  const questions = options.targets.map(({ reader }, shard) => {
    const target = { ...reader, applicationName: "shieldx-ledger-watch" };
    return createShardQuestion(target, shard, options.silentMs ?? SILENT_MS);
  });
  const pools = options.targets.map(({ reader }, shard) => pool(log, { target: reader, shard, max: READERS_MAX }));
  const keyPools = options.targets.map(({ writer }, shard) => {
    const target = { ...writer, applicationName: "shieldx-ledger-keys" };
    return pool(log, { target, shard, max: KEY_WRITERS_MAX });
  });
  // All at once: each silent one takes its time.
  lifecycle.defer("connections to PostgreSQL", async () => {
    await Promise.all([...pools, ...keyPools].map(closePool).concat(questions.map((question) => question.close())));
  });
  const watches = questions.map(({ ask }, shard) =>
    createShardWatch({
      shard,
      ask,
      clock,
      onSilence: () => {
        log.warn({ shard }, "shard says nothing");
        for (const pool of [pools[shard], keyPools[shard]]) if (pool !== undefined) cutPool(pool);
      },
    }),
  );
  const queries = metrics.counter("shard_queries_total");
  const replays = metrics.histogram("event_replay_duration_seconds");
  const reads = watches.map((watch, shard) =>
    timeReplays(
      createReads({ pool: pools[shard] as Pool, shard, watch, onQuery: () => queries.inc({ shard }) }),
      clock,
      (seconds) => replays.observe({ shard }, seconds),
    ),
  );
  const map = options.makeMapSource(reads);
  let served: ServingCertificate = options.tls;
  const { caPem } = options.tls;
  const peers = createPeerClient({ clock, caPem, certificate: () => served, servername: options.servername });
  lifecycle.defer("peer connections", () => peers.close());

  const writerFactory = (shard: number): WriterFactory => makeWriterFactory(options, shard);
  const seats = options.targets.map((_, shard) => options.makeSeat(shard, writerFactory(shard)));
  const router = createRouter({
    seats,
    map,
    locator: createAccountLocator(reads),
    peers,
    requireAnswer: (shard) => watches[shard]?.requireAnswer(),
  });
  const answers = metrics.counter("ledger_http_requests_total");
  const cuts = metrics.counter("ledger_connections_cut_total");
  const limited = metrics.counter("ledger_limit_refusals_total");
  const server = createLedgerServer({
    tls: options.tls,
    isPeer: createPeerCheck({ caPem, servername: options.servername, now: () => clock.now() }),
    router,
    map,
    reads,
    keys: createApiKeys({ reads, writers: keyPools, clock, log }),
    openApi: openApiDocument(programVersion()),
    log,
    clock,
    deadlines: options.deadlines,
    onAnswer: (route, status) => answers.inc({ route, status: String(status) }),
    onCut: (reason) => cuts.inc({ reason }),
    onLimit: (limit) => limited.inc({ limit }),
  });
  const connections = metrics.gauge("ledger_connections");
  metrics.beforeScrape(() => {
    const { strangers, clients } = server.connections();
    connections.set({ state: "stranger" }, strangers);
    connections.set({ state: "client" }, clients);
  });
  const port = await server.listen(options.listen.port, options.listen.host);
  lifecycle.defer("API server", () => closeServer(server, watches, clock));

  const running = map.run(lifecycle.signal);
  lifecycle.defer("shard map", () => running);
  const watching = Promise.all(watches.map((watch) => watch.run(lifecycle.signal)));
  lifecycle.defer("watches", async () => void (await watching));
  const ready = createReadiness({ watches, seats, clock, signal: lifecycle.signal });
  const liveness = createLiveness({ seats, clock });
  const looking = liveness.run(lifecycle.signal);
  lifecycle.defer("liveness", () => looking);
  const probes = await startProbes(options, { ready, live: liveness.check });
  lifecycle.defer("probe server", () => probes.close());
  // Released first: what was accepted is finished and the shards go to the other pod, which this one hands requests to.
  const stopSeats = async (): Promise<void> => void (await Promise.all(seats.map((seat) => seat.stop())));
  lifecycle.defer("shards", stopSeats, SEATS_STOP_MS);
  publishGauges(metrics, seats, watches);
  const expiry = metrics.gauge("ledger_certificate_expiry_timestamp_seconds");
  const showExpiry = ({ certPem }: Pick<ServingCertificate, "certPem">): void =>
    expiry.set({}, Math.floor(readCertificate(certPem).notAfter / 1_000));
  showExpiry(options.tls);
  log.info({ port, probePort: probes.port, shards: seats.length }, "serving");
  return {
    server,
    port,
    probePort: probes.port,
    useCertificate: (tls) => {
      served = tls;
      server.setCertificate(tls);
      showExpiry(tls);
    },
  };
}

/** Requests that still wait for a database are answered before their connections are cut off. */
async function closeServer(server: LedgerServer, watches: readonly ShardWatch[], clock: Clock): Promise<void> {
  const closed = new AbortController();
  const closing = server.close().finally(() => closed.abort());
  await clock.sleep(READS_END_MS, closed.signal);
  for (const watch of watches) watch.end();
  await closing;
}

function pool(log: Logger, given: { target: PostgresTarget; shard: number; max: number }): Pool {
  const { target, shard, max } = given;
  return openPool(target, {
    max,
    onIdleError: (error) => log.debug({ shard, error: error.message }, "idle connection lost"),
  });
}

function makeWriterFactory(options: ServiceOptions, shard: number): WriterFactory {
  const { metrics } = options;
  const target = (options.targets[shard] as ServiceOptions["targets"][number]).writer;
  const events = metrics.counter("event_store_events_total");
  const snapshots = metrics.counter("event_store_snapshots_total");
  const refusals = metrics.counter("ledger_refusals_total");
  const claims = metrics.counter("ledger_key_claims_total");
  const seconds = metrics.histogram("ledger_commit_duration_seconds", COMMIT_BUCKETS_SECONDS);
  const failures = metrics.counter("ledger_commit_failures_total");
  const limited = metrics.counter("ledger_limit_refusals_total");
  // A counter that exists from the start shows its first rise.
  for (const counter of [events, snapshots, refusals, claims]) counter.inc({ shard }, 0);
  return (lease: WriterLease, onStep: () => void): LedgerWriter => {
    const writer = createWriter({
      shard,
      lease,
      onStep,
      openStore: (instance) => openStore({ shard, target, instance }),
      snapshotEvery: options.snapshotEvery,
      clock: options.clock,
      log: options.log,
      onCommit: (figures) => {
        events.inc({ shard }, figures.events);
        snapshots.inc({ shard }, figures.snapshots);
        refusals.inc({ shard }, figures.refusals);
        claims.inc({ shard }, figures.claims);
        seconds.observe({ shard }, figures.seconds);
      },
      onFailure: (code) => failures.inc({ shard, code }),
    });
    return shareWriter(writer, { shard, onRefusal: () => limited.inc({ limit: "commands" }) });
  };
}

function publishGauges(metrics: Metrics, seats: readonly ShardSeat[], watches: readonly ShardWatch[]): void {
  const up = metrics.gauge("ledger_shard_up");
  const position = metrics.gauge("ledger_head_position");
  const epoch = metrics.gauge("ledger_writer_epoch");
  const writing = metrics.gauge("ledger_writer_held");
  metrics.beforeScrape(() => {
    watches.forEach((watch, shard) => up.set({ shard }, watch.isUp() ? 1 : 0));
    for (const { shard, writer } of seats) {
      const status = writer()?.status();
      writing.set({ shard }, status?.phase === "writing" ? 1 : 0);
      if (status === undefined) continue;
      position.set({ shard }, status.position);
      epoch.set({ shard }, status.epoch);
    }
  });
}

function startProbes(
  options: ServiceOptions,
  checks: { readonly live: () => ProbeResult; readonly ready: () => ProbeResult },
): Promise<ProbeServer> {
  const { listen, metrics, log } = options;
  return startProbeServer({
    port: listen.probePort,
    ...(listen.host === undefined ? {} : { host: listen.host }),
    ...checks,
    metrics,
    log,
  });
}

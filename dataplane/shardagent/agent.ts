import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { AgentReason } from "../../crds/agent-status.ts";
import { DATABASES_KEY, type DatabaseRequest, parseDatabases } from "../../crds/database-request.ts";
import { backoffMs } from "../../lib/core/backoff.ts";
import type { Clock } from "../../lib/core/clock.ts";
import { isOperatorError, toOperatorError } from "../../lib/core/errors.ts";
import { parseShardMap, type ShardMap } from "../../lib/core/shard-map.ts";
import type { KubeClient } from "../../lib/kube/client.ts";
import { followObject } from "../../lib/kube/follow.ts";
import type { LeaseHolder } from "../../lib/kube/lease.ts";
import { type ConfigMapObject, RESOURCES, type SecretObject } from "../../lib/kube/types.ts";
import type { Logger } from "../../lib/node/logger.ts";
import type { PostgresTarget } from "../../lib/node/postgres.ts";
import { installServerFiles, type TlsFiles } from "./certificate-files.ts";
import { type DataDirectory, prepareDataDirectory, removeStaleLockFile } from "./data-directory.ts";
import { type DatabaseState, reconcileDatabases } from "./databases.ts";
import { clearLeftoversIn, createSupervisor, type StopMode, type Supervisor, spawnPostgres } from "./postmaster.ts";
import { postgresEnvironment } from "./processes.ts";
import { createServerHealth } from "./server-health.ts";
import { renderHba, renderIdent, renderPostgresqlConf, SUPERUSER } from "./shardagent.config-files.ts";
import type { AgentConfig } from "./shardagent.config.ts";
import { type AgentFacts, computeAgentStatus, renderMetrics } from "./shardagent.status.ts";
import type { AgentView } from "./shardagent.server.ts";
import { createWaker } from "./waker.ts";

/*
 * The agent is the parent of one PostgreSQL. Its rules, in the order in which they matter:
 *
 *   1. No read-write server without the shard's Lease; it goes when another pod has it.
 *   2. Data that is not this shard's, or that is gone, is never written to.
 *   3. The server is kept running: a crash is followed by a restart in place.
 *   4. Databases, roles and map are what the last seen Secret and ConfigMap say.
 *
 *   WaitingForLease ─► PreparingData ─► PostgresStarting ⇄ Ready ─► Stopping | LeaseLost
 *                        │    ▲               │    ▲
 *                        ▼    │               ▼    │
 *               DataRefused, ConfigInvalid   PostgresFailed
 */

/** What the agent is made of. */
export interface AgentDeps {
  readonly config: AgentConfig;
  readonly clock: Clock;
  readonly log: Logger;
  /** In [0, 1). */
  readonly random: () => number;
  readonly kube: Pick<KubeClient, "pages" | "watch">;
  readonly lease: LeaseHolder;
  /** Certificates at the start. */
  readonly tls: TlsFiles;
}

/** The running agent. */
export interface Agent extends AgentView {
  /** Works until `signal` aborts; then it still has to be told how to stop. */
  run(signal: AbortSignal): Promise<void>;
  /** Something about the Lease changed. */
  leaseChanged(): void;
  /** Takes new certificates into use. */
  useCertificates(files: TlsFiles): Promise<void>;
  /** Stops PostgreSQL for good. */
  stopPostgres(mode: StopMode, reason: AgentReason): Promise<void>;
}

/** How often a server is asked that is, or is not yet, ready. Both answer from memory in between. */
const CHECK_READY_EVERY_MS = 1_000;
const CHECK_STARTING_EVERY_MS = 200;

/** Waits between attempts to prepare data or configuration that cannot be used as they are. */
const PREPARE_BACKOFF = { baseMs: 500, capMs: 30_000 } as const;

/** Waits between attempts to carry out requests that failed. */
const DATABASES_BACKOFF = { baseMs: 500, capMs: 30_000 } as const;

/** Requests are compared with the databases this often even when nothing changed. */
const DATABASES_RESYNC_MS = 5 * 60_000;

/** While there is no Lease, it is looked at this often beside its own notices. */
const LEASE_LOOK_MS = 1_000;

/** A loop that has not moved for this long is stuck: far above every time limit of its steps. */
const STUCK_AFTER_MS = 120_000;

/** Quick ends in a row after which "starting" is told as "failed". */
const FAILED_AFTER_RESTARTS = 3;

/** Mutable part of what the agent shows. */
type Shown = { -readonly [K in keyof AgentFacts]: AgentFacts[K] };

/** Nothing runs before `run`. */
export function createAgent(deps: AgentDeps): Agent {
  const { config, clock, log, lease } = deps;
  const env = postgresEnvironment(config.path);
  const confDir = join(config.runtimeDir, "conf");
  const tlsDir = join(config.runtimeDir, "tls");
  const target = (database: string): PostgresTarget => ({
    address: { socketDir: config.runtimeDir, port: config.postgresPort },
    database,
    user: SUPERUSER,
    applicationName: "shieldx shard-agent",
  });
  const health = createServerHealth(target("postgres"), log);
  const leaseWaker = createWaker(clock);
  const healthWaker = createWaker(clock);
  const databasesWaker = createWaker(clock);

  const shown: Shown = {
    shardSet: config.shardset,
    shard: config.shard,
    instance: config.instance,
    reason: "Starting",
    message: "the agent has begun",
    systemIdentifier: undefined,
    epoch: undefined,
    postgresVersion: undefined,
    mapVersion: 0,
    startedAt: undefined,
    restarts: 0,
    databases: [],
  };
  let requests: readonly DatabaseRequest[] | undefined;
  let map: ShardMap | undefined;
  let supervisor: Supervisor | undefined;
  let ended = false;
  let movedAt = clock.monotonic();

  const show = (reason: AgentReason, message: string): void => {
    movedAt = clock.monotonic();
    // Once it is ending, nothing that is still under way may call the shard ready again.
    if (ended && reason !== "Stopping" && reason !== "LeaseLost") return;
    if (shown.reason !== reason) log.info({ reason }, message);
    shown.reason = reason;
    shown.message = message;
  };

  const facts = (): AgentFacts => ({
    ...shown,
    epoch: lease.epoch() ?? shown.epoch,
    restarts: supervisor?.restarts() ?? 0,
    startedAt: supervisor?.startedAt(),
    postgresVersion: health.version(),
  });

  const waitForLease = async (signal: AbortSignal): Promise<void> => {
    while (!signal.aborted && !lease.isHeld()) {
      const holder = lease.record()?.holderIdentity ?? "";
      show("WaitingForLease", holder === "" ? "Lease is not held yet" : `Lease is held by pod ${holder}`);
      await leaseWaker.sleep(LEASE_LOOK_MS, signal);
    }
    shown.epoch = lease.epoch();
  };

  const writeConfigFiles = async (): Promise<void> => {
    await mkdir(confDir, { recursive: true, mode: 0o700 });
    const file = (name: string): string => join(confDir, name);
    const text = renderPostgresqlConf({
      clusterName: `${config.shardset}-${config.shard}`,
      port: config.postgresPort,
      socketDir: config.runtimeDir,
      hbaFile: file("pg_hba.conf"),
      identFile: file("pg_ident.conf"),
      certFile: join(tlsDir, "tls.crt"),
      keyFile: join(tlsDir, "tls.key"),
      parameters: config.parameters,
    });
    await writeFile(file("pg_hba.conf"), renderHba(), { mode: 0o600 });
    await writeFile(file("pg_ident.conf"), renderIdent(), { mode: 0o600 });
    await writeFile(file("postgresql.conf"), text, { mode: 0o600 });
  };

  /** Tries until data and configuration can be used; what stands in the way is shown. */
  const prepare = async (signal: AbortSignal): Promise<DataDirectory | undefined> => {
    for (let failures = 0; !signal.aborted; failures += 1) {
      try {
        if (failures === 0) show("PreparingData", "the data directory is being checked");
        await writeConfigFiles();
        const { dataDir, shardset: shardSet, shard } = config;
        const data = await prepareDataDirectory({ dataDir, shardSet, shard, env, log });
        await removeStaleLockFile(data.path, log);
        return data;
      } catch (error) {
        const { code, message } = toOperatorError(error);
        if (shown.message !== message) log.error({ code }, message);
        show(reasonOf(error), message);
        await clock.sleep(backoffMs(failures, PREPARE_BACKOFF), signal);
      }
    }
    return undefined;
  };

  const startPostgres = async (data: DataDirectory): Promise<void> => {
    shown.systemIdentifier = data.systemIdentifier;
    const configFile = join(confDir, "postgresql.conf");
    supervisor = createSupervisor({
      clock,
      log,
      spawn: () => {
        const server = spawnPostgres({ dataDir: data.path, configFile, env });
        void server.exited.then((exit) => {
          // The Service must not send anybody here until the next server answers.
          show("PostgresStarting", `PostgreSQL ended (${exit}) and is started again`);
          healthWaker.wake();
        });
        return server;
      },
      clearLeftovers: clearLeftoversIn(data.path, clock, log),
    });
    show("PostgresStarting", "PostgreSQL is starting");
    await supervisor.start();
  };

  const checkOnce = async (): Promise<void> => {
    try {
      const epoch = lease.epoch();
      if (epoch === undefined) return show("WaitingForLease", "the Lease is not held");
      const answer = await health.check({ epoch, holder: config.podUid });
      if (answer !== "Ready") return show("PostgresStarting", `PostgreSQL answers ${answer}`);
      if (shown.reason !== "Ready") databasesWaker.wake();
      show("Ready", "PostgreSQL accepts writes");
    } catch (error) {
      const exit = supervisor?.lastExit();
      const isFailing = (supervisor?.restarts() ?? 0) >= FAILED_AFTER_RESTARTS && supervisor?.pid() === undefined;
      if (isFailing)
        return show("PostgresFailed", `PostgreSQL ended ${supervisor?.restarts()} times, last with ${exit}`);
      show("PostgresStarting", toOperatorError(error).message);
    }
  };

  const keepChecking = async (signal: AbortSignal): Promise<void> => {
    while (!signal.aborted) {
      await checkOnce();
      await healthWaker.sleep(shown.reason === "Ready" ? CHECK_READY_EVERY_MS : CHECK_STARTING_EVERY_MS, signal);
    }
    await health.close();
  };

  /** @returns true when there is nothing to try again soon */
  const carryOutRequests = async (): Promise<boolean> => {
    if (shown.reason !== "Ready" || requests === undefined) return true;
    const wanted = map;
    try {
      const outcome = await reconcileDatabases({ target, log, shard: config.shard }, requests, wanted);
      shown.databases = outcome.states;
      if (outcome.mapApplied && wanted !== undefined) shown.mapVersion = wanted.version;
      return outcome.states.every(({ ready }: DatabaseState) => ready);
    } catch (error) {
      const { code, message } = toOperatorError(error);
      log.warn({ code }, `database requests cannot be carried out now: ${message}`);
      return false;
    }
  };

  const keepDatabases = async (signal: AbortSignal): Promise<void> => {
    let failures = 0;
    while (!signal.aborted) {
      failures = (await carryOutRequests()) ? 0 : failures + 1;
      const waitMs = failures === 0 ? DATABASES_RESYNC_MS : backoffMs(failures - 1, DATABASES_BACKOFF);
      await databasesWaker.sleep(waitMs, signal);
    }
  };

  /** The last good content stays in force when the object goes away or cannot be read: nothing is undone by a mistake. */
  const follow = (signal: AbortSignal): Promise<unknown> => {
    const common = { client: deps.kube, clock, random: deps.random, log };
    const keep = (what: string, take: () => void): void => {
      try {
        take();
        databasesWaker.wake();
      } catch (error) {
        log.error({ code: toOperatorError(error).code }, `${what} cannot be read; the last good one stays in force`);
      }
    };
    const databases = followObject<SecretObject>({
      ...common,
      type: RESOURCES.Secret,
      ref: { namespace: config.namespace, name: `${config.shardset}-databases` },
      onChange: (secret) =>
        keep("the database requests", () => {
          const encoded = secret?.data?.[DATABASES_KEY];
          if (encoded !== undefined) requests = parseDatabases(Buffer.from(encoded, "base64").toString("utf8"));
        }),
    });
    const shardMap = followObject<ConfigMapObject>({
      ...common,
      type: RESOURCES.ConfigMap,
      ref: { namespace: config.namespace, name: `${config.shardset}-map` },
      onChange: (object) =>
        keep("the shard map", () => {
          if (object !== undefined) map = parseShardMap(object.data);
        }),
    });
    return Promise.all([databases.run(signal), shardMap.run(signal)]);
  };

  return {
    status: () => computeAgentStatus(facts()),
    metrics: async () => renderMetrics(facts()),
    alive: () => clock.monotonic() - movedAt < STUCK_AFTER_MS || shown.reason === "PreparingData",
    leaseChanged: () => leaseWaker.wake(),
    useCertificates: async (files) => {
      await installServerFiles(tlsDir, files);
      supervisor?.reload();
    },
    run: async (signal) => {
      const following = follow(signal);
      await installServerFiles(tlsDir, deps.tls);
      await waitForLease(signal);
      const data = await prepare(signal);
      if (data !== undefined && !signal.aborted) {
        await startPostgres(data);
        await Promise.all([keepChecking(signal), keepDatabases(signal)]);
      }
      await following;
    },
    stopPostgres: async (mode, reason) => {
      ended = true;
      show(reason, reason === "LeaseLost" ? "another pod holds the Lease" : "the pod is ending");
      await supervisor?.stop(mode);
    },
  };
}

function reasonOf(error: unknown): AgentReason {
  if (isOperatorError(error, "DATA_REFUSED")) return "DataRefused";
  if (isOperatorError(error, "CONFIG_INVALID")) return "ConfigInvalid";
  return "PreparingData";
}

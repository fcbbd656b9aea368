import { totalmem } from "node:os";
import { dirname } from "node:path";
import type { AgentReason, SettingsAnswer } from "../../crds/agent-status.ts";
import { ANNOTATIONS } from "../../crds/group.ts";
import { backoffMs } from "../../lib/core/backoff.ts";
import { type Clock, rfc3339Seconds } from "../../lib/core/clock.ts";
import { isOperatorError, OperatorError, toOperatorError } from "../../lib/core/errors.ts";
import type { KubeClient } from "../../lib/kube/client.ts";
import type { LeaseHolder } from "../../lib/kube/lease.ts";
import type { Logger } from "../../lib/node/logger.ts";
import type { PostgresTarget } from "../../lib/node/postgres.ts";
import { describeTls, installServerFiles, type TlsFiles, type TlsInUse } from "./certificate-files.ts";
import { type DataDirectory, prepareDataDirectory, removeStaleLockFile } from "./data-directory.ts";
import type { Expectation } from "./data-expectation.ts";
import { type DatabaseState, reconcileDatabases } from "./databases.ts";
import { memoryWarning } from "./derived-settings.ts";
import { createDesiredSource, type DesiredSource } from "./desired-source.ts";
import { createDiskKeeper, type DiskKeeper } from "./disk-keeper.ts";
import { createDisplay, type Display } from "./display.ts";
import { type Machine, readMachine } from "./machine.ts";
import { createPostgresLook } from "./postgres-figures.ts";
import { renderPostgresMetrics } from "./postgres-metrics.ts";
import { clearLeftoversIn, createSupervisor, type StopMode, type Supervisor, spawnPostgres } from "./postmaster.ts";
import { describeHang, postgresEnvironment } from "./processes.ts";
import { configInput, postgresqlConf, serverPaths, writeServerFiles } from "./server-files.ts";
import { createServerHealth, type ServerHealth } from "./server-health.ts";
import { refusalSentence, settingIn, trySettings } from "./settings-trial.ts";
import type { AgentConfig } from "./shardagent.config.ts";
import { effectiveSettings, SUPERUSER } from "./shardagent.config-files.ts";
import type { AgentView } from "./shardagent.server.ts";
import { type AgentFacts, computeAgentStatus, renderMetrics } from "./shardagent.status.ts";
import { makeBallast, probeWrite, readVolume, releaseBallast } from "./volume.ts";
import { createWaker, type Waker } from "./waker.ts";

/*
 * The agent is the parent of one PostgreSQL. Its rules, in the order in which they matter:
 *
 *   1. No read-write server without the shard's Lease; it goes when another pod has it.
 *   2. Data that is not this shard's, or that is gone, is never written to.
 *   3. The server is kept running: a crash is followed by a restart in place.
 *   4. Databases, roles and map are what the last seen Secret and ConfigMap say.
 *   5. A volume that fills up ends writes before it ends the server.
 *
 *   WaitingForLease ─► PreparingData ─► PostgresStarting ⇄ Ready ─► Stopping | LeaseLost
 *                        │    ▲            │    ▲     │   ▲
 *                        ▼    │            ▼    │     ▼   │
 *     DataLost, DataRefused, ConfigInvalid PostgresFailed DiskFull, VolumeUnwritable
 *                                          PostgresUnresponsive
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
  /** What each renewal of the Lease is to leave on it: the identifier of the data that this agent works on. */
  leaseAnnotations(): Readonly<Record<string, string>>;
  /** Takes new certificates into use. */
  useCertificates(files: TlsFiles): Promise<void>;
  /** Stops PostgreSQL for good. */
  stopPostgres(mode: StopMode, reason: "Stopping" | "LeaseLost"): Promise<void>;
}

/** How often a server is asked that is, or is not yet, ready. */
const CHECK_READY_EVERY_MS = 1_000;
const CHECK_STARTING_EVERY_MS = 200;

/** Waits between attempts to prepare data or configuration that cannot be used as they are. */
const PREPARE_BACKOFF = { baseMs: 500, capMs: 5_000 } as const;

/**
 * The map is read right after the Lease. Data that is there does not wait for it for longer: it is still compared with what
 * the Lease and the volume say.
 */
const MAP_WAIT_MS = 10_000;

/** Waits between attempts to carry out requests that failed. */
const DATABASES_BACKOFF = { baseMs: 500, capMs: 30_000 } as const;

/** Requests are compared with the databases this often even when nothing changed. */
const DATABASES_RESYNC_MS = 5 * 60_000;

/** How often the volume is looked at: a call to the kernel, and now and then a small write. */
const LOOK_AT_DISK_EVERY_MS = 1_000;

/** While there is no Lease, it is looked at this often beside its own notices. */
const LEASE_LOOK_MS = 1_000;

/** A loop that has not moved for this long is stuck: far above every time limit of its steps. */
const STUCK_AFTER_MS = 120_000;

/** Ends of the server in a row, each right after its start, after which "starting" is told as "failed". */
const FAILED_AFTER_FAILURES = 3;

/** The agent's parts, for the steps below. */
interface Parts extends AgentDeps {
  readonly env: Readonly<Record<string, string>>;
  readonly target: (database: string) => PostgresTarget;
  readonly display: Display;
  readonly health: ServerHealth;
  readonly look: ReturnType<typeof createPostgresLook>;
  readonly desired: DesiredSource;
  readonly disk: DiskKeeper;
  readonly wakers: {
    readonly lease: Waker;
    readonly data: Waker;
    readonly health: Waker;
    readonly databases: Waker;
    readonly disk: Waker;
  };
  /** What the steps find out. */
  readonly found: {
    supervisor: Supervisor | undefined;
    systemIdentifier: string | undefined;
    expectedIdentifier: string | undefined;
    epoch: number | undefined;
    mapVersion: number;
    databases: readonly DatabaseState[];
    /** What servers and clients meet now. */
    tls: TlsInUse;
    /** Real path of the data directory, once it can be used. */
    dataDir: string | undefined;
    /** Setting of the spec that PostgreSQL does not start with. */
    setting: string | undefined;
    /** What the configuration files were written for. */
    configured: { readonly machine: Machine; readonly refusesWrites: boolean } | undefined;
  };
}

/** Nothing runs before `run`. */
export function createAgent(deps: AgentDeps): Agent {
  const { config } = deps;
  const parts = createParts(deps);
  const { display, found, wakers } = parts;
  return {
    status: () => computeAgentStatus(factsOf(parts)),
    metrics: () => showMetrics(parts),
    // initdb and the first look at a large volume may take longer than any loop.
    alive: () => display.silentMs() < STUCK_AFTER_MS || display.reason() === "PreparingData",
    trySettings: async (parameters) => {
      const dataDir = found.dataDir;
      if (dataDir === undefined) return { outcome: "unknown", message: "there is no data directory yet" };
      const answer = await tryParameters(parts, dataDir, parameters);
      return { ...answer, nodeMemoryBytes: totalmem() };
    },
    leaseChanged: () => wakers.lease.wake(),
    leaseAnnotations: () =>
      found.systemIdentifier === undefined ? {} : { [ANNOTATIONS.systemIdentifier]: found.systemIdentifier },
    useCertificates: async (files) => {
      await installServerFiles(serverPaths(config.runtimeDir).tlsDir, files);
      found.supervisor?.reload();
      found.tls = describeTls(files);
    },
    run: async (signal) => {
      const following = parts.desired.run(signal);
      await installServerFiles(serverPaths(config.runtimeDir).tlsDir, deps.tls);
      await waitForLease(parts, signal);
      const data = await prepare(parts, signal);
      if (data !== undefined && !signal.aborted) {
        // An earlier server that does not end is told by the checks, which therefore do not wait for the start.
        await Promise.all([
          startPostgres(parts, data),
          keepChecking(parts, signal),
          keepDatabases(parts, signal),
          keepDisk(parts, signal),
        ]);
      }
      await following;
    },
    stopPostgres: async (mode, reason) => {
      display.end(reason);
      await found.supervisor?.stop(mode);
    },
  };
}

function createParts(deps: AgentDeps): Parts {
  const { config, clock, log, kube, random } = deps;
  const target = (database: string): PostgresTarget => ({
    address: { socketDir: config.runtimeDir, port: config.postgresPort },
    database,
    user: SUPERUSER,
    applicationName: "shieldx shard-agent",
  });
  const wakers = {
    lease: createWaker(clock),
    data: createWaker(clock),
    health: createWaker(clock),
    databases: createWaker(clock),
    disk: createWaker(clock),
  };
  const env = postgresEnvironment(config.path);
  const volume = dirname(config.dataDir);
  const onChange = (): void => {
    wakers.data.wake();
    wakers.databases.wake();
  };
  return {
    ...deps,
    env,
    target,
    display: createDisplay(clock, log),
    health: createServerHealth(target("postgres"), { clock, log }),
    look: createPostgresLook(target("postgres"), { clock, log }),
    desired: createDesiredSource({
      kube,
      clock,
      random,
      log,
      onChange,
      namespace: config.namespace,
      shardSet: config.shardset,
    }),
    disk: createDiskKeeper({
      clock,
      log,
      volume: {
        read: () => readVolume(volume),
        probe: () => probeWrite(volume),
        makeBallast: (bytes) => makeBallast(volume, bytes, env),
        releaseBallast: () => releaseBallast(volume),
      },
    }),
    wakers,
    found: {
      supervisor: undefined,
      systemIdentifier: undefined,
      expectedIdentifier: undefined,
      epoch: undefined,
      mapVersion: 0,
      databases: [],
      tls: describeTls(deps.tls),
      dataDir: undefined,
      setting: undefined,
      configured: undefined,
    },
  };
}

function factsOf({ config, display, disk, found, health, lease }: Parts): AgentFacts {
  return {
    shardSet: config.shardset,
    shard: config.shard,
    instance: config.instance,
    reason: display.reason(),
    message: display.message(),
    systemIdentifier: found.systemIdentifier,
    expectedIdentifier: found.expectedIdentifier,
    epoch: lease.epoch() ?? found.epoch,
    postgresVersion: health.version(),
    mapVersion: found.mapVersion,
    startedAt: found.supervisor?.startedAt(),
    restarts: found.supervisor?.restarts() ?? 0,
    databases: found.databases,
    tls: found.tls,
    setting: found.setting,
    canTrySettings: found.dataDir !== undefined,
    disk: disk.state(),
  };
}

async function showMetrics(parts: Parts): Promise<string> {
  const { config, found, look } = parts;
  const databases = found.databases.filter(({ ready }) => ready).map(({ database }) => database);
  // A server that does not run need not be asked.
  const seen = found.supervisor?.pid() === undefined ? undefined : await look(databases);
  const shard = { shardset: config.shardset, shard: String(config.shard) };
  return renderMetrics(factsOf(parts)) + renderPostgresMetrics(shard, seen);
}

async function waitForLease({ lease, display, wakers, found }: Parts, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && !lease.isHeld()) {
    const holder = lease.record()?.holderIdentity ?? "";
    display.show("WaitingForLease", holder === "" ? "the Lease is not held yet" : `the Lease is held by pod ${holder}`);
    await wakers.lease.sleep(LEASE_LOOK_MS, signal);
  }
  found.epoch = lease.epoch();
}

/** Tries until data and configuration can be used; what stands in the way is shown. */
async function prepare(parts: Parts, signal: AbortSignal): Promise<DataDirectory | undefined> {
  const { config, clock, log, display, env, desired, found, wakers } = parts;
  const { dataDir, shardset: shardSet, shard, podName: claim } = config;
  if (!signal.aborted) display.show("PreparingData", "the data directory is being checked");
  const waitUntil = clock.monotonic() + MAP_WAIT_MS;
  while (!signal.aborted && !desired.hasLooked() && clock.monotonic() < waitUntil) {
    await wakers.data.sleep(waitUntil - clock.monotonic(), signal);
  }
  for (let failures = 0; !signal.aborted; failures += 1) {
    try {
      await parts.disk.look({ serverDown: true, isOurs: false });
      await configure(parts);
      const expectation = expectationOf(parts);
      const data = await prepareDataDirectory({ dataDir, shardSet, shard, claim, expectation, env, log });
      await removeStaleLockFile(data, { env, log });
      found.expectedIdentifier = undefined;
      found.systemIdentifier = data.systemIdentifier;
      found.dataDir = data.path;
      await requireSettings(parts, data.path);
      return data;
    } catch (error) {
      const { code, message, details } = toOperatorError(error);
      const expected = details["expected"];
      found.expectedIdentifier = typeof expected === "string" ? expected : undefined;
      const refusal = reasonOf(error) === "PreparingData" ? parts.disk.refusal() : undefined;
      const shown = refusal === undefined ? message : `${refusal.message}; ${message}`;
      if (display.message() !== shown) log.error({ code }, shown);
      display.show(refusal?.reason ?? reasonOf(error), shown);
      await wakers.data.sleep(backoffMs(failures, PREPARE_BACKOFF), signal);
    }
  }
  return undefined;
}

function expectationOf({ config, desired, lease }: Parts): Expectation {
  const identities = desired.identities();
  return {
    identity: identities?.get(config.shard),
    isMapRead: identities !== undefined,
    onLease: lease.annotation(ANNOTATIONS.systemIdentifier),
  };
}

/**
 * A server that does not take its settings would end at each start: they are tried before the first one, so that the spec's
 * setting is named.
 */
async function requireSettings(parts: Parts, dataDir: string): Promise<void> {
  const { found } = parts;
  const { parameters } = parts.config;
  const answer = await tryParameters(parts, dataDir, parameters);
  found.setting = answer.setting;
  if (answer.outcome === "refused") throw new OperatorError("CONFIG_INVALID", refusalSentence(answer, parameters));
}

async function tryParameters(
  { config, env, found }: Parts,
  dataDir: string,
  parameters: AgentConfig["parameters"],
): Promise<SettingsAnswer> {
  try {
    const machine = found.configured?.machine ?? (await readMachine(config.dataDir));
    const conf = postgresqlConf({ ...config, parameters }, { machine });
    return await trySettings({ dataDir, scratchDir: config.runtimeDir, conf, parameters, env });
  } catch (error) {
    if (!isOperatorError(error, "CONFIG_INVALID")) throw error;
    return { outcome: "refused", message: error.message };
  }
}

/** A file system that shares a pool changes its size all the time: only a real change is worth new settings. */
const RESIZED_FROM = 0.1;

/** Writes the configuration files when they are not those of the machine and the volume as they are now. */
async function configure(parts: Parts): Promise<void> {
  const { config, disk, found, log } = parts;
  const refusal = disk.refusal();
  const before = found.configured;
  const machine = before?.machine ?? (await readMachine(config.dataDir));
  const volumeBytes = disk.state()?.totalBytes ?? machine.volumeBytes;
  const isResized = Math.abs(volumeBytes - machine.volumeBytes) > machine.volumeBytes * RESIZED_FROM;
  const refusesWrites = refusal !== undefined;
  if (before !== undefined && before.refusesWrites === refusesWrites && !isResized) return;
  const now = isResized && volumeBytes > 0 ? { ...machine, volumeBytes } : machine;
  const conditions = { machine: now, ...(refusal === undefined ? {} : { writesRefused: refusal.message }) };
  await writeServerFiles(config, conditions);
  found.configured = { machine: now, refusesWrites };
  found.supervisor?.reload();
  if (before === undefined) {
    const warning = memoryWarning(now, effectiveSettings(configInput(config, conditions)));
    if (warning !== undefined) log.warn(warning);
  }
}

/** Looks at the volume, and has the server refuse writes, or accept them again, as it says. */
async function lookAtDisk(parts: Parts, serverDown: boolean): Promise<void> {
  const { disk, log, wakers } = parts;
  const before = disk.refusal()?.reason;
  await disk.look({ serverDown, isOurs: true });
  if (disk.refusal()?.reason !== before) wakers.health.wake();
  try {
    await configure(parts);
  } catch (error) {
    // The server goes on with the files that it has; the next look tries again.
    log.warn(`the server's configuration cannot be written: ${toOperatorError(error).message}`);
  }
}

async function keepDisk(parts: Parts, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await lookAtDisk(parts, parts.found.supervisor?.pid() === undefined);
    await parts.wakers.disk.sleep(LOOK_AT_DISK_EVERY_MS, signal);
  }
}

async function startPostgres(parts: Parts, data: DataDirectory): Promise<void> {
  const { clock, log, display, env, found, wakers } = parts;
  const { configFile } = serverPaths(parts.config.runtimeDir);
  const clearLeftovers = clearLeftoversIn(data.path, clock, log);
  found.systemIdentifier = data.systemIdentifier;
  found.supervisor = createSupervisor({
    clock,
    log,
    spawn: (readsLog) => {
      const server = spawnPostgres({ dataDir: data.path, configFile, env, readsLog });
      void server.exited.then((exit) => {
        // Nobody should be told "ready" until the next server answers.
        if (["Ready", "PostgresUnresponsive"].includes(display.reason())) {
          display.show("PostgresStarting", `PostgreSQL ended (${exit}) and is started again`);
        }
        wakers.health.wake();
      });
      return server;
    },
    clearLeftovers: async () => {
      await clearLeftovers();
      // A server that ended because the volume is full needs room to begin: before it is started, not after.
      await lookAtDisk(parts, true);
    },
  });
  display.show("PostgresStarting", "PostgreSQL is starting");
  await found.supervisor.start();
}

async function keepChecking(parts: Parts, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await checkOnce(parts);
    await parts.wakers.health.sleep(hasBegun(parts) ? CHECK_READY_EVERY_MS : CHECK_STARTING_EVERY_MS, signal);
  }
  await parts.health.close();
}

/** The server has been asked with success, and need not be asked all the time. */
function hasBegun(parts: Parts): boolean {
  return answersReads(parts) || parts.display.reason() === "PostgresUnresponsive";
}

/** Ready, but for a volume that takes no writes. */
function answersReads({ display, found }: Parts): boolean {
  const reason = display.reason();
  const isRefusing = reason === "DiskFull" || reason === "VolumeUnwritable";
  return reason === "Ready" || (isRefusing && found.supervisor?.pid() !== undefined);
}

async function checkOnce(parts: Parts): Promise<void> {
  const { config, disk, display, health, lease, wakers } = parts;
  const pid = parts.found.supervisor?.pid();
  try {
    const epoch = lease.epoch();
    if (epoch === undefined) return display.show("WaitingForLease", "the Lease is not held");
    const answer = await health.check({ epoch, holder: config.podUid });
    // The server that answered may have ended meanwhile.
    if (pid === undefined || pid !== parts.found.supervisor?.pid()) return;
    const refusal = disk.refusal();
    if (refusal !== undefined) {
      if (display.reason() !== refusal.reason) wakers.databases.wake();
      return display.show(refusal.reason, refusal.message);
    }
    if (answer !== "Ready") return display.show("PostgresStarting", `PostgreSQL answers ${answer}`);
    if (display.reason() !== "Ready") wakers.databases.wake();
    parts.found.setting = undefined;
    display.show("Ready", "PostgreSQL accepts writes");
  } catch (error) {
    await showTrouble(parts, toOperatorError(error).message);
  }
}

async function showTrouble({ config, display, disk, found, health }: Parts, message: string): Promise<void> {
  const { supervisor } = found;
  const pid = supervisor?.pid();
  const refusal = disk.refusal();
  if (refusal !== undefined) {
    // Not how often it ended: that changes with each try.
    const trouble = pid === undefined ? `PostgreSQL ended, last with ${supervisor?.lastExit() ?? "unknown"}` : message;
    return display.show(refusal.reason, `${refusal.message}; ${trouble}`);
  }
  const silentSince = health.silentSince();
  if (pid !== undefined && silentSince !== undefined) {
    const hang = (await describeHang(pid)) ?? "if it does not heal, deleting the pod starts it anew";
    // Not for how long: a text that changes each second would be written into the ShardSet each time.
    const since = rfc3339Seconds(silentSince);
    return display.show("PostgresUnresponsive", `PostgreSQL has not answered since ${since}: ${message}; ${hang}`);
  }
  const failures = supervisor?.failuresInARow() ?? 0;
  if (supervisor === undefined || failures < FAILED_AFTER_FAILURES || supervisor.isSettled()) {
    found.setting = undefined;
    return display.show("PostgresStarting", message);
  }
  const said = supervisor.complaint();
  const setting = said && settingIn(said, config.parameters);
  const why = said ?? "the pod's log says why";
  found.setting = setting;
  // Not how often: that changes with each try.
  display.show(
    "PostgresFailed",
    `PostgreSQL ends right after each start, last with ${supervisor.lastExit() ?? "unknown"}: ${
      setting === undefined ? why : refusalSentence({ setting, message: why }, config.parameters)
    }`,
  );
}

async function keepDatabases(parts: Parts, signal: AbortSignal): Promise<void> {
  let failures = 0;
  while (!signal.aborted) {
    failures = (await carryOutRequests(parts)) ? 0 : failures + 1;
    const waitMs = failures === 0 ? DATABASES_RESYNC_MS : backoffMs(failures - 1, DATABASES_BACKOFF);
    await parts.wakers.databases.sleep(waitMs, signal);
  }
}

/** @returns true when there is nothing to try again soon */
async function carryOutRequests(parts: Parts): Promise<boolean> {
  const { config, log, target, desired, found } = parts;
  const requests = desired.requests();
  // Becoming ready and a change of the requests wake the loop. On a full volume a database can still be dropped.
  if (!answersReads(parts) || requests === undefined) return true;
  const map = desired.map();
  try {
    const outcome = await reconcileDatabases({ target, log, shard: config.shard }, requests, map);
    found.databases = outcome.states;
    if (outcome.mapApplied && map !== undefined) found.mapVersion = map.version;
    return outcome.states.every(({ ready }) => ready);
  } catch (error) {
    const { code, message } = toOperatorError(error);
    log.warn({ code }, `database requests cannot be carried out now: ${message}`);
    return false;
  }
}

function reasonOf(error: unknown): AgentReason {
  if (isOperatorError(error, "DATA_LOST")) return "DataLost";
  if (isOperatorError(error, "DATA_REFUSED")) return "DataRefused";
  if (isOperatorError(error, "CONFIG_INVALID")) return "ConfigInvalid";
  return "PreparingData";
}

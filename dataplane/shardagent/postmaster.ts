import { spawn } from "node:child_process";
import { backoffMs } from "../../lib/core/backoff.ts";
import type { Clock } from "../../lib/core/clock.ts";
import { OperatorError, toOperatorError } from "../../lib/core/errors.ts";
import type { Logger } from "../../lib/node/logger.ts";
import { endProcessesIn, signalProcess } from "./processes.ts";
import { createServerLog } from "./server-log.ts";
import { isLockConflict, lockedCommand, lockFileOf, VOLUME_LOCKED } from "./volume-lock.ts";

/** How to stop a server: `fast` ends sessions and writes a checkpoint, `immediate` ends at once and recovers later. */
export type StopMode = "fast" | "immediate";

/** One run of a server process. */
export interface ServerProcess {
  readonly pid: number;
  /** Resolves with words such as "exit code 1" or "signal SIGKILL". */
  readonly exited: Promise<string>;
  /** Sends a signal; nothing happens when the process is gone. */
  signal(name: NodeJS.Signals): void;
  /** What its log complained of last, as far as the log was read along. */
  complaint?(): string | undefined;
}

/** What the supervisor needs from the machine; tests pass their own. */
export interface SupervisorDeps {
  readonly clock: Clock;
  readonly log: Logger;
  /**
   * Starts one server process.
   * @param readsLog the log is read along, because the last one ended right after its start
   * @throws when it cannot be started
   */
  readonly spawn: (readsLog: boolean) => ServerProcess;
  /** Returns when no process of an earlier server works on the data any more, or when the signal aborts. */
  readonly clearLeftovers: (signal?: AbortSignal) => Promise<void>;
}

/** Keeps one PostgreSQL server running until it is told to stop. */
export interface Supervisor {
  /** Starts the server and keeps it running; returns after the first start, or when it is told to stop before. */
  start(): Promise<void>;
  /** Process number of the running server. */
  pid(): number | undefined;
  /** Unexpected ends so far. */
  restarts(): number;
  /** Wall-clock time of the last start, milliseconds since the epoch. */
  startedAt(): number | undefined;
  /** Ends right after a start, without a healthy run since. */
  failuresInARow(): number;
  /** The present server has run for longer than one that cannot start does. */
  isSettled(): boolean;
  /** How the last unexpected end looked. */
  lastExit(): string | undefined;
  /** What a server that ended right after its start complained of. */
  complaint(): string | undefined;
  /** Makes the server read its configuration files again. */
  reload(): void;
  /**
   * Stops the server for good. Returns when its last process is gone.
   * @throws OperatorError POSTGRES_FAILED when one cannot be ended, within `STOP_LIMIT_MS`
   */
  stop(mode: StopMode): Promise<void>;
}

/** A fast shutdown takes as long as its checkpoint; after that, recovery at the next start is the better deal. */
export const FAST_STOP_LIMIT_MS = 20_000;

/** An immediate shutdown only has to end processes. */
export const IMMEDIATE_STOP_LIMIT_MS = 5_000;

/** One that SIGKILL does not end hangs in the kernel, usually on a dead disk: nobody knows for how long. */
const KILL_LIMIT_MS = 3_000;

/** What a server that was ended leaves behind is killed after half a second. */
const LEFTOVERS_LIMIT_MS = 4_000;

/** A stop takes no longer, whatever the server does. */
export const STOP_LIMIT_MS = FAST_STOP_LIMIT_MS + IMMEDIATE_STOP_LIMIT_MS + KILL_LIMIT_MS + LEFTOVERS_LIMIT_MS;

/** A server that ran this long was healthy: its end counts as the first one in a row. */
const HEALTHY_RUN_MS = 30_000;

/**
 * A server that cannot start ends within a second, also on a node under load in a few; one that still runs then is
 * recovering, or ready.
 */
const SETTLED_RUN_MS = 5_000;

/** Waits between starts in a row that fail quickly. The first restart does not wait at all. */
const RESTART_BACKOFF = { baseMs: 250, capMs: 10_000 } as const;

/**
 * Starts `postgres` with the volume's lock, in a session of its own, so that a signal to the agent's process group does
 * not reach it.
 */
export function spawnPostgres(options: {
  readonly dataDir: string;
  readonly configFile: string;
  readonly env: Readonly<Record<string, string>>;
  readonly readsLog?: boolean;
}): ServerProcess {
  const postgres = ["postgres", "-D", options.dataDir, `--config_file=${options.configFile}`];
  const child = spawn(...lockedCommand(options.dataDir, postgres), {
    env: options.env,
    // The log goes straight to the container's: a pipe through the agent could fill up and stall the server. One that
    // could not start before is no server yet, and what it says is wanted.
    stdio: ["ignore", "inherit", options.readsLog === true ? "pipe" : "inherit"],
    // SIGTERM is a smart shutdown, which waits for clients for ever; init sends it to the whole group.
    detached: true,
  });
  const log = createServerLog();
  child.stderr?.setEncoding("utf8");
  child.stderr?.on("data", (chunk: string) => {
    process.stderr.write(chunk);
    log.take(chunk);
  });
  const exited = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code, signal) => {
      const how = signal === null ? `exit code ${code ?? -1}` : `signal ${signal}`;
      resolve(isLockConflict(code) ? VOLUME_LOCKED : how);
    });
  });
  const pid = child.pid ?? -1;
  const signal = (name: NodeJS.Signals): void => void (pid > 0 && signalProcess(pid, name));
  return { pid, exited, signal, complaint: log.complaint };
}

/** The usual way to clear leftovers: see `endProcessesIn`. */
export function clearLeftoversIn(dataDir: string, clock: Clock, log: Logger): SupervisorDeps["clearLeftovers"] {
  return async (signal) => {
    const killed = await endProcessesIn({ directory: dataDir, lock: lockFileOf(dataDir) }, clock, signal);
    if (killed > 0) log.warn({ killed }, "killed processes that a crashed server left behind");
  };
}

/** Makes a supervisor; nothing runs before `start`. */
export function createSupervisor(deps: SupervisorDeps): Supervisor {
  const { clock, log } = deps;
  const ending = new AbortController();
  let current: ServerProcess | undefined;
  /** The last server that ended right after its start. */
  let failed: ServerProcess | undefined;
  let restarts = 0;
  let failuresInARow = 0;
  let began: number | undefined;
  let startedAt: number | undefined;
  let lastExit: string | undefined;
  let loop: Promise<void> | undefined;

  /** One run from start to end. @returns how it ended and how long it ran */
  const runOnce = async (onStarted: () => void): Promise<{ exit: string; ranMs: number }> => {
    await deps.clearLeftovers(ending.signal);
    if (ending.signal.aborted) return { exit: "stopped", ranMs: 0 };
    began = clock.monotonic();
    const server = deps.spawn(failuresInARow > 0);
    current = server;
    startedAt = clock.now();
    log.info({ pid: server.pid }, "PostgreSQL starts");
    onStarted();
    const exit = await server.exited;
    current = undefined;
    const ranMs = clock.monotonic() - began;
    failed = ranMs >= HEALTHY_RUN_MS ? undefined : server;
    return { exit, ranMs };
  };

  const keepRunning = async (onStarted: () => void): Promise<void> => {
    while (!ending.signal.aborted) {
      const { exit, ranMs } = await runOnce(onStarted).catch((error: unknown) => ({
        exit: toOperatorError(error).message,
        ranMs: 0,
      }));
      if (ending.signal.aborted) return;
      restarts += 1;
      lastExit = exit;
      failuresInARow = ranMs >= HEALTHY_RUN_MS ? 0 : failuresInARow + 1;
      log.error({ exit, restarts }, "PostgreSQL ended unexpectedly and is started again");
      if (failuresInARow > 1) await clock.sleep(backoffMs(failuresInARow - 2, RESTART_BACKOFF), ending.signal);
    }
  };

  const endCurrent = async (server: ServerProcess, mode: StopMode): Promise<void> => {
    if (mode === "fast") {
      server.signal("SIGINT");
      if (await endsWithin(server, FAST_STOP_LIMIT_MS, clock)) return;
      log.warn("the fast shutdown takes too long; stopping at once");
    }
    server.signal("SIGQUIT");
    if (await endsWithin(server, IMMEDIATE_STOP_LIMIT_MS, clock)) return;
    log.error("the immediate shutdown takes too long; killing the server");
    server.signal("SIGKILL");
    if (await endsWithin(server, KILL_LIMIT_MS, clock)) return;
    throw new OperatorError("POSTGRES_FAILED", `process ${server.pid} cannot be ended`);
  };

  const clearLeftovers = async (): Promise<void> => {
    const [late, ended] = [new AbortController(), new AbortController()];
    void clock.sleep(LEFTOVERS_LIMIT_MS, ended.signal).then(() => late.abort());
    await deps.clearLeftovers(late.signal);
    const isLate = late.signal.aborted;
    ended.abort();
    if (isLate) throw new OperatorError("POSTGRES_FAILED", "processes of the server cannot be ended");
  };

  return {
    start: () =>
      new Promise((resolve) => {
        loop ??= keepRunning(resolve).finally(resolve);
      }),
    pid: () => current?.pid,
    restarts: () => restarts,
    failuresInARow: () => failuresInARow,
    isSettled: () => current !== undefined && began !== undefined && clock.monotonic() - began >= SETTLED_RUN_MS,
    complaint: () => failed?.complaint?.(),
    startedAt: () => startedAt,
    lastExit: () => lastExit,
    reload: () => current?.signal("SIGHUP"),
    stop: async (mode) => {
      ending.abort();
      if (current !== undefined) await endCurrent(current, mode);
      await loop;
      await clearLeftovers();
      log.info({ mode }, "PostgreSQL is stopped");
    },
  };
}

async function endsWithin(server: ServerProcess, ms: number, clock: Clock): Promise<boolean> {
  const giveUp = new AbortController();
  const ended = server.exited.then(() => true);
  const result = await Promise.race([ended, clock.sleep(ms, giveUp.signal).then(() => false)]);
  giveUp.abort();
  return result;
}

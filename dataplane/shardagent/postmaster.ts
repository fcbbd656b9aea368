import { spawn } from "node:child_process";
import { backoffMs } from "../../lib/core/backoff.ts";
import type { Clock } from "../../lib/core/clock.ts";
import { toOperatorError } from "../../lib/core/errors.ts";
import type { Logger } from "../../lib/node/logger.ts";
import { endProcessesIn, signalProcess } from "./processes.ts";
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
}

/** What the supervisor needs from the machine; tests pass their own. */
export interface SupervisorDeps {
  readonly clock: Clock;
  readonly log: Logger;
  /** Starts one server process. @throws when it cannot be started */
  readonly spawn: () => ServerProcess;
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
  /** How the last unexpected end looked. */
  lastExit(): string | undefined;
  /** Makes the server read its configuration files again. */
  reload(): void;
  /** Stops the server for good. Returns when its last process is gone. */
  stop(mode: StopMode): Promise<void>;
}

/** A fast shutdown takes as long as its checkpoint; after that, recovery at the next start is the better deal. */
export const FAST_STOP_LIMIT_MS = 20_000;

/** An immediate shutdown only has to end processes. */
export const IMMEDIATE_STOP_LIMIT_MS = 5_000;

/** A server that ran this long was healthy: its end counts as the first one in a row. */
const HEALTHY_RUN_MS = 30_000;

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
}): ServerProcess {
  const postgres = ["postgres", "-D", options.dataDir, `--config_file=${options.configFile}`];
  const child = spawn(...lockedCommand(options.dataDir, postgres), {
    env: options.env,
    // The log goes straight to the container's: a pipe through the agent could fill up and stall the server.
    stdio: ["ignore", "inherit", "inherit"],
    // SIGTERM is a smart shutdown, which waits for clients for ever; init sends it to the whole group.
    detached: true,
  });
  const exited = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code, signal) => {
      const how = signal === null ? `exit code ${code ?? -1}` : `signal ${signal}`;
      resolve(isLockConflict(code) ? VOLUME_LOCKED : how);
    });
  });
  const pid = child.pid ?? -1;
  return { pid, exited, signal: (name) => void (pid > 0 && signalProcess(pid, name)) };
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
  let restarts = 0;
  let startedAt: number | undefined;
  let lastExit: string | undefined;
  let loop: Promise<void> | undefined;

  /** One run from start to end. @returns how it ended and how long it ran */
  const runOnce = async (onStarted: () => void): Promise<{ exit: string; ranMs: number }> => {
    await deps.clearLeftovers(ending.signal);
    if (ending.signal.aborted) return { exit: "stopped", ranMs: 0 };
    const began = clock.monotonic();
    current = deps.spawn();
    startedAt = clock.now();
    log.info({ pid: current.pid }, "PostgreSQL starts");
    onStarted();
    const exit = await current.exited;
    current = undefined;
    return { exit, ranMs: clock.monotonic() - began };
  };

  const keepRunning = async (onStarted: () => void): Promise<void> => {
    let failuresInARow = 0;
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
    await server.exited;
  };

  return {
    start: () =>
      new Promise((resolve) => {
        loop ??= keepRunning(resolve).finally(resolve);
      }),
    pid: () => current?.pid,
    restarts: () => restarts,
    startedAt: () => startedAt,
    lastExit: () => lastExit,
    reload: () => current?.signal("SIGHUP"),
    stop: async (mode) => {
      ending.abort();
      if (current !== undefined) await endCurrent(current, mode);
      await loop;
      await deps.clearLeftovers();
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

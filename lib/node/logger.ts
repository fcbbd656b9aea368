import { AsyncLocalStorage } from "node:async_hooks";
import { type LoggerOptions, type Logger as PinoLogger, pino } from "pino";
import { OperatorError } from "../core/errors.ts";

/** Structured log: one JSON object a line. Secrets never go in; the redaction below is the last guard. */
export type Logger = Pick<PinoLogger, "debug" | "info" | "warn" | "error"> & {
  child(bindings: Record<string, unknown>): Logger;
};

/** Levels from the quietest to the most verbose. */
export const LOG_LEVELS = ["silent", "error", "warn", "info", "debug"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** A level by its name. @throws OperatorError CONFIG_INVALID */
export function parseLogLevel(text: string): LogLevel {
  const level = LOG_LEVELS.find((known) => known === text);
  if (level === undefined)
    throw new OperatorError("CONFIG_INVALID", `log level "${text}" is none of ${LOG_LEVELS.join(", ")}`);
  return level;
}

/** The logger of a process: its level may change while it runs, for it and for all of its children. */
export type RootLogger = Logger & {
  level(): LogLevel;
  setLevel(level: LogLevel): void;
};

/** Member names whose values are never printed, at any of the first three depths. */
const SECRET_MEMBERS = ["password", "key", "token", "authorization", "secret", "privateKey", "verifier"];

const context = new AsyncLocalStorage<Readonly<Record<string, unknown>>>();

/**
 * Every line that is written while `work` runs, by whatever logger of this process, carries these members: the id of a
 * reconcile also stands in what the client or a cache says on its behalf. What `work` starts and does not wait for carries
 * them too. They replace those of an outer call; members of the line win.
 */
export function withLogContext<T>(members: Readonly<Record<string, unknown>>, work: () => T): T {
  return context.run(members, work);
}

/**
 * @param level of it and all children until `setLevel`
 * @param destination file descriptor or writer; standard output unless told
 */
export function createLogger(
  level: LogLevel,
  bindings: Record<string, unknown> = {},
  destination?: { write(line: string): void },
): RootLogger {
  const options: LoggerOptions = {
    // Ours decides: pino fixes a child's level when the child is made, and would not hear of a change.
    level: "debug",
    base: bindings,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    messageKey: "message",
    mixin: () => context.getStore() ?? {},
    // Members of the line win over those of the context.
    mixinMergeStrategy: (line, members) => ({ ...members, ...line }),
    redact: {
      paths: SECRET_MEMBERS.flatMap((member) => [member, `*.${member}`, `*.*.${member}`]),
      censor: "[redacted]",
    },
  };
  const threshold = { rank: LOG_LEVELS.indexOf(level) };
  return {
    ...levelled(destination === undefined ? pino(options) : pino(options, destination), threshold),
    level: () => LOG_LEVELS[threshold.rank] ?? "silent",
    setLevel: (next) => {
      threshold.rank = LOG_LEVELS.indexOf(next);
    },
  };
}

/** A logger that prints nothing, for tests. */
export const silentLogger: Logger = pino({ level: "silent" });

/** Asks the shared threshold at each line. */
function levelled(logger: PinoLogger, threshold: { readonly rank: number }): Logger {
  const at = (level: Exclude<LogLevel, "silent">): PinoLogger["info"] => {
    const rank = LOG_LEVELS.indexOf(level);
    return (...line: readonly unknown[]): void => {
      if (threshold.rank >= rank) Reflect.apply(logger[level], logger, line);
    };
  };
  return {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    child: (bindings) => levelled(logger.child(bindings), threshold),
  };
}

import { type Logger as PinoLogger, pino } from "pino";

/** Structured log: one JSON object a line. Secrets never go in; the redaction below is the last guard. */
export type Logger = Pick<PinoLogger, "debug" | "info" | "warn" | "error"> & {
  child(bindings: Record<string, unknown>): Logger;
};

/** Member names whose values are never printed, at any of the first three depths. */
const SECRET_MEMBERS = ["password", "key", "token", "authorization", "secret", "privateKey", "verifier"];

/** @param level "debug", "info", "warn", "error" or "silent" */
export function createLogger(level: string, bindings: Record<string, unknown> = {}): Logger {
  return pino({
    level,
    base: bindings,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    messageKey: "message",
    redact: {
      paths: SECRET_MEMBERS.flatMap((member) => [member, `*.${member}`, `*.*.${member}`]),
      censor: "[redacted]",
    },
  });
}

/** A logger that prints nothing, for tests. */
export const silentLogger: Logger = pino({ level: "silent" });

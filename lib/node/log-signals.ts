import { LOG_LEVELS, type RootLogger } from "./logger.ts";

/** Where signals arrive: `process`. */
export interface SignalSource {
  on(signal: "SIGUSR1" | "SIGUSR2", listener: () => void): unknown;
  off(signal: "SIGUSR1" | "SIGUSR2", listener: () => void): unknown;
}

/**
 * Lets whoever looks for a fault change the log level of a process that runs: SIGUSR1 makes it one level more verbose, up
 * to "debug", SIGUSR2 takes it back to what it is now. Each change is a line of the log. Node opens its debugger on SIGUSR1
 * unless somebody listens, so this also closes a door.
 * @returns a function that stops listening
 */
export function switchLevelOnSignals(log: RootLogger, source: SignalSource): () => void {
  const configured = log.level();
  const set = (level: typeof configured): void => {
    log.setLevel(level);
    // At the new level itself, so that the line is seen whichever it is; "silent" has none.
    if (level !== "silent") log[level]({ logLevel: level, configured }, "log level changed");
  };
  const raise = (): void => {
    const next = LOG_LEVELS[LOG_LEVELS.indexOf(log.level()) + 1];
    set(next ?? log.level());
  };
  const restore = (): void => set(configured);
  source.on("SIGUSR1", raise);
  source.on("SIGUSR2", restore);
  return () => {
    source.off("SIGUSR1", raise);
    source.off("SIGUSR2", restore);
  };
}

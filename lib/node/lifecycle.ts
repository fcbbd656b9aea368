import { toOperatorError } from "../core/errors.ts";
import type { Logger } from "./logger.ts";

/** Closes what was opened, last first, exactly once. */
export interface Lifecycle {
  /** Registers a release step; it runs even when a later one fails. */
  defer(name: string, release: () => Promise<void> | void): void;
  /** Aborted when the stop begins: loops end, waits return. */
  readonly signal: AbortSignal;
  /** Runs all release steps. @returns the number of steps that failed */
  stop(reason: string): Promise<number>;
}

/** A stack of releasers that unwinds in one place; a step that fails is logged and the next one runs. */
export function createLifecycle(log: Logger): Lifecycle {
  const steps: { name: string; release: () => Promise<void> | void }[] = [];
  const controller = new AbortController();
  let stopping: Promise<number> | undefined;

  const unwind = async (reason: string): Promise<number> => {
    log.info({ reason }, "stopping");
    controller.abort();
    let failures = 0;
    for (let step = steps.pop(); step !== undefined; step = steps.pop()) {
      try {
        await step.release();
      } catch (error) {
        failures += 1;
        log.error({ step: step.name, error: toOperatorError(error).message }, "release step failed");
      }
    }
    return failures;
  };

  return {
    signal: controller.signal,
    defer: (name, release) => void steps.push({ name, release }),
    stop: (reason) => (stopping ??= unwind(reason)),
  };
}

/** Stops on SIGTERM and SIGINT, then ends the process: 0 after a clean stop, 1 when a release step failed. */
export function stopOnSignals(lifecycle: Lifecycle): void {
  for (const name of ["SIGTERM", "SIGINT"] as const) {
    process.once(name, () => {
      void lifecycle.stop(name).then((failures) => process.exit(failures === 0 ? 0 : 1));
    });
  }
}

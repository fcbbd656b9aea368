import { toOperatorError } from "../core/errors.ts";
import type { Logger } from "./logger.ts";

/** Closes what was opened, last first, exactly once. */
export interface Lifecycle {
  /**
   * Registers a release step; it runs even when a later one fails.
   * @param limitMs one that takes longer has failed, and the next one runs: nothing holds up the end of a process. 5 s unless told
   */
  defer(name: string, release: () => Promise<void> | void, limitMs?: number): void;
  /** Aborted when the stop begins: loops end, waits return. */
  readonly signal: AbortSignal;
  /** Runs all release steps. @returns the number of steps that failed */
  stop(reason: string): Promise<number>;
}

interface Step {
  readonly name: string;
  readonly release: () => Promise<void> | void;
  readonly limitMs: number;
}

/** Most steps close what answers at once, or what has a limit of its own below this. */
const STEP_LIMIT_MS = 5_000;

/** @throws what the step throws, or an Error that says that it takes too long */
async function runStep({ release, limitMs }: Step): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`it did not end within ${limitMs} ms`)), limitMs);
  });
  try {
    await Promise.race([release(), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** A stack of releasers that unwinds in one place; a step that fails is logged and the next one runs. */
export function createLifecycle(log: Logger): Lifecycle {
  const steps: Step[] = [];
  const controller = new AbortController();
  let stopping: Promise<number> | undefined;

  const unwind = async (reason: string): Promise<number> => {
    log.info({ reason }, "stopping");
    controller.abort();
    let failures = 0;
    for (let step = steps.pop(); step !== undefined; step = steps.pop()) {
      try {
        await runStep(step);
      } catch (error) {
        failures += 1;
        log.error({ step: step.name, error: toOperatorError(error).message }, "release step failed");
      }
    }
    return failures;
  };

  return {
    signal: controller.signal,
    defer: (name, release, limitMs = STEP_LIMIT_MS) => void steps.push({ name, release, limitMs }),
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

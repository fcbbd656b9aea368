import { jitter } from "../../lib/core/backoff.ts";
import { OperatorError, toOperatorError } from "../../lib/core/errors.ts";
import { type Key, PRIORITIES, type Priority, type Source, type SourceContext } from "./types.ts";

/** A timer that asks for keys again and again. */
export interface TimerOptions {
  readonly name: string;
  readonly everySeconds: number;
  /** Spread of each interval, as a part of it; 0.1 unless told. Replicas and kinds then do not act in step. */
  readonly jitter?: number;
  /** That of a resync unless told. */
  readonly priority?: Priority;
  /** All objects of the reconciled kind unless told. May throw: that tick is logged and skipped. */
  readonly keys?: (context: SourceContext) => Iterable<Key>;
}

/** The first tick comes after one interval. @throws OperatorError CONFIG_INVALID for an interval that is not positive */
export function timerSource(options: TimerOptions): Source {
  const { name, everySeconds, jitter: spread = 0.1, priority = PRIORITIES.resync } = options;
  if (!(everySeconds > 0 && Number.isFinite(everySeconds))) {
    throw new OperatorError("CONFIG_INVALID", `timer ${name}: an interval of ${everySeconds} s`);
  }
  return {
    name,
    run: async (context) => {
      const { clock, random, signal, log } = context;
      for (;;) {
        await clock.sleep(jitter(everySeconds * 1_000, spread, random()), signal);
        if (signal.aborted) return;
        try {
          for (const key of options.keys?.(context) ?? context.keys()) context.add(key, priority);
        } catch (error) {
          log.error({ source: name, error: toOperatorError(error).message }, "timer could not tell its keys");
        }
      }
    },
  };
}

/** A source that code pushes into: an answer from outside, a finished job, a message of a broker. */
export interface Channel<T> {
  readonly source: Source;
  /**
   * Asks for the keys of a value. What is pushed while nobody leads here is kept as keys, each once, and
   * told when this replica begins to work.
   */
  push(value: T): void;
}

/**
 * @param keys tells which keys a value concerns; when it throws, `push` throws
 * @param priority that of a live event unless told
 */
export function createChannel<T>(
  name: string,
  keys: (value: T) => Iterable<Key>,
  priority: Priority = PRIORITIES.live,
): Channel<T> {
  const kept = new Map<string, Key>();
  let add: ((key: Key) => void) | undefined;
  return {
    source: {
      name,
      run: async (context) => {
        add = (key) => context.add(key, priority);
        for (const key of kept.values()) add(key);
        kept.clear();
        await new Promise<void>((resolve) => {
          if (context.signal.aborted) resolve();
          context.signal.addEventListener("abort", () => resolve(), { once: true });
        });
        add = undefined;
      },
    },
    push: (value) => {
      for (const key of keys(value)) {
        if (add === undefined) kept.set(`${key.namespace}/${key.name}`, key);
        else add(key);
      }
    },
  };
}

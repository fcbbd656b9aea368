/**
 * Whether a shard's PostgreSQL answers this process. One that is there and says nothing (stopped, or behind a network that
 * forgot it) costs whoever asks it the time limit of an answer; once that is known, nobody waits for it any more.
 */
import type { Clock } from "../../lib/core/clock.ts";
import { OperatorError, toOperatorError } from "../../lib/core/errors.ts";
import { isSilence } from "../../lib/node/postgres.ts";

const CHECK_MS = 1_000;
/** A shard whose last answer is older than this is not reachable. */
const ANSWERED_WITHIN_MS = 10_000;
/** Questions in a row without an answer, each on a connection of its own: one connection alone may be what died. */
const SILENCES = 2;
const RETRY_AFTER_SECONDS = 1;

/** What is known of one shard. */
export interface ShardWatch {
  /** Asks once a second. */
  run(signal: AbortSignal): Promise<void>;
  /** Why it is not reachable; `undefined` when it answered lately. */
  fault(): string | undefined;
  /** The last question was answered. */
  isUp(): boolean;
  /** @throws OperatorError SHARD_UNAVAILABLE while it says nothing */
  requireAnswer(): void;
  /** Runs a read, which fails as soon as the shard is known to say nothing. @throws OperatorError SHARD_UNAVAILABLE */
  read<T>(work: () => Promise<T>): Promise<T>;
  /** The pod ends: what waits is refused, and what comes. */
  end(): void;
}

export interface ShardWatchOptions {
  readonly shard: number;
  /** Asks the database, on a new connection after a failure. It has a time limit of its own, of a few seconds. */
  readonly ask: () => Promise<void>;
  /** The shard has begun to say nothing: what waits for it waits in vain. */
  readonly onSilence: () => void;
  readonly clock: Clock;
}

/** Nothing is asked before `run`; until the first answer nobody is refused. */
export function createShardWatch({ shard, ask, onSilence, clock }: ShardWatchOptions): ShardWatch {
  let answeredAt = Number.NEGATIVE_INFINITY;
  let failure: string | undefined = "no answer yet";
  let silences = 0;
  const waiting = new Set<(error: OperatorError) => void>();

  const refusal = (): OperatorError =>
    new OperatorError("SHARD_UNAVAILABLE", `shard ${shard}: PostgreSQL does not answer: ${failure}`, {
      retryAfterSeconds: RETRY_AFTER_SECONDS,
    });

  let isEnding = false;
  const ending = (): OperatorError =>
    new OperatorError("SHUTTING_DOWN", "this pod ends", { retryAfterSeconds: RETRY_AFTER_SECONDS });

  const refuseWaiting = (error: OperatorError): void => {
    for (const refuse of waiting) refuse(error);
    waiting.clear();
  };

  const look = async (): Promise<void> => {
    try {
      await ask();
      answeredAt = clock.monotonic();
      failure = undefined;
      silences = 0;
    } catch (error) {
      failure = toOperatorError(error).message;
      silences = isSilence(error) ? silences + 1 : 0;
      if (silences !== SILENCES) return;
      refuseWaiting(refusal());
      onSilence();
    }
  };

  const requireAnswer = (): void => {
    if (silences >= SILENCES) throw refusal();
  };

  return {
    run: async (signal) => {
      while (!signal.aborted) {
        await look();
        // The second question decides, so it follows at once.
        if (silences === 0 || silences >= SILENCES) await clock.sleep(CHECK_MS, signal);
      }
    },
    fault: () => {
      if (clock.monotonic() - answeredAt <= ANSWERED_WITHIN_MS) return undefined;
      return failure ?? "no answer lately";
    },
    isUp: () => failure === undefined,
    requireAnswer,
    end: () => {
      isEnding = true;
      refuseWaiting(ending());
    },
    read: async (work) => {
      if (isEnding) throw ending();
      requireAnswer();
      let refuse: (error: OperatorError) => void = () => undefined;
      const refused = new Promise<never>((_, reject) => {
        refuse = reject;
      });
      waiting.add(refuse);
      try {
        return await Promise.race([work(), refused]);
      } finally {
        waiting.delete(refuse);
      }
    },
  };
}

import type { AgentReason } from "../../crds/agent-status.ts";
import type { Clock } from "../../lib/core/clock.ts";
import { toOperatorError } from "../../lib/core/errors.ts";
import type { Logger } from "../../lib/node/logger.ts";
import { formatBytes } from "./byte-sizes.ts";
import { assessDisk, type DiskState, diskLimits, type VolumeFacts, type WriteFailure } from "./disk-pressure.ts";

/** What the keeper does to the volume; tests pass their own. */
export interface VolumeTools {
  read(): Promise<VolumeFacts>;
  probe(): Promise<WriteFailure | undefined>;
  makeBallast(bytes: number): Promise<void>;
  releaseBallast(): Promise<void>;
}

/** When the volume is looked at. */
export interface DiskMoment {
  /** No server runs: one that is about to start needs room. */
  readonly serverDown: boolean;
  /** The volume was found to be this shard's: before that, nothing is written to it. */
  readonly isOurs: boolean;
}

/** Watches the volume and keeps the ballast. */
export interface DiskKeeper {
  /** Looks at the volume and does what is due. It never throws: what cannot be read is told as "unwritable". */
  look(now: DiskMoment): Promise<DiskState>;
  /** What the last look found. */
  state(): DiskState | undefined;
  /** Why the shard takes no writes, as the agent's reason and a sentence. */
  refusal(): { readonly reason: AgentReason; readonly message: string } | undefined;
}

/** A healthy volume proves that it takes writes this often: about 6 kB/s of it. */
const PROBE_EVERY_MS = 10_000;
/** One that does not is asked more often, so that clients are let in soon. */
const PROBE_AGAIN_MS = 2_000;
/** A small write that takes longer has not succeeded: nor would a commit. */
const PROBE_LIMIT_MS = 5_000;

/** Makes a keeper; nothing is touched before `look`. */
export function createDiskKeeper({
  clock,
  log,
  volume,
}: {
  readonly clock: Clock;
  readonly log: Logger;
  readonly volume: VolumeTools;
}): DiskKeeper {
  let state: DiskState | undefined;
  let failure: WriteFailure | undefined;
  let probedAt = Number.NEGATIVE_INFINITY;
  let pending: Promise<void> | undefined;
  let looking: Promise<DiskState> | undefined;

  const probe = async (): Promise<void> => {
    const everyMs = failure === undefined ? PROBE_EVERY_MS : PROBE_AGAIN_MS;
    if (pending === undefined && clock.monotonic() - probedAt < everyMs) return;
    // A write that hangs is waited for, not repeated: each would hold a thread.
    pending ??= volume.probe().then((found) => {
      failure = found;
      probedAt = clock.monotonic();
      pending = undefined;
    });
    const giveUp = new AbortController();
    const inTime = await Promise.race([
      pending.then(() => true),
      clock.sleep(PROBE_LIMIT_MS, giveUp.signal).then(() => false),
    ]);
    giveUp.abort();
    if (!inTime) {
      failure = { code: "ETIMEDOUT", message: `a write of 64 KiB has not ended within ${PROBE_LIMIT_MS / 1000} s` };
    }
  };

  const carryOut = async ({ ballast, totalBytes }: DiskState): Promise<void> => {
    const bytes = diskLimits(totalBytes).ballast;
    if (ballast === "make") {
      await volume.makeBallast(bytes);
      log.info({ bytes }, `keeps ${formatBytes(bytes)} of the volume for times when it is full`);
    } else if (ballast === "release") {
      await volume.releaseBallast();
      log.warn({ bytes }, `the volume is full: gave the ${formatBytes(bytes)} that were kept to PostgreSQL`);
      // There is room now: the next look asks whether a write succeeds.
      probedAt = Number.NEGATIVE_INFINITY;
    }
  };

  const lookOnce = async (now: DiskMoment): Promise<DiskState> => {
    if (now.isOurs) await probe();
    const facts = await volume.read();
    const next = assessDisk({ ...facts, failure, serverDown: now.serverDown }, state);
    if (state?.level !== next.level) {
      const say = next.level === "enough" ? log.info : log.warn;
      say({ level: next.level }, next.message);
    }
    state = next;
    if (!now.isOurs || next.ballast === "keep") return next;
    try {
      await carryOut(next);
    } catch (error) {
      log.warn({ ballast: next.ballast }, `the volume's ballast: ${toOperatorError(error).message}`);
      return next;
    }
    // With the room given up the numbers are others.
    return next.ballast === "release" ? lookOnce(now) : next;
  };

  const unreadable = (error: unknown): DiskState => {
    const { message } = toOperatorError(error);
    const known = { totalBytes: state?.totalBytes ?? 0, freeBytes: state?.freeBytes ?? 0 };
    state = { level: "unwritable", message: `the volume cannot be looked at: ${message}`, ...known, ballast: "keep" };
    return state;
  };

  return {
    look: async (now) => {
      // Two steps may look at once; the second one wants to see what the first one did.
      const before = looking?.catch(() => undefined) ?? Promise.resolve();
      const mine = before.then(() => lookOnce(now)).catch(unreadable);
      looking = mine;
      return mine;
    },
    state: () => state,
    refusal: () => {
      if (state?.level === "full") return { reason: "DiskFull", message: state.message };
      if (state?.level === "unwritable") return { reason: "VolumeUnwritable", message: state.message };
      return undefined;
    },
  };
}

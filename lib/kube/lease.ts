import { isDeepStrictEqual } from "node:util";
import { jitter } from "../core/backoff.ts";
import { canonicalJson } from "../core/canonical.ts";
import { type Clock, rfc3339Micros } from "../core/clock.ts";
import { isOperatorError, OperatorError, toOperatorError } from "../core/errors.ts";
import type { Logger } from "../node/logger.ts";
import type { KubeClient } from "./client.ts";
import { createLeaseEvidence } from "./lease-evidence.ts";
import { claimedLease, isGivenBack, type LeaseRecord, newLease, recordOf, releasedLease } from "./lease-record.ts";
import { type LeaseObject, RESOURCES } from "./types.ts";

/*
 * A Lease is a right that expires by itself. Two rules make it safe without synchronised clocks:
 *
 *   holder:   my right ends `renewSeconds` after I SENT my last successful renewal (monotonic clock).
 *   others:   its right has ended when I have seen the record unchanged for `durationSeconds` after I RECEIVED it.
 *
 *   send ──► server writes ──► other receives          renewSeconds < durationSeconds, and the other starts later,
 *   │ renewSeconds │           │ durationSeconds │     so the holder's right always ends first.
 *
 * Times written into the record are for people; no decision reads them.
 *
 * People edit Leases too: a record without a holder is free only if its holder gave it back (`isGivenBack`), and a duration
 * that is not ours counts within bounds.
 *
 * `leaseTransitions` rises at every acquisition by a process, also under the same identity: it is the fencing epoch.
 *
 * A frozen API server adds a trap: a write that the holder sent in time lies unread in the server's socket and is carried
 * out at the thaw, when the right has long ended. So the silence of the API is never taken for that of the holder:
 *
 *   candidate: only time in which the API answered counts (lease-evidence.ts). For `settleSeconds` after an outage nobody
 *              takes a Lease, not even one that is free or was its own.
 *   write:     carries a fence (`RequestOptions.fence`): it is asked when the bytes leave, and it bounds the time that
 *              the server may work on the request, counted from when it was read.
 *
 *   frozen ──────┤ thaw
 *   late write   │░░░░░░░ 5 s │
 *   candidate    │  settle 5 s │ takes what is free or its own      15 s │ takes what is another's
 *
 * What this cannot close is told in docs/adr/0013-late-writes.md.
 */

export interface LeaseOptions {
  readonly client: Pick<KubeClient, "get" | "replace" | "create">;
  readonly namespace: string;
  readonly name: string;
  /** Unique among processes that live at the same time; a restarted process may use its old one. */
  readonly identity: string;
  /** Others wait this long after the last sign of life. 15 unless told. */
  readonly durationSeconds?: number;
  /** The right ends this long after the last successful renewal was sent. 10 unless told; less than `durationSeconds`. */
  readonly renewSeconds?: number;
  /** Interval of renewals and of attempts to acquire. 2 unless told. */
  readonly retrySeconds?: number;
  /**
   * After an outage the API must have answered for this long before the Lease is taken: late writes of the former holder
   * are over by then. A third of the duration unless told; 0 for holders whose writes carry the epoch themselves.
   */
  readonly settleSeconds?: number;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly log: Logger;
  /** Written into annotation `shieldx.dev/holder-url`. */
  readonly holderUrl?: string;
  /**
   * Further annotations, asked for at each write of ours: news that costs no write of its own; one that is `undefined` is
   * taken off. They stay after a release, which writes them for the last time.
   */
  readonly annotations?: () => Readonly<Record<string, string | undefined>>;
  /**
   * A Lease that names nobody and that no holder is seen to have given back, a new one above all, is taken only after so
   * long: somebody may have emptied or deleted it, and its holder learns that with its next renewal. 0 unless told, for
   * holders whose writes carry the epoch themselves.
   */
  readonly unclaimedSeconds?: number;
  /** Creates the Lease when it is missing. Otherwise its absence means: not yet. */
  readonly createIfMissing?: boolean;
  /**
   * Keeps the right while the API server cannot be reached. Only for a holder that no other process may replace while
   * it lives (the single instance of a shard): it loses the right as soon as the record shows somebody else.
   */
  readonly survivesApiLoss?: boolean;
  /** The right is ours under this epoch. Called again with a higher epoch when that rises while we hold. */
  readonly onHeld?: (epoch: number) => void;
  /** The right has ended. Every `onHeld` series is followed by one `onLost`. */
  readonly onLost?: (reason: string) => void;
  /** Holder, epoch or URL changed, whoever holds the Lease. */
  readonly onRecord?: (record: LeaseRecord) => void;
  /**
   * A renewal had to read the record first, since somebody had touched it or the answer to our last write was lost, and
   * found it still ours: what client-go counts as the slow path.
   */
  readonly onSlowPath?: () => void;
}

/** Takes part in one Lease. */
export interface LeaseHolder {
  /** Acquires and renews until `stop`; after a loss it tries again. Resolves when stopped. */
  run(): Promise<void>;
  /** Decided at this very moment from the monotonic clock: true also means that no other process holds the right. */
  isHeld(): boolean;
  /** The fencing epoch while `isHeld`, otherwise `undefined`. */
  epoch(): number | undefined;
  /** Milliseconds until our right ends unless it is renewed; 0 when it is not ours. */
  heldForMs(): number;
  /** What was last read; `undefined` before the first answer. */
  record(): LeaseRecord | undefined;
  /** An annotation of what was last read. */
  annotation(name: string): string | undefined;
  /**
   * Raises the epoch to at least `minimum` while holding the Lease, for a writer that finds a higher one in its database.
   * @returns the epoch now @throws OperatorError LEASE_LOST when the right is not ours
   */
  setMinimumEpoch(minimum: number): Promise<number>;
  /**
   * Ends `run` and gives the Lease back, so that another process need not wait for its expiry.
   * @param how `expire`: it is not given back, for a process in which work under the right still goes on
   */
  stop(how?: "release" | "expire"): Promise<void>;
}

/** Spread of attempts, so that replicas do not collide on each one. */
const RETRY_JITTER = 0.2;
/**
 * An attempt that found nobody is repeated sooner: a connection that broke must not look like an outage, which begins
 * after two and a half intervals without an answer.
 */
const UNANSWERED_RATIO = 0.5;
/** Stands for the content of a Lease that is missing; no real content, which is JSON, equals it. */
const DELETED = "deleted";
/** Time for giving the Lease back; after it the others wait for its expiry. */
const RELEASE_TIMEOUT_MS = 2_000;
/** Near the end of the right attempts follow each other, but not faster than this. */
const ATTEMPT_INTERVAL_MIN_MS = 200;
/** An attempt may take this part of `renewSeconds`, so that a hanging connection leaves time for a second one. */
const ATTEMPT_RATIO = 0.5;
/**
 * Two answers of the API that are further apart than this part of the duration have an outage between them. A holder
 * that lives survives such a gap: it may go without an answer for longer (two thirds, 10 of 15 s).
 */
const OUTAGE_RATIO = 1 / 3;

/** A record may ask for this long at most: what somebody wrote into it by hand must not lock everybody out. */
const RECORDED_DURATION_MAX_SECONDS = 60;

/**
 * A higher epoch was written by hand: a takeover a second takes 34 years to come here. The server keeps 31 bits, and nobody
 * could take a Lease with the highest of them. Holders whose writes carry the epoch raise it again (`setMinimumEpoch`).
 */
const RECORDED_EPOCH_MAX = 2 ** 30;

/** Nothing is sent before `run`. */
export function createLeaseHolder(options: LeaseOptions): LeaseHolder {
  const { client, clock, log, identity } = options;
  const ref = { namespace: options.namespace, name: options.name };
  const durationSeconds = options.durationSeconds ?? 15;
  const renewMs = (options.renewSeconds ?? 10) * 1000;
  const retryMs = (options.retrySeconds ?? 2) * 1000;
  const outageMs = durationSeconds * 1000 * OUTAGE_RATIO;
  const settleMs = options.settleSeconds === undefined ? outageMs : options.settleSeconds * 1000;
  if (!Number.isSafeInteger(durationSeconds) || durationSeconds < 1) {
    throw new OperatorError("CONFIG_INVALID", "a Lease's durationSeconds must be a whole number of seconds");
  }
  if (renewMs >= durationSeconds * 1000) {
    throw new OperatorError("CONFIG_INVALID", "a Lease's renewSeconds must be less than its durationSeconds");
  }

  const stopping = new AbortController();
  /** What the server last showed us. */
  let seen: LeaseObject | undefined;
  let evidence = createLeaseEvidence(clock.monotonic(), { outageMs, settleMs });
  /** Our right. `until` is Infinity for a holder that survives the loss of the API. */
  let held: { epoch: number; until: number } | undefined;
  /** The highest epoch of ours: a Lease that was made anew must not take us below it. */
  let epochFloor = 0;
  /** One exchange at a time: renewal and `setMinimumEpoch` would otherwise fight over the resource version. */
  let turn: Promise<unknown> = Promise.resolve();

  const exclusive = <T>(work: () => Promise<T>): Promise<T> => {
    const result = turn.then(work);
    turn = result.catch(() => undefined);
    return result;
  };

  const isHeld = (): boolean => held !== undefined && clock.monotonic() < held.until;

  /** The last record with a holder that we saw. */
  let lastHeld: LeaseObject["spec"];
  /** We made the Lease anew, after whoever held the former one had lost its right. */
  let isKnownFree = false;

  const observe = (lease: LeaseObject): void => {
    const before = seen;
    seen = lease;
    if ((lease.spec?.holderIdentity ?? "") !== "") {
      lastHeld = lease.spec;
      isKnownFree = false;
    }
    evidence.answered(clock.monotonic(), canonicalJson(lease.spec ?? {}));
    const record = recordOf(lease);
    if (before === undefined || !isDeepStrictEqual(recordOf(before), record)) options.onRecord?.(record);
  };

  const lose = (reason: string): void => {
    if (held === undefined) return;
    held = undefined;
    log[stopping.signal.aborted ? "info" : "warn"]({ lease: options.name, reason }, "lease lost");
    options.onLost?.(reason);
  };

  const gain = (epoch: number, sentAt: number): void => {
    const isNew = held?.epoch !== epoch;
    epochFloor = Math.max(epochFloor, epoch);
    held = { epoch, until: options.survivesApiLoss === true ? Number.POSITIVE_INFINITY : sentAt + renewMs };
    if (!isNew) return;
    log.info({ lease: options.name, epoch }, "lease held");
    options.onHeld?.(epoch);
  };

  const request = () => ({
    signal: stopping.signal,
    timeoutMs: Math.max(1, Math.min(renewMs * ATTEMPT_RATIO, remainingMs())),
    retries: 0,
    priority: "urgent" as const,
  });
  /** Time until our right ends; an attempt that outlasts it would be of no use. */
  const remainingMs = (): number => (held === undefined ? renewMs : Math.max(1, held.until - clock.monotonic()));

  /** Writes the record on top of `lease` and takes note of the answer. @returns when the request was sent */
  const write = async (lease: LeaseObject, epoch: number): Promise<number> => {
    const next = claimedLease(lease, {
      identity,
      epoch,
      durationSeconds,
      now: rfc3339Micros(clock.now()),
      holderUrl: options.holderUrl,
      annotations: options.annotations?.(),
    });
    const sentAt = clock.monotonic();
    observe(await client.replace(RESOURCES.Lease, next, request()));
    return sentAt;
  };

  /** Never shorter than our own duration: a holder does not hear of a shorter one that somebody wrote into the record. */
  const lifetimeSeconds = (recorded: number | undefined): number =>
    Math.max(durationSeconds, Math.min(recorded ?? durationSeconds, RECORDED_DURATION_MAX_SECONDS));

  /** How long a record without a holder is left alone, in seconds. */
  const unclaimedSeconds = (spec: LeaseObject["spec"]): number => {
    if (isKnownFree || isGivenBack(spec) || lastHeld?.holderIdentity === identity) return 0;
    // Emptied by hand: its holder may be cut off. A release, also of a version that leaves no mark, comes with a new time.
    const isEmptied =
      lastHeld !== undefined &&
      (spec?.leaseTransitions !== lastHeld.leaseTransitions || spec?.renewTime === lastHeld.renewTime);
    return isEmptied ? durationSeconds : (options.unclaimedSeconds ?? 0);
  };

  /** For how long somebody else's right may still last: until it was silent for long enough while the API answered. */
  const takenForMs = (lease: LeaseObject | undefined): number => {
    if (lease === undefined) return 0;
    const { spec } = lease;
    const holder = spec?.holderIdentity ?? "";
    if (holder === identity) return 0;
    const seconds = holder === "" ? unclaimedSeconds(spec) : lifetimeSeconds(spec?.leaseDurationSeconds);
    return Math.max(0, seconds * 1000 - evidence.silentMs());
  };
  const isTaken = (lease: LeaseObject | undefined): boolean => takenForMs(lease) > 0;

  /** Above what is recorded, unless nobody can have come so far, and above every epoch of ours. */
  const nextEpoch = (recorded = 0): number => Math.max(recorded > RECORDED_EPOCH_MAX ? 0 : recorded, epochFloor) + 1;

  const acquire = async (): Promise<void> => {
    const lease = await readOrCreate();
    if (lease === undefined || !evidence.isSettled() || isTaken(lease)) return;
    const epoch = nextEpoch(lease.spec?.leaseTransitions);
    const sentAt = await write(lease, epoch);
    gain(epoch, sentAt);
  };

  /** @returns `undefined` when it is missing and must not be made yet */
  const readOrCreate = async (): Promise<LeaseObject | undefined> => {
    try {
      const lease = await client.get(RESOURCES.Lease, ref, request());
      observe(lease);
      return lease;
    } catch (error) {
      if (!isOperatorError(error, "KUBE_NOT_FOUND") || options.createIfMissing !== true) throw error;
    }
    // Somebody deleted it. The holder learns that with its next renewal only and acts until then, so it is not free yet.
    evidence.answered(clock.monotonic(), DELETED);
    if (isTaken(seen)) return undefined;
    isKnownFree = seen !== undefined;
    const made = await client.create(RESOURCES.Lease, newLease(ref), request());
    observe(made);
    return made;
  };

  /** Extends our right under `epoch`; reads the record again when somebody touched it. */
  const renew = async (epoch: number, floor: number): Promise<void> => {
    if (seen !== undefined) {
      try {
        return gain(floor, await write(seen, floor));
      } catch (error) {
        if (!isOperatorError(error, "KUBE_CONFLICT")) throw error;
      }
    }
    const lease = await client.get(RESOURCES.Lease, ref, request());
    observe(lease);
    const holder = lease.spec?.holderIdentity ?? "";
    const transitions = lease.spec?.leaseTransitions ?? 0;
    if (holder === identity && (transitions === epoch || transitions === floor)) {
      // Ours: an edit of its metadata, or an earlier write of ours whose answer was lost.
      options.onSlowPath?.();
      return gain(floor, await write(lease, floor));
    }
    if (holder === "" && options.survivesApiLoss === true) {
      const next = Math.max(nextEpoch(transitions), floor + 1);
      return gain(next, await write(lease, next));
    }
    if (holder === "") return lose("somebody took its holder out of the Lease");
    lose(holder === identity ? "a newer process has our identity" : `held by "${holder}"`);
  };

  /** @returns false when there was no answer at all */
  const step = async (): Promise<boolean> => {
    let answered = true;
    if (held !== undefined && !isHeld()) lose("not renewed in time");
    try {
      await exclusive(async () => (held === undefined ? acquire() : renew(held.epoch, held.epoch)));
    } catch (thrown) {
      if (stopping.signal.aborted) return false;
      const error = toOperatorError(thrown);
      answered = error.code !== "KUBE_UNREACHABLE";
      // Somebody was faster, or the Lease is not there yet: both are ordinary.
      const ordinary = error.code === "KUBE_CONFLICT" || error.code === "KUBE_ALREADY_EXISTS";
      log[ordinary ? "debug" : "warn"]({ lease: options.name, error: error.message }, "lease attempt failed");
      if (error.code === "KUBE_NOT_FOUND" && held !== undefined && options.survivesApiLoss !== true) {
        lose("the Lease was deleted");
      }
    }
    if (held !== undefined && !isHeld()) lose("not renewed in time");
    return answered;
  };

  let ending: "release" | "expire" = "release";
  const release = async (): Promise<void> => {
    if (held === undefined) return;
    const { epoch } = held;
    if (ending === "expire") return lose("left to expire");
    // From here on no write of ours may claim the right, whatever becomes of the release.
    lose("released");
    for (const fresh of [false, true]) {
      try {
        const how = { timeoutMs: RELEASE_TIMEOUT_MS, retries: 0, priority: "urgent" as const };
        const lease = fresh || seen === undefined ? await client.get(RESOURCES.Lease, ref, how) : seen;
        if (lease.spec?.holderIdentity !== identity || lease.spec.leaseTransitions !== epoch) return;
        const annotations = options.annotations?.();
        const next = releasedLease(lease, { now: rfc3339Micros(clock.now()), annotations });
        observe(await client.replace(RESOURCES.Lease, next, how));
        return;
      } catch (error) {
        if (isOperatorError(error, "KUBE_CONFLICT")) continue;
        log.warn(
          { lease: options.name, error: toOperatorError(error).message },
          "lease not given back; it will expire",
        );
        return;
      }
    }
  };

  /**
   * The usual interval. A holder: sooner when slow answers have used up the right, and at its end at the latest. A
   * candidate: when the right of a silent holder ends, so that it takes over within duration + interval of its last sign.
   */
  const nextAttemptMs = (intervalMs: number): number => {
    const taken = held === undefined ? takenForMs(seen) : 0;
    if (taken > 0 && taken < intervalMs) return Math.max(taken, ATTEMPT_INTERVAL_MIN_MS);
    const remaining = remainingMs();
    const hurried = Math.max(remaining / 2, Math.min(ATTEMPT_INTERVAL_MIN_MS, remaining));
    return Math.min(jitter(intervalMs, RETRY_JITTER, options.random()), hurried);
  };

  let running: Promise<void> | undefined;
  const loop = async (): Promise<void> => {
    evidence = createLeaseEvidence(clock.monotonic(), { outageMs, settleMs });
    while (!stopping.signal.aborted) {
      const beganAt = clock.monotonic();
      const answered = await step();
      const spentMs = clock.monotonic() - beganAt;
      // A silent connection took longer than the interval already, and the next attempt has another one.
      const waitMs = answered ? retryMs : Math.max(ATTEMPT_INTERVAL_MIN_MS, retryMs * UNANSWERED_RATIO - spentMs);
      await clock.sleep(nextAttemptMs(waitMs), stopping.signal);
    }
    await turn;
    await release();
  };

  return {
    run: () => (running ??= loop()),
    isHeld,
    epoch: () => (isHeld() ? held?.epoch : undefined),
    heldForMs: () => Math.max(0, (held?.until ?? 0) - clock.monotonic()),
    record: () => (seen === undefined ? undefined : recordOf(seen)),
    annotation: (name) => seen?.metadata.annotations?.[name],
    setMinimumEpoch: (minimum) =>
      exclusive(async () => {
        if (held === undefined || !isHeld()) throw new OperatorError("LEASE_LOST", `Lease ${options.name} is not ours`);
        if (held.epoch < minimum) await renew(held.epoch, minimum);
        if (held === undefined || !isHeld()) throw new OperatorError("LEASE_LOST", `Lease ${options.name} is not ours`);
        return held.epoch;
      }),
    stop: async (how = "release") => {
      ending = how;
      stopping.abort();
      await running;
    },
  };
}

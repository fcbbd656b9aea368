/**
 * What is counted of releases. It looks at the statuses that the server has taken, one reconcile after the other: a status that could
 * not be written counts nothing, and one that is reported again counts nothing more. A replica counts what happens while it leads:
 * what it finds at its first look at a Rollout was counted by the one before. Of a process that dies between the write of a
 * status and its next reconcile, milliseconds later, that one step is missing, as all is that was not scraped yet.
 */

import { ROLLOUT, type Rollout } from "../../crds/rollout.ts";
import { OUTCOMES, type Outcome, type RolloutStatus } from "../../crds/rollout-status.ts";
import type { Clock } from "../../lib/core/clock.ts";
import type { Metrics } from "../../lib/node/metrics.ts";
import type { Key } from "../../operator/runtime/types.ts";
import type { End } from "../kit/notifications/courier.ts";
import { isJudged } from "./rollout.progress.ts";
import { ROLLOUT_GAUGES, type Series, seriesOf } from "./rollout.series.ts";
import { type Transition, transitionsOf } from "./rollout.transitions.ts";

/** Counts what happens to Rollouts. */
export interface RolloutMetrics {
  /** To be called at the beginning of each reconcile; `undefined`: the Rollout is gone, and its series go. */
  look(key: Key, seen: Seen | undefined, clock: Clock): void;
  /** A notification came to its end. @param seconds since what it tells of */
  readonly notified: (result: End, seconds: number) => void;
}

/** A Rollout at the beginning of a reconcile. */
export interface Seen {
  readonly rollout: Rollout;
  /** Since when nothing could be judged, in milliseconds since the epoch. */
  readonly unknownSinceMs: number | undefined;
}

/** What is known from the last look. */
interface Look {
  readonly uid: string | undefined;
  readonly status: RolloutStatus | undefined;
  /** On the monotonic clock, in milliseconds. */
  readonly at: number;
  readonly series: readonly Series[];
}

/** From half a minute, in which a version comes back that was stable a moment ago, to three days. */
const RELEASE_BUCKETS_SECONDS = [
  30, 60, 120, 300, 600, 900, 1_200, 1_800, 3_600, 7_200, 14_400, 43_200, 86_400, 259_200,
];
const ROLLBACK_BUCKETS_SECONDS = [0.1, 0.25, 0.5, 1, 1.5, 2, 3, 4, 5, 7.5, 10, 15, 20, 25, 30, 45, 60];
/** Why releases are taken back. The annotation of a route may say anything: what is not here counts as Other. */
const ROLLBACK_REASONS = [
  "Harm",
  "SloBreach",
  "PodsUnstable",
  "ProgressDeadlineExceeded",
  "NoData",
  "HealthCheckFailed",
  "SmokeTestFailed",
  "Aborted",
];
const OTHER_REASON = "Other";

export function createRolloutMetrics(metrics: Metrics): RolloutMetrics {
  const count = createCount(metrics);
  const unknown = metrics.counter("analysis_unknown_seconds_total");
  const gauges = new Map(ROLLOUT_GAUGES.map((name) => [name, metrics.gauge(name)]));
  const looks = new Map<string, Look>();

  return {
    notified: createNotified(metrics),
    look: (key, seen, clock) => {
      const labels = { namespace: key.namespace, name: key.name };
      const id = `${key.namespace}/${key.name}`;
      const last = looks.get(id);
      for (const { gauge, labels: own } of last?.series ?? []) gauges.get(gauge)?.remove({ ...labels, ...own });
      if (seen === undefined) {
        if (looks.delete(id)) unknown.remove(labels);
        return;
      }
      const { rollout } = seen;
      const { uid } = rollout.metadata;
      // One of the same name that was made anew begins anew.
      const known = last?.uid === uid ? last : undefined;
      if (known !== undefined) for (const it of transitionsOf(known.status, rollout.status)) count(it);
      unknown.inc(labels, known === undefined ? 0 : unknownSeconds(seen, known.at, clock));
      const series = seriesOf(rollout);
      for (const { gauge, labels: own, value } of series) gauges.get(gauge)?.set({ ...labels, ...own }, value);
      looks.set(id, { uid, status: rollout.status, at: clock.monotonic(), series });
    },
  };
}

/** Each series starts at 0: otherwise Prometheus would not count the first one. */
function createCount(metrics: Metrics): (transition: Transition) => void {
  const durations = metrics.histogram("deployment_duration_seconds", RELEASE_BUCKETS_SECONDS);
  const rollbacks = metrics.counter("rollback_count_total");
  const rollbackTimes = metrics.histogram("rollback_duration_seconds", ROLLBACK_BUCKETS_SECONDS);
  for (const outcome of OUTCOMES) durations.zero({ outcome });
  for (const reason of [...ROLLBACK_REASONS, OTHER_REASON]) rollbacks.inc({ reason }, 0);
  rollbackTimes.zero({});
  return (transition) => {
    if (transition.type === "ended") durations.observe({ outcome: transition.outcome }, transition.seconds);
    if (transition.type === "taken-back" && isRollback(transition.outcome)) rollbackTimes.observe(transition.seconds);
    if (transition.type === "retreat" && isRollback(transition.outcome)) {
      const { reason } = transition;
      rollbacks.inc({ reason: ROLLBACK_REASONS.includes(reason) ? reason : OTHER_REASON });
    }
  };
}

function createNotified(metrics: Metrics): RolloutMetrics["notified"] {
  const { kind } = ROLLOUT;
  const ends = metrics.counter("notifications_total");
  const times = metrics.histogram("notification_delivery_seconds", DELIVERY_BUCKETS_SECONDS);
  for (const result of ENDS) ends.inc({ kind, result }, 0);
  times.zero({ kind });
  return (result, seconds) => {
    ends.inc({ kind, result });
    if (result === "delivered") times.observe({ kind }, seconds);
  };
}

/** From one that is delivered at once to ten minutes, after which it is given up. */
const DELIVERY_BUCKETS_SECONDS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600];
const ENDS: readonly End[] = ["delivered", "failed", "dropped"];

/** A version that another one took the place of was not taken back. */
function isRollback(outcome: Outcome): boolean {
  return outcome === "RolledBack" || outcome === "Aborted";
}

/** Of the time since the last look, the part in which requests went to a version that could not be judged. */
function unknownSeconds({ rollout, unknownSinceMs }: Seen, lastAt: number, clock: Clock): number {
  const { phase, verifiedAt } = rollout.status ?? {};
  if (unknownSinceMs === undefined || verifiedAt === undefined) return 0;
  if (phase === undefined || !isJudged({ phase })) return 0;
  const lasts = clock.now() - Math.max(unknownSinceMs, Date.parse(verifiedAt));
  return Math.max(0, Math.min(lasts, clock.monotonic() - lastAt)) / 1_000;
}

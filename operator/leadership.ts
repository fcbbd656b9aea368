import type { Clock } from "../lib/core/clock.ts";
import type { KubeClient } from "../lib/kube/client.ts";
import { createLeaseHolder, type LeaseHolder } from "../lib/kube/lease.ts";
import type { Logger } from "../lib/node/logger.ts";
import type { Metrics } from "../lib/node/metrics.ts";
import { createClaimant } from "./claimant.ts";

/** Times of the Lease; those of client-go unless told. */
export interface LeaseTimes {
  readonly durationSeconds?: number;
  readonly renewSeconds?: number;
  readonly retrySeconds?: number;
  /** See `LeaseOptions`; one and a half of `retrySeconds` unless told, in which a holder has renewed or learnt that it cannot. */
  readonly unclaimedSeconds?: number;
}

export interface LeadershipOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly identity: string;
  /** What this installation serves; empty for all. */
  readonly watchNamespaces: readonly string[];
  readonly lease?: LeaseTimes;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly onGained: () => void;
  /** Also when it is given back at a stop. Never followed by another `onGained`. */
  readonly onLost: (reason: string) => void;
}

/** The operator's part in its Lease. */
export interface Leadership {
  /** Held: this replica has the Lease, and no other installation comes first. */
  readonly lease: LeaseHolder;
  /** Why this replica has the Lease and does not lead; `undefined` otherwise. */
  waitsFor(): string | undefined;
  /** Seconds that a renewal is good for. */
  readonly renewSeconds: number;
  /** Milliseconds since the Lease was lost; `undefined` while it was not. */
  lostForMs(): number | undefined;
}

/** Name of the Lease, and of its metrics. */
export const LEASE_NAME = "shieldx-controller";
/** client-go's lease duration. */
const DURATION_SECONDS = 15;
/** client-go's renew deadline. */
const RENEW_SECONDS = 10;
/** client-go's retry period. */
const RETRY_SECONDS = 2;
/** Attempts are spread by a fifth, and an answer takes its time. */
const UNCLAIMED_RATIO = 1.5;

/** Leader election with the metrics of controller-runtime. Nothing is sent before `lease.run`. */
export function createLeadership(options: LeadershipOptions): Leadership {
  const { client, clock, random, log, identity } = options;
  const status = options.metrics.gauge("leader_election_master_status");
  const slowPaths = options.metrics.counter("leader_election_slowpath_total");
  status.set({ name: LEASE_NAME }, 0);
  slowPaths.inc({ name: LEASE_NAME }, 0);
  const renewSeconds = options.lease?.renewSeconds ?? RENEW_SECONDS;
  let lostAt: number | undefined;

  const retrySeconds = options.lease?.retrySeconds ?? RETRY_SECONDS;
  const lose = (reason: string): void => {
    if (lostAt !== undefined) return;
    lostAt = clock.monotonic();
    claimant.stop();
    status.set({ name: LEASE_NAME }, 0);
    options.onLost(reason);
  };

  const lease: LeaseHolder = createLeaseHolder({
    client,
    namespace: options.namespace,
    name: LEASE_NAME,
    identity,
    clock,
    random,
    log,
    createIfMissing: true,
    unclaimedSeconds: retrySeconds * UNCLAIMED_RATIO,
    ...options.lease,
    renewSeconds,
    annotations: () => claimant.annotations(),
    onSlowPath: () => slowPaths.inc({ name: LEASE_NAME }),
    onHeld: () => claimant.start(),
    onLost: (reason) => {
      lose(reason);
      // This process never leads again: what it remembers may be older than what others wrote meanwhile.
      void lease.stop();
    },
  });
  const claimant = createClaimant({
    ...options,
    name: LEASE_NAME,
    isHeld: lease.isHeld,
    annotation: lease.annotation,
    durationSeconds: options.lease?.durationSeconds ?? DURATION_SECONDS,
    retryMs: retrySeconds * 1_000,
    onLeads: () => {
      log.info({ epoch: lease.epoch(), identity }, "leading");
      status.set({ name: LEASE_NAME }, 1);
      options.onGained();
    },
    // The Lease is given back once the workers have ended, as at any stop: until then the other one waits.
    onYield: lose,
  });
  const leads = (): boolean => claimant.leads() && lostAt === undefined;
  return {
    lease: {
      ...lease,
      isHeld: () => leads() && lease.isHeld(),
      epoch: () => (leads() ? lease.epoch() : undefined),
    },
    waitsFor: claimant.waitsFor,
    renewSeconds,
    lostForMs: () => (lostAt === undefined ? undefined : clock.monotonic() - lostAt),
  };
}

import type { Clock } from "../lib/core/clock.ts";
import { isOperatorError } from "../lib/core/errors.ts";
import type { KubeClient } from "../lib/kube/client.ts";
import { createLeaseEvidence, type LeaseEvidence } from "../lib/kube/lease-evidence.ts";
import { type LeaseObject, RESOURCES } from "../lib/kube/types.ts";
import type { Logger } from "../lib/node/logger.ts";
import { type Claim, claimOf } from "./installations.ts";

export interface InstallationWatchOptions {
  readonly client: Pick<KubeClient, "list" | "find">;
  /** Our own namespace, and the name of every installation's Lease. */
  readonly namespace: string;
  readonly name: string;
  /** Empty: the whole cluster. */
  readonly watchNamespaces: readonly string[];
  /** A Lease that was silent for so long is nobody's, whatever its record says beyond a minute. */
  readonly durationSeconds: number;
  /** Two looks that are further apart have an outage between them. */
  readonly outageMs: number;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What a look at the Leases of all installations showed. */
export interface InstallationView {
  readonly own: Claim;
  /** Others whose right has not ended. */
  readonly others: readonly Claim[];
}

/** Looks at the Leases of all installations; what was seen before tells which of them are alive. */
export interface InstallationWatch {
  /** @returns `undefined` when our own Lease is not there @throws OperatorError KUBE_… */
  look(signal: AbortSignal): Promise<InstallationView | undefined>;
}

interface Seen {
  readonly claim: Claim;
  readonly evidence: LeaseEvidence;
  readonly lifetimeMs: number;
}

/** A record counts for this long at most: what somebody wrote into it must not lock us out. */
const LIFETIME_MAX_SECONDS = 60;
const LOOK_TIMEOUT_MS = 5_000;
/** Stands for the content of a Lease that is gone. */
const GONE = "gone";

/** Nothing is sent before `look`. */
export function createInstallationWatch(options: InstallationWatchOptions): InstallationWatch {
  const { client, clock, log, name, durationSeconds, outageMs } = options;
  const seen = new Map<string, Seen>();
  let mayList = true;

  const read = async (signal: AbortSignal): Promise<readonly LeaseObject[]> => {
    const how = { signal, timeoutMs: LOOK_TIMEOUT_MS, priority: "urgent" as const };
    if (mayList) {
      try {
        return (await client.list(RESOURCES.Lease, { ...how, fieldSelector: `metadata.name=${name}` })).items;
      } catch (error) {
        if (!isOperatorError(error, "KUBE_FORBIDDEN")) throw error;
        mayList = false;
        log.warn(
          { error: error.message },
          "other installations can be seen in the own and the watched namespaces alone; see rbac of the chart",
        );
      }
    }
    const found = await Promise.all(
      [...new Set([options.namespace, ...options.watchNamespaces])].map(async (namespace) => {
        try {
          return await client.find(RESOURCES.Lease, { namespace, name }, how);
        } catch (error) {
          if (isOperatorError(error, "KUBE_FORBIDDEN")) return undefined;
          throw error;
        }
      }),
    );
    return found.filter((lease) => lease !== undefined);
  };

  const note = (lease: LeaseObject, now: number): void => {
    const claim = claimOf(lease);
    const { holderIdentity = "", leaseDurationSeconds = durationSeconds } = lease.spec ?? {};
    if (holderIdentity === "") return void seen.delete(claim.uid);
    const seconds = Math.max(durationSeconds, Math.min(leaseDurationSeconds, LIFETIME_MAX_SECONDS));
    const evidence = seen.get(claim.uid)?.evidence ?? createLeaseEvidence(now, { outageMs, settleMs: 0 });
    evidence.answered(now, JSON.stringify(lease.spec));
    seen.set(claim.uid, { claim, evidence, lifetimeMs: seconds * 1_000 });
  };

  return {
    look: async (signal) => {
      const leases = await read(signal);
      const now = clock.monotonic();
      const own = leases.find(({ metadata }) => metadata.namespace === options.namespace);
      const others = leases.filter((lease) => lease !== own);
      for (const lease of others) note(lease, now);
      const present = new Set(others.map(({ metadata }) => metadata.uid));
      for (const [uid, { evidence, lifetimeMs }] of seen) {
        // Its holder may not know yet that somebody deleted it.
        if (!present.has(uid)) evidence.answered(now, GONE);
        if (!present.has(uid) && evidence.silentMs() >= lifetimeMs) seen.delete(uid);
      }
      if (own === undefined) return undefined;
      const alive = [...seen.values()].filter(({ evidence, lifetimeMs }) => evidence.silentMs() < lifetimeMs);
      return { own: claimOf(own), others: alive.map(({ claim }) => claim) };
    },
  };
}

import type { LeaseHolder } from "../lib/kube/lease.ts";
import type { ProbeResult } from "../lib/node/http-server.ts";
import type { NamedInformerState } from "./kube/cache.ts";
import type { Readiness } from "./runtime/runnable.ts";

/** What the probes ask. */
export interface HealthSources {
  readonly informers: () => readonly NamedInformerState[];
  readonly lease: Pick<LeaseHolder, "isHeld" | "heldForMs">;
  /** Why a replica that has the Lease does not lead. */
  readonly waitsFor: () => string | undefined;
  /** Seconds that a renewal of the Lease is good for. */
  readonly renewSeconds: number;
  /** Milliseconds since the Lease was lost; `undefined` while it was not. */
  readonly lostForMs: () => number | undefined;
  /** Milliseconds that the longest running reconcile has taken. */
  readonly longestRunMs: () => number;
  /** Milliseconds that nothing in the process could run, of late. */
  readonly longestStallMs: () => number;
  /** Webhook servers and the like. */
  readonly runnables: () => Readiness;
}

/** Answers of `/readyz` and `/healthz`. */
export interface Health {
  /** False: what this replica shows or decides may be old, or it cannot act. A standby that could take over is ready. */
  ready(): ProbeResult;
  /** False: only a new process helps. */
  live(): ProbeResult;
}

/** An informer without a sign of life for this long shows the past. */
const STALE_MS = 120_000;
/** A process that could not run for this long answers nobody, and will soon lose its Lease. */
const STALL_MS = 5_000;
/** Part of the right that may be used up without a renewal: two or three attempts have failed by then. */
const RENEWAL_OVERDUE = 0.5;
/** A reconcile ignores its deadline and its abort signal: only a new process helps. */
const STUCK_MS = 600_000;
/** The Lease is gone and the process should have ended long ago. */
const LOSS_STUCK_MS = 60_000;

/** An open watch ends within five minutes, and only the next one is refused: so long, a namespace goes away kind by kind. */
const LEAVING_MS = 600_000;

/** What is said of a watched namespace of which nothing may be read. */
export function notServed(namespace: string): string {
  return (
    `namespace ${namespace} is not served: it may not be read, so it was deleted, or the operator's Role and RoleBinding ` +
    "in it were; it is served again within a minute once both are there"
  );
}

/** Watched namespaces of which no kind may be read, while others can be: what goes on has no part in them. */
function awayNamespaces(states: readonly NamedInformerState[]): ReadonlySet<string> {
  const readable = new Set<string>();
  const refused = new Set<string>();
  for (const { namespace, refused: error } of states.flatMap(({ parts, optional }) => (optional ? [] : parts))) {
    if (namespace === undefined) continue;
    (error?.code === "KUBE_FORBIDDEN" ? refused : readable).add(namespace);
  }
  return new Set(readable.size === 0 ? [] : [...refused].filter((namespace) => !readable.has(namespace)));
}

const seconds = (ms: number): number => Math.round(ms / 1_000);

/** Probes of one replica; they only read. */
export function createHealth(sources: HealthSources): Health {
  const informersOf = (states: readonly NamedInformerState[], away: ReadonlySet<string>): string[] =>
    states.flatMap(({ informer, parts, optional }) =>
      // Somebody else's kind, which may be broken: neither webhooks nor other kinds are to suffer from it.
      (optional ? [] : parts).flatMap(({ namespace, synced, silentMs, refused }) => {
        if (namespace !== undefined && away.has(namespace)) return [];
        const what = namespace === undefined ? informer : `${informer} in namespace ${namespace}`;
        const why = refused === undefined ? undefined : `cannot be listed: ${refused.code} ${refused.message}`;
        if (!synced) return [`${what}: ${why ?? "not listed yet"}`];
        if (silentMs <= (namespace === undefined || refused === undefined ? STALE_MS : LEAVING_MS)) return [];
        return [`${what}: silent for ${seconds(silentMs)} s${why === undefined ? "" : `, ${why}`}`];
      }),
    );

  const leaseOf = (): string[] => {
    if (sources.lostForMs() !== undefined) return ["lease: lost, the process ends"];
    if (!sources.lease.isHeld()) return [];
    const leftMs = sources.lease.heldForMs();
    if (leftMs > sources.renewSeconds * 1_000 * (1 - RENEWAL_OVERDUE)) return [];
    return [`lease: not renewed for ${seconds(sources.renewSeconds * 1_000 - leftMs)} s, ends in ${seconds(leftMs)} s`];
  };

  const eventLoopOf = (): string[] => {
    const ms = sources.longestStallMs();
    return ms < STALL_MS ? [] : [`event loop: nothing could run for ${seconds(ms)} s`];
  };

  return {
    ready: () => {
      const runnables = sources.runnables();
      const states = sources.informers();
      const away = awayNamespaces(states);
      const reasons = [...informersOf(states, away), ...leaseOf(), ...eventLoopOf(), ...(runnables.reasons ?? [])];
      if (reasons.length > 0 || !runnables.ok) return { ok: false, reasons };
      return {
        ok: true,
        reasons: [
          sources.lease.isHeld() ? "leading" : (sources.waitsFor() ?? "standing by"),
          ...[...away].map(notServed),
        ],
      };
    },
    live: () => {
      const run = sources.longestRunMs();
      const lost = sources.lostForMs() ?? 0;
      const reasons = [
        ...(run < STUCK_MS ? [] : [`a reconcile runs for ${seconds(run)} s`]),
        ...(lost < LOSS_STUCK_MS ? [] : [`the lease was lost ${seconds(lost)} s ago and the process has not ended`]),
      ];
      return reasons.length === 0 ? { ok: true } : { ok: false, reasons };
    },
  };
}

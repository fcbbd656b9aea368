import { type Clock, systemClock } from "../../lib/core/clock.ts";
import { createKubeClient } from "../../lib/kube/client.ts";
import { createTransport, type Transport } from "../../lib/kube/transport.ts";
import { silentLogger } from "../../lib/node/logger.ts";
import { createMetrics } from "../../lib/node/metrics.ts";
import { createManager, type Manager, type ManagerOptions } from "../../operator/manager.ts";
import type { CacheReader, Controller } from "../../operator/runtime/types.ts";
import type { SeenRequest } from "../faults.ts";
import { eventually } from "../wait.ts";
import { createWidgetOperator } from "../widget-operator.ts";
import type { Link } from "./server.ts";

/** A Lease that no slow machine and no fast clock takes away: for what is not about leadership. */
export const LONG_LEASE = {
  durationSeconds: 1_000_000,
  renewSeconds: 900_000,
  retrySeconds: 100_000,
  unclaimedSeconds: 0,
} as const;

export interface ReplicaOptions {
  readonly link: Pick<Link, "endpoint" | "writes">;
  readonly namespace: string;
  /** Identity in the Lease and in the user agent. */
  readonly identity: string;
  /** The widget operator unless told. */
  readonly controller?: Controller;
  /** The machine's unless told. */
  readonly clock?: Clock;
  /** `LONG_LEASE` unless told; the product's own times with `{}`. */
  readonly lease?: NonNullable<ManagerOptions["lease"]>;
  readonly inactivityMs?: number;
  /** What its requests go through on their way to the link. */
  readonly transport?: (transport: Transport) => Transport;
}

/** A running replica of the whole operator, in this process. */
export interface Replica {
  readonly manager: Manager;
  /** Names of reconciled objects, in the order of their runs. */
  readonly runs: readonly string[];
  /** Runs that began while another run of the same key was under way. */
  overlaps(): number;
  /** The controller's view of its caches, once it has run. */
  cache(): CacheReader;
  /** Sum of a metric over all label sets that contain `labels`. */
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
  /** Requests of this replica that can change something, those for Leases left out, as its link saw them. */
  writes(): readonly SeenRequest[];
  /** Waits until this replica leads. */
  leads(): Promise<void>;
  /** Waits until nothing has been reconciled or written for a while: all echoes have come. */
  rests(): Promise<void>;
  /** Asks it to stop. @returns its exit code */
  stop(): Promise<number>;
  readonly exited: Promise<number>;
}

/** Longer than the way of an event through socket, cache and queue; a key that waits for its turn is scaled along. */
const QUIET_MS = 300;

/** Starts a replica; it works at once. */
export function startReplica(options: ReplicaOptions): Replica {
  const { link, namespace, identity } = options;
  const clock = options.clock ?? systemClock;
  const userAgent = `shieldx/test (${identity})`;
  const runs: string[] = [];
  const running = new Set<string>();
  let overlaps = 0;
  let cache: CacheReader | undefined;
  const controller = options.controller ?? createWidgetOperator();
  const metrics = createMetrics();
  const client = createKubeClient({
    transport: (options.transport ?? ((transport) => transport))(createTransport(link.endpoint(namespace))),
    namespace,
    userAgent,
    clock,
    random: () => 0.5,
  });
  const manager = createManager({
    client,
    controllers: [
      {
        ...controller,
        reconcile: async (key, context) => {
          cache = context.cache;
          runs.push(key.name);
          const id = `${key.namespace}/${key.name}`;
          if (running.has(id)) overlaps += 1;
          running.add(id);
          try {
            return await controller.reconcile(key, context);
          } finally {
            running.delete(id);
          }
        },
      },
    ],
    namespace,
    identity,
    watchNamespaces: [namespace],
    port: 0,
    metrics,
    clock,
    random: () => 0.5,
    log: silentLogger,
    lease: options.lease ?? LONG_LEASE,
    ...(options.inactivityMs === undefined ? {} : { inactivityMs: options.inactivityMs }),
  });
  const abort = new AbortController();
  const exited = manager.run(abort.signal).finally(() => client.close());
  const writes = (): readonly SeenRequest[] =>
    link.writes().filter((request) => request.userAgent === userAgent && !request.path.includes("/leases"));

  return {
    manager,
    runs,
    overlaps: () => overlaps,
    cache: () => {
      if (cache === undefined) throw new Error("the controller has not run yet");
      return cache;
    },
    metric: async (name, labels = {}) => sumOf(await metrics.text(), name, labels),
    writes,
    leads: async () => {
      await eventually(`replica ${identity} leads`, () => manager.isLeader());
    },
    rests: async () => {
      let last = "";
      let since = systemClock.monotonic();
      await eventually(`replica ${identity} rests`, () => {
        const now = `${runs.length} ${running.size} ${writes().length}`;
        if (now !== last) since = systemClock.monotonic();
        last = now;
        return systemClock.monotonic() - since > QUIET_MS;
      });
    },
    stop: () => {
      abort.abort();
      return exited;
    },
    exited,
  };
}

/** Adds up the samples of a metric in Prometheus' text format. */
function sumOf(text: string, name: string, labels: Readonly<Record<string, string>>): number {
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  return text
    .split("\n")
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .filter((line) => wanted.every((pair) => line.includes(pair)))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
}

import { OperatorError } from "../../core/errors.ts";
import { createManualClock, type ManualClock } from "../../core/manual-clock.ts";
import { silentLogger } from "../../node/logger.ts";
import { createLeaseHolder, type LeaseHolder, type LeaseOptions } from "../lease.ts";
import type { LeaseObject } from "../types.ts";

/** An API server with one Lease, as a record with a resource version. */
export interface Server {
  lease: LeaseObject | undefined;
  writes: number;
  client(link?: Link): LeaseOptions["client"];
}

/** The way of one process to the server, which can be cut or stalled on its own. */
export interface Link {
  down?: boolean;
  /** The next answer to a write is lost: the server carried it out. */
  loseNextAnswer?: boolean;
  /** Runs before the next read or write. */
  before?: () => void | Promise<void>;
}

/** What a process meets that is cut off. */
export const unreachable = (): OperatorError => new OperatorError("KUBE_UNREACHABLE", "cut off");

/** A server with an empty Lease unless told. */
export function createServer(lease: LeaseObject | undefined = emptyLease()): Server {
  const server: Server = {
    lease,
    writes: 0,
    client: (link = {}) => ({
      get: async () => {
        await pass(link);
        if (server.lease === undefined) throw new OperatorError("KUBE_NOT_FOUND", "no Lease");
        return structuredClone(server.lease) as never;
      },
      replace: async (_type, object) => {
        await pass(link);
        if (server.lease === undefined) throw new OperatorError("KUBE_NOT_FOUND", "no Lease");
        if (object.metadata.resourceVersion !== server.lease.metadata.resourceVersion) {
          throw new OperatorError("KUBE_CONFLICT", "stale");
        }
        return store(object, link) as never;
      },
      create: async (_type, object) => {
        await pass(link);
        if (server.lease !== undefined) throw new OperatorError("KUBE_ALREADY_EXISTS", "there");
        return store(object, link) as never;
      },
    }),
  };
  const pass = async (link: Link): Promise<void> => {
    const { before } = link;
    delete link.before;
    await before?.();
    if (link.down === true) throw unreachable();
  };
  const store = (object: LeaseObject, link: Link): LeaseObject => {
    server.writes += 1;
    const resourceVersion = String(Number(server.lease?.metadata.resourceVersion ?? "0") + 1);
    server.lease = structuredClone({ ...object, metadata: { ...object.metadata, resourceVersion } });
    if (link.loseNextAnswer === true) {
      link.loseNextAnswer = false;
      throw unreachable();
    }
    return structuredClone(server.lease);
  };
  return server;
}

/** The Lease as the operator makes it: nobody holds it. */
export function emptyLease(): LeaseObject {
  return {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { name: "right", namespace: "ns", resourceVersion: "1", labels: { keep: "me" } },
  };
}

/** A process that takes part in the Lease; `story` tells what it learnt. */
export interface Participant {
  readonly holder: LeaseHolder;
  readonly link: Link;
  readonly story: string[];
}

/** Nothing is sent before `holder.run`. */
export function join(
  server: Server,
  clock: ManualClock,
  options: Partial<LeaseOptions> & { identity: string },
): Participant {
  const link: Link = {};
  const story: string[] = [];
  const holder = createLeaseHolder({
    client: server.client(link),
    namespace: "ns",
    name: "right",
    clock,
    random: () => 0.5,
    log: silentLogger,
    onHeld: (epoch) => story.push(`held ${epoch}`),
    onLost: (reason) => story.push(`lost: ${reason}`),
    ...options,
  });
  return { holder, link, story };
}

/** Holder `a` and, a moment later, candidate `b`, both with the usual times, on one server. */
export async function joinTwo(): Promise<{
  readonly clock: ManualClock;
  readonly server: Server;
  readonly a: Participant;
  readonly b: Participant;
}> {
  const clock = createManualClock();
  const server = createServer();
  const a = join(server, clock, { identity: "a" });
  const b = join(server, clock, { identity: "b" });
  void a.holder.run();
  await clock.advance(100);
  void b.holder.run();
  return { clock, server, a, b };
}

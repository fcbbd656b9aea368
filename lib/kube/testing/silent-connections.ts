import { afterEach, beforeEach, expect, it } from "@jest/globals";
import { latency } from "../../../testkit/fault-recipes.ts";
import type { FaultTarget } from "../../../testkit/faults.ts";
import { eventually } from "../../../testkit/wait.ts";
import { configMap } from "../../../testkit/widget.ts";
import { systemClock } from "../../core/clock.ts";
import { silentLogger } from "../../node/logger.ts";
import type { KubeClient } from "../client.ts";
import { createLeaseHolder } from "../lease.ts";
import { RESOURCES } from "../types.ts";

// Goal: connections that die without a word cost one request its time, not the Lease, and not one request each.

const { ConfigMap, Lease } = RESOURCES;
const REF = { namespace: "default", name: "a" };
/** More than the pool has. */
const MANY = 20;

/** A server behind faults, with nothing in its default namespace. */
export interface SilentServer {
  readonly target: FaultTarget;
  readonly client: KubeClient;
  stop(): Promise<void>;
}

/** On the fake and on a real server. */
export function silentConnectionCases(start: () => Promise<SilentServer>): void {
  let server: SilentServer;

  /** So many requests at once that each connection of the pool is open and idle afterwards. */
  async function fillPool(): Promise<void> {
    const gate = Promise.withResolvers<undefined>();
    const undo = server.target.inject({
      method: "GET",
      times: Number.POSITIVE_INFINITY,
      action: { type: "wait", until: gate.promise },
    });
    const before = server.target.requests().length;
    const all = Array.from({ length: MANY }, () => server.client.get(ConfigMap, REF));
    await eventually("the pool is full", () => server.target.requests().length >= before + 14);
    undo();
    gate.resolve(undefined);
    await Promise.all(all);
  }

  beforeEach(async () => {
    server = await start();
    await server.client.create(ConfigMap, configMap("a", {}));
  });
  afterEach(() => server.stop());

  /** One ordinary request after the other, each of which keeps its connection busy, until the signal aborts. */
  async function load(signal: AbortSignal): Promise<void> {
    server.target.inject(latency(1_500, { path: /configmaps/ }));
    const sent: Promise<unknown>[] = [];
    while (!signal.aborted) {
      // Some of them are on dead connections, and fail.
      sent.push(server.client.get(ConfigMap, REF, { timeoutMs: 3_000, retries: 0, signal }).catch(() => undefined));
      await systemClock.sleep(120, signal);
    }
    await Promise.all(sent);
  }

  it("the Lease is kept under a load that rises", async () => {
    const lost: string[] = [];
    // The times of the operator's Lease, a fifth of each.
    const holder = createLeaseHolder({
      client: server.client,
      namespace: "default",
      name: "l",
      identity: "a",
      durationSeconds: 3,
      renewSeconds: 2,
      retrySeconds: 0.4,
      createIfMissing: true,
      clock: systemClock,
      random: () => 0.5,
      log: silentLogger,
      onLost: (reason) => lost.push(reason),
    });
    void holder.run();
    await eventually("it is held", () => holder.isHeld());
    await fillPool();
    server.target.forgetRequests();
    server.target.silenceConnections();
    const stop = new AbortController();
    const loaded = load(stop.signal);
    const renewals = (): number =>
      server.target.writes().filter(({ path }) => path.includes(`/${Lease.plural}/`)).length;
    await eventually("it was renewed, or lost", () => lost.length > 0 || renewals() >= 3);
    expect(lost).toEqual([]);
    stop.abort();
    await loaded;
    await holder.stop();
  });

  it("one ordinary request fails, and the next one gets an answer", async () => {
    await fillPool();
    server.target.silenceConnections();
    await expect(server.client.get(ConfigMap, REF, { timeoutMs: 200 })).rejects.toMatchObject({
      code: "KUBE_UNREACHABLE",
    });
    expect(await server.client.get(ConfigMap, REF, { timeoutMs: 2_000, retries: 0 })).toMatchObject({ metadata: REF });
  });
}

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { systemClock } from "../../lib/core/clock.ts";
import type { KubeClient } from "../../lib/kube/client.ts";
import { RESOURCES } from "../../lib/kube/types.ts";
import { freePort } from "../../lib/node/testing/free-port.ts";
import { startControlPlane, type TestControlPlane } from "../../testkit/kube-apiserver.ts";
import { WIDGET, WIDGET_CRD } from "../../testkit/widget.ts";
import { waitFor } from "../run.ts";
import { AUDIT_POLICY } from "./audit.ts";
import { createReplica, type Replica } from "./replica.ts";
import { startTcpProxy, type TcpProxy } from "./tcp-proxy.ts";

/** Seconds: Lease, renew deadline, retry. */
export type LeaseTimes = readonly [number, number, number];

/** A replica with its own way to the API server. */
export interface Place {
  readonly replica: Replica;
  readonly proxy: TcpProxy;
  /** Nobody starts it again until told. */
  held: boolean;
}

/** A control plane and two replicas of an operator, each behind a proxy of its own. */
export interface World {
  readonly plane: TestControlPlane;
  /** Of the user and of the judge; it passes no proxy. */
  readonly client: KubeClient;
  readonly places: readonly [Place, Place];
  readonly leaseTimes: LeaseTimes;
  /** The place that says it leads, if one does. */
  leader(): Place | undefined;
  /** Waits for a leader. @returns it, and what it took in seconds */
  waitForLeader(limitSeconds: number): Promise<{ readonly place: Place; readonly seconds: number }>;
  /** As `waitForLeader`, for another place than this one. */
  waitForOther(place: Place, limitSeconds: number): Promise<void>;
  /** Ends that nobody asked for and that no loss of the Lease explains. */
  readonly strangeEnds: readonly string[];
  stop(): Promise<void>;
}

export interface WorldOptions {
  readonly leaseTimes: LeaseTimes;
  readonly random: () => number;
  /** Where logs go. */
  readonly directory: string;
}

/** A container comes back after this. */
const RESTART_MS = 1_000;
const POLL_MS = 20;
const READY_MS = 60_000;

/** Starts everything and waits until one replica leads. */
export async function startWorld(options: WorldOptions): Promise<World> {
  const { directory, random } = options;
  await mkdir(directory, { recursive: true });
  const plane = await startControlPlane({ auditPolicy: AUDIT_POLICY });
  const client = plane.client();
  await client.create(RESOURCES.CustomResourceDefinition, WIDGET_CRD);
  await waitFor("the kind Widget", READY_MS, () => client.list(WIDGET));
  const serviceAccount = await writeServiceAccount(directory, plane);
  const strangeEnds: string[] = [];
  let stopping = false;

  const open = async (identity: string): Promise<Place> => {
    const proxy = await startTcpProxy(Number(new URL(plane.server).port), random);
    const replica = createReplica({
      identity,
      server: `https://127.0.0.1:${proxy.port}`,
      serviceAccount,
      lease: options.leaseTimes,
      port: await freePort(),
      directory,
    });
    return { replica, proxy, held: false };
  };
  const places: [Place, Place] = [await open("a"), await open("b")];

  /** What the kubelet does. */
  const supervise = async (place: Place): Promise<void> => {
    while (!stopping) {
      if (!place.held) place.replica.start();
      const end = await place.replica.ended();
      if (!stopping && end !== undefined && !end.asked && !(end.code === 1 && end.lostLease)) {
        strangeEnds.push(`${place.replica.identity} ended with ${end.code ?? "a signal"}`);
      }
      await systemClock.sleep(RESTART_MS);
      while (place.held && !stopping) await systemClock.sleep(POLL_MS);
    }
  };
  const supervisors = places.map(supervise);

  const leader = (): Place | undefined => places.find(({ replica }) => replica.isLeader());
  const waitUntil = async <T>(
    limitSeconds: number,
    find: () => T | undefined,
  ): Promise<{ found: T; seconds: number }> => {
    const since = systemClock.monotonic();
    for (;;) {
      const found = find();
      const seconds = (systemClock.monotonic() - since) / 1000;
      if (found !== undefined) return { found, seconds };
      if (seconds > limitSeconds) throw new Error(`nobody leads after ${limitSeconds} s`);
      await systemClock.sleep(POLL_MS);
    }
  };
  const world: World = {
    plane,
    client,
    places,
    leaseTimes: options.leaseTimes,
    leader,
    waitForLeader: async (limitSeconds) => {
      const { found, seconds } = await waitUntil(limitSeconds, leader);
      return { place: found, seconds };
    },
    waitForOther: async (place, limitSeconds) => {
      await waitUntil(limitSeconds, () => places.find((other) => other !== place && other.replica.isLeader()));
    },
    strangeEnds,
    stop: async () => {
      stopping = true;
      plane.resume();
      await Promise.all(places.map(({ replica }) => replica.stop()));
      await Promise.all(supervisors);
      await Promise.all(places.map(({ proxy }) => proxy.stop()));
      await plane.stop();
    },
  };
  await world.waitForLeader(READY_MS / 1000);
  return world;
}

/** What the kubelet puts into a pod. */
async function writeServiceAccount(directory: string, plane: TestControlPlane): Promise<string> {
  const folder = join(directory, "service-account");
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "token"), plane.token, { mode: 0o600 });
  await writeFile(join(folder, "ca.crt"), plane.ca);
  await writeFile(join(folder, "namespace"), "default");
  return folder;
}

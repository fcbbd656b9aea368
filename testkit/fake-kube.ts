import { type Clock, systemClock } from "../lib/core/clock.ts";
import { prng } from "../lib/core/prng.ts";
import { createKubeClient, type KubeClient } from "../lib/kube/client.ts";
import { createTransport, type KubeEndpoint } from "../lib/kube/transport.ts";
import type { ResourceType } from "../lib/kube/types.ts";
import { createFakeApi } from "./fake/api.ts";
import { startCollector } from "./fake/collector.ts";
import { collectionOf } from "./fake/requests.ts";
import { createFakeStore } from "./fake/store.ts";
import type { FakeStore, StoreKey } from "./fake/store-types.ts";
import { startFaultServer } from "./fault-server.ts";
import type { FaultTarget } from "./faults.ts";

/** An API server in this process, over a real socket, that can misbehave in every way that was ever seen. */
export interface FakeKube extends FaultTarget {
  /** The objects, for test set-up and for asserting the state of the world; changes reach watches. */
  readonly store: FakeStore;
  client(options?: { readonly clock?: Clock; readonly userAgent?: string }): KubeClient;
  endpoint(): KubeEndpoint;
  /** Serves a kind that was taken away, without objects. */
  define(type: ResourceType): void;
  /** Takes a kind away with its objects, as the deletion of its definition does. */
  undefine(type: ResourceType): void;
  /** Sends a bookmark to each watch that allows them. */
  bookmark(): void;
  close(): Promise<void>;
}

export interface FakeKubeOptions {
  /** For faults with a chance, and generated names. */
  readonly seed?: number;
  /** For the times in metadata; the machine's unless told. */
  readonly clock?: Clock;
  /** Deletes dependents of what is gone, as kube-controller-manager does; off, as on a bare control plane. */
  readonly garbageCollector?: boolean;
}

/** Starts a server with no objects on a free port of loopback. */
export async function startFakeKube(options: FakeKubeOptions = {}): Promise<FakeKube> {
  const random = prng(options.seed ?? 1);
  const store = createFakeStore({ clock: options.clock ?? systemClock, random });
  const stopCollector = options.garbageCollector === true ? startCollector(store) : () => undefined;
  const clients: KubeClient[] = [];
  const api = createFakeApi(store);
  const server = await startFaultServer({
    carryOut: api.carryOut,
    compact: api.compact,
    random,
  });
  return {
    ...server,
    store,
    client: (how = {}) => {
      const client = createKubeClient({
        transport: createTransport(server.endpoint()),
        namespace: "default",
        userAgent: how.userAgent ?? "shieldx/test",
        clock: how.clock ?? systemClock,
        random: () => 0.5,
      });
      clients.push(client);
      return client;
    },
    bookmark: api.bookmark,
    define: api.define,
    undefine: api.undefine,
    close: async () => {
      stopCollector();
      await Promise.all(clients.map((client) => client.close()));
      await server.close();
    },
  };
}

/** Key of an object in the fake's store. */
export function storeKey(type: ResourceType, namespace: string, name: string): StoreKey {
  return { collection: collectionOf(type), namespace: type.namespaced ? namespace : "", name };
}

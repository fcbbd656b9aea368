import { type Clock, systemClock } from "../lib/core/clock.ts";
import { createKubeClient, type KubeClient } from "../lib/kube/client.ts";
import { createFakeApi } from "./fake/api.ts";
import { createMemoryTransport } from "./fake/memory-transport.ts";
import { createFakeStore } from "./fake/store.ts";
import type { FakeStore } from "./fake/store-types.ts";

/** The fake API server without its socket and without faults: a store, and the real client of it. */
export interface MemoryServer {
  readonly store: FakeStore;
  readonly client: KubeClient;
}

/** A server with no objects. @param clock for the times in metadata; the machine's unless told */
export function createMemoryServer(clock: Clock = systemClock): MemoryServer {
  const random = (): number => 0.5;
  const store = createFakeStore({ clock, random });
  const transport = createMemoryTransport(createFakeApi(store));
  const client = createKubeClient({ transport, namespace: "default", userAgent: "shieldx/memory", clock, random });
  return { store, client };
}

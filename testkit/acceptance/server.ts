import { systemClock } from "../../lib/core/clock.ts";
import { createKubeClient, type KubeClient } from "../../lib/kube/client.ts";
import { createTransport, type KubeEndpoint } from "../../lib/kube/transport.ts";
import { RESOURCES } from "../../lib/kube/types.ts";
import { startFakeKube, storeKey } from "../fake-kube.ts";
import { startFaultProxy } from "../fault-proxy.ts";
import type { FaultTarget } from "../faults.ts";
import type { TestControlPlane } from "../kube-apiserver.ts";
import { makeNamespace } from "../namespaces.ts";
import { WIDGET, widget } from "../widget.ts";

/** A way of replicas to the server; faults on it befall whoever takes it. Credentials are the link's affair. */
export interface Link extends FaultTarget {
  endpoint(namespace?: string): KubeEndpoint;
}

/** What an item is tested on. */
export interface AcceptanceServer {
  readonly name: "fake" | "kube-apiserver";
  /** The item's own; Leases, too, live here. */
  readonly namespace: string;
  /** A user who has nothing to do with the operator. */
  readonly user: KubeClient;
  /** The way that all replicas take unless a test gives them one of their own. */
  readonly link: Link;
  /** A way of its own for one replica, so that a partition may part it from the others. */
  openLink(): Promise<Link>;
  /** Objects, or events, of a case of 10,000: fewer where making them takes longer than testing with them. */
  readonly many: number;
  /** Makes that many widgets of size 1, by the fastest way there is. */
  createMany(nameOf: (index: number) => string): Promise<void>;
  /** Changes these ConfigMaps that many times altogether, all of them at once. */
  touchMany(names: readonly string[]): Promise<void>;
  /** Path of a kubeconfig, where kubectl can talk to the server. */
  readonly kubeconfig: string | undefined;
  close(): Promise<void>;
}

/** A client over a link. */
export function clientOf(link: { endpoint(): KubeEndpoint }, namespace: string, userAgent: string): KubeClient {
  return createKubeClient({
    transport: createTransport(link.endpoint()),
    namespace,
    userAgent,
    clock: systemClock,
    random: () => 0.5,
  });
}

/** A fake of its own; links are proxies in front of it, but for the first, which is the fake itself. */
export async function startFakeAcceptance(): Promise<AcceptanceServer> {
  const fake = await startFakeKube();
  const namespace = "acceptance";
  const user = clientOf(fake, namespace, "user");
  const proxies: { close(): Promise<void> }[] = [];
  return {
    name: "fake",
    namespace,
    user,
    link: fake,
    openLink: async () => {
      const proxy = await startFaultProxy(fake);
      proxies.push(proxy);
      return proxy;
    },
    many: 10_000,
    // Straight into the store: the operator hears of it over its socket all the same.
    createMany: async (nameOf) => {
      for (let index = 0; index < 10_000; index += 1) {
        const name = nameOf(index);
        fake.store.create(storeKey(WIDGET, namespace, name), widget(name, { size: 1 }, { namespace }), "user");
      }
    },
    touchMany: async (names) => {
      for (let index = 0; index < 10_000; index += 1) {
        const key = storeKey(RESOURCES.ConfigMap, namespace, names[index % names.length] ?? "");
        fake.store.merge(key, touch(index), { manager: "user", subresource: undefined });
      }
    },
    kubeconfig: undefined,
    close: async () => {
      await user.close();
      for (const proxy of proxies) await proxy.close();
      await fake.close();
    },
  };
}

/** 10,000 objects would take ten seconds to make; what is tested is the order of a backlog, and this is one. */
const MANY_ON_REAL = 2_000;
/** Requests at once: more make no server faster. */
const PARALLEL = 16;

/** A namespace of its own on a running control plane; every link is a proxy. Widgets must be known to it. */
export async function startRealAcceptance(plane: TestControlPlane, namespace: string): Promise<AcceptanceServer> {
  const user = clientOf(plane, namespace, "user");
  const proxies: { close(): Promise<void> }[] = [];
  const openLink = async (): Promise<Link> => {
    const proxy = await startFaultProxy(plane);
    proxies.push(proxy);
    return proxy;
  };
  await makeNamespace(user, namespace);
  return {
    name: "kube-apiserver",
    namespace,
    user,
    link: await openLink(),
    openLink,
    many: MANY_ON_REAL,
    createMany: (nameOf) =>
      inParallel(MANY_ON_REAL, async (index) => {
        await user.create(WIDGET, widget(nameOf(index), { size: 1 }, { namespace }));
      }),
    touchMany: async (names) => {
      const each = Math.ceil(MANY_ON_REAL / names.length);
      // One stream an object: two writers of one object hold each other up at the server.
      const stream = async (name: string): Promise<void> => {
        for (let index = 0; index < each; index += 1) {
          await user.patch(RESOURCES.ConfigMap, { namespace, name }, { format: "merge", patch: touch(index) });
        }
      };
      await Promise.all(names.map(stream));
    },
    kubeconfig: plane.kubeconfig,
    close: async () => {
      await user.close();
      for (const proxy of proxies) await proxy.close();
    },
  };
}

function touch(index: number): object {
  return { data: { touched: String(index) } };
}

async function inParallel(count: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) await work(index);
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
}

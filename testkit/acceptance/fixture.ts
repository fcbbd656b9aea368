import { isDeepStrictEqual } from "node:util";
import { afterEach, beforeEach } from "@jest/globals";
import { LABELS } from "../../crds/group.ts";
import { isOperatorError } from "../../lib/core/errors.ts";
import type { ConfigMapObject, KubeObject, LeaseObject, ResourceType } from "../../lib/kube/types.ts";
import { RESOURCES } from "../../lib/kube/types.ts";
import { LEASE_NAME } from "../../operator/manager.ts";
import { findCondition } from "../../operator/runtime/conditions.ts";
import type { CacheReader, Condition } from "../../operator/runtime/types.ts";
import { WIDGET, type Widget, widget } from "../widget.ts";
import { type Replica, type ReplicaOptions, startReplica } from "./replica.ts";
import type { AcceptanceServer } from "./server.ts";

const { ConfigMap, Lease } = RESOURCES;

/** What tests of an item do as users of its server. Replicas and objects are gone after each test. */
export interface Fixture {
  /** Starts a replica on the item's link, or on the one given. */
  start(identity: string, options?: Partial<ReplicaOptions>): Replica;
  create(name: string, spec?: Widget["spec"], metadata?: Partial<KubeObject["metadata"]>): Promise<Widget>;
  /** Merge patch of a widget. */
  patch(name: string, change: unknown): Promise<Widget>;
  remove(name: string): Promise<void>;
  widget(name: string): Promise<Widget | undefined>;
  child(name: string): Promise<ConfigMapObject | undefined>;
  ready(name: string): Promise<Condition | undefined>;
  /** The status says that this size is carried out, for the generation that the widget has. */
  isReady(name: string, size: number): Promise<boolean>;
  lease(): Promise<LeaseObject | undefined>;
  /** Resource versions of all widgets and their children. */
  versions(): Promise<Readonly<Record<string, string | undefined>>>;
  /** Each object that the memory holds is the server's, and the other way round. */
  equalsServer(cache: CacheReader): Promise<boolean>;
}

/** To be called inside a `describe`. */
export function useFixture(server: () => AcceptanceServer): Fixture {
  const fixture = openFixture(server);
  // Before and not after: what the last test of an item leaves goes with its server.
  beforeEach(fixture.clean);
  afterEach(fixture.end);
  return fixture;
}

/** A fixture that its user opens and ends. */
export interface OpenFixture extends Fixture {
  /** Takes away what others have left on the server. */
  clean(): Promise<void>;
  /** Heals the link and stops all replicas. */
  end(): Promise<void>;
}

/** A fixture without hooks. */
export function openFixture(server: () => AcceptanceServer): OpenFixture {
  let replicas: Replica[] = [];
  const refOf = (name: string) => ({ namespace: server().namespace, name });
  const widgets = async () => (await server().user.list(WIDGET, { namespace: server().namespace })).items;
  const children = async () =>
    (
      await server().user.list(ConfigMap, {
        namespace: server().namespace,
        labelSelector: `${LABELS.kind}=Widget`,
      })
    ).items;
  const patch = (name: string, change: unknown) =>
    server().user.patch(WIDGET, refOf(name), { format: "merge", patch: change });
  const find = (name: string) => server().user.find(WIDGET, refOf(name));
  const ready = async (name: string) =>
    findCondition((await find(name))?.status?.["conditions"] as readonly Condition[] | undefined, "Ready");

  const clean = async (): Promise<void> => {
    for (const { metadata } of await widgets()) {
      if (metadata.finalizers !== undefined) await patch(metadata.name, { metadata: { finalizers: null } });
      await removeIfThere(WIDGET, metadata.name);
    }
    for (const { metadata } of await children()) await removeIfThere(ConfigMap, metadata.name);
    await removeIfThere(Lease, LEASE_NAME);
    server().link.forgetRequests();
  };
  const end = async (): Promise<void> => {
    server().link.heal();
    await Promise.all(replicas.map((replica) => replica.stop()));
    replicas = [];
  };

  const removeIfThere = async (type: ResourceType, name: string): Promise<void> => {
    try {
      await server().user.delete(type, refOf(name));
    } catch (error) {
      if (!isOperatorError(error, "KUBE_NOT_FOUND")) throw error;
    }
  };

  return {
    clean,
    end,
    start: (identity, options = {}) => {
      const replica = startReplica({ link: server().link, namespace: server().namespace, identity, ...options });
      replicas.push(replica);
      return replica;
    },
    create: (name, spec, metadata = {}) =>
      server().user.create(WIDGET, widget(name, spec, { ...metadata, namespace: server().namespace })),
    patch,
    remove: async (name) => void (await server().user.delete(WIDGET, refOf(name))),
    widget: find,
    child: (name) => server().user.find(ConfigMap, refOf(name)),
    ready,
    isReady: async (name, size) => {
      const [found, condition] = [await find(name), await ready(name)];
      return condition?.message === `size ${size}` && condition.observedGeneration === found?.metadata.generation;
    },
    lease: () => server().user.find(Lease, refOf(LEASE_NAME)),
    versions: async () =>
      Object.fromEntries(
        [...(await widgets()), ...(await children())].map(({ kind, metadata }) => [
          `${kind} ${metadata.name}`,
          metadata.resourceVersion,
        ]),
      ),
    equalsServer: async (cache) => {
      const { namespace } = server();
      return (
        isDeepStrictEqual(cache.list(WIDGET, namespace).map(plain), (await widgets()).map(plain)) &&
        isDeepStrictEqual(cache.list(ConfigMap, namespace).map(plain), (await children()).map(plain))
      );
    },
  };
}

/** Without what no cache keeps. */
function plain({ metadata, ...body }: KubeObject): object {
  const { managedFields: _bulk, ...rest } = metadata;
  return structuredClone({ ...body, metadata: rest });
}

import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, expect, it } from "@jest/globals";
import { createKubeClient, type KubeClient } from "../lib/kube/client.ts";
import { createTransport } from "../lib/kube/transport.ts";
import { type KubeObject, RESOURCES, type ResourceType, resourceType } from "../lib/kube/types.ts";
import { createLogger } from "../lib/node/logger.ts";
import { createMetrics } from "../lib/node/metrics.ts";
import { startControlPlane, type TestControlPlane } from "../testkit/kube-apiserver.ts";
import { waitForKind } from "../testkit/kube-contract.ts";
import { createScaledClock } from "../testkit/scaled-clock.ts";
import { eventually } from "../testkit/wait.ts";
import { definitionOf, WIDGET, WIDGET_CRD, widget } from "../testkit/widget.ts";
import { createManager, type Manager } from "./manager.ts";
import type { CacheReader, Controller } from "./runtime/types.ts";

// Goal: an operator whose optional kinds are not installed works all the same, sees them when they come, forgets them when
// they go, without a restart; also kinds that lie in no namespace, and also when it may not read them.

const GADGET: ResourceType = { ...WIDGET, kind: "Gadget", plural: "gadgets" };
const PORTAL: ResourceType = { ...WIDGET, kind: "Portal", plural: "portals", namespaced: false };
const KEY = { namespace: "default", name: "w" };
/** Waits are shorter by so much; a look each 30 s is one each 1.5 s. */
const SPEED = 20;

let plane: TestControlPlane;
let user: KubeClient;
beforeAll(async () => {
  plane = await startControlPlane();
  user = plane.client();
  await user.create(RESOURCES.CustomResourceDefinition, WIDGET_CRD);
  await waitForKind(user, WIDGET);
  await user.create(WIDGET, widget(KEY.name));
}, 120_000);
afterAll(() => plane.stop());

const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await Promise.all(stops.splice(0).map((stop) => stop()));
});

/** What the last reconcile saw of both kinds, in words. */
function words(cache: CacheReader): string {
  const of = (type: ResourceType, namespace: string): string => {
    const availability = cache.availability(type, namespace);
    const names = cache.list(type, namespace).map(({ metadata }) => metadata.name);
    return availability === "served" ? `${type.plural} [${names.join()}]` : `${type.plural} ${availability}`;
  };
  return `${of(GADGET, KEY.namespace)}, ${of(PORTAL, "")}`;
}

interface Started {
  readonly manager: Manager;
  readonly sees: () => string | undefined;
  readonly log: readonly string[];
  readonly requests: () => number;
}

function start(token: string, watchNamespaces: readonly string[]): Started {
  const abort = new AbortController();
  const clock = createScaledClock(SPEED);
  let seen: string | undefined;
  let requests = 0;
  const log: string[] = [];
  const credentials = { headers: { authorization: `Bearer ${token}` }, tls: { ca: plane.ca } };
  const client = createKubeClient({
    transport: createTransport({ ...plane.endpoint(), credentials: () => Promise.resolve(credentials) }),
    namespace: "default",
    userAgent: "shieldx/test",
    clock,
    random: () => 0.5,
    onRequest: () => (requests += 1),
  });
  const toAll = { keys: () => [KEY], optional: true } as const;
  const controller: Controller = {
    name: "widget",
    resource: WIDGET,
    concurrency: 1,
    watches: [
      { resource: GADGET, ...toAll },
      { resource: PORTAL, ...toAll },
    ],
    reconcile: async (_key, { cache }) => {
      seen = words(cache);
      return {};
    },
  };
  const manager = createManager({
    client,
    controllers: [controller],
    namespace: "default",
    identity: "a",
    watchNamespaces,
    port: "none",
    metrics: createMetrics(),
    clock,
    random: () => 0.5,
    log: createLogger(
      "info",
      {},
      {
        write: (line) => {
          const { kind, message } = JSON.parse(line) as Record<string, string>;
          if (kind !== undefined) log.push(`${kind}: ${String(message)}`);
        },
      },
    ),
    // In the time of the scaled clock.
    lease: { durationSeconds: 300, renewSeconds: 200, retrySeconds: 40 },
  });
  const exited = manager.run(abort.signal).finally(() => client.close());
  stops.push(async () => {
    abort.abort();
    await exited;
    await user.delete(RESOURCES.Lease, { namespace: "default", name: "shieldx-controller" });
  });
  return { manager, sees: () => seen, log, requests: () => requests };
}

const objectOf = ({ kind, namespaced }: ResourceType, name: string): KubeObject => ({
  ...widget(name),
  kind,
  metadata: { name, ...(namespaced ? { namespace: "default" } : {}) },
});

async function install(type: ResourceType, name: string): Promise<void> {
  await user.create(RESOURCES.CustomResourceDefinition, definitionOf(type));
  await waitForKind(user, type);
  await user.create(type, objectOf(type, name));
}

const uninstall = ({ plural, group }: ResourceType): Promise<unknown> =>
  user.delete(RESOURCES.CustomResourceDefinition, { name: `${plural}.${group}` });

it("works without them, sees them come, go, and come again", async () => {
  const { manager, sees, log } = start(plane.token, []);
  const shows = (what: string) => eventually(`shows ${what}`, () => sees() === what, 20_000);
  await shows("gadgets missing, portals missing");
  expect(manager.ready()).toEqual({ ok: true, reasons: ["leading"] });
  expect(log.toSorted()).toEqual(
    ["Gadget", "Portal"].map(
      (kind) => `${kind}: the server has no such kind, and we do without it until it is installed`,
    ),
  );
  await Promise.all([install(GADGET, "one"), install(PORTAL, "one")]);
  await shows("gadgets [one], portals [one]");
  await uninstall(GADGET);
  await shows("gadgets missing, portals [one]");
  await install(GADGET, "two");
  await shows("gadgets [two], portals [one]");
  await Promise.all([uninstall(GADGET), uninstall(PORTAL)]);
  await shows("gadgets missing, portals missing");
  // A real server bookmarks once a minute, which is long on this clock: other kinds may have been silent for too long.
  expect(manager.ready().reasons?.filter((reason) => /gadgets|portals/.test(reason))).toEqual([]);
  // Each coming and each going is one line.
  expect(log).toHaveLength(2 + 4 + 2);
}, 120_000);

it("with Roles alone goes without what lies in no namespace, says so once, and reads it when it may", async () => {
  const { sees, log, requests } = await startWithRoles();
  const shows = (what: string) => eventually(`shows ${what}`, () => sees() === what, 20_000);
  await install(PORTAL, "one");
  await shows("gadgets missing, portals forbidden");
  expect(log.filter((line) => line.startsWith("Portal"))).toEqual([
    "Portal: we may not list portals.test.shieldx.dev, and do without them until that is granted",
  ]);
  const before = requests();
  await eventually("asked again", () => requests() > before + 1, 20_000);
  expect(log).toHaveLength(2);
  await grantPortals();
  await shows("gadgets missing, portals [one]");
  await uninstall(PORTAL);
  await shows("gadgets missing, portals missing");
}, 120_000);

/** An operator of namespace `default`, with what the chart would grant it. */
async function startWithRoles(): Promise<Started> {
  const metadata = { name: "operator", namespace: "default" };
  const rule = (apiGroups: string[], resources: string[]) => ({ apiGroups, resources, verbs: ["*"] });
  await user.create(RESOURCES.ServiceAccount, { apiVersion: "v1", kind: "ServiceAccount", metadata });
  await user.create(RESOURCES.Role, {
    apiVersion: RESOURCES.Role.apiVersion,
    kind: "Role",
    metadata,
    rules: [rule(["test.shieldx.dev"], ["widgets", "gadgets"]), rule(["coordination.k8s.io"], ["leases"])],
  });
  await user.create(RESOURCES.RoleBinding, binding("RoleBinding", { kind: "Role", name: "operator" }));
  const kubectl = join(import.meta.dirname, "../.build/bin/kubectl");
  const ask = ["--kubeconfig", plane.kubeconfig, "create", "token", "operator"];
  return start((await promisify(execFile)(kubectl, ask)).stdout.trim(), ["default"]);
}

/** What an administrator may grant besides. */
async function grantPortals(): Promise<void> {
  const clusterRole = resourceType(RESOURCES.Role.apiVersion, ["ClusterRole", "clusterroles"], false);
  const clusterRoleBinding = resourceType(
    RESOURCES.Role.apiVersion,
    ["ClusterRoleBinding", "clusterrolebindings"],
    false,
  );
  await user.create(clusterRole, {
    apiVersion: clusterRole.apiVersion,
    kind: "ClusterRole",
    metadata: { name: "portals" },
    rules: [{ apiGroups: [PORTAL.group], resources: [PORTAL.plural], verbs: ["get", "list", "watch"] }],
  });
  await user.create(clusterRoleBinding, binding("ClusterRoleBinding", { kind: "ClusterRole", name: "portals" }));
}

function binding(kind: string, role: { readonly kind: string; readonly name: string }): KubeObject {
  return {
    apiVersion: RESOURCES.RoleBinding.apiVersion,
    kind,
    metadata: { name: role.name, ...(kind === "RoleBinding" ? { namespace: "default" } : {}) },
    roleRef: { apiGroup: RESOURCES.RoleBinding.group, ...role },
    subjects: [{ kind: "ServiceAccount", name: "operator", namespace: "default" }],
  };
}

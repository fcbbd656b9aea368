/**
 * What the controllers may do, derived from what they declare: each reads what it watches, writes what it says it writes,
 * and holds what it grants on. The chart's rules are printed from this (`make generate`); charts/rbac.int.test.ts holds
 * them against what the controllers really send.
 */
import { RESOURCES, type ResourceType } from "../lib/kube/types.ts";
import type { Controller } from "./runtime/types.ts";

/** One rule of a Role, with the reason that the chart prints above it. */
export interface PermissionRule {
  readonly reason: string;
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

/** Verbs in the order in which they are printed. */
const VERBS = ["get", "list", "watch", "create", "update", "patch", "delete"] as const;

/** What a controller lists from the server without watching it. */
const LIST = ["list"] as const;

/** One (sub)resource with everything that is done to it. */
interface Access {
  readonly group: string;
  readonly resource: string;
  readonly verbs: Set<string>;
}

/**
 * The rules for kinds that lie in no namespace: an operator of a few namespaces goes without, and tells less. A Role cannot
 * grant on them.
 */
export function clusterRules(controllers: readonly Controller[]): readonly PermissionRule[] {
  const read = accessBook();
  for (const resource of readsOf(controllers, false)) read.add(resource, LIST);
  const watched = accessBook();
  for (const { resource, writes = [] } of controllers.flatMap(({ watches }) => watches))
    if (!resource.namespaced) watched.add(resource, ["get", "list", "watch", ...writes]);
  return [
    ...rulesOf(read.all(), "Why something does not come up; not granted to an operator of a few namespaces."),
    ...rulesOf(watched.all(), "What lies in no namespace; an operator of a few namespaces does without."),
  ];
}

function readsOf(controllers: readonly Controller[], namespaced: boolean): readonly ResourceType[] {
  return controllers.flatMap(({ reads = [] }) => reads.filter((resource) => resource.namespaced === namespaced));
}

/** The rules that all controllers of a process need together, resources with the same verbs in one rule. */
export function permissionRules(controllers: readonly Controller[]): readonly PermissionRule[] {
  const kinds = accessBook();
  const objects = accessBook();
  for (const { resource, watches, grants = [] } of controllers) {
    const { group, plural } = resource;
    // The finalizer is a patch of the resource itself.
    kinds.add(resource, ["get", "list", "watch", "patch"]);
    kinds.add({ group, plural: `${plural}/status` }, ["patch"]);
    for (const watch of watches.filter(({ resource: { namespaced } }) => namespaced)) {
      const isKind = controllers.some((other) => isSame(other.resource, watch.resource));
      (isKind ? kinds : objects).add(watch.resource, ["get", "list", "watch", ...(watch.writes ?? [])]);
    }
    for (const grant of grants) objects.add(grant.resource, grant.verbs);
  }
  const told = accessBook();
  told.add(RESOURCES.Event, ["create", "patch"]);
  for (const resource of readsOf(controllers, true)) told.add(resource, LIST);
  const finalizers = controllers.map(({ resource }) => resource);
  return [
    ...rulesOf(kinds.all(), "The kinds: read them, keep the finalizer, report in the status."),
    ...rulesOf(
      finalizers.map(({ group, plural }) => ({ group, resource: `${plural}/finalizers`, verbs: new Set(["update"]) })),
      "Owner references that block the owner's deletion need this where that admission check is on.",
    ),
    ...rulesOf(objects.all(), "What the kinds are made of, and what their Roles grant on to pods by name."),
    ...rulesOf(told.all(), "What happened, for 'kubectl describe', and why something does not come up."),
  ];
}

interface AccessBook {
  add(type: Pick<ResourceType, "group" | "plural">, verbs: readonly string[]): void;
  all(): readonly Access[];
}

function accessBook(): AccessBook {
  const entries = new Map<string, Access>();
  return {
    add: ({ group, plural }, verbs) => {
      const id = `${group}/${plural}`;
      const entry = entries.get(id) ?? { group, resource: plural, verbs: new Set() };
      for (const verb of verbs) entry.verbs.add(verb);
      entries.set(id, entry);
    },
    all: () => [...entries.values()],
  };
}

/** One rule for resources of a group that share their verbs; sorted, so that a new declaration is a small difference. */
function rulesOf(accesses: readonly Access[], reason: string): PermissionRule[] {
  const groups = new Map<string, { readonly group: string; readonly verbs: readonly string[]; resources: string[] }>();
  for (const { group, resource, verbs } of accesses) {
    const ordered = VERBS.filter((verb) => verbs.has(verb));
    const id = `${group} ${ordered.join()}`;
    const entry = groups.get(id) ?? { group, verbs: ordered, resources: [] };
    entry.resources.push(resource);
    groups.set(id, entry);
  }
  return [...groups.entries()]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { group, verbs, resources }]) => ({
      reason,
      apiGroups: [group],
      resources: resources.toSorted(),
      verbs,
    }));
}

function isSame(a: ResourceType, b: ResourceType): boolean {
  return a.group === b.group && a.plural === b.plural;
}

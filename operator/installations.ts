import { ANNOTATIONS } from "../crds/group.ts";
import type { LeaseObject } from "../lib/kube/types.ts";

/*
 * Two installations that want the same resources would replace each other's pods for ever. Each says in its Lease what it
 * serves and whether it leads or waits; where two overlap, the older Lease leads (its creation is set by the server, so
 * nobody can write it).
 *
 *   Lease held, claim written ──► look ──┬── an older one claims ──► claim taken back, wait, look again
 *                                        ├── a younger one claims ──► it sees ours and ends: wait for that, a while
 *                                        └── nobody ──► lead, and go on looking: an older one claims ──► end
 *
 * Both write before they look, so of two that begin at once at least one sees the other (docs/adr/0021-installations.md).
 */

/** What the Lease of an installation says. */
export interface Claim {
  /** The installation's own namespace. */
  readonly namespace: string;
  /** Of its Lease. */
  readonly uid: string;
  /** RFC 3339, as the server wrote it. */
  readonly createdAt: string;
  /** Namespaces that it serves; empty: all. */
  readonly watches: readonly string[];
  /** It leads or is about to; false while it waits for another one. */
  readonly isClaiming: boolean;
}

/** Other live installations that want something that we serve. */
export interface Rivals {
  /** The first that comes before us and leads, or is about to. */
  readonly older: Claim | undefined;
  /** The first that comes after us and leads all the same. */
  readonly younger: Claim | undefined;
  /** All of them, also those that wait. */
  readonly count: number;
}

const ALL = "*";
const LEADS = "leads";
/** Names of namespaces in a sentence. */
const NAMES_MAX = 5;
const NAMESPACE = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** Annotations of our Lease. @param waitsFor namespace of the installation that we wait for */
export function claimAnnotations(watches: readonly string[], waitsFor: string | undefined): Record<string, string> {
  return {
    [ANNOTATIONS.watches]: watches.length === 0 ? ALL : watches.join(","),
    [ANNOTATIONS.installation]: waitsFor === undefined ? LEADS : `waits for ${waitsFor}`,
  };
}

/** A Lease without our annotations is of a version that does not wait, or somebody took them off: it serves all and leads. */
export function claimOf({ metadata }: LeaseObject): Claim {
  const watches = metadata.annotations?.[ANNOTATIONS.watches] ?? ALL;
  return {
    namespace: metadata.namespace ?? "",
    uid: metadata.uid ?? "",
    createdAt: metadata.creationTimestamp ?? "",
    watches: watches === ALL ? [] : watches.split(",").filter((name) => NAMESPACE.test(name)),
    isClaiming: (metadata.annotations?.[ANNOTATIONS.installation] ?? LEADS) === LEADS,
  };
}

/** Who else wants what we serve. @param others live installations */
export function rivalsOf(own: Claim, others: readonly Claim[]): Rivals {
  const rivals = others.filter((other) => overlap(own.watches, other.watches));
  const claiming = rivals.filter(({ isClaiming }) => isClaiming).toSorted((a, b) => (isBefore(a, b) ? -1 : 1));
  return {
    older: claiming.find((other) => isBefore(other, own)),
    younger: claiming.find((other) => !isBefore(other, own)),
    count: rivals.length,
  };
}

function overlap(a: readonly string[], b: readonly string[]): boolean {
  return a.length === 0 || b.length === 0 || a.some((namespace) => b.includes(namespace));
}

function isBefore(a: Claim, b: Claim): boolean {
  return a.createdAt === b.createdAt ? a.uid < b.uid : a.createdAt < b.createdAt;
}

const REMEDY = "uninstall one of the two, or give them watchNamespaces that do not overlap";

/** Why we do not lead: an older installation does. */
export function waitsForOlder(other: Claim): string {
  return `stands by for the installation in namespace ${other.namespace}, which is older and serves ${scopeOf(other)}: ${REMEDY}`;
}

/** Why we do not lead yet: a younger installation has to stop first. */
export function waitsForYounger(other: Claim): string {
  return `waits until the younger installation in namespace ${other.namespace} stops leading: ${REMEDY}`;
}

/** That another one leads beside us and does not stop. */
export function leadsBeside(other: Claim): string {
  return (
    `the installation in namespace ${other.namespace} leads too and serves ${scopeOf(other)}; its version does not look ` +
    `for others, or somebody holds Lease ${other.namespace}/shieldx-controller by hand: ${REMEDY}`
  );
}

function scopeOf({ watches }: Claim): string {
  if (watches.length === 0) return "all namespaces";
  const more = watches.length - NAMES_MAX;
  const names = watches.slice(0, NAMES_MAX).join(", ");
  return `${watches.length === 1 ? "namespace" : "namespaces"} ${names}${more > 0 ? ` and ${more} more` : ""}`;
}

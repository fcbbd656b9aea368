/** From what a pod template names to copies of it under names that its content decides; or why that cannot be. */
import type { RolloutReason } from "../../crds/conditions.ts";
import type { RolloutSpec } from "../../crds/rollout.ts";
import { contentHash } from "../../lib/core/canonical.ts";
import type { Policy } from "../kit/conditions.ts";
import { firstOf } from "./rollout.first.ts";
import { idOf, type Reference, referencesIn, type SourceKind, withNames } from "./rollout.references.ts";
import type { Source } from "./rollout.sources.ts";
import { type Copy, revisionOf, type Unusable, type Wanted } from "./rollout.template.ts";

/** What the copies of a Rollout are made from. */
export interface Configuration {
  readonly mode: RolloutSpec["configuration"];
  /** Name of a copy with this hash. */
  readonly nameOf: (hash: string) => string;
  /** Random text of the Rollout, which names of copies of Secrets depend on; absent: it is not made yet. */
  readonly key: string | undefined;
  readonly find: (kind: SourceKind, name: string) => Source | undefined;
}

/** Hex digits in the name of a copy. */
const NAME_DIGITS = 16;
/** Copies of one version: each is an object that the server keeps for as long as the version. */
const COPIES_MAX = 64;
/** Content of all copies of one version; the server takes 1 MiB of each object. */
const BYTES_MAX = 4 * 2 ** 20;

/** Types of Secrets that prove who somebody is: they end with their holder, which a copy would not know. */
const REFUSED_TYPES: readonly string[] = ["kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token"];

/** An object that the template names, and what is known of it. */
interface Named {
  readonly reference: Reference;
  readonly source: Source | undefined;
}

const CHECKS: readonly Policy<readonly Named[], Unusable>[] = [
  ["a named object is not there", missing],
  ["a Secret is of a type that is not copied", refusedType],
  ["it is too much", tooMuch],
];

/** True where the names of copies take the key, and it is not there. */
export function isKeyMissing(wanted: Wanted | Unusable): boolean {
  return "reason" in wanted && wanted.reason === "ConfigurationPending";
}

/** What is to be released, with its pods reading copies. The revision is that of template, ports and configuration together. */
export function withCopies(wanted: Wanted, configuration: Configuration): Wanted | Unusable {
  if (configuration.mode === "Shared") return wanted;
  const named = referencesIn(wanted.template.spec)
    .map((reference): Named => ({ reference, source: configuration.find(reference.kind, reference.name) }))
    .filter(({ source }) => source?.isShared !== true);
  const unusable = firstOf(CHECKS, named);
  if (unusable !== undefined) return unusable;
  if (configuration.key === undefined && named.some(({ reference }) => reference.kind === "Secret"))
    return refusal("ConfigurationPending", "the key with which copies of Secrets are named is being made");
  const names = new Map(named.map((it) => [idOf(it.reference), copyName(it, configuration)]));
  const spec = withNames(wanted.template.spec, (reference) => names.get(idOf(reference)) ?? reference.name);
  const template = { ...wanted.template, spec };
  const copies = named.flatMap(({ reference: { kind, name }, source }): Copy[] =>
    source === undefined
      ? []
      : [{ kind, name: names.get(idOf({ kind, name })) ?? name, source: name, digest: source.digest }],
  );
  return { ...wanted, template, revision: revisionOf({ template, ports: wanted.ports }), copies };
}

/** What is optional and absent has a name too, under which nothing is ever made: the version stays without it. */
function copyName({ reference: { kind, name }, source }: Named, { key, nameOf }: Configuration): string {
  // Who may see pods, and not Secrets, must not find a short password by trying.
  const salt = kind === "Secret" ? (key ?? null) : null;
  return nameOf(contentHash([salt, kind, name, source?.digest ?? null], NAME_DIGITS));
}

const SHARED = "annotation shieldx.dev/configuration: Shared on it leaves it out of the copies";

function missing(named: readonly Named[]): Unusable | undefined {
  const absent = named.filter(({ reference, source }) => source === undefined && !reference.isOptional);
  if (absent.length === 0) return undefined;
  const names = absent.map(({ reference: { kind, name } }) => `${kind} ${name}`);
  return refusal("ConfigurationNotFound", `the pod template reads what is not in this namespace: ${names.join(", ")}`);
}

function refusedType(named: readonly Named[]): Unusable | undefined {
  const found = named.find(({ source }) => source?.type !== undefined && REFUSED_TYPES.includes(source.type));
  if (found === undefined) return undefined;
  const what = `Secret ${found.reference.name} is of type ${found.source?.type ?? ""}, which is not copied`;
  return refusal("ConfigurationRefused", `${what}; ${SHARED}`);
}

function tooMuch(named: readonly Named[]): Unusable | undefined {
  const there = named.filter(({ source }) => source !== undefined);
  if (there.length > COPIES_MAX) {
    const many = `the pod template reads ${String(there.length)} ConfigMaps and Secrets`;
    return refusal("ConfigurationRefused", `${many}, ${String(COPIES_MAX)} at most are copied; ${SHARED}`);
  }
  const bytes = there.reduce((sum, { source }) => sum + (source?.bytes ?? 0), 0);
  if (bytes <= BYTES_MAX) return undefined;
  const [largest] = there.toSorted((a, b) => (b.source?.bytes ?? 0) - (a.source?.bytes ?? 0));
  const { kind, name } = largest?.reference ?? { kind: "ConfigMap", name: "" };
  const much = `the pod template reads ${String(bytes)} bytes of configuration, ${String(BYTES_MAX)} at most are copied`;
  return refusal("ConfigurationRefused", `${much}; the largest is ${kind} ${name}; ${SHARED}`);
}

function refusal(reason: RolloutReason, message: string): Unusable {
  return { reason, message };
}

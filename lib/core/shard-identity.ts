import { OperatorError } from "./errors.ts";

// What is known of a shard's data, apart from the data: an empty directory looks the same on a shard that never had any
// and on one that lost everything. It stands beside the shard map, in the ConfigMap that outlives volumes and resources.

/** What is known of the data of one shard. Where nothing is known, nothing may be made in its place. */
export type ShardIdentity =
  /** The shard never had data: a database cluster may be made. */
  | { readonly state: "new" }
  /** The shard's data is the database cluster with this system identifier (decimal, 64 bit), and no other one. */
  | { readonly state: "known"; readonly systemIdentifier: string }
  /** Somebody gave the data of this identifier up: another cluster may take its place, or be made. */
  | { readonly state: "given-up"; readonly systemIdentifier: string };

/** Identities by shard; a shard that is absent is not known. */
export type ShardIdentities = ReadonlyMap<number, ShardIdentity>;

/** Stands for the identifier of data that was never recorded. */
export const UNKNOWN_IDENTIFIER = "unknown";

/** A system identifier as PostgreSQL prints it. */
export const SYSTEM_IDENTIFIER = /^[0-9]{1,20}$/;

const KEY_PREFIX = "systemIdentifier.";
const KEY = /^systemIdentifier\.(0|[1-9]\d{0,3})$/;
const NEW = "new";
const GIVEN_UP_PREFIX = "given-up-";

/** Key of a shard's identity in the `data` of ConfigMap `<shardset>-map`. */
export function identityKey(shard: number): string {
  return `${KEY_PREFIX}${shard}`;
}

/** Value of that key: `new`, a system identifier, or `given-up-<identifier>`. */
export function formatIdentity(identity: ShardIdentity): string {
  if (identity.state === "new") return NEW;
  return identity.state === "known" ? identity.systemIdentifier : `${GIVEN_UP_PREFIX}${identity.systemIdentifier}`;
}

/** Identities as members of that `data`. */
export function formatIdentities(identities: ShardIdentities): Record<string, string> {
  return Object.fromEntries([...identities].map(([shard, identity]) => [identityKey(shard), formatIdentity(identity)]));
}

/** Reads what `formatIdentities` wrote. @throws OperatorError SHARD_MAP_INVALID naming the key */
export function parseIdentities(data: Readonly<Record<string, string>> | undefined): ShardIdentities {
  const identities = new Map<number, ShardIdentity>();
  for (const [key, value] of Object.entries(data ?? {})) {
    if (!key.startsWith(KEY_PREFIX)) continue;
    const shard = KEY.exec(key)?.[1];
    const identity = parseIdentity(value);
    if (shard === undefined || identity === undefined) {
      throw new OperatorError("SHARD_MAP_INVALID", `${key} of the shard map cannot be read`);
    }
    identities.set(Number(shard), identity);
  }
  return identities;
}

function parseIdentity(value: string): ShardIdentity | undefined {
  if (value === NEW) return { state: "new" };
  if (SYSTEM_IDENTIFIER.test(value)) return { state: "known", systemIdentifier: value };
  if (!value.startsWith(GIVEN_UP_PREFIX)) return undefined;
  const systemIdentifier = value.slice(GIVEN_UP_PREFIX.length);
  const isOne = systemIdentifier === UNKNOWN_IDENTIFIER || SYSTEM_IDENTIFIER.test(systemIdentifier);
  return isOne ? { state: "given-up", systemIdentifier } : undefined;
}

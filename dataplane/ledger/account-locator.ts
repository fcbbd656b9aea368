/** Finds the shard of an account: the shard map leads from its placement key, which is its id unless a pointer says otherwise. */
import { type OperatorError, toOperatorError } from "../../lib/core/errors.ts";
import { bucketOf, DEFAULT_TENANT } from "../../lib/core/ring.ts";
import type { ShardMap } from "../../lib/core/shard-map.ts";
import type { LedgerReads } from "./ledger.reads.ts";
import { externalAsset } from "./ledger-state.ts";

/** Ids whose shard is remembered; beyond this all are forgotten, which costs one look-up each. */
const REMEMBERED_MAX = 1_000_000;

/** Where ids lead, one column a figure. */
export interface Locations {
  /** Shard of each id; EVERYWHERE for an external account. */
  readonly shards: Int32Array;
  /** 0: no account of this id was found; the shard is the one of a new account with the id as placement key. */
  readonly exists: Uint8Array;
  /** Why the shard that knows an id did not say, by index of the id; the other columns mean nothing there. */
  readonly failures: ReadonlyMap<number, OperatorError>;
}

/** An external account is on every shard. */
export const EVERYWHERE = -1;

export interface AccountLocator {
  /** Locations of ids, in their order. A shard that does not answer fails its own ids only. */
  locate(map: ShardMap, extIds: readonly string[]): Promise<Locations>;
}

/** Shard of a placement key. */
export function shardOf(map: ShardMap, placementKey: string): number {
  return map.owners[bucketOf(DEFAULT_TENANT, placementKey)] as number;
}

/** @param reads by shard */
export function createAccountLocator(reads: readonly LedgerReads[]): AccountLocator {
  let remembered = new Map<string, number>();
  let version = 0;

  /** @returns why ids could not be looked for */
  const search = async (map: ShardMap, unknown: ReadonlySet<string>): Promise<Map<string, OperatorError>> => {
    const failures = new Map<string, OperatorError>();
    const byHome = new Map<number, string[]>();
    for (const extId of unknown) {
      const home = shardOf(map, extId);
      const ids = byHome.get(home);
      if (ids === undefined) byHome.set(home, [extId]);
      else ids.push(extId);
    }
    await Promise.all(
      [...byHome].map(async ([home, ids]) => {
        try {
          for (const found of await (reads[home] as LedgerReads).locate(ids)) {
            const shard = found.pointer === undefined ? home : shardOf(map, found.pointer);
            remembered.set(found.extId, shard);
          }
        } catch (thrown) {
          const failure = toOperatorError(thrown);
          for (const id of ids) failures.set(id, failure);
        }
      }),
    );
    return failures;
  };

  return {
    locate: async (map, extIds) => {
      if (map.version !== version || remembered.size > REMEMBERED_MAX) {
        remembered = new Map();
        version = map.version;
      }
      const failures = new Map<number, OperatorError>();
      const locations = { shards: new Int32Array(extIds.length), exists: new Uint8Array(extIds.length), failures };
      const unknown: number[] = [];
      const place = (index: number): void => {
        const extId = extIds[index] as string;
        const shard = remembered.get(extId);
        if (shard === undefined && externalAsset(extId) === undefined) {
          unknown.push(index);
          return;
        }
        locations.shards[index] = shard ?? EVERYWHERE;
        locations.exists[index] = 1;
      };
      for (let index = 0; index < extIds.length; index += 1) place(index);
      if (unknown.length === 0) return locations;

      const failed = await search(map, new Set(unknown.map((index) => extIds[index] as string)));
      const sought = unknown.splice(0);
      sought.forEach(place);
      // What was not found may be opened at any time, so it is not remembered.
      for (const index of unknown) {
        const extId = extIds[index] as string;
        locations.shards[index] = shardOf(map, extId);
        const failure = failed.get(extId);
        if (failure !== undefined) failures.set(index, failure);
      }
      return locations;
    },
  };
}

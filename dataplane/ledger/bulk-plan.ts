/** Which shard each transfer of a request goes to, or why it goes nowhere. Pure. */
import type { ShardMap } from "../../lib/core/shard-map.ts";
import { EVERYWHERE, type Locations } from "./account-locator.ts";
import { bulkProblem } from "./answers.ts";
import type { TransferRequest } from "./fingerprint.ts";
import type { TransferProblem } from "./ledger.work.ts";
import { isProblem, TRANSFER_ID } from "./transfer-parser.ts";

/** A bulk request whose items were parsed. */
export interface BulkCall {
  readonly items: readonly unknown[];
  readonly parsed: readonly (TransferRequest | TransferProblem)[];
  readonly createAccounts: boolean;
  /** The whole body, handed on as it is when one other pod does it all. */
  readonly body: Buffer;
}

/** Transfers with the locations of their accounts: debit at 2n, credit at 2n + 1. */
export interface RoutedTransfers {
  readonly map: ShardMap;
  readonly ids: readonly string[];
  readonly locations: Locations;
  readonly createAccounts: boolean;
}

/** The shard of a transfer, or why it has none. */
export function shardOfTransfer(routed: RoutedTransfers, index: number): number | TransferProblem {
  const { shards, exists, failures } = routed.locations;
  const [debit, credit] = [index * 2, index * 2 + 1];
  const failure = failures.get(debit) ?? failures.get(credit);
  if (failure !== undefined) return { code: failure.code, detail: failure.message };
  const unknown = exists[debit] === 0 ? debit : exists[credit] === 0 ? credit : undefined;
  if (unknown !== undefined && !routed.createAccounts) {
    return { code: "ACCOUNT_NOT_FOUND", detail: `account "${routed.ids[unknown]}" does not exist` };
  }
  const debitShard = shards[debit] as number;
  const creditShard = shards[credit] as number;
  if (debitShard === EVERYWHERE && creditShard === EVERYWHERE) {
    return { code: "ASSET_MISMATCH", detail: "both accounts are external accounts, of different assets" };
  }
  if (debitShard === EVERYWHERE || creditShard === EVERYWHERE) return Math.max(debitShard, creditShard);
  if (debitShard === creditShard) return debitShard;
  return {
    code: "CROSS_SHARD_TRANSFER",
    detail: `"${routed.ids[debit]}" lives on shard ${debitShard}, "${routed.ids[credit]}" on shard ${creditShard}`,
  };
}

export interface BulkPlan {
  /** Indexes of the items of each shard, in order. */
  readonly byShard: Map<number, number[]>;
  /** JSON text by item. */
  readonly answers: string[];
}

export function planBulk(call: BulkCall, routed: RoutedTransfers): BulkPlan {
  const { parsed, items } = call;
  const byShard = new Map<number, number[]>();
  const answers = new Array<string>(parsed.length);
  let request = 0;
  parsed.forEach((item, index) => {
    const shard = isProblem(item) ? item : shardOfTransfer(routed, request++);
    if (typeof shard !== "number") {
      answers[index] = bulkProblem(isProblem(item) ? rawId(items[index]) : item.id, shard, { replayed: false });
      return;
    }
    const indexes = byShard.get(shard);
    if (indexes === undefined) byShard.set(shard, [index]);
    else indexes.push(index);
  });
  return { byShard, answers };
}

/** The id of an item that could not be read, when at least that is there. */
function rawId(item: unknown): string | null {
  const id = typeof item === "object" && item !== null ? (item as { id?: unknown }).id : undefined;
  return typeof id === "string" && TRANSFER_ID.test(id) ? id : null;
}

/** The client side of the ingest benchmark: uniform transfers between many accounts, in bulk requests. */

import type { LedgerClient } from "../../dataplane/ledger/ledger-client.ts";
import { systemClock } from "../../lib/core/clock.ts";
import { OperatorError } from "../../lib/core/errors.ts";

export interface LoadOptions {
  readonly client: LedgerClient;
  /** Ids of funded accounts of one shard. */
  readonly accounts: readonly string[];
  readonly asset: string;
  readonly itemsPerRequest: number;
  /** Requests under way at once. */
  readonly requests: number;
  readonly random: () => number;
}

export interface LoadFigures {
  /** Transfers that were acknowledged as carried out. */
  readonly events: number;
  readonly seconds: number;
  readonly perSecond: number;
  /** Milliseconds from sending a request to having read its answer. */
  readonly latenciesMs: readonly number[];
}

interface BulkAnswer {
  readonly items: readonly { readonly status: number; readonly code?: string }[];
}

/** Opens and funds accounts that the shard map puts on `shard`. @returns their ids */
export async function openAccounts(
  options: Omit<LoadOptions, "accounts">,
  count: number,
  isOnShard: (id: string) => boolean,
): Promise<string[]> {
  const { client, asset, itemsPerRequest } = options;
  const tag = Math.floor(options.random() * 1e9).toString(36);
  const accounts: string[] = [];
  for (let serial = 0; accounts.length < count; serial += 1) {
    const id = `bench-${tag}-${serial}`;
    if (isOnShard(id)) accounts.push(id);
  }
  for (let from = 0; from < count; from += itemsPerRequest) {
    const items = accounts.slice(from, from + itemsPerRequest).map((account) => ({
      id: `fund:${account}`,
      debitAccount: `system:external:${asset}`,
      creditAccount: account,
      amount: 1_000_000_000,
      asset,
    }));
    await sendBulk(client, JSON.stringify({ createAccounts: true, items }), items.length);
  }
  return accounts;
}

/** Sends as fast as answers come, for about `seconds`. */
export async function runLoad(options: LoadOptions, seconds: number): Promise<LoadFigures> {
  const { client, accounts, itemsPerRequest, random } = options;
  const tag = Math.floor(random() * 2 ** 40).toString(36);
  const startedAt = systemClock.monotonic();
  const endsAt = startedAt + seconds * 1000;
  const latenciesMs: number[] = [];
  let serial = 0;
  let events = 0;

  const sender = async (): Promise<void> => {
    while (systemClock.monotonic() < endsAt) {
      const items: string[] = [];
      for (let count = 0; count < itemsPerRequest; count += 1) {
        const debit = Math.floor(random() * accounts.length);
        const credit = (debit + 1 + Math.floor(random() * (accounts.length - 1))) % accounts.length;
        serial += 1;
        items.push(
          `{"id":"${tag}:${serial}","debitAccount":"${accounts[debit]}","creditAccount":"${accounts[credit]}","amount":${1 + Math.floor(random() * 100)}}`,
        );
      }
      const sentAt = systemClock.monotonic();
      await sendBulk(client, `{"items":[${items.join(",")}]}`, items.length);
      latenciesMs.push(systemClock.monotonic() - sentAt);
      events += items.length;
    }
  };
  await Promise.all(Array.from({ length: options.requests }, sender));
  const took = (systemClock.monotonic() - startedAt) / 1000;
  return { events, seconds: took, perSecond: events / took, latenciesMs };
}

/** Every transfer must have been carried out: a benchmark that skips refusals would measure something else. */
async function sendBulk(client: LedgerClient, body: string, count: number): Promise<void> {
  const answer = await client.send("POST", "/v1/transfers:bulk", { body });
  if (answer.status !== 200)
    throw new OperatorError("INTERNAL", `bulk request: ${answer.status} ${answer.text.slice(0, 300)}`);
  const { items } = answer.json<BulkAnswer>();
  const failed = items.find(({ status }) => status !== 201);
  if (items.length !== count || failed !== undefined) {
    throw new OperatorError("INTERNAL", `bulk item: ${JSON.stringify(failed)} of ${items.length}`);
  }
}

/** The client side of the ingest benchmark: uniform transfers between many accounts, in bulk requests. */

import type { LedgerClient } from "../../dataplane/ledger/ledger-client.ts";
import { systemClock } from "../../lib/core/clock.ts";
import { OperatorError } from "../../lib/core/errors.ts";
import type { MeterSum } from "./processor-time.ts";

export interface LoadOptions {
  readonly client: LedgerClient;
  /** Ids of funded accounts, by shard: those of one pay each other. */
  readonly accounts: readonly (readonly string[])[];
  /** Id of a transfer; unique in the run. Its number alone when absent. */
  readonly idOf?: (serial: string, debitAccount: string) => string;
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

/** Processor microseconds for each transfer; `undefined` when they were not seen. */
export function microsPerEvent(sum: MeterSum | undefined, rounds: readonly LoadFigures[]): MeterSum | undefined {
  const events = rounds.reduce((all, round) => all + round.events, 0);
  if (sum === undefined) return undefined;
  return { postgres: sum.postgres / events, ledger: sum.ledger / events, client: sum.client / events };
}

interface BulkAnswer {
  readonly items: readonly { readonly status: number; readonly code?: string }[];
}

/** Opens and funds `count` accounts that `isWanted`. @returns their ids */
export async function openAccounts(
  options: Omit<LoadOptions, "accounts">,
  count: number,
  isWanted: (id: string) => boolean = () => true,
): Promise<string[]> {
  const { client, asset, itemsPerRequest } = options;
  const tag = Math.floor(options.random() * 1e9).toString(36);
  const accounts: string[] = [];
  for (let serial = 0; accounts.length < count; serial += 1) {
    const id = `bench-${tag}-${serial}`;
    if (isWanted(id)) accounts.push(id);
  }
  for (let from = 0; from < count; from += itemsPerRequest) {
    const items = accounts.slice(from, from + itemsPerRequest).map((account) => ({
      id: `fund:{${account}}`,
      debitAccount: `system:external:${asset}`,
      creditAccount: account,
      amount: 1_000_000_000,
      asset,
    }));
    await sendBulk(client, JSON.stringify({ createAccounts: true, items }), items.length);
  }
  return accounts;
}

/** A transfer of a small amount between two accounts of the same shard, as JSON, and its id. */
interface LoadTransfer {
  readonly id: string;
  readonly json: string;
}

function createTransfers(options: LoadOptions): () => LoadTransfer {
  const { accounts, random, idOf = (serial: string) => serial } = options;
  const tag = Math.floor(random() * 2 ** 40).toString(36);
  let count = 0;
  return () => {
    const group = accounts[count % accounts.length] as readonly string[];
    const debit = Math.floor(random() * group.length);
    const credit = (debit + 1 + Math.floor(random() * (group.length - 1))) % group.length;
    count += 1;
    const debitAccount = group[debit] as string;
    const id = idOf(`${tag}:${count}`, debitAccount);
    const amount = 1 + Math.floor(random() * 100);
    const json = `{"id":"${id}","debitAccount":"${debitAccount}","creditAccount":"${group[credit]}","amount":${amount}}`;
    return { id, json };
  };
}

/** Sends bulk requests as fast as answers come, for about `seconds`. */
export async function runLoad(options: LoadOptions, seconds: number): Promise<LoadFigures> {
  const { client, itemsPerRequest } = options;
  const nextTransfer = createTransfers(options);
  const startedAt = systemClock.monotonic();
  const endsAt = startedAt + seconds * 1000;
  const latenciesMs: number[] = [];
  let events = 0;

  const sender = async (): Promise<void> => {
    while (systemClock.monotonic() < endsAt) {
      const items = Array.from({ length: itemsPerRequest }, () => nextTransfer().json);
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

/** Sends single transfers, `requests` at a time, for about `seconds`. @returns milliseconds from sending to the answer, by id */
export async function runSingles(options: LoadOptions, seconds: number): Promise<ReadonlyMap<string, number>> {
  const nextTransfer = createTransfers(options);
  const endsAt = systemClock.monotonic() + seconds * 1000;
  const latenciesMs = new Map<string, number>();
  const sender = async (): Promise<void> => {
    while (systemClock.monotonic() < endsAt) {
      const { id, json } = nextTransfer();
      const sentAt = systemClock.monotonic();
      const answer = await options.client.send("POST", "/v1/transfers", { body: json });
      latenciesMs.set(id, systemClock.monotonic() - sentAt);
      if (answer.status !== 201) {
        throw new OperatorError("INTERNAL", `transfer: ${answer.status} ${answer.text.slice(0, 300)}`);
      }
    }
  };
  await Promise.all(Array.from({ length: options.requests }, sender));
  return latenciesMs;
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

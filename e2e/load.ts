import { prng } from "../lib/core/prng.ts";
import { type LedgerApi, openLedgerApi } from "./bank.ts";
import type { Cluster } from "./cluster.ts";

/** Final answer to one transfer, as the client saw it. */
export interface Settled {
  readonly id: string;
  /** Signed effect on the account when posted, 0 when refused. */
  readonly effect: number;
  readonly account: string;
  readonly outcome: "posted" | "refused";
  readonly shard: number;
}

interface Item {
  readonly id: string;
  readonly debitAccount: string;
  readonly creditAccount: string;
  readonly amount: number;
}

interface ItemAnswer {
  readonly id: string;
  readonly status: number;
  readonly shard?: number;
  readonly code?: string;
  readonly detail?: string;
}

/** Accounts that the load uses. */
const ACCOUNTS = 60;

/** Transfers of one request. */
const BATCH = 40;

const EXTERNAL = "system:external:CZK";

/** Part of the transfers that come under a key which another one has, mostly for another account: one of the two is refused. */
const MISUSED = 0.03;
/** Keys back from which they take it: some have their answer, some are on their way. */
const MISUSED_BACK = 3 * BATCH;

/** Answers after which the same transfer is sent again under the same key. */
const RETRIED = new Set([429, 503]);

/**
 * A client that posts deposits and withdrawals one request after another and never gives up on one: whatever happens, it
 * sends the same keys again until each transfer has a final answer. Some withdrawals ask for more than there is, some come
 * under the key of another one.
 */
export interface Load {
  /** Every transfer with its final answer so far. */
  readonly settled: readonly Settled[];
  /** Number of requests that were answered in full so far. */
  rounds(): number;
  /** Ends after the request at hand is settled. @throws when an answer was neither final nor retryable */
  stop(): Promise<void>;
}

/** An answer that no client should ever get from this load. */
class UnexpectedAnswer extends Error {}

/** Starts the load. The same seed gives the same transfers. */
export function startLoad(cluster: Cluster, namespace: string, seed: number): Load {
  const random = prng(seed);
  const settled: Settled[] = [];
  let rounds = 0;
  let stopping = false;
  let api: LedgerApi | undefined;

  const nextItem = (sequence: number): Item => {
    const isMisused = sequence > MISUSED_BACK && random() < MISUSED;
    const id = `load-${seed}-${isMisused ? sequence - 1 - Math.floor(random() * MISUSED_BACK) : sequence}`;
    const account = `account-${Math.floor(random() * ACCOUNTS)}`;
    // An amount of its own, so that no payload comes twice.
    const amount = isMisused ? 1_000 + sequence : 1 + Math.floor(random() * 1000);
    return random() < 0.5
      ? { id, debitAccount: EXTERNAL, creditAccount: account, amount }
      : { id, debitAccount: account, creditAccount: EXTERNAL, amount };
  };

  const settle = (item: Item, answer: ItemAnswer): void => {
    const deposit = item.debitAccount === EXTERNAL;
    const account = deposit ? item.creditAccount : item.debitAccount;
    const shard = answer.shard ?? -1;
    if (answer.status === 200 || answer.status === 201) {
      settled.push({ id: item.id, account, effect: deposit ? item.amount : -item.amount, outcome: "posted", shard });
    } else if (answer.code === "INSUFFICIENT_CREDIT" || answer.code === "IDEMPOTENCY_KEY_REUSED") {
      settled.push({ id: item.id, account, effect: 0, outcome: "refused", shard });
    } else {
      throw new UnexpectedAnswer(
        `transfer ${item.id} was answered with ${answer.status} ${answer.code}: ${answer.detail}`,
      );
    }
  };

  /** Sends once. @returns the items to send again */
  const send = async (items: readonly Item[]): Promise<Item[]> => {
    try {
      api ??= await openLedgerApi(cluster, namespace);
      const answer = await api.call("POST", "/v1/transfers:bulk", { body: { createAccounts: true, items } });
      if (RETRIED.has(answer.status)) return [...items];
      if (answer.status !== 200) throw new UnexpectedAnswer(`${answer.status} ${answer.text.slice(0, 500)}`);
      const answers = answer.json?.["items"] as ItemAnswer[];
      return items.filter((item, index) => {
        const found = answers[index];
        if (found?.id !== item.id) throw new UnexpectedAnswer(`no answer for ${item.id}`);
        if (RETRIED.has(found.status)) return true;
        settle(item, found);
        return false;
      });
    } catch (error) {
      if (error instanceof UnexpectedAnswer) throw error;
      // The connection or the pod behind it is gone: open another one and send the same keys again.
      api?.close();
      api = undefined;
      return [...items];
    }
  };

  const loop = (async () => {
    let sequence = 0;
    while (!stopping) {
      let open = Array.from({ length: BATCH }, () => nextItem((sequence += 1)));
      while (open.length > 0) {
        open = await send(open);
        if (open.length > 0) await new Promise((resolve) => setTimeout(resolve, 200));
      }
      rounds += 1;
    }
    api?.close();
  })();
  // The error is kept for stop(); without this line Node would end the process before.
  loop.catch(() => undefined);

  return {
    settled,
    rounds: () => rounds,
    stop: async () => {
      stopping = true;
      await loop;
    },
  };
}

/** One writer over the database in memory, on a clock that a test moves. */
import { createManualClock, type ManualClock } from "../../lib/core/manual-clock.ts";
import { silentLogger } from "../../lib/node/logger.ts";
import { identitiesOf, type TransferRequest } from "../ledger/fingerprint.ts";
import type { TransferResults } from "../ledger/ledger.work.ts";
import { createWriter, type LedgerWriter } from "../ledger/ledger.writer.ts";
import { createLocalLease } from "../ledger/local-lease.ts";
import type { WriterLease } from "../ledger/writer-takeover.ts";
import { createMemoryDatabase, type MemoryDatabase } from "./memory-store.ts";

export interface Stage {
  database: MemoryDatabase;
  clock: ManualClock;
  writer: LedgerWriter;
  send(requests: TransferRequest[], mapVersion?: number): Promise<TransferResults>;
}

/** Starts it. */
export function stage(
  options: { database?: MemoryDatabase; lease?: WriterLease; clock?: ManualClock; onStep?: () => void } = {},
): Stage {
  const database = options.database ?? createMemoryDatabase();
  const clock = options.clock ?? createManualClock();
  const writer = createWriter({
    shard: 0,
    lease: options.lease ?? createLocalLease(),
    openStore: () => database.open(),
    snapshotEvery: 100,
    clock,
    log: silentLogger,
    ...(options.onStep === undefined ? {} : { onStep: options.onStep }),
  });
  void writer.run();
  const send = (requests: TransferRequest[], mapVersion = 1): Promise<TransferResults> =>
    writer.transfer({ requests, identities: identitiesOf(requests), createAccounts: true, mapVersion });
  return { database, clock, writer, send };
}

/** Credits that come from outside. */
export const deposit = (id: string, amount = 1, account = "a"): TransferRequest => ({
  id,
  debitAccount: "system:external:CZK",
  creditAccount: account,
  amount,
});
/** Credits that leave account `a`. */
export const withdrawal = (id: string, amount: number): TransferRequest => ({
  id,
  debitAccount: "a",
  creditAccount: "system:external:CZK",
  amount,
});

/** Lets a writer that waits for its backoff go on, until the answer is there. */
export async function settle<T>(clock: ManualClock, answer: Promise<T>): Promise<T> {
  let done = false;
  const finished = answer.finally(() => {
    done = true;
  });
  finished.catch(() => undefined);
  for (let step = 0; step < 400 && !done; step += 1) await clock.advance(100);
  return finished;
}

/** A good client with a constant load: each request is sent when it is due, whether or not the ones before were answered. */
import { systemClock } from "../../lib/core/clock.ts";
import type { LedgerClient } from "../ledger/ledger-client.ts";

export interface SteadyLoadOptions {
  readonly client: LedgerClient;
  /** Prefix of the transfers' keys. */
  readonly name: string;
  readonly account: string;
  readonly perSecond: number;
  /** Asked before each request. */
  readonly goesOn: () => boolean;
}

export interface SteadyLoad {
  /** How often each status came; "lost" for a request without an answer. */
  readonly answers: Readonly<Record<string, number>>;
  /** From when a request was due to its answer. */
  readonly latenciesMs: readonly number[];
}

/** Deposits of one credit, by single transfers. */
export async function runSteadyLoad(options: SteadyLoadOptions): Promise<SteadyLoad> {
  const { client, name, account, perSecond } = options;
  const answers: Record<string, number> = {};
  const latenciesMs: number[] = [];
  const startedAt = systemClock.monotonic();
  const send = async (index: number, dueAt: number): Promise<void> => {
    const body = { id: `${name}-${index}`, debitAccount: "system:external:CZK", creditAccount: account, amount: 1 };
    const answer = await client.send("POST", "/v1/transfers", { body }).catch(() => undefined);
    const told = answer === undefined ? "lost" : String(answer.status);
    answers[told] = (answers[told] ?? 0) + 1;
    latenciesMs.push(systemClock.monotonic() - dueAt);
  };
  const sent: Promise<void>[] = [];
  for (let index = 0; options.goesOn(); index += 1) {
    const dueAt = startedAt + (index * 1000) / perSecond;
    const wait = dueAt - systemClock.monotonic();
    if (wait > 0) await systemClock.sleep(wait);
    sent.push(send(index, Math.max(dueAt, startedAt)));
  }
  await Promise.all(sent);
  return { answers, latenciesMs };
}

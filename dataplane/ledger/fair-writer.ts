/**
 * A writer whose queue is parted among API keys: a thousand large bulk requests of one key leave room for the transfers of the
 * others. What a key has waiting or being written counts, and is at most what is left for all others.
 */
import { OperatorError } from "../../lib/core/errors.ts";
import { createFairShares } from "../../lib/core/fair-shares.ts";
import { type LedgerWriter, QUEUE_COMMANDS_MAX } from "./ledger.writer.ts";

/** Those who open accounts are one holder: each has one command a request, and few requests. */
const OPENING = "accounts";

export interface FairWriterOptions {
  readonly shard: number;
  /** For metrics. */
  readonly onRefusal: () => void;
}

export function shareWriter(writer: LedgerWriter, { shard, onRefusal }: FairWriterOptions): LedgerWriter {
  const commands = createFairShares(QUEUE_COMMANDS_MAX);
  const counted = async <T>(key: string, count: number, run: () => Promise<T>): Promise<T> => {
    if (!commands.take(key, count)) {
      onRefusal();
      const detail =
        `shard ${shard} has ${commands.heldBy(key)} transfers and claims of this API key under way and ${commands.held()} of all keys, ` +
        `of at most ${commands.total}: a key may have no more than what is left for the others`;
      throw new OperatorError("OVERLOADED", detail, { retryAfterSeconds: 1 });
    }
    try {
      return await run();
    } finally {
      commands.give(key, count);
    }
  };
  return {
    ...writer,
    transfer: (group) => counted(group.actor ?? "", group.requests.length, () => writer.transfer(group)),
    claimKeys: (group) => counted(group.actor ?? "", group.shards.length, () => writer.claimKeys(group)),
    openAccount: (request, mapVersion) => counted(OPENING, 1, () => writer.openAccount(request, mapVersion)),
  };
}

/** The question whether the database of a shard answers, on a connection that nothing else uses: no other work delays it. */
import type { Client } from "pg";
import { OperatorError } from "../../lib/core/errors.ts";
import { closeClient, openClient, type PostgresTarget, toPostgresError } from "../../lib/node/postgres.ts";

export interface ShardQuestion {
  /**
   * Proves that the database answers and has the ledger's schema. After a failure it is asked on a new connection.
   * @throws OperatorError SHARD_UNAVAILABLE, within twice `limitMs`
   */
  ask(): Promise<void>;
  close(): Promise<void>;
}

/** @param target the reader role; @param limitMs for a connection, and for an answer */
export function createShardQuestion(target: PostgresTarget, shard: number, limitMs: number): ShardQuestion {
  const timeouts = { ...target.timeouts, connectMs: limitMs, answerMs: limitMs };
  let client: Client | undefined;
  /** Connections that failed and are being ended. */
  let endings: Promise<unknown> = Promise.resolve();

  return {
    ask: async () => {
      try {
        client ??= await openClient({ ...target, timeouts });
        const { rows } = await client.query<{ ready: boolean }>("SELECT ledger.ready() AS ready");
        if (rows[0]?.ready === true) return;
      } catch (error) {
        if (client !== undefined) endings = Promise.all([endings, closeClient(client)]);
        client = undefined;
        throw toPostgresError(error, `shard ${shard}`);
      }
      throw new OperatorError("SHARD_UNAVAILABLE", `shard ${shard} has no head yet`);
    },
    close: async () => {
      await endings;
      if (client !== undefined) await closeClient(client);
    },
  };
}

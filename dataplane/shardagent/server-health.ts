import type { Client } from "pg";
import type { Logger } from "../../lib/node/logger.ts";
import { openClient, type PostgresTarget } from "../../lib/node/postgres.ts";
import { ensureAgentSchema, ensureMetaOwner, recordEpoch } from "./shard-meta.ts";

/** Asks the server over one connection that stays open. */
export interface ServerHealth {
  /**
   * Asks `shard_meta.readiness()`, after preparing the agent's own schema on a connection's first use.
   * @returns "Ready", or the function's other answers
   * @throws OperatorError when the server does not answer
   */
  check(primary: { readonly epoch: number; readonly holder: string }): Promise<string>;
  /** Version of the server, for example "17.11"; known after the first check. */
  version(): string | undefined;
  close(): Promise<void>;
}

/** A healthy server answers in a millisecond; under full load in a second. */
const CHECK_TIMEOUTS = { connectMs: 2_000, statementMs: 3_000, answerMs: 4_000, lockMs: 2_000 } as const;

/** @param target database `postgres` over the local socket, as superuser */
export function createServerHealth(target: PostgresTarget, log: Logger): ServerHealth {
  let client: Client | undefined;
  let version: string | undefined;
  let recorded: number | undefined;

  const drop = async (): Promise<void> => {
    const old = client;
    client = undefined;
    // The connection is broken already, or the server is: there is nothing to say goodbye to.
    await old?.end().catch(() => undefined);
  };

  const open = async (): Promise<Client> => {
    const opened = await openClient({ ...target, timeouts: { ...CHECK_TIMEOUTS } });
    opened.once("end", () => {
      if (client === opened) client = undefined;
    });
    const found = await opened.query<{ server_version: string; recovering: boolean }>(
      "SELECT current_setting('server_version') AS server_version, pg_is_in_recovery() AS recovering",
    );
    version = found.rows[0]?.server_version.split(" ")[0];
    if (found.rows[0]?.recovering === false) {
      await ensureMetaOwner(opened);
      if (await ensureAgentSchema(opened)) log.info("prepared the agent's schema");
    }
    return opened;
  };

  return {
    version: () => version,
    close: drop,
    check: async (primary) => {
      try {
        client ??= await open();
        if (recorded !== primary.epoch) {
          await recordEpoch(client, primary);
          recorded = primary.epoch;
        }
        const answer = await client.query<{ readiness: string }>("SELECT shard_meta.readiness() AS readiness");
        return answer.rows[0]?.readiness ?? "NoAnswer";
      } catch (error) {
        await drop();
        throw error;
      }
    },
  };
}

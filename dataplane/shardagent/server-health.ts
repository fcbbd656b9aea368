import type { Client } from "pg";
import type { Clock } from "../../lib/core/clock.ts";
import { OperatorError, toOperatorError } from "../../lib/core/errors.ts";
import type { Logger } from "../../lib/node/logger.ts";
import { closeClient, isSilence, openClient, type PostgresTarget, withClient } from "../../lib/node/postgres.ts";
import { ensureAgentSchema, ensureMetaOwner, recordEpoch } from "./shard-meta.ts";

/** Asks the server over one connection that stays open, and now and then over a new one. */
export interface ServerHealth {
  /**
   * Asks `shard_meta.readiness()`, after preparing the agent's own schema on a connection's first use. Connections that
   * are open outlive a postmaster that hangs or is stopped, so every few seconds a new one is tried too.
   * @returns "Ready", or the function's other answers
   * @throws OperatorError when the server does not answer, on an open connection or on a new one
   */
  check(primary: { readonly epoch: number; readonly holder: string }): Promise<string>;
  /** Since when the server has not answered, milliseconds since the epoch; `undefined` when it does, if only with an error. */
  silentSince(): number | undefined;
  /** Version of the server, for example "17.11"; known after the first check. */
  version(): string | undefined;
  close(): Promise<void>;
}

/** A healthy server answers in a millisecond; under full load in a second. */
const CHECK_TIMEOUTS = { connectMs: 2_000, statementMs: 3_000, answerMs: 4_000, lockMs: 2_000 } as const;

/** A new connection costs the server one process: a few milliseconds of one core. */
const NEW_CONNECTION_EVERY_MS = 5_000;

/** One late answer of a server under load is no hang. */
const NEW_CONNECTION_TRIES = 2;

/** @param target database `postgres` over the local socket, as superuser */
export function createServerHealth(
  target: PostgresTarget,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): ServerHealth {
  const bounded = { ...target, timeouts: { ...CHECK_TIMEOUTS } };
  let client: Client | undefined;
  let version: string | undefined;
  let recorded: number | undefined;
  let triedAt = Number.NEGATIVE_INFINITY;
  let refusal: OperatorError | undefined;
  let silentSince: number | undefined;

  const drop = async (): Promise<void> => {
    const old = client;
    client = undefined;
    // The connection is broken already, or the server is: there is nothing to say goodbye to.
    if (old !== undefined) await closeClient(old);
  };

  const open = async (): Promise<Client> => {
    const opened = await openClient(bounded);
    opened.once("end", () => {
      if (client === opened) client = undefined;
    });
    try {
      const found = await opened.query<{ server_version: string; recovering: boolean }>(
        "SELECT current_setting('server_version') AS server_version, pg_is_in_recovery() AS recovering",
      );
      version = found.rows[0]?.server_version.split(" ")[0];
      if (found.rows[0]?.recovering === false) {
        await ensureMetaOwner(opened);
        if (await ensureAgentSchema(opened)) log.info("prepared the agent's schema");
      }
    } catch (error) {
      await closeClient(opened);
      throw error;
    }
    refusal = undefined;
    triedAt = clock.monotonic();
    return opened;
  };

  const ask = async (primary: { readonly epoch: number; readonly holder: string }): Promise<string> => {
    client ??= await open();
    if (recorded !== primary.epoch) {
      await recordEpoch(client, primary);
      recorded = primary.epoch;
    }
    const answer = await client.query<{ readiness: string }>("SELECT shard_meta.readiness() AS readiness");
    return answer.rows[0]?.readiness ?? "NoAnswer";
  };

  /** One hung backend is not a hung server: what fails on the open connection is tried on a fresh one. */
  const askTwice = async (primary: { readonly epoch: number; readonly holder: string }): Promise<string> => {
    if (client === undefined) return ask(primary);
    try {
      return await ask(primary);
    } catch (error) {
      log.debug({ error: toOperatorError(error).message }, "the open connection failed");
      await drop();
      return ask(primary);
    }
  };

  /** @throws the last refusal again until it is time for another try */
  const tryNewConnection = async (): Promise<void> => {
    if (clock.monotonic() - triedAt >= NEW_CONNECTION_EVERY_MS) {
      refusal = await findRefusal(bounded, log);
      triedAt = clock.monotonic();
    }
    if (refusal !== undefined) throw refusal;
  };

  return {
    version: () => version,
    close: drop,
    silentSince: () => silentSince,
    check: async (primary) => {
      const began = clock.now();
      try {
        const answer = await askTwice(primary);
        await tryNewConnection();
        silentSince = undefined;
        return answer;
      } catch (error) {
        if (error !== refusal) await drop();
        silentSince = isSilence(error) ? (silentSince ?? began) : undefined;
        throw error;
      }
    },
  };
}

/** Any answer counts, if only that all connections are taken. @returns why new connections are not served */
async function findRefusal(target: PostgresTarget, log: Logger): Promise<OperatorError | undefined> {
  let last: unknown;
  for (let tries = 0; tries < NEW_CONNECTION_TRIES; tries += 1) {
    try {
      await withClient(target, (client) => client.query("SELECT shard_meta.readiness()"));
      return undefined;
    } catch (error) {
      last = error;
      log.debug({ error: toOperatorError(error).message }, "a new connection was not served");
      if (!isSilence(error)) return undefined;
    }
  }
  return new OperatorError("SHARD_UNAVAILABLE", "new connections are not answered, open ones go on", { cause: last });
}

/**
 * API keys: `sxk_` and 32 random bytes. The database keeps the SHA-256 only (a fast hash is right for a secret of 256
 * bits). Every shard has all keys, so that each can be checked while another shard is down; a key counts as revoked
 * when any shard says so.
 */
import { randomBytes, randomUUID } from "node:crypto";
import type { Pool } from "pg";
import { sha256 } from "../../lib/core/canonical.ts";
import type { Clock } from "../../lib/core/clock.ts";
import { OperatorError } from "../../lib/core/errors.ts";
import type { Logger } from "../../lib/node/logger.ts";
import { toWriteError } from "../../lib/node/postgres.ts";
import { createApiKeyRows } from "./api-key-rows.ts";
import type { KeyRow, LedgerReads } from "./ledger.reads.ts";

/** What a key may do: read, write, debit system accounts (which makes credits), manage keys. */
export const SCOPES = ["read", "write", "mint", "admin"] as const;
export type Scope = (typeof SCOPES)[number];

/** The key of a request that was let in. */
export interface ActingKey {
  readonly id: string;
  readonly scopes: readonly string[];
}

/** A raw key as clients send it. */
const RAW_KEY = /^sxk_[A-Za-z0-9_-]{43}$/;
const BEARER = /^Bearer +(\S+)$/i;

/**
 * Another pod's changes are seen within this time, also while some shards are silent: every shard has each change. One that
 * failed half-way, since a shard was down, is seen as soon as a shard that has it answers. While no shard answers at all, the
 * keys that are known go on being valid. A key that is not known is looked for at once.
 */
export const KEYS_REFRESH_MS = 5_000;
/** Unknown keys cause a read at most this often, and wait for it: guessing must not load the database. */
const UNKNOWN_REFRESH_MS = 250;
/** Requests with unknown keys that may wait for such a read: each takes memory, and anybody can send them. */
const UNKNOWN_WAITING_MAX = 1_024;

export interface ApiKeysOptions {
  readonly reads: readonly LedgerReads[];
  /** Pools of the writer role, by shard. */
  readonly writers: readonly Pool[];
  readonly clock: Clock;
  readonly log: Logger;
}

export interface ApiKeys {
  /** @param authorization the header @throws OperatorError API_KEY_MISSING, API_KEY_INVALID, SCOPE_MISSING, SHARD_UNAVAILABLE, OVERLOADED */
  check(authorization: string | undefined, scope: Scope): Promise<ActingKey>;
  /** Makes a key on every shard, with scopes that its maker has too; the raw key is in this answer only. @throws OperatorError SCOPE_MISSING */
  create(wanted: WantedKey, maker: ActingKey): Promise<KeyRow & { readonly raw: string }>;
  list(): Promise<KeyRow[]>;
  /** False when there is no such key. */
  revoke(id: string): Promise<boolean>;
}

/** What a key is to be. */
export interface WantedKey {
  readonly name: string;
  readonly scopes: readonly Scope[];
}

/** Nothing is read before the first check. */
export function createApiKeys(options: ApiKeysOptions): ApiKeys {
  const { clock } = options;
  const rows = createApiKeyRows(options);
  let waiting = 0;

  /** Waits until what is known was read after this time. */
  const readAfter = async (askedAt: number, hash: string): Promise<void> => {
    if (waiting >= UNKNOWN_WAITING_MAX) {
      const detail = `${waiting} requests wait to have their unknown keys looked for`;
      throw new OperatorError("OVERLOADED", detail, { retryAfterSeconds: 1 });
    }
    waiting += 1;
    try {
      while (rows.find(hash) === undefined && rows.readFrom() < askedAt) {
        const wait = rows.readFrom() + UNKNOWN_REFRESH_MS - clock.monotonic();
        // Others wait for the same reading.
        await (wait > 0 ? clock.sleep(wait) : rows.refresh());
      }
    } finally {
      waiting -= 1;
    }
  };

  const find = async (raw: string): Promise<KeyRow | undefined> => {
    const hash = sha256(raw).toString("latin1");
    const askedAt = clock.monotonic();
    if (askedAt - rows.readFrom() > KEYS_REFRESH_MS) await rows.refresh();
    // A reading that was under way may have missed a key that was made meanwhile.
    if (rows.find(hash) === undefined && rows.readFrom() < askedAt) await readAfter(askedAt, hash);
    const row = rows.find(hash);
    const failure = rows.failure();
    // Nobody was there to say that the key is wrong.
    if (row === undefined && failure !== undefined) throw failure;
    return row;
  };

  const onEveryShard = async (text: string, values: unknown[]): Promise<void> => {
    await Promise.all(
      options.writers.map((pool, shard) =>
        pool.query(text, values).catch(async (error: unknown) => {
          throw await toWriteError(error, `shard ${shard}`, pool);
        }),
      ),
    );
  };

  return {
    check: async (authorization, scope) => {
      if (authorization === undefined)
        throw new OperatorError("API_KEY_MISSING", "the request has no Authorization header");
      const raw = BEARER.exec(authorization)?.[1];
      const row = raw !== undefined && RAW_KEY.test(raw) ? await find(raw) : undefined;
      if (row === undefined || row.revoked)
        throw new OperatorError("API_KEY_INVALID", "the API key is not known or revoked");
      if (!row.scopes.includes(scope)) {
        throw new OperatorError("SCOPE_MISSING", `the API key has no scope "${scope}"`, { details: { scope } });
      }
      return row;
    },
    create: async ({ name, scopes }, maker) => {
      const lacking = scopes.find((scope) => !maker.scopes.includes(scope));
      if (lacking !== undefined) {
        const detail = `the API key has no scope "${lacking}", so it cannot give it to another key`;
        throw new OperatorError("SCOPE_MISSING", detail, { details: { scope: lacking } });
      }
      const raw = `sxk_${randomBytes(32).toString("base64url")}`;
      const row: KeyRow = {
        hash: sha256(raw),
        id: randomUUID(),
        name,
        scopes: [...new Set(scopes)],
        createdAtMicros: clock.now() * 1000,
        revoked: false,
      };
      // When a shard fails here the key is on some of them and nobody knows it: harmless.
      await onEveryShard(
        "INSERT INTO ledger.api_key (hash, id, name, scopes, created_at) VALUES ($1, $2, $3, $4, to_timestamp($5))",
        [row.hash, row.id, name, row.scopes, row.createdAtMicros / 1e6],
      );
      await rows.refresh();
      return { ...row, raw };
    },
    list: async () => {
      await rows.refresh();
      return rows.all().sort((a, b) => a.createdAtMicros - b.createdAtMicros || (a.id < b.id ? -1 : 1));
    },
    revoke: async (id) => {
      await rows.refresh();
      // The administrator's key has another id on each shard, but one hash.
      const row = rows.all().find((candidate) => candidate.id === id);
      if (row === undefined) return false;
      await onEveryShard(
        "INSERT INTO ledger.api_key_revocation (hash, revoked_at) VALUES ($1, now()) ON CONFLICT (hash) DO NOTHING",
        [row.hash],
      );
      await rows.refresh();
      return true;
    },
  };
}

/** All SQL of the read path, on one shard, as the reader role. Reads see committed rows only. */
import type { Client, Pool } from "pg";
import { OperatorError } from "../../lib/core/errors.ts";
import { BUCKET_COUNT } from "../../lib/core/ring.ts";
import type { ShardMap } from "../../lib/core/shard-map.ts";
import { toPostgresError } from "../../lib/node/postgres.ts";
import { rfc3339 } from "./answers.ts";
import type { ShardWatch } from "./shard-watch.ts";

export interface AccountView {
  readonly id: string;
  readonly asset: string;
  readonly floor: number;
  readonly placementKey: string;
  readonly openedAtMicros: number;
}

export interface BalanceView {
  readonly asset: string;
  readonly floor: number;
  readonly posted: number;
  readonly version: number;
  readonly lastPosition: number;
  /** Position of the shard that the balance is as of. */
  readonly position: number;
}

export interface EventView {
  readonly position: number;
  readonly id: string;
  readonly debitAccount: string;
  readonly creditAccount: string;
  readonly amount: number;
  readonly debitBalance: number;
  readonly creditBalance: number;
  readonly recordedAtMicros: number;
  readonly effectiveAtMicros: number;
  /** Id of the key that sent it; null where that was not recorded. */
  readonly apiKey: string | null;
  /** JSON text. */
  readonly metadata: string | null;
}

export interface HeadView {
  readonly position: number;
  readonly block: number;
  readonly accounts: number;
  readonly epoch: number;
  readonly hash: string;
  readonly recordedAtMicros: number;
}

/** A moment of the past; without one, now. */
export type AsOf = { readonly position: number } | { readonly atMicros: number } | undefined;

/** Where an id was found on the shard of its own bucket. */
export interface FoundId {
  readonly extId: string;
  /** The placement key when the account lives where that leads; `undefined` when it lives here. */
  readonly pointer: string | undefined;
}

export interface KeyRow {
  readonly hash: Buffer;
  readonly id: string;
  readonly name: string;
  readonly scopes: readonly string[];
  readonly createdAtMicros: number;
  readonly revoked: boolean;
  /** The first time that a shard says; `undefined` for a key that is valid. */
  readonly revokedAtMicros?: number | undefined;
}

/** Reads of one shard. Every method @throws OperatorError SHARD_UNAVAILABLE, at once while the shard says nothing */
export interface LedgerReads {
  account(extId: string): Promise<AccountView | undefined>;
  /** @throws OperatorError POSITION_NOT_FOUND beyond the head */
  balance(extId: string, asOf: AsOf): Promise<BalanceView | undefined>;
  /** Fewer than `limit` where they are large. @throws OperatorError POSITION_NOT_FOUND when `after` is beyond the head */
  events(after: number, limit: number): Promise<EventView[]>;
  head(): Promise<HeadView>;
  locate(extIds: readonly string[]): Promise<FoundId[]>;
  apiKeys(): Promise<KeyRow[]>;
  shardMap(): Promise<ShardMap>;
}

const AT = "'epoch'::timestamptz + $2::bigint * interval '1 microsecond'";
const MICROS = (column: string): string => `(extract(epoch FROM ${column}) * 1000000)::bigint`;
/** Of an event's metadata, which is up to 40 KiB; everything else in an event is short. */
const BYTES = "coalesce(octet_length(metadata::text), 0)";
/** A page ends with the event that reaches it: a thousand of the largest would be 43 MB in memory, several times. */
const PAGE_BYTES = 4 * 1024 * 1024;

export interface ReadsOptions {
  readonly pool: Pool;
  readonly shard: number;
  readonly watch: Pick<ShardWatch, "read">;
  /** Called before each query, for metrics. */
  readonly onQuery: () => void;
}

export function createReads({ pool, shard, watch, onQuery }: ReadsOptions): LedgerReads {
  const query = async <Row extends object>(name: string, text: string, values: unknown[] = []): Promise<Row[]> => {
    onQuery();
    try {
      return (await watch.read(() => pool.query<Row & Record<string, unknown>>({ name, text, values }))).rows;
    } catch (error) {
      throw toPostgresError(error, `shard ${shard}`);
    }
  };

  return {
    account: async (extId) => {
      const rows = await query<AccountView>(
        "account",
        `SELECT ext_id AS id, asset, floor, placement_key AS "placementKey", ${MICROS("opened_at")} AS "openedAtMicros"
           FROM ledger.account WHERE ext_id = $1`,
        [extId],
      );
      return rows[0];
    },
    balance: (extId, asOf) => readBalance(query, shard, { extId, asOf }),
    events: async (after, limit) => {
      const events = await query<EventView>(
        "events",
        `SELECT e.position, e.id, d.ext_id AS "debitAccount", c.ext_id AS "creditAccount", e.amount,
                e.debit_balance AS "debitBalance", e.credit_balance AS "creditBalance",
                ${MICROS("e.recorded_at")} AS "recordedAtMicros", ${MICROS("e.effective_at")} AS "effectiveAtMicros",
                CASE WHEN k.last_position >= e.position THEN k.api_key END AS "apiKey", e.metadata::text AS metadata
           FROM (SELECT *, sum(${BYTES}) OVER (ORDER BY position) - ${BYTES} AS before
                   FROM (SELECT * FROM ledger.event WHERE position > $1 ORDER BY position LIMIT $2) page) e
           JOIN ledger.account d ON d.id = e.debit_account JOIN ledger.account c ON c.id = e.credit_account
           LEFT JOIN LATERAL (SELECT last_position, api_key FROM ledger.acting_key WHERE first_position <= e.position
                               ORDER BY first_position DESC LIMIT 1) k ON true
          WHERE e.before < $3
          ORDER BY e.position`,
        [after, limit, PAGE_BYTES],
      );
      // An empty page says that nothing is there yet; beyond the head that would be said of what may never be there.
      if (events.length === 0) await refuseBeyondHead(query, shard, after);
      return events;
    },
    head: async () => {
      const rows = await query<HeadView>(
        "head",
        `SELECT position, block, accounts, epoch, encode(hash, 'hex') AS hash, ${MICROS("recorded_at")} AS "recordedAtMicros"
           FROM ledger.head`,
      );
      if (rows[0] === undefined) throw new OperatorError("SHARD_UNAVAILABLE", `shard ${shard} has no head yet`);
      return rows[0];
    },
    locate: async (extIds) => {
      const rows = await query<{ ext_id: string; pointer: string | null }>(
        "locate",
        `SELECT ext_id, placement_key AS pointer FROM ledger.account_directory WHERE ext_id = ANY ($1)
         UNION ALL
         SELECT ext_id, NULL FROM ledger.account WHERE ext_id = ANY ($1) AND placement_key = ext_id`,
        [extIds],
      );
      return rows.map((row) => ({ extId: row.ext_id, pointer: row.pointer ?? undefined }));
    },
    apiKeys: () =>
      query<KeyRow>(
        "api_keys",
        `SELECT k.hash, k.id, k.name, k.scopes, ${MICROS("k.created_at")} AS "createdAtMicros", r.hash IS NOT NULL AS revoked,
                ${MICROS("r.revoked_at")} AS "revokedAtMicros"
           FROM ledger.api_key k LEFT JOIN ledger.api_key_revocation r USING (hash) ORDER BY k.created_at, k.id`,
      ),
    shardMap: () => readShardMap(query, shard),
  };
}

type Query = <Row extends object>(name: string, text: string, values?: unknown[]) => Promise<Row[]>;

async function refuseBeyondHead(query: Query, shard: number, after: number): Promise<void> {
  const rows = await query<{ position: number }>("head_position", "SELECT position FROM ledger.head");
  const head = rows[0]?.position ?? 0;
  if (after <= head) return;
  throw new OperatorError("POSITION_NOT_FOUND", `after=${after}: shard ${shard} ends at position ${head}`, {
    details: { head },
  });
}

/** One statement, so one snapshot: the position and the balance belong together. */
async function readBalance(
  query: Query,
  shard: number,
  given: { extId: string; asOf: AsOf },
): Promise<BalanceView | undefined> {
  const { extId, asOf } = given;
  if (asOf === undefined) {
    const rows = await query<BalanceView>(
      "balance_now",
      `SELECT a.asset, a.floor, b.posted, b.version, b.last_position AS "lastPosition", h.position
         FROM ledger.account a JOIN ledger.balance b ON b.account = a.id CROSS JOIN ledger.head h WHERE a.ext_id = $1`,
      [extId],
    );
    return rows[0];
  }
  const past = "position" in asOf ? "$2::bigint" : `ledger.position_at(${AT})`;
  // Recorded times may be ahead of the clock by a microsecond for each event of a batch.
  const isFuture = "position" in asOf ? "false" : `${AT} > greatest(clock_timestamp(), h.recorded_at)`;
  const rows = await query<BalanceView & { head: number; future: boolean; nowMicros: number }>(
    "position" in asOf ? "balance_at_position" : "balance_at_time",
    `SELECT a.asset, a.floor, coalesce(s.posted, 0) AS posted, coalesce(s.version, 0) AS version,
            coalesce(s.last_position, 0) AS "lastPosition", p.position, h.position AS head,
            ${isFuture} AS future, ${MICROS("clock_timestamp()")} AS "nowMicros"
       FROM ledger.head h CROSS JOIN (SELECT ${past} AS position) p
       JOIN ledger.account a ON a.ext_id = $1
       LEFT JOIN LATERAL ledger.state_at(a.id, p.position) s ON true`,
    [extId, "position" in asOf ? asOf.position : asOf.atMicros],
  );
  const row = rows[0];
  if (row === undefined) return undefined;
  const { head, future, nowMicros, ...view } = row;
  if (future && "atMicros" in asOf) {
    throw new OperatorError(
      "REQUEST_INVALID",
      `at ${rfc3339(asOf.atMicros)} lies in the future, it is ${rfc3339(nowMicros)} now; leave it out for the present balance`,
    );
  }
  if (view.position > head) {
    throw new OperatorError("POSITION_NOT_FOUND", `shard ${shard} ends at position ${head}`, { details: { head } });
  }
  return view;
}

/** The map on a shard, by a connection of one's own. @throws OperatorError SHARD_UNAVAILABLE while the shard has none */
export function shardMapOf(client: Client, shard: number): Promise<ShardMap> {
  const query: Query = async <Row extends object>(_name: string, text: string) => (await client.query<Row>(text)).rows;
  return readShardMap(query, shard);
}

async function readShardMap(query: Query, shard: number): Promise<ShardMap> {
  const rows = await query<{ version: number; epoch: number; owners: number[] }>(
    "shard_map",
    `SELECT m.version, m.epoch, (SELECT array_agg(o.shard ORDER BY o.bucket) FROM shard_meta.owner o) AS owners
       FROM shard_meta.map m`,
  );
  const map = rows[0];
  if (map === undefined || map.owners?.length !== BUCKET_COUNT) {
    throw new OperatorError("SHARD_UNAVAILABLE", `shard ${shard} has no shard map yet`);
  }
  return map;
}

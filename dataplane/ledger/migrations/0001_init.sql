-- The ledger of one shard. `shieldx ledger migrate` runs this once, as the owner role, in one transaction.
-- Amounts and balances are whole minor units within +-(2^53 - 1): JSON, JavaScript and bigint keep them all exactly.
-- There are no foreign keys on the write path: the single writer resolves accounts in memory, and `verify` proves it.

CREATE TABLE ledger.asset (
  code text PRIMARY KEY CHECK (code ~ '^[A-Z][A-Z0-9_]{1,15}$'),
  scale smallint NOT NULL CHECK (scale BETWEEN 0 AND 18)
);

-- One row: where the log of this shard ends, and the epoch of the only writer that may extend it.
CREATE TABLE ledger.head (
  shard integer PRIMARY KEY CHECK (shard >= 0),
  epoch bigint NOT NULL CHECK (epoch >= 0),
  position bigint NOT NULL CHECK (position >= 0),
  block bigint NOT NULL CHECK (block >= 0),
  accounts bigint NOT NULL CHECK (accounts >= 0),
  hash bytea NOT NULL CHECK (octet_length(hash) = 32),
  recorded_at timestamptz NOT NULL
);

-- The source of truth: one row a batch, chained by SHA-256 over (previous hash, header, body). See journal-codec.ts.
CREATE TABLE ledger.journal (
  block bigint PRIMARY KEY CHECK (block > 0),
  shard integer NOT NULL,
  epoch bigint NOT NULL,
  format smallint NOT NULL,
  first_position bigint NOT NULL,
  events integer NOT NULL CHECK (events >= 0),
  accounts integer NOT NULL CHECK (accounts >= 0),
  recorded_at timestamptz NOT NULL,
  previous_hash bytea NOT NULL CHECK (octet_length(previous_hash) = 32),
  hash bytea NOT NULL CHECK (octet_length(hash) = 32),
  body bytea NOT NULL,
  CHECK (events + accounts > 0)
);
ALTER TABLE ledger.journal ALTER COLUMN body SET STORAGE EXTERNAL;

-- The same events as rows, for reads. Column order is the order of the binary COPY in copy-codec.ts.
-- *_previous is the position of the account's event before this one (0 = none): an account's history is a linked
-- list over the primary key, so no (account, position) index has to be written.
CREATE TABLE ledger.event (
  position bigint PRIMARY KEY CHECK (position > 0),
  key uuid NOT NULL,
  fingerprint bigint NOT NULL,
  debit_account bigint NOT NULL,
  credit_account bigint NOT NULL,
  amount bigint NOT NULL CHECK (amount BETWEEN 1 AND 9007199254740991),
  debit_balance bigint NOT NULL CHECK (debit_balance BETWEEN -9007199254740991 AND 9007199254740991),
  credit_balance bigint NOT NULL CHECK (credit_balance BETWEEN -9007199254740991 AND 9007199254740991),
  debit_version bigint NOT NULL CHECK (debit_version > 0),
  credit_version bigint NOT NULL CHECK (credit_version > 0),
  debit_previous bigint NOT NULL,
  credit_previous bigint NOT NULL,
  recorded_at timestamptz NOT NULL,
  effective_at timestamptz NOT NULL,
  kind smallint NOT NULL,
  id text NOT NULL,
  metadata json,
  CONSTRAINT event_key UNIQUE (key),
  CHECK (debit_account <> credit_account)
);

-- id is dense (1, 2, 3, ...) within the shard. floor = -creditLimit.
CREATE TABLE ledger.account (
  id bigint PRIMARY KEY CHECK (id > 0),
  ext_id text NOT NULL UNIQUE,
  placement_key text NOT NULL,
  asset text NOT NULL REFERENCES ledger.asset (code),
  floor bigint NOT NULL CHECK (floor BETWEEN -9007199254740991 AND 0),
  opened_at timestamptz NOT NULL,
  opened_block bigint NOT NULL
);

-- On the home shard of an id whose account was opened under another placement key: where to look for it.
CREATE TABLE ledger.account_directory (
  ext_id text PRIMARY KEY,
  placement_key text NOT NULL,
  opened_block bigint NOT NULL
);

-- The only table besides head whose rows change; fillfactor leaves room for heap-only updates.
CREATE TABLE ledger.balance (
  account bigint PRIMARY KEY,
  floor bigint NOT NULL,
  posted bigint NOT NULL CHECK (posted BETWEEN -9007199254740991 AND 9007199254740991),
  version bigint NOT NULL CHECK (version >= 0),
  last_position bigint NOT NULL CHECK (last_position >= 0),
  CONSTRAINT balance_never_below_floor CHECK (posted >= floor)
) WITH (fillfactor = 60);

-- Refused commands, so that a retry gets the same refusal for ever.
CREATE TABLE ledger.rejection (
  key uuid PRIMARY KEY,
  fingerprint bigint NOT NULL,
  id text NOT NULL,
  code text NOT NULL,
  detail text NOT NULL,
  recorded_at timestamptz NOT NULL
);

-- State of an account after each n-th of its events: a read as of any position walks back at most n events.
CREATE TABLE ledger.snapshot (
  account bigint NOT NULL,
  version bigint NOT NULL,
  position bigint NOT NULL,
  posted bigint NOT NULL,
  state_hash bytea NOT NULL,
  PRIMARY KEY (account, position)
);

-- Keys of the API; the raw key is shown once and kept nowhere. Every shard has the same rows.
CREATE TABLE ledger.api_key (
  hash bytea PRIMARY KEY CHECK (octet_length(hash) = 32),
  id uuid NOT NULL UNIQUE,
  name text NOT NULL,
  scopes text[] NOT NULL CHECK (scopes <@ ARRAY['read', 'write'] AND cardinality(scopes) > 0),
  created_at timestamptz NOT NULL
);
-- A revocation is a row of its own: nothing is ever updated.
CREATE TABLE ledger.api_key_revocation (
  hash bytea PRIMARY KEY,
  revoked_at timestamptz NOT NULL
);

-- ---------------------------------------------------------------------------------------------------------------
-- Immutability, second layer (the first is that no role but the owner may change rows; the third is the hash chain).
-- Statement triggers also fire for MERGE and for statements that match no row; ALWAYS also under
-- session_replication_role = replica.

CREATE FUNCTION ledger.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% on %.% is refused: the ledger only grows', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
    USING ERRCODE = 'SX001';
END $$;

DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['asset', 'journal', 'event', 'account', 'account_directory', 'rejection', 'snapshot',
                              'api_key', 'api_key_revocation'] LOOP
    EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.%I '
                   'FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change()', name);
    EXECUTE format('ALTER TABLE ledger.%I ENABLE ALWAYS TRIGGER append_only', name);
  END LOOP;
  FOREACH name IN ARRAY ARRAY['head', 'balance'] LOOP
    EXECUTE format('CREATE TRIGGER never_removed BEFORE DELETE OR TRUNCATE ON ledger.%I '
                   'FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change()', name);
    EXECUTE format('ALTER TABLE ledger.%I ENABLE ALWAYS TRIGGER never_removed', name);
  END LOOP;
END $$;

-- ---------------------------------------------------------------------------------------------------------------
-- Takeover. Ends every other writer session of this shard (a stopped process may keep the head row locked in an open
-- transaction), then locks the head and raises the epoch. Returns the former epoch; equal or higher than ours means
-- refused (nothing changed): the Lease must raise its epoch first.
CREATE FUNCTION ledger.claim(p_shard integer, p_epoch bigint, p_application text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  former bigint;
BEGIN
  PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
   WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()
     AND starts_with(application_name, p_application)
     AND application_name <> current_setting('application_name');
  SELECT h.epoch INTO former FROM ledger.head h WHERE h.shard = p_shard FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the database is not the one of shard %', p_shard USING ERRCODE = 'SX002';
  END IF;
  IF former < p_epoch THEN
    UPDATE ledger.head SET epoch = p_epoch WHERE shard = p_shard;
  END IF;
  RETURN former;
END $$;

-- The end of one batch, after its events were copied in: journal row, fence, shard map guard, and all other rows.
-- The head row is locked first and compared after: an UPDATE ... WHERE position = expected would see the version
-- before a concurrent commit and report a fence where there is none (READ COMMITTED filters before it waits).
-- SQLSTATE SX003 = fenced; SH001 (from guard) = the shard map changed.
CREATE FUNCTION ledger.commit_block(
  p_shard integer, p_epoch bigint, p_map_version bigint,
  p_position bigint, p_block bigint, p_accounts bigint, p_hash bytea,
  p_format smallint, p_events integer, p_openings integer, p_recorded_at timestamptz, p_new_hash bytea, p_body bytea,
  p_open_id bigint[], p_open_ext text[], p_open_placement text[], p_open_asset text[], p_open_floor bigint[],
  p_open_at timestamptz[],
  p_pointer_ext text[], p_pointer_placement text[],
  p_balance_account bigint[], p_balance_posted bigint[], p_balance_version bigint[], p_balance_expected bigint[],
  p_balance_position bigint[],
  p_snapshot_account bigint[], p_snapshot_version bigint[], p_snapshot_position bigint[], p_snapshot_posted bigint[],
  p_snapshot_hash bytea[],
  p_rejection_key uuid[], p_rejection_fingerprint bigint[], p_rejection_id text[], p_rejection_code text[],
  p_rejection_detail text[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  found_head record;
  changed bigint;
  opened integer := cardinality(p_open_id);
BEGIN
  IF p_body IS NOT NULL THEN
    INSERT INTO ledger.journal (block, shard, epoch, format, first_position, events, accounts, recorded_at,
                                previous_hash, hash, body)
    VALUES (p_block + 1, p_shard, p_epoch, p_format, p_position + 1, p_events, p_openings, p_recorded_at,
            p_hash, p_new_hash, p_body);
  END IF;

  SELECT h.epoch, h.position, h.block, h.accounts, h.hash INTO found_head
    FROM ledger.head h WHERE h.shard = p_shard FOR NO KEY UPDATE;
  IF NOT FOUND OR found_head.epoch <> p_epoch OR found_head.position <> p_position OR found_head.block <> p_block
     OR found_head.accounts <> p_accounts OR found_head.hash <> p_hash THEN
    RAISE EXCEPTION 'fenced: head is at epoch %, position %, block %; the writer expected epoch %, position %, block %',
      found_head.epoch, found_head.position, found_head.block, p_epoch, p_position, p_block USING ERRCODE = 'SX003';
  END IF;
  PERFORM shard_meta.guard(p_map_version);

  IF p_body IS NOT NULL THEN
    UPDATE ledger.head SET position = p_position + p_events, block = p_block + 1, accounts = p_accounts + opened,
                           hash = p_new_hash, recorded_at = p_recorded_at
     WHERE shard = p_shard;
  END IF;

  IF opened > 0 THEN
    INSERT INTO ledger.account (id, ext_id, placement_key, asset, floor, opened_at, opened_block)
    SELECT u.id, u.ext, u.placement, u.asset, u.floor, u.opened_at, p_block + 1
      FROM unnest(p_open_id, p_open_ext, p_open_placement, p_open_asset, p_open_floor, p_open_at)
           AS u(id, ext, placement, asset, floor, opened_at);
    INSERT INTO ledger.balance (account, floor, posted, version, last_position)
    SELECT u.id, u.floor, 0, 0, 0 FROM unnest(p_open_id, p_open_floor) AS u(id, floor);
  END IF;
  IF cardinality(p_pointer_ext) > 0 THEN
    INSERT INTO ledger.account_directory (ext_id, placement_key, opened_block)
    SELECT u.ext, u.placement, p_block + 1 FROM unnest(p_pointer_ext, p_pointer_placement) AS u(ext, placement);
  END IF;

  IF cardinality(p_balance_account) > 0 THEN
    UPDATE ledger.balance b SET posted = u.posted, version = u.version, last_position = u.position
      FROM unnest(p_balance_account, p_balance_posted, p_balance_version, p_balance_expected, p_balance_position)
           AS u(account, posted, version, expected, position)
     WHERE b.account = u.account AND b.version = u.expected;
    GET DIAGNOSTICS changed = ROW_COUNT;
    IF changed <> cardinality(p_balance_account) THEN
      RAISE EXCEPTION 'fenced: % of % balances have another version', cardinality(p_balance_account) - changed,
        cardinality(p_balance_account) USING ERRCODE = 'SX003';
    END IF;
  END IF;
  IF cardinality(p_snapshot_account) > 0 THEN
    INSERT INTO ledger.snapshot (account, version, position, posted, state_hash)
    SELECT * FROM unnest(p_snapshot_account, p_snapshot_version, p_snapshot_position, p_snapshot_posted, p_snapshot_hash);
  END IF;
  IF cardinality(p_rejection_key) > 0 THEN
    INSERT INTO ledger.rejection (key, fingerprint, id, code, detail, recorded_at)
    SELECT u.key, u.fingerprint, u.id, u.code, u.detail, p_recorded_at
      FROM unnest(p_rejection_key, p_rejection_fingerprint, p_rejection_id, p_rejection_code, p_rejection_detail)
           AS u(key, fingerprint, id, code, detail);
  END IF;
END $$;

-- Last position recorded at or before a time (0 = none). recorded_at rises strictly with the position, so a binary
-- search over the primary key needs no index on time.
CREATE FUNCTION ledger.position_at(p_time timestamptz) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
  low bigint := 0;
  high bigint;
  middle bigint;
  middle_at timestamptz;
BEGIN
  SELECT h.position INTO high FROM ledger.head h;
  WHILE low < high LOOP
    middle := low + (high - low + 1) / 2;
    SELECT e.recorded_at INTO middle_at FROM ledger.event e WHERE e.position = middle;
    IF middle_at <= p_time THEN low := middle; ELSE high := middle - 1; END IF;
  END LOOP;
  RETURN low;
END $$;

-- State of an account as of a position: from its first snapshot after the position, or from its balance, back along
-- the linked list until the position is reached. No row = the account had no event yet.
CREATE FUNCTION ledger.state_at(p_account bigint, p_position bigint)
RETURNS TABLE (posted bigint, version bigint, last_position bigint) LANGUAGE sql STABLE AS $$
  WITH RECURSIVE start AS (
    SELECT coalesce(
      (SELECT s.position FROM ledger.snapshot s WHERE s.account = p_account AND s.position > p_position
        ORDER BY s.position LIMIT 1),
      (SELECT b.last_position FROM ledger.balance b WHERE b.account = p_account)) AS position
  ), walk AS (
    SELECT e.* FROM start JOIN ledger.event e ON e.position = start.position
    UNION ALL
    SELECT e.* FROM walk JOIN ledger.event e
      ON e.position = CASE WHEN walk.debit_account = p_account THEN walk.debit_previous ELSE walk.credit_previous END
     WHERE walk.position > p_position
  )
  SELECT CASE WHEN w.debit_account = p_account THEN w.debit_balance ELSE w.credit_balance END,
         CASE WHEN w.debit_account = p_account THEN w.debit_version ELSE w.credit_version END,
         w.position
    FROM walk w WHERE w.position <= p_position ORDER BY w.position DESC LIMIT 1
$$;

-- Readiness: proves that PL/pgSQL loads and the schema is there (a plain SELECT 1 proves neither).
CREATE FUNCTION ledger.ready() RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN EXISTS (SELECT 1 FROM ledger.head);
END $$;

-- ---------------------------------------------------------------------------------------------------------------
-- Grants. The migration runs with shieldx.writer_role and shieldx.reader_role set for its transaction.
DO $$
DECLARE
  writer text := current_setting('shieldx.writer_role');
  reader text := current_setting('shieldx.reader_role');
BEGIN
  REVOKE ALL ON ALL FUNCTIONS IN SCHEMA ledger FROM PUBLIC;
  EXECUTE format('GRANT USAGE ON SCHEMA ledger TO %I, %I', writer, reader);
  EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA ledger TO %I, %I', writer, reader);
  EXECUTE format('GRANT INSERT ON ledger.journal, ledger.event, ledger.account, ledger.account_directory, '
                 'ledger.balance, ledger.rejection, ledger.snapshot, ledger.api_key, ledger.api_key_revocation TO %I', writer);
  EXECUTE format('GRANT UPDATE ON ledger.head, ledger.balance TO %I', writer);
  EXECUTE format('GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA ledger TO %I', writer);
  EXECUTE format('GRANT EXECUTE ON FUNCTION ledger.position_at(timestamptz), ledger.state_at(bigint, bigint), ledger.ready() TO %I', reader);
END $$;

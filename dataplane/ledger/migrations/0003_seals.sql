-- Rows that the journal does not hold, and that decide answers all the same (refusals, assets, API keys, epochs), get a
-- chain of their own: one seal a row, in the order of their coming. `verify` follows it as it follows the journal.
--
--   hash = SHA-256(hash of the seal before, then record_send(ROW(relation, format, columns of the row ...)))
--
-- record_send is PostgreSQL's own binary form of a row, so nobody has two encoders to keep equal. Which columns a format
-- has is said below and in verify-seals.ts. A new column: a migration that replaces the table's function by one of the next
-- format; seals of the formats before stay as they are.
--
-- What writers call stays: processes of the version before go on writing while this is applied and after it.

-- Whoever commits a block takes these two first and in this order, whoever claims an epoch the head: from here on they wait,
-- and hold no table that is locked below.
LOCK TABLE ledger.acting_key IN SHARE ROW EXCLUSIVE MODE;
LOCK TABLE ledger.head IN EXCLUSIVE MODE;

CREATE TABLE ledger.seal (
  number bigint PRIMARY KEY CHECK (number > 0),
  relation text NOT NULL,
  format smallint NOT NULL,
  -- The row's primary key as text.
  key text NOT NULL,
  hash bytea NOT NULL CHECK (octet_length(hash) = 32)
);

-- One row: where the chain of seals ends, and how many snapshots were written. Without it the last rows could go unseen.
CREATE TABLE ledger.seal_end (
  is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
  seals bigint NOT NULL CHECK (seals >= 0),
  hash bytea NOT NULL CHECK (octet_length(hash) = 32),
  snapshots bigint NOT NULL CHECK (snapshots >= 0)
);

-- One row a takeover: the highest one is what the head's epoch must be.
CREATE TABLE ledger.term (
  epoch bigint PRIMARY KEY CHECK (epoch > 0),
  claimed_at timestamptz NOT NULL
);
INSERT INTO ledger.term (epoch, claimed_at) SELECT epoch, now() FROM ledger.head WHERE epoch > 0;

-- Snapshots are proved by the replay, each one; that none is missing is told by their number.
CREATE FUNCTION ledger.count_snapshots() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE ledger.seal_end e SET snapshots = e.snapshots + (SELECT count(*) FROM inserted);
  RETURN NULL;
END $$;

CREATE TRIGGER count_snapshots AFTER INSERT ON ledger.snapshot REFERENCING NEW TABLE AS inserted
  FOR EACH STATEMENT EXECUTE FUNCTION ledger.count_snapshots();
ALTER TABLE ledger.snapshot ENABLE ALWAYS TRIGGER count_snapshots;

INSERT INTO ledger.seal_end (seals, hash, snapshots)
SELECT 0, decode(repeat('00', 32), 'hex'), count(*) FROM ledger.snapshot;

-- For each table its function and trigger, and the seals of the rows that are there already. A function seals the rows of
-- one statement, with the owner's rights, since nobody else may seal. The encoding is fixed because record_send follows that
-- of the session. A function a table: plans are kept, where one function for all would plan anew for each block.
DO $$
DECLARE
  of_table record;
  sealed record;
  number bigint := 0;
  link bytea := decode(repeat('00', 32), 'hex');
BEGIN
  SET LOCAL client_encoding = 'UTF8';
  FOR of_table IN
    SELECT * FROM (VALUES
      ('schema_version', 'version::text', 'version, name, checksum, applied_at'),
      ('asset', 'code', 'code, scale'),
      ('term', 'epoch::text', 'epoch, claimed_at'),
      ('api_key', 'encode(hash, ''hex'')', 'hash, id, name, scopes, created_at'),
      ('api_key_revocation', 'encode(hash, ''hex'')', 'hash, revoked_at'),
      ('acting_key', 'first_position::text', 'first_position, last_position, api_key'),
      ('rejection', 'key::text', 'key, fingerprint, id, code, detail, recorded_at')
    ) AS t (name, key, columns)
  LOOP
    EXECUTE format($f$
      CREATE FUNCTION ledger.seal_%1$s() RETURNS trigger
      LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET client_encoding = 'UTF8' AS $body$
      DECLARE
        sealed record;
        number bigint;
        link bytea;
      BEGIN
        -- Also fired by statements that inserted nothing (ON CONFLICT DO NOTHING): they wait for nobody.
        IF NOT EXISTS (SELECT FROM inserted) THEN
          RETURN NULL;
        END IF;
        SELECT e.seals, e.hash INTO STRICT number, link FROM ledger.seal_end e FOR NO KEY UPDATE;
        FOR sealed IN SELECT %2$s AS key, record_send(ROW(%1$L::text, 1::smallint, %3$s)) AS bytes FROM inserted ORDER BY 1 LOOP
          number := number + 1;
          link := sha256(link || sealed.bytes);
          INSERT INTO ledger.seal (number, relation, format, key, hash) VALUES (number, %1$L, 1, sealed.key, link);
        END LOOP;
        UPDATE ledger.seal_end e SET seals = number, hash = link;
        RETURN NULL;
      END $body$
      $f$, of_table.name, of_table.key, of_table.columns);
    EXECUTE format('REVOKE ALL ON FUNCTION ledger.seal_%s() FROM PUBLIC', of_table.name);
    EXECUTE format('CREATE TRIGGER seal AFTER INSERT ON ledger.%I REFERENCING NEW TABLE AS inserted '
                   'FOR EACH STATEMENT EXECUTE FUNCTION ledger.seal_%s()', of_table.name, of_table.name);
    EXECUTE format('ALTER TABLE ledger.%I ENABLE ALWAYS TRIGGER seal', of_table.name);
    FOR sealed IN EXECUTE format('SELECT %s AS key, record_send(ROW(%L::text, 1::smallint, %s)) AS bytes FROM ledger.%I ORDER BY 1',
                                 of_table.key, of_table.name, of_table.columns, of_table.name) LOOP
      number := number + 1;
      link := sha256(link || sealed.bytes);
      INSERT INTO ledger.seal (number, relation, format, key, hash) VALUES (number, of_table.name, 1, sealed.key, link);
    END LOOP;
  END LOOP;
  UPDATE ledger.seal_end SET seals = number, hash = link;

  FOR of_table IN SELECT * FROM (VALUES ('seal'), ('term')) AS t (name) LOOP
    EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.%I '
                   'FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change()', of_table.name);
    EXECUTE format('ALTER TABLE ledger.%I ENABLE ALWAYS TRIGGER append_only', of_table.name);
  END LOOP;
  CREATE TRIGGER never_removed BEFORE DELETE OR TRUNCATE ON ledger.seal_end
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
  ALTER TABLE ledger.seal_end ENABLE ALWAYS TRIGGER never_removed;
END $$;

-- As in 0001, and notes the epoch.
CREATE OR REPLACE FUNCTION ledger.claim(p_shard integer, p_epoch bigint, p_application text) RETURNS bigint LANGUAGE plpgsql AS $$
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
    INSERT INTO ledger.term (epoch, claimed_at) VALUES (p_epoch, now());
  END IF;
  RETURN former;
END $$;

DO $$
DECLARE
  writer text := current_setting('shieldx.writer_role');
  reader text := current_setting('shieldx.reader_role');
BEGIN
  REVOKE ALL ON FUNCTION ledger.count_snapshots() FROM PUBLIC;
  EXECUTE format('GRANT SELECT ON ledger.seal, ledger.seal_end, ledger.term TO %I, %I', writer, reader);
  EXECUTE format('GRANT INSERT ON ledger.term TO %I', writer);
END $$;

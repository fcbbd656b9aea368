-- Keys that this shard owns and that a payload is bound to without an outcome here: lent to the shard where the accounts of
-- the transfer are, or refused here in a way that is decided anew each time (docs/adr/0024-keys-of-the-ledger.md).
--
-- What writers call stays: a writer of the version before goes on, and claims nothing.

CREATE TABLE ledger.key_claim (
  key uuid PRIMARY KEY,
  fingerprint bigint NOT NULL,
  -- The bucket that the key falls into: claims move with it.
  bucket smallint NOT NULL CHECK (bucket BETWEEN 0 AND 4095),
  -- The shard on which the key may be used.
  shard integer NOT NULL CHECK (shard >= 0),
  -- Claims that came together are sealed together: a seal for each would cost more than the claim.
  batch bigint NOT NULL
);
CREATE SEQUENCE ledger.key_claim_batch;

-- As the functions of 0003, but one seal a batch, over its rows in the order of their keys.
CREATE FUNCTION ledger.seal_key_claim() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET client_encoding = 'UTF8' AS $$
DECLARE
  sealed record;
  number bigint;
  link bytea;
BEGIN
  IF NOT EXISTS (SELECT FROM inserted) THEN
    RETURN NULL;
  END IF;
  SELECT e.seals, e.hash INTO STRICT number, link FROM ledger.seal_end e FOR NO KEY UPDATE;
  FOR sealed IN
    SELECT i.batch, record_send(ROW('key_claim'::text, 1::smallint, i.batch))
                    || string_agg(record_send(ROW(i.key, i.fingerprint, i.bucket, i.shard)), ''::bytea ORDER BY i.key) AS bytes
      FROM inserted i GROUP BY i.batch ORDER BY i.batch
  LOOP
    number := number + 1;
    link := sha256(link || sealed.bytes);
    INSERT INTO ledger.seal (number, relation, format, key, hash) VALUES (number, 'key_claim', 1, sealed.batch::text, link);
  END LOOP;
  UPDATE ledger.seal_end e SET seals = number, hash = link;
  RETURN NULL;
END $$;

CREATE TRIGGER seal AFTER INSERT ON ledger.key_claim REFERENCING NEW TABLE AS inserted
  FOR EACH STATEMENT EXECUTE FUNCTION ledger.seal_key_claim();
ALTER TABLE ledger.key_claim ENABLE ALWAYS TRIGGER seal;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.key_claim
  FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
ALTER TABLE ledger.key_claim ENABLE ALWAYS TRIGGER append_only;

DO $$
DECLARE
  writer text := current_setting('shieldx.writer_role');
  reader text := current_setting('shieldx.reader_role');
BEGIN
  REVOKE ALL ON FUNCTION ledger.seal_key_claim() FROM PUBLIC;
  EXECUTE format('GRANT SELECT ON ledger.key_claim TO %I, %I', writer, reader);
  EXECUTE format('GRANT INSERT ON ledger.key_claim TO %I', writer);
  EXECUTE format('GRANT USAGE ON SEQUENCE ledger.key_claim_batch TO %I', writer);
END $$;

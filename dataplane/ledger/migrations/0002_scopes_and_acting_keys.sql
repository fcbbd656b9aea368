-- Scopes that say who may make credits and who may manage keys, and which key sent an event.

-- Keys that could write go on making credits (debits of system accounts), so that an upgrade stops nobody. Managing keys is
-- kept to the keys that the operator made: a key that may only write must not make or revoke others.
ALTER TABLE ledger.api_key DROP CONSTRAINT api_key_scopes_check;
ALTER TABLE ledger.api_key DISABLE TRIGGER append_only;
UPDATE ledger.api_key
   SET scopes = scopes || ARRAY['mint']
                       || CASE WHEN name = 'admin' AND id = encode(substring(hash FROM 1 FOR 16), 'hex')::uuid
                               THEN ARRAY['admin'] ELSE ARRAY[]::text[] END
 WHERE 'write' = ANY (scopes);
ALTER TABLE ledger.api_key ENABLE ALWAYS TRIGGER append_only;
ALTER TABLE ledger.api_key ADD CONSTRAINT api_key_scopes_check
  CHECK (scopes <@ ARRAY['read', 'write', 'mint', 'admin'] AND cardinality(scopes) > 0);

-- Which key sent the events of a run of positions; runs do not overlap. It stands beside the journal, whose format and hash
-- chain know nothing of keys: events from before this step, and those of writers that know no keys, have no row.
CREATE TABLE ledger.acting_key (
  first_position bigint PRIMARY KEY CHECK (first_position > 0),
  last_position bigint NOT NULL,
  api_key uuid NOT NULL,
  CHECK (last_position >= first_position)
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.acting_key
  FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
ALTER TABLE ledger.acting_key ENABLE ALWAYS TRIGGER append_only;

DO $$
DECLARE
  writer text := current_setting('shieldx.writer_role');
  reader text := current_setting('shieldx.reader_role');
BEGIN
  EXECUTE format('GRANT SELECT ON ledger.acting_key TO %I, %I', writer, reader);
  EXECUTE format('GRANT INSERT ON ledger.acting_key TO %I', writer);
END $$;

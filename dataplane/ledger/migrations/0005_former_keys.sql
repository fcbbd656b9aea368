-- The keys that this shard used before there were claims are claimed at their owners: by former-keys.ts, right before this
-- step, once every shard has step 4. The step only says that it is done.
SELECT;

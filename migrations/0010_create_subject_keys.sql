-- Personal data and free text stand in events and inboxes only as ciphertext under a key per person (or per merchant).
-- The log can never forget, so forgetting means erasing the key: `wrapped_key` becomes NULL, the row stays as proof.
-- `key_id` is a blind index: without the master key, which lives outside the database, nobody can tell whose key it is
-- or unwrap it. The row `master-key-check` notices a program that was started with another installation's master key.
-- Written and read by the vault; without it no sealed field opens.
CREATE TABLE subject_keys (
    key_id text PRIMARY KEY,
    wrapped_key bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    erased_at timestamptz,
    CHECK ((wrapped_key IS NULL) = (erased_at IS NOT NULL))
);

-- The version of a row that still held an erased key goes away with the next vacuum: soon, even if little else changes.
ALTER TABLE subject_keys SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1);

-- Nonces of signed requests, so that a captured request cannot be sent again to any node. A logged table, committed
-- synchronously: an unlogged one is empty after a crash of Postgres, and whatever was signed in the five minutes before
-- could be replayed. `digest` is the first 128 bits of SHA-256 over key id and nonce, so that rows stay narrow
-- whatever a caller sends. Rows live for ten minutes and are then dropped by a job.
CREATE TABLE nonces (
    digest uuid PRIMARY KEY,
    used_at timestamptz NOT NULL
);

CREATE INDEX nonces_used_at ON nonces (used_at);

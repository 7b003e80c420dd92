-- Who may call the API. A secret stands here twice, and neither is of use to somebody who steals the database: as its
-- SHA-256, by which a bearer secret is looked up (256 random bits cannot be guessed from it), and sealed under the
-- master key, which lives outside the database, to verify signatures. Rows are never deleted: a revoked key stays known.
-- `command_id` makes creation idempotent. Written by the use cases of keys, read at every request.
CREATE TABLE api_keys (
    key_id text PRIMARY KEY,
    role text NOT NULL CHECK (role IN ('merchant', 'finance', 'auditor', 'operator', 'admin')),
    merchant_id text,
    principal text NOT NULL,
    signed_only boolean NOT NULL,
    secret_sha256 bytea NOT NULL UNIQUE,
    sealed_secret bytea NOT NULL,
    command_id uuid NOT NULL UNIQUE,
    fingerprint bytea,
    created_at timestamptz NOT NULL,
    revoked_at timestamptz,
    CHECK ((role = 'merchant') = (merchant_id IS NOT NULL))
);

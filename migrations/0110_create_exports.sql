-- Files of rows that somebody asked for with `POST /exports`, and what has come of each. They stand in the database, in
-- chunks of about a megabyte, so that every node can make one and every node can hand it out. A node that makes one holds
-- it until `held_until`, which it keeps moving; `attempt` is the fence: each node that takes an export over counts it up,
-- and whatever names an earlier attempt writes nothing. Chunks of earlier attempts, and of files whose term is over, are
-- deleted by the nodes. Nothing else refers to these tables; without them no row would be lost, only files.
CREATE TABLE exports (
    export_id    text COLLATE "C" NOT NULL PRIMARY KEY,
    -- The merchant who asked; none if somebody of the platform did.
    owner        text COLLATE "C",
    requested_by text COLLATE "C" NOT NULL,
    kind         text             NOT NULL,
    format       text             NOT NULL,
    -- Which rows are wanted.
    selection    json             NOT NULL,
    -- The file speaks for this position of the log at least.
    min_position bigint           NOT NULL CHECK (min_position >= 0),
    state        text             NOT NULL CHECK (state IN ('pending', 'running', 'ready', 'failed', 'expired')),
    attempt      integer          NOT NULL DEFAULT 0,
    -- Attempts that came to nothing, the one under way included. Waiting for a read model is none.
    tries        integer          NOT NULL DEFAULT 0,
    -- While pending: not before then. While running: by the node that makes it.
    held_until   timestamptz      NOT NULL,
    -- Of the last attempt that failed; for operators.
    error        text,
    -- The file's stamp: what it speaks for, SHA-256, and its size.
    position     bigint,
    is_complete  boolean,
    digest       text,
    rows         bigint,
    bytes        bigint,
    created_at   timestamptz      NOT NULL DEFAULT clock_timestamp(),
    completed_at timestamptz,
    expires_at   timestamptz,
    CHECK (state <> 'ready' OR num_nonnulls(position, is_complete, digest, rows, bytes, completed_at, expires_at) = 7)
);
CREATE INDEX exports_unfinished ON exports (held_until) WHERE state IN ('pending', 'running');
CREATE INDEX exports_unfinished_of ON exports (requested_by) WHERE state IN ('pending', 'running');
CREATE INDEX exports_by_term ON exports (expires_at) WHERE state = 'ready';

CREATE TABLE export_chunks (
    export_id text COLLATE "C" NOT NULL REFERENCES exports ON DELETE CASCADE,
    attempt   integer          NOT NULL,
    -- Where in the file the first byte stands.
    start     bigint           NOT NULL,
    bytes     bytea            NOT NULL,
    PRIMARY KEY (export_id, attempt, start)
);

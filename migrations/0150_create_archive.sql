-- What stands beside the log and has had its term (calls to channels, runs of jobs, exports, raw webhooks) moves here from
-- the tables that are used every day: deleted there and inserted here by one statement, so that a crash neither loses nor
-- doubles a row. Nothing reads this table but `payledger archive --read`; nothing refers to it, so an operator may copy it
-- away and empty it. `content` holds no personal datum in clear: a webhook's message is sealed under the key of the person
-- whose payment it tells about, so that it goes with that key. Without this table evidence would be deleted at its term.
CREATE TABLE archive (
    archive_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shelf       text COLLATE "C" NOT NULL,
    -- What names it on its shelf.
    name        text COLLATE "C" NOT NULL,
    -- What its term is counted from.
    happened_at timestamptz      NOT NULL,
    archived_at timestamptz      NOT NULL DEFAULT clock_timestamp(),
    content     json             NOT NULL,
    UNIQUE (shelf, name)
);
CREATE INDEX archive_by_time ON archive (shelf, happened_at, archive_id);

-- For moving exports whose files are gone.
CREATE INDEX exports_past_term ON exports ((coalesce(expires_at, held_until))) WHERE state IN ('expired', 'failed');

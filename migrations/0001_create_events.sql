-- The log: every fact about money, in one table, in commit order, for ever. Everything else is derived from it.
--
-- The columns up to metadata are those of postgres-es, so that its own event repository can read our streams; the rest
-- is ours. `position` is 1..N without a gap, handed out by the appender and not by a sequence: a sequence draws numbers
-- at INSERT while rows show at COMMIT, and whoever tails such a table loses events. Its primary key is what makes two
-- appenders safe: of two that try the same position, one gets it. `payload` is json and not jsonb because it keeps the
-- text byte for byte: the hash covers that text. Ids compare as bytes; no locale can reorder or merge them.
CREATE TABLE events (
    aggregate_type text COLLATE "C" NOT NULL,
    aggregate_id   text COLLATE "C" NOT NULL,
    sequence       bigint      NOT NULL CHECK (sequence > 0),
    event_type     text        NOT NULL,
    event_version  text        NOT NULL,
    payload        json        NOT NULL,
    metadata       json        NOT NULL,
    position       bigint      NOT NULL CHECK (position > 0),
    event_id       uuid        NOT NULL,
    recorded_at    timestamptz NOT NULL,
    effective_at   timestamptz NOT NULL,
    hash           bytea       NOT NULL CHECK (length(hash) = 32),
    CONSTRAINT events_pkey PRIMARY KEY (position),
    CONSTRAINT events_stream_key UNIQUE (aggregate_type, aggregate_id, sequence)
);

-- Nobody edits history, not by mistake and not with session_replication_role = replica either (hence ALWAYS).
CREATE FUNCTION refuse_change_of_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'table % is append-only: % is refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END;
$$;

CREATE TRIGGER events_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_history();
ALTER TABLE events ENABLE ALWAYS TRIGGER events_are_append_only;

-- What became of each command, written in the same transaction as its events, so that a repeat of the command gets the
-- first answer and changes nothing. Narrow on purpose: the body of an answer is rendered from the stream again, folded
-- up to `version`. Rows exist for commands with events or with a fingerprint (those that clients marked with a key).
-- An answer never changes; old rows may be deleted by a retention that is longer than any client's retries.
CREATE TABLE commands (
    command_id      uuid        NOT NULL PRIMARY KEY,
    fingerprint     bytea       CHECK (length(fingerprint) = 32),
    object          text        NOT NULL,
    stream_category text        NOT NULL,
    stream_id       text        NOT NULL,
    version         bigint      NOT NULL,
    position        bigint      NOT NULL,
    rejection       json,
    recorded_at     timestamptz NOT NULL
);

CREATE TRIGGER answers_never_change BEFORE UPDATE ON commands
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_history();
ALTER TABLE commands ENABLE ALWAYS TRIGGER answers_never_change;

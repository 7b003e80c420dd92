-- The sagas' to-do list: a row for each charge, refund or other process that is not finished, and when to look at
-- it next.
-- It is derived from the log and can be thrown away: with the follower's position back at 0 it is built again, and
-- since the stream of what a saga drives says what is due, building it again calls no channel twice.
-- Rows come and go with each payment, so room is left for updates in place and vacuum comes early.
CREATE TABLE saga_agenda (
    stream_id     text COLLATE "C" NOT NULL,
    kind          text COLLATE "C" NOT NULL,
    saga_id       text COLLATE "C" NOT NULL,
    state         text        NOT NULL CHECK (state IN ('running', 'waiting', 'stuck')),
    due_at        timestamptz NOT NULL,
    attempts      bigint      NOT NULL CHECK (attempts >= 0),
    last_error    text,
    by_hand       boolean     NOT NULL DEFAULT false,
    claimed_by    text,
    claimed_until timestamptz,
    position      bigint      NOT NULL,
    revision      bigint      NOT NULL,
    updated_at    timestamptz NOT NULL,
    PRIMARY KEY (stream_id, kind, saga_id),
    CHECK ((claimed_by IS NULL) = (claimed_until IS NULL))
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

CREATE INDEX saga_agenda_due ON saga_agenda (due_at);

-- One row: how far the log was followed, by whom, and the epoch that fences a leader that was given up for dead.
CREATE TABLE saga_follower (
    singleton    boolean     PRIMARY KEY DEFAULT true CHECK (singleton),
    position     bigint      NOT NULL,
    epoch        bigint      NOT NULL,
    leader       text,
    leader_until timestamptz
);

INSERT INTO saga_follower (position, epoch) VALUES (0, 0);

-- What the statements of channels and banks tell, and what comparing them with the log came to. A statement has up to a
-- million lines, so they are no events: the log holds the statement's digest, its sums and the counts of each run, and
-- these tables hold the lines. They are written by imports and runs alone, each in one transaction, and a run replaces
-- what the run before it said; without them no difference could be traced to its line. No personal datum is kept of a
-- line: references and amounts only.
CREATE TABLE reconciliation_statements (
    -- Derived from the content, so that a file is kept once.
    statement_id text COLLATE "C" NOT NULL PRIMARY KEY,
    -- Short, because it stands on every line.
    number       bigint           NOT NULL GENERATED ALWAYS AS IDENTITY UNIQUE,
    counterparty text COLLATE "C" NOT NULL,
    format       text             NOT NULL,
    lines        bigint           NOT NULL,
    bad_lines    bigint           NOT NULL,
    totals       json             NOT NULL,
    -- Kinds of movement of which a missing line is a difference.
    covers       text[]           NOT NULL,
    -- What the statement says was there at its end, where it does.
    closing      json             NOT NULL,
    period_from  timestamptz,
    period_to    timestamptz,
    imported_at  timestamptz      NOT NULL
);
CREATE INDEX reconciliation_statements_period
    ON reconciliation_statements (counterparty, period_to, period_from);

CREATE TABLE reconciliation_lines (
    statement     bigint           NOT NULL,
    line          integer          NOT NULL,
    kind          text COLLATE "C" NOT NULL,
    reference     text COLLATE "C",
    own_reference text COLLATE "C",
    currency      text COLLATE "C" NOT NULL,
    gross         bigint           NOT NULL,
    fee           bigint           NOT NULL,
    occurred_at   timestamptz      NOT NULL,
    PRIMARY KEY (statement, line)
);

CREATE TABLE reconciliation_bad_lines (
    statement bigint  NOT NULL,
    line      integer NOT NULL,
    reason    text    NOT NULL,
    PRIMARY KEY (statement, line)
);

-- Which line stands for which operation, by the position of the event that began it.
CREATE TABLE reconciliation_matches (
    statement bigint   NOT NULL,
    line      integer  NOT NULL,
    position  bigint   NOT NULL,
    how       text     NOT NULL,
    score     smallint NOT NULL,
    PRIMARY KEY (statement, line, position)
);

CREATE TABLE reconciliation_differences (
    -- Derived from what differs, so that the next run finds the same one.
    exception_id  text COLLATE "C" NOT NULL PRIMARY KEY,
    statement_id  text COLLATE "C" NOT NULL,
    run_id        text COLLATE "C" NOT NULL,
    counterparty  text COLLATE "C" NOT NULL,
    kind          text COLLATE "C" NOT NULL,
    severity      text COLLATE "C" NOT NULL,
    currency      text COLLATE "C" NOT NULL,
    amount        bigint           NOT NULL,
    reason        text             NOT NULL,
    there         json             NOT NULL,
    here          json             NOT NULL,
    -- Positions of the operations that it is about.
    positions     bigint[]         NOT NULL,
    -- The payment whose estimated fee the statement tells, and that fee.
    estimated_fee json,
    occurred_at   timestamptz      NOT NULL,
    opened_at     timestamptz      NOT NULL,
    -- When a run found that nothing speaks for it any more.
    cleared_at    timestamptz
);
CREATE INDEX reconciliation_differences_occurred ON reconciliation_differences (occurred_at, exception_id);
CREATE INDEX reconciliation_differences_of_statement ON reconciliation_differences (statement_id);
CREATE INDEX reconciliation_differences_missing_there ON reconciliation_differences (counterparty)
    WHERE kind = 'missing_there' AND cleared_at IS NULL;

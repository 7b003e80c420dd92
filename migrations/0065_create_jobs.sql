-- The jobs that the ledger does by the clock, and the history of their runs. A node that is to run one takes it by the
-- job's `revision`, so that of several nodes one gets it, and holds the run until `held_until`, which it keeps moving;
-- a run whose node is silent for longer is marked failed, and the job is run again. A run that was given up can never
-- be kept or ended by the node that had it: its state is the fence.
CREATE TABLE jobs (
    name             text COLLATE "C" PRIMARY KEY,
    timetable        text        NOT NULL,
    next_at          timestamptz NOT NULL,
    revision         bigint      NOT NULL DEFAULT 0,
    failures         bigint      NOT NULL DEFAULT 0 CHECK (failures >= 0),
    retry_at         timestamptz,
    last_outcome     text CHECK (last_outcome IN ('completed', 'failed')),
    last_finished_at timestamptz
);

CREATE TABLE job_runs (
    run_id        uuid        PRIMARY KEY,
    job           text COLLATE "C" NOT NULL REFERENCES jobs (name),
    state         text        NOT NULL CHECK (state IN ('pending', 'running', 'completed', 'failed', 'skipped')),
    trigger       text        NOT NULL CHECK (trigger IN ('timetable', 'retry', 'request')),
    scheduled_for timestamptz NOT NULL,
    missed        bigint      NOT NULL DEFAULT 0 CHECK (missed >= 0),
    requested_by  text,
    node          text,
    held_until    timestamptz,
    created_at    timestamptz NOT NULL,
    started_at    timestamptz,
    finished_at   timestamptz,
    processed     bigint CHECK (processed >= 0),
    error         text,
    CHECK ((state = 'running') = (held_until IS NOT NULL)),
    CHECK ((state IN ('pending', 'running')) = (finished_at IS NULL))
);

-- Whatever the programs do, a job has one run at a time.
CREATE UNIQUE INDEX job_runs_one_at_a_time ON job_runs (job) WHERE state = 'running';
CREATE INDEX job_runs_open ON job_runs (created_at) WHERE state IN ('pending', 'running');
CREATE INDEX job_runs_newest ON job_runs (job, created_at, run_id);
CREATE INDEX job_runs_finished ON job_runs (finished_at);

//! The board of jobs in Postgres, beside the events. Each step is one statement: it happens as a whole or not at all.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use commands::ports::agenda::Claim;
use commands::ports::jobs::{JobBoard, JobBoardUnavailable, JobRun, JobStatus, NewRun, RunEnd, RunState};
use domain::{JobRunId, Timestamp};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{PgPool, Postgres, Row};
use uuid::Uuid;

/// Runs forgotten in one go: short transactions, whatever has piled up.
const ARCHIVED_AT_ONCE: i64 = 1_000;

#[derive(Debug, Clone)]
pub struct PostgresJobBoard {
    pool: PgPool,
}

const REGISTER: &str = "
    INSERT INTO jobs AS known (name, timetable, next_at) VALUES ($1, $2, $3)
    ON CONFLICT (name) DO UPDATE SET
        timetable = $2, next_at = LEAST(known.next_at, $3), revision = known.revision + 1";

/// A pending run of this id becomes the running one.
const BEGIN: &str = "
    WITH taken AS (
        UPDATE jobs SET revision = revision + 1, next_at = $3, retry_at = NULL
        WHERE name = $1 AND revision = $2
        RETURNING name
    )
    INSERT INTO job_runs AS run
        (run_id, job, state, trigger, scheduled_for, missed, created_at, node, held_until, started_at)
    SELECT $4, name, 'running', $5, $6, $7, $8, $9, $10, $8 FROM taken
    ON CONFLICT (run_id) DO UPDATE SET
        state = 'running', node = excluded.node, held_until = excluded.held_until, started_at = excluded.started_at
    WHERE run.state = 'pending'";

const SKIP: &str = "
    WITH taken AS (
        UPDATE jobs SET revision = revision + 1, next_at = $3 WHERE name = $1 AND revision = $2 RETURNING name
    )
    INSERT INTO job_runs (run_id, job, state, trigger, scheduled_for, missed, created_at, finished_at)
    SELECT $4, name, 'skipped', $5, $6, $7, $8, $8 FROM taken";

const END: &str = "
    WITH ended AS (
        UPDATE job_runs SET state = $2, finished_at = $3, held_until = NULL, processed = $4, error = $5
        WHERE run_id = $1 AND state = 'running' AND (NOT $8 OR held_until <= $3)
        RETURNING job
    )
    UPDATE jobs SET revision = revision + 1, failures = $6, retry_at = $7, last_outcome = $2, last_finished_at = $3
    FROM ended WHERE name = ended.job";

/// A repeat changes nothing and still finds its run.
const REQUEST: &str = "
    INSERT INTO job_runs AS run (run_id, job, state, trigger, scheduled_for, requested_by, created_at)
    SELECT $2, name, 'pending', 'request', $4, $3, $4 FROM jobs WHERE name = $1
    ON CONFLICT (run_id) DO UPDATE SET requested_by = run.requested_by
    RETURNING *";

impl PostgresJobBoard {
    pub fn new(pool: PgPool) -> PostgresJobBoard {
        PostgresJobBoard { pool }
    }

    /// The jobs first: whatever happens to their runs in between changes a revision.
    async fn statuses(&self, job: Option<&str>) -> Result<Vec<JobStatus>, JobBoardUnavailable> {
        let jobs = sqlx::query("SELECT * FROM jobs WHERE $1::text IS NULL OR name = $1 ORDER BY name");
        let jobs = jobs.bind(job).fetch_all(&self.pool).await.map_err(unavailable)?;
        let open =
            sqlx::query("SELECT * FROM job_runs WHERE state IN ('pending', 'running') ORDER BY created_at, run_id");
        let open = open.fetch_all(&self.pool).await.map_err(unavailable)?;
        let open = open.iter().map(run).collect::<Result<Vec<JobRun>, _>>()?;
        jobs.iter().map(|row| status(row, &open)).collect()
    }

    async fn end_if(
        &self,
        run_id: JobRunId,
        end: &RunEnd,
        now: Timestamp,
        only_if_lapsed: bool,
    ) -> Result<bool, JobBoardUnavailable> {
        let (state, processed, error, failures, retry_at) = match end {
            RunEnd::Completed { processed } => (RunState::Completed, Some(integer(*processed)), None, 0, None),
            RunEnd::Failed { error, failures, retry_at } => {
                (RunState::Failed, None, Some(error), i64::from(*failures), Some(retry_at.to_datetime()))
            }
        };
        let query = sqlx::query(END)
            .bind(run_id.as_uuid())
            .bind(state.as_str())
            .bind(now.to_datetime())
            .bind(processed)
            .bind(error)
            .bind(failures)
            .bind(retry_at)
            .bind(only_if_lapsed);
        self.changes(query).await
    }

    async fn changes(&self, query: Query<'_, Postgres, PgArguments>) -> Result<bool, JobBoardUnavailable> {
        Ok(query.execute(&self.pool).await.map_err(unavailable)?.rows_affected() > 0)
    }
}

#[async_trait]
impl JobBoard for PostgresJobBoard {
    async fn register(&self, job: &str, timetable: &str, next_at: Timestamp) -> Result<(), JobBoardUnavailable> {
        let query = sqlx::query(REGISTER).bind(job).bind(timetable).bind(next_at.to_datetime());
        self.changes(query).await.map(drop)
    }

    async fn list(&self) -> Result<Vec<JobStatus>, JobBoardUnavailable> {
        self.statuses(None).await
    }

    async fn find(&self, job: &str) -> Result<Option<JobStatus>, JobBoardUnavailable> {
        Ok(self.statuses(Some(job)).await?.pop())
    }

    async fn begin(&self, seen: &JobStatus, new: &NewRun, claim: &Claim) -> Result<bool, JobBoardUnavailable> {
        let query = bound(sqlx::query(BEGIN), seen, new, claim.now).bind(&claim.node).bind(claim.until.to_datetime());
        self.changes(query).await
    }

    async fn skip(&self, seen: &JobStatus, new: &NewRun, now: Timestamp) -> Result<bool, JobBoardUnavailable> {
        self.changes(bound(sqlx::query(SKIP), seen, new, now)).await
    }

    async fn keep(&self, run_id: JobRunId, until: Timestamp) -> Result<bool, JobBoardUnavailable> {
        let query = sqlx::query("UPDATE job_runs SET held_until = $2 WHERE run_id = $1 AND state = 'running'");
        self.changes(query.bind(run_id.as_uuid()).bind(until.to_datetime())).await
    }

    async fn end(&self, run_id: JobRunId, end: &RunEnd, now: Timestamp) -> Result<bool, JobBoardUnavailable> {
        self.end_if(run_id, end, now, false).await
    }

    async fn give_up(&self, run_id: JobRunId, end: &RunEnd, now: Timestamp) -> Result<bool, JobBoardUnavailable> {
        self.end_if(run_id, end, now, true).await
    }

    async fn request(
        &self,
        job: &str,
        run_id: JobRunId,
        requested_by: &str,
        now: Timestamp,
    ) -> Result<Option<JobRun>, JobBoardUnavailable> {
        let query = sqlx::query(REQUEST).bind(job).bind(run_id.as_uuid()).bind(requested_by).bind(now.to_datetime());
        query.fetch_optional(&self.pool).await.map_err(unavailable)?.as_ref().map(run).transpose()
    }

    async fn find_run(&self, run_id: JobRunId) -> Result<Option<JobRun>, JobBoardUnavailable> {
        let query = sqlx::query("SELECT * FROM job_runs WHERE run_id = $1").bind(run_id.as_uuid());
        query.fetch_optional(&self.pool).await.map_err(unavailable)?.as_ref().map(run).transpose()
    }

    async fn runs(&self, job: &str, limit: usize) -> Result<Vec<JobRun>, JobBoardUnavailable> {
        let runs = sqlx::query("SELECT * FROM job_runs WHERE job = $1 ORDER BY created_at DESC, run_id DESC LIMIT $2");
        let runs = runs.bind(job).bind(i64::try_from(limit).unwrap_or(i64::MAX)).fetch_all(&self.pool).await;
        runs.map_err(unavailable)?.iter().map(run).collect()
    }

    async fn archive(&self, finished_before: Timestamp) -> Result<u64, JobBoardUnavailable> {
        let query = sqlx::query(
            "WITH gone AS (
                 DELETE FROM job_runs WHERE run_id IN
                     (SELECT run_id FROM job_runs WHERE finished_at < $1 ORDER BY finished_at LIMIT $2
                      FOR UPDATE SKIP LOCKED)
                 RETURNING *)
             INSERT INTO archive (shelf, name, happened_at, content)
             SELECT 'job_runs', run_id::text, finished_at, to_json(gone) FROM gone",
        );
        let query = query.bind(finished_before.to_datetime()).bind(ARCHIVED_AT_ONCE);
        Ok(query.execute(&self.pool).await.map_err(unavailable)?.rows_affected())
    }

    async fn count(&self, finished_before: Timestamp) -> Result<u64, JobBoardUnavailable> {
        let query = sqlx::query_scalar("SELECT count(*) FROM job_runs WHERE finished_at < $1");
        let counted: i64 =
            query.bind(finished_before.to_datetime()).fetch_one(&self.pool).await.map_err(unavailable)?;
        Ok(u64::try_from(counted).unwrap_or_default())
    }
}

/// The job as it was seen, and its next run.
fn bound<'q>(
    query: Query<'q, Postgres, PgArguments>,
    seen: &'q JobStatus,
    new: &NewRun,
    now: Timestamp,
) -> Query<'q, Postgres, PgArguments> {
    query
        .bind(&seen.job)
        .bind(integer(seen.revision))
        .bind(new.next_at.to_datetime())
        .bind(new.run_id.as_uuid())
        .bind(new.trigger.as_str())
        .bind(new.scheduled_for.to_datetime())
        .bind(integer(new.missed))
        .bind(now.to_datetime())
}

fn unavailable(error: sqlx::Error) -> JobBoardUnavailable {
    JobBoardUnavailable(error.to_string())
}

fn damaged(what: impl std::fmt::Display) -> JobBoardUnavailable {
    JobBoardUnavailable(format!("a row of the board cannot be read: {what}"))
}

fn integer(natural: u64) -> i64 {
    i64::try_from(natural).unwrap_or(i64::MAX)
}

fn natural(number: i64) -> Result<u64, JobBoardUnavailable> {
    u64::try_from(number).map_err(damaged)
}

fn time(row: &PgRow, column: &str) -> Result<Option<Timestamp>, JobBoardUnavailable> {
    Ok(row.try_get::<Option<DateTime<Utc>>, _>(column).map_err(unavailable)?.map(Timestamp::from))
}

fn moment(row: &PgRow, column: &str) -> Result<Timestamp, JobBoardUnavailable> {
    Ok(row.try_get::<DateTime<Utc>, _>(column).map_err(unavailable)?.into())
}

fn status(row: &PgRow, open: &[JobRun]) -> Result<JobStatus, JobBoardUnavailable> {
    let job: String = row.try_get("name").map_err(unavailable)?;
    let oldest = |state| open.iter().find(|run| run.job == job && run.state == state).cloned();
    let last_outcome: Option<&str> = row.try_get("last_outcome").map_err(unavailable)?;
    let failures = natural(row.try_get("failures").map_err(unavailable)?)?;
    Ok(JobStatus {
        timetable: row.try_get("timetable").map_err(unavailable)?,
        next_at: moment(row, "next_at")?,
        revision: natural(row.try_get("revision").map_err(unavailable)?)?,
        failures: u32::try_from(failures).unwrap_or(u32::MAX),
        retry_at: time(row, "retry_at")?,
        last_outcome: last_outcome.map(str::parse).transpose().map_err(damaged)?,
        last_finished_at: time(row, "last_finished_at")?,
        running: oldest(RunState::Running),
        pending: oldest(RunState::Pending),
        job,
    })
}

fn run(row: &PgRow) -> Result<JobRun, JobBoardUnavailable> {
    let processed: Option<i64> = row.try_get("processed").map_err(unavailable)?;
    Ok(JobRun {
        run_id: JobRunId::from_uuid(row.try_get::<Uuid, _>("run_id").map_err(unavailable)?),
        job: row.try_get("job").map_err(unavailable)?,
        state: row.try_get::<&str, _>("state").map_err(unavailable)?.parse().map_err(damaged)?,
        trigger: row.try_get::<&str, _>("trigger").map_err(unavailable)?.parse().map_err(damaged)?,
        scheduled_for: moment(row, "scheduled_for")?,
        missed: natural(row.try_get("missed").map_err(unavailable)?)?,
        requested_by: row.try_get("requested_by").map_err(unavailable)?,
        node: row.try_get("node").map_err(unavailable)?,
        held_until: time(row, "held_until")?,
        created_at: moment(row, "created_at")?,
        started_at: time(row, "started_at")?,
        finished_at: time(row, "finished_at")?,
        processed: processed.map(natural).transpose()?,
        error: row.try_get("error").map_err(unavailable)?,
    })
}

//! The board of the jobs that are done by the clock: when each is due, who runs it, and the history of its runs.

use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use domain::{JobRunId, Timestamp};
use serde::Serialize;

use super::agenda::Claim;

/// - A job has one run at a time. Of several nodes that begin one, having seen the same revision, one gets it.
/// - A run is held until a moment that its node keeps moving. Once given up, it can be neither kept nor ended.
/// - Times come in with the calls; the adapter reads no clock.
#[async_trait]
pub trait JobBoard: Send + Sync {
    /// Enters a job, due first at `next_at`. One that is known gets this timetable; what it is due for already stays.
    async fn register(&self, job: &str, timetable: &str, next_at: Timestamp) -> Result<(), JobBoardUnavailable>;

    /// Every job, by name.
    async fn list(&self) -> Result<Vec<JobStatus>, JobBoardUnavailable>;

    async fn find(&self, job: &str) -> Result<Option<JobStatus>, JobBoardUnavailable>;

    /// Begins a run; false if anything has happened to the job since it was seen.
    async fn begin(&self, seen: &JobStatus, run: &NewRun, claim: &Claim) -> Result<bool, JobBoardUnavailable>;

    /// Notes that the job was due but not run; false if anything has happened to it since it was seen.
    async fn skip(&self, seen: &JobStatus, run: &NewRun, now: Timestamp) -> Result<bool, JobBoardUnavailable>;

    /// Goes on holding a run; false if it was given up.
    async fn keep(&self, run_id: JobRunId, until: Timestamp) -> Result<bool, JobBoardUnavailable>;

    /// Ends a run; false if it was given up or has ended.
    async fn end(&self, run_id: JobRunId, end: &RunEnd, now: Timestamp) -> Result<bool, JobBoardUnavailable>;

    /// Ends a run of another node that is held no longer; false if it is held still or has ended.
    async fn give_up(&self, run_id: JobRunId, end: &RunEnd, now: Timestamp) -> Result<bool, JobBoardUnavailable>;

    /// Asks for a run outside the timetable; the same id again asks once. `None` if there is no such job.
    async fn request(
        &self,
        job: &str,
        run_id: JobRunId,
        requested_by: &str,
        now: Timestamp,
    ) -> Result<Option<JobRun>, JobBoardUnavailable>;

    async fn find_run(&self, run_id: JobRunId) -> Result<Option<JobRun>, JobBoardUnavailable>;

    /// A job's runs, newest first, at most `limit`.
    async fn runs(&self, job: &str, limit: usize) -> Result<Vec<JobRun>, JobBoardUnavailable>;

    /// Moves one small batch of the runs that finished before to the archive; how many, 0 once none is left.
    async fn archive(&self, finished_before: Timestamp) -> Result<u64, JobBoardUnavailable>;

    /// How many runs [`JobBoard::archive`] would move in all.
    async fn count(&self, finished_before: Timestamp) -> Result<u64, JobBoardUnavailable>;
}

/// A job as it stands on the board.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JobStatus {
    pub job: String,
    /// In words.
    pub timetable: String,
    pub next_at: Timestamp,
    /// Changes whenever anything happens to the job.
    #[serde(skip)]
    pub revision: u64,
    /// Runs that failed since the last one that did not.
    pub failures: u32,
    /// When a failed job is run again, if its timetable does not say so sooner.
    pub retry_at: Option<Timestamp>,
    pub last_outcome: Option<RunState>,
    pub last_finished_at: Option<Timestamp>,
    pub running: Option<JobRun>,
    /// The oldest that was asked for.
    pub pending: Option<JobRun>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JobRun {
    pub run_id: JobRunId,
    pub job: String,
    pub state: RunState,
    pub trigger: Trigger,
    /// When it was due, or asked for.
    pub scheduled_for: Timestamp,
    /// Earlier times at which the job was due and nobody ran it; this run makes up for all of them.
    pub missed: u64,
    pub requested_by: Option<String>,
    pub node: Option<String>,
    pub held_until: Option<Timestamp>,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    /// How many things the run dealt with.
    pub processed: Option<u64>,
    pub error: Option<String>,
}

/// A run that is to begin or to be skipped.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRun {
    /// Of the pending run that begins now, or a new one.
    pub run_id: JobRunId,
    pub trigger: Trigger,
    pub scheduled_for: Timestamp,
    pub missed: u64,
    /// When the job is due after that.
    pub next_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq)]
pub enum RunEnd {
    Completed {
        processed: u64,
    },
    Failed {
        error: String,
        /// In a row, this one included.
        failures: u32,
        retry_at: Timestamp,
    },
}

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident $word:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            pub fn as_str(&self) -> &'static str {
                match self { $($name::$variant => $word,)* }
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok($name::$variant),)*
                    _ => Err(format!("{text:?} is none of {}", [$($word),*].join(", "))),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )*};
}

words! {
    RunState {
        /// Asked for, and not begun.
        Pending "pending",
        Running "running",
        Completed "completed",
        Failed "failed",
        /// It was due while an earlier run still went on.
        Skipped "skipped",
    }

    Trigger {
        Timetable "timetable",
        /// The run before failed.
        Retry "retry",
        /// A person asked.
        Request "request",
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the board of jobs is not available: {0}")]
pub struct JobBoardUnavailable(pub String);

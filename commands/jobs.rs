//! Jobs: what the ledger does by the clock rather than in answer to an event. What a job is, and the pure decision what
//! is to be done about one now. Who asks for the decision and carries it out is the scheduler.
//!
//! A job runs on one node at a time and is run again after a failure or the death of its node, so it may have been done
//! in part before: whatever it does is harmless to repeat. What was missed while no node ran is made up for by one run.

mod assertions;
mod disputes;
mod expiry;
mod housekeeping;
mod payouts;
mod reconciliation;
mod settlement;
mod timetable;

use std::error::Error;

use async_trait::async_trait;
use domain::Timestamp;

pub use assertions::CheckDailyAssertions;
pub use disputes::FindMissedDisputes;
pub use expiry::ExpireOverduePayments;
pub use housekeeping::{ForgetNonces, PutAway};
pub use payouts::CollectPayouts;
pub use reconciliation::FinishReconciliations;
pub use settlement::CloseSettlements;
pub use timetable::Timetable;

use crate::ports::jobs::{JobRun, JobStatus, Trigger};

/// To add one: implement this, and enter it in `Ledger::jobs` of the binary's composition root.
#[async_trait]
pub trait Job: Send + Sync {
    /// In routes, on the command line and in metrics; never changed, as its history stands under it.
    fn name(&self) -> &'static str;

    fn timetable(&self) -> Timetable;

    /// Does it once, as of `now`; answers how many things it dealt with.
    async fn run(&self, now: Timestamp) -> Result<u64, JobFailed>;
}

/// Why a run failed, in words for the history: no secrets, no personal data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct JobFailed(pub String);

impl JobFailed {
    pub fn because(error: impl Error) -> JobFailed {
        JobFailed(error.to_string())
    }
}

/// What is to be done about a job now.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    Rest,
    /// The node that had this run is dead, or was silent for too long.
    GiveUp(JobRun),
    /// It is due while it still runs.
    Skip(Slot),
    Begin(Trigger, Slot),
    /// What somebody asked for.
    BeginRequested(JobRun),
}

/// A time at which a job is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    pub at: Timestamp,
    /// Slots before it that went by without a run.
    pub missed: u64,
    pub next_at: Timestamp,
}

pub fn decide(timetable: &Timetable, status: &JobStatus, now: Timestamp) -> Verdict {
    let slot = (status.next_at <= now).then(|| {
        let at = timetable.latest(now).max(status.next_at);
        Slot { at, missed: timetable.between(status.next_at, at), next_at: timetable.after(now) }
    });
    match (&status.running, slot, &status.pending) {
        (Some(run), ..) if run.held_until.is_none_or(|until| until <= now) => Verdict::GiveUp(run.clone()),
        (Some(_), Some(slot), _) => Verdict::Skip(slot),
        (Some(_), None, _) => Verdict::Rest,
        (None, Some(slot), _) => Verdict::Begin(Trigger::Timetable, slot),
        (None, None, Some(pending)) => Verdict::BeginRequested(pending.clone()),
        (None, None, None) if status.retry_at.is_some_and(|at| at <= now) => {
            Verdict::Begin(Trigger::Retry, Slot { at: now, missed: 0, next_at: status.next_at })
        }
        (None, None, None) => Verdict::Rest,
    }
}

#[cfg(test)]
mod tests;

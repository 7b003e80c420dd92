//! The board of jobs in memory, for tests and simulation. It lives as long as its process.

use std::collections::BTreeMap;

use async_trait::async_trait;
use commands::ports::agenda::Claim;
use commands::ports::jobs::{JobBoard, JobBoardUnavailable, JobRun, JobStatus, NewRun, RunEnd, RunState, Trigger};
use domain::{JobRunId, Timestamp};
use parking_lot::Mutex;

#[derive(Debug, Default)]
pub struct MemoryJobBoard {
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    /// Without their runs.
    jobs: BTreeMap<String, JobStatus>,
    runs: Vec<JobRun>,
}

impl Book {
    fn status(&self, job: &JobStatus) -> JobStatus {
        let oldest = |state| self.runs.iter().find(|run| run.job == job.job && run.state == state).cloned();
        JobStatus { running: oldest(RunState::Running), pending: oldest(RunState::Pending), ..job.clone() }
    }

    fn run(&mut self, run_id: JobRunId) -> Option<&mut JobRun> {
        self.runs.iter_mut().find(|run| run.run_id == run_id)
    }

    /// The job, if nothing has happened to it since it was seen.
    fn unchanged(&mut self, seen: &JobStatus) -> Option<&mut JobStatus> {
        let job = self.jobs.get_mut(&seen.job).filter(|job| job.revision == seen.revision)?;
        job.revision += 1;
        Some(job)
    }

    fn enter(&mut self, job: &str, new: &NewRun, now: Timestamp) -> &mut JobRun {
        let index = self.runs.iter().position(|run| run.run_id == new.run_id).unwrap_or_else(|| {
            self.runs.push(JobRun {
                run_id: new.run_id,
                job: job.to_owned(),
                state: RunState::Pending,
                trigger: new.trigger,
                scheduled_for: new.scheduled_for,
                missed: new.missed,
                requested_by: None,
                node: None,
                held_until: None,
                created_at: now,
                started_at: None,
                finished_at: None,
                processed: None,
                error: None,
            });
            self.runs.len() - 1
        });
        &mut self.runs[index]
    }

    fn end(&mut self, run_id: JobRunId, end: &RunEnd, now: Timestamp, held: impl Fn(Timestamp) -> bool) -> bool {
        let Some(run) = self.run(run_id).filter(|run| run.held_until.is_some_and(held)) else {
            return false;
        };
        run.held_until = None;
        run.finished_at = Some(now);
        let (state, failures, retry) = match end {
            RunEnd::Completed { processed } => {
                run.processed = Some(*processed);
                (RunState::Completed, 0, None)
            }
            RunEnd::Failed { error, failures, retry_at } => {
                run.error = Some(error.clone());
                (RunState::Failed, *failures, Some(*retry_at))
            }
        };
        run.state = state;
        let name = run.job.clone();
        if let Some(job) = self.jobs.get_mut(&name) {
            job.revision += 1;
            (job.failures, job.retry_at) = (failures, retry);
            (job.last_outcome, job.last_finished_at) = (Some(state), Some(now));
        }
        true
    }
}

#[async_trait]
impl JobBoard for MemoryJobBoard {
    async fn register(&self, job: &str, timetable: &str, next_at: Timestamp) -> Result<(), JobBoardUnavailable> {
        let mut book = self.book.lock();
        let known = book.jobs.entry(job.to_owned()).or_insert_with(|| JobStatus {
            job: job.to_owned(),
            timetable: timetable.to_owned(),
            next_at,
            revision: 0,
            failures: 0,
            retry_at: None,
            last_outcome: None,
            last_finished_at: None,
            running: None,
            pending: None,
        });
        known.timetable = timetable.to_owned();
        known.next_at = known.next_at.min(next_at);
        known.revision += 1;
        Ok(())
    }

    async fn list(&self) -> Result<Vec<JobStatus>, JobBoardUnavailable> {
        let book = self.book.lock();
        Ok(book.jobs.values().map(|job| book.status(job)).collect())
    }

    async fn find(&self, job: &str) -> Result<Option<JobStatus>, JobBoardUnavailable> {
        let book = self.book.lock();
        Ok(book.jobs.get(job).map(|job| book.status(job)))
    }

    async fn begin(&self, seen: &JobStatus, new: &NewRun, claim: &Claim) -> Result<bool, JobBoardUnavailable> {
        let mut book = self.book.lock();
        let Some(job) = book.unchanged(seen) else { return Ok(false) };
        job.next_at = new.next_at;
        job.retry_at = None;
        let run = book.enter(&seen.job, new, claim.now);
        run.state = RunState::Running;
        run.node = Some(claim.node.clone());
        run.held_until = Some(claim.until);
        run.started_at = Some(claim.now);
        Ok(true)
    }

    async fn skip(&self, seen: &JobStatus, new: &NewRun, now: Timestamp) -> Result<bool, JobBoardUnavailable> {
        let mut book = self.book.lock();
        let Some(job) = book.unchanged(seen) else { return Ok(false) };
        job.next_at = new.next_at;
        let run = book.enter(&seen.job, new, now);
        run.state = RunState::Skipped;
        run.finished_at = Some(now);
        Ok(true)
    }

    async fn keep(&self, run_id: JobRunId, until: Timestamp) -> Result<bool, JobBoardUnavailable> {
        let mut book = self.book.lock();
        let Some(run) = book.run(run_id).filter(|run| run.state == RunState::Running) else { return Ok(false) };
        run.held_until = Some(until);
        Ok(true)
    }

    async fn end(&self, run_id: JobRunId, end: &RunEnd, now: Timestamp) -> Result<bool, JobBoardUnavailable> {
        Ok(self.book.lock().end(run_id, end, now, |_| true))
    }

    async fn give_up(&self, run_id: JobRunId, end: &RunEnd, now: Timestamp) -> Result<bool, JobBoardUnavailable> {
        Ok(self.book.lock().end(run_id, end, now, |held_until| held_until <= now))
    }

    async fn request(
        &self,
        job: &str,
        run_id: JobRunId,
        requested_by: &str,
        now: Timestamp,
    ) -> Result<Option<JobRun>, JobBoardUnavailable> {
        let mut book = self.book.lock();
        if !book.jobs.contains_key(job) {
            return Ok(None);
        }
        let new = NewRun { run_id, trigger: Trigger::Request, scheduled_for: now, missed: 0, next_at: now };
        let run = book.enter(job, &new, now);
        run.requested_by.get_or_insert_with(|| requested_by.to_owned());
        Ok(Some(run.clone()))
    }

    async fn find_run(&self, run_id: JobRunId) -> Result<Option<JobRun>, JobBoardUnavailable> {
        Ok(self.book.lock().run(run_id).cloned())
    }

    async fn runs(&self, job: &str, limit: usize) -> Result<Vec<JobRun>, JobBoardUnavailable> {
        let book = self.book.lock();
        let mut runs: Vec<JobRun> = book.runs.iter().filter(|run| run.job == job).cloned().collect();
        runs.sort_by_key(|run| std::cmp::Reverse((run.created_at, run.run_id)));
        runs.truncate(limit);
        Ok(runs)
    }

    async fn archive(&self, finished_before: Timestamp) -> Result<u64, JobBoardUnavailable> {
        let mut book = self.book.lock();
        let before = book.runs.len();
        book.runs.retain(|run| run.finished_at.is_none_or(|finished_at| finished_at >= finished_before));
        Ok(u64::try_from(before - book.runs.len()).unwrap_or(u64::MAX))
    }

    async fn count(&self, finished_before: Timestamp) -> Result<u64, JobBoardUnavailable> {
        let finished = |run: &&JobRun| run.finished_at.is_some_and(|finished_at| finished_at < finished_before);
        Ok(u64::try_from(self.book.lock().runs.iter().filter(finished).count()).unwrap_or(u64::MAX))
    }
}

//! A node's line to the board of jobs: slow, and losing answers. The board behind it is the real one in memory.

use std::sync::Arc;

use adapters::jobs::MemoryJobBoard;
use async_trait::async_trait;
use commands::ports::agenda::Claim;
use commands::ports::jobs::{JobBoardUnavailable, JobRun, JobStatus, NewRun, RunEnd, RunState};
use commands::ports::{Clock, JobBoard};
use domain::{JobRunId, Timestamp};

use crate::canary::Tampering;
use crate::weather::{Fate, VirtualClock, Weather};

type Answer<T> = Result<T, JobBoardUnavailable>;

pub struct BoardLine {
    board: Arc<MemoryJobBoard>,
    weather: Weather,
    tampering: Arc<Tampering>,
}

impl BoardLine {
    pub fn new(board: Arc<MemoryJobBoard>, weather: Weather, tampering: Arc<Tampering>) -> BoardLine {
        BoardLine { board, weather, tampering }
    }

    async fn call<T>(&self, call: impl Future<Output = Answer<T>>) -> Answer<T> {
        let lost = || JobBoardUnavailable("the line was cut".to_owned());
        let fate = self.weather.there().await;
        if fate == Fate::LostBefore {
            return Err(lost());
        }
        let answer = call.await;
        self.weather.back().await;
        if fate == Fate::LostAfter { Err(lost()) } else { answer }
    }
}

/// What a job still has to do in calm weather, if anything: a run of a dead node, or one that failed.
pub async fn left_to_do(board: &MemoryJobBoard, clock: VirtualClock) -> Option<String> {
    let jobs = board.list().await.expect("the board in memory answers");
    let waits = |job: &JobStatus| job.running.is_some() || job.last_outcome != Some(RunState::Completed);
    let waiting = jobs.into_iter().find(waits)?;
    Some(format!("at {} a job has not run to its end: {waiting:?}", clock.now()))
}

#[async_trait]
impl JobBoard for BoardLine {
    async fn register(&self, job: &str, timetable: &str, next_at: Timestamp) -> Answer<()> {
        self.call(self.board.register(job, timetable, next_at)).await
    }

    async fn list(&self) -> Answer<Vec<JobStatus>> {
        self.call(self.board.list()).await
    }

    async fn find(&self, job: &str) -> Answer<Option<JobStatus>> {
        self.call(self.board.find(job)).await
    }

    async fn begin(&self, seen: &JobStatus, run: &NewRun, claim: &Claim) -> Answer<bool> {
        self.call(self.board.begin(seen, run, claim)).await
    }

    async fn skip(&self, seen: &JobStatus, run: &NewRun, now: Timestamp) -> Answer<bool> {
        self.call(self.board.skip(seen, run, now)).await
    }

    async fn keep(&self, run_id: JobRunId, until: Timestamp) -> Answer<bool> {
        self.call(self.board.keep(run_id, until)).await
    }

    async fn end(&self, run_id: JobRunId, end: &RunEnd, now: Timestamp) -> Answer<bool> {
        self.call(self.board.end(run_id, end, now)).await
    }

    async fn give_up(&self, run_id: JobRunId, end: &RunEnd, now: Timestamp) -> Answer<bool> {
        if self.tampering.keeps_dead_runs() {
            return Ok(false);
        }
        self.call(self.board.give_up(run_id, end, now)).await
    }

    async fn request(&self, job: &str, run_id: JobRunId, by: &str, now: Timestamp) -> Answer<Option<JobRun>> {
        self.call(self.board.request(job, run_id, by, now)).await
    }

    async fn find_run(&self, run_id: JobRunId) -> Answer<Option<JobRun>> {
        self.call(self.board.find_run(run_id)).await
    }

    async fn runs(&self, job: &str, limit: usize) -> Answer<Vec<JobRun>> {
        self.call(self.board.runs(job, limit)).await
    }

    async fn archive(&self, finished_before: Timestamp) -> Answer<u64> {
        self.call(self.board.archive(finished_before)).await
    }

    async fn count(&self, finished_before: Timestamp) -> Answer<u64> {
        self.call(self.board.count(finished_before)).await
    }
}

//! Runs the jobs of one node: looks at the board, begins what is due and nobody else has, and ends what it began.
//! Several nodes may run; a job whose node dies is marked failed once its hold lapses, and is run again.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use commands::jobs::{Job, JobFailed, Slot, Verdict, decide};
use commands::ports::Clock;
use commands::ports::agenda::Claim;
use commands::ports::jobs::{JobBoard, JobBoardUnavailable, JobStatus, NewRun, RunEnd, Trigger};
use domain::{JobRunId, Timestamp};
use futures::FutureExt;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tracing::Instrument;
use uuid::Uuid;

use crate::runner::stop_ordered;
use crate::schedule::Schedule;

#[derive(Debug, Clone)]
pub struct SchedulerConfig {
    pub poll_every: Duration,
    /// How long a run is held that is not kept: what a dead node's jobs wait for.
    pub hold_for: Duration,
    /// A run that takes longer has failed.
    pub run_for: Duration,
    /// What is running may go on for so long after the order to stop.
    pub stop_within: Duration,
}

impl Default for SchedulerConfig {
    fn default() -> Self {
        SchedulerConfig {
            poll_every: Duration::from_secs(1),
            hold_for: Duration::from_secs(30),
            run_for: Duration::from_secs(60 * 60),
            stop_within: Duration::from_secs(5),
        }
    }
}

/// Cheap to clone; `run` it once for each node.
#[derive(Clone)]
pub struct Scheduler {
    node: Arc<str>,
    board: Arc<dyn JobBoard>,
    clock: Arc<dyn Clock>,
    jobs: Arc<[Arc<dyn Job>]>,
    config: Arc<SchedulerConfig>,
}

/// A run that this node has begun.
struct Begun {
    job: Arc<dyn Job>,
    run_id: JobRunId,
    /// In a row, before this run.
    failures: u32,
}

impl Scheduler {
    pub fn new(
        jobs: Vec<Arc<dyn Job>>,
        board: Arc<dyn JobBoard>,
        clock: Arc<dyn Clock>,
        config: SchedulerConfig,
    ) -> Scheduler {
        let node = format!("node-{}", Uuid::new_v4()).into();
        Scheduler { node, board, clock, jobs: jobs.into(), config: Arc::new(config) }
    }

    /// Runs until `shutdown` says so. Dropped at any point, its runs are given up by whoever looks next.
    pub async fn run(&self, shutdown: impl Future<Output = ()> + Send) {
        let (stop, stopped) = watch::channel(false);
        let mut runs = JoinSet::new();
        let mut poll = tokio::time::interval(self.config.poll_every);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failing = false;
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(_) = runs.join_next() => {}
                _ = poll.tick() => match self.look(&mut runs, &stopped).await {
                    Ok(()) => failing = false,
                    Err(error) if failing => tracing::debug!(%error, "the board of jobs still cannot be read"),
                    Err(error) => {
                        failing = true;
                        tracing::warn!(%error, "the board of jobs cannot be read: no job starts until it can");
                    }
                },
            }
        }
        let _ = stop.send(true);
        while runs.join_next().await.is_some() {}
    }

    /// Enters every job, for whoever lists or asks for one before a node has run.
    pub async fn register(&self) -> Result<(), JobBoardUnavailable> {
        let known = self.board.list().await?;
        for job in self.jobs.iter() {
            let (timetable, words) = (job.timetable(), job.timetable().to_string());
            if known.iter().any(|status| status.job == job.name() && status.timetable == words) {
                continue;
            }
            self.board.register(job.name(), &words, timetable.after(self.clock.now())).await?;
        }
        Ok(())
    }

    async fn look(&self, runs: &mut JoinSet<()>, stopped: &watch::Receiver<bool>) -> Result<(), JobBoardUnavailable> {
        self.register().await?;
        for status in self.board.list().await? {
            // A job that this program does not know is a newer one's, or an older one's and gone.
            let Some(job) = self.jobs.iter().find(|job| job.name() == status.job) else { continue };
            metrics::gauge!("job_failures", "job" => job.name()).set(status.failures);
            if let Some(begun) = self.act(job, &status).await? {
                let (scheduler, stopped) = (self.clone(), stopped.clone());
                runs.spawn(async move { scheduler.carry_out(begun, stopped).await });
            }
        }
        Ok(())
    }

    async fn act(&self, job: &Arc<dyn Job>, status: &JobStatus) -> Result<Option<Begun>, JobBoardUnavailable> {
        let now = self.clock.now();
        let run = |trigger, slot: Slot| NewRun {
            run_id: JobRunId::from_uuid(Uuid::now_v7()),
            trigger,
            scheduled_for: slot.at,
            missed: slot.missed,
            next_at: slot.next_at,
        };
        let new = match decide(&job.timetable(), status, now) {
            Verdict::Rest => return Ok(None),
            Verdict::GiveUp(run) => {
                let failed = failed("its node died or was silent for too long".to_owned(), status.failures, now);
                if self.board.give_up(run.run_id, &failed, now).await? {
                    report(job.name(), &failed, None);
                }
                return Ok(None);
            }
            Verdict::Skip(slot) => {
                if self.board.skip(status, &run(Trigger::Timetable, slot), now).await? {
                    tracing::warn!(job.name = job.name(), "a job is due while its last run still goes on");
                    count(job.name(), "skipped");
                }
                return Ok(None);
            }
            Verdict::Begin(trigger, slot) => run(trigger, slot),
            Verdict::BeginRequested(pending) => NewRun {
                run_id: pending.run_id,
                trigger: pending.trigger,
                scheduled_for: pending.scheduled_for,
                missed: 0,
                next_at: status.next_at,
            },
        };
        let claim = Claim { node: self.node.to_string(), now, until: now.plus(self.config.hold_for) };
        let begun = self.board.begin(status, &new, &claim).await?;
        Ok(begun.then(|| Begun { job: job.clone(), run_id: new.run_id, failures: status.failures }))
    }

    async fn carry_out(&self, begun: Begun, stopped: watch::Receiver<bool>) {
        let name = begun.job.name();
        let started = Instant::now();
        let span = tracing::info_span!("job.run", job.name = name, job.run_id = %begun.run_id);
        let work = AssertUnwindSafe(begun.job.run(self.clock.now())).catch_unwind().instrument(span);
        let outcome = tokio::select! {
            biased;
            done = tokio::time::timeout(self.config.run_for, work) => match done {
                Ok(Ok(done)) => done,
                Ok(Err(_)) => Err(JobFailed("it panicked".to_owned())),
                Err(_) => Err(JobFailed(format!("it took longer than {} s", self.config.run_for.as_secs()))),
            },
            () = self.lose(begun.run_id) => {
                tracing::error!(job.name = name, job.run_id = %begun.run_id, "a run was given up by another node");
                return;
            }
            () = self.outstay(stopped) => Err(JobFailed("its node was stopped".to_owned())),
        };
        let now = self.clock.now();
        let end = match outcome {
            Ok(processed) => RunEnd::Completed { processed },
            Err(JobFailed(error)) => failed(error, begun.failures, now),
        };
        report(name, &end, Some(started.elapsed()));
        if let Err(error) = self.board.end(begun.run_id, &end, now).await {
            tracing::warn!(job.name = name, %error, "the end of a run was not noted: it is taken for dead and run again");
        }
    }

    /// Keeps the run; resolves once it is lost.
    async fn lose(&self, run_id: JobRunId) {
        loop {
            tokio::time::sleep(self.config.hold_for / 3).await;
            match self.board.keep(run_id, self.clock.now().plus(self.config.hold_for)).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => tracing::warn!(%error, "a run could not be kept"),
            }
        }
    }

    /// Resolves once what is running has had its time after the order to stop.
    async fn outstay(&self, mut stopped: watch::Receiver<bool>) {
        stop_ordered(&mut stopped).await;
        tokio::time::sleep(self.config.stop_within).await;
    }
}

/// What failed is tried again ever more rarely, and each time its timetable says so.
fn failed(error: String, failures_before: u32, now: Timestamp) -> RunEnd {
    let retry_at = now.plus(Schedule::OUTCOME_UNKNOWN.wait(failures_before));
    RunEnd::Failed { error, failures: failures_before.saturating_add(1), retry_at }
}

fn report(job: &'static str, end: &RunEnd, duration: Option<Duration>) {
    match end {
        RunEnd::Completed { processed } => {
            tracing::debug!(job.name = job, job.processed = processed, "a job has run");
            count(job, "completed");
        }
        RunEnd::Failed { error, failures, .. } => {
            tracing::error!(job.name = job, job.failures = failures, error, "a job failed: it is run again");
            count(job, "failed");
        }
    }
    if let Some(duration) = duration {
        metrics::histogram!("job_run_duration_seconds", "job" => job).record(duration);
    }
}

fn count(job: &'static str, outcome: &'static str) {
    metrics::counter!("job_run_total", "job" => job, "outcome" => outcome).increment(1);
}

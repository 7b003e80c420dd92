//! Several nodes with one board, a clock that is moved by hand, and jobs that fail, hang or die with their node.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use adapters::jobs::{MemoryJobBoard, PostgresJobBoard};
use async_trait::async_trait;
use commands::jobs::{Job, JobFailed, Timetable};
use commands::ports::Clock;
use commands::ports::jobs::{JobBoard, JobRun, RunState, Trigger};
use domain::{JobRunId, Timestamp};
use sagas::{Scheduler, SchedulerConfig};
use test_support::manual_clock::ManualClock;
use test_support::postgres::volatile_test_database;
use test_support::wait::until;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use uuid::Uuid;

const MINUTE: Duration = Duration::from_secs(60);
const LIMIT: Duration = Duration::from_secs(30);

fn config() -> SchedulerConfig {
    SchedulerConfig { poll_every: Duration::from_millis(2), ..SchedulerConfig::default() }
}

/// A job of the minute that does what the test wants; nodes share it.
struct Scripted {
    /// A run needs one of them; none are left while the job hangs.
    permits: Semaphore,
    /// How many more runs fail.
    failing: AtomicU64,
    begun: AtomicU64,
    done: AtomicU64,
    /// Runs that neither ended nor were dropped.
    alive: AtomicU64,
}

struct Alive<'a>(&'a AtomicU64);

impl Drop for Alive<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Scripted {
    fn new() -> Arc<Scripted> {
        let (failing, begun, done, alive) = Default::default();
        Arc::new(Scripted { permits: Semaphore::new(1), failing, begun, done, alive })
    }

    fn hang(&self) {
        self.permits.forget_permits(1);
    }

    fn go_on(&self) {
        self.permits.add_permits(1);
    }

    fn counts(&self) -> (u64, u64) {
        (self.begun.load(Ordering::SeqCst), self.done.load(Ordering::SeqCst))
    }
}

#[async_trait]
impl Job for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn timetable(&self) -> Timetable {
        Timetable::every(MINUTE)
    }

    async fn run(&self, _now: Timestamp) -> Result<u64, JobFailed> {
        self.alive.fetch_add(1, Ordering::SeqCst);
        let _alive = Alive(&self.alive);
        self.begun.fetch_add(1, Ordering::SeqCst);
        let _permit = self.permits.acquire().await.unwrap();
        let more = |failing: u64| failing.checked_sub(1);
        if self.failing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).is_ok() {
            return Err(JobFailed("no disk".to_owned()));
        }
        self.done.fetch_add(1, Ordering::SeqCst);
        Ok(7)
    }
}

/// A board, a clock that shows a whole minute, and the job, just after it was entered for the first time.
struct Stage {
    clock: ManualClock,
    board: Arc<dyn JobBoard>,
    job: Arc<Scripted>,
}

/// A running node. Dropped, it dies at once, wherever it is.
struct Node {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Node {
    async fn stop(mut self) {
        self.stop.send(true).unwrap();
        (&mut self.task).await.unwrap();
    }
}

impl Stage {
    async fn with(board: Arc<dyn JobBoard>) -> Stage {
        let clock = ManualClock::default();
        clock.advance(Timetable::every(MINUTE).after(clock.now()).since(clock.now()));
        let stage = Stage { clock, board, job: Scripted::new() };
        stage.scheduler(config()).register().await.unwrap();
        stage
    }

    async fn new() -> Stage {
        Stage::with(Arc::new(MemoryJobBoard::default())).await
    }

    fn scheduler(&self, config: SchedulerConfig) -> Scheduler {
        Scheduler::new(vec![self.job.clone()], self.board.clone(), Arc::new(self.clock.clone()), config)
    }

    fn node_with(&self, config: SchedulerConfig) -> Node {
        let scheduler = self.scheduler(config);
        let (stop, mut stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            scheduler.run(async { drop(stopped.wait_for(|stop| *stop).await) }).await;
        });
        Node { stop, task }
    }

    fn node(&self) -> Node {
        self.node_with(config())
    }

    async fn runs(&self) -> Vec<JobRun> {
        self.board.runs("scripted", 100).await.unwrap()
    }

    async fn until_runs(&self, what: &str, expected: &[RunState]) -> Vec<JobRun> {
        until(what, LIMIT, || async {
            let runs = self.runs().await;
            let states: Vec<RunState> = runs.iter().rev().map(|run| run.state).collect();
            (states == expected).then_some(runs)
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_run_each_slot_once() {
    let database = volatile_test_database().await;
    let stage = Stage::with(Arc::new(PostgresJobBoard::new(database.pool.clone()))).await;
    let _nodes = [stage.node(), stage.node()];
    for slots in 1..=10 {
        stage.clock.advance(MINUTE);
        stage.until_runs("the slot was run", &vec![RunState::Completed; slots]).await;
    }
    assert_eq!(stage.job.counts(), (10, 10));
    let runs = stage.runs().await;
    assert!(runs.iter().all(|run| (run.processed, run.missed, run.trigger) == (Some(7), 0, Trigger::Timetable)));
}

#[tokio::test]
async fn what_was_missed_is_made_up_for_once() {
    let stage = Stage::new().await;
    let _node = stage.node();
    stage.clock.advance(3 * 24 * 60 * MINUTE);
    let runs = stage.until_runs("one run", &[RunState::Completed]).await;
    assert_eq!((runs[0].missed, stage.job.counts()), (3 * 24 * 60 - 1, (1, 1)));
    stage.clock.advance(MINUTE);
    let runs = stage.until_runs("the next slot", &[RunState::Completed; 2]).await;
    assert_eq!(runs[0].missed, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_dies_with_its_node_has_failed_and_is_run_again() {
    let database = volatile_test_database().await;
    let stage = Stage::with(Arc::new(PostgresJobBoard::new(database.pool.clone()))).await;
    stage.job.hang();
    let first = stage.node();
    stage.clock.advance(MINUTE);
    until("it has begun", LIMIT, || async { (stage.job.counts().0 == 1).then_some(()) }).await;
    drop(first);
    until("it is dead", LIMIT, || async { (stage.job.alive.load(Ordering::SeqCst) == 0).then_some(()) }).await;
    stage.job.go_on();
    let _second = stage.node();
    stage.clock.advance(config().hold_for);
    let runs = stage.until_runs("it is taken for dead", &[RunState::Failed]).await;
    assert!(runs[0].error.as_deref().unwrap().contains("its node died"), "{:?}", runs[0]);
    stage.clock.advance(Duration::from_secs(5));
    let runs = stage.until_runs("it is run again", &[RunState::Failed, RunState::Completed]).await;
    assert_eq!((runs[0].trigger, stage.job.counts()), (Trigger::Retry, (2, 1)));
}

#[tokio::test]
async fn what_fails_is_tried_ever_more_rarely_until_it_works() {
    let stage = Stage::new().await;
    let _node = stage.node();
    stage.job.failing.store(2, Ordering::SeqCst);
    stage.clock.advance(MINUTE);
    stage.until_runs("the first failure", &[RunState::Failed]).await;
    stage.clock.advance(Duration::from_secs(5));
    stage.until_runs("the second failure", &[RunState::Failed, RunState::Failed]).await;
    let status = stage.board.find("scripted").await.unwrap().unwrap();
    let retry_at = stage.clock.now().plus(Duration::from_secs(30));
    assert_eq!((status.failures, status.retry_at), (2, Some(retry_at)));
    stage.clock.advance(Duration::from_secs(30));
    stage.until_runs("it works", &[RunState::Failed, RunState::Failed, RunState::Completed]).await;
    let status = stage.board.find("scripted").await.unwrap().unwrap();
    assert_eq!((status.failures, status.retry_at), (0, None));
}

#[tokio::test]
async fn what_is_due_while_it_runs_is_skipped() {
    let stage = Stage::new().await;
    stage.job.hang();
    // Kept in real time, so that the hold does not lapse while the clock is moved by hand.
    let _node = stage.node_with(SchedulerConfig { hold_for: 60 * MINUTE, ..config() });
    stage.clock.advance(MINUTE);
    stage.until_runs("it runs", &[RunState::Running]).await;
    stage.clock.advance(MINUTE);
    stage.until_runs("the next slot is skipped", &[RunState::Running, RunState::Skipped]).await;
    stage.job.go_on();
    stage.until_runs("it ends", &[RunState::Completed, RunState::Skipped]).await;
    stage.clock.advance(MINUTE);
    stage.until_runs("and goes on", &[RunState::Completed, RunState::Skipped, RunState::Completed]).await;
}

#[tokio::test]
async fn a_node_that_was_silent_for_too_long_stops_its_run() {
    let stage = Stage::new().await;
    stage.job.hang();
    let _node = stage.node_with(SchedulerConfig { hold_for: Duration::from_millis(60), ..config() });
    stage.clock.advance(MINUTE);
    let run = stage.until_runs("it runs", &[RunState::Running]).await.remove(0);
    let lapsed = stage.clock.now().plus(Duration::from_secs(1));
    let failed = commands::ports::jobs::RunEnd::Failed { error: "lapsed".to_owned(), failures: 1, retry_at: lapsed };
    assert!(stage.board.give_up(run.run_id, &failed, lapsed).await.unwrap());
    // Whoever waits for a permit is gone, so one permit is enough for the retry.
    stage.clock.advance(2 * Duration::from_secs(1));
    until("it is run again", LIMIT, || async { (stage.job.counts().0 == 2).then_some(()) }).await;
    stage.job.go_on();
    stage.until_runs("one of them ends", &[RunState::Failed, RunState::Completed]).await;
    assert_eq!(stage.job.counts(), (2, 1));
}

#[tokio::test]
async fn a_node_that_is_stopped_ends_its_runs() {
    let stage = Stage::new().await;
    stage.job.hang();
    let node = stage.node_with(SchedulerConfig { stop_within: Duration::from_millis(5), ..config() });
    stage.clock.advance(MINUTE);
    stage.until_runs("it runs", &[RunState::Running]).await;
    node.stop().await;
    let runs = stage.runs().await;
    assert_eq!((runs[0].state, runs[0].error.as_deref()), (RunState::Failed, Some("its node was stopped")));
}

#[tokio::test]
async fn what_a_person_asks_for_is_run_out_of_turn() {
    let stage = Stage::new().await;
    let _node = stage.node();
    let run_id = JobRunId::from_uuid(Uuid::now_v7());
    stage.board.request("scripted", run_id, "ada", stage.clock.now()).await.unwrap().unwrap();
    let runs = stage.until_runs("it is run", &[RunState::Completed]).await;
    assert_eq!((runs[0].run_id, runs[0].trigger), (run_id, Trigger::Request));
    stage.clock.advance(MINUTE);
    stage.until_runs("its slot is not used up", &[RunState::Completed; 2]).await;
}

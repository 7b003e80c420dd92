//! Feeds one generation of a projection under its lease: batch after batch, and when a build has caught up, into the
//! place of the live one. Knows no read model.

use std::sync::Arc;
use std::time::{Duration, Instant};

use commands::ports::{RecordedEvent, StoreError, StreamId};
use commands::trace;
use tokio::sync::watch;
use uuid::Uuid;

use crate::batch::{Batch, Writer};
use crate::checkpoint::{Acquired, Checkpoint, Lease, Lost};
use crate::database::begin;
use crate::generation::{self, Generation, Standing, hold_live, promote};
use crate::parking::{self, Parked, ParkedStream};
use crate::poison::poison;
use crate::runner::retry_after;
use crate::{ApplyError, Projection, Runner, status};

const STREAM_PAGE: usize = 1_000;
/// Events that a build may lack when it takes the live one's place, which stands still until it has folded them.
const MISSING_MAX: usize = 5_000;
/// How often a runner looks for events, or for a free lease, that nobody told it of.
const POLL_EVERY: Duration = Duration::from_secs(1);
/// The live one stands still while the next one takes its place: not for long.
const BEGIN_CHANGE: &str = "BEGIN; SET LOCAL synchronous_commit = off; SET LOCAL lock_timeout = '5s'; \
                            SET LOCAL idle_in_transaction_session_timeout = '5s'";

#[derive(Debug, thiserror::Error)]
pub(crate) enum Interrupted {
    #[error(transparent)]
    Lost(#[from] Lost),
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// What may not be left out waits for a program that can fold it.
    #[error("it stands still before the event at {position}: {error}")]
    StandsStill { position: u64, error: String },
    #[error("so many streams are parked that the program must be at fault, and not the events")]
    TooManyParked,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    #[error("the database does not answer")]
    TooSlow,
}

/// One generation on this node.
pub(crate) struct Feeder {
    projection: Arc<dyn Projection>,
    generation: Generation,
    /// Of this task alone.
    owner: Uuid,
    runner: Runner,
    stop: watch::Receiver<bool>,
}

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Applied,
    /// Nothing is left to do.
    CaughtUp,
}

impl Feeder {
    pub(crate) fn new(
        projection: Arc<dyn Projection>,
        generation: Generation,
        runner: &Runner,
        stop: watch::Receiver<bool>,
    ) -> Feeder {
        Feeder { projection, generation, owner: Uuid::new_v4(), runner: runner.clone(), stop }
    }

    /// Ends when the runner stops or the generation is not fed any more.
    pub(crate) async fn run(mut self) {
        let mut failures = 0;
        while !*self.stop.borrow() {
            match self.take_turn().await {
                Ok(true) => failures = 0,
                Ok(false) => break,
                Err(Interrupted::Lost(_)) => failures = 0,
                Err(error) => {
                    failures += 1;
                    self.warn(&error);
                    self.pause(retry_after(failures)).await;
                }
            }
        }
    }

    /// Feeds the generation if its lease is to be had, until it is lost or the runner stops. `false` if the generation
    /// is not fed any more.
    async fn take_turn(&mut self) -> Result<bool, Interrupted> {
        let pool = self.runner.pool.clone();
        let (lease, at) = match Lease::acquire(&pool, self.generation, self.owner).await? {
            Acquired::Lease(lease, at) => (lease, at),
            Acquired::Held => {
                status::report_lag(&pool, self.generation.name, self.runner.store.head().await?).await?;
                self.pause(POLL_EVERY).await;
                return Ok(true);
            }
            Acquired::Gone => return Ok(false),
        };
        let parked = Parked::load(&mut *pool.acquire().await?, self.generation).await?;
        let (projection, runner, stop) = (self.projection.clone(), self.runner.clone(), self.stop.clone());
        let mut turn =
            Turn { projection, runner: &runner, lease: &lease, stop, parked, at, has_indexes: false, failures: 0 };
        turn.greet();
        tokio::select! {
            fed = turn.feed() => fed?,
            lost = lease.keep(&pool) => return Err(lost.into()),
        }
        lease.release(&pool).await?;
        Ok(true)
    }

    async fn pause(&mut self, duration: Duration) {
        tokio::select! {
            () = tokio::time::sleep(duration) => {}
            _ = self.stop.changed() => {}
        }
    }

    fn warn(&self, error: &Interrupted) {
        tracing::warn!(projection = self.generation.name, %error, "the projection does not go on");
    }
}

/// What the holder of a lease knows.
struct Turn<'a> {
    projection: Arc<dyn Projection>,
    runner: &'a Runner,
    lease: &'a Lease,
    stop: watch::Receiver<bool>,
    parked: Parked,
    at: Checkpoint,
    /// A build makes them when it has caught up.
    has_indexes: bool,
    failures: u32,
}

impl Turn<'_> {
    /// A new program may know what an older one did not: what waits is tried again.
    fn greet(&mut self) {
        self.at.retry_requested |= !self.parked.is_empty();
        self.publish();
    }

    async fn feed(&mut self) -> Result<(), Interrupted> {
        let mut head = self.runner.store.watch_head();
        while !*self.stop.borrow() {
            match self.step().await {
                Ok(Step::Applied) => {
                    self.failures = 0;
                    self.measure(head.borrow().saturating_sub(self.at.position));
                }
                Ok(Step::CaughtUp) => {
                    self.lease.settle(&self.runner.pool).await?;
                    self.measure(0);
                    self.wait_for_events(&mut head).await;
                    self.at = self.lease.checkpoint(&self.runner.pool).await??;
                }
                Err(Interrupted::Lost(lost)) => return Err(lost.into()),
                Err(error) => self.stand_still(&error).await?,
            }
        }
        Ok(())
    }

    async fn step(&mut self) -> Result<Step, Interrupted> {
        if self.at.retry_requested {
            self.retry().await?;
            return Ok(Step::Applied);
        }
        let (from, pages) = (self.at.position, self.runner.pages.clone());
        let page = pages.behind(from).await?;
        let Some(last) = page.behind(from).last() else {
            let took_place = self.at.standing == Standing::Building && self.finish().await?;
            return Ok(if took_place { Step::Applied } else { Step::CaughtUp });
        };
        let events = page.behind(from).iter().filter(|event| self.projection.folds(&event.stream.category)).collect();
        self.write(Batch { from, to: last.position, caught_up: page.is_last, events }).await?;
        Ok(Step::Applied)
    }

    async fn write(&mut self, batch: Batch<'_>) -> Result<(), Interrupted> {
        let started = Instant::now();
        let name = self.lease.generation.name;
        let _traced = trace::spans_of(&batch.events, |event| {
            tracing::info_span!("projection.event", projection = name, event.position, event.event_type)
        });
        let mut parked = std::mem::take(&mut self.parked);
        let written = self.writer().write(batch, &mut parked).await;
        self.parked = parked;
        self.at = written?;
        self.publish();
        metrics::histogram!("projection_batch_duration_seconds", "projection" => name).record(started.elapsed());
        Ok(())
    }

    fn writer(&self) -> Writer<'_> {
        Writer {
            pool: &self.runner.pool,
            projection: self.projection.as_ref(),
            lease: self.lease,
            within: self.runner.batch_within,
        }
    }

    /// What is left to do of a build that has caught up. `false` if that is for later.
    async fn finish(&mut self) -> Result<bool, Interrupted> {
        if !self.has_indexes {
            generation::create_indexes(&self.runner.pool, self.projection.as_ref(), self.lease.generation).await?;
            self.has_indexes = true;
            return Ok(true);
        }
        self.take_place().await
    }

    /// Puts a build that has caught up in the place of the live one, which stands still until this is committed: from
    /// one query to the next, nobody sees an older position. `false` if that is for later.
    async fn take_place(&mut self) -> Result<bool, Interrupted> {
        // Reading takes a second connection: if all took their first at once, none would get it.
        let _turn = self.runner.changes.lock().await;
        let mut transaction = begin(&self.runner.pool, BEGIN_CHANGE).await?;
        let Some(live) = hold_live(&mut transaction, self.lease.generation.name).await? else { return Ok(false) };
        let missing = usize::try_from(live.position.saturating_sub(self.at.position)).unwrap_or(usize::MAX);
        let parked_in_live = Parked::load(&mut transaction, live.generation).await?.len();
        let is_worse = live.version == self.projection.version() && self.parked.len() > parked_in_live;
        if missing > MISSING_MAX || is_worse {
            return Ok(false);
        }
        let events = self.runner.store.read_all(self.at.position, missing).await?;
        let reached = events.last().map_or(self.at.position, |event| event.position);
        if reached < live.position {
            return Ok(false);
        }
        let mut events: Vec<&RecordedEvent> =
            events.iter().filter(|event| self.projection.folds(&event.stream.category)).collect();
        let additions = self.parked.hold_back(&mut events);
        match self.writer().apply(&mut transaction, &events).await {
            // It is parked with the next batch.
            Err(error) if poison(&error).is_some() => return Ok(false),
            applied => applied?,
        }
        additions.store(&mut transaction, self.lease.generation).await?;
        self.lease.advance(&mut transaction, self.at.position, reached, true).await??;
        if !promote(&mut transaction, self.lease).await? {
            return Err(Lost.into());
        }
        transaction.commit().await?;
        self.at = Checkpoint { position: reached, standing: Standing::Live, ..self.at };
        self.publish();
        tracing::info!(
            projection = self.lease.generation.name,
            projection.generation = self.lease.generation.number,
            projection.position = reached,
            "a rebuilt read model serves now"
        );
        Ok(true)
    }

    /// Tries the parked streams again, each by itself. What stands still is tried again in any case.
    async fn retry(&mut self) -> Result<(), Interrupted> {
        let (pool, generation) = (&self.runner.pool, self.lease.generation);
        let parked = parking::list(&mut *pool.acquire().await?, generation.name, generation.number).await?;
        for stream in &parked {
            let waiting = self.waiting(stream).await?;
            let waiting: Vec<&RecordedEvent> = waiting.iter().collect();
            self.writer().retry(stream, &waiting, self.at.position).await?;
        }
        self.parked = Parked::load(&mut *pool.acquire().await?, generation).await?;
        self.lease.retried(&mut *pool.acquire().await?).await??;
        self.at.retry_requested = false;
        Ok(())
    }

    /// The stream's events that wait, up to the checkpoint.
    async fn waiting(&self, stream: &ParkedStream) -> Result<Vec<RecordedEvent>, StoreError> {
        let id = StreamId::new(stream.category.clone(), stream.id.clone());
        let (mut waiting, mut after) = (vec![], stream.version - 1);
        loop {
            let events = self.runner.store.read_stream(&id, after, STREAM_PAGE).await?;
            let read = events.len();
            after = events.last().map_or(after, |event| event.version);
            waiting.extend(events.into_iter().filter(|event| event.position <= self.at.position));
            if read < STREAM_PAGE {
                return Ok(waiting);
            }
        }
    }

    async fn stand_still(&mut self, error: &Interrupted) -> Result<(), Interrupted> {
        self.failures += 1;
        tracing::error!(projection = self.lease.generation.name, %error, "the projection does not go on");
        // What was read may be what is wrong.
        self.runner.pages.forget();
        self.lease.stop(&self.runner.pool, &error.to_string()).await?;
        tokio::select! {
            () = tokio::time::sleep(retry_after(self.failures)) => {}
            _ = self.stop.changed() => {}
        }
        self.parked = Parked::load(&mut *self.runner.pool.acquire().await?, self.lease.generation).await?;
        self.at = self.lease.checkpoint(&self.runner.pool).await??;
        Ok(())
    }

    async fn wait_for_events(&mut self, head: &mut watch::Receiver<u64>) {
        let position = self.at.position;
        let news = async {
            if head.wait_for(|head| *head > position).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = news => {}
            () = tokio::time::sleep(POLL_EVERY) => {}
            _ = self.stop.changed() => {}
        }
    }

    /// Tells the queries of this process, which read the live one.
    fn publish(&self) {
        if self.at.standing == Standing::Live {
            self.runner.progress.publish(self.lease.generation.name, self.at.position);
        }
    }

    fn measure(&self, lag: u64) {
        if self.at.standing == Standing::Live {
            status::lag_gauge(self.lease.generation.name, lag);
            status::parked_gauge(self.lease.generation.name, self.parked.len());
        }
    }
}

//! Feeds the projections: each in a task of its own, under a lease, batch by batch, each batch and its checkpoint in
//! one transaction. Knows no read model.

use std::sync::Arc;
use std::time::{Duration, Instant};

use commands::ports::{EventStore, StoreError};
use commands::trace;
use sqlx::PgPool;
use tokio::sync::watch;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::checkpoint::{Lease, Lost};
use crate::database::begin;
use crate::rebuild::{RebuildError, ensure};
use crate::{ApplyError, Progress, Projection, status};

/// Events read and applied at once.
const PAGE: usize = 2_000;
/// How often a runner looks for events, or for a free lease, that nobody told it of.
const POLL_EVERY: Duration = Duration::from_secs(1);
const RETRY_AFTER: Duration = Duration::from_millis(250);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(10);
/// A batch takes milliseconds; one that takes this long hangs on a connection whose other end is gone.
const BATCH_WITHIN: Duration = Duration::from_secs(30);

/// The checkpoint decides what survives a crash of Postgres, so a batch need not wait for the disk. A process that
/// is paused in the middle of a batch must not keep its rows locked from its successor.
const BEGIN: &str = "BEGIN; SET LOCAL synchronous_commit = off; SET LOCAL idle_in_transaction_session_timeout = '5s'";

/// What it takes to run projections. Any number of runners may run side by side.
#[derive(Clone)]
pub struct Runner {
    pool: PgPool,
    store: Arc<dyn EventStore>,
    progress: Progress,
    batch_within: Duration,
}

/// Running projections. Dropped, they stop wherever they are, which loses nothing.
pub struct Running {
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Runner {
    pub fn new(pool: PgPool, store: Arc<dyn EventStore>, progress: Progress) -> Runner {
        Runner { pool, store, progress, batch_within: BATCH_WITHIN }
    }

    /// Gives a batch up that takes longer, and begins it again.
    pub fn with_batch_within(self, batch_within: Duration) -> Runner {
        Runner { batch_within, ..self }
    }

    /// Starts a task for each projection.
    pub fn start(&self, projections: Vec<Arc<dyn Projection>>) -> Running {
        let stop = watch::Sender::new(false);
        let mut tasks = JoinSet::new();
        for projection in projections {
            let feeder = Feeder { projection, owner: Uuid::new_v4(), runner: self.clone(), stop: stop.subscribe() };
            tasks.spawn(feeder.run());
        }
        Running { tasks, stop }
    }
}

impl Running {
    /// Ends after the batches that are under way, and leaves the leases to other nodes.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

#[derive(Debug, thiserror::Error)]
enum Interrupted {
    #[error(transparent)]
    Lost(#[from] Lost),
    #[error(transparent)]
    Apply(#[from] ApplyError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Rebuild(#[from] RebuildError),
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    #[error("the database does not answer")]
    TooSlow,
}

/// One projection on this node.
struct Feeder {
    projection: Arc<dyn Projection>,
    /// Of this task alone.
    owner: Uuid,
    runner: Runner,
    stop: watch::Receiver<bool>,
}

impl Feeder {
    async fn run(mut self) {
        let mut failures = 0;
        while !*self.stop.borrow() {
            match self.take_turn().await {
                Ok(()) | Err(Interrupted::Lost(_)) => failures = 0,
                Err(error) => {
                    failures += 1;
                    self.warn(&error);
                    self.pause(retry_after(failures)).await;
                }
            }
        }
    }

    /// Feeds the projection if its lease is to be had, until it is lost or the runner stops.
    async fn take_turn(&mut self) -> Result<(), Interrupted> {
        let (pool, projection) = (self.runner.pool.clone(), self.projection.clone());
        ensure(&pool, projection.as_ref()).await?;
        let Some((lease, position)) = Lease::acquire(&pool, projection.as_ref(), self.owner).await? else {
            status::report_lag(&pool, projection.name(), self.runner.store.head().await?).await?;
            self.pause(POLL_EVERY).await;
            return Ok(());
        };
        self.runner.progress.publish(projection.name(), position);
        tokio::select! {
            fed = self.feed(&lease, position) => fed?,
            lost = lease.keep(&pool) => return Err(lost.into()),
        }
        lease.release(&pool).await?;
        Ok(())
    }

    async fn feed(&mut self, lease: &Lease, mut position: u64) -> Result<(), Interrupted> {
        let mut head = self.runner.store.watch_head();
        let mut failures = 0;
        while !*self.stop.borrow() {
            let applied = tokio::time::timeout(self.runner.batch_within, self.apply_page(lease, position)).await;
            match applied.unwrap_or(Err(Interrupted::TooSlow)) {
                Ok(Some(reached)) => {
                    failures = 0;
                    position = reached;
                    status::lag_gauge(lease.name, head.borrow().saturating_sub(position));
                }
                Ok(None) => {
                    lease.settle(&self.runner.pool).await?;
                    status::lag_gauge(lease.name, 0);
                    self.wait_for_events(&mut head, position).await;
                    position = lease.position(&self.runner.pool).await??;
                }
                Err(Interrupted::Lost(lost)) => return Err(lost.into()),
                Err(error) => {
                    failures += 1;
                    self.warn(&error);
                    lease.stop(&self.runner.pool, &error.to_string()).await?;
                    self.pause(retry_after(failures)).await;
                    position = lease.position(&self.runner.pool).await??;
                }
            }
        }
        Ok(())
    }

    /// Applies what follows `position` and returns the position reached; `None` if nothing follows.
    async fn apply_page(&self, lease: &Lease, position: u64) -> Result<Option<u64>, Interrupted> {
        let mut page = self.runner.store.read_all(position, PAGE).await?;
        let Some(reached) = page.last().map(|event| event.position) else { return Ok(None) };
        let caught_up = page.len() < PAGE;
        page.retain(|event| self.projection.categories().contains(&event.stream.category.as_ref()));

        let started = Instant::now();
        let _traced = trace::spans_of(&page, |event| {
            tracing::info_span!("projection.event", projection = lease.name, event.position, event.event_type)
        });
        let mut transaction = begin(&self.runner.pool, BEGIN).await?;
        if !page.is_empty() {
            self.projection.apply(&mut transaction, &page).await?;
        }
        lease.advance(&mut transaction, position, reached, caught_up).await??;
        transaction.commit().await?;
        self.runner.progress.publish(lease.name, reached);
        metrics::histogram!("projection_batch_duration_seconds", "projection" => lease.name).record(started.elapsed());
        Ok(Some(reached))
    }

    async fn wait_for_events(&mut self, head: &mut watch::Receiver<u64>, position: u64) {
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

    async fn pause(&mut self, duration: Duration) {
        tokio::select! {
            () = tokio::time::sleep(duration) => {}
            _ = self.stop.changed() => {}
        }
    }

    fn warn(&self, error: &Interrupted) {
        tracing::warn!(projection = self.projection.name(), error = %error, "the projection does not go on");
    }
}

fn retry_after(failures: u32) -> Duration {
    RETRY_AFTER.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(RETRY_AFTER_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_slow_down_up_to_a_limit() {
        let table = [(1, 250), (2, 500), (3, 1_000), (6, 8_000), (7, 10_000), (u32::MAX, 10_000)];
        for (failures, milliseconds) in table {
            assert_eq!(retry_after(failures), Duration::from_millis(milliseconds), "{failures}");
        }
    }
}

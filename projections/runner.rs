//! Runs the projections of this node: looks which generations of each there are, and has each fed by a task of its own.
//! Knows no read model.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use commands::ports::EventStore;
use sqlx::PgPool;
use tokio::sync::{Mutex, watch};
use tokio::task::{Id, JoinSet};

use crate::feeder::Feeder;
use crate::generation::{Generation, Standing};
use crate::pages::Pages;
use crate::rebuild::{RebuildError, ensure, tidy_up};
use crate::{Progress, Projection};

/// How often a node looks for generations that others have made.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often it drops those that nobody needs any more.
const TIDY_EVERY: Duration = Duration::from_secs(30);
const RETRY_AFTER: Duration = Duration::from_millis(250);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(10);
/// A batch takes milliseconds; one that takes this long hangs on a connection whose other end is gone.
const BATCH_WITHIN: Duration = Duration::from_secs(30);

/// What it takes to run projections. Any number of runners may run side by side.
#[derive(Clone)]
pub struct Runner {
    pub(crate) pool: PgPool,
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) pages: Pages,
    pub(crate) progress: Progress,
    pub(crate) batch_within: Duration,
    /// Held by the one build that changes places.
    pub(crate) changes: Arc<Mutex<()>>,
}

/// Running projections. Dropped, they stop wherever they are, which loses nothing.
pub struct Running {
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Runner {
    pub fn new(pool: PgPool, store: Arc<dyn EventStore>, progress: Progress) -> Runner {
        Runner {
            pool,
            pages: Pages::of(store.clone()),
            store,
            progress,
            batch_within: BATCH_WITHIN,
            changes: Arc::default(),
        }
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
            let keeper = Keeper {
                projection,
                runner: self.clone(),
                stop: stop.subscribe(),
                feeders: JoinSet::new(),
                fed: HashMap::new(),
                tidied: None,
            };
            tasks.spawn(keeper.run());
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

/// One projection on this node, and the tasks that feed its generations.
struct Keeper {
    projection: Arc<dyn Projection>,
    runner: Runner,
    stop: watch::Receiver<bool>,
    feeders: JoinSet<()>,
    fed: HashMap<Id, Generation>,
    tidied: Option<Instant>,
}

impl Keeper {
    async fn run(mut self) {
        let mut failures = 0;
        while !*self.stop.borrow() {
            match self.look_after().await {
                Ok(()) => {
                    failures = 0;
                    self.pause(LOOK_EVERY).await;
                }
                Err(error) => {
                    failures += 1;
                    tracing::warn!(projection = self.projection.name(), %error, "the projection cannot be set up");
                    self.pause(retry_after(failures)).await;
                }
            }
        }
        while self.feeders.join_next().await.is_some() {}
    }

    async fn look_after(&mut self) -> Result<(), RebuildError> {
        let (pool, projection) = (&self.runner.pool, self.projection.as_ref());
        for stored in ensure(pool, projection).await? {
            let is_ours = stored.version == projection.version() && stored.standing != Standing::Shadow;
            if is_ours && !self.fed.values().any(|fed| *fed == stored.generation) {
                let feeder = Feeder::new(self.projection.clone(), stored.generation, &self.runner, self.stop.clone());
                self.fed.insert(self.feeders.spawn(feeder.run()).id(), stored.generation);
            }
        }
        if self.tidied.is_none_or(|tidied| tidied.elapsed() >= TIDY_EVERY) {
            tidy_up(pool, projection.name()).await?;
            self.tidied = Some(Instant::now());
        }
        Ok(())
    }

    async fn pause(&mut self, duration: Duration) {
        tokio::select! {
            () = tokio::time::sleep(duration) => {}
            // However it ended: if its generation is still to be fed, another one begins.
            Some(ended) = self.feeders.join_next_with_id() => {
                self.fed.remove(&ended.map_or_else(|error| error.id(), |(id, ())| id));
            }
            _ = self.stop.changed() => {}
        }
    }
}

pub(crate) fn retry_after(failures: u32) -> Duration {
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

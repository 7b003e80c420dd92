//! Read models on a Postgres of their own, fed from a log in memory.

use std::sync::Arc;
use std::time::Duration;

use adapters::event_store::MemoryEventStore;
use commands::ports::EventStore;
use projections::{Progress, Projection, Reader, RebuildProgress, Runner, Running, Snapshot};

use crate::{TestDatabase, volatile_test_database, wait};

/// A busy machine may take its time.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct ReadModels {
    pub database: TestDatabase,
    pub store: Arc<MemoryEventStore>,
    pub progress: Progress,
    pub reader: Reader,
}

impl ReadModels {
    /// Nothing runs yet.
    pub async fn new() -> ReadModels {
        ReadModels::over(MemoryEventStore::default()).await
    }

    pub async fn over(store: MemoryEventStore) -> ReadModels {
        let database = volatile_test_database().await;
        let progress = Progress::default();
        let reader = Reader::new(database.pool.clone(), progress.clone());
        ReadModels { database, store: Arc::new(store), progress, reader }
    }

    pub fn start(&self, projections: Vec<Arc<dyn Projection>>) -> Running {
        Runner::new(self.database.pool.clone(), self.store.clone(), self.progress.clone()).start(projections)
    }

    /// A runner as it would run in another process: nothing is shared but the database and the log.
    pub fn start_elsewhere(&self, projections: Vec<Arc<dyn Projection>>) -> Running {
        Runner::new(self.database.pool.clone(), self.store.clone(), Progress::default()).start(projections)
    }

    /// A view of `projections` that has seen everything appended so far.
    pub async fn view(&self, projections: &[&dyn Projection]) -> Snapshot {
        let head = self.store.head().await.expect("the log in memory has a head");
        let view = self.reader.at_least(projections, Some(head), PATIENCE).await;
        view.expect("the projections catch up")
    }

    /// The schema of the generation of `name` that serves.
    pub async fn schema(&self, name: &str) -> String {
        let live = "SELECT format('rm_%s_%s', name, generation) FROM projections WHERE name = $1 AND standing = 'live'";
        let schema = sqlx::query_scalar(live).bind(name).fetch_one(&self.database.pool).await;
        schema.expect("a runner has made the tables")
    }

    /// Waits until no other generation of `name` is being built.
    pub async fn rebuilt(&self, name: &str) {
        wait::until("the rebuild serves", PATIENCE, async || {
            let progress = projections::rebuild_progress(&self.database.pool, name).await.expect("a database");
            (progress == RebuildProgress::Done).then_some(())
        })
        .await;
    }

    /// [`ReadModels::view`] of all of them.
    pub async fn view_all(&self) -> Snapshot {
        let all = projections::all();
        self.view(&all.iter().map(AsRef::as_ref).collect::<Vec<_>>()).await
    }
}

//! The log on Postgres. Reads go through the shared pool; commands go through one appender task with a connection of
//! its own, so that no query can starve them. How a batch becomes durable stands in `postgres/appender.rs`.

mod append;
mod appender;
pub mod audit;
mod cache;
mod connection;
mod follow;
mod locked;
mod needed;
mod rows;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use commands::ports::{
    Category, Clock, EventStore, Receipt, RecordedEvent, Request, StoreError, StreamId, StreamState,
};
use sqlx::PgPool;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;
use uuid::Uuid;

use appender::{Appender, Queued};
use cache::StateCache;
use rows::{event_of, position_of, receipt_of};

/// Bounds of one store.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// Commands that may wait; one more is refused at once.
    pub queue_max: usize,
    /// Commands that share one commit.
    pub batch_max: usize,
    /// Streams whose folded state is kept in memory.
    pub cached_streams_max: usize,
    /// Receipts kept in memory, so that a quick repeat costs no round trip.
    pub recent_receipts_max: usize,
    /// How long a caller waits. The appender goes on finding out what became of the command.
    pub answer_within: Duration,
    /// How long one attempt to store a batch may take before its connection is given up.
    pub attempt_within: Duration,
    /// How often the head is asked for when no notification comes.
    pub poll_every: Duration,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        PostgresOptions {
            queue_max: 10_000,
            batch_max: 1_000,
            cached_streams_max: 16_384,
            recent_receipts_max: 16_384,
            answer_within: Duration::from_secs(10),
            attempt_within: Duration::from_secs(15),
            poll_every: Duration::from_secs(1),
        }
    }
}

/// Dropping it ends its tasks; what was acknowledged stays.
pub struct PostgresEventStore {
    pool: PgPool,
    queue: mpsc::Sender<Queued>,
    states: Arc<StateCache>,
    head: watch::Sender<u64>,
    answer_within: Duration,
    follower: AbortHandle,
}

impl PostgresEventStore {
    /// Starts the appender and the follower of the log in `pool`'s database. Both connect when they have to, and again
    /// when they must; nothing is asked of the database here.
    pub fn start(pool: PgPool, clock: Arc<dyn Clock>, options: PostgresOptions) -> PostgresEventStore {
        let (queue, arriving) = mpsc::channel(options.queue_max);
        let head = watch::Sender::new(0);
        let states = Arc::new(StateCache::new(options.cached_streams_max));
        let connecting = pool.connect_options();
        let follower = follow::spawn(&connecting, head.clone(), options.poll_every);
        let answer_within = options.answer_within;
        let appender = Appender::new(arriving, &connecting, states.clone(), head.clone(), clock, &options);
        tokio::spawn(appender.run());
        PostgresEventStore { pool, queue, states, head, answer_within, follower }
    }

    async fn stream_events(
        &self,
        stream: &StreamId,
        after_version: u64,
        limit: u64,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        let rows = sqlx::query(rows::READ_STREAM)
            .bind(stream.category.as_ref())
            .bind(&stream.id)
            .bind(position_of(after_version))
            .bind(position_of(limit))
            .fetch_all(&self.pool)
            .await;
        rows.map_err(unavailable)?.iter().map(event_of).collect()
    }

    /// The stream folded from its newest event, which tells all.
    async fn newest(&self, category: Category, id: &str) -> Result<StreamState, StoreError> {
        let statement = sqlx::query(rows::READ_NEWEST_OF_STREAM).bind(category.name).bind(id);
        let row = statement.fetch_optional(&self.pool).await.map_err(unavailable)?;
        let Some(event) = row.as_ref().map(event_of).transpose()? else { return Ok(category.empty()) };
        let folded = category.apply_recorded(&category.before(&event), &event);
        folded.map_err(|error| StoreError::Corrupt(error.to_string()))
    }

    /// Folds what lies between the cached state and `version`; nothing is read if the cache holds just that.
    async fn fold(&self, category: Category, id: &str, version: Option<u64>) -> Result<StreamState, StoreError> {
        let stream = category.stream(id);
        let cached = self.states.get(&stream).filter(|cached| version.is_none_or(|version| cached.version <= version));
        let base = cached.unwrap_or_else(|| category.empty());
        let missing = version.map_or(u64::MAX, |version| version - base.version);
        if missing == 0 {
            return Ok(base);
        }
        let events = self.stream_events(&stream, base.version, missing).await?;
        let folded = events.iter().try_fold(base, |state, event| category.apply_recorded(&state, event));
        folded.map_err(|error| StoreError::Corrupt(error.to_string()))
    }
}

impl Drop for PostgresEventStore {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

#[async_trait]
impl EventStore for PostgresEventStore {
    async fn execute(&self, request: Request) -> Result<Receipt, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.queue.try_send(Queued::new(request, answer)).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => StoreError::Unavailable("too many commands are waiting".to_owned()),
            mpsc::error::TrySendError::Closed(_) => StoreError::Unavailable("the appender has stopped".to_owned()),
        })?;
        match tokio::time::timeout(self.answer_within, answered).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(StoreError::Unavailable("the appender has stopped".to_owned())),
            Err(_) => Err(StoreError::Unavailable(format!("no answer within {:?}", self.answer_within))),
        }
    }

    async fn load(&self, category: Category, id: &str) -> Result<StreamState, StoreError> {
        if category.newest_event_tells_all {
            return self.newest(category, id).await;
        }
        self.fold(category, id, None).await
    }

    async fn load_many(&self, category: Category, ids: &[String]) -> Result<Vec<StreamState>, StoreError> {
        let wanted = ids.iter().map(|id| (category.stream(id), category)).collect();
        let mut connection = self.pool.acquire().await.map_err(unavailable)?;
        let loaded = locked::load(&mut connection, wanted).await;
        let loaded = loaded.map_err(|setback| StoreError::Unavailable(format!("{setback:?}")))?;
        drop(connection);
        let folded = |id: &String| loaded.get(&category.stream(id)).cloned().unwrap_or_else(|| Ok(category.empty()));
        ids.iter().map(|id| folded(id).map_err(StoreError::Corrupt)).collect()
    }

    async fn load_at(&self, category: Category, id: &str, version: u64) -> Result<StreamState, StoreError> {
        self.fold(category, id, Some(version)).await
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        after_version: u64,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        self.stream_events(stream, after_version, limit as u64).await
    }

    async fn read_all(&self, after: u64, limit: usize) -> Result<Vec<RecordedEvent>, StoreError> {
        let rows = sqlx::query(rows::READ_ALL)
            .bind(position_of(after))
            .bind(position_of(limit as u64))
            .fetch_all(&self.pool)
            .await;
        rows.map_err(unavailable)?.iter().map(event_of).collect()
    }

    async fn find_command(&self, command_id: Uuid) -> Result<Option<Receipt>, StoreError> {
        let row = sqlx::query(rows::FIND_COMMANDS).bind([command_id]).fetch_optional(&self.pool).await;
        row.map_err(unavailable)?.as_ref().map(receipt_of).transpose()
    }

    async fn head(&self) -> Result<u64, StoreError> {
        let newest = sqlx::query_scalar(rows::NEWEST_POSITION).fetch_one(&self.pool).await;
        rows::unsigned(newest.map_err(unavailable)?)
    }

    fn watch_head(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }
}

fn unavailable(error: sqlx::Error) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

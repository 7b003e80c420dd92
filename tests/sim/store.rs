//! A node's line to the event store: slow, and losing answers. The log behind it is the real one in memory, which
//! survives every node.

use std::sync::Arc;

use adapters::event_store::MemoryEventStore;
use async_trait::async_trait;
use commands::ports::{Category, EventStore, Receipt, RecordedEvent, Request, StoreError, StreamId, StreamState};
use tokio::sync::watch;
use uuid::Uuid;

use crate::canary::Tampering;
use crate::weather::{Fate, Weather};

pub struct StoreLine {
    log: MemoryEventStore,
    weather: Weather,
    tampering: Arc<Tampering>,
}

fn lost() -> StoreError {
    StoreError::Unavailable("the line was cut".to_owned())
}

impl StoreLine {
    pub fn new(log: MemoryEventStore, weather: Weather, tampering: Arc<Tampering>) -> StoreLine {
        StoreLine { log, weather, tampering }
    }

    async fn read<T>(&self, read: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        if self.weather.there().await != Fate::Arrives {
            return Err(lost());
        }
        read.await
    }
}

#[async_trait]
impl EventStore for StoreLine {
    async fn execute(&self, request: Request) -> Result<Receipt, StoreError> {
        let fate = self.weather.there().await;
        if fate == Fate::LostBefore {
            return Err(lost());
        }
        let request = self.tampering.with_request(request);
        let answer = self.tampering.execute(&self.log, request).await;
        self.weather.back().await;
        if fate == Fate::LostAfter { Err(lost()) } else { answer }
    }

    async fn load(&self, category: Category, id: &str) -> Result<StreamState, StoreError> {
        self.read(self.log.load(category, id)).await
    }

    async fn load_at(&self, category: Category, id: &str, version: u64) -> Result<StreamState, StoreError> {
        self.read(self.log.load_at(category, id, version)).await
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        after_version: u64,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        self.read(self.log.read_stream(stream, after_version, limit)).await
    }

    async fn read_all(&self, after: u64, limit: usize) -> Result<Vec<RecordedEvent>, StoreError> {
        self.read(self.log.read_all(after, limit)).await
    }

    async fn find_command(&self, command_id: Uuid) -> Result<Option<Receipt>, StoreError> {
        self.read(self.log.find_command(command_id)).await
    }

    async fn head(&self) -> Result<u64, StoreError> {
        self.read(self.log.head()).await
    }

    fn watch_head(&self) -> watch::Receiver<u64> {
        self.log.watch_head()
    }
}

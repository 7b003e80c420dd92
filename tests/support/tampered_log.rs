//! A log some of whose events read otherwise than they were written, until they are mended: how a newer program, a bug
//! of an older one or damage would look to whoever reads it.

use std::collections::HashMap;

use adapters::event_store::MemoryEventStore;
use async_trait::async_trait;
use commands::ports::{Category, EventStore, Receipt, RecordedEvent, Request, StoreError, StreamId, StreamState};
use parking_lot::Mutex;
use tokio::sync::watch;
use uuid::Uuid;

pub type Tamper = fn(&mut RecordedEvent);

pub struct TamperedLog {
    log: MemoryEventStore,
    tampers: Mutex<HashMap<u64, Tamper>>,
    /// Where it seems to end, and to how many more who ask for what lies behind.
    end: Mutex<(u64, u32)>,
}

impl TamperedLog {
    pub fn over(log: &MemoryEventStore) -> TamperedLog {
        TamperedLog { log: log.clone(), tampers: Mutex::default(), end: Mutex::default() }
    }

    /// From now on the event at `position` reads as `tamper` leaves it.
    pub fn tamper(&self, position: u64, tamper: Tamper) {
        self.tampers.lock().insert(position, tamper);
    }

    /// Seems to end at `position` to the next so many who ask for what lies behind it, as to one who read a moment too
    /// early.
    pub fn end_at(&self, position: u64, times: u32) {
        *self.end.lock() = (position, times);
    }

    /// Cuts off what does not seem to be there yet.
    fn cut(&self, after: u64, events: &mut Vec<RecordedEvent>) {
        let mut end = self.end.lock();
        let (position, times) = *end;
        if times > 0 {
            events.retain(|event| event.position <= position);
            if after >= position {
                end.1 -= 1;
            }
        }
    }

    /// Everything reads as it was written.
    pub fn mend(&self) {
        self.tampers.lock().clear();
    }

    fn tampered(&self, mut events: Vec<RecordedEvent>) -> Vec<RecordedEvent> {
        let tampers = self.tampers.lock();
        for event in &mut events {
            if let Some(tamper) = tampers.get(&event.position) {
                tamper(event);
            }
        }
        events
    }
}

#[async_trait]
impl EventStore for TamperedLog {
    async fn execute(&self, request: Request) -> Result<Receipt, StoreError> {
        self.log.execute(request).await
    }

    async fn load(&self, category: Category, id: &str) -> Result<StreamState, StoreError> {
        self.log.load(category, id).await
    }

    async fn load_at(&self, category: Category, id: &str, version: u64) -> Result<StreamState, StoreError> {
        self.log.load_at(category, id, version).await
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        after_version: u64,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        Ok(self.tampered(self.log.read_stream(stream, after_version, limit).await?))
    }

    async fn read_all(&self, after: u64, limit: usize) -> Result<Vec<RecordedEvent>, StoreError> {
        let mut events = self.log.read_all(after, limit).await?;
        self.cut(after, &mut events);
        Ok(self.tampered(events))
    }

    async fn find_command(&self, command_id: Uuid) -> Result<Option<Receipt>, StoreError> {
        self.log.find_command(command_id).await
    }

    async fn head(&self) -> Result<u64, StoreError> {
        self.log.head().await
    }

    fn watch_head(&self) -> watch::Receiver<u64> {
        self.log.watch_head()
    }
}

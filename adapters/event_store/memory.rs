//! The log in memory: the same promises as on Postgres except that it ends with the process. Clones are handles to
//! one log. For tests, simulations and the contract suite.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use commands::ports::clock::SystemClock;
use commands::ports::{
    Category, Clock, EventStore, Receipt, RecordedEvent, Request, StoreError, StreamId, StreamState,
};
use parking_lot::Mutex;
use tokio::sync::watch;
use uuid::Uuid;

use super::batch::{self, Basis, Head, Streams};

#[derive(Clone)]
pub struct MemoryEventStore {
    log: Arc<Mutex<Log>>,
    head: Arc<watch::Sender<u64>>,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct Log {
    events: Vec<RecordedEvent>,
    /// Indexes into `events`, oldest first.
    streams: HashMap<StreamId, Vec<usize>>,
    /// The newest state of every stream that a command was decided on.
    states: HashMap<StreamId, StreamState>,
    receipts: HashMap<Uuid, Receipt>,
}

impl MemoryEventStore {
    pub fn new(clock: Arc<dyn Clock>) -> MemoryEventStore {
        MemoryEventStore { log: Arc::default(), head: Arc::new(watch::Sender::new(0)), clock }
    }
}

impl Default for MemoryEventStore {
    fn default() -> Self {
        MemoryEventStore::new(Arc::new(SystemClock))
    }
}

impl Log {
    fn execute(&mut self, request: &Request, clock: &dyn Clock) -> Result<Receipt, StoreError> {
        let known = self.receipts.get_key_value(&request.command_id());
        let basis = Basis {
            head: self.events.last().map_or_else(Head::genesis, Head::of),
            now: clock.now(),
            known: known.map(|(id, receipt)| (*id, receipt.clone())).into_iter().collect(),
            streams: self.newest(request),
        };
        let mut batch = batch::decide([request], basis);
        for event in batch.events {
            self.streams.entry(event.stream.clone()).or_default().push(self.events.len());
            self.events.push(event);
        }
        let read = batch.streams.into_iter().filter_map(|(stream, state)| Some((stream, state.ok()?)));
        self.states.extend(read);
        let recorded = batch.commands.into_iter().map(|command| command.receipt);
        self.receipts.extend(recorded.map(|receipt| (receipt.command_id, receipt)));
        batch.answers.pop().unwrap_or_else(|| Err(StoreError::Corrupt("a command without an answer".to_owned())))
    }

    fn newest(&self, request: &Request) -> Streams {
        let state = |stream: &StreamId, category: &Category| match self.states.get(stream) {
            Some(state) => Ok(state.clone()),
            None => self.fold(category, stream, u64::MAX).map_err(|error| error.to_string()),
        };
        let streams = request.streams.iter();
        streams.map(|reference| (reference.stream.clone(), state(&reference.stream, &reference.category))).collect()
    }

    fn fold(&self, category: &Category, stream: &StreamId, version: u64) -> Result<StreamState, StoreError> {
        let mut events = self.of_stream(stream, 0).take_while(|event| event.version <= version);
        let folded = events.try_fold(category.empty(), |state, event| category.apply_recorded(&state, event));
        folded.map_err(|error| StoreError::Corrupt(error.to_string()))
    }

    fn of_stream(&self, stream: &StreamId, after_version: u64) -> impl Iterator<Item = &RecordedEvent> {
        let indexes = self.streams.get(stream).map_or(&[][..], Vec::as_slice);
        let behind = usize::try_from(after_version).unwrap_or(usize::MAX).min(indexes.len());
        indexes[behind..].iter().map(|index| &self.events[*index])
    }
}

#[async_trait]
impl EventStore for MemoryEventStore {
    async fn execute(&self, request: Request) -> Result<Receipt, StoreError> {
        let mut log = self.log.lock();
        let receipt = log.execute(&request, self.clock.as_ref());
        self.head.send_if_modified(|head| std::mem::replace(head, log.head()) != log.head());
        receipt
    }

    async fn load(&self, category: Category, id: &str) -> Result<StreamState, StoreError> {
        let (log, stream) = (self.log.lock(), category.stream(id));
        log.states.get(&stream).map_or_else(|| log.fold(&category, &stream, u64::MAX), |state| Ok(state.clone()))
    }

    async fn load_at(&self, category: Category, id: &str, version: u64) -> Result<StreamState, StoreError> {
        self.log.lock().fold(&category, &category.stream(id), version)
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        after_version: u64,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        Ok(self.log.lock().of_stream(stream, after_version).take(limit).cloned().collect())
    }

    async fn read_all(&self, after: u64, limit: usize) -> Result<Vec<RecordedEvent>, StoreError> {
        let after = usize::try_from(after).unwrap_or(usize::MAX);
        Ok(self.log.lock().events.iter().skip(after).take(limit).cloned().collect())
    }

    async fn find_command(&self, command_id: Uuid) -> Result<Option<Receipt>, StoreError> {
        let receipt = self.log.lock().receipts.get(&command_id).cloned();
        Ok(receipt.map(|receipt| Receipt { replayed: true, ..receipt }))
    }

    async fn head(&self) -> Result<u64, StoreError> {
        Ok(self.log.lock().head())
    }

    fn watch_head(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }
}

impl Log {
    fn head(&self) -> u64 {
        self.events.last().map_or(0, |event| event.position)
    }
}

//! Decides queued commands in their order on one known head of the log, each on top of the uncommitted events of
//! those before it, and numbers, dates and chains what they append. Pure: knows no database and no clock.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use commands::executor::deterministic_id;
use commands::ports::event::Decoded;
use commands::ports::{
    Decision, Expected, NewEvent, Receipt, RecordedEvent, RejectionRecord, Request, StoreError, StreamId, StreamState,
};
use domain::Timestamp;
use domain::chain::ChainHash;
use uuid::Uuid;

/// The newest event of the log: what the next one follows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Head {
    pub position: u64,
    pub hash: ChainHash,
    pub recorded_at: Timestamp,
}

impl Head {
    /// The head of a log without events.
    pub fn genesis() -> Head {
        Head { position: 0, hash: ChainHash::GENESIS, recorded_at: Timestamp::default() }
    }

    pub fn of(event: &RecordedEvent) -> Head {
        Head { position: event.position, hash: event.hash, recorded_at: event.recorded_at }
    }
}

/// The streams that a batch decides on. One that cannot be read says why; its commands fail alone.
pub type Streams = HashMap<StreamId, Result<StreamState, String>>;

/// What is known before the batch.
pub struct Basis {
    pub head: Head,
    pub now: Timestamp,
    /// Receipts of those commands of the batch that were recorded before.
    pub known: HashMap<Uuid, Receipt>,
    /// Every stream that the batch names, as of `head`.
    pub streams: Streams,
}

/// A command's row beside its events.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedCommand {
    pub receipt: Receipt,
    pub recorded_at: Timestamp,
}

/// What the batch comes to, if all of it is stored or none.
pub struct Batch {
    /// One answer per request, in their order. Until the batch is stored they are nobody's business.
    pub answers: Vec<Result<Receipt, StoreError>>,
    pub events: Vec<RecordedEvent>,
    pub commands: Vec<RecordedCommand>,
    /// Commands answered without a record. Their answers hold only if these ids are unknown to the log.
    pub unrecorded: Vec<Uuid>,
    /// The streams and the head behind the batch.
    pub streams: Streams,
    pub head: Head,
}

pub fn decide<'a>(requests: impl IntoIterator<Item = &'a Request>, basis: Basis) -> Batch {
    let mut batch = Batch {
        answers: vec![],
        events: vec![],
        commands: vec![],
        unrecorded: vec![],
        streams: basis.streams,
        head: basis.head,
    };
    let mut known = basis.known;
    for request in requests {
        let answer = match known.get(&request.command_id()) {
            Some(first) => Ok(Receipt { replayed: true, ..first.clone() }),
            None => batch.answer(request, basis.now, &mut known),
        };
        batch.answers.push(answer);
    }
    batch
}

impl Batch {
    fn answer(
        &mut self,
        request: &Request,
        now: Timestamp,
        known: &mut HashMap<Uuid, Receipt>,
    ) -> Result<Receipt, StoreError> {
        // A decision that panics is a bug of that command alone: the batch goes on without it.
        let entry = catch_unwind(AssertUnwindSafe(|| self.entry(request, now)))
            .unwrap_or_else(|_| Err(StoreError::Corrupt(format!("deciding on {} panicked", request.object))));
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                self.unrecorded.push(request.command_id());
                return Err(error);
            }
        };
        let receipt = self.receipt(request, &entry);
        let recorded_at = entry.events.last().map_or(now, |event| event.recorded_at);
        if entry.events.is_empty() && request.fingerprint.is_none() {
            self.unrecorded.push(request.command_id());
        } else {
            known.insert(request.command_id(), receipt.clone());
            self.commands.push(RecordedCommand { receipt: receipt.clone(), recorded_at });
        }
        self.commit(request, entry);
        Ok(receipt)
    }

    /// What the request comes to on the present streams, without touching them.
    fn entry(&self, request: &Request, now: Timestamp) -> Result<Entry, StoreError> {
        let states = self.states(request)?;
        for (reference, state) in request.streams.iter().zip(&states) {
            let expected = match reference.expected {
                Expected::Any => state.version,
                Expected::New => 0,
                Expected::Exactly(version) => version,
            };
            if state.version != expected {
                return Err(StoreError::Conflict { stream: reference.stream.clone(), actual: state.version });
            }
        }
        match (request.decide)(&states) {
            Decision::Reject(rejection) => {
                Ok(Entry { states, events: vec![], head: self.head, rejection: Some(rejection) })
            }
            Decision::Append(facts) => self.chain(request, states, facts, now),
        }
    }

    fn states(&self, request: &Request) -> Result<Vec<StreamState>, StoreError> {
        let streams = &request.streams;
        let named_twice = (1..streams.len()).any(|at| streams[..at].iter().any(|s| s.stream == streams[at].stream));
        if streams.is_empty() || named_twice {
            return Err(StoreError::Corrupt(format!("{} must name each stream once", request.object)));
        }
        // No database text can hold it, and one such command would take its whole batch down.
        if request.object.contains('\0') || streams.iter().any(|reference| reference.stream.id.contains('\0')) {
            return Err(StoreError::Corrupt("an id contains a zero byte".to_owned()));
        }
        let state = |stream: &StreamId| match self.streams.get(stream) {
            Some(Ok(state)) => Ok(state.clone()),
            Some(Err(reason)) => Err(StoreError::Corrupt(format!("{stream}: {reason}"))),
            None => Err(StoreError::Corrupt(format!("{stream} was not loaded"))),
        };
        streams.iter().map(|reference| state(&reference.stream)).collect()
    }

    /// Numbers, dates and chains the facts of one command behind the head.
    fn chain(
        &self,
        request: &Request,
        mut states: Vec<StreamState>,
        facts: Vec<NewEvent>,
        now: Timestamp,
    ) -> Result<Entry, StoreError> {
        let mut head = self.head;
        let mut events = Vec::with_capacity(facts.len());
        let metadata = serde_json::to_string(&request.metadata)
            .map_err(|error| StoreError::Corrupt(format!("metadata of {}: {error}", request.object)))?;
        for (index, fact) in facts.into_iter().enumerate() {
            let (Some(reference), Some(state)) = (request.streams.get(fact.stream), states.get_mut(fact.stream)) else {
                return Err(StoreError::Corrupt(format!("{} is for a stream not named", fact.event_type)));
            };
            let recorded_at = now.max(head.recorded_at.plus(Duration::from_micros(1)));
            let mut event = RecordedEvent {
                position: head.position + 1,
                event_id: event_id(request.command_id(), index),
                stream: reference.stream.clone(),
                version: state.version + 1,
                event_type: fact.event_type.to_owned(),
                schema_version: fact.schema_version,
                payload: fact.payload,
                metadata: metadata.clone(),
                recorded_at,
                effective_at: fact.effective_at.unwrap_or(recorded_at),
                hash: ChainHash::GENESIS,
                decoded: Decoded::default(),
            };
            event.hash = event.expected_hash(&head.hash);
            *state = reference.category.apply(state, fact.event.as_ref(), recorded_at);
            head = Head::of(&event);
            events.push(event);
        }
        Ok(Entry { states, events, head, rejection: None })
    }

    fn receipt(&self, request: &Request, entry: &Entry) -> Receipt {
        Receipt {
            command_id: request.command_id(),
            replayed: false,
            fingerprint: request.fingerprint,
            object: request.object.clone(),
            stream: request.streams[0].stream.clone(),
            version: entry.states[0].version,
            position: entry.head.position,
            rejection: entry.rejection.clone(),
        }
    }

    fn commit(&mut self, request: &Request, entry: Entry) {
        for (reference, state) in request.streams.iter().zip(entry.states) {
            if let Some(stream) = self.streams.get_mut(&reference.stream) {
                *stream = Ok(state);
            }
        }
        self.events.extend(entry.events);
        self.head = entry.head;
    }
}

/// What one request adds, before it counts.
struct Entry {
    /// The request's streams behind it.
    states: Vec<StreamState>,
    events: Vec<RecordedEvent>,
    head: Head,
    rejection: Option<RejectionRecord>,
}

/// The same for each attempt to store the same command, so that stores which tell duplicates by event id can.
fn event_id(command_id: Uuid, index: usize) -> Uuid {
    let mut buffer = Uuid::encode_buffer();
    deterministic_id(&["event", command_id.hyphenated().encode_lower(&mut buffer), &index.to_string()])
}

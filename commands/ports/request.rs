//! One command as an event store sees it: which streams it decides on, how, and what became of it.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use domain::{Decider, DomainEvent, Rejection, RejectionClass, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::event::{Metadata, StreamId};
use super::stream_state::{Category, StreamState};

/// A command ready to be decided. The store may decide it several times, on ever newer states, before one decision
/// is stored; so `decide` is pure.
#[derive(Clone)]
pub struct Request {
    /// Durable: a command seen before is answered with its first receipt and changes nothing.
    pub metadata: Metadata,
    /// Present on commands of clients: the hash of what they asked, to tell a repeat from a reused key.
    pub fingerprint: Option<[u8; 32]>,
    /// The public id that the first answer speaks of, such as `pay_...` or `re_...`; kept with the command.
    pub object: String,
    /// The streams that are decided on. The first is the one whose version the answer is rendered from.
    pub streams: Vec<StreamRef>,
    pub decide: DecideFn,
}

pub type DecideFn = Arc<dyn Fn(&[StreamState]) -> Decision + Send + Sync>;

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("metadata", &self.metadata)
            .field("streams", &self.streams)
            .finish_non_exhaustive()
    }
}

impl Request {
    pub fn command_id(&self) -> Uuid {
        self.metadata.command_id
    }
}

#[derive(Debug, Clone)]
pub struct StreamRef {
    pub category: Category,
    pub stream: StreamId,
    pub expected: Expected,
}

impl StreamRef {
    pub fn new<D: Decider>(id: impl Into<String>, expected: Expected) -> StreamRef {
        let category = Category::of::<D>();
        StreamRef { category, stream: category.stream(id), expected }
    }
}

/// The version that a stream must have for the command to be decided at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Whatever it is; the newest state is decided on.
    Any,
    /// No event yet. Such a stream need not be loaded: its uniqueness guards it.
    New,
    Exactly(u64),
}

/// What a command comes to on given states.
#[derive(Debug)]
pub enum Decision {
    /// The facts to append, in order; none if they are true already.
    Append(Vec<NewEvent>),
    /// Told to the caller, and to each repeat of the same command.
    Reject(RejectionRecord),
}

/// A fact to be appended to the `stream`-th of the request's streams.
pub struct NewEvent {
    pub stream: usize,
    pub event_type: &'static str,
    pub schema_version: u16,
    pub payload: String,
    /// `None` means: when it is recorded.
    pub effective_at: Option<Timestamp>,
    /// The event itself, for folding without decoding it again.
    pub event: Box<dyn Any + Send + Sync>,
}

impl fmt::Debug for NewEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewEvent")
            .field("stream", &self.stream)
            .field("event_type", &self.event_type)
            .finish_non_exhaustive()
    }
}

impl NewEvent {
    pub fn of<E: DomainEvent>(stream: usize, event: E) -> NewEvent {
        NewEvent {
            stream,
            event_type: event.event_type(),
            schema_version: event.schema_version(),
            payload: serde_json::to_string(&event).expect("an event of strings and integers always serialises"),
            effective_at: None,
            event: Box::new(event),
        }
    }
}

/// A rejection as it is kept and replayed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RejectionRecord {
    pub code: String,
    pub class: RejectionClass,
    pub detail: String,
    pub pointer: Option<String>,
    pub retryable: bool,
    /// Of the request that was refused first, so that its repeats are answered alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
}

impl<R: Rejection> From<R> for RejectionRecord {
    fn from(rejection: R) -> Self {
        RejectionRecord {
            code: rejection.code().to_owned(),
            class: rejection.class(),
            detail: rejection.to_string(),
            pointer: rejection.pointer().map(str::to_owned),
            retryable: rejection.retryable(),
            correlation_id: None,
        }
    }
}

/// What became of a command, now or when it first came.
#[derive(Debug, Clone, PartialEq)]
pub struct Receipt {
    pub command_id: Uuid,
    /// This answer was given before; nothing was appended now.
    pub replayed: bool,
    pub fingerprint: Option<[u8; 32]>,
    pub object: String,
    /// The first stream of the request and its version right behind this command.
    pub stream: StreamId,
    pub version: u64,
    /// The position of the command's last event; without events, the head that it was decided on.
    pub position: u64,
    pub rejection: Option<RejectionRecord>,
}

//! An event as it stands in the log, and what travels beside it.

use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::sync::OnceLock;

use domain::chain::{ChainHash, ChainedEvent};
use domain::{DomainEvent, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A stream: the aggregate's category and its id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId {
    pub category: Cow<'static, str>,
    pub id: String,
}

impl StreamId {
    pub fn new(category: impl Into<Cow<'static, str>>, id: impl Into<String>) -> StreamId {
        StreamId { category: category.into(), id: id.into() }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.category, self.id)
    }
}

/// Who did it, in answer to what. Serialised as a flat object of strings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    pub command_id: Uuid,
    /// The same along everything that one request led to.
    pub correlation_id: String,
    /// The event that led to this command: `category/id@version`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<String>,
    /// The principal: `merchant:mer_...`, `saga:payment`, `webhook:stripe`.
    pub actor: String,
    /// W3C trace context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// One event of the log. Payload and metadata are the JSON texts as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedEvent {
    /// 1..N without a gap, in commit order.
    pub position: u64,
    pub event_id: Uuid,
    pub stream: StreamId,
    /// 1..n without a gap within the stream.
    pub version: u64,
    pub event_type: String,
    pub schema_version: u16,
    pub payload: String,
    pub metadata: String,
    /// Never goes back along the log.
    pub recorded_at: Timestamp,
    pub effective_at: Timestamp,
    pub hash: ChainHash,
    pub decoded: Decoded,
}

/// What an event's payload says, kept once it was read, for those who read the same event after that. No part of the event.
#[derive(Default)]
pub struct Decoded(OnceLock<Box<dyn Any + Send + Sync>>);

#[derive(Debug, thiserror::Error)]
#[error("event {position} ({event_type}) cannot be read: {reason}")]
pub struct Unreadable {
    pub position: u64,
    pub event_type: String,
    pub reason: String,
}

impl RecordedEvent {
    /// Refuses what a newer program wrote in a shape that this one does not know, even if it looks like one it knows.
    pub fn decode<E: DomainEvent>(&self) -> Result<E, Unreadable> {
        let event: E = serde_json::from_str(&self.payload).map_err(|error| self.unreadable(&error))?;
        if event.event_type() != self.event_type {
            return Err(self.unreadable_for("its payload is of another type".to_owned()));
        }
        if event.schema_version() < self.schema_version {
            return Err(self.unreadable_for(format!("schema version {} is unknown here", self.schema_version)));
        }
        Ok(event)
    }

    /// [`decode`](RecordedEvent::decode), once for all who ask.
    pub fn decoded<E: DomainEvent>(&self) -> Result<&E, Unreadable> {
        if self.decoded.0.get().is_none() {
            // Of two that decode at once, both come to the same.
            let _ = self.decoded.0.set(Box::new(self.decode::<E>()?));
        }
        let decoded = self.decoded.0.get().and_then(|decoded| decoded.downcast_ref());
        decoded.ok_or_else(|| self.unreadable_for("it was read as an event of another category".to_owned()))
    }

    pub fn metadata(&self) -> Result<Metadata, Unreadable> {
        serde_json::from_str(&self.metadata).map_err(|error| self.unreadable(&error))
    }

    fn unreadable(&self, error: &serde_json::Error) -> Unreadable {
        self.unreadable_for(format!("{:?} at line {} column {}", error.classify(), error.line(), error.column()))
    }

    fn unreadable_for(&self, reason: String) -> Unreadable {
        Unreadable { position: self.position, event_type: self.event_type.clone(), reason }
    }

    /// What this event's hash must be behind `previous`.
    pub fn expected_hash(&self, previous: &ChainHash) -> ChainHash {
        previous.followed_by(&ChainedEvent {
            position: self.position,
            event_id: self.event_id.as_bytes(),
            category: &self.stream.category,
            stream: &self.stream.id,
            version: self.version,
            event_type: &self.event_type,
            schema_version: self.schema_version,
            payload: &self.payload,
            metadata: &self.metadata,
            recorded_at: self.recorded_at.as_micros(),
            effective_at: self.effective_at.as_micros(),
        })
    }
}

impl Clone for Decoded {
    fn clone(&self) -> Decoded {
        Decoded::default()
    }
}

impl PartialEq for Decoded {
    fn eq(&self, _: &Decoded) -> bool {
        true
    }
}

impl fmt::Debug for Decoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("_")
    }
}

//! An event of the log as auditors read it.

use std::collections::BTreeMap;

use commands::ports::{Metadata, RecordedEvent};
use domain::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::problem::Problem;

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub struct EventObject {
    /// 1..N without a gap, in commit order.
    #[schema(example = 41_302)]
    pub position: u64,
    pub stream: Stream,
    /// 1..n without a gap within the stream.
    #[schema(example = 2)]
    pub version: u64,
    #[serde(rename = "type")]
    #[schema(example = "payment.captured")]
    pub event_type: String,
    #[schema(example = 1)]
    pub schema_version: u16,
    #[schema(value_type = Object)]
    pub data: Box<RawValue>,
    pub metadata: EventMetadata,
    #[schema(value_type = String, format = DateTime)]
    pub recorded_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub effective_at: Timestamp,
    /// SHA-256 over this event and the hash of the one before it.
    pub hash: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Stream {
    #[schema(example = "payment")]
    pub category: String,
    #[schema(example = "pay_01k9zc4x8me1wbn7t5c1vq0d2r")]
    pub id: String,
}

/// Who did it, in answer to what.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventMetadata {
    pub command_id: String,
    /// The same along everything that one request led to.
    pub correlation_id: String,
    /// The event that led to the command: `category/id@version`.
    pub causation_id: Option<String>,
    #[schema(example = "saga:payment")]
    pub actor: String,
}

impl From<Metadata> for EventMetadata {
    fn from(metadata: Metadata) -> EventMetadata {
        EventMetadata {
            command_id: metadata.command_id.to_string(),
            correlation_id: metadata.correlation_id,
            causation_id: metadata.causation_id,
            actor: metadata.actor,
        }
    }
}

pub fn object(event: RecordedEvent) -> Result<EventObject, Problem> {
    let metadata = event.metadata().map_err(|error| Problem::internal(&error))?;
    Ok(EventObject {
        data: data(&event)?,
        position: event.position,
        stream: Stream { category: event.stream.category.into_owned(), id: event.stream.id },
        version: event.version,
        event_type: event.event_type,
        schema_version: event.schema_version,
        metadata: metadata.into(),
        recorded_at: event.recorded_at,
        effective_at: event.effective_at,
        hash: event.hash.to_string(),
    })
}

/// The facts inside the payload, which is tagged with the event's type.
fn data(event: &RecordedEvent) -> Result<Box<RawValue>, Problem> {
    let tagged: BTreeMap<String, Box<RawValue>> = serde_json::from_str(&event.payload)
        .map_err(|error| Problem::internal(&format!("event {}: {error}", event.position)))?;
    let inner = tagged.into_values().next();
    inner.ok_or_else(|| Problem::internal(&format!("event {} has an empty payload", event.position)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use commands::ports::StreamId;
    use commands::ports::event::Decoded;
    use domain::chain::ChainHash;
    use uuid::Uuid;

    #[test]
    fn the_payload_loses_its_tag_and_nothing_else() {
        let event = RecordedEvent {
            position: 7,
            event_id: Uuid::nil(),
            stream: StreamId::new("payment", "pay_1"),
            version: 2,
            event_type: "payment.cancelled".to_owned(),
            schema_version: 1,
            payload: r#"{"payment.cancelled":{"b":1,"a":10.50}}"#.to_owned(),
            metadata: format!(r#"{{"command_id":"{}","correlation_id":"req_1","actor":"saga:payment"}}"#, Uuid::nil()),
            recorded_at: Timestamp::from_micros(1),
            effective_at: Timestamp::from_micros(2),
            hash: ChainHash::GENESIS,
            decoded: Decoded::default(),
        };
        let rendered = serde_json::to_string(&object(event).unwrap()).unwrap();
        let expected = r#"{"position":7,"stream":{"category":"payment","id":"pay_1"},"version":2,"type":"payment.cancelled","schema_version":1,"data":{"b":1,"a":10.50},"metadata":{"command_id":"00000000-0000-0000-0000-000000000000","correlation_id":"req_1","causation_id":null,"actor":"saga:payment"},"recorded_at":"1970-01-01T00:00:00.000001Z","effective_at":"1970-01-01T00:00:00.000002Z","hash":""#;
        assert!(rendered.starts_with(expected), "{rendered}");
    }
}

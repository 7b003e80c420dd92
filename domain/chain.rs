//! The hash chain over the log: what is hashed, in which order, and nothing about where it is stored.

use std::fmt;

use sha2::{Digest, Sha256};

/// Written into every hash, so that a later layout can never be mistaken for this one.
pub const HASH_VERSION: u8 = 1;

/// SHA-256 of one event and its predecessor's hash.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ChainHash([u8; 32]);

/// What an event's hash covers. Texts are hashed byte for byte as they are stored.
#[derive(Debug, Clone, Copy)]
pub struct ChainedEvent<'a> {
    pub position: u64,
    pub event_id: &'a [u8; 16],
    pub category: &'a str,
    pub stream: &'a str,
    pub version: u64,
    pub event_type: &'a str,
    pub schema_version: u16,
    pub payload: &'a str,
    pub metadata: &'a str,
    /// Microseconds since 1970, UTC.
    pub recorded_at: i64,
    /// Microseconds since 1970, UTC.
    pub effective_at: i64,
}

impl ChainHash {
    /// What the first event of a log follows.
    pub const GENESIS: ChainHash = ChainHash([0; 32]);

    pub fn from_bytes(bytes: [u8; 32]) -> ChainHash {
        ChainHash(bytes)
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The hash of `event` behind this one. Every field is preceded by its length, so no two events share an encoding.
    pub fn followed_by(&self, event: &ChainedEvent<'_>) -> ChainHash {
        let mut hasher = Sha256::new();
        hasher.update([HASH_VERSION]);
        let mut field = |bytes: &[u8]| {
            hasher.update((bytes.len() as u64).to_be_bytes());
            hasher.update(bytes);
        };
        field(&self.0);
        field(&event.position.to_be_bytes());
        field(event.event_id);
        field(event.category.as_bytes());
        field(event.stream.as_bytes());
        field(&event.version.to_be_bytes());
        field(event.event_type.as_bytes());
        field(&event.schema_version.to_be_bytes());
        field(event.payload.as_bytes());
        field(event.metadata.as_bytes());
        field(&event.recorded_at.to_be_bytes());
        field(&event.effective_at.to_be_bytes());
        ChainHash(hasher.finalize().into())
    }
}

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> ChainedEvent<'static> {
        ChainedEvent {
            position: 1,
            event_id: &[7; 16],
            category: "payment",
            stream: "pay_1",
            version: 1,
            event_type: "payment.created",
            schema_version: 1,
            payload: "{}",
            metadata: "{}",
            recorded_at: 1_790_000_000_000_000,
            effective_at: 1_790_000_000_000_000,
        }
    }

    #[test]
    fn the_first_hash_version_never_changes() {
        assert_eq!(
            ChainHash::GENESIS.followed_by(&event()).to_string(),
            "01dbea848231564b9abfc9fb1485b958203842a493a9760fc9f1ab497dc3f05e"
        );
    }

    #[test]
    fn every_field_changes_the_hash() {
        let original = ChainHash::GENESIS.followed_by(&event());
        let changed = [
            ChainedEvent { position: 2, ..event() },
            ChainedEvent { event_id: &[8; 16], ..event() },
            ChainedEvent { category: "paymen", stream: "tpay_1", ..event() },
            ChainedEvent { version: 2, ..event() },
            ChainedEvent { event_type: "payment.captured", ..event() },
            ChainedEvent { schema_version: 2, ..event() },
            ChainedEvent { payload: "{ }", ..event() },
            ChainedEvent { metadata: "{ }", ..event() },
            ChainedEvent { recorded_at: 0, ..event() },
            ChainedEvent { effective_at: 0, ..event() },
        ];
        for other in changed {
            assert_ne!(ChainHash::GENESIS.followed_by(&other), original, "{other:?}");
        }
        assert_ne!(original.followed_by(&event()), original);
    }
}

//! What a read model is to the runner: a name, a version, its tables, and a fold over batches of events.

use async_trait::async_trait;
use commands::ports::RecordedEvent;
use commands::ports::event::Unreadable;
use sqlx::PgConnection;

/// A read model. All of it lives in the schema `rm_<name>` and is written by nobody but `apply`.
#[async_trait]
pub trait Projection: Send + Sync {
    /// Lower-case letters and underscores; never changes.
    fn name(&self) -> &'static str;

    /// Raised when the tables or the fold change, or when a further category counts: the first node that runs the
    /// higher version rebuilds the read model, and nodes with a lower one stop feeding it.
    fn version(&self) -> i32;

    /// The categories it folds. Events of others pass it by; an unknown event within these stops it.
    fn categories(&self) -> &'static [&'static str];

    /// Its tables, qualified. A reader holds them all while it reads, so that no rebuild can empty one underneath it.
    fn tables(&self) -> &'static [&'static str];

    /// Statements that create its tables in the empty schema.
    fn ddl(&self) -> &'static str;

    /// Folds events of its categories, in the order of the log, each exactly once. Whatever it writes is committed
    /// together with the checkpoint, or not at all.
    async fn apply(&self, connection: &mut PgConnection, events: &[RecordedEvent]) -> Result<(), ApplyError>;
}

/// Why a batch could not be folded. The projection stops there: it never skips.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error("event {position} ({event_type}) cannot be applied: {reason}")]
    Inapplicable { position: u64, event_type: String, reason: String },
    #[error("a row of the read model cannot be read: {0}")]
    DamagedRow(String),
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
}

impl ApplyError {
    pub fn inapplicable(event: &RecordedEvent, reason: impl Into<String>) -> ApplyError {
        ApplyError::Inapplicable {
            position: event.position,
            event_type: event.event_type.clone(),
            reason: reason.into(),
        }
    }
}

//! What a read model is to the runner: a name, a version, its tables, and a fold over batches of events.

use async_trait::async_trait;
use commands::ports::RecordedEvent;
use commands::ports::event::Unreadable;
use sqlx::PgConnection;

/// A read model. Each of its generations lives in a schema of its own, `rm_<name>_<generation>`, and is written by nobody
/// but `apply`. No statement names a schema: whoever runs it has put the right ones on the search path.
#[async_trait]
pub trait Projection: Send + Sync {
    /// Lower-case letters and underscores; never changes.
    fn name(&self) -> &'static str;

    /// Raised when the tables or the fold change, or when a further category counts: the first node that runs the
    /// higher version builds the read model anew beside the old one, which nodes of the lower version go on with.
    fn version(&self) -> i32;

    /// The oldest version whose tables its queries can read: it serves until the newest one is built.
    fn readable_since(&self) -> i32 {
        self.version()
    }

    /// The categories it folds. Events of others pass it by; what it cannot fold within these waits.
    fn categories(&self) -> &'static [&'static str];

    /// Whether it folds a category. One that folds every category there is must not let an unheard-of one pass by.
    fn folds(&self, category: &str) -> bool {
        self.categories().contains(&category)
    }

    /// What an event may be folded behind that could not be folded in its turn.
    fn order(&self) -> Order {
        Order::OfStreams
    }

    /// Its tables. Of no two read models that are read together may two have the same name.
    fn tables(&self) -> &'static [&'static str];

    /// Statements that create its tables in the empty schema.
    fn ddl(&self) -> &'static str;

    /// Statements that create, if they are not there, the indexes that only queries need. A rebuild creates them when it
    /// has caught up, which is faster than to keep them up on the way.
    fn indexes(&self) -> &'static str {
        ""
    }

    /// Folds events of its categories, in the order of the log, each exactly once. Whatever it writes is committed
    /// together with the checkpoint, or not at all.
    async fn apply(&self, connection: &mut PgConnection, events: &[&RecordedEvent]) -> Result<(), ApplyError>;
}

/// In which order events must be folded for the outcome to be the one that a fold of the whole log comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Within each stream: events that waited may come behind later ones of other streams.
    OfStreams,
    /// Of the whole log, as with sums of money: nothing behind it is folded before it is.
    OfLog,
}

/// Why a batch could not be folded.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error("event {position} ({event_type}) cannot be applied: {reason}")]
    Inapplicable { position: u64, event_type: String, reason: String },
    #[error("a row of the read model cannot be read: {0}")]
    DamagedRow(String),
    #[error("the fold of the read model panicked")]
    Panicked,
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

    /// The event whose fault it is, as far as the error tells.
    pub(crate) fn position(&self) -> Option<u64> {
        match self {
            ApplyError::Unreadable(Unreadable { position, .. }) | ApplyError::Inapplicable { position, .. } => {
                Some(*position)
            }
            ApplyError::DamagedRow(_) | ApplyError::Panicked | ApplyError::Database(_) => None,
        }
    }
}

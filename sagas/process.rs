//! What a saga is: everything that the follower, the runner and the interpreter ask of it. Whatever else they do
//! (claims, retries, alerts, metrics, traces) is the same for all sagas and stands there once.
//!
//! To give an aggregate a saga:
//! 1. `sagas/NOUN.rs`: its steps as constants, a pure `next_step(record, now) -> Option<Due>` with a table test, and
//!    the keys under which the outside world knows what it does;
//! 2. `sagas/NOUN/process.rs`: a struct with the use cases that it needs, and [`Process`] for it;
//! 3. one line in `UseCases::processes` of `sagas/lib.rs`;
//! 4. scenarios in `tests/it/sagas/` that go through each step: the two generic tests then run it with each step
//!    executed twice and with a crash at each moment.
//!
//! `sagas/refund.rs` is the shortest example.

use std::fmt::Display;
use std::sync::Arc;

use async_trait::async_trait;
use commands::CommandError;
use commands::ports::agenda::ChangeKind;
use commands::ports::{Category, Metadata, RecordedEvent, SagaId, StreamState};
use domain::Timestamp;

use crate::attempt::Attempt;
use crate::step::{Due, Step};

/// The saga of one kind of object. Its progress is the stream of the aggregate that it drives: it keeps no state.
#[async_trait]
pub trait Process: Send + Sync {
    /// In the agenda, in metrics and as the actor `saga:KIND` of what it records. An object has one saga of a kind.
    fn kind(&self) -> &'static str;

    /// The aggregate whose events begin and end this saga, and whose stream says what is due.
    fn category(&self) -> Category;

    /// Every step that can be due.
    fn steps(&self) -> &'static [Step];

    /// What an event of the category means for the agenda; `None` if nothing. Only what begins a saga, wakes it or
    /// ends it for good counts: what the saga itself records on its way needs no row, since whoever works on it says
    /// when it comes back. An event that cannot be read should be due: the look at its stream then parks it and alerts.
    fn meaning(&self, event: &RecordedEvent) -> Option<Meaning>;

    /// The next step, from the state alone; `None` once nothing is left to do, for good. The stream has events.
    fn due(&self, saga: &SagaId, stream: &StreamState, now: Timestamp) -> Result<Option<Due>, Trouble>;

    /// Does the step once and records what came of it, under [`Attempt::issued`]. The process may die anywhere in here
    /// and the step is then done again, perhaps by two nodes at once: calls go out under a key that names the object
    /// and the step, never the attempt. A step that leads nowhere is a [`Learned`] with an error, and is due again by
    /// its schedule.
    async fn perform(&self, attempt: &Attempt<'_>) -> Result<Learned, Trouble>;
}

/// Every saga that a node runs. Cheap to clone.
#[derive(Clone)]
pub struct Processes(Arc<[Arc<dyn Process>]>);

impl Processes {
    pub fn new(processes: Vec<Arc<dyn Process>>) -> Processes {
        Processes(processes.into())
    }

    pub fn iter(&self) -> impl Iterator<Item = &dyn Process> {
        self.0.iter().map(AsRef::as_ref)
    }

    pub fn of_kind(&self, kind: &str) -> Option<&dyn Process> {
        self.iter().find(|process| process.kind() == kind)
    }
}

/// What an event means for the saga of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meaning {
    /// The text of the object's id.
    pub object: String,
    pub kind: ChangeKind,
}

impl Meaning {
    pub fn due(object: impl Display) -> Option<Meaning> {
        Some(Meaning { object: object.to_string(), kind: ChangeKind::Due })
    }

    pub fn finished(object: impl Display) -> Option<Meaning> {
        Some(Meaning { object: object.to_string(), kind: ChangeKind::Finished })
    }
}

/// A stream as a step was found due on it, and the event that this goes back to.
#[derive(Debug, Clone)]
pub struct Seen {
    pub saga: SagaId,
    pub category: Category,
    pub stream: StreamState,
    pub cause: Option<Metadata>,
}

/// What a step came to: a word for the metrics, and why it was in vain if it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Learned {
    pub outcome: &'static str,
    pub error: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// Nobody's fault and nobody's business: it passes.
    #[error("{0}")]
    Unavailable(String),
    /// It does not pass by itself.
    #[error("{0}")]
    Parked(String),
}

impl From<CommandError> for Trouble {
    fn from(error: CommandError) -> Self {
        match &error {
            CommandError::Unavailable(_) | CommandError::Conflict | CommandError::InFlight => {
                Trouble::Unavailable(error.to_string())
            }
            CommandError::Invalid { .. }
            | CommandError::Refused(_)
            | CommandError::KeyReused
            | CommandError::Bug(_) => Trouble::Parked(error.to_string()),
        }
    }
}

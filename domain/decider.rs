//! The shape of every aggregate: a pure decision and a pure fold.

use std::error::Error;
use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::invariants::Violation;
use crate::{Account, BalancedEntry, Currency};

/// One aggregate. `decide` reads nothing but its arguments; `evolve` decides nothing and cannot fail.
pub trait Decider: Send + Sync + 'static {
    /// The first part of every stream id and event type of this aggregate.
    const CATEGORY: &'static str;

    /// Does the newest event of a stream tell its whole state? Then a store needs to read no other to fold it, however
    /// long the stream is.
    const NEWEST_EVENT_TELLS_ALL: bool = false;

    type State: Clone + Debug + Default + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static;
    type Command: Clone + Debug + Send + Sync + 'static;
    type Event: DomainEvent;
    type Rejection: Rejection;

    /// The events that `command` makes true, none if they are true already.
    fn decide(state: &Self::State, command: Self::Command) -> Result<Vec<Self::Event>, Self::Rejection>;

    fn evolve(state: Self::State, event: &Self::Event) -> Self::State;

    /// What each account that this stream alone guards must hold now, in minor units on its normal side; accounts that
    /// hold nothing may be left out.
    fn guarded(_: &Self::State) -> Vec<Holding> {
        vec![]
    }

    /// Invariant 4 and the like: what must hold of the state whatever happened to it.
    fn check(_: &Self::State) -> Result<(), Violation> {
        Ok(())
    }
}

/// An account and what it must hold, in minor units.
pub type Holding = ((Account, Currency), i64);

/// A fact of one aggregate. Serialised, it is externally tagged with its type name.
pub trait DomainEvent: Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Every `(type, schema version)` that this aggregate writes today.
    const TYPES: &'static [(&'static str, u16)];

    /// `category.past_tense_verb`; never changes once an event of it is stored.
    fn event_type(&self) -> &'static str;

    fn schema_version(&self) -> u16 {
        let known = Self::TYPES.iter().find(|(name, _)| *name == self.event_type());
        known.map_or(1, |(_, version)| *version)
    }

    /// What this event does to the books, if it moves money.
    fn postings(&self) -> Option<BalancedEntry> {
        None
    }
}

/// What kind of "no" a rejection is; the edge maps it to a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectionClass {
    /// The object does not exist, or not for this caller.
    NotFound,
    /// The object's present state forbids it.
    Conflict,
    /// A rule forbids it whatever the state.
    Refused,
}

/// A refusal that the caller is told. Codes are stable and never reused.
pub trait Rejection: Error + Clone + Debug + PartialEq + Send + Sync + 'static {
    fn code(&self) -> &'static str;
    fn class(&self) -> RejectionClass;

    /// Can the same request succeed later without being changed?
    fn retryable(&self) -> bool;

    /// JSON pointer of the request field at fault, where there is one.
    fn pointer(&self) -> Option<&'static str> {
        None
    }
}

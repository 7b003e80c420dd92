//! The months of the books. Closing one takes two people: the first asks, the second, asking for the same, closes it.
//! It closes every month before it too; from then on no posting may count from a time before its end. One stream holds
//! all of them, so that whoever posts with an effective time decides on the newest state.
//!
//! ```text
//! open --close_requested--> requested --closed (by another person)--> closed
//! ```

mod month;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use month::{Month, NotAMonth};

use crate::{Decider, DomainEvent, Rejection, RejectionClass, Timestamp};

/// The one stream of all periods.
pub const STREAM: &str = "months";

#[derive(Debug)]
pub struct Period;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    #[serde(rename = "period.close_requested")]
    CloseRequested { month: Month, requested_by: String, requested_at: Timestamp },
    #[serde(rename = "period.closed")]
    Closed {
        month: Month,
        /// The end of the month: nothing may count from a time before it any more.
        closed_until: Timestamp,
        requested_by: String,
        closed_by: String,
        closed_at: Timestamp,
    },
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    pub months: BTreeMap<Month, Closing>,
}

/// How far the closing of a month is, and who did it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Closing {
    pub requested_by: String,
    pub requested_at: Timestamp,
    pub closed: Option<Closed>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Closed {
    pub by: String,
    pub at: Timestamp,
}

#[derive(Debug, Clone)]
pub enum Command {
    /// `by` is a principal, not a key.
    Close { month: Month, by: String, at: Timestamp },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PeriodRejection {
    #[error("this month is closed already")]
    AlreadyClosed,
    #[error("the month is not over")]
    NotOver,
    #[error("nobody approves what the same person asked for")]
    ApproverIsRequester,
}

impl Decider for Period {
    const CATEGORY: &'static str = "period";
    type State = State;
    type Command = Command;
    type Event = Event;
    type Rejection = PeriodRejection;

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, PeriodRejection> {
        let Command::Close { month, by, at } = command;
        if state.closed_until().is_some_and(|closed_until| month.end() <= closed_until) {
            return Err(PeriodRejection::AlreadyClosed);
        }
        if month.end() > at {
            return Err(PeriodRejection::NotOver);
        }
        let requested = state.months.get(&month);
        if requested.is_some_and(|closing| closing.requested_by == by) {
            return Err(PeriodRejection::ApproverIsRequester);
        }

        Ok(vec![match requested {
            None => Event::CloseRequested { month, requested_by: by, requested_at: at },
            Some(closing) => Event::Closed {
                month,
                closed_until: month.end(),
                requested_by: closing.requested_by.clone(),
                closed_by: by,
                closed_at: at,
            },
        }])
    }

    fn evolve(mut state: State, event: &Event) -> State {
        match event {
            Event::CloseRequested { month, requested_by, requested_at } => {
                let closing = Closing { requested_by: requested_by.clone(), requested_at: *requested_at, closed: None };
                state.months.insert(*month, closing);
            }
            Event::Closed { month, closed_by, closed_at, .. } => {
                if let Some(closing) = state.months.get_mut(month) {
                    closing.closed = Some(Closed { by: closed_by.clone(), at: *closed_at });
                }
            }
        }
        state
    }
}

impl State {
    /// The end of the last closed month.
    pub fn closed_until(&self) -> Option<Timestamp> {
        let closed = self.months.iter().rev().find(|(_, closing)| closing.closed.is_some());
        closed.map(|(month, _)| month.end())
    }
}

impl DomainEvent for Event {
    const TYPES: &'static [(&'static str, u16)] = &[("period.close_requested", 1), ("period.closed", 1)];

    fn event_type(&self) -> &'static str {
        match self {
            Event::CloseRequested { .. } => "period.close_requested",
            Event::Closed { .. } => "period.closed",
        }
    }
}

impl Rejection for PeriodRejection {
    fn code(&self) -> &'static str {
        match self {
            PeriodRejection::AlreadyClosed => "period_already_closed",
            PeriodRejection::NotOver => "period_not_over",
            PeriodRejection::ApproverIsRequester => "approver_is_requester",
        }
    }

    fn class(&self) -> RejectionClass {
        match self {
            PeriodRejection::AlreadyClosed => RejectionClass::Conflict,
            PeriodRejection::NotOver | PeriodRejection::ApproverIsRequester => RejectionClass::Refused,
        }
    }

    fn retryable(&self) -> bool {
        match self {
            PeriodRejection::NotOver => true,
            PeriodRejection::AlreadyClosed | PeriodRejection::ApproverIsRequester => false,
        }
    }

    fn pointer(&self) -> Option<&'static str> {
        match self {
            PeriodRejection::AlreadyClosed | PeriodRejection::NotOver => Some("/month"),
            PeriodRejection::ApproverIsRequester => None,
        }
    }
}

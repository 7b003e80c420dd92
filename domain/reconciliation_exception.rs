//! What is done about one difference that a reconciliation found: said by finance with a reason, above a limit by two
//! people. What it moves in the books is posted by the channel's account or an adjustment; here stands who said what.
//!
//! ```text
//! open (no stream yet) --(above a limit: resolution_requested)--> requested --resolved--> resolved
//!                  '------------------------resolved----------------------------------------^
//! ```

mod event;
mod rejection;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use event::{Event, Facts, Resolution, ResolutionRequested, Resolved};
pub use rejection::ExceptionRejection;

use crate::reconciliation::DifferenceKind;
use crate::{Decider, Timestamp};

/// Characters of a reason.
pub const REASON_MAX: usize = 500;
/// Whole currency units up to which one person may give a difference up.
const RESOLVED_ALONE_MAX_MAJOR: i64 = 100;

#[derive(Debug)]
pub struct ReconciliationException;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub enum State {
    #[default]
    Absent,
    Requested(Box<ResolutionRequested>),
    Resolved(Box<Resolved>),
}

#[derive(Debug, Clone)]
pub enum Command {
    Resolve(Box<Resolve>),
}

#[derive(Debug, Clone)]
pub struct Resolve {
    /// As the run found it.
    pub facts: Facts,
    pub resolution: Resolution,
    /// The other side of a match by hand.
    pub counterpart: Option<Facts>,
    pub reason: String,
    /// A principal, not a key.
    pub by: String,
    pub at: Timestamp,
}

impl Decider for ReconciliationException {
    const CATEGORY: &'static str = "reconciliation_exception";
    type State = State;
    type Command = Command;
    type Event = Event;
    type Rejection = ExceptionRejection;

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, ExceptionRejection> {
        let Command::Resolve(resolve) = command;
        resolve.decide(state)
    }

    fn evolve(state: State, event: &Event) -> State {
        match (state, event) {
            (State::Absent | State::Requested(_), Event::ResolutionRequested(requested)) => {
                State::Requested(requested.clone())
            }
            (State::Absent | State::Requested(_), Event::Resolved(resolved)) => State::Resolved(resolved.clone()),
            (state, _) => state,
        }
    }
}

impl Resolve {
    fn decide(self, state: &State) -> Result<Vec<Event>, ExceptionRejection> {
        let requested = match state {
            State::Resolved(resolved) if resolved.is_said_again(&self) => return Ok(vec![]),
            State::Resolved(_) => return Err(ExceptionRejection::AlreadyResolved),
            State::Requested(requested) => Some(requested.as_ref()).filter(|one| one.resolution == self.resolution),
            State::Absent => None,
        };
        let length = self.reason.trim().chars().count();
        if !(1..=REASON_MAX).contains(&length) || self.reason.chars().any(char::is_control) {
            return Err(ExceptionRejection::InvalidReason);
        }
        self.is_fitting()?;
        if requested.is_some_and(|requested| requested.requested_by == self.by) {
            return Err(ExceptionRejection::ApproverIsRequester);
        }

        let Resolve { facts, resolution, reason, by, at, .. } = self;
        Ok(vec![match requested {
            None if needs_two_people(&facts, &resolution) => {
                Event::ResolutionRequested(Box::new(ResolutionRequested {
                    facts,
                    resolution,
                    reason,
                    requested_by: by,
                    requested_at: at,
                }))
            }
            requested => Event::Resolved(Box::new(Resolved {
                requested_by: requested.map_or_else(|| by.clone(), |requested| requested.requested_by.clone()),
                facts,
                resolution,
                reason,
                resolved_by: by,
                resolved_at: at,
            })),
        }])
    }

    /// Is this something that can be said of this difference?
    fn is_fitting(&self) -> Result<(), ExceptionRejection> {
        match &self.resolution {
            Resolution::Accept | Resolution::Adjust { .. } => Ok(()),
            Resolution::Match { .. } => match &self.counterpart {
                Some(counterpart) if self.facts.is_the_other_side_of(counterpart) => Ok(()),
                _ => Err(ExceptionRejection::NotTheOtherSide),
            },
            Resolution::TrueUp => match self.facts.estimated_fee_of {
                Some(_) => Ok(()),
                None => Err(ExceptionRejection::NoEstimate),
            },
            Resolution::WriteOff { .. } => {
                let is_channels = self.facts.counterparty.channel().is_some();
                if is_channels && self.facts.amount != 0 { Ok(()) } else { Err(ExceptionRejection::NothingToWriteOff) }
            }
        }
    }
}

/// A match by hand leaves nothing open, an adjustment has its own two people, and a fee was told by the channel.
fn needs_two_people(facts: &Facts, resolution: &Resolution) -> bool {
    let limit = i128::from(RESOLVED_ALONE_MAX_MAJOR) * i128::from(facts.currency.minor_per_major());
    match resolution {
        Resolution::Accept | Resolution::WriteOff { .. } => i128::from(facts.amount).abs() > limit,
        Resolution::Match { .. } | Resolution::Adjust { .. } | Resolution::TrueUp => false,
    }
}

impl Resolved {
    fn is_said_again(&self, again: &Resolve) -> bool {
        self.resolution == again.resolution && [&self.resolved_by, &self.requested_by].contains(&&again.by)
    }
}

impl Facts {
    /// One side is missing here and the other there, and together they are nothing.
    fn is_the_other_side_of(&self, other: &Facts) -> bool {
        let kinds = [self.kind, other.kind];
        let sides = [DifferenceKind::MissingHere, DifferenceKind::MissingThere];
        sides.iter().all(|kind| kinds.contains(kind))
            && self.counterparty == other.counterparty
            && self.currency == other.currency
            && i128::from(self.amount) + i128::from(other.amount) == 0
    }
}

impl State {
    pub fn facts(&self) -> Option<&Facts> {
        match self {
            State::Absent => None,
            State::Requested(requested) => Some(&requested.facts),
            State::Resolved(resolved) => Some(&resolved.facts),
        }
    }

    pub fn status(&self) -> ExceptionStatus {
        match self {
            State::Absent => ExceptionStatus::Open,
            State::Requested(_) => ExceptionStatus::Requested,
            State::Resolved(_) => ExceptionStatus::Resolved,
        }
    }
}

/// What finance sees of an exception.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExceptionStatus {
    Open,
    /// One person has said what is to be done, and it takes two.
    Requested,
    Resolved,
    /// A later run found that nothing speaks for it any more.
    Cleared,
}

impl ExceptionStatus {
    pub const ALL: [ExceptionStatus; 4] =
        [ExceptionStatus::Open, ExceptionStatus::Requested, ExceptionStatus::Resolved, ExceptionStatus::Cleared];

    pub fn as_str(&self) -> &'static str {
        match self {
            ExceptionStatus::Open => "open",
            ExceptionStatus::Requested => "requested",
            ExceptionStatus::Resolved => "resolved",
            ExceptionStatus::Cleared => "cleared",
        }
    }
}

impl std::str::FromStr for ExceptionStatus {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let known = ExceptionStatus::ALL.into_iter().find(|status| status.as_str() == text);
        known.ok_or("must be open, requested, resolved or cleared")
    }
}

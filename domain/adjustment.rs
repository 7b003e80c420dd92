//! A correction of the books by hand: proposed by one person with a reason and its legs, posted once another person
//! has approved it. Accounts that one stream guards are left to that stream: what a merchant has available and what it
//! owes, its account posts when it is asked to. The owner's money is booked by an adjustment too.
//!
//! ```text
//! absent --proposed--> proposed --approved--> approved (posted)
//!                          '-----rejected--> rejected
//! ```

mod delegation;
mod event;
mod rejection;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use delegation::Delegated;
pub use event::{Approved, Event, Proposal, Rejected};
pub use rejection::AdjustmentRejection;

use crate::{AdjustmentId, BalancedEntry, Decider, Leg, NotAnEntry, Timestamp};

/// More than a person can check is nothing that a second one can approve.
pub const LEGS_MAX: usize = 100;
/// Characters of a reason.
pub const REASON_MAX: usize = 500;

#[derive(Debug)]
pub struct Adjustment;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub enum State {
    #[default]
    Absent,
    Exists(Box<Record>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub proposal: Proposal,
    pub phase: Phase,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Phase {
    Proposed,
    Approved { by: String, at: Timestamp },
    Rejected { by: String, at: Timestamp },
}

#[derive(Debug, Clone)]
pub enum Command {
    Propose(Propose),
    /// `by` is a principal, not a key.
    Approve {
        by: String,
        /// The end of the last closed period.
        closed_until: Option<Timestamp>,
        at: Timestamp,
    },
    /// The one who proposed it may take it back this way.
    Reject {
        by: String,
        at: Timestamp,
    },
}

#[derive(Debug, Clone)]
pub struct Propose {
    pub adjustment_id: AdjustmentId,
    pub reason: String,
    pub legs: Vec<Leg>,
    /// When it counts, if that is not when it is recorded.
    pub effective_at: Option<Timestamp>,
    /// The end of the last closed period.
    pub closed_until: Option<Timestamp>,
    /// A principal, not a key.
    pub by: String,
    pub at: Timestamp,
}

impl Decider for Adjustment {
    const CATEGORY: &'static str = "adjustment";
    type State = State;
    type Command = Command;
    type Event = Event;
    type Rejection = AdjustmentRejection;

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, AdjustmentRejection> {
        match (command, state) {
            (Command::Propose(propose), State::Absent) => propose.decide(),
            (Command::Propose(_), State::Exists(_)) => Err(AdjustmentRejection::AlreadyExists),
            (_, State::Absent) => Err(AdjustmentRejection::NotFound),
            (Command::Approve { by, closed_until, at }, State::Exists(record)) => approve(record, by, closed_until, at),
            (Command::Reject { by, at }, State::Exists(record)) => reject(record, by, at),
        }
    }

    fn evolve(state: State, event: &Event) -> State {
        match (state, event) {
            (State::Absent, Event::Proposed(proposal)) => {
                State::Exists(Box::new(Record { proposal: proposal.clone(), phase: Phase::Proposed }))
            }
            (State::Exists(mut record), Event::Approved(approved)) => {
                record.phase = Phase::Approved { by: approved.approved_by.clone(), at: approved.approved_at };
                State::Exists(record)
            }
            (State::Exists(mut record), Event::Rejected(rejected)) => {
                record.phase = Phase::Rejected { by: rejected.rejected_by.clone(), at: rejected.rejected_at };
                State::Exists(record)
            }
            (state, _) => state,
        }
    }
}

impl Propose {
    fn decide(self) -> Result<Vec<Event>, AdjustmentRejection> {
        let length = self.reason.trim().chars().count();
        if !(1..=REASON_MAX).contains(&length) || self.reason.chars().any(char::is_control) {
            return Err(AdjustmentRejection::InvalidReason);
        }
        if self.legs.len() > LEGS_MAX {
            return Err(AdjustmentRejection::TooManyLegs);
        }
        let entry = BalancedEntry::try_from(self.legs).map_err(|reason| match reason {
            NotAnEntry::AmountOutOfRange => AdjustmentRejection::InvalidAmount,
            NotAnEntry::TooFewLegs | NotAnEntry::Unbalanced => AdjustmentRejection::EntryUnbalanced,
        })?;
        let is_adjustable = entry.legs().iter().all(|leg| delegation::is_adjustable(&leg.account));
        if !is_adjustable && delegation::of(self.adjustment_id, &entry).is_none() {
            return Err(AdjustmentRejection::AccountNotAdjustable);
        }
        if self.effective_at.is_some_and(|effective_at| effective_at > self.at) {
            return Err(AdjustmentRejection::EffectiveInFuture);
        }
        still_open(self.effective_at, self.closed_until)?;

        Ok(vec![Event::Proposed(Proposal {
            adjustment_id: self.adjustment_id,
            reason: self.reason,
            entry,
            effective_at: self.effective_at,
            requested_by: self.by,
            requested_at: self.at,
        })])
    }
}

fn still_open(effective_at: Option<Timestamp>, closed_until: Option<Timestamp>) -> Result<(), AdjustmentRejection> {
    match (effective_at, closed_until) {
        (Some(effective_at), Some(closed_until)) if effective_at < closed_until => {
            Err(AdjustmentRejection::PeriodClosed)
        }
        _ => Ok(()),
    }
}

fn approve(
    record: &Record,
    by: String,
    closed_until: Option<Timestamp>,
    at: Timestamp,
) -> Result<Vec<Event>, AdjustmentRejection> {
    match &record.phase {
        Phase::Approved { by: approver, .. } if *approver == by => return Ok(vec![]),
        Phase::Approved { .. } | Phase::Rejected { .. } => return Err(AdjustmentRejection::AlreadyDecided),
        Phase::Proposed => {}
    }
    let proposal = &record.proposal;
    if proposal.requested_by == by {
        return Err(AdjustmentRejection::ApproverIsRequester);
    }
    still_open(proposal.effective_at, closed_until)?;

    Ok(vec![Event::Approved(Approved {
        adjustment_id: proposal.adjustment_id,
        entry: proposal.delegated().is_none().then(|| proposal.entry.clone()),
        approved_by: by,
        approved_at: at,
    })])
}

fn reject(record: &Record, by: String, at: Timestamp) -> Result<Vec<Event>, AdjustmentRejection> {
    match &record.phase {
        Phase::Rejected { by: rejecter, .. } if *rejecter == by => return Ok(vec![]),
        Phase::Approved { .. } | Phase::Rejected { .. } => return Err(AdjustmentRejection::AlreadyDecided),
        Phase::Proposed => {}
    }

    let adjustment_id = record.proposal.adjustment_id;
    Ok(vec![Event::Rejected(Rejected { adjustment_id, rejected_by: by, rejected_at: at })])
}

impl State {
    pub fn record(&self) -> Option<&Record> {
        match self {
            State::Absent => None,
            State::Exists(record) => Some(record),
        }
    }
}

impl Proposal {
    /// Who posts it instead, if the adjustment itself does not.
    pub fn delegated(&self) -> Option<Delegated> {
        delegation::of(self.adjustment_id, &self.entry)
    }
}

impl Phase {
    pub fn status(&self) -> AdjustmentStatus {
        match self {
            Phase::Proposed => AdjustmentStatus::Proposed,
            Phase::Approved { .. } => AdjustmentStatus::Approved,
            Phase::Rejected { .. } => AdjustmentStatus::Rejected,
        }
    }
}

/// What finance sees of an adjustment's phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdjustmentStatus {
    Proposed,
    Approved,
    Rejected,
}

impl AdjustmentStatus {
    pub const ALL: [AdjustmentStatus; 3] =
        [AdjustmentStatus::Proposed, AdjustmentStatus::Approved, AdjustmentStatus::Rejected];

    pub fn as_str(&self) -> &'static str {
        match self {
            AdjustmentStatus::Proposed => "proposed",
            AdjustmentStatus::Approved => "approved",
            AdjustmentStatus::Rejected => "rejected",
        }
    }
}

impl std::str::FromStr for AdjustmentStatus {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let known = AdjustmentStatus::ALL.into_iter().find(|status| status.as_str() == text);
        known.ok_or("must be proposed, approved or rejected")
    }
}

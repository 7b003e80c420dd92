//! A merchant's withdrawal to its bank account: who asked, who approved, and what the bank made of it. Workflow only:
//! the money is moved by the `merchant_account` stream, in the same entry as the event that says so here.
//!
//! ```text
//!           requested              approved              sending started          sent
//! absent ─────────────▶ requested ──────────▶ approved ─────────────────▶ sending ─────▶ sent ──▶ paid ──▶ returned
//!                        │     ▲ one of two ──┐  │                                         │         ▲
//!                        │     └──────────────┘  │                                         └─▶ failed ┘ paid after all
//!                        └─▶ rejected, cancelled ◀┘
//! ```

mod event;
mod failure;
mod outcome;
mod rejection;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use event::{Approved, Event, Failed, FeePolicy, Rejected, Requested, Returned};
pub use failure::Failure;
pub use outcome::TransferOutcome;
pub use rejection::WithdrawalRejection;

use crate::invariants::Violation;
use crate::money::AMOUNT_MAX;
use crate::{Decider, Sealed, Timestamp};

#[derive(Debug)]
pub struct Withdrawal;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub enum State {
    #[default]
    Absent,
    Exists(Box<Record>),
}

/// A withdrawal that was requested: its unchanging terms, who approved it, and where it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub terms: Requested,
    pub approvals: Vec<Approval>,
    /// The part of the fee that went back, in minor units.
    #[serde(default)]
    pub fee_returned: i64,
    /// The parts in which it came back.
    #[serde(default)]
    pub returns: Vec<ReturnedPart>,
    pub phase: Phase,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnedPart {
    /// Minor units.
    pub amount: i64,
    /// The bank's own reference of the booking.
    pub booking: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Approval {
    pub by: String,
    pub at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Phase {
    /// Approvals are missing.
    Requested,
    /// Nothing may go out before this: a new bank account cools off first.
    Approved {
        send_not_before: Timestamp,
    },
    /// The intent is durable; the instruction may or may not have gone out, and it can no longer be stopped.
    Sending {
        since: Timestamp,
    },
    Sent {
        since: Timestamp,
    },
    Paid {
        at: Timestamp,
    },
    /// The bank did not make it.
    Failed(Failure),
    /// The bank had paid it, and `amount` minor units of it have come back so far.
    Returned {
        amount: i64,
        failure: Failure,
    },
    Rejected {
        reason: Option<Sealed>,
    },
    Cancelled,
}

#[derive(Debug, Clone)]
pub enum Command {
    Request(Requested),
    Approve {
        /// The principal who approves.
        by: String,
        /// From when on the bank account may be paid to.
        usable_from: Timestamp,
        at: Timestamp,
    },
    Reject {
        by: String,
        reason: Option<Sealed>,
        at: Timestamp,
    },
    Cancel {
        at: Timestamp,
    },
    StartSending {
        at: Timestamp,
    },
    RecordSent {
        at: Timestamp,
    },
    RecordOutcome {
        outcome: TransferOutcome,
        at: Timestamp,
    },
}

impl Decider for Withdrawal {
    const CATEGORY: &'static str = "withdrawal";
    type State = State;
    type Command = Command;
    type Event = Event;
    type Rejection = WithdrawalRejection;

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, WithdrawalRejection> {
        match (command, state) {
            (Command::Request(terms), State::Absent) => request(terms),
            (Command::Request(terms), State::Exists(record)) if record.terms == terms => Ok(vec![]),
            (Command::Request(_), State::Exists(_)) => Err(WithdrawalRejection::AlreadyExists),
            (_, State::Absent) => Err(WithdrawalRejection::NotFound),
            (Command::Approve { by, usable_from, at }, State::Exists(record)) => approve(record, by, usable_from, at),
            (Command::Reject { by, reason, at }, State::Exists(record)) => reject(record, by, reason, at),
            (Command::Cancel { at }, State::Exists(record)) => cancel(record, at),
            (Command::StartSending { at }, State::Exists(record)) => outcome::start_sending(record, at),
            (Command::RecordSent { at }, State::Exists(record)) => outcome::sent(record, at),
            (Command::RecordOutcome { outcome, at }, State::Exists(record)) => outcome::record(record, outcome, at),
        }
    }

    fn evolve(state: State, event: &Event) -> State {
        match (state, event) {
            (State::Absent, Event::Requested(terms)) => State::Exists(Box::new(Record {
                terms: (**terms).clone(),
                approvals: vec![],
                fee_returned: 0,
                returns: vec![],
                phase: Phase::Requested,
            })),
            (State::Exists(record), event) => State::Exists(Box::new(record.evolve(event))),
            (State::Absent, _) => State::Absent,
        }
    }

    fn check(state: &State) -> Result<(), Violation> {
        state.record().map_or(Ok(()), approvals_hold)
    }
}

fn request(terms: Requested) -> Result<Vec<Event>, WithdrawalRejection> {
    if !(1..=AMOUNT_MAX).contains(&terms.amount) || !(0..=AMOUNT_MAX).contains(&terms.fee) {
        return Err(WithdrawalRejection::InvalidAmount);
    }

    Ok(vec![Event::Requested(Box::new(terms))])
}

fn approve(
    record: &Record,
    by: String,
    usable_from: Timestamp,
    at: Timestamp,
) -> Result<Vec<Event>, WithdrawalRejection> {
    if record.phase != Phase::Requested {
        return Err(WithdrawalRejection::AlreadyDecided);
    }
    if by == record.terms.requested_by {
        return Err(WithdrawalRejection::ApproverIsRequester);
    }
    if record.approvals.iter().any(|approval| approval.by == by) {
        return Err(WithdrawalRejection::ApproverHasApproved);
    }

    Ok(vec![Event::Approved(Approved {
        withdrawal_id: record.terms.withdrawal_id,
        approved_by: by,
        approvals_left: record.approvals_left().saturating_sub(1),
        send_not_before: usable_from.max(at),
        approved_at: at,
    })])
}

fn reject(
    record: &Record,
    by: String,
    reason: Option<Sealed>,
    at: Timestamp,
) -> Result<Vec<Event>, WithdrawalRejection> {
    if !record.can_be_stopped() {
        return Err(WithdrawalRejection::AlreadyDecided);
    }

    let withdrawal_id = record.terms.withdrawal_id;
    Ok(vec![Event::Rejected(Rejected { withdrawal_id, rejected_by: by, reason, rejected_at: at })])
}

fn cancel(record: &Record, at: Timestamp) -> Result<Vec<Event>, WithdrawalRejection> {
    if record.phase == Phase::Cancelled {
        return Ok(vec![]);
    }
    if !record.can_be_stopped() {
        return Err(WithdrawalRejection::NotCancellable);
    }

    Ok(vec![Event::Cancelled { withdrawal_id: record.terms.withdrawal_id, cancelled_at: at }])
}

/// Invariant 4 for withdrawals: as many different people as the terms ask for, and none of them who asked.
fn approvals_hold(record: &Record) -> Result<(), Violation> {
    let id = record.terms.withdrawal_id;
    let broken = |what: &str| Err(Violation::of(4, format!("{id} {what}")));
    let mut people: Vec<&str> = record.approvals.iter().map(|approval| approval.by.as_str()).collect();
    people.sort_unstable();
    if people.windows(2).any(|pair| pair[0] == pair[1]) {
        return broken("was approved twice by the same person");
    }
    if people.contains(&record.terms.requested_by.as_str()) {
        return broken("was approved by the one who asked for it");
    }
    let undecided = matches!(record.phase, Phase::Requested | Phase::Rejected { .. } | Phase::Cancelled);
    if !undecided && record.approvals_left() > 0 {
        return broken("went on without its approvals");
    }
    Ok(())
}

impl State {
    pub fn record(&self) -> Option<&Record> {
        match self {
            State::Absent => None,
            State::Exists(record) => Some(record),
        }
    }
}

impl Record {
    /// Approvals that are still missing.
    pub fn approvals_left(&self) -> u32 {
        let given = u32::try_from(self.approvals.len()).unwrap_or(u32::MAX);
        self.terms.approvals_needed.saturating_sub(given)
    }

    pub fn status(&self) -> WithdrawalStatus {
        match self.phase {
            Phase::Requested => WithdrawalStatus::Requested,
            Phase::Approved { .. } | Phase::Sending { .. } => WithdrawalStatus::Approved,
            Phase::Sent { .. } => WithdrawalStatus::Sent,
            Phase::Paid { .. } => WithdrawalStatus::Paid,
            Phase::Failed(_) | Phase::Returned { .. } => WithdrawalStatus::Failed,
            Phase::Rejected { .. } => WithdrawalStatus::Rejected,
            Phase::Cancelled => WithdrawalStatus::Cancelled,
        }
    }

    pub fn failure(&self) -> Option<&Failure> {
        match &self.phase {
            Phase::Failed(failure) | Phase::Returned { failure, .. } => Some(failure),
            _ => None,
        }
    }

    /// Nothing has gone to the bank, nor may have.
    fn can_be_stopped(&self) -> bool {
        matches!(self.phase, Phase::Requested | Phase::Approved { .. })
    }

    fn evolve(mut self, event: &Event) -> Record {
        match event {
            Event::Approved(approved) => {
                self.approvals.push(Approval { by: approved.approved_by.clone(), at: approved.approved_at });
                if approved.approvals_left == 0 {
                    self.phase = Phase::Approved { send_not_before: approved.send_not_before };
                }
            }
            Event::Rejected(rejected) => self.phase = Phase::Rejected { reason: rejected.reason.clone() },
            Event::Cancelled { .. } => self.phase = Phase::Cancelled,
            Event::SendingStarted { started_at, .. } => self.phase = Phase::Sending { since: *started_at },
            Event::Sent { sent_at, .. } => self.phase = Phase::Sent { since: *sent_at },
            Event::Paid { paid_at, .. } => self.phase = Phase::Paid { at: *paid_at },
            Event::Failed(failed) => {
                self.fee_returned += failed.fee_returned;
                self.phase = Phase::Failed(failed.failure.clone());
            }
            Event::Returned(returned) => {
                self.fee_returned += returned.fee_returned;
                self.returns.push(ReturnedPart { amount: returned.amount, booking: returned.booking.clone() });
                let amount = returned.before.saturating_add(returned.amount);
                self.phase = Phase::Returned { amount, failure: returned.failure.clone() };
            }
            Event::Requested(_) => {}
        }
        self
    }
}

/// What merchants see of a withdrawal's phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WithdrawalStatus {
    Requested,
    Approved,
    Sent,
    Paid,
    Failed,
    Rejected,
    Cancelled,
}

impl WithdrawalStatus {
    pub const ALL: [WithdrawalStatus; 7] = [
        WithdrawalStatus::Requested,
        WithdrawalStatus::Approved,
        WithdrawalStatus::Sent,
        WithdrawalStatus::Paid,
        WithdrawalStatus::Failed,
        WithdrawalStatus::Rejected,
        WithdrawalStatus::Cancelled,
    ];

    pub fn as_str(&self) -> &'static str {
        match self {
            WithdrawalStatus::Requested => "requested",
            WithdrawalStatus::Approved => "approved",
            WithdrawalStatus::Sent => "sent",
            WithdrawalStatus::Paid => "paid",
            WithdrawalStatus::Failed => "failed",
            WithdrawalStatus::Rejected => "rejected",
            WithdrawalStatus::Cancelled => "cancelled",
        }
    }
}

impl std::str::FromStr for WithdrawalStatus {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        WithdrawalStatus::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or("must be requested, approved, sent, paid, failed, rejected or cancelled")
    }
}

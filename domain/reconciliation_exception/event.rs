//! The facts of an exception's resolution, as stored.

use serde::{Deserialize, Serialize};

use crate::channel_account::DifferenceReason;
use crate::reconciliation::{Counterparty, DifferenceKind};
use crate::{AdjustmentId, Currency, DomainEvent, ExceptionId, PaymentId, StatementId, Timestamp};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    #[serde(rename = "reconciliation_exception.resolution_requested")]
    ResolutionRequested(Box<ResolutionRequested>),
    #[serde(rename = "reconciliation_exception.resolved")]
    Resolved(Box<Resolved>),
}

/// The difference as the run found it. The same id always has the same facts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    pub exception_id: ExceptionId,
    pub statement_id: StatementId,
    pub counterparty: Counterparty,
    pub kind: DifferenceKind,
    pub currency: Currency,
    /// What the statement tells beyond what is booked, net and in minor units; negative if it falls short.
    pub amount: i64,
    pub occurred_at: Timestamp,
    /// The payment whose estimated fee the statement tells, and that fee in minor units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_fee_of: Option<(PaymentId, i64)>,
}

/// What somebody says of a difference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "action")]
pub enum Resolution {
    /// Nothing is to be done.
    Accept,
    /// It is the other side of another exception.
    Match { exception_id: ExceptionId },
    /// An approved adjustment has put it right.
    Adjust { adjustment_id: AdjustmentId },
    /// The books take over what the statement tells.
    WriteOff { cause: DifferenceReason },
    /// The fee that was booked as an estimate is what the statement tells.
    TrueUp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResolutionRequested {
    #[serde(flatten)]
    pub facts: Facts,
    pub resolution: Resolution,
    /// It stays as long as the books do, so it names no person.
    pub reason: String,
    pub requested_by: String,
    pub requested_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resolved {
    #[serde(flatten)]
    pub facts: Facts,
    pub resolution: Resolution,
    pub reason: String,
    /// Above a limit another person than `resolved_by`.
    pub requested_by: String,
    pub resolved_by: String,
    pub resolved_at: Timestamp,
}

impl DomainEvent for Event {
    const TYPES: &'static [(&'static str, u16)] =
        &[("reconciliation_exception.resolution_requested", 1), ("reconciliation_exception.resolved", 1)];

    fn event_type(&self) -> &'static str {
        match self {
            Event::ResolutionRequested(_) => "reconciliation_exception.resolution_requested",
            Event::Resolved(_) => "reconciliation_exception.resolved",
        }
    }
}

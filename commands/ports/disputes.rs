//! Disputes as a channel tells of them, and the merchant's answers as they go to it.

use domain::{Currency, PaymentId, Timestamp};

/// Everything that a channel tells of one dispute, and all that moved for it so far. Amounts in minor units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisputeReport {
    /// None if the message does not say: the channel knows when it is asked.
    pub payment_id: Option<PaymentId>,
    /// The channel's own id of the dispute.
    pub channel_reference: String,
    pub amount: i64,
    pub currency: Currency,
    /// What the channel charged for the dispute so far.
    pub fee: i64,
    pub stage: ReportedStage,
    /// The channel's code of why, such as `fraudulent`.
    pub reason: String,
    pub evidence_due_by: Option<Timestamp>,
    /// The answer to a question of now; a webhook's may be old.
    pub asked: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportedStage {
    /// A question before there is a dispute; no money has moved.
    Inquiry,
    InquiryClosed,
    NeedsResponse,
    UnderReview,
    /// What is not won is lost.
    Closed {
        won: i64,
        fee_returned: i64,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DisputeAnswer {
    Told(DisputeReport),
    /// The channel has no such dispute.
    NotFound,
    /// The channel will not take this answer of the merchant: too late, or nothing that it understands.
    Refused {
        code: String,
    },
    /// A timeout, a reset, a 5xx or nonsense. The reason carries no secret.
    Unknown {
        reason: String,
    },
}

/// A merchant's answer on its way. `key` is the channel idempotency key, the same for every attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisputeOrder {
    pub key: String,
    /// The channel's own id of the dispute.
    pub channel_reference: String,
}

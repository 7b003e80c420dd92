//! The facts of how a dispute is answered. They move no money: what does is in the payment's stream.

use serde::{Deserialize, Serialize};

use crate::{ChannelName, Currency, DisputeId, DomainEvent, MerchantId, OrderNo, PaymentId, Sealed, Timestamp};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// The channel asks, before there is a dispute.
    #[serde(rename = "dispute.inquired")]
    Inquired(Box<Opened>),
    #[serde(rename = "dispute.opened")]
    Opened(Box<Opened>),
    /// The inquiry became a dispute.
    #[serde(rename = "dispute.escalated")]
    Escalated { amount: i64, evidence_due_by: Option<Timestamp>, escalated_at: Timestamp },
    #[serde(rename = "dispute.adjusted")]
    Adjusted { amount: i64, adjusted_at: Timestamp },
    #[serde(rename = "dispute.evidence_submitted")]
    EvidenceSubmitted { evidence: Sealed, submitted_at: Timestamp },
    #[serde(rename = "dispute.accepted")]
    Accepted { accepted_at: Timestamp },
    /// The channel has the merchant's evidence or acceptance.
    #[serde(rename = "dispute.answer_sent")]
    AnswerSent { sent_at: Timestamp },
    #[serde(rename = "dispute.review_began")]
    ReviewBegan { began_at: Timestamp },
    #[serde(rename = "dispute.closed")]
    Closed { outcome: Outcome, closed_at: Timestamp },
    #[serde(rename = "dispute.reopened")]
    Reopened { reopened_at: Timestamp },
}

/// A dispute as it was told first. Amounts in minor units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Opened {
    pub dispute_id: DisputeId,
    pub payment_id: PaymentId,
    pub merchant_id: MerchantId,
    pub order_no: OrderNo,
    pub channel: ChannelName,
    /// The channel's own id of the dispute.
    pub channel_reference: String,
    pub amount: i64,
    pub currency: Currency,
    /// The channel's code of why, such as `fraudulent`.
    pub reason: String,
    pub evidence_due_by: Option<Timestamp>,
    pub opened_at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Won,
    Lost,
    PartlyWon,
    /// It never became a dispute.
    InquiryClosed,
}

impl DomainEvent for Event {
    const TYPES: &'static [(&'static str, u16)] = &[
        ("dispute.inquired", 1),
        ("dispute.opened", 1),
        ("dispute.escalated", 1),
        ("dispute.adjusted", 1),
        ("dispute.evidence_submitted", 1),
        ("dispute.accepted", 1),
        ("dispute.answer_sent", 1),
        ("dispute.review_began", 1),
        ("dispute.closed", 1),
        ("dispute.reopened", 1),
    ];

    fn event_type(&self) -> &'static str {
        match self {
            Event::Inquired(_) => "dispute.inquired",
            Event::Opened(_) => "dispute.opened",
            Event::Escalated { .. } => "dispute.escalated",
            Event::Adjusted { .. } => "dispute.adjusted",
            Event::EvidenceSubmitted { .. } => "dispute.evidence_submitted",
            Event::Accepted { .. } => "dispute.accepted",
            Event::AnswerSent { .. } => "dispute.answer_sent",
            Event::ReviewBegan { .. } => "dispute.review_began",
            Event::Closed { .. } => "dispute.closed",
            Event::Reopened { .. } => "dispute.reopened",
        }
    }
}

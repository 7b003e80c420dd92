//! The facts of a withdrawal. Fields are added, never changed; a change of meaning is a new event type.

use serde::{Deserialize, Serialize};

use super::Failure;
use crate::{BankAccountId, BankName, Currency, DomainEvent, MerchantId, Sealed, Timestamp, WithdrawalId};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    #[serde(rename = "withdrawal.requested")]
    Requested(Box<Requested>),
    #[serde(rename = "withdrawal.approved")]
    Approved(Approved),
    #[serde(rename = "withdrawal.rejected")]
    Rejected(Rejected),
    #[serde(rename = "withdrawal.cancelled")]
    Cancelled { withdrawal_id: WithdrawalId, cancelled_at: Timestamp },
    /// The intent, durable before the bank is instructed.
    #[serde(rename = "withdrawal.sending_started")]
    SendingStarted { withdrawal_id: WithdrawalId, started_at: Timestamp },
    #[serde(rename = "withdrawal.sent")]
    Sent { withdrawal_id: WithdrawalId, sent_at: Timestamp },
    #[serde(rename = "withdrawal.paid")]
    Paid { withdrawal_id: WithdrawalId, paid_at: Timestamp },
    #[serde(rename = "withdrawal.failed")]
    Failed(Failed),
    /// It failed after it had been paid.
    #[serde(rename = "withdrawal.returned")]
    Returned(Returned),
}

/// Amounts in minor units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Requested {
    pub withdrawal_id: WithdrawalId,
    pub merchant_id: MerchantId,
    /// What the bank is to pay out.
    pub amount: i64,
    /// What the merchant pays for it on top.
    pub fee: i64,
    /// Whether the fee goes back when the money does.
    pub fee_policy: FeePolicy,
    pub currency: Currency,
    pub bank_account_id: BankAccountId,
    /// The bank of ours that pays.
    pub bank: BankName,
    /// How many people must approve it.
    pub approvals_needed: u32,
    /// The principal who asks.
    pub requested_by: String,
    pub requested_at: Timestamp,
}

/// What becomes of the fee of a withdrawal that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeePolicy {
    /// It goes back with the money.
    #[default]
    Return,
    Retain,
}

impl Requested {
    /// The part of the fee that goes back when the withdrawal fails.
    pub(super) fn fee_returned(&self) -> i64 {
        match self.fee_policy {
            FeePolicy::Return => self.fee,
            FeePolicy::Retain => 0,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Approved {
    pub withdrawal_id: WithdrawalId,
    /// The principal who approved.
    pub approved_by: String,
    /// How many more must approve; with none left, the withdrawal goes to the bank.
    pub approvals_left: u32,
    /// Not before a new bank account has cooled off.
    pub send_not_before: Timestamp,
    pub approved_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rejected {
    pub withdrawal_id: WithdrawalId,
    pub rejected_by: String,
    pub reason: Option<Sealed>,
    pub rejected_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failed {
    pub withdrawal_id: WithdrawalId,
    pub failure: Failure,
    /// The part of the fee that goes back.
    pub fee_returned: i64,
    pub failed_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Returned {
    pub withdrawal_id: WithdrawalId,
    /// What came back: the amount, less what banks kept of it, or a part of it.
    pub amount: i64,
    /// What had come back before this part.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub before: i64,
    /// The bank's own reference of the booking, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub booking: Option<String>,
    pub failure: Failure,
    pub fee_returned: i64,
    pub returned_at: Timestamp,
}

fn is_nothing(amount: &i64) -> bool {
    *amount == 0
}

impl DomainEvent for Event {
    const TYPES: &'static [(&'static str, u16)] = &[
        ("withdrawal.requested", 1),
        ("withdrawal.approved", 1),
        ("withdrawal.rejected", 1),
        ("withdrawal.cancelled", 1),
        ("withdrawal.sending_started", 1),
        ("withdrawal.sent", 1),
        ("withdrawal.paid", 1),
        ("withdrawal.failed", 1),
        ("withdrawal.returned", 1),
    ];

    fn event_type(&self) -> &'static str {
        match self {
            Event::Requested(_) => "withdrawal.requested",
            Event::Approved(_) => "withdrawal.approved",
            Event::Rejected(_) => "withdrawal.rejected",
            Event::Cancelled { .. } => "withdrawal.cancelled",
            Event::SendingStarted { .. } => "withdrawal.sending_started",
            Event::Sent { .. } => "withdrawal.sent",
            Event::Paid { .. } => "withdrawal.paid",
            Event::Failed(_) => "withdrawal.failed",
            Event::Returned(_) => "withdrawal.returned",
        }
    }
}

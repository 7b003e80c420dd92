//! The facts of a merchant's account, with the exact shares of everything that moved. Amounts in minor units.

use serde::{Deserialize, Serialize};

use super::{Credit, Drawn, Holder, ReservePlan, Window};
use crate::{
    Account, AdjustmentId, BalancedEntry, BankName, Currency, DomainEvent, MerchantId, SettlementId, Timestamp,
    WithdrawalId,
};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    #[serde(rename = "merchant_account.settlement_closed")]
    SettlementClosed(SettlementClosed),
    #[serde(rename = "merchant_account.settlement_released")]
    SettlementReleased(SettlementReleased),
    #[serde(rename = "merchant_account.reserve_released")]
    ReserveReleased(ReserveReleased),
    #[serde(rename = "merchant_account.withdrawal_held")]
    WithdrawalHeld(WithdrawalHeld),
    #[serde(rename = "merchant_account.withdrawal_released")]
    WithdrawalReleased(WithdrawalReleased),
    #[serde(rename = "merchant_account.withdrawal_sent")]
    WithdrawalSent(WithdrawalSent),
    #[serde(rename = "merchant_account.withdrawal_paid")]
    WithdrawalPaid(WithdrawalPaid),
    #[serde(rename = "merchant_account.withdrawal_paid_late")]
    WithdrawalPaidLate(WithdrawalPaidLate),
    #[serde(rename = "merchant_account.withdrawal_failed")]
    WithdrawalFailed(WithdrawalFailed),
    #[serde(rename = "merchant_account.withdrawal_returned")]
    WithdrawalReturned(WithdrawalReturned),
    #[serde(rename = "merchant_account.withdrawal_return_continued")]
    WithdrawalReturnContinued(WithdrawalReturnContinued),
    #[serde(rename = "merchant_account.adjustment_credited")]
    AdjustmentCredited(AdjustmentCredited),
    #[serde(rename = "merchant_account.adjustment_debited")]
    AdjustmentDebited(AdjustmentDebited),
    #[serde(rename = "merchant_account.receivable_written_off")]
    ReceivableWrittenOff(ReceivableWrittenOff),
}

/// Why a withdrawal that was held is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseCause {
    Rejected,
    Cancelled,
}

/// A batch below zero is paid out of `drawn`; one above waits in `settlement` until it is released.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SettlementClosed {
    pub settlement_id: SettlementId,
    pub merchant_id: MerchantId,
    pub currency: Currency,
    #[serde(flatten)]
    pub window: Window,
    /// All postings to `pending` in the window, except this account's own.
    pub net: i64,
    pub gross_captured: i64,
    pub items: u64,
    /// SHA-256 of the items, as 64 hexadecimal digits.
    pub items_digest: String,
    pub drawn: Drawn,
    pub reserve: ReservePlan,
    pub closed_at: Timestamp,
}

/// `amount` is `repaid` + `reserved` + `available`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SettlementReleased {
    pub settlement_id: SettlementId,
    pub merchant_id: MerchantId,
    pub currency: Currency,
    pub amount: i64,
    pub repaid: i64,
    /// The reserve lot that the batch leaves behind.
    pub reserved: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserve_due: Option<Timestamp>,
    pub available: i64,
    pub released_at: Timestamp,
}

/// The term of the lot that this settlement withheld has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReserveReleased {
    pub settlement_id: SettlementId,
    pub merchant_id: MerchantId,
    pub currency: Currency,
    pub amount: i64,
    pub credit: Credit,
    pub released_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WithdrawalHeld {
    pub withdrawal_id: WithdrawalId,
    pub merchant_id: MerchantId,
    pub currency: Currency,
    pub amount: i64,
    pub fee: i64,
    pub held_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WithdrawalReleased {
    pub withdrawal_id: WithdrawalId,
    pub merchant_id: MerchantId,
    pub currency: Currency,
    pub amount: i64,
    pub fee: i64,
    pub cause: ReleaseCause,
    pub credit: Credit,
    pub released_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WithdrawalSent {
    pub withdrawal_id: WithdrawalId,
    pub merchant_id: MerchantId,
    pub currency: Currency,
    pub bank: BankName,
    pub amount: i64,
    pub fee: i64,
    pub sent_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WithdrawalPaid {
    pub withdrawal_id: WithdrawalId,
    pub merchant_id: MerchantId,
    pub currency: Currency,
    pub bank: BankName,
    pub amount: i64,
    pub paid_at: Timestamp,
}

/// The bank paid what it had called failed; the merchant had been given the money back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WithdrawalPaidLate {
    pub withdrawal_id: WithdrawalId,
    pub merchant_id: MerchantId,
    pub currency: Currency,
    pub bank: BankName,
    pub amount: i64,
    pub drawn: Drawn,
    pub paid_at: Timestamp,
}

/// The bank did not pay it. `credit` is `amount` and the part of our fee that goes back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WithdrawalFailed {
    pub withdrawal_id: WithdrawalId,
    pub merchant_id: MerchantId,
    pub currency: Currency,
    pub bank: BankName,
    pub amount: i64,
    pub fee_returned: i64,
    pub credit: Credit,
    pub failed_at: Timestamp,
}

/// The money came back after it was paid, less what a bank kept, which we bear.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WithdrawalReturned {
    pub withdrawal_id: WithdrawalId,
    pub merchant_id: MerchantId,
    pub currency: Currency,
    pub bank: BankName,
    pub amount: i64,
    pub bank_fee: i64,
    pub fee_returned: i64,
    pub credit: Credit,
    pub returned_at: Timestamp,
}

/// More of it came back than was thought when the first part did: what was taken for the bank's fee was none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WithdrawalReturnContinued {
    pub withdrawal_id: WithdrawalId,
    pub merchant_id: MerchantId,
    pub currency: Currency,
    pub bank: BankName,
    pub amount: i64,
    /// Counted from 1, the first one that came back included.
    pub part: u16,
    pub returned_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AdjustmentCredited {
    pub adjustment_id: AdjustmentId,
    pub merchant_id: MerchantId,
    pub currency: Currency,
    pub counter: Account,
    pub amount: i64,
    pub credit: Credit,
    pub adjusted_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AdjustmentDebited {
    pub adjustment_id: AdjustmentId,
    pub merchant_id: MerchantId,
    pub currency: Currency,
    pub counter: Account,
    pub amount: i64,
    pub adjusted_at: Timestamp,
}

/// What the merchant owed us was given up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReceivableWrittenOff {
    pub adjustment_id: AdjustmentId,
    pub merchant_id: MerchantId,
    pub currency: Currency,
    pub amount: i64,
    pub written_off_at: Timestamp,
}

impl Event {
    /// Whose account it happened to.
    pub fn holder(&self) -> Holder {
        let (merchant_id, currency) = match self {
            Event::SettlementClosed(event) => (event.merchant_id, event.currency),
            Event::SettlementReleased(event) => (event.merchant_id, event.currency),
            Event::ReserveReleased(event) => (event.merchant_id, event.currency),
            Event::WithdrawalHeld(event) => (event.merchant_id, event.currency),
            Event::WithdrawalReleased(event) => (event.merchant_id, event.currency),
            Event::WithdrawalSent(event) => (event.merchant_id, event.currency),
            Event::WithdrawalPaid(event) => (event.merchant_id, event.currency),
            Event::WithdrawalPaidLate(event) => (event.merchant_id, event.currency),
            Event::WithdrawalFailed(event) => (event.merchant_id, event.currency),
            Event::WithdrawalReturned(event) => (event.merchant_id, event.currency),
            Event::WithdrawalReturnContinued(event) => (event.merchant_id, event.currency),
            Event::AdjustmentCredited(event) => (event.merchant_id, event.currency),
            Event::AdjustmentDebited(event) => (event.merchant_id, event.currency),
            Event::ReceivableWrittenOff(event) => (event.merchant_id, event.currency),
        };
        Holder { merchant_id, currency }
    }

    /// The id of the settlement, withdrawal or adjustment that it is about.
    pub fn subject(&self) -> String {
        match self {
            Event::SettlementClosed(event) => event.settlement_id.to_string(),
            Event::SettlementReleased(event) => event.settlement_id.to_string(),
            Event::ReserveReleased(event) => event.settlement_id.to_string(),
            Event::WithdrawalHeld(event) => event.withdrawal_id.to_string(),
            Event::WithdrawalReleased(event) => event.withdrawal_id.to_string(),
            Event::WithdrawalSent(event) => event.withdrawal_id.to_string(),
            Event::WithdrawalPaid(event) => event.withdrawal_id.to_string(),
            Event::WithdrawalPaidLate(event) => event.withdrawal_id.to_string(),
            Event::WithdrawalFailed(event) => event.withdrawal_id.to_string(),
            Event::WithdrawalReturned(event) => event.withdrawal_id.to_string(),
            Event::WithdrawalReturnContinued(event) => event.withdrawal_id.to_string(),
            Event::AdjustmentCredited(event) => event.adjustment_id.to_string(),
            Event::AdjustmentDebited(event) => event.adjustment_id.to_string(),
            Event::ReceivableWrittenOff(event) => event.adjustment_id.to_string(),
        }
    }
}

impl DomainEvent for Event {
    const TYPES: &'static [(&'static str, u16)] = &[
        ("merchant_account.settlement_closed", 1),
        ("merchant_account.settlement_released", 1),
        ("merchant_account.reserve_released", 1),
        ("merchant_account.withdrawal_held", 1),
        ("merchant_account.withdrawal_released", 1),
        ("merchant_account.withdrawal_sent", 1),
        ("merchant_account.withdrawal_paid", 1),
        ("merchant_account.withdrawal_paid_late", 1),
        ("merchant_account.withdrawal_failed", 1),
        ("merchant_account.withdrawal_returned", 1),
        ("merchant_account.withdrawal_return_continued", 1),
        ("merchant_account.adjustment_credited", 1),
        ("merchant_account.adjustment_debited", 1),
        ("merchant_account.receivable_written_off", 1),
    ];

    fn event_type(&self) -> &'static str {
        match self {
            Event::SettlementClosed(_) => "merchant_account.settlement_closed",
            Event::SettlementReleased(_) => "merchant_account.settlement_released",
            Event::ReserveReleased(_) => "merchant_account.reserve_released",
            Event::WithdrawalHeld(_) => "merchant_account.withdrawal_held",
            Event::WithdrawalReleased(_) => "merchant_account.withdrawal_released",
            Event::WithdrawalSent(_) => "merchant_account.withdrawal_sent",
            Event::WithdrawalPaid(_) => "merchant_account.withdrawal_paid",
            Event::WithdrawalPaidLate(_) => "merchant_account.withdrawal_paid_late",
            Event::WithdrawalFailed(_) => "merchant_account.withdrawal_failed",
            Event::WithdrawalReturned(_) => "merchant_account.withdrawal_returned",
            Event::WithdrawalReturnContinued(_) => "merchant_account.withdrawal_return_continued",
            Event::AdjustmentCredited(_) => "merchant_account.adjustment_credited",
            Event::AdjustmentDebited(_) => "merchant_account.adjustment_debited",
            Event::ReceivableWrittenOff(_) => "merchant_account.receivable_written_off",
        }
    }

    fn postings(&self) -> Option<BalancedEntry> {
        super::postings::of(self)
    }
}

//! The facts of a channel's account, as stored, and what they do to the books.

use serde::{Deserialize, Serialize};

use super::DifferenceReason;
use crate::{Account, BalancedEntry, BankName, ChannelName, Currency, DomainEvent, ExceptionId, Timestamp};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    #[serde(rename = "channel_account.payout_received")]
    PayoutReceived(PayoutReceived),
    #[serde(rename = "channel_account.resolution_requested")]
    ResolutionRequested(ResolutionRequested),
    #[serde(rename = "channel_account.difference_resolved")]
    DifferenceResolved(DifferenceResolved),
    #[serde(rename = "channel_account.exception_written_off")]
    ExceptionWrittenOff(ExceptionWrittenOff),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PayoutReceived {
    pub channel: ChannelName,
    pub currency: Currency,
    /// The channel's own reference.
    pub payout: String,
    /// Where it arrived.
    pub bank: BankName,
    /// What arrived in minor units; negative if the channel took money.
    pub amount: i64,
    /// What its statement adds up to.
    pub expected: i64,
    /// Lines of that statement, and their SHA-256 in hex.
    pub statement_lines: u64,
    pub statement_digest: String,
    pub paid_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResolutionRequested {
    pub payout: String,
    pub reason: DifferenceReason,
    pub requested_by: String,
    pub requested_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DifferenceResolved {
    pub channel: ChannelName,
    pub currency: Currency,
    pub payout: String,
    /// What had arrived beyond what was expected, negative if it fell short.
    pub difference: i64,
    pub reason: DifferenceReason,
    /// Above a limit another person than `resolved_by`.
    pub requested_by: String,
    pub resolved_by: String,
    pub resolved_at: Timestamp,
}

/// A statement's line and what was booked for it differ, and the books take over what the statement tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExceptionWrittenOff {
    pub exception_id: ExceptionId,
    pub channel: ChannelName,
    pub currency: Currency,
    /// What the statement tells beyond what is booked, negative if it falls short.
    pub amount: i64,
    pub reason: DifferenceReason,
    pub written_off_at: Timestamp,
}

impl DomainEvent for Event {
    const TYPES: &'static [(&'static str, u16)] = &[
        ("channel_account.payout_received", 1),
        ("channel_account.resolution_requested", 1),
        ("channel_account.difference_resolved", 1),
        ("channel_account.exception_written_off", 1),
    ];

    fn event_type(&self) -> &'static str {
        match self {
            Event::PayoutReceived(_) => "channel_account.payout_received",
            Event::ResolutionRequested(_) => "channel_account.resolution_requested",
            Event::DifferenceResolved(_) => "channel_account.difference_resolved",
            Event::ExceptionWrittenOff(_) => "channel_account.exception_written_off",
        }
    }

    fn postings(&self) -> Option<BalancedEntry> {
        match self {
            Event::PayoutReceived(received) => received.postings(),
            Event::ResolutionRequested(_) => None,
            Event::DifferenceResolved(resolved) => resolved.postings(),
            Event::ExceptionWrittenOff(written_off) => written_off.postings(),
        }
    }
}

impl PayoutReceived {
    /// The channel owes us the statement less; what did not arrive of it is in suspense.
    fn postings(&self) -> Option<BalancedEntry> {
        let receivable = Account::ChannelReceivable(self.channel.clone());
        BalancedEntry::in_currency(self.currency)
            .transfer(Account::BankCash(self.bank.clone()), receivable.clone(), self.amount)
            .transfer(Account::SuspenseRecon(self.channel.clone()), receivable, self.expected - self.amount)
            .build()
    }
}

impl DifferenceResolved {
    fn postings(&self) -> Option<BalancedEntry> {
        let suspense = Account::SuspenseRecon(self.channel.clone());
        BalancedEntry::in_currency(self.currency).transfer(suspense, explained_by(self.reason), self.difference).build()
    }
}

impl ExceptionWrittenOff {
    /// The channel owes us what it says, and not what we had booked.
    fn postings(&self) -> Option<BalancedEntry> {
        let receivable = Account::ChannelReceivable(self.channel.clone());
        BalancedEntry::in_currency(self.currency).transfer(receivable, explained_by(self.reason), self.amount).build()
    }
}

/// What a difference turned out to be, as an account.
fn explained_by(reason: DifferenceReason) -> Account {
    match reason {
        DifferenceReason::BankFee => Account::ExpenseBankFee,
        DifferenceReason::FxDifference => Account::FxGainLoss,
        DifferenceReason::Rounding | DifferenceReason::WriteOff => Account::ExpenseReconWriteoff,
    }
}

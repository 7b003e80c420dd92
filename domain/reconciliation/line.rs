//! The two sides of a reconciliation in one shape: what a statement tells, and what we have booked. Knows no format and
//! no table.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{BankName, ChannelName, Currency, Timestamp};

/// Whose statement it is. Written `channel:stripe`, `bank:sandbox`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Counterparty {
    Channel(ChannelName),
    Bank(BankName),
}

/// What money moved for. A charge of ours and its refund share a reference at some channels, so the kind is part of
/// what they are matched by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Charge,
    Refund,
    /// A refund that came back.
    RefundFailure,
    Dispute,
    /// A dispute whose money came back.
    DisputeReversal,
    /// A fee that belongs to no other line.
    Fee,
    /// From a channel to our bank.
    Payout,
    /// From our bank to a merchant's.
    Withdrawal,
    WithdrawalReturn,
    /// On a bank's statement: whatever is no withdrawal of ours.
    Transfer,
    Adjustment,
}

/// Minor units. `gross` adds to what we have there, `fee` takes away from it; both may be negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amounts {
    pub currency: Currency,
    pub gross: i64,
    pub fee: i64,
}

/// One line of a statement.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Line {
    /// In the file, counted from 1.
    pub number: u32,
    pub kind: Kind,
    /// The counterparty's own.
    pub reference: Option<String>,
    /// Our id of it, where the statement carries one.
    pub own_reference: Option<String>,
    pub amounts: Amounts,
    pub occurred_at: Timestamp,
}

/// One movement with a counterparty as the log tells it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Operation {
    /// Of the event that began it; unique for each counterparty.
    pub position: u64,
    pub kind: Kind,
    /// Our id of it.
    pub object: String,
    /// The counterparty's own.
    pub reference: Option<String>,
    pub amounts: Amounts,
    /// The fee is our guess until the counterparty tells it.
    pub fee_is_estimate: bool,
    pub occurred_at: Timestamp,
    /// Another statement has it already.
    pub is_taken: bool,
}

impl Amounts {
    /// What it adds to the balance there.
    pub fn net(&self) -> i128 {
        i128::from(self.gross) - i128::from(self.fee)
    }
}

impl Kind {
    pub const ALL: [Kind; 11] = [
        Kind::Charge,
        Kind::Refund,
        Kind::RefundFailure,
        Kind::Dispute,
        Kind::DisputeReversal,
        Kind::Fee,
        Kind::Payout,
        Kind::Withdrawal,
        Kind::WithdrawalReturn,
        Kind::Transfer,
        Kind::Adjustment,
    ];

    pub fn as_str(&self) -> &'static str {
        match self {
            Kind::Charge => "charge",
            Kind::Refund => "refund",
            Kind::RefundFailure => "refund_failure",
            Kind::Dispute => "dispute",
            Kind::DisputeReversal => "dispute_reversal",
            Kind::Fee => "fee",
            Kind::Payout => "payout",
            Kind::Withdrawal => "withdrawal",
            Kind::WithdrawalReturn => "withdrawal_return",
            Kind::Transfer => "transfer",
            Kind::Adjustment => "adjustment",
        }
    }
}

impl FromStr for Kind {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let known = Kind::ALL.into_iter().find(|kind| kind.as_str() == text);
        known.ok_or("must be a kind of movement such as charge, refund or payout")
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Counterparty {
    pub fn name(&self) -> &str {
        match self {
            Counterparty::Channel(name) => name.as_str(),
            Counterparty::Bank(name) => name.as_str(),
        }
    }

    pub fn channel(&self) -> Option<&ChannelName> {
        match self {
            Counterparty::Channel(name) => Some(name),
            Counterparty::Bank(_) => None,
        }
    }
}

impl fmt::Display for Counterparty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Counterparty::Channel(name) => write!(f, "channel:{name}"),
            Counterparty::Bank(name) => write!(f, "bank:{name}"),
        }
    }
}

impl FromStr for Counterparty {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text.split_once(':') {
            Some(("channel", name)) => Ok(Counterparty::Channel(name.parse()?)),
            Some(("bank", name)) => Ok(Counterparty::Bank(name.parse()?)),
            _ => Err("must be channel:NAME or bank:NAME"),
        }
    }
}

impl Serialize for Counterparty {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Counterparty {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

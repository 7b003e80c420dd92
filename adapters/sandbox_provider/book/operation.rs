//! The effective operations: what really happened to money. An operation appears once however
//! often it was called for; this is the truth that a ledger is compared with.

use crate::sandbox_provider::money::Currency;
use std::sync::Arc;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OperationKind {
    Charge,
    Authorization,
    Capture,
    Cancel,
    Refund,
    RefundReversal,
    DisputeWithdrawal,
    DisputeReversal,
}

impl OperationKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Charge => "charge",
            Self::Authorization => "authorization",
            Self::Capture => "capture",
            Self::Cancel => "cancel",
            Self::Refund => "refund",
            Self::RefundReversal => "refund_reversal",
            Self::DisputeWithdrawal => "dispute_withdrawal",
            Self::DisputeReversal => "dispute_reversal",
        }
    }

    /// The sign with which the amount counts in what the provider owes.
    pub(crate) fn sign(self) -> i64 {
        match self {
            Self::Charge | Self::Capture | Self::RefundReversal | Self::DisputeReversal => 1,
            Self::Refund | Self::DisputeWithdrawal => -1,
            Self::Authorization | Self::Cancel => 0,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) kind: OperationKind,
    /// The reference that the client gave: payment, pre-auth, capture or refund.
    pub(crate) reference: Arc<str>,
    pub(crate) charge: usize,
    pub(crate) charge_reference: Arc<str>,
    /// The client's key, or one of the provider's own where the provider acted by itself.
    pub(crate) key: Arc<str>,
    pub(crate) amount: i64,
    pub(crate) currency: Option<Currency>,
    pub(crate) fee: i64,
    pub(crate) at_ms: u64,
}

impl Operation {
    /// What it changes in the balance owed; the fee is kept on refund.
    pub(crate) fn net(&self) -> i128 {
        i128::from(self.amount) * i128::from(self.kind.sign()) - i128::from(self.fee)
    }
}

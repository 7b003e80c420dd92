//! The objects of the book: charges, captures, refunds, disputes, payouts. Plain data; what may
//! happen to them is in `decide`, how they change in `apply`.

use super::failure::Failure;
use crate::sandbox_provider::money::Currency;
use crate::sandbox_provider::tokens::Token;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ChargeStatus {
    Pending,
    RequiresAction,
    /// Money is held; perhaps a part of it is captured already.
    Authorized,
    /// Captured as far as it will ever be.
    Succeeded,
    Failed,
    Cancelled,
}

#[derive(Debug, Clone)]
pub(crate) struct Charge {
    /// Its place in the book; the public id is made of it.
    pub(crate) index: usize,
    pub(crate) reference: Arc<str>,
    pub(crate) key: Arc<str>,
    /// Zero, and no currency, for a tombstone: a cancel that came before its charge.
    pub(crate) amount: i64,
    pub(crate) currency: Option<Currency>,
    pub(crate) token: Token,
    pub(crate) capture: bool,
    pub(crate) return_url: Option<Arc<str>>,
    pub(crate) status: ChargeStatus,
    pub(crate) failure: Option<Failure>,
    pub(crate) captured: i64,
    pub(crate) released: i64,
    pub(crate) refunded: i64,
    /// In disputes that are open or lost.
    pub(crate) disputed: i64,
    pub(crate) fee: i64,
    pub(crate) dispute_opened: bool,
    pub(crate) created_ms: u64,
}

impl Charge {
    /// What refunds and disputes may still take.
    pub(crate) fn refundable(&self) -> i64 {
        self.captured - self.refunded - self.disputed
    }

    /// What captures may still take.
    pub(crate) fn capturable(&self) -> i64 {
        match self.status {
            ChargeStatus::Authorized => self.amount - self.captured,
            _ => 0,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Capture {
    pub(crate) index: usize,
    pub(crate) charge: usize,
    pub(crate) charge_reference: Arc<str>,
    pub(crate) reference: Arc<str>,
    pub(crate) amount: i64,
    pub(crate) currency: Option<Currency>,
    pub(crate) fee: i64,
    pub(crate) refunded: i64,
    pub(crate) disputed: i64,
    pub(crate) dispute_opened: bool,
    pub(crate) created_ms: u64,
}

impl Capture {
    pub(crate) fn refundable(&self) -> i64 {
        self.amount - self.refunded - self.disputed
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Refund {
    pub(crate) index: usize,
    pub(crate) charge: usize,
    pub(crate) charge_reference: Arc<str>,
    pub(crate) capture: Option<usize>,
    pub(crate) capture_reference: Option<Arc<str>>,
    pub(crate) reference: Arc<str>,
    pub(crate) amount: i64,
    pub(crate) currency: Option<Currency>,
    pub(crate) failure: Option<Failure>,
    pub(crate) created_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DisputeStatus {
    Opened,
    Won,
    Lost,
}

#[derive(Debug, Clone)]
pub(crate) struct Dispute {
    pub(crate) index: usize,
    pub(crate) charge: usize,
    pub(crate) charge_reference: Arc<str>,
    pub(crate) capture: Option<usize>,
    /// The payment: the reference of the capture if there is one, else that of the charge.
    pub(crate) reference: Arc<str>,
    pub(crate) amount: i64,
    pub(crate) currency: Option<Currency>,
    pub(crate) status: DisputeStatus,
    pub(crate) evidence_submitted: bool,
    pub(crate) created_ms: u64,
}

/// What was owed in one currency: the ledger lines `from..to` of that currency.
#[derive(Debug, Clone)]
pub(crate) struct Payout {
    pub(crate) index: usize,
    pub(crate) currency: Currency,
    pub(crate) amount: i128,
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) created_ms: u64,
}

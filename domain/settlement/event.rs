//! The facts of a settlement's workflow. Fields are added, never changed.

use serde::{Deserialize, Serialize};

use crate::merchant_account::{SettlementClosed, Window};
use crate::{Currency, DomainEvent, MerchantId, SettlementId, Timestamp};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    #[serde(rename = "settlement.closed")]
    Closed(Box<Closed>),
    #[serde(rename = "settlement.approved")]
    Approved(Approved),
    #[serde(rename = "settlement.held")]
    Held(Held),
    #[serde(rename = "settlement.released")]
    Released(Released),
}

/// Amounts in minor units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Closed {
    pub settlement_id: SettlementId,
    pub merchant_id: MerchantId,
    pub currency: Currency,
    #[serde(flatten)]
    pub window: Window,
    pub net: i64,
    pub gross_captured: i64,
    pub items: u64,
    /// SHA-256 of the items, as 64 hexadecimal digits.
    pub items_digest: String,
    /// Its amount lies above the threshold: finance has to agree.
    pub needs_approval: bool,
    pub release_due: Timestamp,
    /// The person who asked for it; nobody did if it was its time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<String>,
    pub closed_at: Timestamp,
}

impl Closed {
    /// The workflow of the batch that the account closed.
    pub fn of(
        batch: &SettlementClosed,
        needs_approval: bool,
        release_due: Timestamp,
        requested_by: Option<String>,
    ) -> Closed {
        Closed {
            settlement_id: batch.settlement_id,
            merchant_id: batch.merchant_id,
            currency: batch.currency,
            window: batch.window,
            net: batch.net,
            gross_captured: batch.gross_captured,
            items: batch.items,
            items_digest: batch.items_digest.clone(),
            needs_approval,
            release_due,
            requested_by,
            closed_at: batch.closed_at,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Approved {
    pub settlement_id: SettlementId,
    pub approved_by: String,
    pub approved_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Held {
    pub settlement_id: SettlementId,
    pub held_by: String,
    pub held_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Released {
    pub settlement_id: SettlementId,
    pub released_at: Timestamp,
}

impl DomainEvent for Event {
    const TYPES: &'static [(&'static str, u16)] =
        &[("settlement.closed", 1), ("settlement.approved", 1), ("settlement.held", 1), ("settlement.released", 1)];

    fn event_type(&self) -> &'static str {
        match self {
            Event::Closed(_) => "settlement.closed",
            Event::Approved(_) => "settlement.approved",
            Event::Held(_) => "settlement.held",
            Event::Released(_) => "settlement.released",
        }
    }
}

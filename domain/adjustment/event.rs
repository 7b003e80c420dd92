//! The facts of an adjustment, as stored.

use serde::{Deserialize, Serialize};

use crate::{AdjustmentId, BalancedEntry, DomainEvent, Timestamp};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    #[serde(rename = "adjustment.proposed")]
    Proposed(Proposal),
    #[serde(rename = "adjustment.approved")]
    Approved(Approved),
    #[serde(rename = "adjustment.rejected")]
    Rejected(Rejected),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    pub adjustment_id: AdjustmentId,
    /// Why the books are changed by hand. It stays as long as the books do, so it names no person.
    pub reason: String,
    #[serde(rename = "legs")]
    pub entry: BalancedEntry,
    /// When it counts, if that is not when it is approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_at: Option<Timestamp>,
    pub requested_by: String,
    pub requested_at: Timestamp,
}

/// Carries its legs again, because what is posted is what this one event says; none if a merchant's account posts them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Approved {
    pub adjustment_id: AdjustmentId,
    #[serde(rename = "legs", default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<BalancedEntry>,
    pub approved_by: String,
    pub approved_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rejected {
    pub adjustment_id: AdjustmentId,
    pub rejected_by: String,
    pub rejected_at: Timestamp,
}

impl DomainEvent for Event {
    const TYPES: &'static [(&'static str, u16)] =
        &[("adjustment.proposed", 1), ("adjustment.approved", 1), ("adjustment.rejected", 1)];

    fn event_type(&self) -> &'static str {
        match self {
            Event::Proposed(_) => "adjustment.proposed",
            Event::Approved(_) => "adjustment.approved",
            Event::Rejected(_) => "adjustment.rejected",
        }
    }

    fn postings(&self) -> Option<BalancedEntry> {
        match self {
            Event::Approved(approved) => approved.entry.clone(),
            Event::Proposed(_) | Event::Rejected(_) => None,
        }
    }
}

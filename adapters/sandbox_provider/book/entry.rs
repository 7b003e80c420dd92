//! What the journal keeps: one entry per fact, in the order in which the facts became true. The
//! short tags and names are the format on disk; additive changes only.

use super::failure::Failure;
use super::objects::ChargeStatus;
use super::refusal::Refusal;
use crate::sandbox_provider::money::Currency;
use crate::sandbox_provider::tokens::Token;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The idempotency key of a call and the fingerprint of what it asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ticket {
    #[serde(rename = "key")]
    pub(crate) key: Arc<str>,
    #[serde(rename = "fp")]
    pub(crate) fingerprint: Arc<str>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "k", rename_all = "snake_case")]
pub(crate) enum Entry {
    /// The first line of every journal. The instance makes ids differ between two books.
    Opened {
        format: u32,
        instance: Arc<str>,
    },
    /// Whether facts from here on are told by webhook.
    WebhooksSet {
        on: bool,
    },
    /// A call for this reference was swallowed without effect, as its token wants it.
    Attempted {
        #[serde(rename = "ref")]
        reference: Arc<str>,
    },
    Charged {
        #[serde(flatten)]
        ticket: Ticket,
        #[serde(rename = "ref")]
        reference: Arc<str>,
        #[serde(rename = "amt")]
        amount: i64,
        #[serde(rename = "cur")]
        currency: Currency,
        #[serde(rename = "tok")]
        token: Token,
        #[serde(rename = "cap")]
        capture: bool,
        #[serde(rename = "url", default, skip_serializing_if = "Option::is_none")]
        return_url: Option<Arc<str>>,
        #[serde(rename = "st")]
        status: ChargeStatus,
        #[serde(rename = "why", default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
    },
    /// What was pending, or waited for the customer, has its result.
    Resolved {
        charge: usize,
        #[serde(rename = "st")]
        status: ChargeStatus,
        #[serde(rename = "why", default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
    },
    Captured {
        #[serde(flatten)]
        ticket: Ticket,
        charge: usize,
        #[serde(rename = "ref")]
        reference: Arc<str>,
        #[serde(rename = "amt")]
        amount: i64,
        /// No capture follows; what is left is released.
        last: bool,
    },
    Cancelled {
        #[serde(flatten)]
        ticket: Ticket,
        charge: usize,
    },
    /// Cancelled before its charge was seen.
    Tombstoned {
        #[serde(flatten)]
        ticket: Ticket,
        #[serde(rename = "ref")]
        reference: Arc<str>,
    },
    Refunded {
        #[serde(flatten)]
        ticket: Ticket,
        charge: usize,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        capture: Option<usize>,
        #[serde(rename = "ref")]
        reference: Arc<str>,
        #[serde(rename = "amt")]
        amount: i64,
        #[serde(rename = "why", default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
    },
    RefundReversed {
        refund: usize,
    },
    DisputeOpened {
        charge: usize,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        capture: Option<usize>,
        #[serde(rename = "amt")]
        amount: i64,
    },
    EvidenceSubmitted {
        #[serde(flatten)]
        ticket: Ticket,
        dispute: usize,
        /// The verdict that this evidence brings about, if any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        won: Option<bool>,
    },
    DisputeClosed {
        #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
        ticket: Option<Ticket>,
        dispute: usize,
        won: bool,
    },
    /// A call that changed nothing; its answer is kept all the same.
    Unchanged {
        #[serde(flatten)]
        ticket: Ticket,
        charge: usize,
    },
    Refused {
        #[serde(flatten)]
        ticket: Ticket,
        refusal: Refusal,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        charge: Option<usize>,
    },
    PaidOut {
        #[serde(rename = "cur")]
        currency: Currency,
    },
    /// Delivered, or lost on purpose.
    WebhookDone {
        event: u64,
    },
}

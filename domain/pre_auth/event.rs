//! The facts of a pre-auth. Fields are added, never changed; a change of meaning is a new event type.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::payment::CancellationCause;
pub use crate::payment::{ActionRequired, Failed};
use crate::pricing::Pricing;
use crate::{
    BalancedEntry, ChannelName, Country, Currency, DomainEvent, MerchantId, OrderId, OrderNo, PaymentId, PreAuthId,
    Sealed, Timestamp,
};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    #[serde(rename = "pre_auth.created")]
    Created(Box<Created>),
    #[serde(rename = "pre_auth.action_required")]
    ActionRequired(ActionRequired),
    #[serde(rename = "pre_auth.accepted")]
    Accepted { channel_reference: String },
    #[serde(rename = "pre_auth.outcome_unknown")]
    OutcomeUnknown { since: Timestamp },
    #[serde(rename = "pre_auth.cancellation_requested")]
    CancellationRequested { cause: CancellationCause, requested_at: Timestamp },
    #[serde(rename = "pre_auth.authorized")]
    Authorized(Authorized),
    #[serde(rename = "pre_auth.failed")]
    Failed(Failed),
    /// Before anything was held.
    #[serde(rename = "pre_auth.cancelled")]
    Cancelled { pre_auth_id: PreAuthId },
    /// Before anything was held.
    #[serde(rename = "pre_auth.expired")]
    Expired { pre_auth_id: PreAuthId },
    #[serde(rename = "pre_auth.capture_requested")]
    CaptureRequested(CaptureRequested),
    #[serde(rename = "pre_auth.captured")]
    Captured(Captured),
    #[serde(rename = "pre_auth.capture_failed")]
    CaptureFailed(CaptureFailed),
    /// The channel made a capture that it had called failed.
    #[serde(rename = "pre_auth.captured_late")]
    CapturedLate(CapturedLate),
    /// Nothing more can be captured.
    #[serde(rename = "pre_auth.closed")]
    Closed(Closed),
    /// The channel holds nothing any more.
    #[serde(rename = "pre_auth.hold_released")]
    HoldReleased { released_at: Timestamp },
}

impl Event {
    /// The channel's own id of the authorisation, where this event tells one.
    pub(super) fn channel_reference(&self) -> Option<&str> {
        match self {
            Event::Accepted { channel_reference } => Some(channel_reference),
            Event::ActionRequired(required) => Some(&required.channel_reference),
            Event::Authorized(authorized) => Some(&authorized.channel_reference),
            Event::Failed(failed) => failed.channel_reference.as_deref(),
            _ => None,
        }
    }
}

/// The intent, durable before the channel is called. Amounts in minor units. The captures inherit pricing and fee rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Created {
    pub pre_auth_id: PreAuthId,
    pub merchant_id: MerchantId,
    pub order_no: OrderNo,
    pub amount: i64,
    pub currency: Currency,
    pub channel: ChannelName,
    /// The kind of payment method, such as `card`.
    pub method: String,
    /// The customer's country, which alone names nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<Country>,
    pub pricing: Pricing,
    /// What the channel is expected to take of a capture, where it tells its fee only later: 0.029 is 2.9 %.
    pub expected_channel_fee_rate: Decimal,
    /// Does the channel take several captures of one authorisation? Where it does not, the first one is the final one.
    pub multiple_captures: bool,
    /// The order that this pre-auth has a place in; none if its number alone makes the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// The payment method's token, the customer, description, metadata and return address.
    pub sealed: Sealed,
    pub created_at: Timestamp,
    /// One that is not authorised by then expires.
    pub authorize_before: Timestamp,
    pub expires_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Authorized {
    pub pre_auth_id: PreAuthId,
    pub merchant_id: MerchantId,
    pub channel: ChannelName,
    pub channel_reference: String,
    pub amount: i64,
    pub currency: Currency,
    pub authorized_at: Timestamp,
    /// The pre-auth's own expiry, or the channel's if that is sooner.
    pub expires_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaptureRequested {
    pub payment_id: PaymentId,
    pub amount: i64,
    pub is_final: bool,
    pub requested_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Captured {
    pub pre_auth_id: PreAuthId,
    pub merchant_id: MerchantId,
    pub channel: ChannelName,
    pub payment_id: PaymentId,
    pub amount: i64,
    pub currency: Currency,
    /// What the channel took less than asked, where the pre-auth is closed already.
    pub released: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaptureFailed {
    pub pre_auth_id: PreAuthId,
    pub merchant_id: MerchantId,
    pub channel: ChannelName,
    pub payment_id: PaymentId,
    pub currency: Currency,
    /// The capture's amount where the pre-auth is closed already, else nothing: it can be captured again.
    pub released: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CapturedLate {
    pub pre_auth_id: PreAuthId,
    pub merchant_id: MerchantId,
    pub channel: ChannelName,
    pub payment_id: PaymentId,
    pub amount: i64,
    pub currency: Currency,
    /// The part of it that was still held in our books.
    pub covered: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Closed {
    pub pre_auth_id: PreAuthId,
    pub merchant_id: MerchantId,
    pub channel: ChannelName,
    pub currency: Currency,
    pub cause: ClosingCause,
    /// What was neither captured nor in flight.
    pub released: i64,
    pub closed_at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClosingCause {
    FinalCapture,
    /// All of it is captured.
    Exhausted,
    Merchant,
    Expiry,
    /// The channel let go of the money by itself.
    Channel,
}

impl DomainEvent for Event {
    const TYPES: &'static [(&'static str, u16)] = &[
        ("pre_auth.created", 1),
        ("pre_auth.action_required", 1),
        ("pre_auth.accepted", 1),
        ("pre_auth.outcome_unknown", 1),
        ("pre_auth.cancellation_requested", 1),
        ("pre_auth.authorized", 1),
        ("pre_auth.failed", 1),
        ("pre_auth.cancelled", 1),
        ("pre_auth.expired", 1),
        ("pre_auth.capture_requested", 1),
        ("pre_auth.captured", 1),
        ("pre_auth.capture_failed", 1),
        ("pre_auth.captured_late", 1),
        ("pre_auth.closed", 1),
        ("pre_auth.hold_released", 1),
    ];

    fn event_type(&self) -> &'static str {
        match self {
            Event::Created(_) => "pre_auth.created",
            Event::ActionRequired(_) => "pre_auth.action_required",
            Event::Accepted { .. } => "pre_auth.accepted",
            Event::OutcomeUnknown { .. } => "pre_auth.outcome_unknown",
            Event::CancellationRequested { .. } => "pre_auth.cancellation_requested",
            Event::Authorized(_) => "pre_auth.authorized",
            Event::Failed(_) => "pre_auth.failed",
            Event::Cancelled { .. } => "pre_auth.cancelled",
            Event::Expired { .. } => "pre_auth.expired",
            Event::CaptureRequested(_) => "pre_auth.capture_requested",
            Event::Captured(_) => "pre_auth.captured",
            Event::CaptureFailed(_) => "pre_auth.capture_failed",
            Event::CapturedLate(_) => "pre_auth.captured_late",
            Event::Closed(_) => "pre_auth.closed",
            Event::HoldReleased { .. } => "pre_auth.hold_released",
        }
    }

    fn postings(&self) -> Option<BalancedEntry> {
        super::postings::of(self)
    }
}

//! The facts of a payment. Fields are added, never changed; a change of meaning is a new event type.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::merchant_limits::Reservation;
use crate::money::{AMOUNT_MAX, fee_at};
use crate::pricing::{Pricing, PricingModel};
use crate::{
    BalancedEntry, ChannelName, Country, Currency, DisputeId, DomainEvent, MerchantId, OrderId, OrderNo, PaymentId,
    PreAuthId, RefundId, Sealed, Timestamp,
};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    #[serde(rename = "payment.created")]
    Created(Box<Created>),
    #[serde(rename = "payment.action_required")]
    ActionRequired(ActionRequired),
    #[serde(rename = "payment.accepted")]
    Accepted { channel_reference: String },
    #[serde(rename = "payment.outcome_unknown")]
    OutcomeUnknown { since: Timestamp },
    #[serde(rename = "payment.cancellation_requested")]
    CancellationRequested { cause: CancellationCause, requested_at: Timestamp },
    #[serde(rename = "payment.captured")]
    Captured(Captured),
    #[serde(rename = "payment.fee_trued_up")]
    FeeTruedUp(FeeTruedUp),
    #[serde(rename = "payment.failed")]
    Failed(Failed),
    #[serde(rename = "payment.cancelled")]
    Cancelled { payment_id: PaymentId },
    #[serde(rename = "payment.expired")]
    Expired { payment_id: PaymentId },
    #[serde(rename = "payment.refund_requested")]
    RefundRequested(RefundRequested),
    #[serde(rename = "payment.refund_accepted")]
    RefundAccepted { refund_id: RefundId, channel_reference: String },
    #[serde(rename = "payment.refund_outcome_unknown")]
    RefundOutcomeUnknown { refund_id: RefundId, since: Timestamp },
    #[serde(rename = "payment.refund_succeeded")]
    RefundSucceeded(RefundSucceeded),
    #[serde(rename = "payment.refund_failed")]
    RefundFailed(RefundFailed),
    #[serde(rename = "payment.refund_reversed")]
    RefundReversed(RefundReversed),
    /// The channel made a refund that it had called failed.
    #[serde(rename = "payment.refund_succeeded_late")]
    RefundSucceededLate(RefundSucceeded),
    /// The channel took the disputed amount back.
    #[serde(rename = "payment.dispute_opened")]
    DisputeOpened(DisputeOpened),
    /// The channel changed what it takes or charges for an open dispute; amounts are differences.
    #[serde(rename = "payment.dispute_adjusted")]
    DisputeAdjusted(DisputeAdjusted),
    #[serde(rename = "payment.dispute_closed")]
    DisputeClosed(DisputeClosed),
    /// The channel took back how it had closed a dispute.
    #[serde(rename = "payment.dispute_reopened")]
    DisputeReopened(DisputeReopened),
    /// Refunds and disputes together took more than was captured.
    #[serde(rename = "payment.over_returned")]
    OverReturned(OverReturned),
}

impl Event {
    /// The channel's own id of the charge, where this event tells one.
    pub(super) fn charge_reference(&self) -> Option<&str> {
        match self {
            Event::Accepted { channel_reference } => Some(channel_reference),
            Event::ActionRequired(required) => Some(&required.channel_reference),
            Event::Captured(captured) => Some(&captured.channel_reference),
            Event::Failed(failed) => failed.channel_reference.as_deref(),
            _ => None,
        }
    }
}

/// The intent, durable before the channel is called. Amounts in minor units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Created {
    pub payment_id: PaymentId,
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
    /// What the channel is expected to take, where it tells its fee only later: 0.029 is 2.9 %.
    pub expected_channel_fee_rate: Decimal,
    /// What of the merchant's limits is reserved for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Reservation>,
    /// The payment method's token, the customer, description, metadata and return address.
    pub sealed: Sealed,
    /// The order that this payment has a place in; none if its number alone makes the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// The pre-auth that this payment is a capture of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pre_auth_id: Option<PreAuthId>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActionRequired {
    pub channel_reference: String,
    /// The address that the customer must visit: it may carry a secret of the channel.
    pub action: Sealed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancellationCause {
    Merchant,
    Expiry,
}

/// The channel's fee in minor units, and whether it said so itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelFee {
    Known(i64),
    Estimated(i64),
}

impl ChannelFee {
    pub fn amount(&self) -> i64 {
        match self {
            ChannelFee::Known(amount) | ChannelFee::Estimated(amount) => *amount,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Captured {
    pub payment_id: PaymentId,
    pub merchant_id: MerchantId,
    pub channel: ChannelName,
    pub channel_reference: String,
    pub amount: i64,
    pub currency: Currency,
    pub channel_fee: ChannelFee,
    pub markup: i64,
    pub pricing_model: PricingModel,
    pub captured_at: Timestamp,
}

impl Captured {
    /// A capture of `amount` minor units under the payment's terms, with its fees. A fee that the channel does not tell,
    /// or that cannot be one, is estimated.
    pub fn of(
        terms: &Created,
        channel_reference: String,
        amount: i64,
        fee: Option<i64>,
        captured_at: Timestamp,
    ) -> Captured {
        let channel_fee = match fee {
            Some(fee) if (0..=AMOUNT_MAX).contains(&fee) => ChannelFee::Known(fee),
            _ => ChannelFee::Estimated(fee_at(amount, terms.expected_channel_fee_rate)),
        };
        Captured {
            payment_id: terms.payment_id,
            merchant_id: terms.merchant_id,
            channel: terms.channel.clone(),
            channel_reference,
            amount,
            currency: terms.currency,
            channel_fee,
            markup: fee_at(amount, terms.pricing.markup_rate),
            pricing_model: terms.pricing.model,
            captured_at,
        }
    }
}

/// The channel told its fee after we had booked an estimate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeeTruedUp {
    pub payment_id: PaymentId,
    pub merchant_id: MerchantId,
    pub channel: ChannelName,
    pub currency: Currency,
    pub estimate: i64,
    pub actual: i64,
    pub pricing_model: PricingModel,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failed {
    pub channel_reference: Option<String>,
    pub failure: Failure,
    pub failed_at: Timestamp,
}

/// Why the channel said no, in stable codes. Made by [`Failure::new`] alone, so that no text of a channel, which may
/// name a person or a card, gets into the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Failure {
    pub code: String,
    pub message: String,
    pub decline_code: Option<String>,
}

impl Failure {
    /// Codes as the channel tells them, in ours: lower case, 1 to 64 of `a-z`, `0-9` and `_`. One that is nothing of
    /// the kind becomes `unknown`, or none.
    pub fn new(code: &str, decline_code: Option<&str>) -> Failure {
        let code = stable_code(code).unwrap_or_else(|| "unknown".to_owned());
        Failure { message: message_of(&code).to_owned(), code, decline_code: decline_code.and_then(stable_code) }
    }

    /// The channel ended a charge that we still wanted.
    pub fn voided_by_channel() -> Failure {
        Failure::new("voided_by_channel", None)
    }
}

fn stable_code(told: &str) -> Option<String> {
    let valid = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let code = told.to_ascii_lowercase();
    ((1..=64).contains(&code.len()) && code.bytes().all(valid)).then_some(code)
}

/// What people read beside a code.
fn message_of(code: &str) -> &'static str {
    match code {
        "card_declined" | "declined" => "The card was declined.",
        "insufficient_funds" => "The account behind the payment method does not cover the amount.",
        "expired_card" => "The card has expired.",
        "incorrect_cvc" | "incorrect_number" | "invalid_number" => "The card's details are not right.",
        "authentication_required" | "authentication_failed" => "The customer was not authenticated.",
        "fraudulent" | "fraud_suspected" => "The channel suspects fraud.",
        "processing_error" => "The channel could not process the request.",
        "amount_not_supported_by_channel" => "The channel cannot move this amount.",
        "invalid_request" => "The channel refused the request.",
        "refund_failed" => "The channel could not make the refund.",
        "account_closed" => "The account that the money was to go to is closed.",
        "voided_by_channel" => "The channel cancelled the charge.",
        _ => "The channel said no; its code tells why.",
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundCause {
    Merchant,
    /// The payment succeeded after it was cancelled or expired.
    LateSuccess,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RefundRequested {
    pub refund_id: RefundId,
    pub payment_id: PaymentId,
    pub merchant_id: MerchantId,
    pub channel: ChannelName,
    pub amount: i64,
    pub currency: Currency,
    pub cause: RefundCause,
    pub reason: Option<Sealed>,
    pub requested_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RefundSucceeded {
    pub refund_id: RefundId,
    pub payment_id: PaymentId,
    pub merchant_id: MerchantId,
    pub channel: ChannelName,
    pub channel_reference: String,
    pub amount: i64,
    pub currency: Currency,
    /// Our markup that goes back to the merchant with this refund.
    pub markup_returned: i64,
    /// The part of its fee that the channel gives back.
    pub channel_fee_returned: i64,
    pub pricing_model: PricingModel,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RefundFailed {
    pub refund_id: RefundId,
    pub payment_id: PaymentId,
    pub merchant_id: MerchantId,
    pub amount: i64,
    pub currency: Currency,
    pub failure: Failure,
}

/// A refund that had succeeded came back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RefundReversed {
    pub refund_id: RefundId,
    pub payment_id: PaymentId,
    pub merchant_id: MerchantId,
    pub channel: ChannelName,
    pub amount: i64,
    pub currency: Currency,
    /// What had been returned with the refund and is taken back with it.
    pub markup_returned: i64,
    pub channel_fee_returned: i64,
    pub pricing_model: PricingModel,
    pub failure: Failure,
}

/// Whose money a dispute moves, and where.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DisputeMoney {
    pub dispute_id: DisputeId,
    pub payment_id: PaymentId,
    pub merchant_id: MerchantId,
    pub channel: ChannelName,
    pub currency: Currency,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DisputeOpened {
    #[serde(flatten)]
    pub money: DisputeMoney,
    /// The channel's own id of the dispute.
    pub channel_reference: String,
    pub amount: i64,
    /// What the channel charges for the dispute, and the part of it that the merchant bears.
    pub fee: i64,
    pub fee_passed_on: i64,
    pub opened_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DisputeAdjusted {
    #[serde(flatten)]
    pub money: DisputeMoney,
    pub amount: i64,
    pub fee: i64,
    pub fee_passed_on: i64,
    pub adjusted_at: Timestamp,
}

/// `won` and `lost` together are the disputed amount.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DisputeClosed {
    #[serde(flatten)]
    pub money: DisputeMoney,
    pub won: i64,
    pub lost: i64,
    /// What the channel gives back of its fee, and what of that goes on to the merchant.
    pub fee_returned: i64,
    pub fee_passed_back: i64,
    pub closed_at: Timestamp,
}

/// What closing had moved, and is moved back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DisputeReopened {
    #[serde(flatten)]
    pub money: DisputeMoney,
    pub won: i64,
    pub lost: i64,
    pub fee_returned: i64,
    pub fee_passed_back: i64,
    pub reopened_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OverReturned {
    pub payment_id: PaymentId,
    pub merchant_id: MerchantId,
    pub channel: ChannelName,
    pub currency: Currency,
    pub captured: i64,
    /// By how much refunds and disputes exceed it now.
    pub excess: i64,
    pub recorded_at: Timestamp,
}

impl DomainEvent for Event {
    const TYPES: &'static [(&'static str, u16)] = &[
        ("payment.created", 1),
        ("payment.action_required", 1),
        ("payment.accepted", 1),
        ("payment.outcome_unknown", 1),
        ("payment.cancellation_requested", 1),
        ("payment.captured", 1),
        ("payment.fee_trued_up", 1),
        ("payment.failed", 1),
        ("payment.cancelled", 1),
        ("payment.expired", 1),
        ("payment.refund_requested", 1),
        ("payment.refund_accepted", 1),
        ("payment.refund_outcome_unknown", 1),
        ("payment.refund_succeeded", 1),
        ("payment.refund_failed", 1),
        ("payment.refund_reversed", 1),
        ("payment.refund_succeeded_late", 1),
        ("payment.dispute_opened", 1),
        ("payment.dispute_adjusted", 1),
        ("payment.dispute_closed", 1),
        ("payment.dispute_reopened", 1),
        ("payment.over_returned", 1),
    ];

    fn event_type(&self) -> &'static str {
        match self {
            Event::Created(_) => "payment.created",
            Event::ActionRequired(_) => "payment.action_required",
            Event::Accepted { .. } => "payment.accepted",
            Event::OutcomeUnknown { .. } => "payment.outcome_unknown",
            Event::CancellationRequested { .. } => "payment.cancellation_requested",
            Event::Captured(_) => "payment.captured",
            Event::FeeTruedUp(_) => "payment.fee_trued_up",
            Event::Failed(_) => "payment.failed",
            Event::Cancelled { .. } => "payment.cancelled",
            Event::Expired { .. } => "payment.expired",
            Event::RefundRequested(_) => "payment.refund_requested",
            Event::RefundAccepted { .. } => "payment.refund_accepted",
            Event::RefundOutcomeUnknown { .. } => "payment.refund_outcome_unknown",
            Event::RefundSucceeded(_) => "payment.refund_succeeded",
            Event::RefundFailed(_) => "payment.refund_failed",
            Event::RefundReversed(_) => "payment.refund_reversed",
            Event::RefundSucceededLate(_) => "payment.refund_succeeded_late",
            Event::DisputeOpened(_) => "payment.dispute_opened",
            Event::DisputeAdjusted(_) => "payment.dispute_adjusted",
            Event::DisputeClosed(_) => "payment.dispute_closed",
            Event::DisputeReopened(_) => "payment.dispute_reopened",
            Event::OverReturned(_) => "payment.over_returned",
        }
    }

    fn postings(&self) -> Option<BalancedEntry> {
        super::postings::of(self)
    }
}

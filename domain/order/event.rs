//! The facts of an order. They move no money: its payments do.

use serde::{Deserialize, Serialize};

use crate::{
    ChannelName, Currency, DomainEvent, MerchantId, OrderId, OrderNo, PaymentId, PreAuthId, RefundId, Sealed, Timestamp,
};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    #[serde(rename = "order.created")]
    Created(Box<Created>),
    /// A payment or pre-auth may bring this much; decided before its channel is called.
    #[serde(rename = "order.place_taken")]
    PlaceTaken { payer: Payer, channel: ChannelName, amount: i64 },
    /// It will bring this much less than it might have.
    #[serde(rename = "order.place_given_back")]
    PlaceGivenBack { payer: Payer, amount: i64 },
    /// A payment brought money.
    #[serde(rename = "order.paid")]
    Paid { payer: Payer, payment_id: PaymentId, amount: i64 },
    /// What has gone back of a payment in all: more than before, or less where the channel took a refund back.
    #[serde(rename = "order.refunded")]
    Refunded { payment_id: PaymentId, refunded: i64 },
    /// Refunds of its payments were asked for through the order.
    #[serde(rename = "order.refund_requested")]
    RefundRequested(RefundRequested),
    #[serde(rename = "order.shipped")]
    Shipped { shipped_at: Timestamp },
    #[serde(rename = "order.completed")]
    Completed { completed_at: Timestamp },
    #[serde(rename = "order.cancelled")]
    Cancelled { cancelled_at: Timestamp },
}

/// Who has a place in an order's total. The captures of a pre-auth share its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Payer {
    #[serde(rename = "payment_id")]
    Payment(PaymentId),
    #[serde(rename = "pre_auth_id")]
    PreAuth(PreAuthId),
}

/// Amounts in minor units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Created {
    pub order_id: OrderId,
    pub merchant_id: MerchantId,
    pub order_no: OrderNo,
    pub currency: Currency,
    pub items: Vec<Item>,
    /// The sum of the items.
    pub total: i64,
    /// What is sold, in the order of the items, the customer, description and metadata.
    pub sealed: Sealed,
    pub created_at: Timestamp,
}

/// How many of something, and what one of it costs in minor units; what it is stands sealed in the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    pub quantity: u32,
    pub unit_amount: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RefundRequested {
    pub parts: Vec<RefundPart>,
    pub requested_at: Timestamp,
}

/// What one payment is to send back, in minor units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundPart {
    pub payment_id: PaymentId,
    pub refund_id: RefundId,
    pub amount: i64,
}

impl DomainEvent for Event {
    const TYPES: &'static [(&'static str, u16)] = &[
        ("order.created", 1),
        ("order.place_taken", 1),
        ("order.place_given_back", 1),
        ("order.paid", 1),
        ("order.refunded", 1),
        ("order.refund_requested", 1),
        ("order.shipped", 1),
        ("order.completed", 1),
        ("order.cancelled", 1),
    ];

    fn event_type(&self) -> &'static str {
        match self {
            Event::Created(_) => "order.created",
            Event::PlaceTaken { .. } => "order.place_taken",
            Event::PlaceGivenBack { .. } => "order.place_given_back",
            Event::Paid { .. } => "order.paid",
            Event::Refunded { .. } => "order.refunded",
            Event::RefundRequested(_) => "order.refund_requested",
            Event::Shipped { .. } => "order.shipped",
            Event::Completed { .. } => "order.completed",
            Event::Cancelled { .. } => "order.cancelled",
        }
    }
}

//! The facts of an order. They move no money: its payments do.

use serde::{Deserialize, Serialize};

use crate::{Currency, DomainEvent, MerchantId, OrderId, OrderNo, PaymentId, Sealed, Timestamp};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    #[serde(rename = "order.created")]
    Created(Box<Created>),
    #[serde(rename = "order.place_taken")]
    PlaceTaken { payment_id: PaymentId, amount: i64 },
    #[serde(rename = "order.place_given_back")]
    PlaceGivenBack { payment_id: PaymentId },
    #[serde(rename = "order.paid")]
    Paid { payment_id: PaymentId, amount: i64 },
    #[serde(rename = "order.shipped")]
    Shipped { shipped_at: Timestamp },
    #[serde(rename = "order.completed")]
    Completed { completed_at: Timestamp },
    #[serde(rename = "order.cancelled")]
    Cancelled { cancelled_at: Timestamp },
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
    /// The names and numbers of what is sold, in the order of the items.
    pub sealed: Sealed,
    pub created_at: Timestamp,
}

/// How many of something, and what one of it costs; what it is stands sealed in the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    pub quantity: u32,
    pub unit_amount: i64,
}

impl DomainEvent for Event {
    const TYPES: &'static [(&'static str, u16)] = &[
        ("order.created", 1),
        ("order.place_taken", 1),
        ("order.place_given_back", 1),
        ("order.paid", 1),
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
            Event::Shipped { .. } => "order.shipped",
            Event::Completed { .. } => "order.completed",
            Event::Cancelled { .. } => "order.cancelled",
        }
    }
}

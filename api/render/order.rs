//! The order object: of an order that was made before its payments a function of its own history, of any other of what
//! its payments came to.

use std::collections::BTreeMap;

use commands::CommandError;
use commands::order::{ItemText, OrderDetails, Orders};
use commands::ports::StreamState;
use domain::order::{Item, Order, Record};
use domain::{Timestamp, order};
use projections::StatusText;
use projections::orders::{Made, OrderRow};
use serde::Serialize;
use utoipa::ToSchema;

/// An order. Amounts in minor units of `currency`. What stands behind `updated_at` is there for orders that were made by
/// `POST /orders` only.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Order)]
pub struct OrderObject {
    #[schema(example = "A-1001")]
    order_no: String,
    /// Always `order`.
    #[schema(example = "order")]
    object: &'static str,
    merchant_id: String,
    /// `pending`, `partially_paid`, `paid`, `partially_refunded`, `refunded`, `shipped`, `completed`, `failed`,
    /// `cancelled` or `expired`.
    #[schema(example = "paid")]
    status: &'static str,
    #[schema(example = 10_000)]
    amount: i64,
    #[schema(example = "USD")]
    currency: String,
    amount_paid: i64,
    amount_refunded: i64,
    /// Of the newest payment; `null` before the first one.
    #[schema(example = "sandbox")]
    channel: Option<String>,
    /// Of every payment made under this number, oldest first.
    payment_ids: Vec<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "ord_01k9zc4x8me1wbn7t5c1vq0d2r")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    items: Option<Vec<ItemObject>>,
    /// What payments under way may still bring.
    #[serde(skip_serializing_if = "Option::is_none")]
    amount_in_flight: Option<i64>,
    /// What a new payment may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    amount_left: Option<i64>,
    /// `open`, `shipped`, `completed` or `cancelled`.
    #[serde(skip_serializing_if = "Option::is_none")]
    fulfilment: Option<&'static str>,
    /// Of the refunds that were asked for through the order, oldest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    refund_ids: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<BTreeMap<String, String>>,
    /// How many events the order has.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
}

/// One line of an order.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrderItem)]
pub struct ItemObject {
    /// `null` once the customer was erased.
    #[schema(example = "Teapot")]
    name: Option<String>,
    #[schema(example = "TP-1")]
    sku: Option<String>,
    #[schema(example = 2)]
    quantity: u32,
    /// Minor units.
    #[schema(example = 4_000)]
    unit_amount: i64,
    /// `quantity` times `unit_amount`.
    #[schema(example = 8_000)]
    amount: i64,
}

/// The object of an order's folded stream; `None` if there is no such order.
pub async fn object(orders: &Orders, stream: &StreamState) -> Result<Option<OrderObject>, CommandError> {
    let Some(record) = stream.of::<Order>().and_then(order::State::record) else { return Ok(None) };
    let made = Made { version: stream.version, record: record.clone() };
    of_row(orders, made.row(stream.updated_at)).await.map(Some)
}

/// The object of a row of the read model.
pub async fn of_row(orders: &Orders, row: OrderRow) -> Result<OrderObject, CommandError> {
    let Some(made) = &row.made else { return Ok(simple(&row)) };
    let Made { version, record } = made;
    let details = orders.details(&record.terms).await?.unwrap_or_default();
    Ok(OrderObject {
        id: Some(record.terms.order_id.to_string()),
        items: Some(items(record, &details)),
        amount_in_flight: Some(record.in_flight()),
        amount_left: Some(record.left()),
        fulfilment: Some(record.fulfilment.as_str()),
        refund_ids: Some(record.refunds.iter().map(ToString::to_string).collect()),
        description: details.description,
        metadata: details.metadata,
        version: Some(*version),
        ..simple(&row)
    })
}

/// What every order has.
fn simple(row: &OrderRow) -> OrderObject {
    OrderObject {
        order_no: row.order_no.to_string(),
        object: "order",
        merchant_id: row.merchant_id.to_string(),
        status: row.status.as_str(),
        amount: row.amount,
        currency: row.currency.to_string(),
        amount_paid: row.amount_paid,
        amount_refunded: row.amount_refunded,
        channel: row.channel.as_ref().map(ToString::to_string),
        payment_ids: row.payment_ids.iter().map(ToString::to_string).collect(),
        created_at: row.created_at,
        updated_at: row.updated_at,
        id: None,
        items: None,
        amount_in_flight: None,
        amount_left: None,
        fulfilment: None,
        refund_ids: None,
        description: None,
        metadata: None,
        version: None,
    }
}

fn items(record: &Record, details: &OrderDetails) -> Vec<ItemObject> {
    let texts = details.items.iter().map(Some).chain(std::iter::repeat(None));
    let item = |(item, text): (&Item, Option<&ItemText>)| ItemObject {
        name: text.map(|text| text.name.clone()),
        sku: text.and_then(|text| text.sku.clone()),
        quantity: item.quantity,
        unit_amount: item.unit_amount,
        amount: i64::from(item.quantity) * item.unit_amount,
    };
    record.terms.items.iter().zip(texts).map(item).collect()
}

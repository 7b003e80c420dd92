//! The settlement object, a function of the settlement's history alone: so a repeat of a command gets the same bytes.

use domain::settlement::{Item, Record};
use domain::{PaymentId, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

/// A batch of what was earned. Amounts in minor units of `currency`.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Settlement)]
pub struct SettlementObject {
    #[schema(example = "set_01k9zcb2k7x4m1q8v5r3s6t9wd")]
    pub id: String,
    /// Always `settlement`.
    #[schema(example = "settlement")]
    pub object: &'static str,
    #[schema(example = "mer_01k9zc3v5yfw8a2m4gq7hn6t1b")]
    pub merchant_id: String,
    #[schema(example = "USD")]
    pub currency: String,
    /// `closed`, `approved`, `held` or `released`.
    #[schema(example = "released")]
    pub status: &'static str,
    /// What the batch brings the merchant; below zero it was taken from what was available, from reserves, or is owed.
    #[schema(example = 9_820)]
    pub amount: i64,
    /// What was captured in it, before fees and refunds.
    #[schema(example = 10_000)]
    pub gross_captured: i64,
    #[schema(example = 1)]
    pub item_count: u64,
    /// SHA-256 over a line `position type object amount` for each item.
    pub items_digest: String,
    pub window: SettlementWindow,
    /// Finance has to approve it before it is released.
    pub needs_approval: bool,
    #[schema(value_type = String, format = DateTime, example = "2026-11-20T17:00:00.000000Z")]
    pub release_due: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub released_at: Option<Timestamp>,
    #[schema(value_type = String, format = DateTime, example = "2026-11-20T17:00:00.123456Z")]
    pub created_at: Timestamp,
    /// How many events the settlement has.
    #[schema(example = 2)]
    pub version: u64,
}

/// The part of the log that it settles: everything behind `from`, up to and with `to`.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SettlementWindow {
    #[schema(example = 0)]
    pub from: u64,
    #[schema(example = 41_302)]
    pub to: u64,
    #[schema(value_type = String, format = DateTime, example = "2026-11-20T17:00:00.000000Z")]
    pub cut_off_at: Timestamp,
}

/// One event that moved the merchant's pending balance.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SettlementItem {
    /// Of the event and its transaction in the books.
    #[schema(example = 41_207)]
    pub position: u64,
    #[serde(rename = "type")]
    #[schema(example = "payment.captured")]
    pub event_type: String,
    /// The payment that it belongs to; none of an adjustment.
    #[schema(example = "pay_01k9zc4x8me1wbn7t5c1vq0d2r")]
    pub payment_id: Option<String>,
    /// What it belongs to: the payment or the adjustment.
    #[schema(example = "pay_01k9zc4x8me1wbn7t5c1vq0d2r")]
    pub reference: String,
    /// What it adds to the batch, after fees; negative where it takes away.
    #[schema(example = 9_820)]
    pub amount: i64,
}

/// A settlement and a page of what it is made of, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct SettlementWithItems {
    #[serde(flatten)]
    pub settlement: SettlementObject,
    pub items: Vec<SettlementItem>,
    pub items_has_more: bool,
    /// The `cursor` of the next page of items.
    pub items_next_cursor: Option<String>,
}

pub fn object(record: &Record, version: u64) -> SettlementObject {
    let terms = &record.terms;
    let window = &terms.window;
    SettlementObject {
        id: terms.settlement_id.to_string(),
        object: "settlement",
        merchant_id: terms.merchant_id.to_string(),
        currency: terms.currency.to_string(),
        status: record.status.as_str(),
        amount: terms.net,
        gross_captured: terms.gross_captured,
        item_count: terms.items,
        items_digest: terms.items_digest.clone(),
        window: SettlementWindow { from: window.from, to: window.to, cut_off_at: window.cut_off_at },
        needs_approval: terms.needs_approval,
        release_due: terms.release_due,
        released_at: record.released_at,
        created_at: terms.closed_at,
        version,
    }
}

impl From<Item> for SettlementItem {
    fn from(item: Item) -> SettlementItem {
        let amount = item.amount();
        let payment_id = item.object.parse::<PaymentId>().ok().map(|payment_id| payment_id.to_string());
        let (position, event_type, reference) = (item.position, item.event_type, item.object);
        SettlementItem { position, event_type, payment_id, reference, amount }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_adjustment_is_no_payment() {
        for object in ["pay_01k9zc4x8me1wbn7t5c1vq0d2r", "adj_01k9zc4x8me1wbn7t5c1vq0d2r"] {
            let item = Item { position: 1, event_type: String::new(), object: object.to_owned(), debit: 0, credit: 5 };
            let shown = SettlementItem::from(item);
            assert_eq!(shown.reference, object);
            assert_eq!(shown.payment_id.is_some(), object.starts_with("pay_"), "{object}");
        }
    }
}

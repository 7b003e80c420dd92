//! Part of invariant 4 across streams: an order says of each payment and pre-auth what that says of itself.

use std::collections::HashMap;

use domain::invariants::Violation;
use domain::order::{self, Order, Payer, stream_id};
use domain::{MerchantId, OrderNo, payment, pre_auth};

use crate::ports::StreamState;

/// `orders` are the streams of all orders, by id.
pub(super) fn agree<'a>(
    orders: Option<&HashMap<String, StreamState>>,
    mut payments: impl Iterator<Item = &'a payment::Record>,
    mut pre_auths: impl Iterator<Item = &'a pre_auth::Record>,
) -> Result<(), Violation> {
    let order_of = |merchant_id: MerchantId, order_no: &OrderNo| {
        let stream = orders.and_then(|orders| orders.get(&stream_id(merchant_id, order_no)));
        stream.and_then(StreamState::of::<Order>).and_then(order::State::record)
    };
    payments.try_for_each(|record| match record.terms.order_id {
        Some(_) => of_payment(record, order_of(record.terms.merchant_id, &record.terms.order_no)),
        None => Ok(()),
    })?;
    pre_auths.try_for_each(|record| {
        let terms = &record.terms;
        let order = order_of(terms.merchant_id, &terms.order_no);
        let payer = Payer::PreAuth(terms.pre_auth_id);
        match terms.order_id {
            Some(_) => open(order, payer, record.open_amount(), &terms.pre_auth_id.to_string()),
            None => Ok(()),
        }
    })
}

fn of_payment(record: &payment::Record, order: Option<&order::Record>) -> Result<(), Violation> {
    let id = record.payment_id();
    if record.terms.pre_auth_id.is_none() {
        open(order, Payer::Payment(id), record.open_amount(), &id.to_string())?;
    }
    let money = order.and_then(|order| order.moneys.iter().find(|money| money.payment_id == id));
    let told = money.map(|money| (money.amount, money.refunded));
    let brought = record.brought().map(|brought| (brought.amount, brought.refunded));
    if told != brought {
        return Err(Violation::of(4, format!("{id} brought {brought:?} to its order, which says {told:?}")));
    }
    Ok(())
}

fn open(order: Option<&order::Record>, payer: Payer, open: i64, id: &str) -> Result<(), Violation> {
    match order.and_then(|order| order.place(payer)).map(|place| place.open) {
        Some(place) if place == open => Ok(()),
        place => Err(Violation::of(4, format!("{id} may still bring {open} to its order, which says {place:?}"))),
    }
}

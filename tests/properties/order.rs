//! Random commands of orders and their payers. A payer brings at most what it has promised, because its own stream sees
//! to that; everything else is any number.

use domain::order::{Brought, Command, Created, Item, Order, Payer, Place, Record, RefundPart, Standing, State};
use domain::{MerchantId, OrderId, PaymentId, PreAuthId, RefundId, Timestamp};

use crate::draw::{CURRENCIES, Draw, sealed};
use crate::model::Model;

pub struct Orders;

impl Model for Orders {
    type D = Order;

    const STREAMS: u128 = 1;

    fn command(stream: u128, state: &State, draw: &Draw, now: Timestamp) -> Command {
        let Some(record) = state.record().filter(|_| !draw.one_in(40)) else {
            return Command::Create(terms(stream, draw, now));
        };
        match draw.kind % 20 {
            0..=5 => Command::Take {
                payer: payer(stream, draw),
                channel: "sandbox".parse().unwrap(),
                amount: draw.pick(&[draw.amount, record.left(), record.left() / 2]),
                currency: draw.pick(&[record.terms.currency, record.terms.currency, CURRENCIES[0]]),
            },
            6..=13 => Command::Follow(standing(stream, record, draw)),
            14 | 15 => Command::RequestRefund { parts: parts(stream, record, draw), at: now },
            16 | 17 => Command::Ship { at: now },
            18 => Command::Complete { at: now },
            _ => Command::Cancel { at: now },
        }
    }
}

fn terms(stream: u128, draw: &Draw, now: Timestamp) -> Created {
    let quantity = u32::from(draw.id);
    let items = vec![Item { quantity, unit_amount: draw.amount }, Item { quantity: 1, unit_amount: draw.other_amount }];
    let sum = i64::from(quantity).wrapping_mul(draw.amount).wrapping_add(draw.other_amount);
    Created {
        order_id: OrderId::from_uuid(draw.uuid_of(stream, 0)),
        merchant_id: MerchantId::from_uuid(draw.uuid_of(0, 1)),
        order_no: "A-1".parse().unwrap(),
        currency: draw.pick(&CURRENCIES),
        items,
        total: if draw.one_in(8) { draw.amount } else { sum },
        sealed: sealed(),
        created_at: now,
    }
}

fn payer(stream: u128, draw: &Draw) -> Payer {
    match draw.kind % 3 {
        0 => Payer::PreAuth(PreAuthId::from_uuid(draw.uuid(stream))),
        _ => Payer::Payment(PaymentId::from_uuid(draw.uuid(stream))),
    }
}

/// Of a payer that has a place, as far as there is one.
fn standing(stream: u128, record: &Record, draw: &Draw) -> Standing {
    let place = record.places.get(usize::from(draw.id)).cloned();
    let payer = place.as_ref().map_or_else(|| payer(stream, draw), |place| place.payer);
    let open = place.as_ref().map_or(0, |place: &Place| place.open);
    let payment_id = match payer {
        Payer::Payment(payment_id) => payment_id,
        Payer::PreAuth(_) => PaymentId::from_uuid(draw.uuid_of(stream, 100 + draw.choice % 3)),
    };
    let known = record.moneys.iter().find(|money| money.payment_id == payment_id).map(|money| money.amount);
    let amount = known.unwrap_or(draw.pick(&[open, open / 2, draw.amount.clamp(0, open)]));
    let refunded = draw.pick(&[0, amount, draw.other_amount.clamp(0, amount)]);
    let brought = (amount > 0 && !draw.one_in(5)).then_some(Brought { payment_id, amount, refunded });
    let still_open = if brought.is_some() && known.is_none() { open - amount } else { open };
    let open = draw.pick(&[None, Some(0), Some(still_open), Some(still_open / 2)]);
    Standing { payer, open, brought }
}

fn parts(stream: u128, record: &Record, draw: &Draw) -> Vec<RefundPart> {
    let part = |(number, money): (u8, &domain::order::Money)| RefundPart {
        payment_id: money.payment_id,
        refund_id: RefundId::from_uuid(draw.uuid_of(stream, number.wrapping_add(draw.choice))),
        amount: money.amount,
    };
    (0..draw.id).zip(&record.moneys).map(part).collect()
}

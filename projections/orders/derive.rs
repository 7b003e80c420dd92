//! What one payment contributes to its order, and what the contributions make of the order. Pure; knows no SQL.

use std::collections::BTreeMap;

use domain::payment::{Created, Event, PaymentStatus, Record};
use domain::{ChannelName, Currency, MerchantId, OrderNo, PaymentId, Timestamp};

use super::{ListedOrder, MadeRow, OrderKey, OrderRow, OrderStatus};

/// One payment of an order. Amounts in minor units.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Attempt {
    pub payment_id: PaymentId,
    pub merchant_id: MerchantId,
    pub order_no: OrderNo,
    pub status: PaymentStatus,
    pub currency: Currency,
    pub amount: i64,
    pub amount_captured: i64,
    pub amount_refunded: i64,
    pub channel: ChannelName,
    pub created_at: Timestamp,
    /// When its first event was recorded: what sorts the payments of an order.
    pub recorded_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Attempt {
    pub(super) fn of(terms: &Created, recorded_at: Timestamp) -> Attempt {
        Attempt {
            payment_id: terms.payment_id,
            merchant_id: terms.merchant_id,
            order_no: terms.order_no.clone(),
            status: PaymentStatus::Processing,
            currency: terms.currency,
            amount: terms.amount,
            amount_captured: 0,
            amount_refunded: 0,
            channel: terms.channel.clone(),
            created_at: terms.created_at,
            recorded_at,
            updated_at: recorded_at,
        }
    }

    /// The same from a payment that is folded already.
    pub(crate) fn of_record(record: &Record, recorded_at: Timestamp, updated_at: Timestamp) -> Attempt {
        let capture = record.capture();
        Attempt {
            status: record.status(),
            amount_captured: capture.map_or(0, |capture| capture.amount),
            amount_refunded: capture.map_or(0, |capture| capture.amount_refunded()),
            updated_at,
            ..Attempt::of(&record.terms, recorded_at)
        }
    }

    pub(super) fn fold(&mut self, event: &Event, recorded_at: Timestamp) {
        self.updated_at = recorded_at;
        match event {
            Event::ActionRequired(_) => self.move_to(PaymentStatus::RequiresAction),
            Event::Accepted { .. } | Event::OutcomeUnknown { .. } | Event::CancellationRequested { .. } => {
                self.move_to(PaymentStatus::Processing);
            }
            Event::Failed(_) => self.move_to(PaymentStatus::Failed),
            Event::Cancelled { .. } => self.move_to(PaymentStatus::Cancelled),
            Event::Expired { .. } => self.move_to(PaymentStatus::Expired),
            Event::Captured(captured) => {
                self.status = PaymentStatus::Succeeded;
                self.amount_captured = captured.amount;
            }
            Event::RefundSucceeded(refund) | Event::RefundSucceededLate(refund) => {
                self.amount_refunded += refund.amount;
            }
            Event::RefundReversed(refund) => self.amount_refunded -= refund.amount,
            Event::Created(_)
            | Event::FeeTruedUp(_)
            | Event::RefundRequested(_)
            | Event::RefundAccepted { .. }
            | Event::RefundOutcomeUnknown { .. }
            | Event::RefundFailed(_)
            | Event::DisputeOpened(_)
            | Event::DisputeAdjusted(_)
            | Event::DisputeClosed(_)
            | Event::DisputeReopened(_)
            | Event::OverReturned(_) => {}
        }
    }

    /// What ended stays ended; only a capture, which moves money, still counts then.
    fn move_to(&mut self, status: PaymentStatus) {
        if !self.status.is_final() {
            self.status = status;
        }
    }
}

/// The orders that these payments come to, but those that were made, which are what their own streams say.
pub(crate) fn listed(
    attempts: impl IntoIterator<Item = Attempt>,
    made: &BTreeMap<OrderKey, MadeRow>,
) -> Vec<ListedOrder> {
    let mut simple: BTreeMap<OrderKey, ListedOrder> =
        of_attempts(attempts).into_iter().map(|listed| (listed.row.key(), listed)).collect();
    let mut listed: Vec<ListedOrder> = made.iter().map(|(key, row)| row.listed(simple.remove(key))).collect();
    listed.extend(simple.into_values());
    listed
}

/// The orders that these payments come to, whatever the order in which they are given.
pub(super) fn of_attempts(attempts: impl IntoIterator<Item = Attempt>) -> Vec<ListedOrder> {
    let mut orders: BTreeMap<OrderKey, Vec<Attempt>> = BTreeMap::new();
    for attempt in attempts {
        orders.entry((attempt.merchant_id, attempt.order_no.clone())).or_default().push(attempt);
    }
    for attempts in orders.values_mut() {
        attempts.sort_by_key(|attempt| (attempt.recorded_at, attempt.payment_id));
    }
    let listed = |attempts: &Vec<Attempt>| {
        Some(ListedOrder { row: order(attempts)?, recorded_at: attempts.first()?.recorded_at, before: None })
    };
    orders.values().filter_map(listed).collect()
}

/// The order of these payments, oldest first; none without a payment.
fn order(attempts: &[Attempt]) -> Option<OrderRow> {
    let (first, newest) = (attempts.first()?, attempts.last()?);
    let speaking = attempts.iter().rfind(|attempt| attempt.amount_captured > 0).unwrap_or(newest);
    let sum = |of: fn(&Attempt) -> i64| {
        let same_currency = attempts.iter().filter(|attempt| attempt.currency == speaking.currency);
        same_currency.fold(0_i64, |sum, attempt| sum.saturating_add(of(attempt)))
    };
    let (paid, refunded) = (sum(|attempt| attempt.amount_captured), sum(|attempt| attempt.amount_refunded));
    let is_open = attempts.iter().any(|attempt| !attempt.status.is_final());
    Some(OrderRow {
        merchant_id: first.merchant_id,
        order_no: first.order_no.clone(),
        status: status(paid, refunded, is_open, newest.status),
        currency: speaking.currency,
        amount: speaking.amount,
        amount_paid: paid,
        amount_refunded: refunded,
        channel: Some(speaking.channel.clone()),
        created_at: first.created_at,
        updated_at: attempts.iter().map(|attempt| attempt.updated_at).max().unwrap_or(first.updated_at),
        payment_ids: attempts.iter().map(|attempt| attempt.payment_id).collect(),
        made: None,
    })
}

fn status(paid: i64, refunded: i64, is_open: bool, newest: PaymentStatus) -> OrderStatus {
    match newest {
        _ if refunded > 0 && refunded < paid => OrderStatus::PartiallyRefunded,
        _ if paid > refunded => OrderStatus::Paid,
        _ if is_open => OrderStatus::Pending,
        _ if paid > 0 => OrderStatus::Refunded,
        PaymentStatus::Cancelled => OrderStatus::Cancelled,
        PaymentStatus::Expired => OrderStatus::Expired,
        PaymentStatus::Failed
        | PaymentStatus::Processing
        | PaymentStatus::RequiresAction
        | PaymentStatus::Succeeded => OrderStatus::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn attempt(n: u128, status: PaymentStatus, captured: i64, refunded: i64) -> Attempt {
        Attempt {
            payment_id: PaymentId::from_uuid(Uuid::from_u128(n)),
            merchant_id: MerchantId::from_uuid(Uuid::nil()),
            order_no: "A-1".parse().unwrap(),
            status,
            currency: Currency::USD,
            amount: 100,
            amount_captured: captured,
            amount_refunded: refunded,
            channel: "sandbox".parse().unwrap(),
            created_at: Timestamp::from_micros(i64::try_from(n).unwrap()),
            recorded_at: Timestamp::from_micros(i64::try_from(n).unwrap()),
            updated_at: Timestamp::from_micros(i64::try_from(n).unwrap() + 10),
        }
    }

    #[test]
    fn a_status_follows_from_all_payments() {
        use PaymentStatus::{Cancelled, Expired, Failed, Processing, RequiresAction, Succeeded};
        type Payments = &'static [(PaymentStatus, i64, i64)];
        let table: [(Payments, OrderStatus); 14] = [
            (&[(Processing, 0, 0)], OrderStatus::Pending),
            (&[(RequiresAction, 0, 0)], OrderStatus::Pending),
            (&[(Failed, 0, 0)], OrderStatus::Failed),
            (&[(Failed, 0, 0), (Cancelled, 0, 0)], OrderStatus::Cancelled),
            (&[(Cancelled, 0, 0), (Expired, 0, 0)], OrderStatus::Expired),
            (&[(Failed, 0, 0), (Processing, 0, 0)], OrderStatus::Pending),
            (&[(Succeeded, 100, 0)], OrderStatus::Paid),
            (&[(Failed, 0, 0), (Succeeded, 100, 0)], OrderStatus::Paid),
            (&[(Succeeded, 100, 1)], OrderStatus::PartiallyRefunded),
            (&[(Succeeded, 100, 100)], OrderStatus::Refunded),
            (&[(Succeeded, 100, 100), (Processing, 0, 0)], OrderStatus::Pending),
            (&[(Succeeded, 100, 100), (Failed, 0, 0)], OrderStatus::Refunded),
            (&[(Succeeded, 100, 100), (Succeeded, 100, 0)], OrderStatus::PartiallyRefunded),
            (&[(Succeeded, 60, 0), (Processing, 0, 0)], OrderStatus::Paid),
        ];
        for (payments, expected) in table {
            let attempts: Vec<Attempt> = (1..).zip(payments).map(|(n, (s, c, r))| attempt(n, *s, *c, *r)).collect();
            assert_eq!(order(&attempts).map(|order| order.status), Some(expected), "{payments:?}");
        }
        assert_eq!(order(&[]), None);
    }

    #[test]
    fn what_ended_stays_ended() {
        let id = attempt(1, PaymentStatus::Processing, 0, 0).payment_id;
        let accepted = || Event::Accepted { channel_reference: "ch_1".to_owned() };
        for (given, event, expected) in [
            (PaymentStatus::RequiresAction, accepted(), PaymentStatus::Processing),
            (PaymentStatus::Processing, Event::Expired { payment_id: id }, PaymentStatus::Expired),
            (PaymentStatus::Cancelled, Event::Expired { payment_id: id }, PaymentStatus::Cancelled),
            (PaymentStatus::Failed, accepted(), PaymentStatus::Failed),
            (PaymentStatus::Succeeded, Event::Cancelled { payment_id: id }, PaymentStatus::Succeeded),
        ] {
            let mut attempt = attempt(1, given, 0, 0);
            attempt.fold(&event, Timestamp::from_micros(99));
            assert_eq!((attempt.status, attempt.updated_at.as_micros()), (expected, 99), "{given:?}, {event:?}");
        }
    }

    #[test]
    fn the_payment_that_captured_speaks_for_the_order() {
        let captured = attempt(1, PaymentStatus::Succeeded, 90, 10);
        let other = Attempt { currency: Currency::EUR, amount: 7, ..attempt(2, PaymentStatus::Failed, 0, 0) };
        let order = order(&[captured.clone(), other]).unwrap();
        assert_eq!(
            (order.currency, order.amount, order.amount_paid, order.amount_refunded),
            (Currency::USD, 100, 90, 10)
        );
        assert_eq!((order.created_at, order.updated_at.as_micros()), (captured.created_at, 12));
        assert_eq!(order.payment_ids.len(), 2);
    }
}

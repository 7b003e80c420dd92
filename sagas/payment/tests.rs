//! What is due for a charge, state by state.

use std::time::Duration;

use domain::payment::{ActionRequired, CancellationCause, Created, Event, Failed, Failure, Payment};
use domain::pricing::{Pricing, PricingModel, RefundFeePolicy};
use domain::{Currency, Decider, MerchantId, PaymentId, Sealed, Timestamp};
use uuid::Uuid;

use super::*;

pub(crate) fn payment_id() -> PaymentId {
    PaymentId::from_uuid(Uuid::from_u128(7))
}

fn sealed() -> Sealed {
    Sealed { key: "k".to_owned(), nonce: "n".to_owned(), data: "d".to_owned() }
}

fn minutes(minutes: u64) -> Timestamp {
    Timestamp::default().plus(Duration::from_secs(60 * minutes))
}

/// A payment of 10 USD that expires after 30 minutes, and what happened to it.
pub(crate) fn record(events: &[Event]) -> Record {
    let created = Event::Created(Box::new(Created {
        payment_id: payment_id(),
        merchant_id: MerchantId::from_uuid(Uuid::nil()),
        order_no: "A-1".parse().unwrap(),
        amount: 1_000,
        currency: Currency::USD,
        channel: "sandbox".parse().unwrap(),
        method: "card".to_owned(),
        country: None,
        pricing: Pricing {
            model: PricingModel::CostPlus,
            markup_rate: "0.008".parse().unwrap(),
            refund_fee_policy: RefundFeePolicy::Retain,
        },
        expected_channel_fee_rate: "0.008".parse().unwrap(),
        limit: None,
        sealed: sealed(),
        order_id: None,
        pre_auth_id: None,
        created_at: minutes(0),
        expires_at: minutes(30),
    }));
    let state = std::iter::once(&created).chain(events).fold(Default::default(), Payment::evolve);
    state.record().unwrap().clone()
}

pub(crate) fn captured() -> Event {
    let record = record(&[]);
    Event::Captured(domain::payment::Captured::of(&record.terms, "ch".to_owned(), 1_000, Some(10), minutes(1)))
}

fn cancellation(cause: CancellationCause) -> Event {
    Event::CancellationRequested { cause, requested_at: minutes(2) }
}

/// The step, and when something else is due.
type Expected = (Step, Option<Timestamp>);

#[test]
fn the_state_says_what_is_due() {
    let accepted = || Event::Accepted { channel_reference: "ch".to_owned() };
    let unknown = || Event::OutcomeUnknown { since: minutes(1) };
    let action = || Event::ActionRequired(ActionRequired { channel_reference: "ch".to_owned(), action: sealed() });
    let failed =
        Event::Failed(Failed { channel_reference: None, failure: Failure::voided_by_channel(), failed_at: minutes(1) });
    let cancelled = Event::Cancelled { payment_id: payment_id() };
    let (merchant, expiry) = (CancellationCause::Merchant, CancellationCause::Expiry);
    let expires = Some(minutes(30));
    let table: Vec<(Vec<Event>, u64, Option<Expected>)> = vec![
        (vec![], 0, Some((CHARGE, expires))),
        (vec![accepted()], 29, Some((AWAIT_CHANNEL, expires))),
        (vec![action()], 29, Some((AWAIT_CUSTOMER, expires))),
        (vec![unknown()], 29, Some((FIND_OUT_CHARGE, expires))),
        (vec![unknown(), action()], 29, Some((AWAIT_CUSTOMER, expires))),
        (vec![], 30, Some((EXPIRE, None))),
        (vec![accepted()], 30, Some((EXPIRE, None))),
        (vec![unknown()], 99, Some((EXPIRE, None))),
        (vec![cancellation(merchant)], 3, Some((VOID_CHARGE, None))),
        (vec![action(), cancellation(merchant)], 3, Some((VOID_CHARGE, None))),
        (vec![unknown(), cancellation(expiry)], 99, Some((VOID_CHARGE, None))),
        (vec![cancellation(merchant), unknown()], 99, Some((VOID_CHARGE, None))),
        (vec![captured()], 99, None),
        (vec![failed], 99, None),
        (vec![cancellation(merchant), cancelled], 99, None),
        (vec![cancellation(expiry), Event::Expired { payment_id: payment_id() }], 99, None),
    ];
    for (events, minute, expected) in table {
        let due = next_step(&record(&events), minutes(minute));
        let expected = expected.map(|(step, deadline)| Due { deadline, ..Due::now(step) });
        assert_eq!(due, expected, "minute {minute} after {events:?}");
    }
}

#[test]
fn the_expiry_cuts_every_wait_short() {
    let waiting = next_step(&record(&[Event::OutcomeUnknown { since: minutes(1) }]), minutes(29)).unwrap();
    let table = [(29, 0, minutes(29).plus(Duration::from_secs(5))), (29, 9, minutes(30)), (31, 9, minutes(30))];
    for (minute, attempts, at) in table {
        assert_eq!(waiting.at(minutes(minute), attempts), at, "minute {minute}, {attempts} attempts");
    }
    let void = next_step(&record(&[cancellation(CancellationCause::Merchant)]), minutes(29)).unwrap();
    assert_eq!(void.at(minutes(29), 4), minutes(29 + 60), "a void has no deadline");
}

#[test]
fn keys_name_the_payment_and_the_step_only() {
    let id = payment_id();
    assert_eq!((charge_key(id), void_key(id)), (format!("{id}:charge"), format!("{id}:undo-charge")));
    assert_eq!(capture_key(id), format!("{id}:capture"));
}

#[test]
fn a_capture_of_held_money_has_no_expiry() {
    let mut capture = record(&[Event::OutcomeUnknown { since: minutes(1) }]);
    capture.terms.pre_auth_id = Some(domain::PreAuthId::from_uuid(Uuid::from_u128(1)));
    for minute in [2, 29, 30, 99_999] {
        assert_eq!(next_step(&capture, minutes(minute)), Some(Due::now(FIND_OUT_CHARGE)));
    }
}

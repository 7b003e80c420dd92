//! What is due for a refund, state by state, beside the others of its payment.

use domain::Timestamp;
use domain::payment::{Event, Failure, RefundCause, RefundFailed, RefundRequested, RefundReversed, RefundSucceeded};
use domain::pricing::PricingModel;
use uuid::Uuid;

use super::*;
use crate::payment::tests::{captured, record};

fn refund_id(number: u128) -> RefundId {
    RefundId::from_uuid(Uuid::from_u128(number))
}

fn requested(number: u128) -> Event {
    let terms = record(&[]).terms;
    Event::RefundRequested(RefundRequested {
        refund_id: refund_id(number),
        payment_id: terms.payment_id,
        merchant_id: terms.merchant_id,
        channel: terms.channel,
        amount: 100,
        currency: terms.currency,
        cause: RefundCause::Merchant,
        reason: None,
        requested_at: Timestamp::default(),
    })
}

fn accepted(number: u128) -> Event {
    Event::RefundAccepted { refund_id: refund_id(number), channel_reference: "rf".to_owned() }
}

fn unknown(number: u128) -> Event {
    Event::RefundOutcomeUnknown { refund_id: refund_id(number), since: Timestamp::default() }
}

fn succeeded(number: u128) -> Event {
    let terms = record(&[]).terms;
    Event::RefundSucceeded(RefundSucceeded {
        refund_id: refund_id(number),
        payment_id: terms.payment_id,
        merchant_id: terms.merchant_id,
        channel: terms.channel,
        channel_reference: "rf".to_owned(),
        amount: 100,
        currency: terms.currency,
        markup_returned: 0,
        channel_fee_returned: 0,
        pricing_model: PricingModel::CostPlus,
    })
}

fn failed(number: u128) -> Event {
    let terms = record(&[]).terms;
    Event::RefundFailed(RefundFailed {
        refund_id: refund_id(number),
        payment_id: terms.payment_id,
        merchant_id: terms.merchant_id,
        amount: 100,
        currency: terms.currency,
        failure: Failure::voided_by_channel(),
    })
}

fn reversed(number: u128) -> Event {
    let terms = record(&[]).terms;
    Event::RefundReversed(RefundReversed {
        refund_id: refund_id(number),
        payment_id: terms.payment_id,
        merchant_id: terms.merchant_id,
        channel: terms.channel,
        amount: 100,
        currency: terms.currency,
        markup_returned: 0,
        channel_fee_returned: 0,
        pricing_model: PricingModel::CostPlus,
        failure: Failure::voided_by_channel(),
    })
}

#[test]
fn the_state_says_what_is_due() {
    let table: Vec<(Vec<Event>, Option<Step>)> = vec![
        (vec![], None),
        (vec![requested(1)], Some(REFUND)),
        (vec![requested(1), accepted(1)], Some(AWAIT_REFUND)),
        (vec![requested(1), unknown(1)], Some(FIND_OUT_REFUND)),
        (vec![requested(1), unknown(1), accepted(1)], Some(AWAIT_REFUND)),
        (vec![requested(1), succeeded(1)], None),
        (vec![requested(1), failed(1)], None),
        (vec![requested(1), succeeded(1), reversed(1)], None),
        (vec![requested(2)], None),
    ];
    for (events, expected) in table {
        let events: Vec<Event> = std::iter::once(captured()).chain(events).collect();
        let due = next_step(&record(&events), refund_id(1), Timestamp::default());
        assert_eq!(due, expected.map(Due::now), "after {events:?}");
    }
}

/// A channel that fails every refund of a late success is asked ever more rarely, and a person is told.
#[test]
fn the_next_refund_of_a_late_success_goes_on_with_the_waits_of_the_last() {
    let late = |number| match requested(number) {
        Event::RefundRequested(requested) => {
            Event::RefundRequested(RefundRequested { cause: RefundCause::LateSuccess, ..requested })
        }
        other => other,
    };
    let waits =
        [(0, 0, false), (1, 5, false), (2, 30, false), (5, 21_600, false), (6, 86_400, true), (60, 86_400, true)];
    for (failures, wait_s, alerts) in waits {
        let failures = (1..=failures).flat_map(|number| [late(number), failed(number)]);
        let record = record(&std::iter::once(captured()).chain(failures).chain([late(100)]).collect::<Vec<_>>());
        let now = Timestamp::default();
        let first_try = now.plus(std::time::Duration::from_secs(wait_s));
        let due = next_step(&record, refund_id(100), now).unwrap();
        assert_eq!((due.at(now, 0), due.is_at_once(), due.alerts(0)), (first_try, wait_s == 0, alerts), "{wait_s}");
        assert_eq!(next_step(&record, refund_id(100), first_try).unwrap().not_before, None);
    }
}

#[test]
fn each_refund_is_due_for_itself() {
    let events =
        [captured(), requested(1), requested(2), requested(3), requested(4), accepted(2), succeeded(3), unknown(4)];
    let record = record(&events);
    for (number, expected) in
        [(1, Some(REFUND)), (2, Some(AWAIT_REFUND)), (3, None), (4, Some(FIND_OUT_REFUND)), (5, None)]
    {
        assert_eq!(next_step(&record, refund_id(number), Timestamp::default()), expected.map(Due::now), "{number}");
    }
}

#[test]
fn the_key_names_the_refund_and_the_step_only() {
    assert_eq!(refund_key(refund_id(1)), format!("{}:refund", refund_id(1)));
}

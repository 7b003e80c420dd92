//! Given / when / then tables of an order, and its total over random histories.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{DomainEvent, OrderId, Sealed};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

fn payment(n: u128) -> PaymentId {
    PaymentId::from_uuid(Uuid::from_u128(n))
}

fn item(quantity: u32, unit_amount: i64) -> Item {
    Item { quantity, unit_amount }
}

fn terms() -> Created {
    Created {
        order_id: OrderId::from_uuid(Uuid::from_u128(1)),
        merchant_id: MerchantId::from_uuid(Uuid::from_u128(2)),
        order_no: "A-1".parse().unwrap(),
        currency: Currency::USD,
        items: vec![item(2, 4_000), item(1, 2_000)],
        total: 10_000,
        sealed: Sealed { key: "k".into(), nonce: "n".into(), data: "d".into() },
        created_at: at(0),
    }
}

fn create() -> Command {
    Command::Create(terms())
}

fn take(n: u128, amount: i64) -> Command {
    Command::Take { payment_id: payment(n), amount, currency: Currency::USD }
}

fn give_back(n: u128) -> Command {
    Command::GiveBack { payment_id: payment(n) }
}

fn pay(n: u128, amount: i64) -> Command {
    Command::Pay { payment_id: payment(n), amount }
}

fn ship() -> Command {
    Command::Ship { at: at(5) }
}

fn complete() -> Command {
    Command::Complete { at: at(6) }
}

fn cancel() -> Command {
    Command::Cancel { at: at(7) }
}

fn after(given: &[Command]) -> State {
    given.iter().fold(State::Absent, |state, command| {
        let events = Order::decide(&state, command.clone()).expect("given commands are accepted");
        events.iter().fold(state, Order::evolve)
    })
}

#[track_caller]
fn check(given: &[Command], when: Command, then: Result<&[&str], OrderRejection>) {
    let decided = Order::decide(&after(given), when);
    let types = decided.map(|events| events.iter().map(DomainEvent::event_type).collect::<Vec<_>>());
    assert_eq!(types, then.map(<[&str]>::to_vec));
}

#[test]
fn a_total_is_the_sum_of_its_items() {
    let with = |items: Vec<Item>, total: i64| Command::Create(Created { items, total, ..terms() });
    check(&[], create(), Ok(&["order.created"]));
    check(&[create()], create(), Ok(&[]));
    check(&[create()], with(vec![item(1, 1)], 1), Err(OrderRejection::AlreadyExists));
    check(&[], ship(), Err(OrderRejection::NotFound));
    let table = [
        (vec![], 1, Err(OrderRejection::InvalidItems)),
        (vec![item(1, 1); ITEMS_MAX + 1], 201, Err(OrderRejection::InvalidItems)),
        (vec![item(0, 5)], 5, Err(OrderRejection::InvalidItem)),
        (vec![item(1, -5), item(2, 5)], 5, Err(OrderRejection::InvalidItem)),
        (vec![item(1, AMOUNT_MAX + 1)], 5, Err(OrderRejection::InvalidItem)),
        (vec![item(1, 0)], 0, Err(OrderRejection::InvalidTotal)),
        (vec![item(u32::MAX, AMOUNT_MAX)], AMOUNT_MAX, Err(OrderRejection::TotalDiffers)),
        (vec![item(2, 4_000)], 8_001, Err(OrderRejection::TotalDiffers)),
        (vec![item(2, 4_000), item(1, 0)], 8_000, Ok(1)),
        (vec![item(1, AMOUNT_MAX)], AMOUNT_MAX, Ok(1)),
    ];
    for (items, total, expected) in table {
        let decided = Order::decide(&State::Absent, with(items.clone(), total)).map(|events| events.len());
        assert_eq!(decided, expected, "{total} of {} items", items.len());
    }
}

#[test]
fn payments_share_the_total() {
    let taken: Result<&[&str], _> = Ok(&["order.place_taken"]);
    let euros = Command::Take { payment_id: payment(1), amount: 1, currency: Currency::EUR };
    check(&[create()], take(1, 10_000), taken);
    check(&[create()], take(1, 10_001), Err(OrderRejection::TotalExceeded));
    check(&[create()], take(1, 0), Err(OrderRejection::TotalExceeded));
    check(&[create()], euros, Err(OrderRejection::CurrencyDiffers));
    check(&[create(), take(1, 4_000)], take(1, 4_000), Ok(&[]));
    check(&[create(), take(1, 4_000)], take(2, 6_000), taken);
    check(&[create(), take(1, 4_000)], take(2, 6_001), Err(OrderRejection::TotalExceeded));
    check(&[create(), take(1, 10_000)], take(2, 1), Err(OrderRejection::FullyPaid));
    check(&[create(), take(1, 10_000), give_back(1)], take(2, 10_000), taken);
    check(&[create(), take(1, 10_000)], give_back(1), Ok(&["order.place_given_back"]));
    check(&[create(), take(1, 10_000), pay(1, 10_000)], give_back(1), Ok(&[]));
    check(&[create()], give_back(1), Ok(&[]));
    check(&[create(), cancel()], take(1, 1), Err(OrderRejection::Cancelled));
}

#[test]
fn money_that_comes_late_counts_all_the_same() {
    let late = [create(), take(1, 10_000), give_back(1), take(2, 10_000), pay(2, 10_000), pay(1, 10_000)];
    let state = after(&late);
    let record = state.record().unwrap();
    assert_eq!((record.paid(), record.left()), (20_000, 0));
    assert_eq!(Order::check(&state), Ok(()));
    check(&late, pay(1, 10_000), Ok(&[]));
    let less = after(&[create(), take(1, 10_000), pay(1, 9_000)]);
    assert_eq!(less.record().map(Record::left), Some(1_000));
}

#[test]
fn goods_go_out_once_they_are_paid() {
    let paid = || vec![create(), take(1, 10_000), pay(1, 10_000)];
    let with = |more: &[Command]| [paid(), more.to_vec()].concat();
    check(&[create()], ship(), Err(OrderRejection::NotPaid));
    check(&[create(), take(1, 10_000)], ship(), Err(OrderRejection::NotPaid));
    check(&paid(), ship(), Ok(&["order.shipped"]));
    check(&with(&[ship()]), ship(), Ok(&[]));
    check(&paid(), complete(), Err(OrderRejection::NotShipped));
    check(&with(&[ship()]), complete(), Ok(&["order.completed"]));
    check(&with(&[ship(), complete()]), complete(), Ok(&[]));
    check(&with(&[ship(), complete()]), ship(), Ok(&[]));
    check(&[create(), cancel()], ship(), Err(OrderRejection::Cancelled));
}

#[test]
fn only_an_order_without_payments_is_cancelled() {
    check(&[create()], cancel(), Ok(&["order.cancelled"]));
    check(&[create(), cancel()], cancel(), Ok(&[]));
    check(&[create(), take(1, 1)], cancel(), Err(OrderRejection::NotCancellable));
    check(&[create(), take(1, 1), give_back(1)], cancel(), Ok(&["order.cancelled"]));
    check(&[create(), take(1, 10_000), pay(1, 10_000)], cancel(), Err(OrderRejection::NotCancellable));
}

fn any_command() -> impl Strategy<Value = Command> {
    prop_oneof![
        4 => (1_u128..6, prop_oneof![1_i64..12_000, any::<i64>()]).prop_map(|(n, amount)| take(n, amount)),
        2 => (1_u128..6).prop_map(give_back),
        2 => (1_u128..6, 1_i64..12_000).prop_map(|(n, amount)| pay(n, amount)),
        1 => Just(ship()),
        1 => Just(complete()),
        1 => Just(cancel()),
    ]
}

proptest! {
    #[test]
    fn no_place_is_promised_beyond_the_total(commands in prop::collection::vec(any_command(), 0..40)) {
        let mut state = after(&[create()]);
        for command in commands {
            let is_promise = matches!(command, Command::Take { .. });
            let events = Order::decide(&state, command).unwrap_or_default();
            state = events.iter().fold(state, Order::evolve);
            let record = state.record().unwrap();
            let sum: i64 = record.places.iter().map(|place| place.amount).sum();
            prop_assert!(!is_promise || events.is_empty() || sum <= record.terms.total, "{} promised", sum);
            prop_assert_eq!(Order::check(&state), Ok(()));
        }
    }
}

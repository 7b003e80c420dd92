//! Given / when / then tables of an order, and its total over random histories.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{DomainEvent, OrderId, PaymentId, PreAuthId, Sealed};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

fn payment(n: u128) -> PaymentId {
    PaymentId::from_uuid(Uuid::from_u128(n))
}

fn pre_auth(n: u128) -> Payer {
    Payer::PreAuth(PreAuthId::from_uuid(Uuid::from_u128(n)))
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

fn take_by(payer: Payer, amount: i64) -> Command {
    Command::Take { payer, channel: "sandbox".parse().unwrap(), amount, currency: Currency::USD }
}

fn take(n: u128, amount: i64) -> Command {
    take_by(Payer::Payment(payment(n)), amount)
}

fn give_back(n: u128) -> Command {
    Command::Follow(Standing { payer: Payer::Payment(payment(n)), open: Some(0), brought: None })
}

fn pay(n: u128, amount: i64) -> Command {
    refund(n, amount, 0)
}

fn refund(n: u128, amount: i64, refunded: i64) -> Command {
    follow(Payer::Payment(payment(n)), 0, n, amount, refunded)
}

fn follow(payer: Payer, open: i64, n: u128, amount: i64, refunded: i64) -> Command {
    let brought = Brought { payment_id: payment(n), amount, refunded };
    Command::Follow(Standing { payer, open: Some(open), brought: Some(brought) })
}

fn request_refund(n: u128, amount: i64) -> Command {
    let part = RefundPart { payment_id: payment(n), refund_id: RefundId::from_uuid(Uuid::from_u128(n)), amount };
    Command::RequestRefund { parts: vec![part], at: at(4) }
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

/// In flight, paid, refunded, left, and how far the order has come.
#[track_caller]
fn sums(given: &[Command], expected: [i64; 4], progress: Progress) {
    let state = after(given);
    let record = state.record().unwrap();
    let sums = [record.in_flight(), record.paid(), record.refunded(), record.left()];
    assert_eq!((sums, record.progress()), (expected, progress));
    assert_eq!(Order::check(&state), Ok(()));
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
        (vec![item(1, 1); ITEMS_MAX + 1], 101, Err(OrderRejection::InvalidItems)),
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
    let euros = match take(1, 1) {
        Command::Take { payer, channel, amount, .. } => {
            Command::Take { payer, channel, amount, currency: Currency::EUR }
        }
        other => other,
    };
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
    check(&[create(), take(1, 10_000), give_back(1)], give_back(1), Ok(&[]));
    check(&[create(), take(1, 10_000)], pay(1, 10_000), Ok(&["order.paid"]));
    check(&[create(), take(1, 10_000)], pay(1, 9_000), Ok(&["order.paid", "order.place_given_back"]));
    check(&[create(), take(1, 10_000), pay(1, 10_000)], pay(1, 10_000), Ok(&[]));
    check(&[create(), take(1, 10_000), pay(1, 10_000)], give_back(1), Ok(&[]));
    check(&[create()], give_back(1), Ok(&[]));
    check(&[create()], pay(1, 1), Ok(&[]));
    check(&[create(), cancel()], take(1, 1), Err(OrderRejection::Cancelled));
    let many: Vec<Command> = (1..=200).flat_map(|n| [take(n, 1), give_back(n)]).collect();
    check(&[vec![create()], many].concat(), take(201, 1), Err(OrderRejection::TooManyPayments));
}

#[test]
fn what_is_promised_paid_and_refunded_adds_up() {
    sums(&[create()], [0, 0, 0, 10_000], Progress::Pending);
    sums(&[create(), take(1, 4_000)], [4_000, 0, 0, 6_000], Progress::Pending);
    sums(&[create(), take(1, 4_000), pay(1, 4_000)], [0, 4_000, 0, 6_000], Progress::PartiallyPaid);
    sums(&[create(), take(1, 4_000), pay(1, 3_000)], [0, 3_000, 0, 7_000], Progress::PartiallyPaid);
    let paid = [create(), take(1, 4_000), pay(1, 4_000), take(2, 6_000), pay(2, 6_000)];
    let and = |more: &[Command]| [paid.to_vec(), more.to_vec()].concat();
    sums(&paid, [0, 10_000, 0, 0], Progress::Paid);
    sums(&and(&[refund(1, 4_000, 1_000)]), [0, 10_000, 1_000, 0], Progress::PartiallyRefunded);
    sums(&and(&[refund(1, 4_000, 4_000), refund(2, 6_000, 6_000)]), [0, 10_000, 10_000, 0], Progress::Refunded);
    sums(&and(&[refund(1, 4_000, 4_000), refund(1, 4_000, 0)]), [0, 10_000, 0, 0], Progress::Paid);
    sums(&and(&[ship(), refund(1, 4_000, 1)]), [0, 10_000, 1, 0], Progress::Shipped);
    sums(&and(&[ship(), complete()]), [0, 10_000, 0, 0], Progress::Completed);
    check(&and(&[refund(1, 4_000, 1_000)]), refund(1, 4_000, 1_000), Ok(&[]));
    check(&and(&[]), take(3, 1), Err(OrderRejection::FullyPaid));
}

#[test]
fn the_captures_of_a_pre_auth_share_its_place() {
    let held = [create(), take_by(pre_auth(9), 8_000)];
    let and = |more: &[Command]| [held.to_vec(), more.to_vec()].concat();
    check(&held, take(1, 2_001), Err(OrderRejection::TotalExceeded));
    let first = follow(pre_auth(9), 5_000, 1, 3_000, 0);
    sums(&and(std::slice::from_ref(&first)), [5_000, 3_000, 0, 2_000], Progress::PartiallyPaid);
    check(&and(std::slice::from_ref(&first)), first.clone(), Ok(&[]));
    let last = follow(pre_auth(9), 0, 2, 4_000, 0);
    check(&and(std::slice::from_ref(&first)), last.clone(), Ok(&["order.paid", "order.place_given_back"]));
    sums(&and(&[first.clone(), last]), [0, 7_000, 0, 3_000], Progress::PartiallyPaid);
    let closed = Command::Follow(Standing { payer: pre_auth(9), open: Some(0), brought: None });
    sums(&and(&[first.clone(), closed]), [0, 3_000, 0, 7_000], Progress::PartiallyPaid);
    assert_eq!(after(&and(&[first])).record().unwrap().payment_ids(), [payment(1)]);
}

#[test]
fn goods_go_out_once_they_are_paid() {
    let paid = || vec![create(), take(1, 10_000), pay(1, 10_000)];
    let with = |more: &[Command]| [paid(), more.to_vec()].concat();
    check(&[create()], ship(), Err(OrderRejection::NotPaid));
    check(&[create(), take(1, 10_000)], ship(), Err(OrderRejection::NotPaid));
    check(&paid(), ship(), Ok(&["order.shipped"]));
    check(&with(&[refund(1, 10_000, 9_999)]), ship(), Ok(&["order.shipped"]));
    check(&with(&[refund(1, 10_000, 10_000)]), ship(), Err(OrderRejection::Refunded));
    check(&with(&[ship()]), ship(), Ok(&[]));
    check(&paid(), complete(), Err(OrderRejection::NotShipped));
    check(&with(&[ship()]), complete(), Ok(&["order.completed"]));
    check(&with(&[ship(), complete()]), complete(), Ok(&[]));
    check(&with(&[ship(), complete()]), ship(), Ok(&[]));
    check(&[create(), cancel()], ship(), Err(OrderRejection::Cancelled));
    check(&[create(), cancel()], complete(), Err(OrderRejection::Cancelled));
}

#[test]
fn an_order_with_money_is_not_cancelled() {
    let paid = [create(), take(1, 10_000), pay(1, 10_000)];
    let and = |more: &[Command]| [paid.to_vec(), more.to_vec()].concat();
    check(&[create()], cancel(), Ok(&["order.cancelled"]));
    check(&[create(), cancel()], cancel(), Ok(&[]));
    check(&[create(), take(1, 1)], cancel(), Err(OrderRejection::PaymentInFlight));
    check(&[create(), take(1, 1), give_back(1)], cancel(), Ok(&["order.cancelled"]));
    check(&paid, cancel(), Err(OrderRejection::NotRefunded));
    check(&and(&[refund(1, 10_000, 9_999)]), cancel(), Err(OrderRejection::NotRefunded));
    check(&and(&[refund(1, 10_000, 10_000)]), cancel(), Ok(&["order.cancelled"]));
    check(&and(&[ship()]), cancel(), Err(OrderRejection::AlreadyShipped));
    check(&and(&[ship(), refund(1, 10_000, 10_000)]), cancel(), Err(OrderRejection::AlreadyShipped));
}

#[test]
fn refunds_are_asked_for_once() {
    let paid = [create(), take(1, 10_000), pay(1, 10_000)];
    let and = |more: &[Command]| [paid.to_vec(), more.to_vec()].concat();
    check(&[create()], request_refund(1, 1), Err(OrderRejection::NothingToRefund));
    check(&paid, Command::RequestRefund { parts: vec![], at: at(4) }, Err(OrderRejection::NothingToRefund));
    check(&paid, request_refund(1, 1), Ok(&["order.refund_requested"]));
    check(&and(&[request_refund(1, 1)]), request_refund(1, 1), Ok(&[]));
    check(&and(&[refund(1, 10_000, 10_000)]), request_refund(2, 1), Err(OrderRejection::NothingToRefund));
    let many: Vec<Command> = (1..=1_000).map(|n| request_refund(n, 1)).collect();
    check(&and(&many), request_refund(1_001, 1), Err(OrderRejection::TooManyRefunds));
}

/// A payer brings at most what it has promised: its own stream sees to that.
fn plausible(state: &State, n: u128, share: i64, refunded: i64) -> Option<Command> {
    let record = state.record()?;
    let open = record.place(Payer::Payment(payment(n)))?.open;
    let known = record.moneys.iter().find(|money| money.payment_id == payment(n)).map(|money| money.amount);
    let amount = known.unwrap_or(open * share / 100);
    (amount > 0).then(|| refund(n, amount, refunded.min(amount)))
}

proptest! {
    #[test]
    fn nothing_is_promised_or_paid_beyond_the_total(
        steps in prop::collection::vec((0_u8..8, 1_u128..6, 1_i64..12_000, 0_i64..=100), 0..60)
    ) {
        let mut state = after(&[create()]);
        for (kind, n, amount, share) in steps {
            let command = match kind {
                0..=2 => take(n, amount),
                3 => give_back(n),
                4 | 5 => match plausible(&state, n, share, amount) {
                    Some(command) => command,
                    None => continue,
                },
                6 => ship(),
                _ => if share == 0 { cancel() } else { complete() },
            };
            let before = state.record().unwrap().paid();
            let events = Order::decide(&state, command).unwrap_or_default();
            state = events.iter().fold(state, Order::evolve);
            let record = state.record().unwrap();
            prop_assert!(record.paid() >= before, "what was paid stays paid");
            prop_assert!(record.left() + record.in_flight() + record.paid() == record.terms.total);
            prop_assert_eq!(Order::check(&state), Ok(()));
        }
    }
}

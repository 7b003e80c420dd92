//! The workflow and the schedule, as tables.

use uuid::Uuid;

use super::*;
use crate::calendar::{Calendar, saturday_and_sunday};
use crate::merchant_account::Window;
use crate::money::AMOUNT_MAX;
use crate::tier::SettlementCycle;
use crate::{Currency, DomainEvent, MerchantId, SettlementId};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

fn terms() -> Closed {
    Closed {
        settlement_id: SettlementId::from_uuid(Uuid::from_u128(1)),
        merchant_id: MerchantId::from_uuid(Uuid::from_u128(7)),
        currency: Currency::USD,
        window: Window { from: 0, to: 10, cut_off_at: at(0) },
        net: 900,
        gross_captured: 1_000,
        items: 1,
        items_digest: "0".repeat(64),
        needs_approval: false,
        release_due: at(100),
        requested_by: Some("ann".to_owned()),
        closed_at: at(0),
    }
}

fn close() -> Command {
    Command::Close(terms())
}

fn large() -> Command {
    Command::Close(Closed { needs_approval: true, ..terms() })
}

fn approve(by: &str) -> Command {
    Command::Approve { by: by.to_owned(), at: at(1) }
}

fn hold() -> Command {
    Command::Hold { by: "ann".to_owned(), at: at(1) }
}

fn release(seconds: i64) -> Command {
    Command::Release { at: at(seconds) }
}

#[track_caller]
fn check(given: &[Command], when: Command, then: Result<&[&str], SettlementRejection>) {
    let state = given.iter().fold(State::default(), |state, command| {
        let events = Settlement::decide(&state, command.clone()).expect("given commands are accepted");
        events.iter().fold(state, Settlement::evolve)
    });
    let decided = Settlement::decide(&state, when.clone());
    let types = decided.clone().map(|events| events.iter().map(DomainEvent::event_type).collect::<Vec<_>>());
    assert_eq!(types, then.map(<[&str]>::to_vec));
    if let Ok(events) = decided {
        let state = events.iter().fold(state, Settlement::evolve);
        assert_eq!(Settlement::decide(&state, when), Ok(vec![]), "a repeat is no event");
    }
}

#[test]
fn a_settlement_is_released_when_it_is_due_and_nobody_has_to_agree() {
    use SettlementRejection::*;
    check(&[], close(), Ok(&["settlement.closed"]));
    check(&[], Command::Close(Closed { net: 0, ..terms() }), Ok(&["settlement.closed", "settlement.released"]));
    check(&[], Command::Close(Closed { net: -1, ..terms() }), Ok(&["settlement.closed", "settlement.released"]));
    check(&[close()], release(99), Err(NotDue));
    check(&[close()], release(100), Ok(&["settlement.released"]));
    check(&[large()], release(100), Err(NotApproved));
    check(&[large(), approve("bob")], release(100), Ok(&["settlement.released"]));
    check(&[large(), approve("bob")], release(99), Err(NotDue));
    check(&[close(), hold()], release(100), Err(Held));
    check(&[close(), hold(), approve("bob")], release(100), Ok(&["settlement.released"]));
    check(&[], release(100), Err(NotFound));
}

#[test]
fn people_agree_and_hold_back() {
    use SettlementRejection::*;
    check(&[large()], approve("bob"), Ok(&["settlement.approved"]));
    check(&[large()], approve("ann"), Err(ApprovalByRequester));
    check(&[large(), approve("bob"), hold()], approve("ann"), Err(ApprovalByRequester));
    check(&[Command::Close(Closed { requested_by: None, ..terms() })], approve("ann"), Ok(&["settlement.approved"]));
    check(&[close(), approve("bob")], hold(), Ok(&["settlement.held"]));
    check(&[close(), release(100)], hold(), Err(AlreadyReleased));
    check(&[close(), release(100)], approve("bob"), Err(AlreadyReleased));
    check(&[], approve("bob"), Err(NotFound));
    check(&[], hold(), Err(NotFound));
}

fn berlin() -> Calendar {
    Calendar {
        time_zone: "Europe/Berlin".parse().unwrap(),
        cut_off: "17:00".parse().unwrap(),
        weekend: saturday_and_sunday(),
    }
}

/// 20 November 2026 is a Friday; clocks go back on 25 October and forward on 28 March 2027.
#[test]
fn batches_are_released_by_the_calendar() {
    use SettlementCycle::*;
    let table = [
        (NextBusinessDay, "2026-11-19T16:00:00Z", "2026-11-20T16:00:00Z"),
        (NextBusinessDay, "2026-11-20T16:00:00Z", "2026-11-23T16:00:00Z"),
        (NextBusinessDay, "2026-11-21T10:00:00Z", "2026-11-23T16:00:00Z"),
        // A local day ends at 23:00 UTC in winter.
        (NextBusinessDay, "2026-11-19T23:30:00Z", "2026-11-23T16:00:00Z"),
        (NextBusinessDay, "2026-10-23T15:00:00Z", "2026-10-26T16:00:00Z"),
        (NextBusinessDay, "2027-03-26T16:00:00Z", "2027-03-29T15:00:00Z"),
        (SameBusinessDay, "2026-11-20T16:00:00Z", "2026-11-20T16:00:00Z"),
        (SameBusinessDay, "2026-11-20T09:30:00Z", "2026-11-20T09:30:00Z"),
        (SameBusinessDay, "2026-11-21T09:30:00Z", "2026-11-23T16:00:00Z"),
        (EveryDay, "2026-11-21T16:00:00Z", "2026-11-21T16:00:00Z"),
        (EveryDay, "2026-11-22T09:30:00Z", "2026-11-22T09:30:00Z"),
    ];
    for (cycle, cut_off_at, expected) in table {
        let due = release_due(&berlin(), cycle, cut_off_at.parse().unwrap());
        assert_eq!(due, expected.parse().unwrap(), "{cycle:?} {cut_off_at}");
    }
}

#[test]
fn the_last_cut_off_is_the_newest_that_has_come() {
    use SettlementCycle::*;
    let table = [
        (NextBusinessDay, "2026-11-20T15:59:59Z", "2026-11-19T16:00:00Z"),
        (NextBusinessDay, "2026-11-20T16:00:00Z", "2026-11-20T16:00:00Z"),
        (SameBusinessDay, "2026-11-22T20:00:00Z", "2026-11-20T16:00:00Z"),
        (EveryDay, "2026-11-22T20:00:00Z", "2026-11-22T16:00:00Z"),
        (EveryDay, "2026-10-25T15:30:00Z", "2026-10-24T15:00:00Z"),
        (EveryDay, "2026-10-25T16:00:00Z", "2026-10-25T16:00:00Z"),
    ];
    for (cycle, now, expected) in table {
        let last = last_cut_off(&berlin(), cycle, now.parse().unwrap());
        assert_eq!(last, Some(expected.parse().unwrap()), "{cycle:?} {now}");
    }
}

#[test]
fn a_tally_counts_items_in_order() {
    let item = |position, event_type: &str, debit, credit| Item {
        position,
        event_type: event_type.to_owned(),
        object: "pay_1".to_owned(),
        debit,
        credit,
    };
    let captured = item(3, "payment.captured", 180, 10_000);
    let refunded = item(5, "payment.refund_requested", 2_500, 0);
    let tally = |items: &[&Item]| {
        let mut tally = Tally::default();
        items.iter().for_each(|item| tally.add(item));
        tally
    };
    let both = tally(&[&captured, &refunded]);
    assert_eq!((both.net, both.gross_captured, both.items), (7_320, 10_000, 2));
    assert_ne!(both.digest(), tally(&[&refunded, &captured]).digest());
    assert_eq!(Tally::default().digest(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

#[test]
fn a_batch_takes_no_more_than_it_may_hold() {
    let item = |position, event_type: &str, debit, credit| Item {
        position,
        event_type: event_type.to_owned(),
        object: "pay".to_owned(),
        debit,
        credit,
    };
    let tally = |items: &[Item]| {
        let mut tally = Tally::default();
        items.iter().for_each(|item| tally.add(item));
        (tally.items, tally.net, tally.cut_short(100))
    };
    let (captured, half) = ("payment.captured", AMOUNT_MAX / 2);
    let max = i128::from(AMOUNT_MAX);
    let exactly = [item(1, captured, 0, half), item(2, captured, 0, AMOUNT_MAX - half)];
    assert_eq!(tally(&exactly), (2, max, None));
    let beyond = [exactly.as_slice(), &[item(3, captured, 0, 1), item(4, "payment.refund_requested", 5, 0)]].concat();
    assert_eq!(tally(&beyond), (2, max, Some(2)), "nothing behind the first that does not fit is taken");
    // What was captured counts too, however much was taken away again.
    let gross = [item(1, captured, AMOUNT_MAX, AMOUNT_MAX), item(5, captured, 1, 1)];
    assert_eq!(tally(&gross), (1, 0, Some(1)));
    let below = [item(1, "payment.dispute_opened", AMOUNT_MAX, 0), item(9, "payment.dispute_opened", 1, 0)];
    assert_eq!(tally(&below), (1, -max, Some(1)));
    assert_eq!(tally(&[]), (0, 0, None));
}

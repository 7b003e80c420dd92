//! What finance may say of a difference, as a table.

use super::*;
use crate::channel_account::DifferenceReason;
use crate::reconciliation::Counterparty;
use crate::{AdjustmentId, Currency, DomainEvent, ExceptionId, PaymentId, StatementId};
use uuid::Uuid;

fn facts(kind: DifferenceKind, amount: i64) -> Facts {
    Facts {
        exception_id: ExceptionId::of_difference(&[kind.as_str()]),
        statement_id: StatementId::of_content(&["a"]),
        counterparty: Counterparty::Channel("sandbox".parse().unwrap()),
        kind,
        currency: Currency::USD,
        amount,
        occurred_at: Timestamp::default(),
        estimated_fee_of: None,
    }
}

fn resolve(facts: Facts, resolution: Resolution, by: &str) -> Resolve {
    let (reason, by) = ("looked at".to_owned(), by.to_owned());
    Resolve { facts, resolution, counterpart: None, reason, by, at: Timestamp::default() }
}

#[track_caller]
fn check(before: &[Resolve], resolve: Resolve, expected: Result<&[&str], ExceptionRejection>) {
    let command = |resolve: &Resolve| Command::Resolve(Box::new(resolve.clone()));
    let state = before.iter().fold(State::default(), |state, before| {
        let events = ReconciliationException::decide(&state, command(before)).unwrap();
        events.iter().fold(state, ReconciliationException::evolve)
    });
    let decided = ReconciliationException::decide(&state, command(&resolve));
    let types = decided.map(|events| events.iter().map(DomainEvent::event_type).collect::<Vec<_>>());
    assert_eq!(types, expected.map(<[&str]>::to_vec), "{before:?} {resolve:?}");
}

const REQUESTED: &[&str] = &["reconciliation_exception.resolution_requested"];
const RESOLVED: &[&str] = &["reconciliation_exception.resolved"];
const WRITE_OFF: Resolution = Resolution::WriteOff { cause: DifferenceReason::WriteOff };

#[test]
fn what_is_large_takes_two_people() {
    let small = |by| resolve(facts(DifferenceKind::Amount, -10_000), WRITE_OFF, by);
    let large = |by| resolve(facts(DifferenceKind::Amount, -10_001), WRITE_OFF, by);
    let accept = |by| resolve(facts(DifferenceKind::Amount, -10_001), Resolution::Accept, by);
    check(&[], small("ada"), Ok(RESOLVED));
    check(&[], large("ada"), Ok(REQUESTED));
    check(&[large("ada")], large("ada"), Err(ExceptionRejection::ApproverIsRequester));
    check(&[large("ada")], large("ben"), Ok(RESOLVED));
    // Saying something else is another request.
    check(&[large("ada")], accept("ben"), Ok(REQUESTED));
    check(&[large("ada"), accept("ben")], large("ada"), Ok(REQUESTED));
    check(&[large("ada"), large("ben")], large("ben"), Ok(&[]));
    check(&[large("ada"), large("ben")], large("ada"), Ok(&[]));
    check(&[large("ada"), large("ben")], large("eve"), Err(ExceptionRejection::AlreadyResolved));
    check(&[small("ada")], accept("ada"), Err(ExceptionRejection::AlreadyResolved));
}

#[test]
fn what_can_be_said_of_what() {
    let adjust = Resolution::Adjust { adjustment_id: AdjustmentId::from_uuid(Uuid::nil()) };
    let amount = || facts(DifferenceKind::Amount, -20_000);
    check(&[], resolve(amount(), adjust, "ada"), Ok(RESOLVED));
    check(&[], resolve(amount(), Resolution::TrueUp, "ada"), Err(ExceptionRejection::NoEstimate));
    let estimated = Facts { estimated_fee_of: Some((PaymentId::from_uuid(Uuid::nil()), 300)), ..amount() };
    check(&[], resolve(estimated, Resolution::TrueUp, "ada"), Ok(RESOLVED));
    let bank = Facts { counterparty: Counterparty::Bank("sandbox".parse().unwrap()), ..amount() };
    let nothing = facts(DifferenceKind::Date, 0);
    for facts in [bank, nothing] {
        check(&[], resolve(facts, WRITE_OFF, "ada"), Err(ExceptionRejection::NothingToWriteOff));
    }
    for reason in ["", "  ", "a\u{7}b", &"x".repeat(501)] {
        let resolve = Resolve { reason: reason.to_owned(), ..resolve(amount(), Resolution::Accept, "ada") };
        check(&[], resolve, Err(ExceptionRejection::InvalidReason));
    }
}

#[test]
fn a_match_by_hand_takes_the_other_side() {
    let here = facts(DifferenceKind::MissingHere, 9_900);
    let there = |amount| facts(DifferenceKind::MissingThere, amount);
    let matched = |counterpart: Facts| {
        let resolution = Resolution::Match { exception_id: counterpart.exception_id };
        Resolve { counterpart: Some(counterpart), ..resolve(here.clone(), resolution, "ada") }
    };
    let refused = Err(ExceptionRejection::NotTheOtherSide);
    check(&[], matched(there(-9_900)), Ok(RESOLVED));
    check(&[], matched(there(-9_901)), refused);
    check(&[], matched(facts(DifferenceKind::MissingHere, -9_900)), refused);
    check(&[], matched(Facts { currency: Currency::EUR, ..there(-9_900) }), refused);
    let other = Counterparty::Channel("stripe".parse().unwrap());
    check(&[], matched(Facts { counterparty: other, ..there(-9_900) }), refused);
}

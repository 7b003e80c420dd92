//! What is due in each phase of a withdrawal.

use std::time::Duration;

use domain::withdrawal::{Failure, FeePolicy, Phase, Record, Requested};
use domain::{BankAccountId, Currency, MerchantId, Timestamp, WithdrawalId};
use uuid::Uuid;

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

fn record(phase: Phase) -> Record {
    let terms = Requested {
        withdrawal_id: WithdrawalId::from_uuid(Uuid::from_u128(1)),
        merchant_id: MerchantId::from_uuid(Uuid::from_u128(2)),
        amount: 5_000,
        fee: 0,
        fee_policy: FeePolicy::Return,
        currency: Currency::USD,
        bank_account_id: BankAccountId::from_uuid(Uuid::from_u128(3)),
        bank: "sandbox".parse().unwrap(),
        approvals_needed: 1,
        requested_by: "merchant".to_owned(),
        requested_at: at(0),
    };
    Record { terms, approvals: vec![], phase, fee_returned: 0, returns: vec![] }
}

#[test]
fn each_phase_has_its_step() {
    let failure = Failure::of_bank_code(None);
    let table = [
        (Phase::Requested, None),
        (Phase::Approved { send_not_before: at(10) }, Some(START_SENDING)),
        (Phase::Sending { since: at(10) }, Some(SEND)),
        (Phase::Sent { since: at(10) }, Some(AWAIT_BANK)),
        (Phase::Paid { at: at(10) }, None),
        (Phase::Failed(failure.clone()), None),
        (Phase::Returned { amount: 1, failure }, None),
        (Phase::Rejected { reason: None }, None),
        (Phase::Cancelled, None),
    ];
    for (phase, step) in table {
        let due = next_step(&record(phase.clone()), at(10));
        assert_eq!(due.map(|due| due.step), step, "{phase:?}");
        assert!(due.is_none_or(|due| due.not_before.is_none()), "{phase:?}");
    }
}

#[test]
fn nothing_starts_before_the_account_has_cooled_off() {
    let record = record(Phase::Approved { send_not_before: at(100) });
    let due = next_step(&record, at(99)).unwrap();
    assert_eq!((due.not_before, due.at(at(99), 0), due.is_at_once()), (Some(at(100)), at(100), false));
    let due = next_step(&record, at(100)).unwrap();
    assert_eq!((due.not_before, due.is_at_once()), (None, true));
}

#[test]
fn a_silent_bank_is_alerted_after_five_days() {
    let mut waited = Duration::ZERO;
    let first = (0..).find(|attempts| {
        waited += AWAIT_BANK.schedule.wait(*attempts);
        AWAIT_BANK.schedule.alerts(*attempts)
    });
    assert!(first.is_some());
    let days = waited.as_secs() / (24 * 60 * 60);
    assert!((4..=6).contains(&days), "{days}");
}

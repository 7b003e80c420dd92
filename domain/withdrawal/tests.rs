//! Given / when / then tables of the withdrawal, and a property over random histories.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{BankAccountId, Currency, MerchantId, WithdrawalId};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

fn withdrawal_id() -> WithdrawalId {
    WithdrawalId::from_uuid(Uuid::from_u128(1))
}

fn terms(approvals_needed: u32) -> Requested {
    Requested {
        withdrawal_id: withdrawal_id(),
        merchant_id: MerchantId::from_uuid(Uuid::from_u128(2)),
        amount: 5_000,
        fee: 25,
        fee_policy: FeePolicy::Return,
        currency: Currency::USD,
        bank_account_id: BankAccountId::from_uuid(Uuid::from_u128(3)),
        bank: "sandbox".parse().unwrap(),
        approvals_needed,
        requested_by: "merchant".to_owned(),
        requested_at: at(0),
    }
}

fn request() -> Command {
    Command::Request(terms(1))
}

fn approve(by: &str) -> Command {
    Command::Approve { by: by.to_owned(), usable_from: at(0), at: at(10) }
}

fn reject() -> Command {
    Command::Reject { by: "finance".to_owned(), reason: None, at: at(20) }
}

fn cancel() -> Command {
    Command::Cancel { at: at(20) }
}

fn start() -> Command {
    Command::StartSending { at: at(30) }
}

fn sent() -> Command {
    Command::RecordSent { at: at(31) }
}

fn failure() -> Failure {
    Failure::of_bank_code(Some("AC04"))
}

fn told(outcome: TransferOutcome) -> Command {
    Command::RecordOutcome { outcome, at: at(40) }
}

fn paid() -> Command {
    told(TransferOutcome::Paid)
}

fn refused() -> Command {
    told(TransferOutcome::Refused(failure()))
}

fn returned(amount: i64) -> Command {
    told(TransferOutcome::Returned { amount, failure: failure(), booking: None })
}

fn returned_as(amount: i64, booking: &str) -> Command {
    told(TransferOutcome::Returned { amount, failure: failure(), booking: Some(booking.to_owned()) })
}

fn given(commands: &[Command]) -> State {
    commands.iter().fold(State::Absent, |state, command| {
        let events = Withdrawal::decide(&state, command.clone()).unwrap();
        events.iter().fold(state, Withdrawal::evolve)
    })
}

/// The types of the events that the last command leads to, and the status behind them.
#[track_caller]
fn check(before: &[Command], when: Command, then: Result<(&[&str], WithdrawalStatus), WithdrawalRejection>) {
    let state = given(before);
    let decided = Withdrawal::decide(&state, when.clone()).map(|events| {
        let types: Vec<&str> = events.iter().map(crate::DomainEvent::event_type).collect();
        let end = events.iter().fold(state.clone(), Withdrawal::evolve);
        Withdrawal::check(&end).unwrap();
        (types, end.record().unwrap().status())
    });
    assert_eq!(decided, then.map(|(types, status)| (types.to_vec(), status)), "{before:?}\n{when:?}");
}

use WithdrawalStatus as Status;

#[test]
fn it_is_requested_once() {
    check(&[], request(), Ok((&["withdrawal.requested"], Status::Requested)));
    check(&[request()], request(), Ok((&[], Status::Requested)));
    check(&[request()], Command::Request(terms(2)), Err(WithdrawalRejection::AlreadyExists));
    for (amount, fee) in [(0, 0), (-1, 0), (AMOUNT_MAX + 1, 0), (1, -1)] {
        let command = Command::Request(Requested { amount, fee, ..terms(1) });
        check(&[], command, Err(WithdrawalRejection::InvalidAmount));
    }
    for command in [approve("finance"), reject(), cancel(), start(), sent(), paid()] {
        check(&[], command, Err(WithdrawalRejection::NotFound));
    }
}

#[test]
fn others_approve_it_each_once() {
    let two = Command::Request(terms(2));
    check(&[request()], approve("finance"), Ok((&["withdrawal.approved"], Status::Approved)));
    check(&[request()], approve("merchant"), Err(WithdrawalRejection::ApproverIsRequester));
    check(&[request(), approve("finance")], approve("finance2"), Err(WithdrawalRejection::AlreadyDecided));
    check(std::slice::from_ref(&two), approve("finance"), Ok((&["withdrawal.approved"], Status::Requested)));
    check(&[two.clone(), approve("finance")], approve("finance"), Err(WithdrawalRejection::ApproverHasApproved));
    check(&[two.clone(), approve("finance")], approve("merchant"), Err(WithdrawalRejection::ApproverIsRequester));
    check(&[two, approve("finance")], approve("finance2"), Ok((&["withdrawal.approved"], Status::Approved)));
    for end in [reject(), cancel()] {
        check(&[request(), end], approve("finance"), Err(WithdrawalRejection::AlreadyDecided));
    }
}

#[test]
fn it_can_be_stopped_until_it_is_being_sent() {
    let approved = [request(), approve("finance")];
    let rejected: Result<(&[&str], Status), _> = Ok((&["withdrawal.rejected"], Status::Rejected));
    let cancelled: Result<(&[&str], Status), _> = Ok((&["withdrawal.cancelled"], Status::Cancelled));
    check(&approved[..1], reject(), rejected);
    check(&approved, reject(), rejected);
    check(&approved[..1], cancel(), cancelled);
    check(&approved, cancel(), cancelled);
    check(&[request(), cancel()], cancel(), Ok((&[], Status::Cancelled)));
    check(&[request(), reject()], reject(), Err(WithdrawalRejection::AlreadyDecided));
    check(&[request(), reject()], cancel(), Err(WithdrawalRejection::NotCancellable));
    let mut going = approved.to_vec();
    for step in [start(), sent(), paid()] {
        going.push(step);
        check(&going, reject(), Err(WithdrawalRejection::AlreadyDecided));
        check(&going, cancel(), Err(WithdrawalRejection::NotCancellable));
    }
}

#[test]
fn nothing_goes_out_before_it_may() {
    check(&[request()], start(), Err(WithdrawalRejection::NotApproved));
    check(&[request(), cancel()], start(), Err(WithdrawalRejection::NotApproved));
    let cooling = |usable_from| Command::Approve { by: "finance".to_owned(), usable_from, at: at(10) };
    check(&[request(), cooling(at(31))], start(), Err(WithdrawalRejection::CoolingOff));
    check(&[request(), cooling(at(30))], start(), Ok((&["withdrawal.sending_started"], Status::Approved)));
    check(&[request(), approve("finance")], sent(), Err(WithdrawalRejection::NotApproved));
    check(&[request(), approve("finance"), start()], start(), Ok((&[], Status::Approved)));
    check(&[request(), approve("finance"), start()], sent(), Ok((&["withdrawal.sent"], Status::Sent)));
    check(&[request(), approve("finance"), start(), sent()], sent(), Ok((&[], Status::Sent)));
}

#[test]
fn what_the_bank_says_is_booked_once_in_whatever_order_it_comes() {
    let sending = vec![request(), approve("finance"), start()];
    let on_the_way = [sending.clone(), vec![sent()]].concat();
    let then = |told: Command| [on_the_way.clone(), vec![told]].concat();
    check(&on_the_way, paid(), Ok((&["withdrawal.paid"], Status::Paid)));
    check(&on_the_way, refused(), Ok((&["withdrawal.failed"], Status::Failed)));
    check(&on_the_way, returned(4_900), Ok((&["withdrawal.paid", "withdrawal.returned"], Status::Failed)));
    check(&sending, paid(), Ok((&["withdrawal.sent", "withdrawal.paid"], Status::Paid)));
    check(&sending, refused(), Ok((&["withdrawal.sent", "withdrawal.failed"], Status::Failed)));
    check(&then(paid()), paid(), Ok((&[], Status::Paid)));
    check(&then(paid()), refused(), Ok((&[], Status::Paid)));
    check(&then(paid()), returned(5_000), Ok((&["withdrawal.returned"], Status::Failed)));
    check(&then(returned(5_000)), returned(5_000), Ok((&[], Status::Failed)));
    check(&then(returned(5_000)), paid(), Ok((&[], Status::Failed)));
    check(&then(refused()), refused(), Ok((&[], Status::Failed)));
    check(&then(refused()), paid(), Ok((&["withdrawal.paid"], Status::Paid)));
    check(&then(refused()), returned(1), Ok((&["withdrawal.paid", "withdrawal.returned"], Status::Failed)));
    for amount in [0, -1, 5_001] {
        check(&then(paid()), returned(amount), Err(WithdrawalRejection::ReturnOutOfRange));
    }
    for told in [paid(), refused(), returned(1)] {
        check(&[request()], told.clone(), Err(WithdrawalRejection::NotApproved));
        check(&[request(), cancel()], told, Err(WithdrawalRejection::NotApproved));
    }
}

#[test]
fn it_comes_back_in_parts_each_once_and_never_more_than_was_paid() {
    let then = |told: &[Command]| [&[request(), approve("finance"), start(), sent(), paid()], told].concat();
    let part: Result<(&[&str], Status), _> = Ok((&["withdrawal.returned"], Status::Failed));
    let told_before: Result<(&[&str], Status), _> = Ok((&[], Status::Failed));
    let beyond = Err(WithdrawalRejection::ReturnOutOfRange);
    check(&then(&[returned_as(3_000, "A")]), returned_as(1_500, "B"), part);
    check(&then(&[returned_as(2_000, "A")]), returned_as(2_000, "B"), part);
    check(&then(&[returned_as(3_000, "A")]), returned_as(3_000, "A"), told_before);
    check(&then(&[returned_as(3_000, "A")]), returned(3_000), told_before);
    check(&then(&[returned(3_000)]), returned_as(3_000, "A"), told_before);
    check(&then(&[returned(3_000)]), returned(2_000), part);
    check(&then(&[returned_as(3_000, "A")]), returned_as(2_001, "B"), beyond);
    check(&then(&[returned_as(3_000, "A"), returned_as(2_000, "B")]), returned_as(1, "C"), beyond);
    check(&then(&[returned_as(3_000, "A"), returned_as(2_000, "B")]), returned_as(2_000, "B"), told_before);

    let state = given(&then(&[returned_as(3_000, "A"), returned_as(1_500, "B")]));
    let Phase::Returned { amount, .. } = &state.record().unwrap().phase else { panic!("{state:?}") };
    assert_eq!(*amount, 4_500);
    let events = Withdrawal::decide(&state, returned_as(500, "C")).unwrap();
    let [Event::Returned(last)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((last.amount, last.before, last.fee_returned), (500, 4_500, 0));
}

#[test]
fn the_fee_goes_back_by_policy() {
    for (fee_policy, expected) in [(FeePolicy::Return, 25), (FeePolicy::Retain, 0)] {
        let requested = Command::Request(Requested { fee_policy, ..terms(1) });
        let state = given(&[requested, approve("finance"), start(), sent()]);
        for outcome in [refused(), returned(5_000)] {
            let events = Withdrawal::decide(&state, outcome).unwrap();
            let told = match events.last() {
                Some(Event::Failed(failed)) => failed.fee_returned,
                Some(Event::Returned(returned)) => returned.fee_returned,
                other => panic!("{other:?}"),
            };
            assert_eq!(told, expected, "{fee_policy:?}");
        }
    }
}

#[test]
fn the_fee_goes_back_once() {
    for after in [vec![], vec![paid()]] {
        let before = [vec![request(), approve("finance"), start(), sent(), refused()], after].concat();
        let events = Withdrawal::decide(&given(&before), returned(5_000)).unwrap();
        let Some(Event::Returned(returned)) = events.last() else { panic!("{events:?}") };
        assert_eq!(returned.fee_returned, 0, "{before:?}");
    }
}

fn any_command() -> impl Strategy<Value = Command> {
    let person = prop_oneof![Just("merchant"), Just("finance"), Just("finance2"), Just("finance3")];
    prop_oneof![
        Just(request()),
        Just(Command::Request(terms(2))),
        (person, 0..60_i64).prop_map(|(by, cool)| Command::Approve {
            by: by.to_owned(),
            usable_from: at(cool),
            at: at(10)
        }),
        Just(reject()),
        Just(cancel()),
        Just(start()),
        Just(sent()),
        Just(paid()),
        Just(refused()),
        (0..6_000_i64).prop_map(returned),
    ]
}

proptest! {
    /// Whatever is asked in whatever order: the invariants hold, an answer given twice changes nothing, and a withdrawal
    /// is at the bank only after as many people as needed approved it.
    #[test]
    fn no_history_breaks_it(commands in prop::collection::vec(any_command(), 1..40)) {
        let mut state = State::Absent;
        for command in commands {
            let Ok(events) = Withdrawal::decide(&state, command.clone()) else { continue };
            state = events.iter().fold(state, Withdrawal::evolve);
            prop_assert_eq!(Withdrawal::check(&state), Ok(()));
            if let Ok(again) = Withdrawal::decide(&state, command) {
                prop_assert!(again.is_empty());
            }
        }
    }
}

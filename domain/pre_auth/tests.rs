//! Given / when / then tables of the pre-auth, and properties over random histories.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::invariants::Books;
use crate::pricing::{Pricing, PricingModel, RefundFeePolicy};
use crate::{Currency, DomainEvent, MerchantId, Side};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

fn pay(n: u128) -> PaymentId {
    PaymentId::from_uuid(Uuid::from_u128(n))
}

fn sealed() -> Sealed {
    Sealed { key: "k".into(), nonce: "n".into(), data: "d".into() }
}

fn terms() -> Created {
    Created {
        pre_auth_id: PreAuthId::from_uuid(Uuid::from_u128(1)),
        merchant_id: MerchantId::from_uuid(Uuid::from_u128(7)),
        order_no: "A-1".parse().unwrap(),
        amount: 10_000,
        currency: Currency::USD,
        channel: "sandbox".parse().unwrap(),
        method: "card".into(),
        country: None,
        pricing: Pricing {
            model: PricingModel::CostPlus,
            markup_rate: "0.003".parse().unwrap(),
            refund_fee_policy: RefundFeePolicy::Retain,
        },
        expected_channel_fee_rate: "0.01".parse().unwrap(),
        multiple_captures: true,
        order_id: None,
        sealed: sealed(),
        created_at: at(0),
        authorize_before: at(1_800),
        expires_at: at(7 * 86_400),
    }
}

fn create() -> Command {
    Command::Create(terms())
}

fn create_single() -> Command {
    Command::Create(Created { multiple_captures: false, ..terms() })
}

fn told(outcome: AuthorizationOutcome) -> Command {
    Command::RecordAuthorization { outcome, at: at(10) }
}

fn authorized() -> Command {
    told(AuthorizationOutcome::Authorized { channel_reference: "ch_1".into(), amount: 10_000, capture_before: None })
}

fn action() -> Command {
    told(AuthorizationOutcome::ActionRequired { channel_reference: "ch_1".into(), action: sealed() })
}

fn accepted() -> Command {
    told(AuthorizationOutcome::Accepted { channel_reference: "ch_1".into() })
}

fn declined() -> Command {
    told(AuthorizationOutcome::Declined { channel_reference: None, failure: Failure::new("card_declined", None) })
}

fn released() -> Command {
    told(AuthorizationOutcome::Released)
}

fn capture(n: u128, amount: i64) -> Command {
    captured_as(n, Some(amount), false)
}

fn captured_as(n: u128, amount: Option<i64>, is_final: bool) -> Command {
    Command::RequestCapture(RequestCapture { payment_id: pay(n), amount, is_final, at: at(20) })
}

fn succeeded(n: u128, amount: i64) -> Command {
    Command::RecordCapture { payment_id: pay(n), outcome: CaptureOutcome::Succeeded { amount }, at: at(30) }
}

fn failed(n: u128) -> Command {
    Command::RecordCapture { payment_id: pay(n), outcome: CaptureOutcome::Failed, at: at(30) }
}

fn cancel() -> Command {
    Command::Cancel { at: at(40) }
}

fn expire(seconds: i64) -> Command {
    Command::Expire { at: at(seconds) }
}

const WEEK: i64 = 7 * 86_400;

fn state(given: &[Command]) -> State {
    given.iter().fold(State::default(), |state, command| {
        let events = PreAuth::decide(&state, command.clone()).expect("given commands are accepted");
        events.iter().fold(state, PreAuth::evolve)
    })
}

#[track_caller]
fn check(given: &[Command], when: Command, then: Result<&[&str], PreAuthRejection>) {
    let decided = PreAuth::decide(&state(given), when);
    let types = decided.map(|events| {
        events.iter().map(|event| event.event_type().trim_start_matches("pre_auth.")).collect::<Vec<_>>()
    });
    assert_eq!(types, then.map(<[&str]>::to_vec));
}

/// Status, captured, in flight, released.
#[track_caller]
fn ends(given: &[Command], expected: (PreAuthStatus, i64, i64, i64)) {
    let state = state(given);
    let record = state.record().unwrap();
    let sums = record.hold().map_or((0, 0, 0), |hold| (hold.captured(), hold.in_flight(), hold.released()));
    assert_eq!((record.status(), sums.0, sums.1, sums.2), expected);
}

#[test]
fn creation() {
    let with = |change: fn(&mut Created)| {
        let mut terms = terms();
        change(&mut terms);
        Command::Create(terms)
    };
    check(&[], create(), Ok(&["created"]));
    check(&[create()], create(), Ok(&[]));
    check(&[create()], create_single(), Err(PreAuthRejection::AlreadyExists));
    check(&[], with(|terms| terms.amount = 0), Err(PreAuthRejection::InvalidAmount));
    check(&[], with(|terms| terms.amount = AMOUNT_MAX + 1), Err(PreAuthRejection::InvalidAmount));
    check(&[], with(|terms| terms.authorize_before = terms.created_at), Err(PreAuthRejection::InvalidExpiry));
    check(&[], with(|terms| terms.expires_at = at(1_799)), Err(PreAuthRejection::InvalidExpiry));
    check(&[], with(|terms| terms.expires_at = at(31 * 86_400)), Err(PreAuthRejection::InvalidExpiry));
    check(&[], with(|terms| terms.pricing.markup_rate = Decimal::TWO), Err(PreAuthRejection::InvalidRate));
    for command in [cancel(), expire(WEEK), authorized(), capture(1, 1), succeeded(1, 1)] {
        check(&[], command, Err(PreAuthRejection::NotFound));
    }
}

#[test]
fn authorization() {
    let unknown = || told(AuthorizationOutcome::Unknown);
    let too_much = told(AuthorizationOutcome::Authorized {
        channel_reference: "ch_1".into(),
        amount: 10_001,
        capture_before: None,
    });
    let other = told(AuthorizationOutcome::Authorized {
        channel_reference: "ch_2".into(),
        amount: 10_000,
        capture_before: None,
    });
    check(&[create()], authorized(), Ok(&["authorized"]));
    check(&[create(), authorized()], authorized(), Ok(&[]));
    check(&[create(), authorized()], other, Err(PreAuthRejection::ContradictsAuthorization));
    check(&[create()], too_much, Err(PreAuthRejection::AuthorizationOutOfRange));
    check(&[create()], unknown(), Ok(&["outcome_unknown"]));
    check(&[create(), unknown()], unknown(), Ok(&[]));
    check(&[create(), unknown()], accepted(), Ok(&["accepted"]));
    check(&[create(), accepted()], accepted(), Ok(&[]));
    check(&[create(), accepted()], unknown(), Ok(&[]));
    check(&[create()], action(), Ok(&["action_required"]));
    check(&[create(), action()], action(), Ok(&[]));
    check(&[create(), action()], accepted(), Ok(&[]));
    check(&[create(), action()], authorized(), Ok(&["authorized"]));
    check(&[create()], declined(), Ok(&["failed"]));
    check(&[create()], released(), Ok(&["failed"]));
    // What is told after a final word of the channel is older than it.
    check(&[create(), declined()], authorized(), Ok(&[]));
    check(&[create(), authorized()], declined(), Ok(&["closed", "hold_released"]));
    check(&[create(), authorized(), declined()], declined(), Ok(&[]));
    ends(&[create()], (PreAuthStatus::Processing, 0, 0, 0));
    ends(&[create(), action()], (PreAuthStatus::RequiresAction, 0, 0, 0));
    ends(&[create(), declined()], (PreAuthStatus::Failed, 0, 0, 0));
}

#[test]
fn ending_before_it_is_authorised() {
    check(&[create()], cancel(), Ok(&["cancellation_requested"]));
    check(&[create(), cancel()], cancel(), Ok(&[]));
    check(&[create()], expire(1_799), Ok(&[]));
    check(&[create()], expire(1_800), Ok(&["cancellation_requested"]));
    check(&[create(), cancel()], expire(1_800), Ok(&[]));
    check(&[create(), cancel()], released(), Ok(&["cancelled"]));
    check(&[create(), expire(1_800)], released(), Ok(&["expired"]));
    check(&[create(), cancel(), released()], cancel(), Ok(&[]));
    check(&[create(), declined()], cancel(), Err(PreAuthRejection::NotCancellable));
    // Authorised too late: held for a moment, and given back.
    check(&[create(), cancel()], authorized(), Ok(&["authorized", "closed"]));
    ends(&[create(), cancel(), authorized()], (PreAuthStatus::Cancelled, 0, 0, 10_000));
    ends(&[create(), expire(1_800), authorized()], (PreAuthStatus::Expired, 0, 0, 10_000));
    assert!(state(&[create(), cancel()]).record().unwrap().next_action().is_none());
}

#[test]
fn captures() {
    let held = [create(), authorized()];
    let given = |more: &[Command]| [held.as_slice(), more].concat();
    check(&[create()], capture(1, 1), Err(PreAuthRejection::NotCapturable));
    check(&[create(), declined()], capture(1, 1), Err(PreAuthRejection::NotCapturable));
    check(&held, capture(1, 4_000), Ok(&["capture_requested"]));
    check(&given(&[capture(1, 4_000)]), capture(1, 4_000), Ok(&[]));
    check(&given(&[capture(1, 4_000)]), capture(1, 4_001), Err(PreAuthRejection::CaptureAlreadyExists));
    check(&held, capture(1, 0), Err(PreAuthRejection::InvalidAmount));
    check(&held, capture(1, 10_001), Err(PreAuthRejection::CaptureExceedsAuthorized));
    check(&given(&[capture(1, 4_000)]), capture(2, 6_000), Ok(&["capture_requested"]));
    check(&given(&[capture(1, 4_000)]), capture(2, 6_001), Err(PreAuthRejection::CaptureExceedsAuthorized));
    check(&given(&[capture(1, 10_000)]), captured_as(2, None, false), Err(PreAuthRejection::CaptureExceedsAuthorized));
    check(&given(&[capture(1, 4_000)]), succeeded(1, 4_000), Ok(&["captured"]));
    check(&given(&[capture(1, 4_000)]), succeeded(1, 4_001), Err(PreAuthRejection::CaptureOutOfRange));
    check(&given(&[capture(1, 4_000)]), succeeded(2, 1), Err(PreAuthRejection::CaptureNotFound));
    check(&given(&[capture(1, 4_000), succeeded(1, 4_000)]), succeeded(1, 4_000), Ok(&[]));
    check(&given(&[capture(1, 4_000), succeeded(1, 4_000)]), failed(1), Ok(&[]));
    check(&given(&[capture(1, 4_000)]), failed(1), Ok(&["capture_failed"]));
    check(&given(&[capture(1, 4_000), failed(1)]), capture(2, 10_000), Ok(&["capture_requested"]));
    check(&given(&[capture(1, 4_000), failed(1)]), failed(1), Ok(&[]));
    check(&given(&[captured_as(1, None, false)]), succeeded(1, 10_000), Ok(&["captured", "closed"]));
    ends(&held, (PreAuthStatus::Authorized, 0, 0, 0));
    ends(&given(&[capture(1, 4_000)]), (PreAuthStatus::Authorized, 0, 4_000, 0));
    ends(&given(&[capture(1, 4_000), succeeded(1, 4_000)]), (PreAuthStatus::PartiallyCaptured, 4_000, 0, 0));
    ends(&given(&[capture(1, 4_000), succeeded(1, 3_000)]), (PreAuthStatus::PartiallyCaptured, 3_000, 0, 0));
    ends(&given(&[capture(1, 10_000), succeeded(1, 10_000)]), (PreAuthStatus::Captured, 10_000, 0, 0));
}

#[test]
fn a_final_capture_gives_back_the_rest_once_it_succeeds() {
    let given = [create(), authorized(), capture(1, 2_000), captured_as(2, Some(3_000), true)];
    check(&given, capture(3, 1), Err(PreAuthRejection::NotCapturable));
    check(&given, succeeded(2, 3_000), Ok(&["captured", "closed"]));
    let closed = [given.as_slice(), &[succeeded(2, 3_000)]].concat();
    ends(&closed, (PreAuthStatus::PartiallyCaptured, 3_000, 2_000, 5_000));
    check(&closed, capture(3, 1), Err(PreAuthRejection::NotCapturable));
    check(&closed, cancel(), Err(PreAuthRejection::NotCancellable));
    // A capture that was in flight while it closed gives back its own part.
    ends(&[closed.as_slice(), &[failed(1)]].concat(), (PreAuthStatus::Captured, 3_000, 0, 7_000));
    ends(&[closed.as_slice(), &[succeeded(1, 1_500)]].concat(), (PreAuthStatus::Captured, 4_500, 0, 5_500));
    // A final one that fails leaves all as it was.
    let again = [given.as_slice(), &[failed(2)]].concat();
    check(&again, capture(3, 8_000), Ok(&["capture_requested"]));
    ends(&again, (PreAuthStatus::Authorized, 0, 2_000, 0));
}

/// A capture and the closing that it brings are two events: whoever waits for the capture sees both.
#[test]
fn a_capture_is_answered_once_what_follows_from_it_is_booked() {
    for (amount, is_final, closes) in [(4_000, false, false), (4_000, true, true), (10_000, false, true)] {
        let before = state(&[create(), authorized(), captured_as(1, Some(amount), is_final)]);
        let events = PreAuth::decide(&before, succeeded(1, amount)).unwrap();
        let mut answered = vec![];
        events.iter().fold(before, |state, event| {
            let state = PreAuth::evolve(state, event);
            answered.push(state.record().unwrap().hold().unwrap().is_answered(pay(1)));
            state
        });
        assert_eq!(answered, if closes { vec![false, true] } else { vec![true] });
    }
    let hold = |given: &[Command]| state(given).record().unwrap().hold().unwrap().clone();
    assert!(!hold(&[create(), authorized(), capture(1, 1)]).is_answered(pay(1)));
    assert!(hold(&[create(), authorized(), captured_as(1, None, true), failed(1)]).is_answered(pay(1)));
}

#[test]
fn cancel_and_expiry_give_back_what_is_not_in_flight() {
    let held = [create(), authorized()];
    let given = |more: &[Command]| [held.as_slice(), more].concat();
    check(&held, cancel(), Ok(&["closed"]));
    check(&given(&[cancel()]), cancel(), Ok(&[]));
    check(&given(&[cancel()]), expire(WEEK), Ok(&[]));
    check(&held, expire(WEEK - 1), Ok(&[]));
    check(&held, expire(WEEK), Ok(&["closed"]));
    check(&given(&[expire(WEEK)]), cancel(), Err(PreAuthRejection::NotCancellable));
    ends(&given(&[cancel()]), (PreAuthStatus::Cancelled, 0, 0, 10_000));
    ends(&given(&[expire(WEEK)]), (PreAuthStatus::Expired, 0, 0, 10_000));
    let in_flight = given(&[capture(1, 4_000), expire(WEEK)]);
    ends(&in_flight, (PreAuthStatus::Authorized, 0, 4_000, 6_000));
    ends(&[in_flight.as_slice(), &[succeeded(1, 4_000)]].concat(), (PreAuthStatus::Captured, 4_000, 0, 6_000));
    ends(&[in_flight.as_slice(), &[failed(1)]].concat(), (PreAuthStatus::Expired, 0, 0, 10_000));
    let late =
        Command::RequestCapture(RequestCapture { payment_id: pay(1), amount: None, is_final: false, at: at(WEEK) });
    check(&held, late, Err(PreAuthRejection::NotCapturable));
    let sooner = told(AuthorizationOutcome::Authorized {
        channel_reference: "ch_1".into(),
        amount: 9_000,
        capture_before: Some(at(3_600)),
    });
    check(&[create(), sooner.clone()], expire(3_599), Ok(&[]));
    check(&[create(), sooner.clone()], expire(3_600), Ok(&["closed"]));
    ends(&[create(), sooner, cancel()], (PreAuthStatus::Cancelled, 0, 0, 9_000));
}

#[test]
fn the_channel_lets_go() {
    let held = [create(), authorized()];
    check(&held, released(), Ok(&["closed", "hold_released"]));
    let cancelled = [create(), authorized(), cancel()];
    check(&cancelled, released(), Ok(&["hold_released"]));
    check(&[cancelled.as_slice(), &[released()]].concat(), released(), Ok(&[]));
    let is_due = |given: &[Command]| state(given).record().unwrap().hold().unwrap().is_to_be_released();
    assert!(!is_due(&held));
    assert!(is_due(&cancelled));
    assert!(!is_due(&[cancelled.as_slice(), &[released()]].concat()));
    let in_flight = [create(), authorized(), capture(1, 4_000), cancel()];
    assert!(!is_due(&in_flight), "a capture in flight must not find its hold gone");
    assert!(is_due(&[in_flight.as_slice(), &[failed(1)]].concat()));
    let all = [create(), authorized(), capture(1, 10_000), succeeded(1, 10_000)];
    assert!(!is_due(&all), "nothing is left to give back");
}

#[test]
fn a_channel_of_one_capture_says_so() {
    let held = [create_single(), authorized()];
    let given = |more: &[Command]| [held.as_slice(), more].concat();
    check(&given(&[capture(1, 4_000)]), capture(2, 1_000), Err(PreAuthRejection::SingleCapture));
    check(&given(&[capture(1, 4_000)]), succeeded(1, 4_000), Ok(&["captured", "closed"]));
    let done = given(&[capture(1, 4_000), succeeded(1, 4_000)]);
    check(&done, capture(2, 1_000), Err(PreAuthRejection::SingleCapture));
    ends(&done, (PreAuthStatus::Captured, 4_000, 0, 6_000));
    check(&given(&[capture(1, 4_000), failed(1)]), capture(2, 1_000), Ok(&["capture_requested"]));
}

#[test]
fn a_capture_that_was_called_failed_and_is_made_takes_what_is_still_held() {
    let failed_one = [create(), authorized(), capture(1, 4_000), failed(1)];
    let given = |more: &[Command]| [failed_one.as_slice(), more].concat();
    check(&failed_one, succeeded(1, 4_000), Ok(&["captured_late"]));
    check(&given(&[succeeded(1, 4_000)]), succeeded(1, 4_000), Ok(&[]));
    ends(&given(&[succeeded(1, 4_000)]), (PreAuthStatus::PartiallyCaptured, 4_000, 0, 0));
    ends(&given(&[capture(2, 9_000), succeeded(1, 4_000)]), (PreAuthStatus::PartiallyCaptured, 1_000, 9_000, 0));
    ends(&given(&[cancel(), succeeded(1, 4_000)]), (PreAuthStatus::Cancelled, 0, 0, 10_000));
}

#[test]
fn postings_of_the_memo_accounts() {
    let legs = |given: &[Command], when: Command| -> Vec<(Side, String, i64)> {
        let events = PreAuth::decide(&state(given), when).unwrap();
        let entries: Vec<_> = events.iter().filter_map(DomainEvent::postings).collect();
        let legs = entries.iter().flat_map(|entry| entry.legs());
        legs.map(|leg| (leg.side, leg.account.to_string(), leg.amount)).collect()
    };
    let channel = || "memo:auth:sandbox".to_owned();
    let merchant = || Account::MemoAuthorized(terms().merchant_id, terms().pre_auth_id).to_string();
    let held = |amount| vec![(Side::Debit, channel(), amount), (Side::Credit, merchant(), amount)];
    let gone = |amount| vec![(Side::Debit, merchant(), amount), (Side::Credit, channel(), amount)];
    let base = [create(), authorized()];
    let captured = [base.as_slice(), &[capture(1, 4_000)]].concat();
    assert_eq!(legs(&[], create()), vec![]);
    assert_eq!(legs(&[create()], authorized()), held(10_000));
    assert_eq!(legs(&base, capture(1, 4_000)), vec![]);
    assert_eq!(legs(&captured, succeeded(1, 4_000)), gone(4_000));
    assert_eq!(legs(&captured, failed(1)), vec![]);
    assert_eq!(legs(&captured, cancel()), gone(6_000));
    assert_eq!(legs(&[captured.as_slice(), &[cancel()]].concat(), failed(1)), gone(4_000));
    assert_eq!(legs(&[captured.as_slice(), &[cancel()]].concat(), succeeded(1, 3_000)), gone(4_000));
    assert_eq!(legs(&[base.as_slice(), &[cancel()]].concat(), released()), vec![]);
}

fn any_command() -> impl Strategy<Value = Command> {
    let amount = prop_oneof![Just(None), (-1_i64..12_000).prop_map(Some)];
    let time = prop_oneof![0_i64..2_000, WEEK - 10..WEEK + 10];
    prop_oneof![
        1 => Just(create()),
        3 => (9_000_i64..10_010, prop::option::of(0_i64..WEEK)).prop_map(|(amount, before)| {
            told(AuthorizationOutcome::Authorized {
                channel_reference: "ch_1".into(),
                amount,
                capture_before: before.map(at),
            })
        }),
        1 => prop_oneof![Just(action()), Just(accepted()), Just(told(AuthorizationOutcome::Unknown))],
        1 => prop_oneof![Just(declined()), Just(released())],
        1 => Just(cancel()),
        1 => time.prop_map(expire),
        6 => (0_u128..6, amount, any::<bool>(), 0_i64..20).prop_map(|(n, amount, last, late)| {
            Command::RequestCapture(RequestCapture {
                payment_id: pay(n), amount, is_final: last && late == 0, at: at(20 + late),
            })
        }),
        6 => (0_u128..6, 0_i64..10_001).prop_map(|(n, amount)| succeeded(n, amount)),
        3 => (0_u128..6).prop_map(failed),
    ]
}

/// A capture takes what was asked for as a rule; without this most outcomes would be refused.
fn fitting(state: &State, command: Command) -> Command {
    match command {
        Command::RecordCapture { payment_id, outcome: CaptureOutcome::Succeeded { amount }, at } => {
            let asked = state.record().and_then(Record::hold).and_then(|hold| hold.capture(payment_id));
            let amount = asked.map_or(amount, |capture| if amount % 3 == 0 { amount } else { capture.amount });
            Command::RecordCapture { payment_id, outcome: CaptureOutcome::Succeeded { amount }, at }
        }
        command => command,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn whatever_happens_the_captures_stay_within_the_hold_and_the_books_say_the_same(
        commands in prop::collection::vec(any_command(), 1..40), single in any::<bool>()
    ) {
        let first = if single { create_single() } else { create() };
        let (mut state, mut books) = (State::default(), Books::default());
        for command in std::iter::once(first).chain(commands) {
            let command = fitting(&state, command);
            let Ok(events) = PreAuth::decide(&state, command.clone()) else { continue };
            let was_final = state.record().is_some_and(|record| record.status().is_final());
            for event in &events {
                if let Some(entry) = event.postings() {
                    books.post(entry.legs()).unwrap();
                }
                state = PreAuth::evolve(state, event);
            }
            prop_assert_eq!(PreAuth::check(&state), Ok(()));
            let guarded = PreAuth::guarded(&state);
            crate::invariants::holds(&books, guarded.into_iter()).map_err(|v| TestCaseError::fail(v.to_string()))?;
            let record = state.record().unwrap();
            prop_assert!(!was_final || record.status().is_final(), "what has ended stays ended");
            if let Some(hold) = record.hold() {
                prop_assert!(hold.captured() + hold.in_flight() + hold.released() + hold.rest() == hold.amount);
                if record.status().is_final() {
                    prop_assert_eq!(hold.captured() + hold.released(), hold.amount);
                }
            }
            // The same news again is no news.
            if !matches!(command, Command::RecordCapture { .. })
                && let Ok(again) = PreAuth::decide(&state, command)
            {
                prop_assert_eq!(again, vec![]);
            }
        }
    }
}

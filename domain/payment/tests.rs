//! Given / when / then tables of the payment, and properties over random histories.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::pricing::{Pricing, PricingModel, RefundFeePolicy};
use crate::{Account, BalancedEntry, Currency, DisputeId, DomainEvent, MerchantId, Side};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

fn payment_id() -> PaymentId {
    PaymentId::from_uuid(Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0001))
}

fn merchant_id() -> MerchantId {
    MerchantId::from_uuid(Uuid::from_u128(7))
}

fn refund_id(n: u128) -> RefundId {
    RefundId::from_uuid(Uuid::from_u128(n))
}

fn sealed() -> Sealed {
    Sealed { key: "k".into(), nonce: "n".into(), data: "d".into() }
}

fn terms() -> Created {
    Created {
        payment_id: payment_id(),
        merchant_id: merchant_id(),
        order_no: "A-1".parse().unwrap(),
        amount: 10_000,
        currency: Currency::USD,
        channel: "sandbox".parse().unwrap(),
        method: "card".into(),
        country: None,
        pricing: Pricing {
            model: PricingModel::CostPlus,
            markup_rate: "0.008".parse().unwrap(),
            refund_fee_policy: RefundFeePolicy::Retain,
        },
        expected_channel_fee_rate: "0.01".parse().unwrap(),
        limit: None,
        sealed: sealed(),
        order_id: None,
        pre_auth_id: None,
        created_at: at(0),
        expires_at: at(1_800),
    }
}

fn create() -> Command {
    Command::Create(terms())
}

fn captured(fee: Option<i64>) -> Command {
    let outcome = ChargeOutcome::Captured { channel_reference: "ch_1".into(), amount: 10_000, fee };
    Command::RecordCharge { outcome, at: at(10) }
}

fn told(outcome: ChargeOutcome) -> Command {
    Command::RecordCharge { outcome, at: at(10) }
}

fn declined() -> Command {
    told(ChargeOutcome::Declined { channel_reference: None, failure: failure() })
}

fn failure() -> Failure {
    Failure::new("card_declined", Some("declined"))
}

#[test]
fn no_text_of_a_channel_gets_into_a_failure() {
    let long = "a".repeat(65);
    let table = [
        ("card_declined", Some("Do_Not_Honor"), "card_declined", Some("do_not_honor")),
        ("Card of Jane Doe", Some("4242 4242"), "unknown", None),
        ("", Some(""), "unknown", None),
        (&long, Some(long.as_str()), "unknown", None),
    ];
    for (told, told_decline, code, decline_code) in table {
        let failure = Failure::new(told, told_decline);
        assert_eq!((failure.code.as_str(), failure.decline_code.as_deref()), (code, decline_code), "{told}");
        assert!(!failure.message.contains("Jane"));
    }
}

fn refund(n: u128, amount: Option<i64>) -> Command {
    let cover = 1_000_000;
    Command::RequestRefund(RequestRefund { refund_id: refund_id(n), amount, reason: None, cover, at: at(20) })
}

fn refunded(n: u128, outcome: RefundOutcome) -> Command {
    Command::RecordRefund { refund_id: refund_id(n), outcome, at: at(30) }
}

fn succeeded() -> RefundOutcome {
    RefundOutcome::Succeeded { channel_reference: "rf_1".into(), fee_returned: 0 }
}

/// Runs `given` (all of it must be accepted) and then `when`.
fn run(given: &[Command], when: Command) -> (State, Result<Vec<Event>, PaymentRejection>) {
    let state = given.iter().fold(State::default(), |state, command| {
        let events = Payment::decide(&state, command.clone()).expect("given commands are accepted");
        events.iter().fold(state, Payment::evolve)
    });
    let decided = Payment::decide(&state, when);
    (state, decided)
}

#[track_caller]
fn check(given: &[Command], when: Command, then: Result<&[&str], PaymentRejection>) {
    let (_, decided) = run(given, when);
    let types = decided.map(|events| events.iter().map(DomainEvent::event_type).collect::<Vec<_>>());
    assert_eq!(types, then.map(<[&str]>::to_vec));
}

#[test]
fn creation() {
    check(&[], create(), Ok(&["payment.created"]));
    check(&[create()], create(), Ok(&[]));
    check(&[], Command::Cancel { at: at(1) }, Err(PaymentRejection::NotFound));
    for amount in [0, -1, AMOUNT_MAX + 1, i64::MIN] {
        check(&[], Command::Create(Created { amount, ..terms() }), Err(PaymentRejection::InvalidAmount));
    }
    for expires_at in [at(0), at(-1), at(90 * 86_400 + 1), Timestamp::from_micros(i64::MAX)] {
        check(&[], Command::Create(Created { expires_at, ..terms() }), Err(PaymentRejection::InvalidExpiry));
    }
    for rate in ["-0.001", "1.001"].map(|rate| rate.parse().unwrap()) {
        let pricing = Pricing { markup_rate: rate, ..terms().pricing };
        check(&[], Command::Create(Created { pricing, ..terms() }), Err(PaymentRejection::InvalidRate));
        let expected_channel_fee_rate = rate;
        check(
            &[],
            Command::Create(Created { expected_channel_fee_rate, ..terms() }),
            Err(PaymentRejection::InvalidRate),
        );
    }
    check(&[create()], Command::Create(Created { amount: 1, ..terms() }), Err(PaymentRejection::AlreadyExists));
}

fn accepted(reference: &str) -> Command {
    told(ChargeOutcome::Accepted { channel_reference: reference.into() })
}

fn action(reference: &str) -> Command {
    told(ChargeOutcome::ActionRequired { channel_reference: reference.into(), action: sealed() })
}

fn unknown() -> Command {
    told(ChargeOutcome::Unknown)
}

#[test]
fn outcomes_of_the_charge() {
    check(&[create()], captured(Some(100)), Ok(&["payment.captured"]));
    check(&[create()], declined(), Ok(&["payment.failed"]));
    check(&[create()], accepted("ch_1"), Ok(&["payment.accepted"]));
    check(&[create()], action("ch_1"), Ok(&["payment.action_required"]));
    check(&[create()], unknown(), Ok(&["payment.outcome_unknown"]));
    check(&[create(), unknown()], captured(Some(100)), Ok(&["payment.captured"]));
    check(&[create()], told(ChargeOutcome::Voided), Ok(&["payment.failed"]));
}

#[test]
fn knowledge_of_a_charge_only_grows() {
    let (required, taken) = ("payment.action_required", "payment.accepted");
    let table: [(Command, Command, &[&str]); 10] = [
        (unknown(), unknown(), &[]),
        (unknown(), accepted("ch_1"), &[taken]),
        (unknown(), action("ch_1"), &[required]),
        (accepted("ch_1"), unknown(), &[]),
        (accepted("ch_1"), accepted("ch_1"), &[]),
        (accepted("ch_1"), action("ch_1"), &[required]),
        (action("ch_1"), unknown(), &[]),
        (action("ch_1"), accepted("ch_1"), &[]),
        (action("ch_1"), action("ch_1"), &[]),
        (action("ch_1"), action("ch_2"), &[required]),
    ];
    for (known, news, events) in table {
        check(&[create(), known], news, Ok(events));
    }
}

#[test]
fn the_reference_of_a_charge_outlives_it() {
    let cancelled = [Command::Cancel { at: at(5) }, told(ChargeOutcome::Voided)];
    let expired = [Command::Expire { at: at(1_800) }, told(ChargeOutcome::Voided)];
    for end in [&cancelled[..], &expired[..], &[declined()], &[told(ChargeOutcome::Voided)], &[captured(None)]] {
        let (state, _) = history(&[&[create(), accepted("ch_1")], end].concat());
        let record = state.record().unwrap();
        assert_eq!(record.channel_reference.as_deref(), Some("ch_1"), "{:?}", record.phase);
    }
}

#[test]
fn a_cancelled_payment_asks_for_no_action_any_more() {
    let status = |commands: &[Command]| history(commands).0.record().map(Record::status);
    assert_eq!(status(&[create(), action("ch_1")]), Some(PaymentStatus::RequiresAction));
    let cancel = Command::Cancel { at: at(5) };
    assert_eq!(status(&[create(), action("ch_1"), cancel]), Some(PaymentStatus::Processing));
}

#[test]
fn old_news_changes_nothing() {
    check(&[create(), captured(Some(100))], captured(Some(100)), Ok(&[]));
    check(&[create(), captured(Some(100))], declined(), Ok(&[]));
    check(&[create(), captured(Some(100))], told(ChargeOutcome::Unknown), Ok(&[]));
    check(&[create(), declined()], declined(), Ok(&[]));
    check(&[create(), declined()], told(ChargeOutcome::Accepted { channel_reference: "c".into() }), Ok(&[]));
}

#[test]
fn a_channel_cannot_book_what_was_never_authorised() {
    for amount in [0, -1, 10_001, i64::MAX] {
        let outcome = ChargeOutcome::Captured { channel_reference: "c".into(), amount, fee: Some(0) };
        check(&[create()], told(outcome), Err(PaymentRejection::CaptureOutOfRange));
    }
}

#[test]
fn a_fee_that_cannot_be_one_is_estimated() {
    for fee in [-1, AMOUNT_MAX + 1, i64::MAX] {
        let (_, events) = history(&[create(), captured(Some(fee))]);
        assert!(
            matches!(&events[1], Event::Captured(Captured { channel_fee: ChannelFee::Estimated(100), .. })),
            "{fee}"
        );
    }
}

#[test]
fn another_capture_is_never_taken_for_a_repeat() {
    let told = |reference: &str, amount| {
        told(ChargeOutcome::Captured { channel_reference: reference.into(), amount, fee: Some(7) })
    };
    let booked = [create(), captured(None)];
    check(&booked, told("ch_1", 10_000), Ok(&["payment.fee_trued_up"]));
    check(&booked, told("ch_2", 10_000), Err(PaymentRejection::ContradictsCapture));
    check(&booked, told("ch_1", 9_999), Err(PaymentRejection::ContradictsCapture));
}

#[test]
fn a_second_capture_in_the_log_does_not_replace_the_first() {
    let (state, events) = history(&[create(), captured(Some(100)), refund(1, Some(1))]);
    let Event::Captured(first) = &events[1] else { panic!("{events:?}") };
    let second = Event::Captured(Captured { amount: 1, channel_reference: "ch_2".into(), ..first.clone() });
    assert_eq!(Payment::evolve(state.clone(), &second), state);
    assert_eq!(crate::invariants::captured_once(&state, &second).unwrap_err().invariant, 4);
    assert_eq!(crate::invariants::captured_once(&State::Absent, &second), Ok(()));
}

#[test]
fn cancellation_asks_the_channel_first() {
    let cancel = || Command::Cancel { at: at(5) };
    let voided = || told(ChargeOutcome::Voided);
    check(&[create()], cancel(), Ok(&["payment.cancellation_requested"]));
    check(&[create(), cancel()], cancel(), Ok(&[]));
    check(&[create(), cancel()], voided(), Ok(&["payment.cancelled"]));
    check(&[create(), cancel(), voided()], cancel(), Ok(&[]));
    check(&[create(), captured(Some(100))], cancel(), Err(PaymentRejection::NotCancellable));
    check(&[create(), declined()], cancel(), Err(PaymentRejection::NotCancellable));
}

#[test]
fn expiry_fires_once_and_not_early() {
    let expire = |seconds| Command::Expire { at: at(seconds) };
    check(&[create()], expire(1_799), Ok(&[]));
    check(&[create()], expire(1_800), Ok(&["payment.cancellation_requested"]));
    check(&[create(), expire(1_800)], expire(1_801), Ok(&[]));
    check(&[create(), expire(1_800)], told(ChargeOutcome::Voided), Ok(&["payment.expired"]));
    check(&[create(), captured(Some(100))], expire(1_800), Ok(&[]));
}

#[test]
fn a_late_success_is_booked_and_refunded() {
    let late = ["payment.captured", "payment.refund_requested"];
    let cancel = || Command::Cancel { at: at(5) };
    check(&[create(), cancel()], captured(Some(100)), Ok(&late));
    check(&[create(), cancel(), told(ChargeOutcome::Voided)], captured(Some(100)), Ok(&late));
    check(&[create(), Command::Expire { at: at(1_800) }, told(ChargeOutcome::Voided)], captured(Some(100)), Ok(&late));
    check(&[create(), declined()], captured(Some(100)), Ok(&late));
    let (state, _) = run(&[create(), cancel(), captured(Some(100))], cancel());
    assert_eq!(state.record().map(Record::status), Some(PaymentStatus::Succeeded));
}

#[test]
fn refunds_never_exceed_the_capture() {
    let paid = || vec![create(), captured(Some(100))];
    let with = |more: &[Command]| [paid(), more.to_vec()].concat();
    check(&[create()], refund(1, None), Err(PaymentRejection::NotRefundable));
    check(&paid(), refund(1, None), Ok(&["payment.refund_requested"]));
    check(&paid(), refund(1, Some(10_000)), Ok(&["payment.refund_requested"]));
    check(&paid(), refund(1, Some(10_001)), Err(PaymentRejection::RefundExceedsCaptured));
    check(&paid(), refund(1, Some(0)), Err(PaymentRejection::InvalidAmount));
    check(&paid(), refund(1, Some(-1)), Err(PaymentRejection::InvalidAmount));
    check(&with(&[refund(1, Some(4_000))]), refund(2, Some(6_001)), Err(PaymentRejection::RefundExceedsCaptured));
    check(&with(&[refund(1, Some(4_000))]), refund(2, Some(6_000)), Ok(&["payment.refund_requested"]));
    check(&with(&[refund(1, None)]), refund(2, None), Err(PaymentRejection::AlreadyRefunded));
    check(&with(&[refund(1, None)]), refund(1, None), Ok(&[]));
    check(&with(&[refund(1, None)]), refund(1, Some(10_000)), Ok(&[]));
    check(&with(&[refund(1, None)]), refund(1, Some(9_999)), Err(PaymentRejection::RefundAlreadyExists));
    check(
        &with(&[refund(1, None), refunded(1, RefundOutcome::Failed(failure()))]),
        refund(2, None),
        Ok(&["payment.refund_requested"]),
    );
}

#[test]
fn a_payment_takes_a_bounded_number_of_refunds() {
    let mut state = run(&[create()], captured(Some(100))).0;
    let apply = |state: State, command: Command| {
        let events = Payment::decide(&state, command).unwrap();
        events.iter().fold(state, Payment::evolve)
    };
    state = apply(state, captured(Some(100)));
    for n in 0..u128::try_from(refund::REFUNDS_MAX).unwrap() {
        state = apply(state, refund(n, Some(1)));
    }
    assert_eq!(Payment::decide(&state, refund(5_000, Some(1))), Err(PaymentRejection::TooManyRefunds));
}

#[test]
fn a_refund_must_be_covered() {
    let request = |cover| RequestRefund { refund_id: refund_id(1), amount: Some(500), reason: None, cover, at: at(20) };
    let paid = [create(), captured(Some(100))];
    check(&paid, Command::RequestRefund(request(499)), Err(PaymentRejection::InsufficientBalance));
    check(&paid, Command::RequestRefund(request(500)), Ok(&["payment.refund_requested"]));
}

fn failed() -> RefundOutcome {
    RefundOutcome::Failed(failure())
}

#[test]
fn knowledge_of_a_refund_only_grows() {
    let accepted = || RefundOutcome::Accepted { channel_reference: "rf_1".into() };
    let unknown = || RefundOutcome::Unknown;
    let (success, failure) = ("payment.refund_succeeded", "payment.refund_failed");
    let table: [(&[RefundOutcome], RefundOutcome, &[&str]); 16] = [
        (&[], succeeded(), &[success]),
        (&[], accepted(), &["payment.refund_accepted"]),
        (&[], unknown(), &["payment.refund_outcome_unknown"]),
        (&[], failed(), &[failure]),
        (&[unknown()], unknown(), &[]),
        (&[unknown()], accepted(), &["payment.refund_accepted"]),
        (&[unknown()], succeeded(), &[success]),
        (&[accepted()], unknown(), &[]),
        (&[accepted()], accepted(), &[]),
        (&[accepted()], failed(), &[failure]),
        (&[succeeded()], succeeded(), &[]),
        (&[succeeded()], accepted(), &[]),
        (&[succeeded()], failed(), &["payment.refund_reversed"]),
        (&[succeeded(), failed()], succeeded(), &[]),
        (&[failed()], failed(), &[]),
        (&[failed()], succeeded(), &["payment.refund_succeeded_late"]),
    ];
    for (known, news, events) in table {
        let told = known.iter().map(|outcome| refunded(1, outcome.clone())).collect::<Vec<_>>();
        let asked = [vec![create(), captured(Some(100)), refund(1, None)], told].concat();
        check(&asked, refunded(1, news), Ok(events));
    }
    check(&[create(), captured(None)], refunded(9, succeeded()), Err(PaymentRejection::NotFound));
}

#[test]
fn the_reference_of_a_refund_outlives_it() {
    let accepted = RefundOutcome::Accepted { channel_reference: "rf_1".into() };
    for end in [RefundOutcome::Unknown, failed(), succeeded()] {
        let told = [refunded(1, accepted.clone()), refunded(1, end)];
        let (state, _) = history(&[vec![create(), captured(None), refund(1, None)], told.to_vec()].concat());
        let refund = state.record().and_then(Record::capture).and_then(|capture| capture.refund(refund_id(1))).unwrap();
        assert_eq!(refund.channel_reference.as_deref(), Some("rf_1"), "{:?}", refund.status);
    }
}

#[test]
fn a_refund_made_after_it_failed_is_booked_as_told() {
    let anew = [create(), captured(Some(100)), refund(1, None), refunded(1, failed()), refund(2, None)];
    let both = [anew.to_vec(), vec![refunded(1, succeeded()), refunded(2, succeeded())]].concat();
    let (state, _) = history(&both);
    let record = state.record().unwrap();
    let capture = record.capture().unwrap();
    assert_eq!((capture.amount_refunded(), capture.refundable()), (20_000, 0));
    assert_eq!(crate::invariants::payment_amounts(record), Ok(()));
    let legs = books(&both);
    assert_eq!(balance(&legs, &Account::MerchantPending(merchant_id())), 9_820 - 20_000);
    assert_eq!(balance(&legs, &Account::ChannelReceivable("sandbox".parse().unwrap())), 9_900 - 20_000);
    check(&both, refund(3, None), Err(PaymentRejection::AlreadyRefunded));
}

#[test]
fn a_fee_given_back_is_booked_up_to_the_fee() {
    let back = |fee_returned| RefundOutcome::Succeeded { channel_reference: "rf_1".into(), fee_returned };
    for (first, second, returned) in
        [(60, 60, 100), (60, 40, 100), (101, 1, 100), (-1, 30, 30), (i64::MAX, i64::MIN, 100)]
    {
        let asked = [create(), captured(Some(100)), refund(1, Some(1)), refund(2, Some(1))];
        let (state, _) = history(&[asked.to_vec(), vec![refunded(1, back(first)), refunded(2, back(second))]].concat());
        let capture = state.record().and_then(Record::capture).unwrap();
        assert_eq!(capture.channel_fee_returned, returned, "{first} and {second}");
        assert_eq!(capture.amount_refunded(), 2);
    }
}

#[test]
fn the_money_of_a_late_success_stays_due_until_it_is_back() {
    let nth = |attempt| RefundId::of_late_success(payment_id(), attempt);
    let tell = |attempt, outcome| Command::RecordRefund { refund_id: nth(attempt), outcome, at: at(30) };
    let late = [create(), declined(), captured(Some(100))];
    let with = |more: &[Command]| [late.to_vec(), more.to_vec()].concat();
    check(&late, tell(0, failed()), Ok(&["payment.refund_failed", "payment.refund_requested"]));
    check(&with(&[tell(0, failed())]), tell(1, failed()), Ok(&["payment.refund_failed", "payment.refund_requested"]));
    check(&with(&[tell(0, failed())]), tell(1, succeeded()), Ok(&["payment.refund_succeeded"]));
    check(
        &with(&[tell(0, succeeded())]),
        tell(0, failed()),
        Ok(&["payment.refund_reversed", "payment.refund_requested"]),
    );
    let made_after_all = with(&[tell(0, failed()), tell(0, succeeded())]);
    check(&made_after_all, tell(1, failed()), Ok(&["payment.refund_failed"]));
    let (state, _) = history(&with(&[tell(0, failed()), tell(1, failed())]));
    let capture = state.record().and_then(Record::capture).unwrap();
    assert_eq!((capture.compensations_failed(), capture.amount_refund_pending()), (2, 10_000));
}

/// The postings of everything that happened, as `(account, debit, credit)` in order.
fn books(commands: &[Command]) -> Vec<(String, i64, i64)> {
    let (_, events) = history(commands);
    let legs = events.iter().filter_map(DomainEvent::postings).flat_map(|entry| entry.legs().to_vec());
    legs.map(|leg| match leg.side {
        Side::Debit => (leg.account.to_string(), leg.amount, 0),
        Side::Credit => (leg.account.to_string(), 0, leg.amount),
    })
    .collect()
}

fn history(commands: &[Command]) -> (State, Vec<Event>) {
    commands.iter().fold((State::default(), vec![]), |(state, mut events), command| {
        let decided = Payment::decide(&state, command.clone()).unwrap_or_default();
        let state = decided.iter().fold(state, Payment::evolve);
        events.extend(decided);
        (state, events)
    })
}

fn balance(legs: &[(String, i64, i64)], account: &Account) -> i128 {
    let path = account.to_string();
    let sum = |side: fn(&(String, i64, i64)) -> i64| -> i128 {
        legs.iter().filter(|leg| leg.0 == path).map(|leg| i128::from(side(leg))).sum()
    };
    account.account_type().balance(sum(|leg| leg.1), sum(|leg| leg.2))
}

#[test]
fn the_accounting_example_of_a_capture() {
    let legs = books(&[create(), captured(Some(100))]);
    let channel = || "sandbox".parse().unwrap();
    assert_eq!(balance(&legs, &Account::MerchantPending(merchant_id())), 9_820);
    assert_eq!(balance(&legs, &Account::ChannelReceivable(channel())), 9_900);
    assert_eq!(balance(&legs, &Account::RevenueProcessing), 80);
    assert_eq!(balance(&legs, &Account::ExpenseChannelFee(channel())), 100);
    assert_eq!(balance(&legs, &Account::RecoveryChannelFee), 100);
    assert_eq!(legs.iter().map(|leg| leg.1).sum::<i64>(), 10_280);
    assert_eq!(legs.iter().map(|leg| leg.2).sum::<i64>(), 10_280);
}

#[test]
fn a_blended_merchant_does_not_bear_the_channel_fee() {
    let pricing = Pricing { model: PricingModel::Blended, ..terms().pricing };
    let legs = books(&[Command::Create(Created { pricing, ..terms() }), captured(Some(100))]);
    assert_eq!(balance(&legs, &Account::MerchantPending(merchant_id())), 9_920);
    assert_eq!(balance(&legs, &Account::RecoveryChannelFee), 0);
}

#[test]
fn a_true_up_ends_where_a_known_fee_begins() {
    let channel = || "sandbox".parse().unwrap();
    let accrual = Account::ChannelFeeAccrual(channel(), payment_id());
    for actual in [0, 60, 100, 175] {
        let estimated_first = books(&[create(), captured(None), captured(Some(actual))]);
        let known = books(&[create(), captured(Some(actual))]);
        assert_eq!(balance(&estimated_first, &accrual), 0, "actual {actual}");
        for account in [
            Account::MerchantPending(merchant_id()),
            Account::ChannelReceivable(channel()),
            Account::ExpenseChannelFee(channel()),
            Account::RecoveryChannelFee,
        ] {
            assert_eq!(balance(&estimated_first, &account), balance(&known, &account), "{account}, actual {actual}");
        }
    }
    assert_eq!(balance(&books(&[create(), captured(None)]), &accrual), 100);
}

#[test]
fn refund_postings_by_policy() {
    let with = |policy| {
        Command::Create(Created { pricing: Pricing { refund_fee_policy: policy, ..terms().pricing }, ..terms() })
    };
    let whole = |policy, last: RefundOutcome| {
        books(&[with(policy), captured(Some(100)), refund(1, Some(5_000)), refunded(1, succeeded()), refunded(1, last)])
    };
    let pending = Account::MerchantPending(merchant_id());
    let hold = Account::MerchantRefundHold(merchant_id(), refund_id(1));
    let retained = whole(RefundFeePolicy::Retain, succeeded());
    assert_eq!((balance(&retained, &pending), balance(&retained, &Account::RevenueProcessing)), (4_820, 80));
    let proportional = whole(RefundFeePolicy::Proportional, succeeded());
    assert_eq!((balance(&proportional, &pending), balance(&proportional, &Account::RevenueProcessing)), (4_860, 40));
    for policy in [RefundFeePolicy::Retain, RefundFeePolicy::Proportional] {
        let reversed = whole(policy, RefundOutcome::Failed(failure()));
        assert_eq!((balance(&reversed, &pending), balance(&reversed, &Account::RevenueProcessing)), (9_820, 80));
        assert_eq!(balance(&reversed, &hold), 0);
    }
    let failed =
        books(&[create(), captured(Some(100)), refund(1, None), refunded(1, RefundOutcome::Failed(failure()))]);
    assert_eq!((balance(&failed, &pending), balance(&failed, &hold)), (9_820, 0));
}

fn disputed(reference: &str, amount: i64, fee: i64, closing: Option<(i64, i64)>) -> RecordDispute {
    let channel = terms().channel;
    RecordDispute {
        dispute_id: DisputeId::of(payment_id(), &channel, reference),
        channel_reference: reference.to_owned(),
        amount,
        fee,
        closing: closing.map(|(won, fee_returned)| Closing { won, fee_returned }),
        asked: false,
        at: at(40),
    }
}

fn dispute(told: RecordDispute) -> Command {
    Command::RecordDispute(told)
}

#[test]
fn a_dispute_is_booked_as_told_in_whatever_order() {
    let (opened, closed) = ("payment.dispute_opened", "payment.dispute_closed");
    let open = || disputed("d_1", 4_000, 15, None);
    let won = || disputed("d_1", 4_000, 15, Some((4_000, 0)));
    let lost = || disputed("d_1", 4_000, 15, Some((0, 0)));
    let asked = |told: RecordDispute| RecordDispute { asked: true, ..told };
    let contradicts = || Err(PaymentRejection::ContradictsDispute);
    type Row<'a> = (&'a [RecordDispute], RecordDispute, Result<&'a [&'a str], PaymentRejection>);
    let table: [Row; 14] = [
        (&[], open(), Ok(&[opened])),
        (&[], won(), Ok(&[opened, closed])),
        (&[open()], open(), Ok(&[])),
        (&[open()], lost(), Ok(&[closed])),
        (&[open()], disputed("d_2", 4_000, 15, None), Ok(&[opened])),
        (&[lost()], open(), Ok(&[])),
        (&[lost()], lost(), Ok(&[])),
        (&[lost()], won(), contradicts()),
        (&[lost()], asked(won()), Ok(&["payment.dispute_reopened", closed])),
        (&[lost()], asked(open()), Ok(&["payment.dispute_reopened"])),
        (&[open()], disputed("d_1", 3_000, 15, None), contradicts()),
        (&[open()], asked(disputed("d_1", 3_000, 30, None)), Ok(&["payment.dispute_adjusted"])),
        (&[open()], disputed("d_1", 4_000, 15, Some((4_001, 0))), Err(PaymentRejection::DisputeOutOfRange)),
        (&[open()], disputed("d_1", 4_000, 15, Some((0, 16))), Err(PaymentRejection::DisputeOutOfRange)),
    ];
    for (known, news, then) in table {
        let known = known.iter().cloned().map(dispute);
        let given: Vec<Command> = [create(), captured(Some(100))].into_iter().chain(known).collect();
        check(&given, dispute(news), then);
    }
    for amount in [0, -1, AMOUNT_MAX + 1] {
        let told = dispute(disputed("d_1", amount, 0, None));
        check(&[create(), captured(Some(100))], told, Err(PaymentRejection::DisputeOutOfRange));
    }
    check(&[create()], dispute(open()), Err(PaymentRejection::NotCaptured));
}

#[test]
fn the_postings_of_a_dispute_to_the_unit() {
    let channel = || terms().channel;
    let id = DisputeId::of(payment_id(), &channel(), "d_1");
    let table = [
        // closing, pending, receivable, expense, revenue, still held
        (None, 9_820 - 10_000 - 15, 9_900 - 10_000 - 15, 15, 15, 10_000),
        (Some((10_000, 0)), 9_820 - 15, 9_900 - 15, 15, 15, 0),
        (Some((0, 0)), 9_820 - 10_000 - 15, 9_900 - 10_000 - 15, 15, 15, 0),
        (Some((4_000, 15)), 9_820 - 6_000, 9_900 - 6_000, 0, 0, 0),
    ];
    for (closing, pending, receivable, expense, revenue, held) in table {
        let told = |closing| dispute(disputed("d_1", 10_000, 15, closing));
        for given in [vec![told(closing)], vec![told(None), told(closing)], vec![told(closing), told(None)]] {
            let legs = books(&[vec![create(), captured(Some(100))], given].concat());
            let of = |account| balance(&legs, &account);
            assert_eq!(of(Account::MerchantPending(merchant_id())), pending, "{closing:?}");
            assert_eq!(of(Account::ChannelReceivable(channel())), receivable, "{closing:?}");
            assert_eq!(of(Account::ExpenseDisputeFee(channel())), expense, "{closing:?}");
            assert_eq!(of(Account::RevenueDisputeFee), revenue, "{closing:?}");
            assert_eq!(of(Account::ChannelDisputed(channel(), id)), held, "{closing:?}");
            assert_eq!(of(Account::MerchantDisputeHold(merchant_id(), id)), held, "{closing:?}");
        }
    }
}

#[test]
fn no_refund_is_promised_of_what_is_disputed_or_lost() {
    let with = |closing| [create(), captured(Some(100)), dispute(disputed("d_1", 4_000, 0, closing))];
    for closing in [None, Some((0, 0))] {
        check(&with(closing), refund(1, Some(6_001)), Err(PaymentRejection::RefundExceedsCaptured));
        check(&with(closing), refund(1, Some(6_000)), Ok(&["payment.refund_requested"]));
    }
    check(&with(Some((4_000, 0))), refund(1, Some(10_000)), Ok(&["payment.refund_requested"]));
    check(&with(Some((1_000, 0))), refund(1, Some(7_001)), Err(PaymentRejection::RefundExceedsCaptured));
}

/// What a customer has back is no money of the order any more, whichever way it went; while the dispute is open, nobody
/// knows.
#[test]
fn an_order_counts_what_was_lost_as_gone_back() {
    for (closing, back) in [(None, 1_000), (Some((0, 0)), 5_000), (Some((3_000, 0)), 2_000), (Some((4_000, 0)), 1_000)]
    {
        let given = [
            create(),
            captured(Some(100)),
            refund(1, Some(1_000)),
            refunded(1, succeeded()),
            dispute(disputed("d_1", 4_000, 0, closing)),
        ];
        let brought = history(&given).0.record().and_then(Record::brought).unwrap();
        assert_eq!((brought.amount, brought.refunded), (10_000, back), "{closing:?}");
    }
    let both = [create(), captured(Some(100)), dispute(disputed("d_1", 10_000, 0, Some((0, 0))))];
    assert_eq!(history(&both).0.record().and_then(Record::brought).unwrap().refunded, 10_000);
}

#[test]
fn what_is_taken_beyond_the_capture_is_recorded_once() {
    let (opened, over) = ("payment.dispute_opened", "payment.over_returned");
    let paid = || vec![create(), captured(Some(100)), refund(1, Some(3_000))];
    let whole = |closing| dispute(disputed("d_1", 10_000, 0, closing));
    let with = |more: &[Command]| [paid(), more.to_vec()].concat();
    let given_back = with(&[refunded(1, succeeded())]);
    check(&given_back, whole(None), Ok(&[opened, over]));
    check(&with(&[]), whole(None), Ok(&[opened]));
    check(&with(&[whole(None)]), refunded(1, succeeded()), Ok(&["payment.refund_succeeded", over]));
    check(&[given_back.clone(), vec![whole(None)]].concat(), whole(Some((0, 0))), Ok(&["payment.dispute_closed"]));
    let excess = |commands: &[Command]| history(commands).0.record().and_then(Record::capture).unwrap().over_returned;
    assert_eq!(excess(&[given_back.clone(), vec![whole(None)]].concat()), 3_000);
    assert_eq!(excess(&[given_back, vec![whole(None), whole(Some((10_000, 0)))]].concat()), 0);
}

#[test]
fn an_unwanted_payment_goes_back_also_after_a_dispute_of_it_was_won() {
    let tell = |attempt, outcome| Command::RecordRefund {
        refund_id: RefundId::of_late_success(payment_id(), attempt),
        outcome,
        at: at(30),
    };
    let whole = |closing| dispute(disputed("d_1", 10_000, 0, closing));
    let unwanted = [create(), declined(), captured(Some(100)), whole(None)];
    check(&unwanted, tell(0, failed()), Ok(&["payment.refund_failed"]));
    let refused = [unwanted.to_vec(), vec![tell(0, failed())]].concat();
    check(&refused, whole(Some((0, 0))), Ok(&["payment.dispute_closed"]));
    check(&refused, whole(Some((10_000, 0))), Ok(&["payment.dispute_closed", "payment.refund_requested"]));
}

fn any_dispute() -> impl Strategy<Value = Command> {
    let closing = prop::option::of(prop_oneof![Just((0, 0)), (0_i64..12_000, 0_i64..30), Just((10_000, 15))]);
    let amount = prop_oneof![Just(10_000_i64), 1_i64..12_000, any::<i64>()];
    ("d[1-3]", amount, prop_oneof![Just(15_i64), 0_i64..30], closing, any::<bool>()).prop_map(
        |(reference, amount, fee, closing, asked)| {
            dispute(RecordDispute { asked, ..disputed(&reference, amount, fee, closing) })
        },
    )
}

fn any_command() -> impl Strategy<Value = Command> {
    let amount = prop_oneof![1_i64..=12_000, Just(10_000), any::<i64>()];
    let fee = prop_oneof![Just(None), (0_i64..500).prop_map(Some), any::<i64>().prop_map(Some)];
    let reference = || prop_oneof![4 => Just("c1".to_owned()), 1 => Just("c2".to_owned())];
    let charge = prop_oneof![
        (reference(), amount.clone(), fee).prop_map(|(channel_reference, amount, fee)| ChargeOutcome::Captured {
            channel_reference,
            amount,
            fee
        }),
        reference().prop_map(|channel_reference| ChargeOutcome::Accepted { channel_reference }),
        (reference(), "[a-c]").prop_map(|(channel_reference, data)| {
            ChargeOutcome::ActionRequired { channel_reference, action: Sealed { data, ..sealed() } }
        }),
        prop::option::of(reference())
            .prop_map(|channel_reference| ChargeOutcome::Declined { channel_reference, failure: failure() }),
        Just(ChargeOutcome::Voided),
        Just(ChargeOutcome::Unknown),
    ];
    let given_back = prop_oneof![4 => 0_i64..200, 1 => any::<i64>()];
    let back = prop_oneof![
        (reference(), given_back).prop_map(|(channel_reference, fee_returned)| {
            RefundOutcome::Succeeded { channel_reference, fee_returned }
        }),
        reference().prop_map(|channel_reference| RefundOutcome::Accepted { channel_reference }),
        Just(RefundOutcome::Failed(failure())),
        Just(RefundOutcome::Unknown),
    ];
    prop_oneof![
        1 => (0_i64..4_000).prop_map(|seconds| Command::Cancel { at: at(seconds) }),
        1 => (0_i64..4_000).prop_map(|seconds| Command::Expire { at: at(seconds) }),
        4 => charge.prop_map(told),
        4 => (1_u128..6, prop::option::of(amount)).prop_map(|(n, amount)| refund(n, amount)),
        4 => (1_u128..6, back.clone()).prop_map(|(n, outcome)| refunded(n, outcome)),
        4 => (0_u32..4, back).prop_map(|(attempt, outcome)| {
            Command::RecordRefund { refund_id: RefundId::of_late_success(payment_id(), attempt), outcome, at: at(30) }
        }),
        4 => any_dispute(),
    ]
}

/// What is known of the charge and of each refund, so that losing it can be seen: what the customer needs, and how the
/// channel calls it.
fn knowledge(record: &Record) -> Vec<(String, bool)> {
    let required = match &record.phase {
        Phase::Open(open) => Some(("charge".to_owned(), matches!(open.charge, Charge::ActionRequired(_)))),
        _ => None,
    };
    let refunds = record.capture().into_iter().flat_map(|capture| &capture.refunds);
    let refunds = refunds.map(|refund| (refund.refund_id.to_string(), refund.channel_reference.is_some()));
    let reference = ("reference".to_owned(), record.channel_reference.is_some());
    refunds.chain([reference]).chain(required).collect()
}

fn net(entries: &[BalancedEntry], account: impl Fn(&Account) -> bool) -> i128 {
    let legs = entries.iter().flat_map(|entry| entry.legs()).filter(|leg| account(&leg.account));
    legs.map(|leg| if leg.side == Side::Debit { i128::from(leg.amount) } else { -i128::from(leg.amount) }).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn whatever_happens_the_invariants_hold(policy in prop_oneof![Just(RefundFeePolicy::Retain), Just(RefundFeePolicy::Proportional)], commands in prop::collection::vec(any_command(), 0..40)) {
        let created = Command::Create(Created { pricing: Pricing { refund_fee_policy: policy, ..terms().pricing }, ..terms() });
        let (state, events) = history(&[vec![created], commands].concat());
        let entries: Vec<BalancedEntry> = events.iter().filter_map(DomainEvent::postings).collect();
        prop_assert_eq!(net(&entries, |_| true), 0);

        let record = state.record().unwrap();
        crate::invariants::payment_amounts(record).unwrap();
        let Some(capture) = record.capture() else {
            prop_assert!(entries.is_empty());
            return Ok(());
        };
        let mut books = crate::invariants::Books::default();
        for entry in &entries {
            books.post(entry.legs()).unwrap();
        }
        crate::invariants::holds(&books, crate::invariants::guarded_by_payment(record).into_iter()).unwrap();
        let revenue = -net(&entries, |account| *account == Account::RevenueProcessing);
        prop_assert_eq!(revenue, i128::from(capture.markup - capture.markup_returned));
        prop_assert!((0..=capture.markup).contains(&capture.markup_returned));
        let back = capture.amount_refunded().min(capture.amount);
        prop_assert_eq!(capture.markup_returned, policy.markup_returned(capture.markup, back, capture.amount));
        let borne = net(&entries, |account| matches!(account, Account::ExpenseChannelFee(_)));
        prop_assert_eq!(borne, i128::from(capture.channel_fee.amount() - capture.channel_fee_returned));
        let owed = -net(&entries, |account| matches!(account, Account::MerchantPending(_)));
        let kept = capture.amount - capture.amount_refunded() - capture.amount_refund_pending() - capture.amount_disputed();
        let dispute_fees: i64 = capture.disputes.iter()
            .map(|dispute| dispute.fee - dispute.closing.map_or(0, |closing| closing.fee_returned))
            .sum();
        prop_assert_eq!(-net(&entries, |account| *account == Account::RevenueDisputeFee), i128::from(dispute_fees));
        let charged = net(&entries, |account| matches!(account, Account::ExpenseDisputeFee(_)));
        prop_assert_eq!(charged, i128::from(dispute_fees));
        let fees = i128::from(capture.markup - capture.markup_returned) + borne + i128::from(dispute_fees);
        prop_assert_eq!(owed, i128::from(kept) - fees);
    }

    #[test]
    fn no_knowledge_is_lost(commands in prop::collection::vec(any_command(), 0..40)) {
        let (mut state, _) = history(&[create()]);
        for command in commands {
            let before = knowledge(state.record().unwrap());
            let events = Payment::decide(&state, command).unwrap_or_default();
            state = events.iter().fold(state, Payment::evolve);
            let after = knowledge(state.record().unwrap());
            for (what, was_known) in &before {
                let is_known = after.iter().find(|(known, _)| known == what).map(|(_, is_known)| *is_known);
                prop_assert!(!was_known || is_known != Some(false), "{} is lost by {:?}", what, events);
            }
        }
    }

    #[test]
    fn the_money_of_a_late_success_is_back_or_due(commands in prop::collection::vec(any_command(), 0..40)) {
        let whole = told(ChargeOutcome::Captured { channel_reference: "c1".into(), amount: 10_000, fee: None });
        let (state, _) = history(&[vec![create(), declined(), whole], commands].concat());
        let capture = state.record().and_then(Record::capture).unwrap();
        let given_back = capture.amount_refunded() + capture.amount_refund_pending() + capture.amount_disputed();
        prop_assert!(given_back >= capture.amount);
    }

    #[test]
    fn no_refund_is_accepted_beyond_what_was_captured(commands in prop::collection::vec(any_command(), 0..40)) {
        let (mut state, _) = history(&[create(), captured(Some(100))]);
        for command in commands {
            let is_request = matches!(command, Command::RequestRefund(_));
            let events = Payment::decide(&state, command).unwrap_or_default();
            state = events.iter().fold(state, Payment::evolve);
            let capture = state.record().and_then(Record::capture).unwrap();
            let promised = capture.amount_refunded() + capture.amount_refund_pending() + capture.amount_disputed();
            prop_assert!(!is_request || events.is_empty() || promised <= capture.amount, "{} promised", promised);
            crate::invariants::payment_amounts(state.record().unwrap()).unwrap();
        }
    }

    #[test]
    fn events_read_back_from_their_json(commands in prop::collection::vec(any_command(), 0..20)) {
        let (_, events) = history(&[vec![create()], commands].concat());
        for event in events {
            let text = serde_json::to_string(&event).unwrap();
            let tag = format!("{{\"{}\":", event.event_type());
            prop_assert!(text.starts_with(&tag), "{}", text);
            prop_assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event);
        }
    }

    #[test]
    fn a_repeated_command_changes_nothing(commands in prop::collection::vec(any_command(), 1..20)) {
        let (state, _) = history(&[vec![create()], commands.clone()].concat());
        let last = commands.last().unwrap().clone();
        if matches!(&last, Command::RequestRefund(_) | Command::RecordRefund { .. }) {
            return Ok(());
        }
        prop_assert_eq!(Payment::decide(&state, last).unwrap_or_default(), vec![]);
    }
}

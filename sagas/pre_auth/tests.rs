//! What is due for a pre-auth in each state, at each time.

use std::slice;

use domain::payment::Failure;
use domain::pre_auth::{AuthorizationOutcome, CaptureOutcome, Command, Created, PreAuth, RequestCapture, State};
use domain::pricing::{Pricing, PricingModel, RefundFeePolicy};
use domain::{Currency, Decider, MerchantId, PaymentId, Sealed};
use uuid::Uuid;

use super::*;

const WEEK: i64 = 7 * 86_400;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

fn sealed() -> Sealed {
    Sealed { key: "k".into(), nonce: "n".into(), data: "d".into() }
}

fn create() -> Command {
    Command::Create(Created {
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
        expires_at: at(WEEK),
    })
}

fn told(outcome: AuthorizationOutcome) -> Command {
    Command::RecordAuthorization { outcome, at: at(10) }
}

fn authorized() -> Command {
    told(AuthorizationOutcome::Authorized { channel_reference: "ch_1".into(), amount: 10_000, capture_before: None })
}

fn capture(amount: i64) -> Command {
    let payment_id = PaymentId::from_uuid(Uuid::from_u128(1));
    Command::RequestCapture(RequestCapture { payment_id, amount: Some(amount), is_final: false, at: at(20) })
}

fn captured(outcome: CaptureOutcome) -> Command {
    Command::RecordCapture { payment_id: PaymentId::from_uuid(Uuid::from_u128(1)), outcome, at: at(30) }
}

#[track_caller]
fn check(given: &[Command], now: i64, expected: Option<Due>) {
    let commands = std::iter::once(create()).chain(given.iter().cloned());
    let state = commands.fold(State::default(), |state, command| {
        PreAuth::decide(&state, command).unwrap().iter().fold(state, PreAuth::evolve)
    });
    assert_eq!(next_step(state.record().unwrap(), at(now)), expected);
}

#[test]
fn an_authorisation_is_called_for_found_out_and_waited_for_until_its_time_is_over() {
    let until = |step| Some(Due { deadline: Some(at(1_800)), ..Due::now(step) });
    let accepted = told(AuthorizationOutcome::Accepted { channel_reference: "ch_1".into() });
    let action = told(AuthorizationOutcome::ActionRequired { channel_reference: "ch_1".into(), action: sealed() });
    let declined =
        told(AuthorizationOutcome::Declined { channel_reference: None, failure: Failure::new("declined", None) });
    check(&[], 0, until(AUTHORIZE));
    check(&[told(AuthorizationOutcome::Unknown)], 20, until(FIND_OUT_AUTHORIZATION));
    check(&[accepted], 20, until(AWAIT_CHANNEL));
    check(slice::from_ref(&action), 20, until(AWAIT_CUSTOMER));
    check(slice::from_ref(&action), 1_800, Some(Due::now(EXPIRE)));
    check(&[action.clone(), Command::Expire { at: at(1_800) }], 1_801, Some(Due::now(RELEASE)));
    check(&[action.clone(), Command::Cancel { at: at(20) }], 20, Some(Due::now(RELEASE)));
    check(&[action, Command::Cancel { at: at(20) }, told(AuthorizationOutcome::Released)], 20, None);
    check(&[declined], 20, None);
}

#[test]
fn a_hold_expires_and_is_released_once_no_capture_is_in_flight() {
    let cancel = || Command::Cancel { at: at(25) };
    let released = || told(AuthorizationOutcome::Released);
    let taken = |amount| captured(CaptureOutcome::Succeeded { amount });
    let waiting = Due { not_before: Some(at(WEEK)), ..Due::now(EXPIRE) };
    check(&[authorized()], 20, Some(waiting));
    check(&[authorized()], WEEK, Some(Due::now(EXPIRE)));
    check(&[authorized(), capture(4_000), taken(4_000)], 40, Some(waiting));
    check(&[authorized(), cancel()], 30, Some(Due::now(RELEASE)));
    check(&[authorized(), cancel(), released()], 30, None);
    let in_flight = Due { not_before: Some(at(330)), ..Due::now(AWAIT_CAPTURES) };
    check(&[authorized(), capture(4_000), cancel()], 30, Some(in_flight));
    check(&[authorized(), capture(4_000), cancel(), taken(4_000)], 40, Some(Due::now(RELEASE)));
    check(&[authorized(), capture(4_000), cancel(), captured(CaptureOutcome::Failed)], 40, Some(Due::now(RELEASE)));
    check(&[authorized(), capture(10_000), taken(10_000)], 40, None);
}

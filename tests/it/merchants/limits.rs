//! What counts against a merchant's limits: reserved with the payment, given back with its outcome, by local days and
//! months.

use std::time::Duration;

use commands::payment::{CreatePayment, PaymentDetails};
use commands::ports::Clock;
use domain::merchant::{Changes, OwnLimits};
use domain::merchant_limits::Used;
use domain::payment::Failure;
use domain::{Currency, Money, PaymentId};
use serde_json::{Value, json};
use test_support::wait;
use uuid::Uuid;

use crate::app::{TestApp, payment};
use crate::sagas::stage::{AMOUNT, Stage, issued};

async fn limits(stage: &Stage) -> Used {
    let used = commands::merchant_limits::used(&stage.payments.executor, stage.merchant_id, stage.clock.now());
    used.await.unwrap().unwrap().1
}

async fn used(stage: &Stage) -> (i64, i64) {
    let used = limits(stage).await;
    (used.on_day, used.in_month)
}

async fn agree(stage: &Stage, changes: Changes) {
    let executor = &stage.payments.executor;
    let purpose = format!("{changes:?}");
    let changed =
        commands::merchant::change_terms(executor, issued(&purpose), stage.merchant_id, changes, stage.clock.now());
    assert_eq!(changed.await.unwrap().rejection, None);
}

/// Stands the clock at a moment that is later than it shows.
fn go_to(stage: &Stage, moment: &str) {
    let moment: domain::Timestamp = moment.parse().unwrap();
    stage.clock.advance(moment.since(stage.clock.now()));
    assert_eq!(stage.clock.now(), moment);
}

#[tokio::test]
async fn every_outcome_gives_back_what_is_no_longer_needed() {
    use commands::ports::{ChannelAnswer, RefundAnswer};
    let captured = |amount| ChannelAnswer::Captured { channel_reference: "ch".into(), amount, fee: Some(1) };
    let declined = || ChannelAnswer::Declined { channel_reference: None, failure: Failure::new("declined", None) };
    let refunded = || RefundAnswer::Succeeded { channel_reference: "rf".into(), fee_returned: 0 };
    let failed = || RefundAnswer::Failed { failure: Failure::new("no", None) };
    // What the channel says of the charge, in turn; the refund that is asked for; what it says of that; what is held.
    let table = [
        (vec![], None, vec![], AMOUNT),
        (vec![captured(AMOUNT)], None, vec![], AMOUNT),
        (vec![captured(AMOUNT), captured(AMOUNT)], None, vec![], AMOUNT),
        (vec![captured(6_000)], None, vec![], 6_000),
        (vec![declined()], None, vec![], 0),
        (vec![declined(), declined()], None, vec![], 0),
        (vec![ChannelAnswer::Voided], None, vec![], 0),
        // Booked after it had ended, and to be refunded: until then it counts.
        (vec![declined(), captured(AMOUNT)], None, vec![], AMOUNT),
        (vec![captured(AMOUNT)], Some(2_500), vec![], AMOUNT),
        (vec![captured(AMOUNT)], Some(2_500), vec![refunded()], 7_500),
        (vec![captured(AMOUNT)], Some(2_500), vec![refunded(), refunded()], 7_500),
        (vec![captured(AMOUNT)], Some(2_500), vec![failed()], AMOUNT),
        (vec![captured(AMOUNT)], Some(2_500), vec![refunded(), failed()], AMOUNT),
        (vec![captured(AMOUNT)], Some(AMOUNT), vec![refunded()], 0),
    ];
    for (charge, refund, of_refund, held) in table {
        let told = format!("{charge:?} {refund:?} {of_refund:?}");
        let stage = Stage::new().await;
        let payment_id = stage.create("tok").await;
        for (number, answer) in charge.into_iter().enumerate() {
            let told = stage.payments.record_charge(issued(&format!("charge {number}")), payment_id, answer);
            told.await.unwrap();
        }
        if let Some(amount) = refund {
            let refund_id = stage.refund(payment_id, amount).await;
            for (number, answer) in of_refund.into_iter().enumerate() {
                let told = stage.payments.record_refund(issued(&format!("r {number}")), payment_id, refund_id, answer);
                told.await.ok();
            }
        }
        assert_eq!(used(&stage).await, (held, held), "{told}");
        assert_eq!(stage.record(payment_id).await.limit_held(), held, "{told}");
    }
}

#[tokio::test]
async fn days_and_months_begin_where_the_merchant_is() {
    let stage = Stage::new().await;
    let shanghai = Some("Asia/Shanghai".parse().unwrap());
    agree(&stage, Changes { time_zone: shanghai, ..Changes::default() }).await;
    // 30 November, 23:59:59 in Shanghai.
    go_to(&stage, "2026-11-30T15:59:59Z");
    let old = stage.create("tok").await;
    assert_eq!(limits(&stage).await.day.to_string(), "2026-11-30");
    assert_eq!(used(&stage).await, (AMOUNT, AMOUNT));
    go_to(&stage, "2026-11-30T16:00:00Z");
    assert_eq!(used(&stage).await, (0, 0), "a new day and a new month");
    stage.create("tok").await;
    go_to(&stage, "2026-12-01T16:00:00Z");
    let second_day = stage.create("tok").await;
    assert_eq!(limits(&stage).await.day.to_string(), "2026-12-02");
    assert_eq!(used(&stage).await, (AMOUNT, 2 * AMOUNT));

    let void = |payment, purpose: &'static str| {
        stage.payments.record_charge(issued(purpose), payment, commands::ports::ChannelAnswer::Voided)
    };
    void(old, "old").await.unwrap();
    assert_eq!(used(&stage).await, (AMOUNT, 2 * AMOUNT), "it was another month's");
    go_to(&stage, "2026-12-02T16:00:00Z");
    stage.create("tok").await;
    void(second_day, "second").await.unwrap();
    assert_eq!(used(&stage).await, (AMOUNT, 2 * AMOUNT), "given back after midnight: the month's and not today's");
}

#[tokio::test]
async fn a_rejected_payment_reserves_nothing() {
    let stage = Stage::new().await;
    let limits = OwnLimits { daily: Some(2 * AMOUNT), ..OwnLimits::default() };
    agree(&stage, Changes { limits: Some(limits), ..Changes::default() }).await;
    let first = stage.create("tok").await;
    let again = CreatePayment {
        payment_id: PaymentId::from_uuid(Uuid::now_v7()),
        merchant_id: stage.merchant_id,
        order_no: first.to_string().parse().unwrap(),
        amount: Money::new(AMOUNT, Currency::USD).unwrap(),
        method: "card".to_owned(),
        channel: None,
        details: PaymentDetails::default(),
        expires_in: None,
    };
    let receipt = stage.payments.create(issued("again"), again).await.unwrap();
    assert_eq!(receipt.rejection.map(|rejection| rejection.code), Some("order_no_in_use".to_owned()));
    assert_eq!(used(&stage).await, (AMOUNT, AMOUNT));
    stage.clock.advance(Duration::from_secs(1));
    stage.create("tok").await;
    assert_eq!(used(&stage).await, (2 * AMOUNT, 2 * AMOUNT));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capture_counts_as_a_payment_and_a_hold_does_not() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let admin = app.key(commands::ports::Role::Admin, None).await.1;
    let path = format!("/merchants/{}", merchant.id);
    let agree = async |limits: Value| {
        let own = json!({"limits": limits});
        assert_eq!(app.request(reqwest::Method::PATCH, &path, &admin).json(&own).send().await.unwrap().status(), 200);
    };
    let left = async || {
        let limits = app.get_json(&format!("{path}/limits"), &merchant.secret).await;
        (limits["daily"]["left"].as_i64().unwrap(), limits["monthly"]["left"].as_i64().unwrap())
    };
    agree(json!({"per_payment": 50_000, "daily": 60_000, "monthly": 100_000})).await;
    let refused = app.post("/pre-auths", &merchant.secret, &payment("tok_success", 50_001)).await;
    assert_eq!(refused.status(), 422);
    let refused: Value = refused.json().await.unwrap();
    assert_eq!((&refused["code"], &refused["pointer"]), (&json!("payment_limit_exceeded"), &json!("/amount")));
    let held = app.hold(&merchant, "tok_success", 50_000).await;
    app.hold(&merchant, "tok_success", 50_000).await;
    assert_eq!(left().await, (60_000, 100_000), "what is only held does not count");
    app.pay(&merchant, "tok_success", 20_000).await;

    let capture = async |amount: i64| {
        let (status, answer) = app.on_hold(&merchant, &held, "capture", &json!({"amount": amount})).await;
        (status, if status == 200 { answer["amount_capturable"].clone() } else { answer["code"].clone() })
    };
    assert_eq!(capture(40_001).await, (422, json!("daily_limit_exceeded")));
    assert_eq!(capture(30_000).await, (200, json!(20_000)), "a refused capture takes nothing of what is held");
    assert_eq!(left().await, (10_000, 50_000));
    agree(json!({"per_payment": 9_000, "daily": 60_000, "monthly": 100_000})).await;
    assert_eq!(capture(9_001).await, (422, json!("payment_limit_exceeded")));
    let suspended = app.post(&format!("{path}/suspend"), &admin, &json!({})).await;
    assert_eq!(suspended.status(), 200);
    assert_eq!(capture(9_000).await, (200, json!(11_000)), "what is held may be taken all the same");
    assert_eq!(left().await, (1_000, 41_000));

    let captures = app.get_json(&format!("/pre-auths/{}", held["id"].as_str().unwrap()), &merchant.secret).await;
    let refund = json!({"payment_id": captures["captures"][0], "amount": 30_000});
    assert_eq!(app.post("/refunds", &merchant.secret, &refund).await.status(), 201);
    wait::until("the refund gives its part back", Duration::from_secs(20), || async {
        (left().await == (31_000, 71_000)).then_some(())
    })
    .await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merchant_sees_what_is_left_and_is_refused_beyond_it() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let admin = app.key(commands::ports::Role::Admin, None).await.1;
    let path = format!("/merchants/{}", merchant.id);
    let own = json!({"limits": {"per_payment": 50_000, "daily": 100_000, "monthly": 120_000}});
    assert_eq!(app.request(reqwest::Method::PATCH, &path, &admin).json(&own).send().await.unwrap().status(), 200);
    let refused = async |amount: i64| -> (u16, Value, Value) {
        let answer = app.post("/payments", &merchant.secret, &payment("tok_success", amount)).await;
        let status = answer.status().as_u16();
        let problem: Value = answer.json().await.unwrap();
        (status, problem["code"].clone(), problem["pointer"].clone())
    };
    let left = async || {
        let limits = app.get_json(&format!("{path}/limits"), &merchant.secret).await;
        assert_eq!(limits["per_payment"], json!({"limit": 50_000}));
        (limits["daily"]["left"].as_i64().unwrap(), limits["monthly"]["left"].as_i64().unwrap())
    };
    assert_eq!(refused(50_001).await, (422, json!("payment_limit_exceeded"), json!("/amount")));
    app.pay(&merchant, "tok_success", 50_000).await;
    let second = app.pay(&merchant, "tok_success", 40_000).await;
    assert_eq!(left().await, (10_000, 30_000));
    assert_eq!(refused(10_001).await, (422, json!("daily_limit_exceeded"), json!("/amount")));
    app.pay(&merchant, "tok_declined", 10_000).await;
    assert_eq!(left().await, (10_000, 30_000), "what failed is given back");
    let refund = json!({"payment_id": second["id"], "amount": 30_000});
    assert_eq!(app.post("/refunds", &merchant.secret, &refund).await.status(), 201);
    wait::until("the refund gives its part back", Duration::from_secs(20), || async {
        (left().await == (40_000, 60_000)).then_some(())
    })
    .await;
    let wider = json!({"limits": {"per_payment": 50_000, "daily": 200_000, "monthly": 120_000}});
    assert_eq!(app.request(reqwest::Method::PATCH, &path, &admin).json(&wider).send().await.unwrap().status(), 200);
    app.pay(&merchant, "tok_success", 50_000).await;
    assert_eq!(refused(10_001).await, (422, json!("monthly_limit_exceeded"), json!("/amount")));
    assert_eq!(refused(0).await.1, "invalid_amount");

    let stranger = app.merchant().await;
    assert_eq!(app.get(&format!("{path}/limits"), &stranger.secret).await.status(), 404);
    app.stop().await;
}

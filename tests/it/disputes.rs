//! Disputes through the whole ledger: the sandbox takes the money back, the merchant answers, and the books, the payment
//! and the channel's own book agree at each end.

use std::sync::Arc;
use std::time::Duration;

use commands::dispute::Disputes;
use commands::ports::{DisputeReport, ReportedStage};
use commands::{Channels, Issued};
use domain::payment::{Payment, Record};
use domain::{Currency, DomainEvent, PaymentId};
use payledger::cli::Role;
use payledger::verify::channel_book;
use reqwest::Method;
use serde_json::{Value, json};

use test_support::paying_channel::PayingChannel;
use test_support::process::free_port;

use crate::app::{TestApp, TestMerchant};

const PATIENCE: Duration = Duration::from_secs(120);

/// The payment's only dispute, once `end` accepts it.
async fn dispute_until(app: &TestApp, merchant: &TestMerchant, payment: &Value, status: &str) -> Value {
    let path = format!("/disputes?order_no={}", payment["order_no"].as_str().unwrap());
    let found = test_support::wait::until(status, PATIENCE, || async {
        let list: Value = app.get(&path, &merchant.secret).await.json().await.ok()?;
        assert!(list["data"].as_array().is_some_and(|disputes| disputes.len() <= 1), "{list}");
        (list["data"][0]["status"] == status).then(|| list["data"][0].clone())
    });
    found.await
}

async fn pending(app: &TestApp, merchant: &TestMerchant) -> Value {
    let balances = app.fresh("/balances", &merchant.secret).await;
    let of = |field: &str| balances["balances"][0][field].clone();
    json!([of("pending"), of("on_hold")])
}

async fn verified(app: &TestApp) {
    let answer = payledger::verify::checks(&app.ledger, Some(&app.sandbox.as_ref().unwrap().url())).await.unwrap();
    let broken: Vec<String> = answer.iter().filter(|check| !check.ok).map(|check| format!("{check:?}")).collect();
    assert!(broken.is_empty(), "{broken:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_token_ends_to_the_cent() {
    let app = TestApp::start().await;
    // 10000 less 1.0 % for the channel and 0.3 % for us; the sandbox charges nothing for a dispute.
    for (token, status, disputed, balances) in [
        ("tok_dispute", "needs_response", 10_000, json!([-130, 10_000])),
        ("tok_dispute_won", "won", 0, json!([9_870, 0])),
        ("tok_dispute_lost", "lost", 10_000, json!([-130, 0])),
    ] {
        let merchant = app.merchant().await;
        let payment = app.pay(&merchant, token, 10_000).await;
        let dispute = dispute_until(&app, &merchant, &payment, status).await;
        assert_eq!((&dispute["amount"], &dispute["payment_id"]), (&json!(10_000), &payment["id"]), "{token}");
        assert_eq!(dispute["reason"], "fraudulent");
        for (payment_id, expected) in
            [(payment["id"].as_str().unwrap(), json!(dispute["id"])), ("pay_00000000000000000000000001", Value::Null)]
        {
            let list = app.get_json(&format!("/disputes?payment_id={payment_id}"), &merchant.secret).await;
            assert_eq!(list["data"][0]["id"], expected);
        }
        let id = payment["id"].as_str().unwrap();
        let after = app.payment_until(&merchant, id, token, |payment| payment["amount_disputed"] == disputed).await;
        assert_eq!((&after["status"], &after["amount_refunded"]), (&json!("succeeded"), &json!(0)));
        assert_eq!(pending(&app, &merchant).await, balances, "{token}");
        let shown = app.get_json(&format!("/disputes/{}", dispute["id"].as_str().unwrap()), &merchant.secret).await;
        assert_eq!(shown["status"], status);
        let refunded = app.post("/refunds", &merchant.secret, &json!({"payment_id": id, "amount": 1})).await;
        let expected = if disputed == 0 { 201 } else { 422 };
        assert_eq!(refunded.status(), expected, "{token}: {:?}", refunded.text().await);
    }
    verified(&app).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_merchants_answer_reaches_the_channel() {
    let app = TestApp::start().await;
    let (merchant, stranger) = (app.merchant().await, app.merchant().await);
    for (verb, body, first, last, held) in [
        ("evidence", json!({"text": "winning_evidence: signed by the customer"}), "under_review", "won", 9_870),
        ("evidence", json!({"text": "losing_evidence"}), "under_review", "lost", 9_870 - 130),
        ("accept", json!({}), "accepted", "lost", 9_870 - 260),
    ] {
        let payment = app.pay(&merchant, "tok_dispute", 10_000).await;
        let dispute = dispute_until(&app, &merchant, &payment, "needs_response").await;
        let path = format!("/disputes/{}/{verb}", dispute["id"].as_str().unwrap());
        assert_eq!(app.post(&path, &stranger.secret, &body).await.status(), 404);
        let answer = app.post_keyed(&path, &merchant.secret, &path, &body).await;
        assert_eq!(answer.status(), 200, "{verb}");
        let answered = answer.text().await.unwrap();
        assert_eq!(serde_json::from_str::<Value>(&answered).unwrap()["status"], first, "{answered}");
        dispute_until(&app, &merchant, &payment, last).await;
        assert_eq!(pending(&app, &merchant).await, json!([held, 0]), "{verb} {body}");
        let again = app.post_keyed(&path, &merchant.secret, &path, &body).await;
        assert_eq!(again.headers().get("idempotency-hit").unwrap(), "true");
        assert_eq!(again.text().await.unwrap(), answered, "a repeat gets the first answer");
        let late: Value = app.post(&path, &merchant.secret, &body).await.json().await.unwrap();
        let code = if verb == "accept" { Value::Null } else { json!("dispute_closed") };
        assert_eq!(late["code"], code, "{late}");
    }
    verified(&app).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_answers_are_refused() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let payment = app.pay(&merchant, "tok_dispute", 10_000).await;
    let dispute = dispute_until(&app, &merchant, &payment, "needs_response").await;
    let path = format!("/disputes/{}", dispute["id"].as_str().unwrap());
    for (body, code) in [
        (json!({}), "missing_field"),
        (json!({"text": ""}), "invalid_field"),
        (json!({"text": 7}), "invalid_field"),
        (json!({"text": "x".repeat(20_001)}), "invalid_field"),
        (json!({"text": "x", "files": []}), "unknown_field"),
    ] {
        let answer = app.post(&format!("{path}/evidence"), &merchant.secret, &body).await;
        let problem: Value = answer.json().await.unwrap();
        assert_eq!((&problem["status"], &problem["code"]), (&json!(422), &json!(code)), "{body}");
    }
    let finance = app.key(commands::ports::Role::Finance, None).await.1;
    assert_eq!(app.post(&format!("{path}/accept"), &finance, &json!({})).await.status(), 403);
    assert_eq!(app.get_json(&path, &finance).await["status"], "needs_response");
    let keyless = app.request(Method::POST, &format!("{path}/accept"), &merchant.secret).json(&json!({}));
    assert_eq!(keyless.send().await.unwrap().status(), 400);
    app.stop().await;
}

/// Without the roles that hear of webhooks and ask: what the test tells is all that is told.
async fn quiet() -> (TestApp, TestMerchant, Record) {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let payment = app.pay(&merchant, "tok_success", 10_000).await;
    let record = record(&app, payment["id"].as_str().unwrap()).await;
    (app, merchant, record)
}

async fn record(app: &TestApp, payment_id: &str) -> Record {
    let payment_id: PaymentId = payment_id.parse().unwrap();
    let stream = app.ledger.payments.load(payment_id).await.unwrap();
    stream.of::<Payment>().and_then(|state| state.record()).unwrap().clone()
}

fn report(record: &Record, stage: ReportedStage) -> DisputeReport {
    DisputeReport {
        payment_id: Some(record.payment_id()),
        channel_reference: "d_told".to_owned(),
        amount: 10_000,
        currency: Currency::USD,
        fee: 1_500,
        stage,
        reason: "general".to_owned(),
        evidence_due_by: None,
        asked: false,
    }
}

async fn tell(app: &TestApp, record: &Record, purpose: &str, stages: &[ReportedStage]) {
    let disputes = Disputes { payments: app.ledger.payments.clone() };
    for (index, stage) in stages.iter().enumerate() {
        let issued = Issued::internally("test", &format!("{}:{purpose}:{index}", record.payment_id()), "told");
        let receipt = disputes.record(issued, &record.terms.channel, report(record, *stage)).await.unwrap();
        assert_eq!(receipt.rejection, None, "{stage:?}");
    }
}

async fn events(app: &TestApp, record: &Record) -> Vec<&'static str> {
    let stream = commands::ports::Category::of::<Payment>().stream(record.payment_id().to_string());
    let events = app.ledger.store.read_stream(&stream, 0, 100).await.unwrap();
    let types = events.iter().map(|event| event.decode::<domain::payment::Event>().unwrap().event_type());
    types.filter(|name| name.starts_with("payment.dispute") || name.starts_with("payment.over")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn news_that_come_twice_late_or_first_end_the_same() {
    use ReportedStage::{Closed, Inquiry, NeedsResponse, UnderReview};
    let lost = Closed { won: 0, fee_returned: 0 };
    let orders: [&[ReportedStage]; 4] = [
        &[NeedsResponse, UnderReview, lost],
        &[lost, NeedsResponse, UnderReview, lost],
        &[Inquiry, Inquiry, lost, Inquiry],
        &[NeedsResponse, NeedsResponse, lost, lost, NeedsResponse],
    ];
    for order in orders {
        let (app, merchant, record) = quiet().await;
        tell(&app, &record, "once", order).await;
        assert_eq!(events(&app, &record).await, ["payment.dispute_opened", "payment.dispute_closed"], "{order:?}");
        assert_eq!(pending(&app, &merchant).await, json!([9_870 - 10_000 - 1_500, 0]), "{order:?}");
        let list = app.fresh("/disputes", &merchant.secret).await;
        assert_eq!((&list["data"][0]["status"], list["data"].as_array().unwrap().len()), (&json!("lost"), 1));
        app.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_beyond_the_capture_is_booked_and_recorded() {
    let (app, merchant, paid) = quiet().await;
    let asked = json!({"payment_id": paid.payment_id(), "amount": 3_000});
    let refund: Value = app.post("/refunds", &merchant.secret, &asked).await.json().await.unwrap();
    assert_eq!(refund["status"], "succeeded");
    tell(&app, &paid, "whole", &[ReportedStage::NeedsResponse]).await;
    assert_eq!(events(&app, &paid).await, ["payment.dispute_opened", "payment.over_returned"]);
    assert_eq!(pending(&app, &merchant).await, json!([9_870 - 3_000 - 10_000 - 1_500, 10_000]));
    let shown = app.fresh(&format!("/payments/{}", paid.payment_id()), &merchant.secret).await;
    assert_eq!((&shown["amount_refunded"], &shown["amount_disputed"]), (&json!(3_000), &json!(10_000)));
    let refused = app.post("/refunds", &merchant.secret, &json!({"payment_id": paid.payment_id()})).await;
    assert_eq!(refused.json::<Value>().await.unwrap()["code"], "payment_already_refunded");
    let now = record(&app, &paid.payment_id().to_string()).await;
    assert_eq!(domain::invariants::payment_amounts(&now), Ok(()));
    let book = channel_book::read(&app.sandbox.as_ref().unwrap().url()).await.unwrap();
    let difference = channel_book::compare(&book, [&now].into_iter()).unwrap_err();
    assert!(difference.detail.contains("another amount for disputes"), "{difference}");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_whose_webhooks_are_lost_is_found() {
    let app = TestApp::with_roles(&[Role::Api, Role::Sagas, Role::Projections]).await;
    let faults = json!({"lose_webhook": 1.0});
    let url = format!("{}/faults", app.sandbox.as_ref().unwrap().url());
    assert!(app.http.post(url).json(&faults).send().await.unwrap().status().is_success());
    let merchant = app.merchant().await;
    let payment = app.pay(&merchant, "tok_dispute_lost", 10_000).await;
    dispute_until(&app, &merchant, &payment, "lost").await;
    assert_eq!(pending(&app, &merchant).await, json!([-130, 0]));
    verified(&app).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_that_cannot_be_booked_keeps_no_other_from_being_found() {
    let channel = Arc::new(PayingChannel::default());
    let app = TestApp::with_channels(Channels::of([channel.clone() as _]), free_port()).await;
    let merchant = app.merchant().await;
    let payments = [app.pay(&merchant, "tok_success", 10_000).await, app.pay(&merchant, "tok_success", 10_000).await];
    for (payment, currency) in payments.iter().zip([Currency::EUR, Currency::USD]) {
        let record = record(&app, payment["id"].as_str().unwrap()).await;
        channel.dispute(DisputeReport { currency, asked: true, ..report(&record, ReportedStage::NeedsResponse) });
    }
    let found = Disputes { payments: app.ledger.payments.clone() }.find_missed(&mut None).await;
    assert!(found.is_ok(), "{found:?}");
    dispute_until(&app, &merchant, &payments[1], "needs_response").await;
    let of_the_first = format!("/disputes?order_no={}", payments[0]["order_no"].as_str().unwrap());
    assert_eq!(app.get_json(&of_the_first, &merchant.secret).await["data"], json!([]));
    app.stop().await;
}

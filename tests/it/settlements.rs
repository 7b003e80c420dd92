//! Settlements over HTTP on a real Postgres: what was earned becomes available, once and to the cent.

use std::time::Duration;

use commands::audit;
use commands::ports::Role as KeyRole;
use commands::settlement::Scope;
use domain::pricing::RefundFeePolicy;
use domain::settlement::{Item, Tally};
use futures::future::join_all;
use payledger::operator::issued;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use test_support::wait;

use crate::app::{TestApp, TestMerchant};

/// Settles one merchant and answers what was closed.
async fn run(app: &TestApp, finance: &str, merchant: &TestMerchant) -> Vec<Value> {
    let answer = app.post("/settlements/run", finance, &json!({"merchant_id": merchant.id.to_string()})).await;
    assert_eq!(answer.status(), 202);
    let list: Value = answer.json().await.unwrap();
    list["data"].as_array().unwrap().clone()
}

async fn balance(app: &TestApp, merchant: &TestMerchant) -> Value {
    app.fresh("/balances", &merchant.secret).await["balances"][0].clone()
}

fn money(pending: i64, available: i64, reserved: i64, on_hold: i64, receivable: i64) -> Value {
    json!({"currency": "USD", "pending": pending, "available": available, "reserved": reserved, "on_hold": on_hold,
           "receivable": receivable})
}

/// Refunds and waits until the channel has done it.
async fn refund(app: &TestApp, merchant: &TestMerchant, payment: &Value, amount: i64) {
    let body = json!({"payment_id": payment["id"], "amount": amount});
    let answer = app.post("/refunds", &merchant.secret, &body).await;
    assert_eq!(answer.status(), 201, "{:?}", answer.text().await);
    let id = payment["id"].as_str().unwrap();
    app.payment_until(merchant, id, "the refund is done", |payment| payment["amount_refunded"] == amount).await;
}

/// Every invariant that the log alone proves, and every read model against the log.
async fn verify(app: &TestApp) {
    let mut audit = audit::replay(app.ledger.store.as_ref(), |_| {}).await.unwrap();
    for check in audit.checks() {
        assert!(check.ok, "{check:?}");
    }
    for read_model in projections::verify::verify_all(&app.ledger.reader, app.ledger.store.as_ref()).await.unwrap() {
        assert!(read_model.is_clean(), "{read_model:?}");
    }
}

async fn post(app: &TestApp, path: &str, secret: &str) -> Response {
    app.post(path, secret, &json!({})).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_earned_is_settled_to_the_cent() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let finance = app.key(KeyRole::Finance, None).await.1;
    let paid = join_all((1..=20).map(|nth| app.pay(&merchant, "tok_success", 10_000 + 37 * nth))).await;
    for payment in &paid[..4] {
        refund(&app, &merchant, payment, 2_500).await;
    }
    let earned = balance(&app, &merchant).await["pending"].as_i64().unwrap();

    let closed = run(&app, &finance, &merchant).await;
    assert_eq!(closed.len(), 1);
    assert_eq!((&closed[0]["amount"], &closed[0]["status"]), (&json!(earned), &json!("closed")));
    // Every calendar day at the cut-off, which is when finance says so.
    assert_eq!(balance(&app, &merchant).await, money(0, earned, 0, 0, 0));

    let path = format!("/settlements/{}", closed[0]["id"].as_str().unwrap());
    let settlement = app.fresh(&path, &merchant.secret).await;
    let (expected_status, gross) = (json!("released"), paid.iter().map(|paid| paid["amount"].as_i64().unwrap()));
    assert_eq!((&settlement["status"], &settlement["gross_captured"]), (&expected_status, &json!(gross.sum::<i64>())));
    let items = settlement["items"].as_array().unwrap();
    assert_eq!((items.len(), &settlement["item_count"]), (24, &json!(24)));
    assert_eq!(items.iter().map(|item| item["amount"].as_i64().unwrap()).sum::<i64>(), earned);
    assert_eq!(settlement["items_digest"], digest(items));

    assert_eq!(run(&app, &finance, &merchant).await, Vec::<Value>::new());
    let listed = app.fresh("/settlements?status=released&currency=USD", &merchant.secret).await;
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
    app.pay(&merchant, "tok_success", 5_000).await;
    assert_eq!(run(&app, &finance, &merchant).await[0]["window"]["from"], settlement["window"]["to"]);
    assert_eq!(balance(&app, &merchant).await, money(0, earned + 4_935, 0, 0, 0));
    verify(&app).await;
    app.stop().await;
}

/// As anybody can reckon it from the items.
fn digest(items: &[Value]) -> String {
    let mut tally = Tally::default();
    for item in items {
        tally.add(&Item {
            position: item["position"].as_u64().unwrap(),
            event_type: item["type"].as_str().unwrap().to_owned(),
            object: item["reference"].as_str().unwrap().to_owned(),
            debit: 0,
            credit: item["amount"].as_i64().unwrap(),
        });
    }
    tally.digest()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_repeat_of_a_run_gets_the_same_answer_and_settles_nothing() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let finance = app.key(KeyRole::Finance, None).await.1;
    app.pay(&merchant, "tok_success", 10_000).await;
    let first = app.post_keyed("/settlements/run", &finance, "run-1", &json!({})).await;
    assert!(first.headers().get("Idempotency-Hit").is_none());
    let body = first.bytes().await.unwrap();
    // What came in since is another run's.
    app.pay(&merchant, "tok_success", 10_000).await;
    let repeat = app.post_keyed("/settlements/run", &finance, "run-1", &json!({})).await;
    assert_eq!((repeat.status().as_u16(), repeat.headers()["Idempotency-Hit"].to_str().unwrap()), (202, "true"));
    assert_eq!(repeat.bytes().await.unwrap(), body);
    assert_eq!(balance(&app, &merchant).await, money(9_870, 9_870, 0, 0, 0));
    app.stop().await;
}

/// Two nodes, eight runs and the schedule, all at once, while payments come in.
#[tokio::test(flavor = "multi_thread")]
async fn runs_at_once_on_two_nodes_settle_each_payment_once() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let finance = app.key(KeyRole::Finance, None).await.1;
    let other = app.another_ledger().await;
    for _ in 0..3 {
        let paying = join_all((0..10).map(|_| app.pay(&merchant, "tok_success", 10_000)));
        let here = join_all((0..4).map(|_| run(&app, &finance, &merchant)));
        let there = join_all((0..4).map(|_| other.settlements.run(issued(), Scope::default())));
        let (paid, _, there) = tokio::join!(paying, here, there);
        assert_eq!(paid.len(), 10);
        there.into_iter().for_each(|run| drop(run.unwrap()));
    }
    run(&app, &finance, &merchant).await;
    wait::until("all is available", Duration::from_secs(20), || async {
        (balance(&app, &merchant).await == money(0, 30 * 9_870, 0, 0, 0)).then_some(())
    })
    .await;
    let settlements = app.fresh("/settlements?limit=100", &merchant.secret).await;
    let settlements = settlements["data"].as_array().unwrap();
    let sum = |field: &str| settlements.iter().map(|settlement| settlement[field].as_i64().unwrap()).sum::<i64>();
    assert_eq!((sum("amount"), sum("item_count")), (30 * 9_870, 30));
    verify(&app).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_below_zero_makes_a_debt_that_the_next_one_repays() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let finance = app.key(KeyRole::Finance, None).await.1;
    let paid = app.pay(&merchant, "tok_success", 10_000).await;
    run(&app, &finance, &merchant).await;
    refund(&app, &merchant, &paid, 10_000).await;
    assert_eq!(balance(&app, &merchant).await, money(-10_000, 9_870, 0, 0, 0));
    let below = run(&app, &finance, &merchant).await;
    assert_eq!(below[0]["amount"], -10_000);
    assert_eq!(balance(&app, &merchant).await, money(0, 0, 0, 0, 130));
    let path = format!("/settlements/{}", below[0]["id"].as_str().unwrap());
    assert_eq!(app.fresh(&path, &finance).await["status"], "released", "nothing is left to release");

    app.pay(&merchant, "tok_success", 5_000).await;
    run(&app, &finance, &merchant).await;
    assert_eq!(balance(&app, &merchant).await, money(0, 4_935 - 130, 0, 0, 0));
    verify(&app).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn finance_approves_and_holds_back() {
    let app = TestApp::start().await;
    let merchant = app.merchant_with("starter".parse().unwrap(), RefundFeePolicy::Retain).await;
    let (ann, bob) = (app.key(KeyRole::Finance, None).await.1, app.key(KeyRole::Finance, None).await.1);
    app.pay(&merchant, "tok_success", 10_000).await;
    let closed = run(&app, &ann, &merchant).await;
    let path = format!("/settlements/{}", closed[0]["id"].as_str().unwrap());
    // T+1: it waits for the next business day.
    assert_eq!(balance(&app, &merchant).await, money(0, 0, 0, 9_820, 0));

    for (action, secret, status, said) in [
        ("approve", &ann, 422, json!("approver_is_requester")),
        ("hold", &ann, 200, json!("held")),
        ("hold", &bob, 200, json!("held")),
        ("approve", &bob, 200, json!("approved")),
        ("approve", &merchant.secret, 403, json!("forbidden")),
        ("hold", &merchant.secret, 403, json!("forbidden")),
    ] {
        let answer = post(&app, &format!("{path}/{action}"), secret).await;
        assert_eq!(answer.status(), status, "{action}");
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body[if status == 200 { "status" } else { "code" }], said, "{action}");
    }
    let missing = "/settlements/set_00000000000000000000000001";
    assert_eq!(post(&app, &format!("{missing}/approve"), &bob).await.status(), 404);
    assert_eq!(app.get(missing, &bob).await.status(), 404);
    assert_eq!(app.get("/settlements/x", &bob).await.status(), 404);
    let stranger = app.merchant().await;
    assert_eq!(app.get(&path, &stranger.secret).await.status(), 404);
    assert_eq!(app.get("/settlements?status=open", &bob).await.status(), 400);
    let run_by = |secret: &str, body: Value| {
        let request = app.request(Method::POST, "/settlements/run", secret).header("Idempotency-Key", "k");
        request.json(&body).send()
    };
    assert_eq!(run_by(&merchant.secret, json!({})).await.unwrap().status(), 403);
    assert_eq!(run_by(&bob, json!({"window": 1})).await.unwrap().status(), 422);
    verify(&app).await;
    app.stop().await;
}

/// Above 100,000 USD finance has to agree, and then it is released at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_batch_waits_for_an_approval() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let (ann, bob) = (app.key(KeyRole::Finance, None).await.1, app.key(KeyRole::Finance, None).await.1);
    let paid = app.pay(&merchant, "tok_success", 20_000_000).await;
    let net = 20_000_000 - paid["fees"]["total"].as_i64().unwrap();
    let closed = run(&app, &ann, &merchant).await;
    assert_eq!(closed[0]["needs_approval"], true);
    assert_eq!(balance(&app, &merchant).await, money(0, 0, 0, net, 0));
    let path = format!("/settlements/{}/approve", closed[0]["id"].as_str().unwrap());
    assert_eq!(post(&app, &path, &bob).await.status(), 200);
    wait::until("it is available", Duration::from_secs(20), || async {
        (balance(&app, &merchant).await == money(0, net, 0, 0, 0)).then_some(())
    })
    .await;
    assert_eq!(post(&app, &path, &bob).await.status(), 409);
    verify(&app).await;
    app.stop().await;
}

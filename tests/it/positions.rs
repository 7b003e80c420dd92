//! Read-your-writes, and questions about the past.

use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use commands::ports::Role as KeyRole;
use payledger::cli::Role;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::app::{TestApp, payment};

fn position(answer: &Response) -> String {
    answer.headers()["ledger-position"].to_str().unwrap().to_owned()
}

async fn get_at_least(app: &TestApp, path: &str, secret: &str, position: &str, prefer: &str) -> Response {
    let request = app.request(Method::GET, path, secret).header("Ledger-Min-Position", position);
    request.header("Prefer", prefer).send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_names_a_position_includes_it() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let finance = app.key(KeyRole::Finance, None).await.1;
    for round in 1..=10 {
        let paid = app.post("/payments", &merchant.secret, &payment("tok_success", 1_000)).await;
        let wrote = position(&paid);
        let paid: Value = paid.json().await.unwrap();
        for path in ["/payments", "/orders", "/balances"] {
            let answer = get_at_least(&app, path, &merchant.secret, &wrote, "wait=30").await;
            assert_eq!(answer.status(), 200, "{path}");
            assert!(!position(&answer).is_empty());
            let body: Value = answer.json().await.unwrap();
            match path {
                "/balances" => assert_eq!(body["balances"][0]["pending"], round * 987),
                _ => assert_eq!(
                    (&body["data"][0]["order_no"], body["data"].as_array().unwrap().len()),
                    (&paid["order_no"], round)
                ),
            }
        }
        let trial = get_at_least(&app, "/ledger/trial-balance", &finance, &wrote, "wait=30").await;
        let trial: Value = trial.json().await.unwrap();
        assert_eq!(trial["currencies"][0]["debits"], trial["currencies"][0]["credits"]);
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_model_that_is_behind_says_so_in_time() {
    let app = TestApp::with_roles(&[Role::Api]).await;
    let merchant = app.merchant().await;
    let created = app.request(Method::POST, "/payments", &merchant.secret).header("Idempotency-Key", "k");
    let created = created.json(&payment("tok_success", 1_000)).send().await.unwrap();
    let wrote = position(&created);
    let created: Value = created.json().await.unwrap();
    let asked = Instant::now();
    let behind = get_at_least(&app, "/payments", &merchant.secret, &wrote, "wait=1").await;
    assert_eq!(behind.status(), 503);
    assert!((1..5).contains(&asked.elapsed().as_secs()), "{:?}", asked.elapsed());
    assert!(behind.headers().contains_key("retry-after"));
    let problem: Value = behind.json().await.unwrap();
    assert_eq!((&problem["code"], &problem["retryable"]), (&json!("projection_behind"), &json!(true)));

    let one = format!("/payments/{}", created["id"].as_str().unwrap());
    let fresh = get_at_least(&app, &one, &merchant.secret, &wrote, "wait=0").await;
    assert_eq!(fresh.status(), 200, "a single payment is read from its own stream");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_of_elsewhere_is_refused() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let beyond = URL_SAFE_NO_PAD.encode("p1:999999999");
    for path in ["/payments", "/balances", "/payments/pay_00000000000000000000000000"] {
        for (token, code) in
            [("nonsense", "invalid_position"), ("7", "invalid_position"), (beyond.as_str(), "position_beyond_head")]
        {
            let answer = get_at_least(&app, path, &merchant.secret, token, "wait=0").await;
            assert_eq!(answer.status(), 400, "{path} {token}");
            assert_eq!(answer.json::<Value>().await.unwrap()["code"], code);
        }
    }
    for (as_of, status, code) in [
        ("2999-01-01T00:00:00Z", 422, "as_of_in_future"),
        ("nonsense", 400, "invalid_parameter"),
        (beyond.as_str(), 400, "position_beyond_head"),
    ] {
        let answer = app.get(&format!("/balances?as_of={as_of}"), &merchant.secret).await;
        assert_eq!(answer.status(), status, "{as_of}");
        assert_eq!(answer.json::<Value>().await.unwrap()["code"], code);
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_past_can_be_asked_for() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let finance = app.key(KeyRole::Finance, None).await.1;
    let before = app.ledger.payments.clock.now();
    let created = app.request(Method::POST, "/payments", &merchant.secret).header("Idempotency-Key", "k");
    let created = created.json(&payment("tok_success", 10_000)).send().await.unwrap();
    let at_creation = position(&created);
    let created: Value = created.json().await.unwrap();
    let id = created["id"].as_str().unwrap();
    let paid = app.payment_until(&merchant, id, "it succeeds", |payment| payment["status"] == "succeeded").await;
    let refund = app.post("/refunds", &merchant.secret, &json!({"payment_id": id, "amount": 4_000})).await;
    let after = position(&refund);
    let paid_at = paid["updated_at"].as_str().unwrap();

    let order = format!("/orders/{}", created["order_no"].as_str().unwrap());
    let payment_path = format!("/payments/{id}");
    let get = |path: String| {
        let (app, secret, after) = (&app, &merchant.secret, &after);
        async move { get_at_least(app, &path, secret, after, "wait=30").await }
    };
    for (as_of, status, refunded, order_status) in [
        (at_creation.as_str(), "processing", 0, "pending"),
        (paid_at, "succeeded", 0, "paid"),
        (after.as_str(), "succeeded", 4_000, "partially_refunded"),
    ] {
        let answer = get(format!("{payment_path}?as_of={as_of}")).await;
        let payment: Value = answer.json().await.unwrap();
        assert_eq!((&payment["status"], &payment["amount_refunded"]), (&json!(status), &json!(refunded)), "{as_of}");
        let answer: Value = get(format!("{order}?as_of={as_of}")).await.json().await.unwrap();
        assert_eq!(
            (&answer["status"], &answer["amount_refunded"]),
            (&json!(order_status), &json!(refunded)),
            "{as_of}"
        );
    }
    for (as_of, pending) in [(at_creation.as_str(), None), (paid_at, Some(9_870)), (after.as_str(), Some(5_870))] {
        let answer: Value = get(format!("/balances?as_of={as_of}")).await.json().await.unwrap();
        assert_eq!(answer["balances"][0]["pending"].as_i64(), pending, "{as_of}");
        let trial: Value = app.get_json(&format!("/ledger/trial-balance?as_of={as_of}"), &finance).await;
        assert_eq!(trial["currencies"].as_array().unwrap().is_empty(), pending.is_none(), "{as_of}");
    }
    for path in [&payment_path, &order] {
        assert_eq!(get(format!("{path}?as_of={before}")).await.status(), 404, "{path} did not exist yet");
    }
    app.stop().await;
}

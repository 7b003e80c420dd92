//! Questions about the past, along both axes: what was known by then, and what had taken effect by then.

use std::time::Duration;

use commands::ports::Role as KeyRole;
use serde_json::{Value, json};

use crate::app::{TestApp, TestMerchant};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

async fn pending(app: &TestApp, merchant: &TestMerchant, query: &str) -> Option<i64> {
    let balances = app.fresh(&format!("/balances?{query}"), &merchant.secret).await;
    balances["balances"].as_array().unwrap().first().map(|balance| balance["pending"].as_i64().unwrap())
}

/// The token of where the log stands now.
async fn position(app: &TestApp) -> String {
    api::position::token(app.ledger.store.head().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_booked_late_counts_where_it_belongs() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let (anna, ben) = (app.key(KeyRole::Finance, None).await.1, app.key(KeyRole::Finance, None).await.1);
    app.pay(&merchant, "tok_success", 10_000).await;
    let before = position(&app).await;
    let now = app.ledger.payments.clock.now();
    let path = format!("merchant:{}:pending", merchant.id);
    let late = json!({
        "reason": "goodwill",
        "currency": "USD",
        "effective_at": now.minus(2 * DAY).to_string(),
        "legs": [
            {"account": "expense:merchant_loss", "side": "debit", "amount": 25},
            {"account": path, "side": "credit", "amount": 25},
        ],
    });
    let proposed: Value = app.post("/ledger/adjustments", &anna, &late).await.json().await.unwrap();
    let approve = format!("/ledger/adjustments/{}/approve", proposed["id"].as_str().unwrap());
    assert_eq!(app.post(&approve, &ben, &json!({})).await.status(), 200);

    let (yesterday, earlier) = (now.minus(DAY), now.minus(3 * DAY));
    for (query, expected) in [
        (String::new(), Some(9_895)),
        (format!("effective_at={yesterday}"), Some(25)),
        (format!("effective_at={earlier}"), None),
        (format!("as_of={before}"), Some(9_870)),
        (format!("as_of={before}&effective_at={yesterday}"), None),
    ] {
        assert_eq!(pending(&app, &merchant, &query).await, expected, "{query}");
    }
    let trial = app.fresh(&format!("/ledger/trial-balance?effective_at={yesterday}"), &anna).await;
    let usd = &trial["currencies"][0];
    assert_eq!((&usd["debits"], &usd["credits"]), (&json!(25), &json!(25)), "{trial}");
    let entries = app.fresh(&format!("/ledger/accounts/{path}/entries?effective_at={yesterday}"), &anna).await;
    assert_eq!(entries["data"].as_array().unwrap().len(), 1, "{entries}");
    let accounts = app.fresh(&format!("/ledger/accounts?effective_at={yesterday}"), &anna).await;
    assert_eq!(accounts["data"].as_array().unwrap().len(), 2, "{accounts}");
    assert_eq!(app.get("/balances?effective_at=yesterday", &merchant.secret).await.status(), 400);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_settlement_is_shown_as_it_was() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let finance = app.key(KeyRole::Finance, None).await.1;
    app.pay(&merchant, "tok_success", 10_000).await;
    let before = position(&app).await;
    let run = app.post("/settlements/run", &finance, &json!({"merchant_id": merchant.id.to_string()})).await;
    assert_eq!(run.status(), 202);
    let run: Value = run.json().await.unwrap();
    let path = format!("/settlements/{}", run["data"][0]["id"].as_str().unwrap());
    let released = test_support::wait::until("the settlement is released", Duration::from_secs(30), || async {
        let settlement: Value = app.get(&path, &merchant.secret).await.json().await.ok()?;
        (settlement["status"] == "released").then_some(settlement)
    })
    .await;
    assert_eq!(app.get(&format!("{path}?as_of={before}"), &merchant.secret).await.status(), 404);
    let stream = app.ledger.store.read_stream(&stream_of(&released), 0, 10).await.unwrap();
    let closed = api::position::token(stream[0].position);
    let then = app.fresh(&format!("{path}?as_of={closed}"), &merchant.secret).await;
    assert_eq!((&then["status"], &then["items"]), (&json!("closed"), &released["items"]), "{then}");
    app.stop().await;
}

/// What a list says of each row, under these names.
async fn listed(app: &TestApp, path: &str, secret: &str, fields: [&str; 2]) -> Vec<[Value; 2]> {
    let list = app.fresh(path, secret).await;
    list["data"].as_array().unwrap().iter().map(|row| fields.map(|field| row[field].clone())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_shown_as_they_were() {
    let app = TestApp::start().await;
    let (merchant, finance) = (app.merchant().await, app.key(KeyRole::Finance, None).await.1);
    let nothing = position(&app).await;
    let first = app.pay(&merchant, "tok_success", 10_000).await;
    let second = app.pay(&merchant, "tok_declined", 7_000).await;
    let paid = position(&app).await;
    let run = app.post("/settlements/run", &finance, &json!({"merchant_id": merchant.id.to_string()})).await;
    assert_eq!(run.status(), 202);
    app.post("/refunds", &merchant.secret, &json!({"payment_id": first["id"], "amount": 4_000})).await;
    app.pay(&merchant, "tok_success", 500).await;

    let (one, two) = (first["order_no"].clone(), second["order_no"].clone());
    let row = |order: &Value, field: Value| [order.clone(), field];
    let refunded = ["order_no", "amount_refunded"];
    let then = vec![row(&two, json!(0)), row(&one, json!(0))];
    assert_eq!(listed(&app, &format!("/payments?as_of={paid}"), &merchant.secret, refunded).await, then);
    assert_eq!(listed(&app, &format!("/orders?as_of={paid}"), &merchant.secret, refunded).await, then);
    let status = ["order_no", "status"];
    for (path, expected) in [
        ("/payments?status=succeeded", vec![row(&one, json!("succeeded"))]),
        ("/payments?status=failed&amount_max=7000", vec![row(&two, json!("failed"))]),
        ("/payments?status=processing", vec![]),
        ("/orders?status=paid", vec![row(&one, json!("paid"))]),
        ("/orders?status=partially_refunded", vec![]),
        ("/payments?limit=1", vec![row(&two, json!("failed"))]),
    ] {
        assert_eq!(listed(&app, &format!("{path}&as_of={paid}"), &merchant.secret, status).await, expected, "{path}");
        let nobody = listed(&app, &format!("{path}&as_of={nothing}"), &merchant.secret, status).await;
        assert_eq!(nobody, [] as [[Value; 2]; 0], "{path}");
    }
    for list in ["/payments", "/orders", "/settlements"] {
        let answer = app.get(&format!("{list}?as_of={paid}"), &merchant.secret).await;
        assert_eq!(answer.headers()["Ledger-Position"], paid.as_str(), "{list}");
        assert_eq!(app.get(&format!("{list}?as_of=2999-01-01T00:00:00Z"), &merchant.secret).await.status(), 422);
        let now = app.fresh(list, &merchant.secret).await;
        let as_of = app.fresh(&format!("{list}?as_of={}", position(&app).await), &merchant.secret).await;
        assert_eq!(as_of, now, "{list}, as of now");
    }
    assert_eq!(app.fresh("/settlements", &merchant.secret).await["data"].as_array().unwrap().len(), 1);
    let before = app.fresh(&format!("/settlements?as_of={paid}"), &merchant.secret).await;
    assert_eq!(before["data"], json!([]));
    assert_eq!(
        app.get(&format!("/withdrawals?as_of={paid}"), &merchant.secret).await.status(),
        400,
        "not offered there"
    );
    app.stop().await;
}

fn stream_of(settlement: &Value) -> commands::ports::StreamId {
    let category = commands::ports::Category::of::<domain::settlement::Settlement>();
    category.stream(settlement["id"].as_str().unwrap())
}

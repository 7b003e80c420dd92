//! The books, the log and the operators' routes over HTTP.

use commands::ports::Role as KeyRole;
use domain::pricing::{RefundFeePolicy, Tier};
use reqwest::Method;
use serde_json::{Value, json};

use crate::app::{TestApp, payment};

async fn fresh(app: &TestApp, path: &str, secret: &str) -> Value {
    let head = app.ledger.store.head().await.unwrap();
    let request = app.request(Method::GET, path, secret).header("Ledger-Min-Position", api::position::token(head));
    let answer = request.header("Prefer", "wait=30").send().await.unwrap();
    assert_eq!(answer.status(), 200, "GET {path}");
    answer.json().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_capture_stands_in_the_books_as_the_example_says() {
    let app = TestApp::start().await;
    let merchant = app.merchant_with(Tier::Starter, RefundFeePolicy::Retain).await;
    let finance = app.key(KeyRole::Finance, None).await.1;
    let paid = app.pay(&merchant, "tok_success", 10_000).await;
    let trial = fresh(&app, "/ledger/trial-balance", &finance).await;
    let usd = &trial["currencies"][0];
    assert_eq!((&usd["currency"], &usd["debits"], &usd["credits"]), (&json!("USD"), &json!(10_280), &json!(10_280)));
    let account = |path: &str| {
        let accounts = usd["accounts"].as_array().unwrap();
        accounts.iter().find(|account| account["account"] == path).unwrap_or_else(|| panic!("{path}")).clone()
    };
    assert_eq!(account("channel:sandbox:receivable")["balance"], 9_900);
    assert_eq!(
        account("revenue:processing"),
        json!({"account": "revenue:processing", "type": "revenue", "debits": 0, "credits": 80, "balance": 80})
    );
    assert_eq!(account(&format!("merchant:{}:pending", merchant.id))["balance"], 9_820);

    let own = fresh(&app, "/balances", &merchant.secret).await;
    let expected = json!({"balances": [{"currency": "USD", "pending": 9_820, "available": 0, "reserved": 0, "on_hold": 0, "receivable": 0}]});
    assert_eq!(own, expected);
    assert_eq!(app.get_json("/balances", &finance).await, expected, "of all merchants");
    assert_eq!(app.get_json(&format!("/balances?merchant_id={}", merchant.id), &finance).await, expected);

    let accounts = app.get_json("/ledger/accounts?prefix=merchant:&limit=1", &finance).await;
    assert_eq!(accounts["data"][0]["currency"], "USD");
    let entries = app.get_json("/ledger/accounts/channel:sandbox:receivable/entries", &finance).await;
    let entries = entries["data"].as_array().unwrap();
    assert_eq!(entries.len(), 2);
    let position = entries[0]["position"].as_u64().unwrap();
    let transaction = app.get_json(&format!("/ledger/transactions/{position}"), &finance).await;
    let sum = |side: &str| {
        transaction["entries"].as_array().unwrap().iter().map(|entry| entry[side].as_i64().unwrap()).sum::<i64>()
    };
    assert_eq!((sum("debit"), sum("credit")), (10_280, 10_280));
    for missing in ["1", "0", "999999", "x", "18446744073709551616"] {
        assert_eq!(app.get(&format!("/ledger/transactions/{missing}"), &finance).await.status(), 404, "{missing}");
    }
    assert_eq!(app.get("/ledger/accounts/cash/entries", &finance).await.status(), 404);
    assert_eq!(paid["fees"]["total"], 180);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_auditor_replays_the_log() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let auditor = app.key(KeyRole::Auditor, None).await.1;
    let paid = app.pay(&merchant, "tok_success", 10_000).await;
    let id = paid["id"].as_str().unwrap();
    let (mut positions, mut path) = (vec![], "/events?limit=2".to_owned());
    loop {
        let page = app.get_json(&path, &auditor).await;
        positions.extend(page["data"].as_array().unwrap().iter().map(|event| event["position"].as_u64().unwrap()));
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/events?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    let head = app.ledger.store.head().await.unwrap();
    assert_eq!(positions, (1..=head).collect::<Vec<_>>());

    let captured = app.get_json("/events?category=payment&type=payment.captured", &auditor).await;
    let event = &captured["data"][0];
    assert_eq!(captured["data"].as_array().unwrap().len(), 1);
    assert_eq!(event["stream"], json!({"category": "payment", "id": id}));
    assert_eq!(
        (&event["version"], &event["schema_version"], &event["data"]["amount"]),
        (&json!(2), &json!(1), &json!(10_000))
    );
    assert_eq!(
        (event["metadata"]["actor"].as_str(), event["hash"].as_str().unwrap().len()),
        (Some("saga:payment"), 64)
    );
    let later = app.get_json(&format!("/events?from={}", event["position"]), &auditor).await;
    assert_eq!(later["data"][0], *event);

    let stream = app.get_json(&format!("/streams/payment/{id}?limit=1"), &auditor).await;
    assert_eq!(stream["data"][0]["type"], "payment.created");
    assert_eq!(stream["data"][0]["metadata"]["actor"], format!("merchant:{}", merchant.id));
    let next = format!("/streams/payment/{id}?limit=1&cursor={}", stream["next_cursor"].as_str().unwrap());
    assert_eq!(app.get_json(&next, &auditor).await["data"][0], *event);
    for missing in ["payment/none", "nothing/x", "payment/%00"] {
        assert_eq!(app.get(&format!("/streams/{missing}"), &auditor).await.status(), 404, "{missing}");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_see_projections_and_sagas() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let (operator, admin) = (app.key(KeyRole::Operator, None).await.1, app.key(KeyRole::Admin, None).await.1);
    let waiting = app.pay(&merchant, "tok_requires_action", 10_000).await;
    let id = waiting["id"].as_str().unwrap();
    let saga = app.get_json(&format!("/sagas/{id}"), &operator).await;
    assert_eq!((&saga["id"], &saga["kind"]), (&json!(id), &json!("payment")));
    assert_eq!(app.get_json("/sagas?state=waiting", &operator).await["data"][0]["id"], id);
    let retried: Value = app.post(&format!("/sagas/{id}/retry"), &operator, &json!({})).await.json().await.unwrap();
    assert_eq!(retried, json!({"id": id, "object": "saga", "state": "running"}));
    assert_eq!(app.get("/sagas/re_none", &operator).await.status(), 404);

    let projections = app.get_json("/projections", &operator).await;
    let names: Vec<&str> =
        projections["data"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    for name in ["books", "orders", "payments", "refunds"] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    assert_eq!(app.post("/projections/payments/rebuild", &operator, &json!({})).await.status(), 202);
    let rebuilt = fresh(&app, "/payments", &merchant.secret).await;
    assert_eq!(rebuilt["data"][0]["id"], id);

    let made: Value = app
        .post(
            "/merchants",
            &admin,
            &json!({"name": "Acme", "tier": "enterprise", "home_currency": "EUR", "time_zone": "Asia/Shanghai"}),
        )
        .await
        .json()
        .await
        .unwrap();
    assert_eq!((&made["home_currency"], &made["time_zone"]), (&json!("EUR"), &json!("Asia/Shanghai")));
    assert_eq!(
        (&made["tier"], &made["pricing"], &made["markup_rate"]),
        (&json!("enterprise"), &json!("cost_plus"), &json!("0.0045"))
    );
    assert_eq!(app.get_json(&format!("/merchants/{}", made["id"].as_str().unwrap()), &admin).await, made);
    assert_eq!(fresh(&app, "/merchants", &admin).await["data"][0], made);
    let key = json!({"role": "merchant", "merchant_id": made["id"]});
    let key: Value = app.post("/keys", &admin, &key).await.json().await.unwrap();
    let body = payment("tok_success", 100);
    assert_eq!(app.post("/payments", key["secret"].as_str().unwrap(), &body).await.status(), 201);
    let listed = app.get_json("/keys?limit=1", &admin).await;
    assert_eq!((&listed["data"][0]["key_id"], listed["data"][0].get("secret")), (&key["key_id"], None));
    for (body, pointer) in [
        (json!({"name": "", "tier": "starter"}), "/name"),
        (json!({"name": "A", "tier": "gold"}), "/tier"),
        (json!({"name": "A", "tier": "starter", "pricing": "free"}), "/pricing"),
        (json!({"name": "A", "tier": "starter", "home_currency": "euro"}), "/home_currency"),
        (json!({"name": "A", "tier": "starter", "time_zone": "/etc"}), "/time_zone"),
    ] {
        let refused: Value = app.post("/merchants", &admin, &body).await.json().await.unwrap();
        assert_eq!((&refused["status"], &refused["pointer"]), (&json!(422), &json!(pointer)), "{body}");
    }
    for (body, pointer) in [
        (json!({"role": "merchant"}), "/merchant_id"),
        (json!({"role": "finance", "merchant_id": made["id"]}), "/merchant_id"),
        (json!({"role": "owner"}), "/role"),
        (json!({"role": "finance", "principal": "a b"}), "/principal"),
    ] {
        let refused: Value = app.post("/keys", &admin, &body).await.json().await.unwrap();
        assert_eq!((&refused["status"], &refused["pointer"]), (&json!(422), &json!(pointer)), "{body}");
    }
    app.stop().await;
}

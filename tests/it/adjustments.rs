//! Adjustments over HTTP: what is refused, that two people decide, and what is posted.

use commands::ports::Role as KeyRole;
use domain::MerchantId;
use reqwest::Response;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::TestApp;

fn leg(account: &str, side: &str, amount: i64) -> Value {
    json!({"account": account, "side": side, "amount": amount})
}

fn owners_money(amount: i64) -> Value {
    json!({
        "reason": "the owner's first money",
        "currency": "USD",
        "legs": [leg("bank:main:cash", "debit", amount), leg("equity:owner", "credit", amount)],
    })
}

async fn code_of(answer: Response) -> (u16, String, Value) {
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    (status, body["code"].as_str().unwrap_or_default().to_owned(), body["pointer"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_post_the_owners_money() {
    let app = TestApp::start().await;
    let (anna, ben) = (app.key(KeyRole::Finance, None).await.1, app.key(KeyRole::Finance, None).await.1);
    let proposed = app.post_keyed("/ledger/adjustments", &anna, "first", &owners_money(1_000_000)).await;
    assert_eq!(proposed.status(), 201);
    let first = proposed.text().await.unwrap();
    let adjustment: Value = serde_json::from_str(&first).unwrap();
    assert_eq!((&adjustment["status"], &adjustment["decided_by"]), (&json!("proposed"), &Value::Null));
    let path = format!("/ledger/adjustments/{}", adjustment["id"].as_str().unwrap());
    let trial = app.fresh("/ledger/trial-balance", &anna).await;
    assert_eq!(trial["currencies"], json!([]), "nothing is posted yet");

    let own = code_of(app.post(&format!("{path}/approve"), &anna, &json!({})).await).await;
    assert_eq!((own.0, own.1.as_str()), (422, "approver_is_requester"));
    let approved: Value = app.post(&format!("{path}/approve"), &ben, &json!({})).await.json().await.unwrap();
    assert_eq!(approved["status"], "approved", "{approved}");
    let late = code_of(app.post(&format!("{path}/reject"), &anna, &json!({})).await).await;
    assert_eq!((late.0, late.1.as_str()), (409, "adjustment_already_decided"));
    assert_eq!(app.post(&format!("{path}/approve"), &ben, &json!({})).await.status(), 200, "told twice is once");
    let trial = app.fresh("/ledger/trial-balance", &anna).await;
    let lines: Vec<(&str, i64)> = trial["currencies"][0]["accounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| (line["account"].as_str().unwrap(), line["balance"].as_i64().unwrap()))
        .collect();
    assert_eq!(lines, [("bank:main:cash", 1_000_000), ("equity:owner", 1_000_000)]);

    // The first answer, byte for byte, after the object has moved on.
    let repeat = app.post_keyed("/ledger/adjustments", &anna, "first", &owners_money(1_000_000)).await;
    assert_eq!(repeat.headers()["idempotency-hit"], "true");
    assert_eq!(repeat.text().await.unwrap(), first);

    let other: Value = app.post("/ledger/adjustments", &anna, &owners_money(5)).await.json().await.unwrap();
    let other = format!("/ledger/adjustments/{}", other["id"].as_str().unwrap());
    let rejected: Value = app.post(&format!("{other}/reject"), &ben, &json!({})).await.json().await.unwrap();
    assert_eq!(rejected["status"], "rejected");
    assert_eq!(app.fresh(&other, &anna).await, rejected);
    let listed = app.fresh("/ledger/adjustments?status=approved", &ben).await;
    assert_eq!(listed["data"], json!([approved]));
    assert_eq!(app.get("/ledger/adjustments?status=open", &ben).await.status(), 400);
    crate::audit::everything_holds(&app).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_merchants_account_guards_it_posts_itself() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let (anna, ben) = (app.key(KeyRole::Finance, None).await.1, app.key(KeyRole::Finance, None).await.1);
    let available = format!("merchant:{}:available", merchant.id);
    let propose = async |debit: &str, credit: &str, amount: i64| {
        let legs = json!([leg(debit, "debit", amount), leg(credit, "credit", amount)]);
        let body = json!({"reason": "goodwill", "currency": "USD", "legs": legs});
        let proposed: Value = app.post("/ledger/adjustments", &anna, &body).await.json().await.unwrap();
        format!("/ledger/adjustments/{}/approve", proposed["id"].as_str().unwrap())
    };
    let balance = async || app.fresh("/balances", &merchant.secret).await["balances"][0]["available"].clone();
    let given = propose("expense:merchant_loss", &available, 500).await;
    assert_eq!(app.post_keyed(&given, &ben, "give", &json!({})).await.status(), 200);
    assert_eq!(balance().await, json!(500));
    let repeat = app.post_keyed(&given, &ben, "give", &json!({})).await;
    assert_eq!((repeat.headers()["idempotency-hit"].to_str().unwrap(), repeat.status().as_u16()), ("true", 200));
    assert_eq!(app.post(&given, &ben, &json!({})).await.status(), 200, "under another key it is the same approval");
    assert_eq!(balance().await, json!(500));

    let too_much = propose(&available, "bank:main:cash", 501).await;
    let refused = code_of(app.post(&too_much, &ben, &json!({})).await).await;
    assert_eq!((refused.0, refused.1.as_str()), (422, "insufficient_balance"));
    let taken = propose(&available, "bank:main:cash", 500).await;
    assert_eq!(app.post(&taken, &ben, &json!({})).await.status(), 200);
    assert_eq!(balance().await, json!(0));
    let owed = format!("merchant:{}:receivable", merchant.id);
    let write_off = propose("expense:merchant_loss", &owed, 1).await;
    assert_eq!(app.post(&write_off, &ben, &json!({})).await.status(), 422, "it owes nothing");
    crate::audit::everything_holds(&app).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_adjustment_is_refused_and_posts_nothing() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let finance = app.key(KeyRole::Finance, None).await.1;
    let with = |field: &str, value: Value| {
        let mut body = owners_money(5);
        body[field] = value;
        body
    };
    let to = |account: &str| with("legs", json!([leg("equity:owner", "debit", 5), leg(account, "credit", 5)]));
    let unbalanced = json!([leg("equity:owner", "debit", 5), leg("bank:main:cash", "credit", 4)]);
    let stranger = MerchantId::from_uuid(Uuid::now_v7());
    let table = [
        (with("legs", unbalanced), "entry_unbalanced", "/legs"),
        (with("legs", json!([])), "entry_unbalanced", "/legs"),
        (to("cash"), "unknown_account", "/legs/1/account"),
        (to("bank:Main:cash"), "unknown_account", "/legs/1/account"),
        (to(&format!("merchant:{stranger}:pending")), "unknown_account", "/legs"),
        (to(&format!("merchant:{}:receivable", merchant.id)), "account_not_adjustable", "/legs"),
        (to("memo:auth:sandbox"), "account_not_adjustable", "/legs"),
        (with("legs", json!([leg("equity:owner", "debit", 0)])), "invalid_amount", "/legs/0/amount"),
        (with("legs", json!([leg("equity:owner", "left", 1)])), "invalid_field", "/legs/0/side"),
        (with("reason", json!("")), "invalid_reason", "/reason"),
        (with("currency", json!("usd")), "unknown_currency", "/currency"),
        (with("effective_at", json!("2999-01-01T00:00:00Z")), "effective_in_future", "/effective_at"),
        (with("more", json!(1)), "unknown_field", "/more"),
    ];
    for (body, code, pointer) in table {
        let refused = code_of(app.post("/ledger/adjustments", &finance, &body).await).await;
        assert_eq!((refused.0, refused.1.as_str(), &refused.2), (422, code, &json!(pointer)), "{body}");
    }
    for (role, merchant_id) in
        [(KeyRole::Merchant, Some(merchant.id)), (KeyRole::Admin, None), (KeyRole::Auditor, None)]
    {
        let secret = app.key(role, merchant_id).await.1;
        assert_eq!(app.post("/ledger/adjustments", &secret, &owners_money(5)).await.status(), 403, "{role:?}");
    }
    let missing = format!("/ledger/adjustments/{}", domain::AdjustmentId::from_uuid(Uuid::now_v7()));
    assert_eq!(app.get(&missing, &finance).await.status(), 404);
    assert_eq!(app.post(&format!("{missing}/approve"), &finance, &json!({})).await.status(), 404);
    assert_eq!(app.get("/ledger/adjustments/adj_x", &finance).await.status(), 404);
    assert_eq!(app.fresh("/ledger/trial-balance", &finance).await["currencies"], json!([]));
    app.stop().await;
}

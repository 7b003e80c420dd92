//! The books over HTTP, as finance reads them.

use commands::ports::Role as KeyRole;
use domain::pricing::{RefundFeePolicy, Tier};
use serde_json::json;

use crate::app::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn one_capture_stands_in_the_books_as_the_example_says() {
    let app = TestApp::start().await;
    let merchant = app.merchant_with(Tier::Starter, RefundFeePolicy::Retain).await;
    let finance = app.key(KeyRole::Finance, None).await.1;
    let paid = app.pay(&merchant, "tok_success", 10_000).await;
    let trial = app.fresh("/ledger/trial-balance", &finance).await;
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

    let own = app.fresh("/balances", &merchant.secret).await;
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

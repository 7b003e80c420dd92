//! Payouts: what is owed, once, and a statement that sums to it.

use super::support::{Sandbox, until};
use serde_json::{Value, json};
use std::time::Duration;

async fn run(sandbox: &Sandbox) -> Vec<Value> {
    sandbox.post("/payouts/run", "unused", json!({})).await.body["data"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_payout_is_the_sum_of_its_statement() {
    let mut sandbox = Sandbox::start_with(|config| config.event_delay = Duration::from_secs(1)).await;
    sandbox.charge("pay_1", "tok_success").await;
    sandbox.charge("pay_2", "tok_dispute_lost").await;
    sandbox.authorize("pa_1", "tok_success").await;
    sandbox.post("/charges/pa_1/capture", "key", json!({ "reference": "pay_3", "amount": 350 })).await;
    sandbox.refund("re_1", "pay_1", 200).await;
    until(|| async { sandbox.get("/charges/pay_2").await.body["amount_disputed"] == 1000 }).await;

    let paid = run(&sandbox).await;
    assert_eq!(
        (paid.len(), &paid[0]["currency"], &paid[0]["amount"]),
        (1, &json!("USD"), &json!(1000 - 10 - 10 + 350 - 4 - 200))
    );
    let id = paid[0]["id"].as_str().unwrap();
    let statement = sandbox.get(&format!("/payouts/{id}/statement")).await.body;
    let lines = statement["lines"].as_array().unwrap();
    let sum: i64 = lines.iter().map(|line| line["amount"].as_i64().unwrap()).sum();
    assert_eq!(json!(sum), paid[0]["amount"]);
    let types: Vec<_> = lines.iter().map(|line| line["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["capture", "fee", "capture", "fee", "capture", "fee", "refund", "dispute_withdrawal"]);

    let page = async |after: usize| sandbox.get(&format!("/payouts/{id}/statement?after={after}&limit=5")).await.body;
    let (first, second) = (page(0).await, page(5).await);
    assert_eq!((&first["next_after"], &second["next_after"]), (&json!(5), &Value::Null));
    let paged: Vec<&Value> = [&first, &second].iter().flat_map(|page| page["lines"].as_array().unwrap()).collect();
    assert_eq!(paged, lines.iter().collect::<Vec<_>>());

    assert!(run(&sandbox).await.is_empty(), "nothing is owed twice");
    sandbox.restart().await;
    assert!(run(&sandbox).await.is_empty(), "nor after a restart");
    assert_eq!(sandbox.get("/payouts").await.body["data"], json!(paid));
    let csv =
        sandbox.request(reqwest::Method::GET, &format!("/payouts/{id}/statement?format=csv")).send().await.unwrap();
    assert_eq!(csv.text().await.unwrap().lines().count(), 1 + lines.len());
}

#[tokio::test]
async fn each_currency_is_paid_by_itself_and_a_debt_is_carried_over() {
    let sandbox = Sandbox::start().await;
    sandbox.charge("pay_1", "tok_success").await;
    let euro = json!({ "reference": "pay_2", "amount": 500, "currency": "EUR", "token": "tok_success" });
    sandbox.post("/charges", "pay_2", euro.clone()).await;
    let paid = run(&sandbox).await;
    let amounts: Vec<_> = paid.iter().map(|payout| (payout["currency"].clone(), payout["amount"].clone())).collect();
    assert_eq!(amounts, [(json!("EUR"), json!(495)), (json!("USD"), json!(990))]);

    sandbox.refund("re_1", "pay_2", 500).await;
    assert!(run(&sandbox).await.is_empty());
    let mut more = euro;
    (more["reference"], more["amount"]) = (json!("pay_3"), json!(600));
    sandbox.post("/charges", "pay_3", more).await;
    let paid = run(&sandbox).await;
    assert_eq!((paid.len(), &paid[0]["amount"]), (1, &json!(600 - 6 - 500)));
}

#[tokio::test]
async fn the_simulated_day_pays_out_by_itself() {
    let sandbox = Sandbox::start_with(|config| config.payout_interval = Duration::from_millis(50)).await;
    sandbox.charge("pay_1", "tok_success").await;
    until(|| async { sandbox.get("/payouts").await.body["data"][0]["amount"] == 990 }).await;
}

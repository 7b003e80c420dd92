//! Webhooks: signed, in order, retried until they arrive, and kept across restarts.

use super::support::{SECRET, Sandbox};
use crate::sandbox_provider::{SIGNATURE_HEADER, sign};
use serde_json::json;
use std::collections::HashSet;

#[test]
fn the_signature_is_what_is_published() {
    assert_eq!(SIGNATURE_HEADER, "Sandbox-Signature");
    // Computed with another implementation of HMAC-SHA256.
    let expected = "t=1700000000,v1=af784f27423c462e20039559cd4264140f7b7ed4c9090e26fd663faa5eeb8dda";
    assert_eq!(sign("secret", 1_700_000_000, br#"{"id":"evt_1"}"#), expected);
}

#[tokio::test]
async fn a_webhook_is_signed_and_carries_the_object() {
    let sandbox = Sandbox::start().await;
    let charge = sandbox.charge("pay_1", "tok_success").await.body;
    let received = &sandbox.webhooks(1).await[0];
    let at: u64 = received.signature.strip_prefix("t=").unwrap().split(',').next().unwrap().parse().unwrap();
    assert_eq!(received.signature, sign(SECRET, at, received.body.as_bytes()));
    let event = received.json();
    assert!(event["id"].as_str().unwrap().starts_with("evt_"));
    assert_eq!((&event["type"], &event["data"]["object"]), (&json!("charge.succeeded"), &charge));
}

#[tokio::test]
async fn the_webhooks_of_a_charge_come_in_order() {
    let sandbox = Sandbox::start().await;
    sandbox.authorize("pa_1", "tok_success").await;
    for number in 0..5 {
        let body = json!({ "reference": format!("pay_{number}"), "amount": 100 });
        sandbox.post("/charges/pa_1/capture", &format!("key-{number}"), body).await;
    }
    sandbox.refund("re_1", "pay_0", 100).await;
    sandbox.post("/charges/pa_1/cancel", "cancel", json!({})).await;
    let captured = "charge.captured";
    let expected =
        ["charge.authorized", captured, captured, captured, captured, captured, "refund.succeeded", "charge.released"];
    assert_eq!(sandbox.webhook_types(8).await, expected);
}

#[tokio::test]
async fn failures_and_cancels_are_told_too() {
    let sandbox = Sandbox::start().await;
    sandbox.charge("pay_1", "tok_declined").await;
    assert_eq!(sandbox.webhook_types(1).await, ["charge.failed"]);
    sandbox.post("/charges/pay_2/cancel", "cancel", json!({})).await;
    assert_eq!(sandbox.webhook_types(2).await[1], "charge.cancelled");
}

#[tokio::test]
async fn duplicates_come_five_times_each() {
    let sandbox = Sandbox::start().await;
    sandbox.charge("pay_1", "tok_duplicate_webhooks").await;
    sandbox.refund("re_1", "pay_1", 100).await;
    let received = sandbox.webhooks(10).await;
    let ids: HashSet<_> = received.iter().map(|hook| hook.json()["id"].to_string()).collect();
    assert_eq!((received.len(), ids.len()), (10, 2));
}

#[tokio::test]
async fn a_lost_webhook_never_comes() {
    let sandbox = Sandbox::start().await;
    sandbox.charge("pay_1", "tok_webhook_lost").await;
    sandbox.charge("pay_2", "tok_success").await;
    let received = sandbox.webhooks(1).await;
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].json()["data"]["object"]["reference"], "pay_2");
}

#[tokio::test]
async fn a_webhook_is_retried_until_it_is_taken() {
    let sandbox = Sandbox::start().await;
    sandbox.inbox.refuse_next(6);
    sandbox.charge("pay_1", "tok_success").await;
    sandbox.charge("pay_2", "tok_success").await;
    assert_eq!(sandbox.webhooks(2).await.len(), 2);
}

#[tokio::test]
async fn an_undelivered_webhook_survives_a_restart_and_a_delivered_one_is_not_repeated() {
    let mut sandbox = Sandbox::start().await;
    sandbox.charge("pay_1", "tok_success").await;
    sandbox.webhooks(1).await;
    sandbox.inbox.refuse_next(usize::MAX);
    sandbox.charge("pay_2", "tok_success").await;
    sandbox.stop().await;
    sandbox.inbox.refuse_next(0);
    sandbox.restart().await;
    let received = sandbox.webhooks(2).await;
    let references: Vec<_> = received.iter().map(|hook| hook.json()["data"]["object"]["reference"].clone()).collect();
    assert_eq!(references, ["pay_1", "pay_2"]);
}

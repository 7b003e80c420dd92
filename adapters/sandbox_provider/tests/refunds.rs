//! Refunds: never above what was captured; some fail at once, some later.

use super::support::{Sandbox, until};
use serde_json::json;

#[tokio::test]
async fn refunds_never_exceed_what_was_captured() {
    let sandbox = Sandbox::start().await;
    sandbox.charge("pay_1", "tok_success").await;
    let first = sandbox.refund("re_1", "pay_1", 600).await;
    assert_eq!((first.status, first.status_field()), (201, "succeeded"));
    assert_eq!(sandbox.refund("re_1", "pay_1", 600).await.body, first.body);
    let too_much = sandbox.refund("re_2", "pay_1", 401).await;
    assert_eq!((too_much.status, too_much.code()), (422, "amount_too_large"));
    assert_eq!(sandbox.refund("re_3", "pay_1", 400).await.status, 201);
    let charge = sandbox.get("/charges/pay_1").await.body;
    assert_eq!((&charge["amount_refunded"], &charge["fee"]), (&json!(1000), &json!(10)));
    let book = sandbox.book("re_1").await;
    assert_eq!((book.len(), &book[0]["kind"], &book[0]["charge_reference"]), (1, &json!("refund"), &json!("pay_1")));
    assert_eq!(sandbox.get("/refunds?reference=re_1").await.body, first.body);
    assert_eq!(sandbox.get("/refunds?reference=re_2").await.status, 404);
}

#[tokio::test]
async fn concurrent_refunds_stay_within_the_charge() {
    let sandbox = Sandbox::start().await;
    sandbox.charge("pay_1", "tok_success").await;
    let references: Vec<_> = (0..50).map(|number| format!("re_{number}")).collect();
    let replies = futures::future::join_all(references.iter().map(|re| sandbox.refund(re, "pay_1", 100))).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 201).count(), 10);
    assert_eq!(sandbox.get("/charges/pay_1").await.body["amount_refunded"], 1000);
}

#[tokio::test]
async fn a_capture_is_refunded_by_its_own_reference() {
    let sandbox = Sandbox::start().await;
    sandbox.authorize("pa_1", "tok_success").await;
    for (reference, amount) in [("pay_1", 300), ("pay_2", 500)] {
        let body = json!({ "reference": reference, "amount": amount });
        sandbox.post("/charges/pa_1/capture", reference, body).await;
    }
    assert_eq!(sandbox.refund("re_1", "pay_1", 301).await.code(), "amount_too_large");
    assert_eq!(sandbox.refund("re_2", "pay_1", 300).await.body["capture_reference"], "pay_1");
    assert_eq!(sandbox.get("/captures/pay_1").await.body["amount_refunded"], 300);
    assert_eq!(sandbox.get("/charges/pa_1").await.body["amount_refunded"], 300);
}

#[tokio::test]
async fn what_was_not_captured_is_not_refunded() {
    let sandbox = Sandbox::start().await;
    assert_eq!(sandbox.refund("re_1", "pay_0", 1).await.code(), "charge_not_found");
    sandbox.charge("pay_1", "tok_declined").await;
    assert_eq!(sandbox.refund("re_2", "pay_1", 1).await.code(), "charge_not_captured");
    sandbox.authorize("pa_1", "tok_success").await;
    assert_eq!(sandbox.refund("re_3", "pa_1", 1).await.code(), "charge_not_captured");
}

#[tokio::test]
async fn a_refusal_is_kept_under_its_key() {
    let sandbox = Sandbox::start().await;
    let early = sandbox.refund("re_1", "pay_1", 1).await;
    sandbox.charge("pay_1", "tok_success").await;
    let late_copy = sandbox.refund("re_1", "pay_1", 1).await;
    assert_eq!((early.status, early.body), (late_copy.status, late_copy.body));
}

#[tokio::test]
async fn a_refund_that_fails_has_no_effect() {
    let sandbox = Sandbox::start().await;
    sandbox.charge("pay_1", "tok_refund_fails").await;
    let reply = sandbox.refund("re_1", "pay_1", 100).await;
    assert_eq!((reply.status, reply.status_field()), (201, "failed"));
    assert_eq!(reply.body["failure"]["code"], "refund_rejected");
    assert!(sandbox.book("re_1").await.is_empty());
    assert_eq!(sandbox.get("/charges/pay_1").await.body["amount_refunded"], 0);
    assert_eq!(sandbox.webhook_types(2).await, ["charge.succeeded", "refund.failed"]);
}

#[tokio::test]
async fn a_refund_may_fail_late() {
    let sandbox = Sandbox::start().await;
    sandbox.charge("pay_1", "tok_refund_fails_late").await;
    assert_eq!(sandbox.refund("re_1", "pay_1", 100).await.status_field(), "succeeded");
    until(|| async { sandbox.get("/refunds/re_1").await.status_field() == "failed" }).await;
    assert_eq!(sandbox.kinds("re_1").await, ["refund", "refund_reversal"]);
    assert_eq!(sandbox.get("/charges/pay_1").await.body["amount_refunded"], 0);
    assert_eq!(sandbox.webhook_types(3).await, ["charge.succeeded", "refund.succeeded", "refund.failed"]);
}

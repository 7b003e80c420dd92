//! Cancelling in every state, before the charge above all.

use super::support::{Sandbox, until};
use serde_json::json;
use std::time::Duration;

async fn cancel(sandbox: &Sandbox, reference: &str, key: &str) -> super::support::Reply {
    sandbox.post(&format!("/charges/{reference}/cancel"), key, json!({})).await
}

#[tokio::test]
async fn a_charge_that_comes_after_its_cancel_never_takes_effect() {
    let mut sandbox = Sandbox::start().await;
    let reply = cancel(&sandbox, "pay_1", "cancel").await;
    assert_eq!((reply.status, reply.status_field()), (200, "cancelled"));
    sandbox.restart().await;
    let late = sandbox.charge("pay_1", "tok_success").await;
    assert_eq!((late.status, late.code()), (409, "charge_cancelled"));
    assert_eq!(late.body["charge"]["status"], "cancelled");
    assert_eq!(sandbox.charge_status("pay_1").await, "cancelled");
    assert_eq!(sandbox.kinds("pay_1").await, ["cancel"]);
    assert_eq!(cancel(&sandbox, "pay_1", "again").await.status, 200);
    assert_eq!(sandbox.kinds("pay_1").await, ["cancel"]);
}

#[tokio::test]
async fn of_a_race_between_charge_and_cancel_one_wins() {
    let sandbox = Sandbox::start().await;
    for number in 0..50 {
        let reference = format!("pay_{number}");
        let key = format!("cancel-{number}");
        let (charge, cancel) =
            tokio::join!(sandbox.charge(&reference, "tok_success"), cancel(&sandbox, &reference, &key));
        match (charge.status, cancel.status) {
            (201, 409) => assert_eq!(sandbox.kinds(&reference).await, ["charge"]),
            (409, 200) => assert_eq!(sandbox.kinds(&reference).await, ["cancel"]),
            other => panic!("both or neither won: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_captured_charge_says_so_when_cancelled() {
    let sandbox = Sandbox::start().await;
    sandbox.charge("pay_1", "tok_success").await;
    let reply = cancel(&sandbox, "pay_1", "cancel").await;
    assert_eq!((reply.status, reply.code()), (409, "charge_captured"));
    let charge = &reply.body["charge"];
    assert_eq!(
        (&charge["status"], &charge["amount_captured"], &charge["fee"]),
        (&json!("succeeded"), &json!(1000), &json!(10))
    );
}

#[tokio::test]
async fn what_has_not_taken_money_is_cancelled_for_good() {
    let sandbox = Sandbox::start_with(|config| config.event_delay = Duration::from_secs(1)).await;
    sandbox.charge("pay_async", "tok_async").await;
    sandbox.charge("pay_action", "tok_requires_action").await;
    sandbox.authorize("pa_1", "tok_success").await;
    for reference in ["pay_async", "pay_action", "pa_1"] {
        let reply = cancel(&sandbox, reference, reference).await;
        assert_eq!((reply.status, reply.status_field()), (200, "cancelled"), "{reference}");
    }
    // A later async charge has its result, so the cancelled one's moment has passed.
    sandbox.charge("pay_later", "tok_async").await;
    until(|| async { sandbox.charge_status("pay_later").await == "succeeded" }).await;
    assert_eq!(sandbox.charge_status("pay_async").await, "cancelled");
    assert_eq!(sandbox.kinds("pay_async").await, ["cancel"]);
    assert_eq!(sandbox.book("pa_1").await[1]["amount"], 1000);
}

#[tokio::test]
async fn cancelling_a_failed_charge_changes_nothing() {
    let sandbox = Sandbox::start().await;
    sandbox.charge("pay_1", "tok_declined").await;
    let reply = cancel(&sandbox, "pay_1", "cancel").await;
    assert_eq!((reply.status, reply.status_field()), (200, "failed"));
    let unknown = cancel(&sandbox, "sbc_nobody", "cancel-2").await;
    assert_eq!((unknown.status, unknown.code()), (404, "charge_not_found"));
}

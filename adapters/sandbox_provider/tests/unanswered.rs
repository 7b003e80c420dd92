//! Tokens whose calls are not answered, or with an error first.

use super::support::{Sandbox, charge_body};
use std::time::Duration;

#[tokio::test]
async fn timeout_charged_takes_effect_and_is_not_answered() {
    let sandbox = Sandbox::start().await;
    for (reference, capture, status) in [("pay_1", true, "succeeded"), ("pa_1", false, "authorized")] {
        let mut body = charge_body(reference, "tok_timeout_charged");
        body["capture"] = capture.into();
        let error = sandbox.try_post("/charges", reference, body.clone()).await.err().unwrap();
        assert!(error.is_request() && error.status().is_none(), "{error}");
        assert_eq!(sandbox.charge_status(reference).await, status);
        let repeated = sandbox.post("/charges", reference, body).await;
        assert_eq!((repeated.status, repeated.status_field()), (201, status));
        assert_eq!(sandbox.book(reference).await.len(), 1);
    }
}

#[tokio::test]
async fn timeout_uncharged_succeeds_at_the_second_call_also_after_a_restart() {
    let mut sandbox = Sandbox::start().await;
    let body = charge_body("pay_1", "tok_timeout_uncharged");
    assert!(sandbox.try_post("/charges", "key", body.clone()).await.is_err());
    assert_eq!(sandbox.charge_status("pay_1").await, "absent");
    assert!(sandbox.book("pay_1").await.is_empty());
    sandbox.restart().await;
    assert_eq!(sandbox.post("/charges", "key", body).await.status_field(), "succeeded");
    assert_eq!(sandbox.kinds("pay_1").await, ["charge"]);
}

#[tokio::test]
async fn error_then_success_answers_two_503s_first_per_reference() {
    let mut sandbox = Sandbox::start().await;
    for reference in ["pay_1", "pay_2"] {
        assert_eq!(sandbox.charge(reference, "tok_error_then_success").await.status, 503);
        sandbox.restart().await;
        assert_eq!(sandbox.charge(reference, "tok_error_then_success").await.status, 503);
        assert!(sandbox.book(reference).await.is_empty());
        assert_eq!(sandbox.charge(reference, "tok_error_then_success").await.status, 201);
        assert_eq!(sandbox.kinds(reference).await, ["charge"]);
    }
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_held_calls() {
    let mut sandbox = Sandbox::start_with(|config| config.hang = Duration::from_secs(3600)).await;
    let held = sandbox.request(reqwest::Method::POST, "/charges").header("idempotency-key", "key");
    let held = tokio::spawn(held.json(&charge_body("pay_1", "tok_timeout_charged")).send());
    super::support::until(|| async { sandbox.charge_status("pay_1").await == "succeeded" }).await;
    tokio::time::timeout(Duration::from_secs(4), sandbox.stop()).await.unwrap();
    assert!(held.await.unwrap().is_err());
}

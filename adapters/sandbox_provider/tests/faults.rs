//! Random faults at their extremes, where they are certain.

use super::support::{Sandbox, charge_body};
use reqwest::Method;
use serde_json::{Value, json};

async fn set(sandbox: &Sandbox, faults: Value) -> super::support::Reply {
    sandbox.post("/faults", "unused", faults).await
}

#[tokio::test]
async fn faults_are_shown_as_set_and_checked() {
    let sandbox = Sandbox::start().await;
    let off = sandbox.get("/faults").await.body;
    let shown = set(&sandbox, json!({ "timeout_after": 0.25, "reorder": 1 })).await;
    assert_eq!((shown.status, &shown.body["timeout_after"], &shown.body["error"]), (200, &json!(0.25), &json!(0.0)));
    for wrong in [
        json!({ "error": 1.5 }),
        json!({ "error": -0.1 }),
        json!({ "error": "1" }),
        json!({ "eror": 0.1 }),
        json!([]),
        json!([0.5, 0.5, 0.5, 0.5, 0.5, 0.5]),
    ] {
        assert_eq!(set(&sandbox, wrong.clone()).await.status, 422, "{wrong}");
    }
    assert_eq!(sandbox.get("/faults").await.body, shown.body);
    set(&sandbox, json!({})).await;
    assert_eq!(sandbox.get("/faults").await.body, off);
    let no_key = sandbox.request(Method::POST, "/faults").body("{}").send().await.unwrap();
    assert_eq!(no_key.status(), 200);
}

#[tokio::test]
async fn timeout_after_takes_effect_without_an_answer() {
    let sandbox = Sandbox::start().await;
    set(&sandbox, json!({ "timeout_after": 1.0 })).await;
    assert!(sandbox.try_post("/charges", "key", charge_body("pay_1", "tok_success")).await.is_err());
    assert_eq!(sandbox.charge_status("pay_1").await, "succeeded");
    let refund = json!({ "reference": "re_1", "charge": "pay_1", "amount": 1 });
    assert!(sandbox.try_post("/refunds", "key-2", refund).await.is_err());
    assert_eq!(sandbox.kinds("re_1").await, ["refund"]);
}

#[tokio::test]
async fn timeout_before_and_errors_have_no_effect() {
    let sandbox = Sandbox::start().await;
    set(&sandbox, json!({ "timeout_before": 1.0 })).await;
    assert!(sandbox.try_post("/charges", "key", charge_body("pay_1", "tok_success")).await.is_err());
    set(&sandbox, json!({ "error": 1.0 })).await;
    assert_eq!(sandbox.charge("pay_1", "tok_success").await.status, 503);
    assert_eq!(sandbox.charge_status("pay_1").await, "absent");
    set(&sandbox, json!({})).await;
    assert_eq!(sandbox.charge("pay_1", "tok_success").await.status, 201);
}

#[tokio::test]
async fn webhooks_are_lost_and_duplicated() {
    let sandbox = Sandbox::start().await;
    set(&sandbox, json!({ "duplicate": 1.0, "reorder": 0.0 })).await;
    sandbox.charge("pay_1", "tok_success").await;
    let received = sandbox.webhooks(2).await;
    assert_eq!(received[0].body, received[1].body);
    set(&sandbox, json!({ "lose_webhook": 1.0 })).await;
    sandbox.charge("pay_2", "tok_success").await;
    super::support::until(|| async { is_done(&sandbox, 2).await }).await;
    let received = sandbox.webhooks(2).await;
    assert!(received.iter().all(|hook| hook.json()["data"]["object"]["reference"] == "pay_1"));
}

/// Whether the journal says that nothing more is to be sent for this event.
async fn is_done(sandbox: &Sandbox, event: u64) -> bool {
    let journal = tokio::fs::read_to_string(sandbox.journal_path()).await.unwrap();
    journal.contains(&format!("\"k\":\"webhook_done\",\"event\":{event}}}"))
}

#[tokio::test]
async fn reordered_webhooks_all_come() {
    let sandbox = Sandbox::start().await;
    set(&sandbox, json!({ "reorder": 1.0 })).await;
    for number in 0..5 {
        sandbox.charge(&format!("pay_{number}"), "tok_success").await;
    }
    assert_eq!(sandbox.webhooks(5).await.len(), 5);
}

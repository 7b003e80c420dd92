//! Disputes: opened after the capture, closed by themselves or by the merchant.

use super::support::{Sandbox, until};
use serde_json::{Value, json};
use std::time::Duration;

async fn dispute_of(sandbox: &Sandbox, reference: &str) -> Value {
    let path = format!("/disputes?reference={reference}");
    until(|| async { sandbox.get(&path).await.body["data"][0]["id"].is_string() }).await;
    sandbox.get(&path).await.body["data"][0].clone()
}

async fn closed(sandbox: &Sandbox, reference: &str, status: &str) {
    let path = format!("/disputes?reference={reference}");
    until(|| async { sandbox.get(&path).await.body["data"][0]["status"] == status }).await;
}

#[tokio::test]
async fn disputes_open_and_close_as_their_token_says() {
    let sandbox = Sandbox::start().await;
    let table = [
        ("tok_dispute_won", "won", 0, vec!["charge", "dispute_withdrawal", "dispute_reversal"]),
        ("tok_dispute_lost", "lost", 1000, vec!["charge", "dispute_withdrawal"]),
        ("tok_dispute", "opened", 1000, vec!["charge", "dispute_withdrawal"]),
    ];
    for (token, status, disputed, kinds) in table {
        sandbox.charge(token, token).await;
        closed(&sandbox, token, status).await;
        assert_eq!(sandbox.get(&format!("/charges/{token}")).await.body["amount_disputed"], disputed, "{token}");
        assert_eq!(sandbox.kinds(token).await, kinds, "{token}");
    }
    let types = sandbox.webhook_types(8).await;
    for (event, count) in [("dispute.opened", 3), ("dispute.won", 1), ("dispute.lost", 1), ("charge.succeeded", 3)] {
        assert_eq!(types.iter().filter(|kind| *kind == event).count(), count, "{event}");
    }
}

#[tokio::test]
async fn each_capture_is_disputed_under_its_own_reference() {
    let sandbox = Sandbox::start().await;
    sandbox.authorize("pa_1", "tok_dispute").await;
    sandbox.post("/charges/pa_1/capture", "key", json!({ "reference": "pay_1", "amount": 400 })).await;
    let dispute = dispute_of(&sandbox, "pay_1").await;
    assert_eq!((&dispute["amount"], &dispute["charge_reference"]), (&json!(400), &json!("pa_1")));
    let refused = sandbox.refund("re_1", "pay_1", 1).await;
    assert_eq!((refused.status, refused.code()), (409, "charge_disputed"));
}

#[tokio::test]
async fn a_dispute_takes_only_what_is_not_refunded() {
    let sandbox = Sandbox::start_with(|config| config.event_delay = Duration::from_secs(1)).await;
    sandbox.charge("pay_1", "tok_dispute").await;
    sandbox.refund("re_1", "pay_1", 300).await;
    assert_eq!(dispute_of(&sandbox, "pay_1").await["amount"], 700);
}

#[tokio::test]
async fn a_dispute_is_accepted_or_answered_once() {
    let sandbox = Sandbox::start().await;
    let table = [
        ("pay_1", "accept", json!({}), "lost"),
        ("pay_2", "evidence", json!({ "text": "winning_evidence" }), "won"),
        ("pay_3", "evidence", json!({ "text": "losing_evidence" }), "lost"),
    ];
    for (reference, verb, body, status) in table {
        sandbox.charge(reference, "tok_dispute").await;
        let id = dispute_of(&sandbox, reference).await["id"].as_str().unwrap().to_owned();
        let path = format!("/disputes/{id}/{verb}");
        let first = sandbox.post(&path, reference, body.clone()).await;
        assert_eq!(first.status, 200);
        closed(&sandbox, reference, status).await;
        assert_eq!(sandbox.post(&path, reference, body.clone()).await.body, first.body);
        let late = sandbox.post(&path, &format!("late-{reference}"), body).await;
        assert_eq!((late.status, late.code()), (409, "dispute_closed"));
    }
    let unknown = sandbox.post("/disputes/sbd_0/accept", "key", json!({})).await;
    assert_eq!((unknown.status, unknown.code()), (404, "dispute_not_found"));
}

#[tokio::test]
async fn disputes_are_listed_from_a_moment_on() {
    let sandbox = Sandbox::start().await;
    for reference in ["pay_1", "pay_2", "pay_3"] {
        sandbox.charge(reference, "tok_dispute").await;
        dispute_of(&sandbox, reference).await;
    }
    let page = sandbox.get("/disputes?created_from=2000-01-01T00:00:00.000000Z&after=0&limit=2").await.body;
    assert_eq!((page["data"].as_array().unwrap().len(), &page["next_after"]), (2, &json!(2)));
    let rest = sandbox.get("/disputes?after=2").await.body;
    assert_eq!((rest["data"].as_array().unwrap().len(), &rest["next_after"]), (1, &Value::Null));
    let later = sandbox.get("/disputes?created_from=2999-01-01T00:00:00Z").await.body;
    assert_eq!(later["data"], json!([]));
    assert_eq!(sandbox.get("/disputes?limit=0").await.status, 400);
    assert_eq!(sandbox.get("/disputes?created_form=x").await.status, 400);
}

//! Captures of an authorised charge, and the release of what is left.

use super::support::{Reply, Sandbox};
use serde_json::json;

async fn capture(sandbox: &Sandbox, reference: &str, amount: Option<i64>, is_final: bool) -> Reply {
    let body = json!({ "reference": reference, "amount": amount, "final": is_final });
    sandbox.post("/charges/pa_1/capture", &format!("key-{reference}"), body).await
}

#[tokio::test]
async fn several_captures_until_nothing_is_left() {
    let sandbox = Sandbox::start().await;
    sandbox.authorize("pa_1", "tok_success").await;
    let first = capture(&sandbox, "pay_1", Some(250), false).await;
    assert_eq!((first.status, &first.body["fee"], &first.body["charge_reference"]), (201, &json!(3), &json!("pa_1")));
    let again = capture(&sandbox, "pay_1", Some(250), false).await;
    assert_eq!(first.body, again.body);
    assert_eq!(sandbox.charge_status("pa_1").await, "authorized");
    let too_much = capture(&sandbox, "pay_2", Some(751), false).await;
    assert_eq!((too_much.status, too_much.code()), (422, "amount_too_large"));
    let rest = capture(&sandbox, "pay_3", None, false).await;
    assert_eq!(rest.body["amount"], 750);
    let charge = sandbox.get("/charges/pa_1").await.body;
    assert_eq!(
        (&charge["status"], &charge["amount_captured"], &charge["fee"]),
        (&json!("succeeded"), &json!(1000), &json!(11))
    );
    let more = capture(&sandbox, "pay_4", Some(1), false).await;
    assert_eq!((more.status, more.code()), (409, "charge_captured"));
    assert_eq!(sandbox.kinds("pa_1").await, ["authorization"]);
    assert_eq!(sandbox.kinds("pay_1").await, ["capture"]);
    assert_eq!(sandbox.get("/captures?reference=pay_1").await.body, first.body);
}

#[tokio::test]
async fn a_final_capture_releases_the_rest() {
    let sandbox = Sandbox::start().await;
    sandbox.authorize("pa_1", "tok_success").await;
    capture(&sandbox, "pay_1", Some(400), true).await;
    let charge = sandbox.get("/charges/pa_1").await.body;
    assert_eq!((&charge["status"], &charge["amount_released"]), (&json!("succeeded"), &json!(600)));
}

#[tokio::test]
async fn cancelling_a_part_captured_charge_releases_the_rest() {
    let sandbox = Sandbox::start().await;
    sandbox.authorize("pa_1", "tok_success").await;
    capture(&sandbox, "pay_1", Some(400), false).await;
    for key in ["cancel", "cancel", "cancel-again"] {
        let reply = sandbox.post("/charges/pa_1/cancel", key, json!({})).await;
        assert_eq!((reply.status, reply.status_field()), (200, "succeeded"));
        assert_eq!((&reply.body["amount_captured"], &reply.body["amount_released"]), (&json!(400), &json!(600)));
    }
    assert_eq!(sandbox.kinds("pa_1").await, ["authorization", "cancel"]);
    let late = capture(&sandbox, "pay_2", Some(1), false).await;
    assert_eq!((late.status, late.code()), (409, "charge_captured"));
}

#[tokio::test]
async fn only_an_authorised_charge_is_captured() {
    let sandbox = Sandbox::start().await;
    let unknown = capture(&sandbox, "pay_0", Some(1), false).await;
    assert_eq!((unknown.status, unknown.code()), (404, "charge_not_found"));
    sandbox.authorize("pa_1", "tok_requires_action").await;
    let early = capture(&sandbox, "pay_1", Some(1), false).await;
    assert_eq!((early.status, early.code()), (409, "charge_not_authorized"));
    sandbox.post("/charges/pa_1/cancel", "cancel", json!({})).await;
    let late = capture(&sandbox, "pay_2", Some(1), false).await;
    assert_eq!((late.status, late.code()), (409, "charge_cancelled"));
}

#[tokio::test]
async fn a_capture_given_up_before_it_came_is_refused() {
    let sandbox = Sandbox::start().await;
    sandbox.authorize("pa_1", "tok_success").await;
    assert_eq!(sandbox.post("/charges/pay_1/cancel", "cancel", json!({})).await.status, 200);
    let late = capture(&sandbox, "pay_1", Some(1), false).await;
    assert_eq!((late.status, late.code()), (409, "charge_cancelled"));
}

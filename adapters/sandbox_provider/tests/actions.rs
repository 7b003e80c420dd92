//! The customer's action: the page, approving, declining, doing it twice.

use super::support::{Sandbox, charge_body};
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn completing_the_action_completes_the_charge_once() {
    let sandbox = Sandbox::start().await;
    let charge = sandbox.charge("pay_1", "tok_requires_action").await.body;
    assert_eq!(charge["next_action"]["url"], format!("{}/actions/pay_1", sandbox.url()));
    for _ in 0..2 {
        let done = sandbox.request(Method::POST, "/actions/pay_1/complete").send().await.unwrap();
        assert_eq!(done.status(), 200);
        assert_eq!(done.json::<serde_json::Value>().await.unwrap()["status"], "succeeded");
    }
    assert_eq!(sandbox.kinds("pay_1").await, ["charge"]);
    assert_eq!(sandbox.book("pay_1").await[0]["idempotency_key"], "key-pay_1");
    assert_eq!(sandbox.webhook_types(1).await, ["charge.succeeded"]);
}

#[tokio::test]
async fn an_authorisation_is_authorised_by_the_action() {
    let sandbox = Sandbox::start().await;
    sandbox.authorize("pa_1", "tok_requires_action").await;
    let done = sandbox.post("/actions/pa_1/complete", "unused", json!({ "any": 1 })).await;
    assert_eq!(done.status_field(), "authorized");
}

#[tokio::test]
async fn a_declined_action_fails_the_charge() {
    let sandbox = Sandbox::start().await;
    sandbox.charge("pay_1", "tok_requires_action").await;
    let done = sandbox.post("/actions/pay_1/complete?outcome=decline", "unused", json!({})).await;
    assert_eq!((done.status_field(), &done.body["failure"]["code"]), ("failed", &json!("action_declined")));
    let late = sandbox.post("/actions/pay_1/complete", "unused", json!({})).await;
    assert_eq!((late.status, late.code()), (409, "charge_failed"));
}

#[tokio::test]
async fn what_waits_for_nobody_is_not_completed() {
    let sandbox = Sandbox::start().await;
    sandbox.charge("pay_1", "tok_success").await;
    sandbox.charge("pay_2", "tok_requires_action").await;
    sandbox.post("/charges/pay_2/cancel", "cancel", json!({})).await;
    let table =
        [("pay_0", 404, "charge_not_found"), ("pay_1", 409, "charge_not_waiting"), ("pay_2", 409, "charge_cancelled")];
    for (reference, status, code) in table {
        let reply = sandbox.post(&format!("/actions/{reference}/complete"), "unused", json!({})).await;
        assert_eq!((reply.status, reply.code()), (status, code), "{reference}");
    }
}

#[tokio::test]
async fn the_page_has_a_button_and_leads_back() {
    let sandbox = Sandbox::start().await;
    let reference = "pay_%3Cscript%3E";
    let mut body = charge_body("pay_<script>", "tok_requires_action");
    body["return_url"] = json!("https://shop.example/done?order=1");
    sandbox.post("/charges", "key", body).await;
    let page = sandbox.request(Method::GET, &format!("/actions/{reference}")).send().await.unwrap();
    let html = page.text().await.unwrap();
    assert!(html.contains("<button>Approve</button>") && !html.contains("<script>"), "{html}");
    let path = format!("/actions/{reference}/complete?outcome=approve");
    let clicked = sandbox.request(Method::POST, &path).header("accept", "text/html").send().await.unwrap();
    assert_eq!(
        (clicked.status().as_u16(), &clicked.headers()["location"]),
        (303, &"https://shop.example/done?order=1".parse().unwrap())
    );
    let page = sandbox.request(Method::GET, &format!("/actions/{reference}")).send().await.unwrap();
    assert!(!page.text().await.unwrap().contains("button"));
}

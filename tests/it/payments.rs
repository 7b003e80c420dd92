//! A payment as its merchant sees it: what comes back is what went in, its story, and its end before its time.

use commands::ports::Role as KeyRole;
use reqwest::Method;
use serde_json::{Value, json};

use crate::app::{TestApp, payment};

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_shows_what_was_asked_and_what_came_of_it() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let mut body = payment("tok_success", 10_000);
    body["customer"] = json!({"email": "ada@example.com", "name": "Ada"});
    body["description"] = json!("Two tickets\nand a programme");
    body["metadata"] = json!({"cart": "42", "": ""});
    body["metadata"].as_object_mut().unwrap().remove("");
    body["return_url"] = json!("https://shop.example/back");
    body["expires_in"] = json!(3_600);
    body["channel"] = json!("sandbox");
    let answer = app.post("/payments", &merchant.secret, &body).await;
    assert_eq!(answer.status(), 201);
    let paid: Value = answer.json().await.unwrap();
    for (field, expected) in [
        ("object", json!("payment")),
        ("merchant_id", json!(merchant.id.to_string())),
        ("order_no", body["order_no"].clone()),
        ("amount", json!(10_000)),
        ("currency", json!("USD")),
        ("status", json!("succeeded")),
        ("channel", json!("sandbox")),
        ("amount_captured", json!(10_000)),
        ("amount_refunded", json!(0)),
        ("amount_disputed", json!(0)),
        ("fees", json!({"channel": 100, "markup": 30, "total": 130})),
        ("failure", json!(null)),
        ("next_action", json!(null)),
        ("pre_auth_id", json!(null)),
        ("description", body["description"].clone()),
        ("metadata", json!({"cart": "42"})),
        ("version", json!(2)),
    ] {
        assert_eq!(paid[field], expected, "{field}");
    }
    assert!(paid["channel_reference"].is_string() && paid.get("channel_outcome").is_none());
    let time = |field: &str| paid[field].as_str().unwrap().parse::<domain::Timestamp>().unwrap();
    assert_eq!(time("expires_at").since(time("created_at")).as_secs(), 3_600);
    assert!(time("updated_at") >= time("created_at"));
    assert!(!paid.to_string().contains("ada@example.com") && !paid.to_string().contains("tok_success"));

    let declined = app.pay(&merchant, "tok_insufficient_funds", 10_000).await;
    assert_eq!(
        (&declined["status"], &declined["failure"]["decline_code"]),
        (&json!("failed"), &json!("insufficient_funds"))
    );
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_waits_for_its_customer_can_be_cancelled() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let waiting = app.pay(&merchant, "tok_requires_action", 5_000).await;
    assert_eq!(waiting["next_action"]["type"], "redirect");
    let cancel = format!("/payments/{}/cancel", waiting["id"].as_str().unwrap());
    let request =
        app.request(Method::POST, &cancel, &merchant.secret).header("Idempotency-Key", "c").header("Prefer", "wait=10");
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let cancelled: Value = answer.json().await.unwrap();
    assert_eq!((&cancelled["status"], &cancelled["next_action"]), (&json!("cancelled"), &json!(null)));

    let again = app.post(&cancel, &merchant.secret, &json!({})).await;
    assert_eq!(again.status(), 200, "it is cancelled already");
    let empty = app.request(Method::POST, &cancel, &merchant.secret).header("Idempotency-Key", "e");
    let empty = empty.header("Content-Type", "application/json").send().await.unwrap();
    assert_eq!(empty.status(), 200, "there is nothing to say");
    let paid = app.pay(&merchant, "tok_success", 5_000).await;
    let late =
        app.post(&format!("/payments/{}/cancel", paid["id"].as_str().unwrap()), &merchant.secret, &json!({})).await;
    assert_eq!(late.status(), 409);
    assert_eq!(late.json::<Value>().await.unwrap()["code"], "payment_not_cancellable");

    let mut again = payment("tok_success", 5_000);
    again["order_no"] = waiting["order_no"].clone();
    assert_eq!(app.post("/payments", &merchant.secret, &again).await.status(), 201, "the order number is free again");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_story_tells_everything_but_our_margin_to_merchants() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let auditor = app.key(KeyRole::Auditor, None).await.1;
    let paid = app.pay(&merchant, "tok_success", 10_000).await;
    let id = paid["id"].as_str().unwrap();
    app.post("/refunds", &merchant.secret, &json!({"payment_id": id, "amount": 1_000})).await;
    let path = format!("/payments/{id}/events");
    let types = |story: &Value| -> Vec<String> {
        let events = story["data"].as_array().unwrap().iter().filter(|entry| entry["kind"] == "event");
        events.map(|entry| entry["type"].as_str().unwrap().to_owned()).collect()
    };
    let told = ["payment.created", "payment.captured", "payment.refund_requested", "payment.refund_succeeded"];

    let full = app.get_json(&path, &auditor).await;
    assert_eq!(types(&full), told);
    let captured = full["data"].as_array().unwrap().iter().find(|entry| entry["type"] == "payment.captured").unwrap();
    let legs = captured["postings"].as_array().unwrap();
    let sum = |side: &str| {
        legs.iter().filter(|leg| leg["side"] == side).map(|leg| leg["amount"].as_i64().unwrap()).sum::<i64>()
    };
    assert_eq!((sum("debit"), sum("credit")), (10_230, 10_230));
    assert_eq!(captured["data"]["markup"], 30);

    let story = app.get_json(&path, &merchant.secret).await;
    assert_eq!(types(&story), told);
    let text = story.to_string();
    for ours in ["revenue:", "expense:", "recovery:", "\"markup", "pricing", "sealed", "fee_rate"] {
        assert!(!text.contains(ours), "{ours} in {text}");
    }
    assert!(text.contains(&format!("merchant:{}:pending", merchant.id)));
    app.stop().await;
}

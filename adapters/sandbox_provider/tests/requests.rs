//! Input that is not trusted: shapes, limits, unknown routes; every error is JSON.

use super::support::{Sandbox, charge_body};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_charge_of_a_wrong_shape_is_refused_with_its_field() {
    let sandbox = Sandbox::start().await;
    let table = [
        ("amount", json!(0)),
        ("amount", json!(-1)),
        ("amount", json!(1_000_000_000_000_000_i64)),
        ("currency", json!("usd")),
        ("currency", json!("US")),
        ("currency", json!("DOLLAR")),
        ("reference", json!("")),
        ("reference", json!("with space")),
        ("reference", json!("x".repeat(256))),
        ("token", json!("x".repeat(256))),
        ("return_url", json!("javascript:alert(1)")),
        ("unknown_field", json!(1)),
    ];
    for (field, value) in table {
        let mut body = charge_body("pay_1", "tok_success");
        body[field] = value.clone();
        let reply = sandbox.post("/charges", "key", body).await;
        assert_eq!((reply.status, &reply.body["error"]["field"]), (422, &json!(field)), "{field} {value}");
    }
    for amount in [json!(1.5), json!("100"), json!(1e300), json!(null)] {
        let mut body = charge_body("pay_1", "tok_success");
        body["amount"] = amount.clone();
        assert_eq!(sandbox.post("/charges", "key", body).await.status, 422, "{amount}");
    }
    assert!(sandbox.book("pay_1").await.is_empty());
    // A malformed request leaves its key free.
    assert_eq!(sandbox.post("/charges", "key", charge_body("pay_1", "tok_success")).await.status, 201);
}

#[tokio::test]
async fn errors_are_json_everywhere() {
    let sandbox = Sandbox::start().await;
    let huge = format!("{{\"reference\":\"{}\"}}", "x".repeat(70_000));
    let deep = "[".repeat(50_000);
    let table = [
        (Method::POST, "/charges", Some("key"), "{", 400, "malformed_json"),
        (Method::POST, "/charges", Some("key"), &*deep, 400, "malformed_json"),
        (Method::POST, "/charges", Some("key"), &*huge, 413, "body_too_large"),
        (Method::POST, "/charges", Some("key"), "[]", 422, "invalid_request"),
        (Method::POST, "/charges", None, "{}", 400, "idempotency_key_missing"),
        (Method::POST, "/charges", Some(""), "{}", 400, "idempotency_key_missing"),
        (Method::POST, "/refunds", None, "{}", 400, "idempotency_key_missing"),
        (Method::POST, "/charges/pay_1/cancel", None, "{}", 400, "idempotency_key_missing"),
        (Method::POST, "/charges/pay_1/cancel", Some("key"), "{\"a\":1}", 422, "invalid_request"),
        (Method::POST, "/charges/%FF/cancel", Some("key"), "{}", 400, "invalid_path"),
        (Method::GET, "/charges", None, "", 400, "invalid_query"),
        (Method::GET, "/book?limit=0", None, "", 400, "invalid_query"),
        (Method::GET, "/book?after=-1", None, "", 400, "invalid_query"),
        (Method::GET, "/book?nonsense=1", None, "", 400, "invalid_query"),
        (Method::GET, "/payouts/sbp_1", None, "", 404, "payout_not_found"),
        (Method::GET, "/nowhere", None, "", 404, "route_not_found"),
        (Method::DELETE, "/charges", None, "", 405, "method_not_allowed"),
    ];
    for (method, path, key, body, status, code) in table {
        let mut request = sandbox.request(method.clone(), path).body(body.to_owned());
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{method} {path}");
        let json: Value = answer.json().await.unwrap();
        assert_eq!(json["error"]["code"], code, "{method} {path}");
    }
}

#[tokio::test]
async fn the_whole_book_is_read_in_pages() {
    let sandbox = Sandbox::start().await;
    for number in 0..7 {
        sandbox.charge(&format!("pay_{number}"), "tok_success").await;
    }
    let (mut seen, mut after) = (Vec::new(), json!(0));
    while !after.is_null() {
        let page = sandbox.get(&format!("/book?after={after}&limit=3")).await.body;
        seen.extend(page["data"].as_array().unwrap().iter().map(|operation| operation["seq"].as_u64().unwrap()));
        after = page["next_after"].clone();
    }
    assert_eq!(seen, [1, 2, 3, 4, 5, 6, 7]);
}

#[tokio::test]
async fn the_latency_delays_each_answer() {
    let latency = Duration::from_millis(80);
    let sandbox = Sandbox::start_with(|config| config.latency = latency).await;
    for path in ["/health", "/book", "/nowhere"] {
        let began = Instant::now();
        sandbox.get(path).await;
        assert!(began.elapsed() >= latency, "{path}");
    }
}

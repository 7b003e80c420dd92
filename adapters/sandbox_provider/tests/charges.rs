//! Charges: what each token answers, idempotency, one effect however often it is called.

use super::support::{Sandbox, charge_body, until};
use crate::sandbox_provider::tokens::TOKENS;
use serde_json::{Value, json};

#[tokio::test]
async fn each_token_answers_as_published() {
    let sandbox = Sandbox::start().await;
    let table = [
        ("tok_success", "succeeded", Value::Null, Value::Null),
        ("tok_declined", "failed", json!("card_declined"), json!("declined")),
        ("tok_insufficient_funds", "failed", json!("card_declined"), json!("insufficient_funds")),
        ("tok_expired_card", "failed", json!("card_declined"), json!("expired_card")),
        ("4242424242424242", "failed", json!("invalid_token"), Value::Null),
        ("tok_requires_action", "requires_action", Value::Null, Value::Null),
        ("tok_async", "pending", Value::Null, Value::Null),
        ("tok_duplicate_webhooks", "succeeded", Value::Null, Value::Null),
        ("tok_webhook_lost", "succeeded", Value::Null, Value::Null),
        ("tok_refund_fails", "succeeded", Value::Null, Value::Null),
        ("tok_refund_fails_late", "succeeded", Value::Null, Value::Null),
        ("tok_dispute", "succeeded", Value::Null, Value::Null),
        ("tok_dispute_won", "succeeded", Value::Null, Value::Null),
        ("tok_dispute_lost", "succeeded", Value::Null, Value::Null),
    ];
    for (token, status, code, decline_code) in table {
        let reply = sandbox.charge(&format!("pay_{token}"), token).await;
        assert_eq!((reply.status, reply.status_field()), (201, status), "{token}");
        assert_eq!(reply.body["failure"]["code"], code, "{token}");
        assert_eq!(reply.body["failure"]["decline_code"], decline_code, "{token}");
        let is_charged = status == "succeeded";
        assert_eq!(reply.body["fee"], if is_charged { 10 } else { 0 }, "{token}");
        assert_eq!(reply.body["amount_captured"], if is_charged { 1000 } else { 0 }, "{token}");
    }
    let elsewhere = ["tok_timeout_charged", "tok_timeout_uncharged", "tok_error_then_success"];
    let covered = |name: &str| elsewhere.contains(&name) || table_has(name);
    assert!(TOKENS.iter().all(|(name, _)| covered(name)), "a token without a test");

    fn table_has(name: &str) -> bool {
        !matches!(name, "tok_timeout_charged" | "tok_timeout_uncharged" | "tok_error_then_success")
    }
}

#[tokio::test]
async fn each_token_authorizes_without_capturing() {
    let sandbox = Sandbox::start().await;
    for (token, status) in [("tok_success", "authorized"), ("tok_declined", "failed"), ("tok_async", "pending")] {
        let reply = sandbox.authorize(&format!("pa_{token}"), token).await;
        assert_eq!((reply.status_field(), &reply.body["amount_captured"]), (status, &json!(0)), "{token}");
    }
    until(|| async { sandbox.charge_status("pa_tok_async").await == "authorized" }).await;
    assert_eq!(sandbox.kinds("pa_tok_async").await, ["authorization"]);
    assert_eq!(sandbox.kinds("pa_tok_declined").await, Vec::<String>::new());
}

#[tokio::test]
async fn the_fee_is_one_percent_rounded_half_up() {
    let sandbox = Sandbox::start().await;
    let table = [(1, 0), (49, 0), (50, 1), (149, 1), (150, 2), (999_999_999_999_999_i64, 10_000_000_000_000_i64)];
    for (amount, fee) in table {
        let reference = format!("pay_{amount}");
        let mut body = charge_body(&reference, "tok_success");
        body["amount"] = json!(amount);
        assert_eq!(sandbox.post("/charges", &reference, body).await.body["fee"], fee, "{amount}");
    }
}

#[tokio::test]
async fn the_same_key_gives_the_same_answer_and_one_effect() {
    let sandbox = Sandbox::start().await;
    let first = sandbox.charge("pay_1", "tok_success").await;
    sandbox.refund("re_1", "pay_1", 300).await;
    let again = sandbox.charge("pay_1", "tok_success").await;
    assert_eq!((first.status, first.body), (again.status, again.body));
    assert_eq!(sandbox.kinds("pay_1").await, ["charge"]);

    let mut other = charge_body("pay_1", "tok_success");
    other["amount"] = json!(999);
    let reused = sandbox.post("/charges", "key-pay_1", other).await;
    assert_eq!((reused.status, reused.code()), (422, "idempotency_key_reused"));
    let elsewhere = sandbox.post("/charges/pay_1/cancel", "key-pay_1", json!({})).await;
    assert_eq!((elsewhere.status, elsewhere.code()), (422, "idempotency_key_reused"));
}

#[tokio::test]
async fn a_reference_is_charged_once_whatever_the_key() {
    let sandbox = Sandbox::start().await;
    let first = sandbox.charge("pay_1", "tok_success").await;
    let second = sandbox.post("/charges", "another-key", charge_body("pay_1", "tok_success")).await;
    assert_eq!((second.status, second.code()), (409, "reference_in_use"));
    assert_eq!(second.body["charge"]["id"], first.body["id"]);
    assert_eq!(sandbox.kinds("pay_1").await, ["charge"]);
}

#[tokio::test]
async fn fifty_identical_calls_take_effect_once() {
    let sandbox = Sandbox::start().await;
    let calls = (0..50).map(|_| sandbox.charge("pay_1", "tok_success"));
    let replies = futures::future::join_all(calls).await;
    for reply in &replies {
        assert_eq!((reply.status, &reply.body), (201, &replies[0].body));
    }
    let book = sandbox.book("pay_1").await;
    assert_eq!(book.len(), 1);
    assert_eq!((&book[0]["idempotency_key"], &book[0]["amount"]), (&json!("key-pay_1"), &json!(1000)));
    assert_eq!((&book[0]["fee"], &book[0]["currency"]), (&json!(10), &json!("USD")));
}

#[tokio::test]
async fn an_async_charge_gets_its_result_later() {
    let sandbox = Sandbox::start().await;
    let reply = sandbox.charge("pay_1", "tok_async").await;
    assert_eq!(reply.status_field(), "pending");
    assert_eq!(sandbox.webhook_types(1).await, ["charge.succeeded"]);
    assert_eq!(sandbox.charge_status("pay_1").await, "succeeded");
    assert_eq!(sandbox.kinds("pay_1").await, ["charge"]);
    let again = sandbox.charge("pay_1", "tok_async").await;
    assert_eq!(again.body, reply.body);
}

#[tokio::test]
async fn a_charge_is_found_by_reference_and_by_id() {
    let sandbox = Sandbox::start().await;
    let charge = sandbox.charge("pay_1", "tok_success").await.body;
    let id = charge["id"].as_str().unwrap();
    assert!(id.starts_with("sbc_"));
    for path in [format!("/charges/{id}"), "/charges/pay_1".into(), "/charges?reference=pay_1".into()] {
        assert_eq!(sandbox.get(&path).await.body, charge, "{path}");
    }
    for path in ["/charges/pay_2", "/charges?reference=pay_2", "/charges/sbc_0", "/charges/sbc_%C3%A9"] {
        assert!(matches!(sandbox.get(path).await.status, 400 | 404), "{path}");
    }
}

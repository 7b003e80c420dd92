//! A repeat of a request gets the first answer, byte for byte, and changes nothing.

use commands::ports::Role;
use futures::future::join_all;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::{TestApp, payment};

/// POSTs without `Prefer`.
async fn post(app: &TestApp, path: &str, secret: &str, key: &str, body: &Value) -> Response {
    app.request(Method::POST, path, secret).header("Idempotency-Key", key).json(body).send().await.unwrap()
}

fn is_hit(answer: &Response) -> bool {
    answer.headers().get("idempotency-hit").is_some_and(|value| value == "true")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_gets_the_first_answer_also_after_the_object_has_moved_on() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let body = payment("tok_success", 10_000);
    let first = post(&app, "/payments", &merchant.secret, "key-1", &body).await;
    assert_eq!((first.status().as_u16(), is_hit(&first)), (201, false));
    let position = first.headers()["ledger-position"].clone();
    let first = first.bytes().await.unwrap();
    let created: Value = serde_json::from_slice(&first).unwrap();
    assert_eq!((&created["status"], &created["version"]), (&json!("processing"), &json!(1)));
    let id = created["id"].as_str().unwrap();
    app.payment_until(&merchant, id, "it succeeds", |payment| payment["status"] == "succeeded").await;

    let waited = app.post_keyed("/payments", &merchant.secret, "key-1", &body).await;
    assert!(is_hit(&waited));
    assert_eq!(waited.headers()["preference-applied"], "wait=10");
    let waited = waited.bytes().await.unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&waited).unwrap()["status"], "succeeded");
    let refund = json!({"payment_id": id, "amount": 4_000});
    let refunded = app.post_keyed("/refunds", &merchant.secret, "key-2", &refund).await;
    assert_eq!(refunded.status(), 201);
    let refunded = refunded.bytes().await.unwrap();

    let reordered = json!({"payment_method": body["payment_method"], "currency": "USD", "amount": 10_000, "order_no": body["order_no"]});
    for body in [&body, &reordered] {
        let again = post(&app, "/payments", &merchant.secret, "key-1", body).await;
        assert_eq!((again.status().as_u16(), is_hit(&again)), (201, true));
        assert_eq!(again.headers()["ledger-position"], position);
        assert_eq!(again.bytes().await.unwrap(), first);
    }
    let again = app.post_keyed("/payments", &merchant.secret, "key-1", &body).await;
    assert_eq!(again.bytes().await.unwrap(), waited, "equal bytes for the same Prefer");
    let again = app.post_keyed("/refunds", &merchant.secret, "key-2", &refund).await;
    assert_eq!(again.bytes().await.unwrap(), refunded);
    assert_eq!(app.get_json(&format!("/payments/{id}"), &merchant.secret).await["amount_refunded"], 4_000);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_replayed_and_a_malformed_request_is_not() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let body = payment("tok_success", 10_000);
    let id = app.post_keyed("/payments", &merchant.secret, "taken", &body).await.json::<Value>().await.unwrap()["id"]
        .clone();

    let first = post(&app, "/payments", &merchant.secret, "refused", &body).await;
    assert_eq!((first.status().as_u16(), is_hit(&first)), (409, false));
    let first = first.bytes().await.unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&first).unwrap()["code"], "order_no_in_use");
    let again = post(&app, "/payments", &merchant.secret, "refused", &body).await;
    assert_eq!((again.status().as_u16(), is_hit(&again)), (409, true));
    assert_eq!(again.bytes().await.unwrap(), first);

    let too_much = json!({"payment_id": id, "amount": 10_001});
    let first = post(&app, "/refunds", &merchant.secret, "too-much", &too_much).await;
    assert_eq!(first.status(), 422);
    let first = first.bytes().await.unwrap();
    let again = post(&app, "/refunds", &merchant.secret, "too-much", &too_much).await;
    assert!(is_hit(&again));
    assert_eq!(again.bytes().await.unwrap(), first);

    let malformed = json!({"payment_id": id, "amount": 0});
    assert_eq!(post(&app, "/refunds", &merchant.secret, "second-try", &malformed).await.status(), 422);
    let corrected = json!({"payment_id": id, "amount": 1});
    let corrected = post(&app, "/refunds", &merchant.secret, "second-try", &corrected).await;
    assert_eq!((corrected.status().as_u16(), is_hit(&corrected)), (201, false));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_means_one_request_of_one_merchant() {
    let app = TestApp::start().await;
    let (merchant, other) = (app.merchant().await, app.merchant().await);
    let body = payment("tok_success", 10_000);
    let created: Value = post(&app, "/payments", &merchant.secret, "k", &body).await.json().await.unwrap();
    let refund = json!({"payment_id": created["id"]});
    for (path, body) in [("/payments", &payment("tok_success", 10_000)), ("/refunds", &refund)] {
        let reused = post(&app, path, &merchant.secret, "k", body).await;
        assert_eq!(reused.status(), 422, "{path}");
        assert_eq!(reused.json::<Value>().await.unwrap()["code"], "idempotency_key_reused");
    }
    let elsewhere = post(&app, "/payments", &other.secret, "k", &body).await;
    assert_eq!((elsewhere.status().as_u16(), is_hit(&elsewhere)), (201, false));
    let (_, second_key) = app.key(Role::Merchant, Some(merchant.id)).await;
    assert!(is_hit(&post(&app, "/payments", &second_key, "k", &body).await), "the scope is the merchant, not its key");

    let cancel = format!("/payments/{}/cancel", created["id"].as_str().unwrap());
    for (path, body) in [("/payments", Some(&body)), ("/refunds", Some(&refund)), (cancel.as_str(), None)] {
        let request = app.request(Method::POST, path, &merchant.secret);
        let request = if let Some(body) = body { request.json(body) } else { request };
        let answer = request.try_clone().unwrap().send().await.unwrap();
        assert_eq!(answer.status(), 400, "{path}");
        assert_eq!(answer.json::<Value>().await.unwrap()["code"], "idempotency_key_missing");
        let answer = request.header("Idempotency-Key", "two words").send().await.unwrap();
        assert_eq!(answer.json::<Value>().await.unwrap()["code"], "idempotency_key_invalid", "{path}");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_one_is_done_and_the_others_are_told() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let body = payment("tok_success", 10_000);
    let answers = join_all((0..30).map(|_| post(&app, "/payments", &merchant.secret, "same", &body))).await;
    let mut created = vec![];
    for answer in answers {
        match answer.status().as_u16() {
            201 => created.push((is_hit(&answer), answer.bytes().await.unwrap())),
            409 => assert_eq!(answer.json::<Value>().await.unwrap()["code"], "idempotency_key_in_flight"),
            status => panic!("{status}"),
        }
    }
    assert_eq!(created.iter().filter(|(hit, _)| !hit).count(), 1);
    assert!(created.iter().all(|(_, body)| *body == created[0].1));
    let id = serde_json::from_slice::<Value>(&created[0].1).unwrap()["id"].clone();
    app.payment_until(&merchant, id.as_str().unwrap(), "it succeeds", |payment| payment["status"] == "succeeded").await;
    assert_eq!(app.book(id.as_str().unwrap()).await.len(), 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keyed_operations_outside_the_log_are_done_once() {
    let app = TestApp::start().await;
    let (admin, operator) = (app.key(Role::Admin, None).await.1, app.key(Role::Operator, None).await.1);
    let body = json!({"role": "auditor", "principal": "ada"});
    let first = post(&app, "/keys", &admin, "k-1", &body).await;
    assert_eq!((first.status().as_u16(), is_hit(&first)), (201, false));
    let first: Value = first.json().await.unwrap();
    assert!(first["secret"].as_str().unwrap().starts_with("sk_"));
    let again = post(&app, "/keys", &admin, "k-1", &body).await;
    assert_eq!((again.status().as_u16(), is_hit(&again)), (201, true));
    let again: Value = again.json().await.unwrap();
    assert_eq!((&again["key_id"], again.get("secret")), (&first["key_id"], None));
    assert_eq!(post(&app, "/keys", &admin, "k-1", &json!({"role": "finance"})).await.status(), 422);

    let merchant = json!({"name": "Acme", "tier": "business", "pricing": "blended"});
    let first = post(&app, "/merchants", &admin, "m-1", &merchant).await;
    assert_eq!(first.status(), 201);
    let first = first.bytes().await.unwrap();
    let again = post(&app, "/merchants", &admin, "m-1", &merchant).await;
    assert!(is_hit(&again));
    assert_eq!(again.bytes().await.unwrap(), first);

    let first = post(&app, "/projections/orders/rebuild", &operator, "r-1", &json!({})).await;
    assert_eq!((first.status().as_u16(), is_hit(&first)), (202, false));
    let first = first.bytes().await.unwrap();
    let again = post(&app, "/projections/orders/rebuild", &operator, "r-1", &json!({})).await;
    assert_eq!((again.status().as_u16(), is_hit(&again)), (202, true));
    assert_eq!(again.bytes().await.unwrap(), first);
    let reused = post(&app, "/projections/refunds/rebuild", &operator, "r-1", &json!({})).await;
    assert_eq!(reused.json::<Value>().await.unwrap()["code"], "idempotency_key_reused");
    let unknown = post(&app, "/projections/nothing/rebuild", &operator, &Uuid::new_v4().to_string(), &json!({})).await;
    assert_eq!(unknown.status(), 404);
    app.stop().await;
}

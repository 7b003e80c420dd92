//! Pre-auths as their merchant sees them: money held, captured in parts, given back; never more than was held.

use std::time::Duration;

use commands::ports::Role as KeyRole;
use domain::pricing::{RefundFeePolicy, Tier};
use futures::future::join_all;
use serde_json::{Value, json};
use test_support::wait::until;

use crate::app::{TestApp, TestMerchant, payment};

impl TestApp {
    /// Money held with this token, waited for.
    pub async fn hold(&self, merchant: &TestMerchant, token: &str, amount: i64) -> Value {
        let answer = self.post("/pre-auths", &merchant.secret, &payment(token, amount)).await;
        assert_eq!(answer.status(), 201);
        answer.json().await.unwrap()
    }

    /// An action on a pre-auth and what it answers.
    pub async fn on_hold(&self, merchant: &TestMerchant, held: &Value, action: &str, body: &Value) -> (u16, Value) {
        let path = format!("/pre-auths/{}/{action}", held["id"].as_str().unwrap());
        let answer = self.post(&path, &merchant.secret, body).await;
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn holding(&self, merchant: &TestMerchant, held: &Value) -> Value {
        self.get_json(&format!("/pre-auths/{}", held["id"].as_str().unwrap()), &merchant.secret).await
    }

    /// What the books say is held: debits less credits of `memo:auth:sandbox`.
    async fn held_in_the_books(&self, auditor: &str) -> i64 {
        let books = self.fresh("/ledger/trial-balance", auditor).await;
        let accounts =
            books["currencies"].as_array().unwrap().iter().flat_map(|one| one["accounts"].as_array().unwrap());
        let memo = accounts.filter(|line| line["account"] == "memo:auth:sandbox");
        memo.map(|line| line["balance"].as_i64().unwrap()).sum()
    }
}

#[track_caller]
fn assert_sums(held: &Value, status: &str, [captured, capturable, released]: [i64; 3]) {
    let sums = ["amount_captured", "amount_capturable", "amount_released"].map(|field| held[field].as_i64().unwrap());
    assert_eq!((held["status"].as_str().unwrap(), sums), (status, [captured, capturable, released]), "{held}");
}

#[tokio::test(flavor = "multi_thread")]
async fn money_is_held_captured_in_parts_and_the_rest_given_back() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let (_, auditor) = app.key(KeyRole::Auditor, None).await;
    let mut body = payment("tok_success", 10_000);
    body["description"] = json!("Room 7");
    body["metadata"] = json!({"stay": "42"});
    let held: Value = app.post("/pre-auths", &merchant.secret, &body).await.json().await.unwrap();
    for (field, expected) in [
        ("object", json!("pre_auth")),
        ("order_no", body["order_no"].clone()),
        ("amount", json!(10_000)),
        ("amount_authorized", json!(10_000)),
        ("currency", json!("USD")),
        ("channel", json!("sandbox")),
        ("captures", json!([])),
        ("failure", json!(null)),
        ("next_action", json!(null)),
        ("description", json!("Room 7")),
        ("metadata", json!({"stay": "42"})),
        ("version", json!(2)),
    ] {
        assert_eq!(held[field], expected, "{field}");
    }
    assert_sums(&held, "authorized", [0, 10_000, 0]);
    assert!(held["id"].as_str().unwrap().starts_with("pa_") && held["channel_reference"].is_string());
    let time = |field: &str| held[field].as_str().unwrap().parse::<domain::Timestamp>().unwrap();
    assert_eq!(time("expires_at").since(time("created_at")).as_secs(), 7 * 24 * 3_600);
    assert_eq!(app.held_in_the_books(&auditor).await, 10_000);

    let (status, part) = app.on_hold(&merchant, &held, "capture", &json!({"amount": 3_000})).await;
    assert_eq!(status, 200, "{part}");
    assert_sums(&part, "partially_captured", [3_000, 7_000, 0]);
    let first = part["captures"][0].as_str().unwrap();
    let paid = app.get_json(&format!("/payments/{first}"), &merchant.secret).await;
    for (field, expected) in [
        ("status", json!("succeeded")),
        ("amount", json!(3_000)),
        ("amount_captured", json!(3_000)),
        ("pre_auth_id", held["id"].clone()),
        ("order_no", body["order_no"].clone()),
        ("fees", json!({"channel": 30, "markup": 9, "total": 39})),
        ("description", json!("Room 7")),
        ("metadata", json!({"stay": "42"})),
    ] {
        assert_eq!(paid[field], expected, "{field}");
    }
    assert_eq!(app.book(first).await.len(), 1);
    assert_eq!(app.held_in_the_books(&auditor).await, 7_000);

    let (status, refused) = app.on_hold(&merchant, &held, "capture", &json!({"amount": 7_001})).await;
    assert_eq!((status, &refused["code"]), (422, &json!("capture_exceeds_authorized")));
    assert_eq!(refused["pointer"], "/amount");

    let (status, last) = app.on_hold(&merchant, &held, "capture", &json!({"amount": 2_000, "final": true})).await;
    assert_eq!(status, 200, "{last}");
    assert_sums(&last, "captured", [5_000, 0, 5_000]);
    let ended = app.holding(&merchant, &held).await;
    assert_sums(&ended, "captured", [5_000, 0, 5_000]);
    assert_eq!(app.held_in_the_books(&auditor).await, 0);
    for action in ["capture", "cancel"] {
        let (status, refused) = app.on_hold(&merchant, &held, action, &json!({})).await;
        let code = format!("pre_auth_not_{}", if action == "capture" { "capturable" } else { "cancellable" });
        assert_eq!((status, refused["code"].as_str().unwrap()), (409, code.as_str()));
    }
    let id = held["id"].as_str().unwrap();
    until("the channel holds nothing any more", Duration::from_secs(20), || async {
        let kinds: Vec<Value> = app.book(id).await.into_iter().map(|operation| operation["kind"].clone()).collect();
        (kinds == [json!("authorization"), json!("cancel")]).then_some(())
    })
    .await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capture_is_a_payment_like_any_other_but_cannot_be_cancelled() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let held = app.hold(&merchant, "tok_success", 10_000).await;
    let (_, part) = app.on_hold(&merchant, &held, "capture", &json!({"amount": 4_000})).await;
    let id = part["captures"][0].as_str().unwrap();
    let refund = json!({"payment_id": id, "amount": 1_500});
    let refund: Value = app.post("/refunds", &merchant.secret, &refund).await.json().await.unwrap();
    assert_eq!(refund["status"], "succeeded", "{refund}");
    let too_much = app.post("/refunds", &merchant.secret, &json!({"payment_id": id, "amount": 2_501})).await;
    assert_eq!(too_much.status(), 422);
    let cancel = app.post(&format!("/payments/{id}/cancel"), &merchant.secret, &json!({})).await;
    assert_eq!(cancel.status(), 409);
    // A refund does not make the money capturable again.
    assert_sums(&app.holding(&merchant, &held).await, "partially_captured", [4_000, 6_000, 0]);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_gives_back_what_is_held_and_frees_the_order() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let body = payment("tok_success", 10_000);
    let held: Value = app.post("/pre-auths", &merchant.secret, &body).await.json().await.unwrap();
    for path in ["/payments", "/pre-auths"] {
        let taken = app.post(path, &merchant.secret, &body).await;
        assert_eq!(taken.status(), 409, "{path}");
        assert_eq!(taken.json::<Value>().await.unwrap()["code"], "order_no_in_use");
    }
    let (status, cancelled) = app.on_hold(&merchant, &held, "cancel", &json!({})).await;
    assert_eq!(status, 200);
    assert_sums(&cancelled, "cancelled", [0, 0, 10_000]);
    assert_eq!(app.on_hold(&merchant, &held, "cancel", &json!({})).await.0, 200, "it is cancelled already");
    assert_eq!(app.on_hold(&merchant, &held, "capture", &json!({})).await.0, 409);
    let again = app.post("/pre-auths", &merchant.secret, &body).await;
    assert_eq!(again.status(), 201, "the order number is free again");
    let again: Value = again.json().await.unwrap();
    app.on_hold(&merchant, &again, "capture", &json!({"amount": 1})).await;
    app.on_hold(&merchant, &again, "cancel", &json!({})).await;
    assert_sums(&app.holding(&merchant, &again).await, "captured", [1, 0, 9_999]);
    assert_eq!(app.post("/payments", &merchant.secret, &body).await.status(), 409, "the order is paid for");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_choose_what_becomes_of_an_authorisation() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let declined = app.hold(&merchant, "tok_insufficient_funds", 500).await;
    assert_eq!(
        (&declined["status"], &declined["failure"]["decline_code"]),
        (&json!("failed"), &json!("insufficient_funds"))
    );
    let waiting = app.hold(&merchant, "tok_requires_action", 500).await;
    assert_eq!((&waiting["status"], &waiting["next_action"]["type"]), (&json!("requires_action"), &json!("redirect")));
    assert_eq!(app.on_hold(&merchant, &waiting, "capture", &json!({})).await.0, 409);
    let url = waiting["next_action"]["url"].as_str().unwrap();
    app.http.post(format!("{url}/complete")).send().await.unwrap().error_for_status().unwrap();
    for (token, held) in [
        ("tok_requires_action", waiting),
        ("tok_async", app.hold(&merchant, "tok_async", 500).await),
        ("tok_timeout_charged", app.hold(&merchant, "tok_timeout_charged", 500).await),
        ("tok_error_then_success", app.hold(&merchant, "tok_error_then_success", 500).await),
    ] {
        until(token, Duration::from_secs(30), || async {
            (app.holding(&merchant, &held).await["status"] == "authorized").then_some(())
        })
        .await;
        assert_eq!(app.book(held["id"].as_str().unwrap()).await.len(), 1, "{token}");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_captures_at_once_as_many_are_made_as_money_is_held() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let held = app.hold(&merchant, "tok_success", 10_000).await;
    let path = format!("/pre-auths/{}/capture", held["id"].as_str().unwrap());
    let body = json!({"amount": 300});
    let answers = join_all((0..50).map(|_| app.post(&path, &merchant.secret, &body))).await;
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status().as_u16()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 33, "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 422].contains(status)), "{statuses:?}");
    let ended = until("all 33 are made", Duration::from_secs(30), || async {
        let held = app.holding(&merchant, &held).await;
        (held["amount_captured"] == 9_900).then_some(held)
    })
    .await;
    assert_sums(&ended, "partially_captured", [9_900, 100, 0]);
    let captures = ended["captures"].as_array().unwrap();
    assert_eq!(captures.len(), 33);
    for capture in captures {
        assert_eq!(app.book(capture.as_str().unwrap()).await.len(), 1);
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_gets_the_first_answer_also_after_more_was_captured() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let held = app.hold(&merchant, "tok_success", 10_000).await;
    let path = format!("/pre-auths/{}/capture", held["id"].as_str().unwrap());
    let first = app.post_keyed(&path, &merchant.secret, "first", &json!({"amount": 100})).await.text().await.unwrap();
    app.on_hold(&merchant, &held, "capture", &json!({"amount": 200})).await;
    let again = app.post_keyed(&path, &merchant.secret, "first", &json!({"amount": 100})).await;
    assert_eq!(again.headers()["idempotency-hit"], "true");
    assert_eq!(again.text().await.unwrap(), first);
    let reused = app.post_keyed(&path, &merchant.secret, "first", &json!({"amount": 101})).await;
    assert_eq!(reused.status(), 422);
    assert_sums(&app.holding(&merchant, &held).await, "partially_captured", [300, 9_700, 0]);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_allowed_is_refused_and_holds_nothing() {
    let app = TestApp::start().await;
    let (merchant, other) = (app.merchant().await, app.merchant().await);
    let small = app.merchant_with(Tier::Business, RefundFeePolicy::Retain).await;
    let refused = app.post("/pre-auths", &small.secret, &payment("tok_success", 500)).await;
    assert_eq!(refused.status(), 422);
    assert_eq!(refused.json::<Value>().await.unwrap()["code"], "pre_auth_not_enabled");

    let held = app.hold(&merchant, "tok_success", 500).await;
    for (action, body, expected, code) in [
        ("capture", json!({"amount": 0}), 422, "invalid_amount"),
        ("capture", json!({"amount": 501}), 422, "capture_exceeds_authorized"),
        ("capture", json!({"final": "yes"}), 422, "invalid_field"),
        ("capture", json!({"amuont": 1}), 422, "unknown_field"),
        ("cancel", json!({"amount": 1}), 422, "unknown_field"),
    ] {
        let (status, problem) = app.on_hold(&merchant, &held, action, &body).await;
        assert_eq!((status, problem["code"].as_str().unwrap()), (expected, code), "{body}");
    }
    for action in ["capture", "cancel"] {
        let (status, problem) = app.on_hold(&other, &held, action, &json!({})).await;
        assert_eq!((status, &problem["code"]), (404, &json!("pre_auth_not_found")), "another merchant's {action}");
        let nobody = json!({"id": "pa_00000000000000000000000001"});
        assert_eq!(app.on_hold(&merchant, &nobody, action, &json!({})).await.0, 404);
    }
    let path = format!("/pre-auths/{}", held["id"].as_str().unwrap());
    assert_eq!(app.get(&path, &other.secret).await.status(), 404);
    assert_eq!(app.get("/pre-auths/pa_1", &merchant.secret).await.status(), 404);
    assert_sums(&app.holding(&merchant, &held).await, "authorized", [0, 500, 0]);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pre_auths_are_listed_and_equal_their_rebuild() {
    let app = TestApp::start().await;
    let (merchant, other) = (app.merchant().await, app.merchant().await);
    let (_, finance) = app.key(KeyRole::Finance, None).await;
    let first = app.hold(&merchant, "tok_success", 500).await;
    let second = app.hold(&merchant, "tok_declined", 700).await;
    app.hold(&other, "tok_success", 900).await;
    app.on_hold(&merchant, &first, "capture", &json!({"amount": 100})).await;
    let ids = |list: &Value| -> Vec<Value> {
        list["data"].as_array().unwrap().iter().map(|object| object["id"].clone()).collect()
    };
    for (query, expected) in [
        ("", vec![&second["id"], &first["id"]]),
        ("?status=failed", vec![&second["id"]]),
        ("?status=partially_captured", vec![&first["id"]]),
        ("?amount_max=500", vec![&first["id"]]),
        ("?currency=JPY", vec![]),
    ] {
        let list = app.fresh(&format!("/pre-auths{query}"), &merchant.secret).await;
        assert_eq!(ids(&list).iter().collect::<Vec<_>>(), expected, "{query}");
    }
    assert_eq!(ids(&app.fresh("/pre-auths", &finance).await).len(), 3);
    assert_eq!(app.get("/pre-auths?status=melted", &merchant.secret).await.status(), 400);
    assert_eq!(app.get("/pre-auths?state=failed", &merchant.secret).await.status(), 400);
    let shown =
        app.fresh(&format!("/pre-auths?order_no={}", first["order_no"].as_str().unwrap()), &merchant.secret).await;
    assert_eq!(shown["data"][0], app.holding(&merchant, &first).await, "a list shows what a look-up shows");
    let verified = projections::verify::verify(&app.ledger.reader, app.ledger.store.as_ref(), "pre_auths").await;
    let verified = verified.unwrap().unwrap();
    assert!(verified.is_clean() && verified.checked == 3, "{verified:?}");
    app.stop().await;
}

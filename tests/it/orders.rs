//! Orders that are made before they are paid: their whole life over HTTP, every refusal, and many payments at once.

use std::time::Duration;

use commands::Issued;
use commands::order::{Orders, PayOrder};
use commands::payment::PaymentDetails;
use commands::ports::Role as KeyRole;
use domain::PaymentId;
use futures::future::join_all;
use serde_json::{Value, json};
use test_support::wait::until;
use uuid::Uuid;

use crate::app::{TestApp, TestMerchant, payment};
use crate::audit::everything_holds;

/// Two teapots and a tray: 10000 in all.
fn tea() -> Value {
    json!({
        "order_no": format!("O-{}", Uuid::now_v7().simple()),
        "currency": "USD",
        "items": [
            {"name": "Teapot for Ada", "sku": "TP-1", "quantity": 2, "unit_amount": 4_000},
            {"name": "Tray", "quantity": 1, "unit_amount": 2_000},
        ],
        "total": 10_000,
    })
}

fn by(token: &str) -> Value {
    json!({"payment_method": {"type": "card", "token": token}})
}

fn part(token: &str, amount: i64) -> Value {
    json!({"payment_method": {"type": "card", "token": token}, "amount": amount})
}

fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

impl TestApp {
    /// The number of an order that was made.
    async fn order(&self, merchant: &TestMerchant) -> String {
        let made = self.post("/orders", &merchant.secret, &tea()).await;
        assert_eq!(made.status(), 201);
        made.json::<Value>().await.unwrap()["order_no"].as_str().unwrap().to_owned()
    }

    /// An action on an order and what it answers.
    async fn on_order(&self, merchant: &TestMerchant, order_no: &str, action: &str, body: &Value) -> (u16, Value) {
        let answer = self.post(&format!("/orders/{order_no}/{action}"), &merchant.secret, body).await;
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn order_now(&self, merchant: &TestMerchant, order_no: &str) -> Value {
        self.fresh(&format!("/orders/{order_no}"), &merchant.secret).await
    }

    /// The order once it looks like this.
    async fn order_until(
        &self,
        merchant: &TestMerchant,
        order_no: &str,
        what: &str,
        is: impl Fn(&Value) -> bool,
    ) -> Value {
        until(what, Duration::from_secs(30), || async {
            let order = self.order_now(merchant, order_no).await;
            is(&order).then_some(order)
        })
        .await
    }
}

/// What is in flight, paid, refunded and left.
#[track_caller]
fn assert_sums(order: &Value, status: &str, expected: [i64; 4]) {
    let fields = ["amount_in_flight", "amount_paid", "amount_refunded", "amount_left"];
    let sums = fields.map(|field| order[field].as_i64().unwrap());
    assert_eq!((order["status"].as_str().unwrap(), sums), (status, expected), "{order}");
}

#[track_caller]
fn assert_refused((status, problem): (u16, Value), expected: (u16, &str, Option<&str>)) {
    let told = (status, problem["code"].as_str().unwrap_or_default(), problem["pointer"].as_str());
    assert_eq!(told, expected, "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_made_paid_shipped_completed_and_refunded() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let body = with(with(tea(), "description", json!("A present")), "metadata", json!({"shop": "7"}));
    let made = app.post("/orders", &merchant.secret, &body).await;
    assert_eq!(made.status(), 201);
    let made: Value = made.json().await.unwrap();
    let order_no = made["order_no"].as_str().unwrap();
    for (field, expected) in [
        ("object", json!("order")),
        ("order_no", body["order_no"].clone()),
        ("merchant_id", json!(merchant.id.to_string())),
        ("amount", json!(10_000)),
        ("currency", json!("USD")),
        ("channel", json!(null)),
        ("payment_ids", json!([])),
        ("refund_ids", json!([])),
        ("fulfilment", json!("open")),
        ("description", json!("A present")),
        ("metadata", json!({"shop": "7"})),
        ("version", json!(1)),
    ] {
        assert_eq!(made[field], expected, "{field}");
    }
    assert!(made["id"].as_str().unwrap().starts_with("ord_"));
    let teapot = json!({"name": "Teapot for Ada", "sku": "TP-1", "quantity": 2, "unit_amount": 4_000, "amount": 8_000});
    let tray = json!({"name": "Tray", "sku": null, "quantity": 1, "unit_amount": 2_000, "amount": 2_000});
    assert_eq!(made["items"], json!([teapot, tray]));
    assert_sums(&made, "pending", [0, 0, 0, 10_000]);
    assert_eq!(app.order_now(&merchant, order_no).await, made, "the read model tells the same");

    let (status, first) = app.on_order(&merchant, order_no, "pay", &part("tok_success", 4_000)).await;
    assert_eq!((status, &first["object"], &first["status"]), (201, &json!("payment"), &json!("succeeded")), "{first}");
    assert_eq!((&first["amount"], &first["order_no"]), (&json!(4_000), &json!(order_no)));
    assert_sums(&app.order_now(&merchant, order_no).await, "partially_paid", [0, 4_000, 0, 6_000]);
    let (status, rest) = app.on_order(&merchant, order_no, "pay", &by("tok_success")).await;
    assert_eq!((status, &rest["amount"]), (201, &json!(6_000)), "without an amount: the rest");
    let paid = app.order_now(&merchant, order_no).await;
    assert_sums(&paid, "paid", [0, 10_000, 0, 0]);
    assert_eq!(paid["payment_ids"], json!([first["id"], rest["id"]]));
    assert_eq!(paid["channel"], "sandbox");

    let (status, refunded) =
        app.on_order(&merchant, order_no, "refund", &json!({"amount": 7_000, "reason": "chipped"})).await;
    assert_eq!(status, 200, "{refunded}");
    let ids: Vec<&str> = refunded["refund_ids"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let mut spread = vec![];
    for id in ids {
        let refund = app.fresh(&format!("/refunds/{id}"), &merchant.secret).await;
        assert_eq!(refund["reason"], "chipped");
        spread.push((refund["payment_id"].clone(), refund["amount"].clone()));
    }
    assert_eq!(spread, [(rest["id"].clone(), json!(6_000)), (first["id"].clone(), json!(1_000))], "the newest first");
    let back = |amount: i64| move |order: &Value| order["amount_refunded"] == amount;
    let order = app.order_until(&merchant, order_no, "both parts are back", back(7_000)).await;
    assert_sums(&order, "partially_refunded", [0, 10_000, 7_000, 0]);

    let (status, shipped) = app.on_order(&merchant, order_no, "ship", &json!({})).await;
    assert_eq!((status, &shipped["status"], &shipped["fulfilment"]), (200, &json!("shipped"), &json!("shipped")));
    let (status, completed) = app.on_order(&merchant, order_no, "complete", &json!({})).await;
    assert_eq!((status, &completed["status"]), (200, &json!("completed")));
    assert_eq!(app.on_order(&merchant, order_no, "refund", &json!({})).await.0, 200, "without an amount: the rest");
    let order = app.order_until(&merchant, order_no, "all of it is back", back(10_000)).await;
    assert_sums(&order, "refunded", [0, 10_000, 10_000, 0]);
    assert_refused(
        app.on_order(&merchant, order_no, "refund", &json!({})).await,
        (409, "order_nothing_to_refund", None),
    );
    everything_holds(&app).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_order_refuses() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let post = async |path: &str, body: &Value| {
        let answer = app.post(path, &merchant.secret, body).await;
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let item =
        |quantity: Value, unit_amount: Value| json!([{"name": "x", "quantity": quantity, "unit_amount": unit_amount}]);
    let many: Vec<Value> = (0..101).map(|_| json!({"name": "x", "quantity": 1, "unit_amount": 1})).collect();
    let unknown_of_item = json!([{"name": "x", "quantity": 1, "unit_amount": 1, "price": 1}]);
    for (body, code, pointer) in [
        (with(tea(), "colour", json!("red")), "unknown_field", Some("/colour")),
        (with(tea(), "items", unknown_of_item), "unknown_field", Some("/items/0/price")),
        (with(tea(), "items", json!([])), "invalid_items", Some("/items")),
        (with(tea(), "items", json!(many)), "invalid_items", Some("/items")),
        (with(tea(), "items", item(json!(0), json!(1))), "invalid_field", Some("/items/0/quantity")),
        (with(tea(), "items", item(json!(1), json!(-1))), "invalid_field", Some("/items/0/unit_amount")),
        (
            with(tea(), "items", json!([{"name": "", "quantity": 1, "unit_amount": 1}])),
            "invalid_field",
            Some("/items/0/name"),
        ),
        (with(tea(), "total", json!(9_999)), "order_total_differs", Some("/total")),
        (with(with(tea(), "items", item(json!(1), json!(0))), "total", json!(null)), "invalid_total", Some("/total")),
        (with(tea(), "currency", json!("XXX")), "unknown_currency", Some("/currency")),
    ] {
        assert_refused(post("/orders", &body).await, (422, code, pointer));
    }
    let head = app.ledger.store.head().await.unwrap();

    let order_no = app.order(&merchant).await;
    let on = async |action: &str, body: &Value| app.on_order(&merchant, &order_no, action, body).await;
    assert_refused(
        post("/orders", &with(tea(), "order_no", json!(order_no))).await,
        (409, "order_already_exists", Some("/order_no")),
    );
    let simple = |amount: i64| with(payment("tok_success", amount), "order_no", json!(order_no));
    assert_refused(post("/payments", &simple(10_001)).await, (422, "order_total_exceeded", Some("/amount")));
    assert_refused(post("/pre-auths", &simple(10_001)).await, (422, "order_total_exceeded", Some("/amount")));
    let euros = with(simple(1), "currency", json!("EUR"));
    assert_refused(post("/payments", &euros).await, (422, "order_currency_differs", Some("/currency")));
    assert_refused(on("pay", &part("tok_success", 10_001)).await, (422, "order_total_exceeded", Some("/amount")));
    assert_refused(
        on("pay", &with(by("tok_success"), "order_no", json!("x"))).await,
        (422, "unknown_field", Some("/order_no")),
    );
    for action in ["ship", "complete", "cancel", "refund"] {
        let refused = on(action, &json!({"colour": "red"})).await;
        assert_refused(refused, (422, "unknown_field", Some("/colour")));
    }
    assert_refused(on("ship", &json!({})).await, (409, "order_not_paid", None));
    assert_refused(on("complete", &json!({})).await, (409, "order_not_shipped", None));
    assert_refused(on("refund", &json!({})).await, (409, "order_nothing_to_refund", None));
    assert_eq!(app.ledger.store.head().await.unwrap(), head + 2, "only the order itself and its claim");

    let (_, waiting) = on("pay", &part("tok_requires_action", 4_000)).await;
    assert_eq!(waiting["status"], "requires_action");
    assert_sums(&app.order_now(&merchant, &order_no).await, "pending", [4_000, 0, 0, 6_000]);
    assert_refused(on("cancel", &json!({})).await, (409, "order_payment_in_flight", None));
    assert_refused(on("pay", &part("tok_success", 6_001)).await, (422, "order_total_exceeded", Some("/amount")));
    let cancel = format!("/payments/{}/cancel", waiting["id"].as_str().unwrap());
    assert_eq!(post(&cancel, &json!({})).await.1["status"], "cancelled");
    assert_eq!(on("pay", &by("tok_declined")).await.1["status"], "failed");
    let order = app.order_now(&merchant, &order_no).await;
    assert_sums(&order, "pending", [0, 0, 0, 10_000]);

    assert_eq!(on("pay", &by("tok_success")).await.0, 201);
    assert_refused(on("pay", &by("tok_success")).await, (422, "order_fully_paid", None));
    assert_refused(on("cancel", &json!({})).await, (409, "order_not_refunded", None));
    assert_refused(on("refund", &json!({"amount": 10_001})).await, (422, "order_refund_exceeds_paid", Some("/amount")));
    assert_eq!(on("refund", &json!({})).await.0, 200);
    app.order_until(&merchant, &order_no, "the money is back", |order| order["amount_refunded"] == 10_000).await;
    assert_refused(on("ship", &json!({})).await, (409, "order_refunded", None));
    let (status, cancelled) = on("cancel", &json!({})).await;
    assert_eq!((status, &cancelled["status"]), (200, &json!("cancelled")));
    assert_refused(on("pay", &by("tok_success")).await, (409, "order_cancelled", None));
    assert_refused(post("/payments", &simple(1)).await, (409, "order_cancelled", None));
    assert_refused(on("ship", &json!({})).await, (409, "order_cancelled", None));

    let shipped = app.order(&merchant).await;
    app.on_order(&merchant, &shipped, "pay", &by("tok_success")).await;
    assert_eq!(app.on_order(&merchant, &shipped, "ship", &json!({})).await.0, 200);
    assert_refused(app.on_order(&merchant, &shipped, "cancel", &json!({})).await, (409, "order_already_shipped", None));
    everything_holds(&app).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_payments_at_once_the_total_is_never_exceeded() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let order_no = app.order(&merchant).await;
    let direct = with(payment("tok_success", 900), "order_no", json!(order_no));
    let pay = async |number: usize| {
        let answer = match number % 2 {
            0 => app.post("/payments", &merchant.secret, &direct).await,
            _ => app.post(&format!("/orders/{order_no}/pay"), &merchant.secret, &part("tok_success", 900)).await,
        };
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let answers = join_all((0..50).map(pay)).await;
    let taken = answers.iter().filter(|(status, _)| *status == 201).count();
    assert_eq!(taken, 11, "eleven times 900 go into 10000");
    for (status, problem) in answers.into_iter().filter(|(status, _)| *status != 201) {
        assert_refused((status, problem), (422, "order_total_exceeded", Some("/amount")));
    }
    let order =
        app.order_until(&merchant, &order_no, "all have an outcome", |order| order["amount_in_flight"] == 0).await;
    assert_sums(&order, "partially_paid", [0, 9_900, 0, 100]);

    let (rest, some) = (by("tok_success"), json!({"amount": 3_000}));
    let rest = join_all((0..10).map(|_| app.on_order(&merchant, &order_no, "pay", &rest))).await;
    let paid: Vec<&Value> = rest.iter().filter(|(status, _)| *status == 201).map(|(_, body)| &body["amount"]).collect();
    assert_eq!(paid, [&json!(100)], "the rest is paid once");
    let refunds = join_all((0..20).map(|_| app.on_order(&merchant, &order_no, "refund", &some))).await;
    let accepted = refunds.iter().filter(|(status, _)| *status == 200).count();
    assert!(refunds.iter().all(|(status, _)| [200, 409, 422].contains(status)));
    assert!((1..=3).contains(&accepted), "{accepted} refunds of 3000 of 10000");
    let back = i64::try_from(accepted).unwrap() * 3_000;
    app.order_until(&merchant, &order_no, "they are back", |order| order["amount_refunded"] == back).await;
    everything_holds(&app).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_is_answered_alike_and_changes_nothing() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let body = tea();
    let order_no = body["order_no"].as_str().unwrap();
    let path = |action: &str| format!("/orders/{order_no}/{action}");
    let steps = [
        ("/orders".to_owned(), body.clone()),
        (path("pay"), part("tok_success", 6_000)),
        (path("pay"), by("tok_success")),
        (path("pay"), by("tok_success")),
        (path("refund"), json!({"amount": 5_000})),
        (path("ship"), json!({})),
        (path("complete"), json!({})),
        (path("cancel"), json!({})),
    ];
    let mut answers = vec![];
    for (number, (path, body)) in steps.iter().enumerate() {
        let answer = app.post_keyed(path, &merchant.secret, &format!("key-{number}"), body).await;
        answers.push((answer.status(), answer.text().await.unwrap()));
    }
    let statuses: Vec<u16> = answers.iter().map(|(status, _)| status.as_u16()).collect();
    assert_eq!(statuses, [201, 201, 201, 422, 200, 200, 200, 409]);
    app.order_until(&merchant, order_no, "the refund is done", |order| order["amount_refunded"] == 5_000).await;
    let head = app.ledger.store.head().await.unwrap();
    for (number, (path, body)) in steps.iter().enumerate() {
        let again = app.post_keyed(path, &merchant.secret, &format!("key-{number}"), body).await;
        assert_eq!(again.headers()["idempotency-hit"], "true", "{path}");
        let again = (again.status(), again.text().await.unwrap());
        assert_eq!(again, answers[number], "{path}");
    }
    assert_eq!(app.ledger.store.head().await.unwrap(), head);
    let other = app.post_keyed(&path("refund"), &merchant.secret, "key-4", &json!({"amount": 5_001})).await;
    assert_eq!(other.json::<Value>().await.unwrap()["code"], "idempotency_key_reused");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_merchants_order_is_none() {
    let app = TestApp::start().await;
    let (merchant, other) = (app.merchant().await, app.merchant().await);
    let order_no = app.order(&merchant).await;
    for (action, body) in [
        ("pay", by("tok_success")),
        ("refund", json!({})),
        ("ship", json!({})),
        ("complete", json!({})),
        ("cancel", json!({})),
    ] {
        assert_refused(app.on_order(&other, &order_no, action, &body).await, (404, "order_not_found", None));
        assert_refused(app.on_order(&merchant, "O-none", action, &body).await, (404, "order_not_found", None));
    }
    assert_eq!(app.get(&format!("/orders/{order_no}"), &other.secret).await.status(), 404);
    let theirs = app.post("/orders", &other.secret, &with(tea(), "order_no", json!(order_no))).await;
    assert_eq!(theirs.status(), 201, "numbers are a merchant's own");
    let (_, finance) = app.key(KeyRole::Finance, None).await;
    assert_eq!(app.post("/orders", &finance, &tea()).await.status(), 403);
    let path = format!("/orders/{order_no}?merchant_id={}", merchant.id);
    assert_eq!(app.fresh(&path, &finance).await["items"][0]["name"], "Teapot for Ada");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_kinds_of_order_are_one_list() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let simple = app.pay(&merchant, "tok_success", 500).await;
    let simple_no = simple["order_no"].as_str().unwrap();
    let declined = app.pay(&merchant, "tok_declined", 700).await;
    let reused = declined["order_no"].as_str().unwrap();
    let before = app.ledger.store.head().await.unwrap();
    let taken = app.post("/orders", &merchant.secret, &with(tea(), "order_no", json!(simple_no))).await;
    assert_refused((taken.status().as_u16(), taken.json().await.unwrap()), (409, "order_no_in_use", Some("/order_no")));
    let made = app.post("/orders", &merchant.secret, &with(tea(), "order_no", json!(reused))).await;
    assert_eq!(made.status(), 201, "a payment that failed holds no number");
    let paid = app.on_order(&merchant, reused, "pay", &part("tok_success", 600)).await.1;

    let list = app.fresh("/orders", &merchant.secret).await;
    let row = |order: &Value| (order["order_no"].clone(), order["status"].clone(), order["amount"].clone());
    let rows: Vec<_> = list["data"].as_array().unwrap().iter().map(row).collect();
    let expected =
        [(json!(reused), json!("partially_paid"), json!(10_000)), (json!(simple_no), json!("paid"), json!(500))];
    assert_eq!(rows, expected);
    assert_eq!(list["data"][0]["payment_ids"], json!([paid["id"]]));
    assert!(list["data"][1].get("items").is_none(), "a simple order is shown as ever: {list}");
    let first = app.fresh("/orders?limit=1", &merchant.secret).await;
    let next = format!("/orders?limit=1&cursor={}", first["next_cursor"].as_str().unwrap());
    assert_eq!(app.fresh(&next, &merchant.secret).await["data"][0]["order_no"], json!(simple_no));
    let filtered = app.fresh("/orders?status=partially_paid&channel=sandbox", &merchant.secret).await;
    assert_eq!(filtered["data"].as_array().unwrap().len(), 1);
    let batch = json!({"order_nos": [simple_no, reused, "O-none"]});
    let batch: Value = app.post("/orders/batch", &merchant.secret, &batch).await.json().await.unwrap();
    assert_eq!((&batch["found"][1]["items"][1]["name"], &batch["missing"]), (&json!("Tray"), &json!(["O-none"])));

    let as_of = format!("/orders/{reused}?as_of={}", api::position::token(before));
    let past = app.get_json(&as_of, &merchant.secret).await;
    assert_eq!((&past["status"], &past["amount"]), (&json!("failed"), &json!(700)), "the past stays what it was");
    let as_of = format!("/orders/{reused}?as_of={}", api::position::token(before + 2));
    assert_sums(&app.get_json(&as_of, &merchant.secret).await, "pending", [0, 0, 0, 10_000]);
    everything_holds(&app).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_captures_of_a_pre_auth_pay_its_order() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let order_no = app.order(&merchant).await;
    let hold = with(payment("tok_success", 8_000), "order_no", json!(order_no));
    let held: Value = app.post("/pre-auths", &merchant.secret, &hold).await.json().await.unwrap();
    assert_eq!(held["status"], "authorized");
    assert_sums(&app.order_now(&merchant, &order_no).await, "pending", [8_000, 0, 0, 2_000]);
    assert_refused(
        app.on_order(&merchant, &order_no, "pay", &part("tok_success", 2_001)).await,
        (422, "order_total_exceeded", Some("/amount")),
    );
    app.on_hold(&merchant, &held, "capture", &json!({"amount": 3_000})).await;
    assert_sums(&app.order_now(&merchant, &order_no).await, "partially_paid", [5_000, 3_000, 0, 2_000]);
    let (_, last) = app.on_hold(&merchant, &held, "capture", &json!({"amount": 1_000, "final": true})).await;
    assert_eq!(last["status"], "captured");
    assert_sums(&app.order_now(&merchant, &order_no).await, "partially_paid", [0, 4_000, 0, 6_000]);

    let again: Value =
        app.post("/pre-auths", &merchant.secret, &with(hold, "amount", json!(6_000))).await.json().await.unwrap();
    assert_sums(&app.order_now(&merchant, &order_no).await, "partially_paid", [6_000, 4_000, 0, 0]);
    app.on_hold(&merchant, &again, "cancel", &json!({})).await;
    assert_sums(&app.order_now(&merchant, &order_no).await, "partially_paid", [0, 4_000, 0, 6_000]);
    let (_, rest) = app.on_order(&merchant, &order_no, "pay", &by("tok_success")).await;
    assert_eq!(rest["amount"], 6_000);
    let refund = json!({"payment_id": last["captures"][0], "amount": 500});
    assert_eq!(app.post("/refunds", &merchant.secret, &refund).await.status(), 201);
    assert_sums(&app.order_now(&merchant, &order_no).await, "partially_refunded", [0, 10_000, 500, 0]);
    everything_holds(&app).await;
    app.stop().await;
}

/// What people buy is their own business: it is in no event in clear.
#[tokio::test(flavor = "multi_thread")]
async fn the_names_of_items_are_sealed() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let body = with(tea(), "customer", json!({"email": "ada@example.com", "name": "Ada"}));
    assert_eq!(app.post("/orders", &merchant.secret, &body).await.status(), 201);
    let events = app.ledger.store.read_all(0, 1_000).await.unwrap();
    let made = events.iter().find(|event| event.event_type == "order.created").unwrap();
    assert_eq!(made.stream.id, format!("{}:{}", merchant.id, body["order_no"].as_str().unwrap()));
    for event in &events {
        let text = &event.payload;
        assert!(!["Teapot", "TP-1", "Tray", "ada@"].iter().any(|clear| text.contains(clear)), "{text}");
    }
    app.stop().await;
}

/// Neither of two nodes knows what the other has just decided; the store does.
#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_share_one_total() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let order_no = app.order(&merchant).await;
    let other = app.another_ledger().await;
    let nodes = [Orders::on(&app.ledger.payments), Orders::on(&other.payments)];
    let pay = async |number: usize| {
        let pay = PayOrder {
            payment_id: PaymentId::from_uuid(Uuid::now_v7()),
            merchant_id: merchant.id,
            order_no: order_no.parse().unwrap(),
            amount: Some(700),
            method: "card".to_owned(),
            channel: None,
            details: PaymentDetails { token: "tok_success".to_owned(), ..PaymentDetails::default() },
            expires_in: None,
        };
        let issued = Issued::internally("test", &number.to_string(), "test");
        nodes[number % 2].pay(issued, pay).await.unwrap().rejection
    };
    let refusals: Vec<_> = join_all((0..40).map(pay)).await.into_iter().flatten().collect();
    assert_eq!(refusals.len(), 40 - 14, "fourteen times 700 go into 10000");
    assert!(refusals.iter().all(|refusal| refusal.code == "order_total_exceeded"), "{refusals:?}");
    let order =
        app.order_until(&merchant, &order_no, "all have an outcome", |order| order["amount_in_flight"] == 0).await;
    assert_sums(&order, "partially_paid", [0, 9_800, 0, 200]);
    everything_holds(&app).await;
    app.stop().await;
}

/// Nobody can refund what a bank has taken back: the order ends as if it had been refunded.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_whose_money_was_lost_in_a_dispute_has_an_end() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let order_no = app.order(&merchant).await;
    assert_eq!(app.on_order(&merchant, &order_no, "pay", &by("tok_dispute_lost")).await.0, 201);
    let order = app.order_until(&merchant, &order_no, "the money is lost", |order| order["status"] == "refunded").await;
    assert_eq!((&order["amount_paid"], &order["amount_refunded"]), (&json!(10_000), &json!(10_000)));
    let refund = app.on_order(&merchant, &order_no, "refund", &json!({})).await;
    assert_eq!((refund.0, &refund.1["code"]), (409, &json!("order_nothing_to_refund")), "{}", refund.1);
    let (status, cancelled) = app.on_order(&merchant, &order_no, "cancel", &json!({})).await;
    assert_eq!((status, &cancelled["status"]), (200, &json!("cancelled")));
    everything_holds(&app).await;
    app.stop().await;
}

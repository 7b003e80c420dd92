//! Lists: pages that stay stable while the world goes on, and filters.

use std::collections::BTreeSet;

use commands::ports::Role as KeyRole;
use serde_json::{Value, json};

use crate::app::{TestApp, TestMerchant, payment};

/// The list, once the read model has seen everything that is in the log now.
async fn list(app: &TestApp, path: &str, secret: &str) -> Value {
    let list = app.fresh(path, secret).await;
    assert_eq!(list["object"], "list");
    assert_eq!(list["has_more"].as_bool().unwrap(), list["next_cursor"].is_string(), "{path}");
    list
}

fn column(list: &Value, field: &str) -> Vec<String> {
    list["data"].as_array().unwrap().iter().map(|row| row[field].as_str().unwrap().to_owned()).collect()
}

async fn pay(app: &TestApp, merchant: &TestMerchant, token: &str, amount: i64, currency: &str) -> Value {
    let mut body = payment(token, amount);
    body["currency"] = json!(currency);
    app.post("/payments", &merchant.secret, &body).await.json().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_hold_each_object_once_while_new_ones_arrive() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let mut made = vec![];
    for amount in 1..=7 {
        made.insert(0, app.pay(&merchant, "tok_success", amount * 100).await["id"].as_str().unwrap().to_owned());
    }
    let (mut seen, mut path) = (vec![], "/payments?limit=3".to_owned());
    loop {
        let page = list(&app, &path, &merchant.secret).await;
        seen.extend(column(&page, "id"));
        app.pay(&merchant, "tok_success", 50).await;
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/payments?limit=3&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen, made, "newest first, each once");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_narrow_a_list() {
    let app = TestApp::start().await;
    let (merchant, other) = (app.merchant().await, app.merchant().await);
    let finance = app.key(KeyRole::Finance, None).await.1;
    let a = pay(&app, &merchant, "tok_success", 1_000, "USD").await;
    let b = pay(&app, &merchant, "tok_declined", 2_000, "USD").await;
    let c = pay(&app, &merchant, "tok_success", 3_000, "EUR").await;
    let d = pay(&app, &other, "tok_success", 4_000, "USD").await;
    let refund = app.post("/refunds", &merchant.secret, &json!({"payment_id": a["id"], "amount": 10})).await;
    let refund: Value = refund.json().await.unwrap();
    assert_eq!(refund["status"], "succeeded");
    let name = |payment: &Value| payment["id"].as_str().unwrap().to_owned();
    let [a_id, b_id, c_id, d_id] = [&a, &b, &c, &d].map(name);
    let b_created = b["created_at"].as_str().unwrap();
    let table = [
        (String::new(), vec![&c_id, &b_id, &a_id]),
        ("status=succeeded".to_owned(), vec![&c_id, &a_id]),
        ("status=failed".to_owned(), vec![&b_id]),
        ("status=expired".to_owned(), vec![]),
        ("currency=EUR".to_owned(), vec![&c_id]),
        ("channel=sandbox".to_owned(), vec![&c_id, &b_id, &a_id]),
        ("channel=stripe".to_owned(), vec![]),
        (format!("order_no={}", b["order_no"].as_str().unwrap()), vec![&b_id]),
        ("amount_min=2000".to_owned(), vec![&c_id, &b_id]),
        ("amount_min=1001&amount_max=2000".to_owned(), vec![&b_id]),
        (format!("created_from={b_created}"), vec![&c_id, &b_id]),
        (format!("created_to={b_created}"), vec![&b_id, &a_id]),
        (format!("merchant_id={}", merchant.id), vec![&c_id, &b_id, &a_id]),
        ("status=succeeded&currency=USD".to_owned(), vec![&a_id]),
    ];
    for (filter, expected) in &table {
        let found = column(&list(&app, &format!("/payments?{filter}"), &merchant.secret).await, "id");
        assert_eq!(found.iter().collect::<Vec<_>>(), *expected, "{filter}");
    }
    let all = column(&list(&app, "/payments", &finance).await, "id");
    assert_eq!(BTreeSet::from_iter(all), BTreeSet::from([a_id.clone(), b_id, c_id, d_id.clone()]));
    let of_other = list(&app, &format!("/payments?merchant_id={}", other.id), &finance).await;
    assert_eq!(column(&of_other, "id"), [d_id]);
    let foreign = app.get(&format!("/payments?merchant_id={}", other.id), &merchant.secret).await;
    assert_eq!(foreign.status(), 403);

    let refunds = list(&app, &format!("/refunds?payment_id={a_id}&status=succeeded"), &merchant.secret).await;
    assert_eq!(refunds["data"], json!([refund]), "a list shows what a single look-up shows");
    assert_eq!(app.get_json(&format!("/refunds/{}", name(&refund)), &merchant.secret).await, refund);
    assert_eq!(column(&list(&app, "/refunds", &other.secret).await, "id"), [""; 0]);
    let orders = list(&app, "/orders?status=partially_refunded", &merchant.secret).await;
    assert_eq!(column(&orders, "order_no"), [a["order_no"].as_str().unwrap()]);
    let listed = list(&app, "/payments", &merchant.secret).await;
    for row in listed["data"].as_array().unwrap() {
        assert_eq!(*row, app.get_json(&format!("/payments/{}", name(row)), &merchant.secret).await);
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_and_batches_show_what_there_is() {
    let app = TestApp::start().await;
    let (merchant, other) = (app.merchant().await, app.merchant().await);
    let finance = app.key(KeyRole::Finance, None).await.1;
    let mut body = payment("tok_declined", 1_000);
    body["order_no"] = json!("A/1 ü");
    app.post("/payments", &merchant.secret, &body).await;
    body["payment_method"]["token"] = json!("tok_success");
    let paid: Value = app.post("/payments", &merchant.secret, &body).await.json().await.unwrap();
    list(&app, "/orders", &merchant.secret).await;
    let order = app.get_json("/orders/A%2F1%20%C3%BC", &merchant.secret).await;
    assert_eq!((&order["status"], &order["amount_paid"]), (&json!("paid"), &json!(1_000)));
    assert_eq!((order["payment_ids"].as_array().unwrap().len(), &order["payment_ids"][1]), (2, &paid["id"]));

    let path = "/orders/A%2F1%20%C3%BC";
    assert_eq!(app.get_json(path, &finance).await, order, "the only one of this number");
    app.post("/payments", &other.secret, &body).await;
    list(&app, "/orders", &merchant.secret).await;
    assert_eq!(app.get(path, &finance).await.status(), 400, "several merchants have this number");
    assert_eq!(app.get_json(&format!("{path}?merchant_id={}", merchant.id), &finance).await, order);

    let batch = json!({"order_nos": ["A/1 ü", "none", ""]});
    let found: Value = app.post("/orders/batch", &merchant.secret, &batch).await.json().await.unwrap();
    assert_eq!(found, json!({"found": [order], "missing": ["none", ""]}));
    let many: Vec<String> = (0..101).map(|n| n.to_string()).collect();
    for (path, body) in [("/orders/batch", json!({"ids": many})), ("/payments/batch", json!({"ids": many}))] {
        assert_eq!(app.post(path, &merchant.secret, &body).await.status(), 422, "{path}");
    }
    let payments: Value =
        app.post("/payments/batch", &merchant.secret, &json!({"ids": [paid["id"]]})).await.json().await.unwrap();
    assert_eq!(payments, json!({"found": [paid], "missing": []}));
    app.stop().await;
}

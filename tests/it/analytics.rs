//! Payments in figures: what they say is what the payments themselves say, in anybody's days.

use commands::ports::Role as KeyRole;
use domain::pricing::{RefundFeePolicy, Tier};
use serde_json::{Value, json};

use crate::app::{TestApp, TestMerchant, payment};

/// Of the one row that there is.
async fn row(app: &TestApp, secret: &str, path: &str) -> Value {
    let answer = app.fresh(path, secret).await;
    let rows = answer["data"].as_array().unwrap();
    assert_eq!(rows.len(), 1, "{answer}");
    rows[0].clone()
}

async fn pay_from(app: &TestApp, merchant: &TestMerchant, token: &str, amount: i64, country: &str) -> Value {
    let mut body = payment(token, amount);
    body["customer"] = json!({"country": country});
    let answer = app.post("/payments", &merchant.secret, &body).await;
    assert_eq!(answer.status(), 201);
    answer.json().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_what_the_payments_came_to() {
    let app = TestApp::start().await;
    let merchant = app.merchant_with(Tier::Premium, RefundFeePolicy::Proportional).await;
    let other = app.merchant().await;
    let finance = app.key(KeyRole::Finance, None).await.1;
    let paid = pay_from(&app, &merchant, "tok_success", 10_000, "DE").await;
    pay_from(&app, &merchant, "tok_success", 5_000, "KW").await;
    app.pay(&merchant, "tok_declined", 700).await;
    app.pay(&other, "tok_success", 10_000).await;
    let refund = json!({"payment_id": paid["id"], "amount": 4_000});
    assert_eq!(app.post("/refunds", &merchant.secret, &refund).await.status(), 201);

    let whole = row(&app, &merchant.secret, "/analytics/payments").await;
    assert_eq!(whole["payments"], json!({"created": 3, "succeeded": 2, "failed": 1, "cancelled": 0, "expired": 0}));
    assert_eq!((&whole["volume"], &whole["success_rate"]), (&json!(15_000), &json!(0.6667)));
    // 1 % and 0.3 % of both, 0.3 % of the refund given back.
    assert_eq!(whole["fees"], json!({"channel": 150, "markup": 30 + 15 - 12, "total": 183}));
    assert_eq!(whole["refunds"], json!({"count": 1, "amount": 4_000, "rate": 0.5}));
    assert!(whole["time_to_outcome_ms"]["p50"].is_u64(), "{whole}");
    assert!(whole.get("platform").is_none(), "a merchant does not see what the platform keeps");

    let seen_by_finance = row(&app, &finance, &format!("/analytics/payments?merchant_id={}", merchant.id)).await;
    assert_eq!(seen_by_finance["platform"], json!({"channel_costs": 150, "margin": 33}));
    let everybody = row(&app, &finance, "/analytics/payments?bucket=month").await;
    assert_eq!((&everybody["volume"], &everybody["payments"]["created"]), (&json!(25_000), &json!(4)));
    let by_merchant = app.fresh("/analytics/payments?group_by=merchant", &finance).await;
    let volumes = by_merchant["data"].as_array().unwrap().iter();
    let volumes: Vec<_> = volumes.map(|row| (row["merchant_id"].clone(), row["volume"].clone())).collect();
    assert_eq!(volumes.len(), 2);
    assert!(volumes.contains(&(json!(merchant.id.to_string()), json!(15_000))), "{volumes:?}");

    let by_status = app.fresh("/analytics/payments?group_by=status,country", &merchant.secret).await;
    let outcomes = by_status["data"].as_array().unwrap().iter();
    let outcomes: Vec<Value> =
        outcomes.map(|row| json!([row["country"], row["status"], row["count"], row["amount"]])).collect();
    let expected =
        [json!([null, "failed", 1, 700]), json!(["DE", "succeeded", 1, 10_000]), json!(["KW", "succeeded", 1, 5_000])];
    assert_eq!(outcomes, expected);
    assert_eq!(by_status["failures"], json!([{"code": "card_declined", "count": 1}]));
    let from_kuwait = row(&app, &merchant.secret, "/analytics/payments?country=KW&bucket=hour").await;
    assert_eq!(from_kuwait["volume"], 5_000);
    crate::audit::everything_holds(&app).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_count_under_what_they_have_come_to() {
    let app = TestApp::start().await;
    let (merchant, other) = (app.merchant().await, app.merchant().await);
    let finance = app.key(KeyRole::Finance, None).await.1;
    let items = json!([{"name": "Teapot", "quantity": 1, "unit_amount": 10_000}]);
    let made = |number: &str| json!({"order_no": number, "currency": "USD", "items": items, "total": 10_000});
    for number in ["S-1", "S-2"] {
        assert_eq!(app.post("/orders", &merchant.secret, &made(number)).await.status(), 201);
    }
    let part = json!({"payment_method": {"type": "card", "token": "tok_success"}, "amount": 4_001});
    assert_eq!(app.post("/orders/S-1/pay", &merchant.secret, &part).await.status(), 201);
    assert_eq!(app.post("/orders/S-2/cancel", &merchant.secret, &json!({})).await.status(), 200);
    let paid = app.pay(&merchant, "tok_success", 7_000).await;
    app.pay(&merchant, "tok_declined", 700).await;
    app.pay(&other, "tok_success", 500).await;
    let refund = json!({"payment_id": paid["id"], "amount": 1_000});
    assert_eq!(app.post("/refunds", &merchant.secret, &refund).await.status(), 201);

    let whole = row(&app, &merchant.secret, "/statistics/orders").await;
    let expected = json!({"created": 4, "pending": 0, "partially_paid": 1, "paid": 0, "partially_refunded": 1,
        "refunded": 0, "shipped": 0, "completed": 0, "failed": 1, "cancelled": 1, "expired": 0});
    assert_eq!(whole["orders"], expected);
    for (field, expected) in [
        ("orders_with_money", json!(2)),
        ("payment_rate", json!(0.5)),
        ("orders_with_refunds", json!(1)),
        ("refund_rate", json!(0.5)),
        ("ordered", json!(10_000 + 10_000 + 7_000 + 700)),
        ("gross", json!(11_001)),
        ("refunded", json!(1_000)),
        ("net", json!(10_001)),
        ("average_order_value", json!(5_501)),
        ("merchant_id", json!(null)),
        ("status", json!(null)),
        ("currency", json!("USD")),
    ] {
        assert_eq!(whole[field], expected, "{field}");
    }
    let failed = row(&app, &merchant.secret, "/statistics/orders?status=failed&bucket=month").await;
    assert_eq!((&failed["orders"]["created"], &failed["average_order_value"]), (&json!(1), &json!(null)));
    let by_status = app.fresh("/statistics/orders?group_by=status&time_zone=Asia/Kolkata", &merchant.secret).await;
    let rows = by_status["data"].as_array().unwrap().iter();
    let rows: Vec<Value> = rows.map(|row| json!([row["status"], row["orders"]["created"], row["gross"]])).collect();
    let expected = [
        json!(["partially_paid", 1, 4_001]),
        json!(["partially_refunded", 1, 7_000]),
        json!(["failed", 1, 0]),
        json!(["cancelled", 1, 0]),
    ];
    assert_eq!(rows, expected);
    let by_merchant = app.fresh("/statistics/orders?group_by=merchant&bucket=month&currency=USD", &finance).await;
    let rows = by_merchant["data"].as_array().unwrap().iter();
    let mut gross: Vec<_> = rows.map(|row| (row["merchant_id"].clone(), row["gross"].as_i64())).collect();
    gross.sort_by_key(|(_, gross)| *gross);
    let expected = [(json!(other.id.to_string()), Some(500)), (json!(merchant.id.to_string()), Some(11_001))];
    assert_eq!(gross, expected);
    assert_eq!(row(&app, &other.secret, "/statistics/orders").await["orders"]["created"], 1);
    let none = app.fresh("/statistics/orders?currency=JPY", &merchant.secret).await;
    assert_eq!((&none["object"], &none["data"]), (&json!("order_statistics"), &json!([])));
    crate::audit::everything_holds(&app).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_is_the_day_of_the_place_that_asks() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    app.pay(&merchant, "tok_success", 10_000).await;
    // Midnight is never within the test in all three of them.
    for zone in ["UTC", "Asia/Kathmandu", "America/New_York"] {
        let summary = app.fresh(&format!("/statistics/daily-summary?time_zone={zone}"), &merchant.secret).await;
        assert_eq!(summary["time_zone"], zone);
        let days = summary["data"].as_array().unwrap();
        let sum: i64 = days.iter().map(|day| day["volume"].as_i64().unwrap()).sum();
        assert!(sum == 10_000 && days[0]["date"] == summary["to"], "{summary}");
        let analytics = row(&app, &merchant.secret, &format!("/analytics/payments?bucket=day&time_zone={zone}")).await;
        let (start, end) = (analytics["start"].as_str().unwrap(), analytics["end"].as_str().unwrap());
        let same = row(&app, &merchant.secret, &format!("/analytics/payments?from={start}&to={end}")).await;
        assert_eq!(same["volume"], 10_000);
    }
    let past = app.fresh("/statistics/daily-summary?from=2026-01-01&to=2026-01-31", &merchant.secret).await;
    assert_eq!((&past["from"], &past["data"]), (&json!("2026-01-01"), &json!([])));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_answered_is_refused() {
    let app = TestApp::start().await;
    let (merchant, other) = (app.merchant().await, app.merchant().await);
    let auditor = app.key(KeyRole::Auditor, None).await.1;
    let foreign = format!("/analytics/payments?merchant_id={}", merchant.id);
    for (secret, path, status, parameter) in [
        (&merchant.secret, foreign.as_str(), 200, ""),
        (&auditor, foreign.as_str(), 200, ""),
        (&other.secret, foreign.as_str(), 403, "merchant_id"),
        (&merchant.secret, "/analytics/payments?bucket=week", 400, "bucket"),
        (&merchant.secret, "/analytics/payments?group_by=colour", 400, "group_by"),
        (&merchant.secret, "/analytics/payments?time_zone=Mars/Olympus", 400, "time_zone"),
        (&merchant.secret, "/analytics/payments?from=2026-11-02&to=2026-11-01", 400, "to"),
        (&merchant.secret, "/analytics/payments?from=2026-11-02T10:01:00Z", 400, "from"),
        (&merchant.secret, "/analytics/payments?from=2001-01-01&bucket=hour", 400, "from"),
        (&merchant.secret, "/analytics/payments?limit=3", 400, "limit"),
        (&other.secret, &format!("/statistics/orders?merchant_id={}", merchant.id), 403, "merchant_id"),
        (&merchant.secret, "/statistics/orders?status=lost", 400, "status"),
        (&merchant.secret, "/statistics/orders?group_by=channel", 400, "group_by"),
        (&merchant.secret, "/statistics/orders?bucket=week", 400, "bucket"),
        (&merchant.secret, "/statistics/orders?time_zone=Mars/Olympus", 400, "time_zone"),
        (&merchant.secret, "/statistics/orders?from=2001-01-01&bucket=hour", 400, "from"),
        (&merchant.secret, "/statistics/orders?limit=3", 400, "limit"),
        (&merchant.secret, "/statistics/daily-summary?date=today", 400, "date"),
        (&merchant.secret, "/statistics/daily-summary?date=2026-11-01&to=2026-11-02", 400, "date"),
    ] {
        let answer = app.get(path, secret).await;
        assert_eq!(answer.status(), status, "{path}");
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["parameter"].as_str().unwrap_or_default(), parameter, "{path}: {problem}");
    }
    app.stop().await;
}

//! Tiers, terms, suspension and rates, as an administrator changes them and a merchant meets them.

use commands::ports::Role as KeyRole;
use domain::pricing::RefundFeePolicy;
use domain::tier::TierName;
use reqwest::Method;
use serde_json::{Value, json};

use crate::app::{TestApp, TestMerchant, payment};

async fn refused(app: &TestApp, path: &str, secret: &str, body: &Value) -> (u16, Value, Value) {
    let answer = app.post(path, secret, body).await;
    let status = answer.status().as_u16();
    let problem: Value = answer.json().await.unwrap();
    (status, problem["code"].clone(), problem["pointer"].clone())
}

async fn put(app: &TestApp, method: Method, path: &str, secret: &str, body: &Value) -> (u16, Value) {
    let answer = app.request(method, path, secret).json(body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

fn in_currency(currency: &str, amount: i64) -> Value {
    let mut body = payment("tok_success", amount);
    body["currency"] = json!(currency);
    body
}

async fn done(app: &TestApp, path: &str, secret: &str) -> Value {
    let answer = app.post(path, secret, &json!({})).await;
    assert_eq!(answer.status(), 200, "{path}");
    answer.json().await.unwrap()
}

fn path(merchant: &TestMerchant, action: &str) -> String {
    format!("/merchants/{}{action}", merchant.id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_merchant_takes_no_new_payments_and_finishes_the_old_ones() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let admin = app.key(KeyRole::Admin, None).await.1;
    let paid = app.pay(&merchant, "tok_success", 10_000).await;

    assert_eq!(done(&app, &path(&merchant, "/suspend"), &admin).await["status"], "suspended");
    let new = payment("tok_success", 1_000);
    let suspended = (422, json!("merchant_suspended"), Value::Null);
    assert_eq!(refused(&app, "/payments", &merchant.secret, &new).await, suspended);
    let refund = json!({"payment_id": paid["id"], "amount": 4_000});
    assert_eq!(app.post("/refunds", &merchant.secret, &refund).await.status(), 201, "old business goes on");

    assert_eq!(done(&app, &path(&merchant, "/activate"), &admin).await["status"], "active");
    assert_eq!(app.post("/payments", &merchant.secret, &payment("tok_success", 1_000)).await.status(), 201);
    assert_eq!(done(&app, &path(&merchant, "/close"), &admin).await["status"], "closed");
    let closed = (409, json!("merchant_closed"), Value::Null);
    assert_eq!(refused(&app, "/payments", &merchant.secret, &payment("tok_success", 1_000)).await, closed);
    assert_eq!(refused(&app, &path(&merchant, "/activate"), &admin, &json!({})).await, closed);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tier_says_which_currencies_a_merchant_takes() {
    let app = TestApp::start().await;
    let admin = app.key(KeyRole::Admin, None).await.1;
    let starter = app.merchant_with(TierName::Starter, RefundFeePolicy::Retain).await;
    assert_eq!(app.post("/payments", &starter.secret, &in_currency("USD", 100)).await.status(), 201);
    let euros = in_currency("EUR", 100);
    let other = (422, json!("currency_not_enabled"), json!("/currency"));
    assert_eq!(refused(&app, "/payments", &starter.secret, &euros).await, other);

    let home = json!({"home_currency": "EUR"});
    assert_eq!(put(&app, Method::PATCH, &path(&starter, ""), &admin, &home).await.0, 200);
    assert_eq!(app.post("/payments", &starter.secret, &in_currency("EUR", 100)).await.status(), 201);
    assert_eq!(refused(&app, "/payments", &starter.secret, &in_currency("USD", 100)).await, other);

    let changed = app.post(&path(&starter, "/tier"), &admin, &json!({"tier": "business"})).await;
    let changed: Value = changed.json().await.unwrap();
    assert_eq!((&changed["tier"], &changed["markup_rate"]), (&json!("business"), &json!("0.006")));
    for currency in domain::Currency::all() {
        let body = in_currency(currency.code(), 100);
        let answer = app.post_keyed("/payments", &starter.secret, currency.code(), &body).await;
        assert_eq!(answer.status(), 201, "{currency} has a rate from the beginning");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn terms_are_changed_by_an_administrator_and_read_by_their_merchant() {
    let app = TestApp::start().await;
    let (merchant, stranger) = (app.merchant().await, app.merchant().await);
    let admin = app.key(KeyRole::Admin, None).await.1;
    let own = path(&merchant, "");
    let changes = json!({
        "pricing": "blended", "refund_fee_policy": "proportional", "time_zone": "Asia/Shanghai",
        "limits": {"daily": 5_000_000}, "credit_limit": 0, "reserve": {"basis_points": 500, "days": 90},
        "thresholds": {"withdrawal_two_person": 1}, "cut_off": "18:30", "weekend": ["sunday"],
        "features": {"pre_auth": false},
    });
    let (status, changed) = put(&app, Method::PATCH, &own, &admin, &changes).await;
    assert_eq!(status, 200, "{changed}");
    for (field, expected) in [
        ("/pricing", json!("blended")),
        ("/refund_fee_policy", json!("proportional")),
        ("/time_zone", json!("Asia/Shanghai")),
        ("/own_limits", json!({"daily": 5_000_000})),
        ("/credit_limit", json!(0)),
        ("/reserve", json!({"basis_points": 500, "days": 90})),
        ("/thresholds", json!({"settlement_approval": 10_000_000, "withdrawal_two_person": 1})),
        ("/settlement", json!({"cycle": "D+0", "cut_off": "18:30", "weekend": ["sunday"]})),
        ("/features", json!({"pre_auth": false, "several_currencies": true})),
    ] {
        assert_eq!(changed.pointer(field), Some(&expected), "{field}");
    }
    assert_eq!(app.get_json(&own, &merchant.secret).await, changed, "a merchant reads its own");
    assert_eq!(app.get(&own, &stranger.secret).await.status(), 404);
    assert_eq!(put(&app, Method::PATCH, &own, &merchant.secret, &changes).await.0, 403);
    for (body, code, pointer) in [
        (json!({"limits": {"daily": 0}}), "invalid_limits", "/limits"),
        (json!({"limits": {"api_calls_per_minute": 0}}), "invalid_limits", "/limits"),
        (
            json!({"limits": {"api_calls_per_minute": 4_294_967_296_i64}}),
            "invalid_field",
            "/limits/api_calls_per_minute",
        ),
        (json!({"credit_limit": -1}), "invalid_credit_limit", "/credit_limit"),
        (json!({"reserve": {"basis_points": 10_001, "days": 1}}), "invalid_reserve", "/reserve"),
        (json!({"time_zone": "Mars/Olympus"}), "invalid_time_zone", "/time_zone"),
        (json!({"cut_off": "25:00"}), "invalid_field", "/cut_off"),
        (json!({"limits": {"weekly": 1}}), "unknown_field", "/limits/weekly"),
        (json!({"tier": "premium"}), "unknown_field", "/tier"),
    ] {
        let (status, problem) = put(&app, Method::PATCH, &own, &admin, &body).await;
        assert_eq!((status, &problem["code"], &problem["pointer"]), (422, &json!(code), &json!(pointer)), "{body}");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planned_tier_waits_for_its_time_and_volume_recommends_one() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let admin = app.key(KeyRole::Admin, None).await.1;
    let later = json!({"tier": "starter", "effective_from": "2999-01-01T00:00:00Z"});
    let planned: Value = app.post(&path(&merchant, "/tier"), &admin, &later).await.json().await.unwrap();
    assert_eq!((&planned["tier"], &planned["next_tier"]["tier"]), (&json!("premium"), &json!("starter")));
    let past = json!({"tier": "starter", "effective_from": "2020-01-01T00:00:00Z"});
    let answer = refused(&app, &path(&merchant, "/tier"), &admin, &past).await;
    assert_eq!(answer, (422, json!("invalid_effective_from"), json!("/effective_from")));

    assert_eq!(app.get_json(&path(&merchant, ""), &admin).await["recommended_tier"], Value::Null);
    app.pay(&merchant, "tok_success", 25_000_000).await;
    app.fresh("/payments", &merchant.secret).await;
    assert_eq!(app.get_json(&path(&merchant, ""), &admin).await["recommended_tier"], "business");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tiers_and_rates_are_changed_by_administrators_alone() {
    let app = TestApp::start().await;
    let starter = app.merchant_with(TierName::Starter, RefundFeePolicy::Retain).await;
    let admin = app.key(KeyRole::Admin, None).await.1;
    let tiers = app.get_json("/tiers", &starter.secret).await;
    let row = |tier: &Value| {
        let limits = &tier["limits"];
        json!([
            tier["name"],
            limits["per_payment"],
            limits["daily"],
            limits["monthly"],
            tier["markup_rate"],
            tier["settlement_cycle"],
            tier["several_currencies"],
            tier["pre_auth"],
            tier["api_calls_per_minute"]
        ])
    };
    let rows: Vec<Value> = tiers["data"].as_array().unwrap().iter().map(row).collect();
    assert_eq!(
        json!(rows),
        json!([
            ["starter", 1_000_000, 10_000_000, 30_000_000, "0.008", "T+1", false, false, 100],
            ["business", 5_000_000, 50_000_000, 150_000_000, "0.006", "T+1", true, false, 500],
            ["enterprise", 20_000_000, 200_000_000, 600_000_000, "0.0045", "T+0", true, true, 2_000],
            ["premium", 100_000_000, 1_000_000_000_i64, 3_000_000_000_i64, "0.003", "D+0", true, true, 10_000],
        ])
    );
    let defined = json!({
        "limits": {"per_payment": 2_000_000, "daily": 10_000_000, "monthly": 30_000_000}, "markup_rate": "0.01",
        "settlement_cycle": "T+1", "several_currencies": true, "pre_auth": false, "api_calls_per_minute": 100,
    });
    assert_eq!(put(&app, Method::PUT, "/tiers/starter", &starter.secret, &defined).await.0, 403);
    assert_eq!(put(&app, Method::PUT, "/tiers/gold", &admin, &defined).await.0, 404);
    let (status, tier) = put(&app, Method::PUT, "/tiers/starter", &admin, &defined).await;
    assert_eq!((status, &tier["markup_rate"]), (200, &json!("0.01")), "{tier}");
    let paid = app.pay(&starter, "tok_success", 1_500_000).await;
    assert_eq!(paid["fees"]["markup"], 15_000, "both the limit and the rate are the new ones");

    let table = json!({"usd": {"EUR": "2"}});
    assert_eq!(put(&app, Method::PUT, "/rates/2026-01-02", &starter.secret, &table).await.0, 403);
    assert_eq!(put(&app, Method::PUT, "/rates/tomorrow", &admin, &table).await.0, 404);
    assert_eq!(put(&app, Method::PUT, "/rates/2026-01-02", &admin, &table).await.0, 200);
    let (_, problem) = put(&app, Method::PUT, "/rates/2026-01-02", &admin, &json!({"usd": {"EUR": "0"}})).await;
    assert_eq!((&problem["code"], &problem["pointer"]), (&json!("invalid_exchange_rate"), &json!("/usd")));
    assert_eq!(app.get_json("/rates", &admin).await["data"][0]["usd"], json!({"EUR": "2"}));
    let before = app.get_json(&path(&starter, "/limits"), &starter.secret).await;
    assert_eq!(app.post("/payments", &starter.secret, &in_currency("EUR", 10_000)).await.status(), 201);
    let after = app.get_json(&path(&starter, "/limits"), &starter.secret).await;
    let used = |limits: &Value| limits["daily"]["used"].as_i64().unwrap();
    assert_eq!(used(&after) - used(&before), 20_000, "counted by the published rate");
    app.stop().await;
}

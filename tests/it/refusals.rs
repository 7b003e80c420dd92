//! What a rule refuses is recorded under its key: the repeat gets the first answer, byte for byte, even when the cause is
//! gone. What is no request at all is not recorded.

use commands::ports::Role;
use domain::pricing::{RefundFeePolicy, Tier};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::{TestApp, payment};

/// A command, its key, and what it was answered first.
struct Told {
    path: String,
    secret: String,
    body: Value,
    key: String,
    status: u16,
    code: String,
    bytes: Vec<u8>,
}

async fn post(app: &TestApp, path: &str, secret: &str, key: &str, body: &Value) -> Response {
    app.request(Method::POST, path, secret).header("Idempotency-Key", key).json(body).send().await.unwrap()
}

fn is_hit(answer: &Response) -> bool {
    answer.headers().contains_key("idempotency-hit")
}

/// Sends it under a fresh key.
async fn told(app: &TestApp, (path, secret): (&str, &str), body: Value) -> Told {
    let key = Uuid::now_v7().to_string();
    let answer = post(app, path, secret, &key, &body).await;
    assert!(!is_hit(&answer), "{path}");
    let status = answer.status().as_u16();
    let bytes = answer.bytes().await.unwrap().to_vec();
    let code = serde_json::from_slice::<Value>(&bytes).unwrap()["code"].as_str().unwrap_or_default().to_owned();
    let (path, secret) = (path.to_owned(), secret.to_owned());
    Told { path, secret, body, key, status, code, bytes }
}

impl Told {
    #[track_caller]
    fn with(self, status: u16, code: &str) -> Told {
        assert_eq!((self.status, self.code.as_str()), (status, code), "{} {}", self.path, self.body);
        self
    }

    async fn assert_repeated(&self, app: &TestApp) {
        for _ in 0..2 {
            let again = post(app, &self.path, &self.secret, &self.key, &self.body).await;
            let said = (again.status().as_u16(), is_hit(&again));
            assert_eq!(said, (self.status, true), "{} {} {}", self.path, self.code, self.body);
            assert_eq!(again.bytes().await.unwrap(), self.bytes, "{} {}", self.path, self.code);
        }
    }
}

fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

fn withdrawal(currency: &str) -> Value {
    let account = json!({"iban": "DE89370400440532013000", "name": "Acme Ltd"});
    json!({"amount": 100, "currency": currency, "bank_account": account})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_stays_when_its_cause_is_gone() {
    let app = TestApp::start().await;
    let admin = app.key(Role::Admin, None).await.1;
    let small = app.merchant_with(Tier::Starter, RefundFeePolicy::Retain).await;
    let paused = app.merchant().await;
    let busy = app.merchant().await;
    let act = async |path: &str, secret: &str, body: Value| {
        let answer = app.post(path, secret, &body).await;
        assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap());
    };
    let limit = async |daily: i64| {
        let own = json!({"limits": {"daily": daily}});
        let changed = app.request(Method::PATCH, &format!("/merchants/{}", busy.id), &admin).json(&own).send().await;
        assert_eq!(changed.unwrap().status(), 200);
    };
    let orders = [500, 100, 100].map(|amount| payment("tok_requires_action", amount));
    let mut waiting = vec![];
    for order in &orders {
        let created: Value = app.post("/payments", &busy.secret, order).await.json().await.unwrap();
        waiting.push(created["id"].as_str().unwrap().to_owned());
    }
    let held = app.hold(&busy, "tok_success", 500).await;
    let capture = format!("/pre-auths/{}/capture", held["id"].as_str().unwrap());
    limit(1_100).await;
    act(&format!("/merchants/{}/suspend", paused.id), &admin, json!({})).await;

    let (s, p, b) = (small.secret.as_str(), paused.secret.as_str(), busy.secret.as_str());
    let table = [
        (("/pre-auths", s), payment("tok_success", 500), (422, "pre_auth_not_enabled")),
        (("/payments", s), with(payment("tok_success", 500), "currency", json!("EUR")), (422, "currency_not_enabled")),
        (("/payments", p), payment("tok_success", 500), (422, "merchant_suspended")),
        (("/pre-auths", p), payment("tok_success", 500), (422, "merchant_suspended")),
        (("/withdrawals", p), withdrawal("USD"), (422, "merchant_suspended")),
        (("/payments", b), orders[1].clone(), (409, "order_no_in_use")),
        (("/pre-auths", b), orders[2].clone(), (409, "order_no_in_use")),
        ((capture.as_str(), b), json!({}), (422, "daily_limit_exceeded")),
        (("/payments", b), payment("tok_success", 500), (422, "daily_limit_exceeded")),
        (("/refunds", b), json!({"payment_id": waiting[0]}), (409, "payment_not_refundable")),
    ];
    let mut refused = vec![];
    for (target, body, (status, code)) in table {
        refused.push(told(&app, target, body).await.with(status, code));
    }

    act(&format!("/merchants/{}/tier", small.id), &admin, json!({"tier": "enterprise"})).await;
    act(&format!("/merchants/{}/activate", paused.id), &admin, json!({})).await;
    limit(100_000).await;
    let complete = format!("{}/actions/{}/complete", app.sandbox.as_ref().unwrap().url(), waiting[0]);
    assert!(app.http.post(complete).send().await.unwrap().status().is_success());
    for cancelled in &waiting[1..] {
        act(&format!("/payments/{cancelled}/cancel"), b, json!({})).await;
    }
    app.payment_until(&busy, &waiting[0], "it succeeds", |payment| payment["status"] == "succeeded").await;
    for refusal in &refused {
        refusal.assert_repeated(&app).await;
        let anew = told(&app, (&refusal.path, &refusal.secret), refusal.body.clone()).await;
        assert_ne!(anew.code, refusal.code, "{}: the cause is still there", refusal.path);
    }
    crate::audit::everything_holds(&app).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_keeps_its_refusals() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let key = async |role| app.key(role, None).await.1;
    let (admin, finance, operator) = (key(Role::Admin).await, key(Role::Finance).await, key(Role::Operator).await);
    let (m, a, f, o) = (merchant.secret.as_str(), admin.as_str(), finance.as_str(), operator.as_str());
    let id = |prefix: &str| format!("{prefix}_00000000000000000000000001");
    let elsewhere = json!("elsewhere");
    let unknown_merchant = format!("merchant:{}:pending", id("mer"));
    let legs = json!([
        {"account": unknown_merchant, "side": "debit", "amount": 5},
        {"account": "bank:sandbox:cash", "side": "credit", "amount": 5},
    ]);
    let adjustment = json!({"currency": "USD", "reason": "to see", "legs": legs});
    let resolve = json!({"channel": "sandbox", "currency": "USD", "payout": "po_1", "reason": "bank_fee"});
    let future = json!({"month": "2099-01"});
    let table = [
        (m, "/payments".to_owned(), with(payment("tok_success", 5), "channel", elsewhere.clone()), 422),
        (m, "/pre-auths".to_owned(), with(payment("tok_success", 5), "channel", elsewhere), 422),
        (m, "/withdrawals".to_owned(), withdrawal("BTC"), 422),
        (m, "/withdrawals".to_owned(), withdrawal("USD"), 422),
        (m, "/refunds".to_owned(), json!({"payment_id": id("pay")}), 404),
        (m, format!("/payments/{}/cancel", id("pay")), json!({}), 404),
        (m, format!("/pre-auths/{}/capture", id("pa")), json!({}), 404),
        (m, format!("/pre-auths/{}/cancel", id("pa")), json!({}), 404),
        (m, format!("/withdrawals/{}/cancel", id("wd")), json!({}), 404),
        (m, format!("/disputes/{}/evidence", id("dp")), json!({"text": "It was delivered."}), 404),
        (m, format!("/disputes/{}/accept", id("dp")), json!({}), 404),
        (f, format!("/withdrawals/{}/approve", id("wd")), json!({}), 404),
        (f, format!("/withdrawals/{}/reject", id("wd")), json!({}), 404),
        (f, format!("/bank-accounts/{}/approve", id("ba")), json!({}), 404),
        (f, format!("/settlements/{}/approve", id("set")), json!({}), 404),
        (f, format!("/settlements/{}/hold", id("set")), json!({}), 404),
        (f, "/ledger/adjustments".to_owned(), adjustment, 422),
        (f, format!("/ledger/adjustments/{}/approve", id("adj")), json!({}), 404),
        (f, format!("/ledger/adjustments/{}/reject", id("adj")), json!({}), 404),
        (f, "/ledger/payouts/resolve".to_owned(), resolve, 404),
        (f, "/ledger/periods/close".to_owned(), future, 422),
        (a, format!("/merchants/{}/tier", id("mer")), json!({"tier": "business"}), 404),
        (a, format!("/merchants/{}/suspend", id("mer")), json!({}), 404),
        (a, format!("/merchants/{}/activate", id("mer")), json!({}), 404),
        (a, format!("/merchants/{}/close", id("mer")), json!({}), 404),
        (a, "/keys".to_owned(), json!({"role": "merchant", "merchant_id": id("mer")}), 404),
        (o, "/projections/nothing/rebuild".to_owned(), json!({}), 404),
        (o, format!("/sagas/{}/retry", id("pay")), json!({}), 404),
        (o, "/jobs/nothing/run".to_owned(), json!({}), 404),
        (o, "/jobs/no%00thing/run".to_owned(), json!({}), 404),
    ];
    let head = app.ledger.store.head().await.unwrap();
    for (secret, path, body, status) in table {
        let refusal = told(&app, (&path, secret), body).await;
        assert_eq!(refusal.status, status, "{path}: {}", refusal.code);
        refusal.assert_repeated(&app).await;
        let other = with(refusal.body.clone(), "amount", json!(1));
        let reused = post(&app, &path, secret, &refusal.key, &other).await.json::<Value>().await.unwrap();
        assert!(["idempotency_key_reused", "unknown_field"].contains(&reused["code"].as_str().unwrap()), "{reused}");
    }
    assert_eq!(app.ledger.store.head().await.unwrap(), head, "a refusal is no event");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_burns_no_key() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let (_, finance) = app.key(Role::Finance, None).await;
    let good = payment("tok_success", 500);
    let table = [
        ("/payments", with(good.clone(), "amount", json!(0)), 422),
        ("/payments", with(good.clone(), "colour", json!("red")), 422),
        ("/pre-auths", with(good.clone(), "currency", json!("usd")), 422),
        ("/withdrawals", with(withdrawal("USD"), "bank_account", json!({"iban": "DE00", "name": "A"})), 422),
    ];
    for (path, malformed, status) in table {
        let key = Uuid::now_v7().to_string();
        assert_eq!(post(&app, path, &finance, &key, &good).await.status(), 403, "{path}");
        for secret in ["sk_nobody", merchant.secret.as_str()] {
            let expected = if secret == "sk_nobody" { 401 } else { status };
            let answer = post(&app, path, secret, &key, &malformed).await;
            assert_eq!((answer.status().as_u16(), is_hit(&answer)), (expected, false), "{path}");
        }
        let corrected = post(&app, "/payments", &merchant.secret, &key, &payment("tok_success", 5)).await;
        assert_eq!((corrected.status().as_u16(), is_hit(&corrected)), (201, false), "{path}");
    }
    app.stop().await;
}

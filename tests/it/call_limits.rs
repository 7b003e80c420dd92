//! Calls per minute: counted on one node and refused on another, by the tier or the merchant's own agreement.

use std::time::Duration;

use api::CallLimits;
use commands::ports::Role as KeyRole;
use domain::pricing::{RefundFeePolicy, Tier};
use payledger::cli::Role;
use payledger::serve::Node;
use reqwest::{Method, RequestBuilder, Response, header};
use serde_json::{Value, json};
use test_support::wait;
use uuid::Uuid;

use crate::app::{TestApp, TestMerchant, payment};

/// A second node over the app's database, which enforces what the first one observes.
async fn enforcing(app: &TestApp) -> Node {
    let ledger = app.ledger.clone().limiting_calls(CallLimits::Enforce);
    let bind = "127.0.0.1:0".parse().unwrap();
    Node::start(ledger, &[Role::Api], bind, None, payledger::telemetry::metrics()).await.unwrap()
}

fn on(app: &TestApp, node: &Node, method: Method, path: &str, secret: &str) -> RequestBuilder {
    app.http.request(method, format!("http://{}/api/v1{path}", node.address)).bearer_auth(secret)
}

async fn agree(app: &TestApp, merchant: &TestMerchant, admin: &str, calls: u32) {
    let own = json!({"limits": {"api_calls_per_minute": calls}});
    let changed = app.request(Method::PATCH, &format!("/merchants/{}", merchant.id), admin).json(&own).send().await;
    assert_eq!(changed.unwrap().status(), 200);
}

fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer.headers().get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
}

/// The policy's quota and what is left of it.
fn told(answer: &Response) -> (u32, u32) {
    let policy = header(answer, "ratelimit-policy").strip_prefix("\"minute\";q=").unwrap();
    let state = header(answer, "ratelimit").strip_prefix("\"minute\";r=").unwrap();
    let quota = policy.strip_suffix(";w=60").unwrap();
    (quota.parse().unwrap(), state.split_once(";t=").unwrap().0.parse().unwrap())
}

/// How many calls have been over their limit in this process.
async fn over_limit(app: &TestApp) -> u64 {
    let page = app.http.get(format!("{}/metrics", app.base_url)).send().await.unwrap().text().await.unwrap();
    let line = page.lines().find_map(|line| line.strip_prefix("api_calls_over_limit_total "));
    line.map_or(0, |figure| figure.trim().parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_beyond_the_limit_are_counted_and_refused_only_where_that_is_enforced() {
    let app = TestApp::start().await;
    let node = enforcing(&app).await;
    let (merchant, other) = (app.merchant().await, app.merchant().await);
    let admin = app.key(KeyRole::Admin, None).await.1;
    agree(&app, &merchant, &admin, 3).await;

    let before = over_limit(&app).await;
    for left in [2, 1, 0, 0, 0] {
        let answer = app.get("/balances", &merchant.secret).await;
        assert_eq!((answer.status().as_u16(), told(&answer)), (200, (3, left)), "observed");
    }
    assert!(over_limit(&app).await >= before + 2);

    let get = async |secret: &str| on(&app, &node, Method::GET, "/balances", secret).send().await.unwrap();
    for left in [2, 1, 0] {
        let answer = get(&merchant.secret).await;
        assert_eq!((answer.status().as_u16(), told(&answer)), (200, (3, left)), "each node counts by itself");
    }
    let (body, key) = (payment("tok_success", 500), Uuid::now_v7().to_string());
    let pay = async || {
        let request = on(&app, &node, Method::POST, "/payments", &merchant.secret).header("Idempotency-Key", &key);
        request.json(&body).send().await.unwrap()
    };
    let refused = pay().await;
    assert_eq!((refused.status().as_u16(), told(&refused)), (429, (3, 0)));
    let seconds: u32 = header(&refused, header::RETRY_AFTER.as_str()).parse().unwrap();
    assert!((1..=20).contains(&seconds), "a third of a minute, not {seconds} s");
    assert_eq!(header(&refused, "content-type"), "application/problem+json");
    let problem: Value = refused.json().await.unwrap();
    assert_eq!((&problem["code"], &problem["retryable"]), (&json!("call_limit_exceeded"), &json!(true)));
    assert!(over_limit(&app).await >= before + 3);

    assert_eq!(told(&get(&other.secret).await), (10_000, 9_999), "another merchant has its own");
    let answer = on(&app, &node, Method::GET, "/merchants", &admin).send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), header(&answer, "ratelimit")),
        (200, ""),
        "people of the platform are not metered"
    );
    assert_eq!(get("sk_nobody").await.status(), 401);

    agree(&app, &merchant, &admin, 1_000).await;
    let created = wait::until("the wider limit is noticed", Duration::from_secs(20), || async {
        let answer = pay().await;
        (answer.status() != 429).then_some(answer)
    })
    .await;
    assert_eq!((created.status().as_u16(), told(&created).0), (201, 1_000));
    assert_eq!(header(&created, "idempotency-hit"), "", "the refusal was not recorded");
    node.stop().await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_tier_changes_what_is_allowed() {
    let app = TestApp::start().await;
    let merchant = app.merchant_with(Tier::Starter, RefundFeePolicy::Retain).await;
    let admin = app.key(KeyRole::Admin, None).await.1;
    assert_eq!(told(&app.get("/payments", &merchant.secret).await), (100, 99));
    assert_eq!(told(&app.get("/payments/pay_1", &merchant.secret).await), (100, 98), "an error is a call, too");
    for (tier, calls) in [("premium", 10_000), ("enterprise", 2_000), ("business", 500)] {
        let changed = app.post(&format!("/merchants/{}/tier", merchant.id), &admin, &json!({"tier": tier})).await;
        assert_eq!(changed.status(), 200);
        wait::until("the tier's calls are allowed", Duration::from_secs(20), || async {
            let (quota, left) = told(&app.get("/payments", &merchant.secret).await);
            (quota == calls && left == calls - 1).then_some(())
        })
        .await;
        let limits = app.get_json(&format!("/merchants/{}/limits", merchant.id), &merchant.secret).await;
        assert_eq!(limits["api_calls_per_minute"], calls);
    }
    app.stop().await;
}

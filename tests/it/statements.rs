//! Merchants' statements: each begins where the one before it ended, and says what the balances say.

use commands::ports::Role as KeyRole;
use domain::pricing::{RefundFeePolicy, Tier};
use serde_json::{Value, json};

use crate::app::{TestApp, TestMerchant};

async fn statement(app: &TestApp, merchant: &TestMerchant, query: &str) -> Value {
    app.fresh(&format!("/statements?currency=USD{query}"), &merchant.secret).await
}

fn lines(statement: &Value) -> Vec<(&str, i64, i64)> {
    let line = |line: &'_ Value| (line["amount"].as_i64().unwrap(), line["balance"].as_i64().unwrap());
    let kinds = statement["movements"].as_array().unwrap().iter();
    kinds.map(|row| (row["kind"].as_str().unwrap(), line(row).0, line(row).1)).collect()
}

fn now(app: &TestApp) -> String {
    app.ledger.payments.clock.now().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_begins_where_the_one_before_it_ended() {
    let app = TestApp::start().await;
    let merchant = app.merchant_with(Tier::Starter, RefundFeePolicy::Proportional).await;
    let other = app.merchant_with(Tier::Starter, RefundFeePolicy::Retain).await;
    let (anna, ben) = (app.key(KeyRole::Finance, None).await.1, app.key(KeyRole::Finance, None).await.1);
    let empty = statement(&app, &merchant, "").await;
    assert_eq!((&empty["opening"], &empty["closing"], &empty["movements"]), (&json!(0), &json!(0), &json!([])));

    let first = app.pay(&merchant, "tok_success", 10_000).await;
    app.pay(&other, "tok_success", 10_000).await;
    let first_cut = now(&app);
    let refund = json!({"payment_id": first["id"], "amount": 4_000});
    assert_eq!(app.post("/refunds", &merchant.secret, &refund).await.status(), 201);
    let goodwill = json!({
        "reason": "goodwill",
        "currency": "USD",
        "legs": [
            {"account": "expense:merchant_loss", "side": "debit", "amount": 25},
            {"account": format!("merchant:{}:pending", merchant.id), "side": "credit", "amount": 25},
        ],
    });
    adjust(&app, (&anna, &ben), &goodwill).await;
    let second_cut = now(&app);
    app.pay(&merchant, "tok_success", 1_000).await;

    let whole = statement(&app, &merchant, "").await;
    let expected =
        [("payment", 9_820, 9_820), ("refund", -4_000 + 32, 5_852), ("adjustment", 25, 5_877), ("payment", 982, 6_859)];
    assert_eq!(lines(&whole), expected, "{whole}");
    assert_eq!(whole["movements"][0]["reference"], first["id"]);
    assert!(whole["movements"][1]["reference"].as_str().unwrap().starts_with("re_"));
    let balances = app.fresh("/balances", &merchant.secret).await;
    assert_eq!((&balances["balances"][0]["pending"], &whole["closing"]), (&json!(6_859), &json!(6_859)));

    let parts = [
        statement(&app, &merchant, &format!("&to={first_cut}")).await,
        statement(&app, &merchant, &format!("&from={first_cut}&to={second_cut}")).await,
        statement(&app, &merchant, &format!("&from={second_cut}")).await,
    ];
    let bounds: Vec<_> = parts.iter().map(|part| (part["opening"].clone(), part["closing"].clone())).collect();
    let figures =
        [(0, 9_820), (9_820, 5_877), (5_877, 6_859)].map(|(opening, closing)| (json!(opening), json!(closing)));
    assert_eq!(bounds, figures);
    assert_eq!(parts.iter().flat_map(lines).collect::<Vec<_>>(), expected);

    let today = &first_cut[..10];
    let day = statement(&app, &merchant, &format!("&from={today}&to={}", &now(&app)[..10])).await;
    assert_eq!((&day["opening"], lines(&day).as_slice()), (&json!(0), &expected[..]), "a day is meant as a whole");
    let before = statement(&app, &merchant, "&from=2026-01-01&to=2026-01-31").await;
    assert_eq!((&before["opening"], &before["closing"], &before["movements"]), (&json!(0), &json!(0), &json!([])));

    let (mut paged, mut cursor) = (vec![], String::new());
    loop {
        let page = statement(&app, &merchant, &format!("&limit=3{cursor}")).await;
        assert_eq!((&page["opening"], &page["closing"]), (&whole["opening"], &whole["closing"]));
        paged.extend(page["movements"].as_array().unwrap().clone());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(json!(paged), whole["movements"]);
    crate::audit::everything_holds(&app).await;
    app.stop().await;
}

/// Proposed by one person and approved by the other; its id.
async fn adjust(app: &TestApp, (anna, ben): (&str, &str), proposal: &Value) -> Value {
    let proposed: Value = app.post("/ledger/adjustments", anna, proposal).await.json().await.unwrap();
    let approve = format!("/ledger/adjustments/{}/approve", proposed["id"].as_str().unwrap());
    assert_eq!(app.post(&approve, ben, &json!({})).await.status(), 200);
    proposed["id"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_merchants_account_posts_is_told_by_what_it_is_about() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let (anna, ben) = (app.key(KeyRole::Finance, None).await.1, app.key(KeyRole::Finance, None).await.1);
    let goodwill = json!({
        "reason": "goodwill",
        "currency": "USD",
        "legs": [
            {"account": "expense:merchant_loss", "side": "debit", "amount": 25},
            {"account": format!("merchant:{}:available", merchant.id), "side": "credit", "amount": 25},
        ],
    });
    let adjustment = adjust(&app, (&anna, &ben), &goodwill).await;
    let told = statement(&app, &merchant, "").await;
    assert_eq!(lines(&told), [("adjustment", 25, 25)]);
    assert_eq!(told["movements"][0]["reference"], adjustment);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_is_shown_to_whom_it_concerns() {
    let app = TestApp::start().await;
    let (merchant, other) = (app.merchant().await, app.merchant().await);
    let auditor = app.key(KeyRole::Auditor, None).await.1;
    let named = format!("/statements?currency=USD&merchant_id={}", merchant.id);
    for (secret, path, status) in [
        (&merchant.secret, "/statements?currency=USD", 200),
        (&merchant.secret, named.as_str(), 200),
        (&auditor, named.as_str(), 200),
        (&other.secret, named.as_str(), 403),
        (&auditor, "/statements?currency=USD", 400),
        (&auditor, "/statements?currency=USD&merchant_id=mer_00000000000000000000000007", 404),
        (&merchant.secret, "/statements", 400),
        (&merchant.secret, "/statements?currency=usd", 400),
        (&merchant.secret, "/statements?currency=USD&from=yesterday", 400),
        (&merchant.secret, "/statements?currency=USD&from=2026-02-01&to=2026-01-01", 400),
        (&merchant.secret, "/statements?currency=USD&limit=0", 400),
        (&merchant.secret, "/statements?currency=USD&status=open", 400),
    ] {
        assert_eq!(app.get(path, secret).await.status(), status, "{path}");
    }
    app.stop().await;
}

//! Each token of the sandbox played through the whole ledger, and its end compared with the sandbox's own book.

use serde_json::Value;

use crate::app::TestApp;

/// What a token must come to: status, decline code, and the amount in the channel's book.
struct Case {
    token: &'static str,
    status: &'static str,
    decline_code: Option<&'static str>,
    charged: bool,
}

const fn ends(token: &'static str, status: &'static str, decline_code: Option<&'static str>, charged: bool) -> Case {
    Case { token, status, decline_code, charged }
}

const CASES: [Case; 15] = [
    ends("tok_success", "succeeded", None, true),
    ends("tok_declined", "failed", Some("declined"), false),
    ends("tok_insufficient_funds", "failed", Some("insufficient_funds"), false),
    ends("tok_expired_card", "failed", Some("expired_card"), false),
    ends("tok_async", "succeeded", None, true),
    ends("tok_timeout_charged", "succeeded", None, true),
    ends("tok_timeout_uncharged", "succeeded", None, true),
    ends("tok_error_then_success", "succeeded", None, true),
    ends("tok_duplicate_webhooks", "succeeded", None, true),
    ends("tok_webhook_lost", "succeeded", None, true),
    ends("tok_refund_fails", "succeeded", None, true),
    ends("tok_refund_fails_late", "succeeded", None, true),
    ends("tok_dispute", "succeeded", None, true),
    ends("tok_dispute_won", "succeeded", None, true),
    ends("tok_dispute_lost", "succeeded", None, true),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_token_ends_as_the_channels_book_says() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    for case in CASES {
        let created = app.pay(&merchant, case.token, 10_000).await;
        let id = created["id"].as_str().unwrap();
        let payment = app.payment_until(&merchant, id, case.token, |payment| payment["status"] == case.status).await;
        assert_eq!(payment["failure"]["decline_code"].as_str(), case.decline_code, "{}", case.token);
        let charges: Vec<Value> =
            app.book(id).await.into_iter().filter(|operation| operation["kind"] == "charge").collect();
        assert_eq!(charges.len(), usize::from(case.charged), "{}: {charges:?}", case.token);
        if case.charged {
            assert_eq!((&charges[0]["amount"], &charges[0]["fee"]), (&10_000.into(), &100.into()), "{}", case.token);
            assert_eq!(payment["amount_captured"], 10_000, "{}", case.token);
            assert_eq!(payment["fees"]["channel"], 100, "{}", case.token);
        }
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_completes_the_action() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let created = app.pay(&merchant, "tok_requires_action", 5_000).await;
    let id = created["id"].as_str().unwrap();
    assert_eq!(created["status"], "requires_action");
    assert!(created["next_action"]["url"].as_str().unwrap().starts_with("http"));
    let complete = format!("{}/actions/{id}/complete", app.sandbox.as_ref().unwrap().url());
    assert!(app.http.post(complete).send().await.unwrap().status().is_success());
    app.payment_until(&merchant, id, "the webhook tells", |payment| payment["status"] == "succeeded").await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refunds_end_as_the_channels_book_says() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    for (token, status, operations) in [
        ("tok_success", "succeeded", vec!["refund"]),
        ("tok_refund_fails", "failed", vec![]),
        ("tok_refund_fails_late", "failed", vec!["refund", "refund_reversal"]),
    ] {
        let payment = app.pay(&merchant, token, 7_000).await;
        let asked = serde_json::json!({"payment_id": payment["id"], "amount": 2_500});
        let refund: Value = app.post("/refunds", &merchant.secret, &asked).await.json().await.unwrap();
        let id = refund["id"].as_str().unwrap();
        let path = format!("/refunds/{id}");
        test_support::wait::until(token, std::time::Duration::from_secs(20), || async {
            (app.get_json(&path, &merchant.secret).await["status"] == status).then_some(())
        })
        .await;
        let book = app.book(id).await;
        let kinds: Vec<&str> = book.iter().filter_map(|operation| operation["kind"].as_str()).collect();
        assert_eq!(kinds, operations, "{token}");
    }
    app.stop().await;
}

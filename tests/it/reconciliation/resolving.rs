//! What finance may say of a difference, and what the books make of it.

use std::sync::Arc;

use commands::Channels;
use commands::ports::Role as KeyRole;
use serde_json::{Value, json};
use test_support::paying_channel::PayingChannel;
use test_support::process::free_port;

use super::{HEADINGS, bring, exceptions, line, told};
use crate::app::TestApp;

async fn balance(app: &TestApp, finance: &str, account: &str) -> i64 {
    let trial = app.fresh("/ledger/trial-balance", finance).await;
    let usd = trial["currencies"].as_array().unwrap().iter().find(|one| one["currency"] == "USD").unwrap();
    let found = usd["accounts"].as_array().unwrap().iter().find(|line| line["account"] == account);
    found.map_or(0, |line| line["balance"].as_i64().unwrap())
}

async fn only(app: &TestApp, finance: &str, filter: &str) -> Value {
    let found = exceptions(app, finance, filter).await;
    assert_eq!(found.len(), 1, "{filter}: {found:?}");
    found[0].clone()
}

fn path(exception: &Value) -> String {
    format!("/reconciliation/exceptions/{}/resolve", exception["id"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn differences_are_written_off_matched_and_adjusted() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let (anna, ben) = (app.key(KeyRole::Finance, None).await.1, app.key(KeyRole::Finance, None).await.1);
    let paid = [
        app.pay(&merchant, "tok_success", 50_000).await,
        app.pay(&merchant, "tok_success", 2_000).await,
        app.pay(&merchant, "tok_success", 3_000).await,
    ];
    let of = |index: usize, field: &str| paid[index][field].as_str().unwrap().to_owned();
    let file = [
        HEADINGS.to_owned(),
        line(&of(0, "channel_reference"), "charge", 39_000, 500, &of(0, "updated_at")),
        line(&of(1, "channel_reference"), "charge", 1_990, 20, &of(1, "updated_at")),
        line("under-another-name", "charge", 3_000, 30, &of(2, "updated_at")),
    ];
    bring(&app, &anna, "format=csv", file.concat()).await;
    assert_eq!(balance(&app, &anna, "channel:sandbox:receivable").await, 54_450);

    // A small one by one person, once.
    let small = exceptions(&app, &anna, "kind=amount").await;
    let (small, large) = small.iter().partition::<Vec<&Value>, _>(|one| one["amount"] == -10);
    let body = json!({"action": "write_off", "reason": "rounded there", "cause": "rounding"});
    let first = app.post_keyed(&path(small[0]), &anna, "small", &body).await;
    assert_eq!(first.status(), 200);
    let first = first.text().await.unwrap();
    let resolved: Value = serde_json::from_str(&first).unwrap();
    assert_eq!((&resolved["status"], &resolved["resolution"]["cause"]), (&json!("resolved"), &json!("rounding")));
    let repeat = app.post_keyed(&path(small[0]), &anna, "small", &body).await;
    assert_eq!(repeat.headers()["idempotency-hit"], "true");
    assert_eq!(repeat.text().await.unwrap(), first);
    assert_eq!(told(app.post(&path(small[0]), &anna, &body).await).await, "200 resolved");
    assert_eq!(balance(&app, &anna, "channel:sandbox:receivable").await, 54_440);
    assert_eq!(balance(&app, &anna, "expense:recon_writeoff").await, 10);

    // A large one by two.
    let body = json!({"action": "write_off", "reason": "the channel will not pay"});
    assert_eq!(told(app.post(&path(large[0]), &anna, &body).await).await, "200 requested");
    assert_eq!(only(&app, &anna, "status=requested").await["id"], large[0]["id"]);
    assert_eq!(told(app.post(&path(large[0]), &anna, &body).await).await, "422 approver_is_requester");
    assert_eq!(balance(&app, &anna, "expense:recon_writeoff").await, 10);
    assert_eq!(told(app.post(&path(large[0]), &ben, &body).await).await, "200 resolved");
    assert_eq!(balance(&app, &anna, "expense:recon_writeoff").await, 11_010);
    assert_eq!(balance(&app, &anna, "channel:sandbox:receivable").await, 43_440);

    // Two sides of one thing.
    let here = only(&app, &anna, "kind=missing_here").await;
    let there = only(&app, &anna, "kind=missing_there").await;
    let with = |other: &Value| json!({"action": "match", "reason": "renamed", "exception_id": other["id"]});
    assert_eq!(told(app.post(&path(&here), &anna, &with(small[0])).await).await, "422 not_the_other_side");
    assert_eq!(told(app.post(&path(&here), &anna, &with(&there)).await).await, "200 resolved");
    assert_eq!(only(&app, &anna, "kind=missing_there&status=resolved").await["resolution"]["exception_id"], here["id"]);
    assert_eq!(told(app.post(&path(&there), &anna, &with(&here)).await).await, "200 resolved");
    assert_eq!(
        told(app.post(&path(&there), &ben, &json!({"action": "accept", "reason": "x"})).await).await,
        "409 exception_already_resolved"
    );
    assert_eq!(exceptions(&app, &anna, "status=open").await, Vec::<Value>::new());
    crate::audit::everything_holds(&app).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_estimated_fee_is_trued_up_and_an_adjustment_must_be_approved() {
    let channel = Arc::new(PayingChannel::default());
    let app = TestApp::with_channels(Channels::of([channel.clone() as _]), free_port()).await;
    let merchant = app.merchant().await;
    let (anna, ben) = (app.key(KeyRole::Finance, None).await.1, app.key(KeyRole::Finance, None).await.1);
    let paid = app.pay(&merchant, "tok_success", 100_000).await;
    let (reference, at) = (paid["channel_reference"].as_str().unwrap(), paid["updated_at"].as_str().unwrap());
    assert_eq!(balance(&app, &anna, "expense:channel_fee:scripted").await, 800, "an estimate");
    let file =
        [HEADINGS.to_owned(), line(reference, "charge", 100_000, 1_000, at), line("monthly", "fee", 0, 2_500, at)];
    bring(&app, &anna, "format=csv", file.concat()).await;
    let fee = only(&app, &anna, "kind=fee").await;
    assert_eq!((&fee["amount"], fee["reason"].as_str().unwrap().contains("estimate")), (&json!(-200), true));
    let true_up = json!({"action": "true_up", "reason": "as told"});
    assert_eq!(told(app.post(&path(&fee), &anna, &true_up).await).await, "200 resolved");
    assert_eq!(balance(&app, &anna, "expense:channel_fee:scripted").await, 1_000);
    assert_eq!(balance(&app, &anna, "channel:scripted:receivable").await, 99_000);

    let monthly = only(&app, &anna, "kind=missing_here").await;
    assert_eq!(told(app.post(&path(&monthly), &anna, &true_up).await).await, "422 no_estimated_fee");
    let legs = json!([
        {"account": "expense:channel_fee:scripted", "side": "debit", "amount": 2_500},
        {"account": "channel:scripted:receivable", "side": "credit", "amount": 2_500},
    ]);
    let adjustment = json!({"reason": "monthly fee", "currency": "USD", "legs": legs});
    let adjustment: Value = app.post("/ledger/adjustments", &anna, &adjustment).await.json().await.unwrap();
    let adjust = json!({"action": "adjust", "reason": "monthly fee", "adjustment_id": adjustment["id"]});
    assert_eq!(told(app.post(&path(&monthly), &anna, &adjust).await).await, "422 adjustment_not_approved");
    let approve = format!("/ledger/adjustments/{}/approve", adjustment["id"].as_str().unwrap());
    assert_eq!(app.post(&approve, &ben, &json!({})).await.status(), 200);
    assert_eq!(told(app.post(&path(&monthly), &anna, &adjust).await).await, "200 resolved");
    assert_eq!(balance(&app, &anna, "channel:scripted:receivable").await, 96_500);
    crate::audit::everything_holds(&app).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_said_is_refused() {
    let app = TestApp::start().await;
    let (merchant, anna) = (app.merchant().await, app.key(KeyRole::Finance, None).await.1);
    bring(&app, &anna, "format=csv", format!("{HEADINGS}{}", line("a", "charge", 100, 0, "2026-11-18"))).await;
    let found = only(&app, &anna, "").await;
    let unknown = "/reconciliation/exceptions/exc_0000000000000000000000000a/resolve";
    let accept = json!({"action": "accept", "reason": "x"});
    assert_eq!(told(app.post(unknown, &anna, &accept).await).await, "404 exception_not_found");
    assert_eq!(told(app.post(&path(&found), &merchant.secret, &accept).await).await, "403 forbidden");
    for (body, expected) in [
        (json!({"action": "accept"}), "422 missing_field"),
        (json!({"action": "accept", "reason": ""}), "422 invalid_reason"),
        (json!({"action": "forget", "reason": "x"}), "422 invalid_field"),
        (json!({"action": "accept", "reason": "x", "cause": "rounding"}), "422 invalid_field"),
        (json!({"action": "match", "reason": "x"}), "422 missing_field"),
        (
            json!({"action": "match", "reason": "x", "exception_id": "exc_0000000000000000000000000a"}),
            "404 exception_not_found",
        ),
        (
            json!({"action": "adjust", "reason": "x", "adjustment_id": "adj_0000000000000000000000000a"}),
            "422 adjustment_not_approved",
        ),
        (json!({"action": "accept", "reason": "x", "colour": "red"}), "422 unknown_field"),
    ] {
        assert_eq!(told(app.post(&path(&found), &anna, &body).await).await, expected, "{body}");
    }
    for query in ["colour=red", "kind=red", "status=red", "severity=red", "currency=red", "statement_id=red", "limit=0"]
    {
        assert_eq!(app.get(&format!("/reconciliation/exceptions?{query}"), &anna).await.status(), 400, "{query}");
    }
    assert_eq!(app.get("/reconciliation/exceptions", &merchant.secret).await.status(), 403);
    assert_eq!(only(&app, &anna, "status=open").await["id"], found["id"], "nothing was said");
    app.stop().await;
}

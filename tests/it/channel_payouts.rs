//! What channels pay out: the sandbox's payouts in the books once, the fees that a statement tells, and differences
//! until somebody says what they were.

use std::sync::Arc;
use std::time::Duration;

use commands::Channels;
use commands::ports::Role as KeyRole;
use serde_json::{Value, json};
use test_support::paying_channel::PayingChannel;
use test_support::process::free_port;
use test_support::wait;

use crate::app::TestApp;

const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn the_job_takes_in_what_the_sandbox_has_paid_out() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let (finance, operator) = (app.key(KeyRole::Finance, None).await.1, app.key(KeyRole::Operator, None).await.1);
    app.pay(&merchant, "tok_success", 10_000).await;
    let pay_out = format!("{}/payouts/run", app.sandbox.as_ref().unwrap().url());
    assert!(app.http.post(&pay_out).json(&json!({})).send().await.unwrap().status().is_success());
    wait::until("the node has entered its jobs", LIMIT, || async {
        let asked = app.post("/jobs/collect_payouts/run", &operator, &json!({})).await;
        (asked.status() == 202).then_some(())
    })
    .await;
    let booked = async || (payouts(&app, &finance, "sandbox").await.len() == 1).then_some(());
    wait::until("the payout is booked", LIMIT, booked).await;
    app.stop().await;
}

/// Balances by account in USD, those that are not zero.
async fn balances(app: &TestApp, finance: &str) -> Vec<(String, i64)> {
    let trial = app.fresh("/ledger/trial-balance", finance).await;
    let usd = trial["currencies"].as_array().unwrap().iter().find(|one| one["currency"] == "USD").unwrap();
    assert_eq!(usd["debits"], usd["credits"]);
    let accounts = usd["accounts"].as_array().unwrap().iter();
    let lines = accounts.map(|line| (line["account"].as_str().unwrap().to_owned(), line["balance"].as_i64().unwrap()));
    lines.filter(|(_, balance)| *balance != 0).collect()
}

fn balance(balances: &[(String, i64)], account: &str) -> i64 {
    balances.iter().find(|(name, _)| name == account).map_or(0, |(_, balance)| *balance)
}

async fn payouts(app: &TestApp, finance: &str, channel: &str) -> Vec<(i64, i64, String)> {
    let page = app.get_json(&format!("/ledger/payouts?channel={channel}&currency=USD"), finance).await;
    let row = |row: &Value| {
        let figure = |name: &str| row[name].as_i64().unwrap();
        (figure("amount"), figure("difference"), row["status"].as_str().unwrap().to_owned())
    };
    page["data"].as_array().unwrap().iter().map(row).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_sandbox_pays_out_is_booked_once() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let finance = app.key(KeyRole::Finance, None).await.1;
    let paid = app.pay(&merchant, "tok_success", 10_000).await;
    app.pay(&merchant, "tok_success", 2_000).await;
    let refund = json!({"payment_id": paid["id"], "amount": 500});
    assert_eq!(app.post("/refunds", &merchant.secret, &refund).await.status(), 201);
    let pay_out = format!("{}/payouts/run", app.sandbox.as_ref().unwrap().url());
    let paid_out = || app.http.post(&pay_out).json(&json!({})).send();
    assert!(paid_out().await.unwrap().status().is_success());

    // Asked for over HTTP, again with the same key, and by two nodes at once.
    let answer = app.post_keyed("/ledger/payouts/collect", &finance, "collect", &json!({})).await;
    assert_eq!((answer.status().as_u16(), answer.text().await.unwrap().contains("done")), (200, true));
    let again = app.post_keyed("/ledger/payouts/collect", &finance, "collect", &json!({})).await;
    assert_eq!(again.headers()["idempotency-hit"], "true");
    app.pay(&merchant, "tok_success", 3_000).await;
    assert!(paid_out().await.unwrap().status().is_success());
    let accounts = &app.ledger.channel_accounts;
    let (first, second) = tokio::join!(accounts.collect_payouts(), accounts.collect_payouts());
    assert_eq!((first.unwrap() + second.unwrap(), accounts.collect_payouts().await.unwrap()), (1, 0));

    assert_eq!(
        payouts(&app, &finance, "sandbox").await,
        [(2_970, 0, "settled".to_owned()), (11_380, 0, "settled".to_owned())]
    );
    let books = balances(&app, &finance).await;
    assert_eq!((balance(&books, "bank:sandbox:cash"), balance(&books, "channel:sandbox:receivable")), (14_350, 0));
    assert_eq!(app.post("/ledger/payouts/collect", &merchant.secret, &json!({})).await.status(), 403);
    let page = app.get_json("/ledger/payouts?channel=sandbox&currency=USD&limit=1", &finance).await;
    assert_eq!((page["data"].as_array().unwrap().len(), &page["has_more"]), (1, &json!(true)));
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = app.get_json(&format!("/ledger/payouts?channel=sandbox&currency=USD&cursor={cursor}"), &finance).await;
    assert_eq!((&rest["data"][0]["amount"], &rest["has_more"]), (&json!(11_380), &json!(false)));
    crate::audit::everything_holds(&app).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_tells_fees_and_a_difference_waits_for_its_explanation() {
    let channel = Arc::new(PayingChannel::default());
    let app = TestApp::with_channels(Channels::of([channel.clone() as _]), free_port()).await;
    let merchant = app.merchant().await;
    let (anna, ben) = (app.key(KeyRole::Finance, None).await.1, app.key(KeyRole::Finance, None).await.1);
    let paid = app.pay(&merchant, "tok_success", 100_000).await;
    let id = paid["id"].as_str().unwrap();
    // The estimate was 0.8 %; the statement says 1 %, and 12 of what it adds up to did not arrive.
    assert_eq!(balance(&balances(&app, &anna).await, "expense:channel_fee:scripted"), 800);
    channel.pay_out("po_1", 98_988, (id, 100_000, 1_000));
    assert_eq!(app.ledger.channel_accounts.collect_payouts().await.unwrap(), 1);
    let books = balances(&app, &anna).await;
    let expected = [
        ("expense:channel_fee:scripted", 1_000),
        ("channel:scripted:receivable", 0),
        ("bank:sandbox:cash", 98_988),
        ("suspense:recon:scripted", 12),
    ];
    for (account, figure) in expected {
        assert_eq!(balance(&books, account), figure, "{account} in {books:?}");
    }
    let of = |payout: &str, reason: &str| json!({"channel": "scripted", "currency": "USD", "payout": payout, "reason": reason});
    let resolve = async |secret: &str, body: Value| {
        let answer = app.post("/ledger/payouts/resolve", secret, &body).await;
        let status = answer.status().as_u16();
        let body: Value = answer.json().await.unwrap();
        (status, body.get("code").unwrap_or(&body["status"]).as_str().unwrap().to_owned())
    };
    assert_eq!(resolve(&anna, of("po_1", "bank_fee")).await, (200, "resolved".to_owned()));
    assert_eq!(resolve(&ben, of("po_1", "bank_fee")).await, (409, "payout_has_no_difference".to_owned()));
    assert_eq!(resolve(&anna, of("po_9", "rounding")).await, (404, "payout_not_found".to_owned()));

    // Told again with another amount, it is not booked, and somebody is told.
    channel.pay_out("po_1", 98_000, (id, 100_000, 1_000));
    assert_eq!(app.ledger.channel_accounts.collect_payouts().await.unwrap(), 0);
    let metrics = app.http.get(format!("{}/metrics", app.base_url)).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains(r#"payout_refused_total{channel="scripted"} 1"#), "{metrics}");

    // A large difference takes two people; the channel took money back.
    channel.pay_out("po_2", -10_100, (id, 0, 0));
    assert_eq!(app.ledger.channel_accounts.collect_payouts().await.unwrap(), 1);
    assert_eq!(resolve(&anna, of("po_2", "write_off")).await, (200, "requested".to_owned()));
    assert_eq!(resolve(&anna, of("po_2", "write_off")).await, (422, "approver_is_requester".to_owned()));
    assert_eq!(resolve(&ben, of("po_2", "write_off")).await, (200, "resolved".to_owned()));
    let books = balances(&app, &anna).await;
    let expected = [
        ("expense:bank_fee", 12),
        ("expense:recon_writeoff", 10_100),
        ("bank:sandbox:cash", 98_988 - 10_100),
        ("suspense:recon:scripted", 0),
    ];
    for (account, figure) in expected {
        assert_eq!(balance(&books, account), figure, "{account} in {books:?}");
    }
    crate::audit::everything_holds(&app).await;
    app.stop().await;
}

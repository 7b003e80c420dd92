//! Many refunds of one payment at once: never more than was captured goes back.

use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use test_support::wait;

use crate::app::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_full_refunds_at_once_exactly_one_succeeds() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let paid = app.pay(&merchant, "tok_success", 10_000).await;
    let id = paid["id"].as_str().unwrap();
    let body = json!({"payment_id": id, "amount": 10_000});
    let answers = join_all((0..50).map(|_| app.post("/refunds", &merchant.secret, &body))).await;
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status().as_u16()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [201, 409, 422].contains(status)), "{statuses:?}");

    let refunded =
        app.payment_until(&merchant, id, "the refund is done", |payment| payment["amount_refunded"] == 10_000).await;
    assert_eq!(refunded["status"], "succeeded");
    let refunds: Value = app.get_json("/refunds", &merchant.secret).await;
    let refund = refunds["data"][0]["id"].as_str().unwrap();
    assert_eq!(refunds["data"].as_array().unwrap().len(), 1);
    assert_eq!(app.book(refund).await.len(), 1);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partial_refunds_at_once_never_exceed_the_capture() {
    let app = TestApp::start().await;
    let merchant = app.merchant().await;
    let paid = app.pay(&merchant, "tok_success", 10_000).await;
    let id = paid["id"].as_str().unwrap();
    let body = json!({"payment_id": id, "amount": 3_000});
    let answers = join_all((0..20).map(|_| app.post("/refunds", &merchant.secret, &body))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status() == 201).count(), 3);
    wait::until("all three are done and nothing is held", Duration::from_secs(20), || async {
        let payment = app.get_json(&format!("/payments/{id}"), &merchant.secret).await;
        let balances = app.get_json("/balances", &merchant.secret).await;
        (payment["amount_refunded"] == 9_000 && balances["balances"][0]["on_hold"] == 0).then_some(())
    })
    .await;
    app.stop().await;
}

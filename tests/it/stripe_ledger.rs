//! The whole ledger over Stripe's API, served by a process that nobody here wrote: paid, refunded, declined, and the
//! books balanced at the end.

use std::sync::Arc;

use adapters::channels::stripe::{StripeChannel, StripeConfig};
use commands::Channels;
use commands::ports::Role as KeyRole;
use commands::ports::clock::SystemClock;
use serde_json::{Value, json};
use test_support::localstripe::{Localstripe, localstripe};
use test_support::process::free_port;

use crate::app::{TestApp, payment};

const WEBHOOK_SECRET: &str = "whsec_of_the_stripe_tests";

async fn over_stripe() -> (TestApp, Localstripe) {
    let stripe = localstripe().await;
    let port = free_port();
    let config = StripeConfig { url: stripe.base_url.clone(), ..StripeConfig::new("sk_test_12345", WEBHOOK_SECRET) };
    let channel = StripeChannel::new(config, Arc::new(SystemClock)).unwrap();
    let app = TestApp::with_channels(Channels::of([Arc::new(channel) as _]), port).await;
    let hook = format!("{}/_config/webhooks/payledger", stripe.base_url);
    let url = format!("{}/api/v1/webhooks/stripe", app.base_url);
    let registered =
        app.http.post(hook).form(&[("url", url.as_str()), ("secret", WEBHOOK_SECRET)]).send().await.unwrap();
    assert!(registered.status().is_success());
    (app, stripe)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_is_charged_and_refunded_and_the_books_balance() {
    let (app, _stripe) = over_stripe().await;
    let merchant = app.merchant().await;
    let paid = app.pay(&merchant, "pm_card_visa", 10_000).await;
    assert_eq!((&paid["status"], &paid["channel"]), (&json!("succeeded"), &json!("stripe")), "{paid}");
    assert!(paid["channel_reference"].as_str().unwrap().starts_with("pi_"));

    let refund = json!({"payment_id": paid["id"], "amount": 4_000});
    let refund: Value = app.post("/refunds", &merchant.secret, &refund).await.json().await.unwrap();
    assert_eq!(refund["status"], "succeeded", "{refund}");

    let declined = app.post("/payments", &merchant.secret, &payment("pm_card_chargeDeclined", 5_000)).await;
    let declined: Value = declined.json().await.unwrap();
    assert_eq!(declined["status"], "failed", "{declined}");

    let (_, auditor) = app.key(KeyRole::Auditor, None).await;
    let books = test_support::wait::until("the books have the refund", std::time::Duration::from_secs(10), || async {
        let books = app.get_json("/ledger/trial-balance", &auditor).await;
        let usd = books["currencies"].as_array()?.iter().find(|balance| balance["currency"] == "USD")?.clone();
        let receivable =
            usd["accounts"].as_array()?.iter().find(|line| line["account"] == "channel:stripe:receivable")?;
        (receivable["credits"].as_i64()? >= 4_000).then_some(usd.clone())
    })
    .await;
    assert_eq!(books["debits"], books["credits"]);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_is_held_and_captured_once() {
    let (app, _stripe) = over_stripe().await;
    let merchant = app.merchant().await;
    let held = app.hold(&merchant, "pm_card_visa", 10_000).await;
    assert_eq!((&held["status"], &held["channel"]), (&json!("authorized"), &json!("stripe")), "{held}");
    let (status, taken) = app.on_hold(&merchant, &held, "capture", &json!({"amount": 4_000})).await;
    assert_eq!((status, &taken["status"]), (200, &json!("captured")), "{taken}");
    // Stripe gives back the rest with the first capture, whether or not it was called the final one.
    let (status, second) = app.on_hold(&merchant, &held, "capture", &json!({"amount": 1_000})).await;
    assert_eq!((status, &second["code"]), (409, &json!("pre_auth_single_capture")));
    let path = format!("/pre-auths/{}", held["id"].as_str().unwrap());
    let ended = app.get_json(&path, &merchant.secret).await;
    let sums = ["amount_captured", "amount_capturable", "amount_released"].map(|field| ended[field].as_i64().unwrap());
    assert_eq!((ended["status"].as_str().unwrap(), sums), ("captured", [4_000, 0, 6_000]), "{ended}");
    let payment = format!("/payments/{}", ended["captures"][0].as_str().unwrap());
    let payment = app.get_json(&payment, &merchant.secret).await;
    assert_eq!((&payment["status"], &payment["amount_captured"]), (&json!("succeeded"), &json!(4_000)));

    let released = app.hold(&merchant, "pm_card_visa", 500).await;
    let (status, released) = app.on_hold(&merchant, &released, "cancel", &json!({})).await;
    assert_eq!((status, &released["status"], &released["amount_released"]), (200, &json!("cancelled"), &json!(500)));
    let declined = app.hold(&merchant, "pm_card_chargeCustomerFail", 500).await;
    assert_eq!(declined["status"], "failed", "{declined}");
    app.stop().await;
}

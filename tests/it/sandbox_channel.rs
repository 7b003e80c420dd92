//! The sandbox channel against the real sandbox provider: every token of the contract played through the port, and its
//! end compared with the provider's own book.

use std::time::Duration;

use adapters::channels::sandbox::{SandboxChannel, SandboxChannelConfig};
use adapters::sandbox_provider::{self, SandboxConfig, SandboxHandle};
use commands::ports::channel::WebhookError;
use commands::ports::clock::SystemClock;
use commands::ports::{Channel, ChannelAnswer, ChargeOrder, Clock, RefundAnswer, WebhookFact};
use sagas::payment::void_key;
use serde_json::{Value, json};
use tempfile::TempDir;
use test_support::channel_orders::{charge_order, refund_order};
use test_support::wait::until;

use crate::webhook_receiver::WebhookReceiver;

const SECRET: &str = "whsec_of_the_sandbox_tests";
const PATIENCE: Duration = Duration::from_secs(20);

struct Fixture {
    channel: SandboxChannel,
    provider: SandboxHandle,
    receiver: WebhookReceiver,
    http: reqwest::Client,
    _folder: TempDir,
}

async fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let receiver = WebhookReceiver::start().await;
    let provider = sandbox_provider::start(SandboxConfig {
        bind: ([127, 0, 0, 1], 0).into(),
        data_dir: folder.path().to_owned(),
        webhook_url: Some(receiver.url.clone()),
        webhook_secret: SECRET.to_owned(),
        event_delay: Duration::from_millis(100),
        ..SandboxConfig::default()
    });
    let provider = provider.await.unwrap();
    let timeout = Duration::from_millis(400);
    let config = SandboxChannelConfig { timeout, ..SandboxChannelConfig::new(provider.url(), SECRET) };
    let channel = SandboxChannel::new(config).unwrap();
    Fixture { channel, provider, receiver, http: reqwest::Client::new(), _folder: folder }
}

impl Fixture {
    /// The kinds of effective operations under this id, with amount and fee.
    async fn book(&self, reference: &str) -> Vec<(String, i64, i64)> {
        let url = format!("{}/book?reference={reference}", self.provider.url());
        let book: Value = self.http.get(url).send().await.unwrap().json().await.unwrap();
        let read = |operation: &Value| {
            let number = |field: &str| operation[field].as_i64().unwrap();
            (operation["kind"].as_str().unwrap().to_owned(), number("amount"), number("fee"))
        };
        book["data"].as_array().unwrap().iter().map(read).collect()
    }

    async fn charged_operations(&self, order: &ChargeOrder) -> Vec<(String, i64, i64)> {
        let mut book = self.book(&order.payment_id.to_string()).await;
        book.retain(|(kind, ..)| kind == "charge");
        book
    }

    /// Asks until the channel has an end to tell, as the saga does.
    async fn end_of(&self, order: &ChargeOrder) -> ChannelAnswer {
        let ask = || async {
            let answer = match self.channel.find_charge(order).await {
                ChannelAnswer::NotFound => self.channel.charge(order).await,
                answer => answer,
            };
            matches!(answer, ChannelAnswer::Captured { .. } | ChannelAnswer::Declined { .. }).then_some(answer)
        };
        until(&order.token, PATIENCE, ask).await
    }
}

fn captured(amount: i64, fee: i64) -> impl Fn(&ChannelAnswer) -> bool {
    move |answer| matches!(answer, ChannelAnswer::Captured { amount: a, fee: Some(f), .. } if (*a, *f) == (amount, fee))
}

fn declined(expected: Option<&'static str>) -> impl Fn(&ChannelAnswer) -> bool {
    move |answer| matches!(answer, ChannelAnswer::Declined { failure, .. } if failure.decline_code.as_deref() == expected)
}

/// What the first call answers.
#[derive(Debug, PartialEq)]
enum First {
    Captured,
    Declined,
    Accepted,
    Unknown,
}

fn first(answer: &ChannelAnswer) -> Option<First> {
    match answer {
        ChannelAnswer::Captured { .. } => Some(First::Captured),
        ChannelAnswer::Declined { .. } => Some(First::Declined),
        ChannelAnswer::Accepted { .. } => Some(First::Accepted),
        ChannelAnswer::Unknown { .. } => Some(First::Unknown),
        _ => None,
    }
}

#[tokio::test]
async fn every_token_ends_as_the_contract_says_and_the_book_agrees() {
    let table: [(&str, First, Option<Option<&'static str>>); 16] = [
        ("tok_success", First::Captured, None),
        ("tok_declined", First::Declined, Some(Some("declined"))),
        ("tok_insufficient_funds", First::Declined, Some(Some("insufficient_funds"))),
        ("tok_expired_card", First::Declined, Some(Some("expired_card"))),
        ("tok_nobody_knows", First::Declined, Some(None)),
        ("tok_async", First::Accepted, None),
        ("tok_timeout_charged", First::Unknown, None),
        ("tok_timeout_uncharged", First::Unknown, None),
        ("tok_error_then_success", First::Unknown, None),
        ("tok_duplicate_webhooks", First::Captured, None),
        ("tok_webhook_lost", First::Captured, None),
        ("tok_refund_fails", First::Captured, None),
        ("tok_refund_fails_late", First::Captured, None),
        ("tok_dispute", First::Captured, None),
        ("tok_dispute_won", First::Captured, None),
        ("tok_dispute_lost", First::Captured, None),
    ];
    let sandbox = fixture().await;
    for (token, expected, decline) in table {
        let order = charge_order(token, 1_050);
        let answer = sandbox.channel.charge(&order).await;
        assert_eq!(first(&answer), Some(expected), "{token}: {answer:?}");
        let end = sandbox.end_of(&order).await;
        // 1.0 % of 1050, rounded half up.
        match decline {
            None => assert!(captured(1_050, 11)(&end), "{token}: {end:?}"),
            Some(code) => assert!(declined(code)(&end), "{token}: {end:?}"),
        }
        let again = sandbox.channel.charge(&order).await;
        // What was only accepted then is answered so for ever under its key.
        let kept = if token == "tok_async" { answer } else { end };
        assert_eq!(again, kept, "{token}: a repeat");
        let charged = if decline.is_none() { vec![("charge".to_owned(), 1_050, 11)] } else { vec![] };
        assert_eq!(sandbox.charged_operations(&order).await, charged, "{token}");
    }
}

#[tokio::test]
async fn a_customer_completes_the_action() {
    let sandbox = fixture().await;
    let order = ChargeOrder {
        return_url: Some("https://shop.example/back".to_owned()),
        ..charge_order("tok_requires_action", 2_000)
    };
    let answer = sandbox.channel.charge(&order).await;
    let ChannelAnswer::ActionRequired { url, .. } = &answer else { panic!("{answer:?}") };
    assert_eq!(sandbox.channel.find_charge(&order).await, answer);
    sandbox.http.post(format!("{url}/complete")).send().await.unwrap().error_for_status().unwrap();
    assert!(captured(2_000, 20)(&sandbox.channel.find_charge(&order).await));
    assert_eq!(sandbox.charged_operations(&order).await.len(), 1);
}

#[tokio::test]
async fn a_void_is_final_and_tells_of_a_charge_that_was_faster() {
    let sandbox = fixture().await;
    for token in ["tok_success", "tok_async", "tok_requires_action"] {
        let order = charge_order(token, 500);
        if token != "tok_success" {
            sandbox.channel.charge(&order).await;
        }
        for _ in 0..2 {
            assert_eq!(
                sandbox.channel.void_charge(&order, &void_key(order.payment_id)).await,
                ChannelAnswer::Voided,
                "{token}"
            );
        }
        let late = ChargeOrder { key: format!("{}:late", order.key), ..order.clone() };
        assert_eq!(sandbox.channel.charge(&late).await, ChannelAnswer::Voided, "{token}");
        assert_eq!(sandbox.channel.find_charge(&order).await, ChannelAnswer::Voided, "{token}");
        assert_eq!(sandbox.charged_operations(&order).await, [], "{token}");
    }
    let failed = charge_order("tok_declined", 500);
    sandbox.channel.charge(&failed).await;
    assert_eq!(sandbox.channel.void_charge(&failed, &void_key(failed.payment_id)).await, ChannelAnswer::Voided);
    for token in ["tok_success", "tok_timeout_charged"] {
        let order = charge_order(token, 500);
        sandbox.channel.charge(&order).await;
        let told = sandbox.channel.void_charge(&order, &void_key(order.payment_id)).await;
        assert!(captured(500, 5)(&told), "{token}: {told:?}");
    }
}

#[tokio::test]
async fn refunds_end_as_the_book_says() {
    let sandbox = fixture().await;
    for (token, operations) in [
        ("tok_success", vec!["refund"]),
        ("tok_refund_fails", vec![]),
        ("tok_refund_fails_late", vec!["refund", "refund_reversal"]),
    ] {
        let charge = charge_order(token, 1_000);
        let ChannelAnswer::Captured { channel_reference, .. } = sandbox.channel.charge(&charge).await else { panic!() };
        let order = refund_order(&charge, &channel_reference, 400);
        assert_eq!(sandbox.channel.find_refund(&order).await, RefundAnswer::NotFound, "{token}");
        let first = sandbox.channel.refund(&order).await;
        assert_eq!(matches!(first, RefundAnswer::Succeeded { fee_returned: 0, .. }), token != "tok_refund_fails");
        let ends_well = token == "tok_success";
        until(token, PATIENCE, || async {
            let found = sandbox.channel.find_refund(&order).await;
            (ends_well == matches!(found, RefundAnswer::Succeeded { .. })).then_some(())
        })
        .await;
        let other_key = commands::ports::RefundOrder { key: "another".to_owned(), ..order.clone() };
        let again = sandbox.channel.refund(&other_key).await;
        assert_eq!(matches!(again, RefundAnswer::Succeeded { .. }), ends_well, "{token}: {again:?}");
        let kinds: Vec<String> =
            sandbox.book(&order.refund_id.to_string()).await.into_iter().map(|(kind, ..)| kind).collect();
        assert_eq!(kinds, operations, "{token}");
    }
    let charge = charge_order("tok_success", 1_000);
    let ChannelAnswer::Captured { channel_reference, .. } = sandbox.channel.charge(&charge).await else { panic!() };
    let too_much = sandbox.channel.refund(&refund_order(&charge, &channel_reference, 1_001)).await;
    let RefundAnswer::Failed { failure } = too_much else { panic!("{too_much:?}") };
    assert_eq!(failure.code, "amount_too_large");
}

#[tokio::test]
async fn random_faults_lose_answers_and_no_money() {
    let sandbox = fixture().await;
    let faults = json!({ "timeout_after": 0.3, "timeout_before": 0.1, "error": 0.3 });
    let faults = sandbox.http.post(format!("{}/faults", sandbox.provider.url())).json(&faults);
    faults.send().await.unwrap().error_for_status().unwrap();
    let orders: Vec<ChargeOrder> = (0..12).map(|_| charge_order("tok_success", 100)).collect();
    futures::future::join_all(orders.iter().map(|order| async {
        sandbox.channel.charge(order).await;
        assert!(captured(100, 1)(&sandbox.end_of(order).await));
        assert_eq!(sandbox.charged_operations(order).await.len(), 1);
    }))
    .await;
}

#[tokio::test]
async fn webhooks_come_in_signed_and_tell_what_happened() {
    let sandbox = fixture().await;
    let charge = charge_order("tok_refund_fails_late", 1_000);
    let ChannelAnswer::Captured { channel_reference, .. } = sandbox.channel.charge(&charge).await else { panic!() };
    let refund = refund_order(&charge, &channel_reference, 300);
    sandbox.channel.refund(&refund).await;

    let now = SystemClock.now();
    let told = sandbox.receiver.one("charge.succeeded", &charge.payment_id.to_string()).await;
    let answer = ChannelAnswer::Captured { channel_reference, amount: 1_000, fee: Some(10) };
    let webhook = told.read_by(&sandbox.channel, now).unwrap();
    assert_eq!(webhook.facts, [WebhookFact::Charge { payment_id: charge.payment_id, answer }]);

    let failed = sandbox.receiver.one("refund.failed", &refund.refund_id.to_string()).await;
    let facts = failed.read_by(&sandbox.channel, now).unwrap().facts;
    let [WebhookFact::Refund { payment_id, refund_id, answer: RefundAnswer::Failed { .. } }] = &facts[..] else {
        panic!("{facts:?}")
    };
    assert_eq!((*payment_id, *refund_id), (Some(charge.payment_id), refund.refund_id));

    let mut tampered = told.clone();
    tampered.body = String::from_utf8(told.body.to_vec()).unwrap().replace("1000", "9000").into();
    assert_eq!(tampered.read_by(&sandbox.channel, now), Err(WebhookError::BadSignature));
}

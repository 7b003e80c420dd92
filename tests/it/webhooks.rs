//! The contract of the webhook inbox on memory and on Postgres, and what becomes of a webhook, crashes included.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use adapters::event_store::MemoryEventStore;
use adapters::vault::{MasterKey, MemoryVault};
use adapters::webhooks::{MemoryInbox, PostgresInbox};
use async_trait::async_trait;
use commands::payment::{CreatePayment, PaymentDetails, Payments, RefundPayment};
use commands::ports::funds::FundsUnavailable;
use commands::ports::inbox::{ArchivedWebhook, Kept, NewWebhook, RawMessage, WebhookId, WebhookOutcome, pause_after};
use commands::ports::{Channel, ChargeOrder, Clock, EventStore, MerchantFunds, RefundOrder, WebhookInbox};
use commands::webhook::{Received, WebhookRefused, Webhooks};
use commands::{Channels, Executor, Issued, merchant};
use domain::merchant::Terms;
use domain::payment::{Payment, PaymentStatus};
use domain::pricing::{PricingModel, RefundFeePolicy, Tier};
use domain::{Currency, MerchantId, Money, PaymentId, RefundId, Timestamp};
use parking_lot::Mutex;
use test_support::manual_clock::ManualClock;
use test_support::scripted_channel::{News, SIGNATURE_HEADER, ScriptedChannel};
use test_support::test_database;
use uuid::Uuid;

const GRACE: Duration = Duration::from_secs(5);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn master() -> MasterKey {
    MasterKey::from_bytes([9; 32])
}

fn webhook(event_id: &str, payment_id: Option<PaymentId>, received_at: Timestamp) -> NewWebhook {
    NewWebhook {
        id: WebhookId { channel: "scripted".parse().unwrap(), event_id: event_id.to_owned() },
        event_type: "news".to_owned(),
        stream_id: payment_id.map(|payment_id| payment_id.to_string()),
        message: RawMessage { headers: vec![("a".to_owned(), "b".to_owned())], body: vec![0, 159, 146, 150] },
        received_at,
    }
}

#[tokio::test]
async fn the_memory_adapter_keeps_the_contract() {
    contract(&MemoryInbox::default()).await;
}

#[tokio::test]
async fn the_postgres_adapter_keeps_the_contract() {
    let database = test_database().await;
    contract(&PostgresInbox::new(database.pool.clone(), &master())).await;
}

async fn contract(inbox: &dyn WebhookInbox) {
    let start = ManualClock::default().now();
    let at = |seconds| start.plus(Duration::from_secs(seconds));
    let payment_id = PaymentId::from_uuid(Uuid::now_v7());
    let (first, second) = (webhook("evt_1", Some(payment_id), at(0)), webhook("evt_2", Some(payment_id), at(1)));
    let elsewhere = NewWebhook {
        id: WebhookId { channel: "other".parse().unwrap(), ..first.id.clone() },
        ..webhook("evt_1", None, at(2))
    };
    for new in [&first, &second, &elsewhere] {
        assert_eq!(inbox.keep(new.clone(), GRACE).await, Ok(Kept::New));
        assert_eq!(inbox.keep(new.clone(), GRACE).await, Ok(Kept::Duplicate));
    }

    assert_eq!(inbox.take_due(at(4), 10).await, Ok(vec![]));
    inbox.settle(&second.id, &WebhookOutcome::Acted, at(4)).await.unwrap();
    let due = inbox.take_due(at(7), 1).await.unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!((&due[0].id, due[0].attempts), (&first.id, 1));
    assert_eq!((due[0].received_at, due[0].message.as_ref()), (at(0), Some(&first.message)));
    let due = inbox.take_due(at(7), 10).await.unwrap();
    assert_eq!(due.iter().map(|webhook| &webhook.id).collect::<Vec<_>>(), [&elsewhere.id]);
    let ignored = WebhookOutcome::Ignored { reason: "none of ours".to_owned() };
    inbox.settle(&elsewhere.id, &ignored, at(7)).await.unwrap();

    inbox.note_failure(&first.id, "the store is away").await.unwrap();
    let pause = pause_after(1).as_secs();
    assert_eq!(inbox.take_due(at(7 + pause - 1), 10).await, Ok(vec![]));
    assert_eq!(inbox.take_due(at(7 + pause), 10).await.unwrap()[0].attempts, 2);
    let parked = WebhookOutcome::Parked { reason: "no use".to_owned() };
    inbox.settle(&first.id, &parked, at(20)).await.unwrap();
    inbox.settle(&first.id, &WebhookOutcome::Acted, at(21)).await.unwrap();

    let about = inbox.about(&[payment_id.to_string()]).await.unwrap();
    let told: Vec<_> = about.iter().map(|record| (&record.id, &record.outcome, record.settled_at)).collect();
    assert_eq!(
        told,
        [(&first.id, &Some(parked), Some(at(20))), (&second.id, &Some(WebhookOutcome::Acted), Some(at(4)))],
        "the first outcome stays"
    );
    assert_eq!(about[0].last_error.as_deref(), Some("the store is away"));
    assert_eq!(inbox.count_messages(at(1)).await, Ok(1));
    let past_term = inbox.past_term(at(1)).await.unwrap();
    let found: Vec<_> = past_term.iter().map(|webhook| (&webhook.record.id, &webhook.message)).collect();
    assert_eq!(found, [(&first.id, &Some(first.message.clone()))]);
    let archived = ArchivedWebhook {
        id: first.id.clone(),
        event_type: first.event_type.clone(),
        stream_id: first.stream_id.clone(),
        received_at: first.received_at,
        outcome: Some("parked"),
        reason: None,
        settled_at: Some(at(20)),
        body_sha256: None,
        message: None,
    };
    // The process died behind the first: the second finds it done.
    for _ in 0..2 {
        assert_eq!(inbox.archive_messages(std::slice::from_ref(&archived)).await, Ok(()));
    }
    assert_eq!(inbox.count_messages(at(1)).await, Ok(0));
    assert_eq!(inbox.past_term(at(1)).await, Ok(vec![]));
    assert_eq!(inbox.keep(first, GRACE).await, Ok(Kept::Duplicate), "a forgotten message is still a known one");
}

#[tokio::test]
async fn messages_stand_sealed_in_the_database_and_damage_hides_no_other_webhook() {
    let database = test_database().await;
    let inbox = PostgresInbox::new(database.pool.clone(), &master());
    let start = ManualClock::default().now();
    let message = RawMessage { headers: vec![], body: b"ada@example.com".to_vec() };
    for event_id in ["evt_1", "evt_2"] {
        inbox.keep(NewWebhook { message: message.clone(), ..webhook(event_id, None, start) }, GRACE).await.unwrap();
    }
    let dump: String = sqlx::query_scalar("SELECT string_agg(encode(message, 'escape'), '') FROM webhooks")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    assert!(!dump.contains("ada@") && !dump.contains("YWRh"), "{dump}");
    sqlx::query("UPDATE webhooks SET message = (SELECT message FROM webhooks WHERE event_id = 'evt_2')")
        .execute(&database.pool)
        .await
        .unwrap();
    let due = inbox.take_due(start.plus(GRACE), 10).await.unwrap();
    let mut opened: Vec<_> =
        due.iter().map(|webhook| (webhook.id.event_id.as_str(), webhook.message.clone())).collect();
    opened.sort_by_key(|(event_id, _)| *event_id);
    assert_eq!(opened, [("evt_1", None), ("evt_2", Some(message))], "a message opens only in its own row");
}

#[tokio::test]
async fn nodes_that_sweep_at_once_share_the_work() {
    let database = test_database().await;
    let start = ManualClock::default().now();
    for number in 0..100 {
        let inbox = PostgresInbox::new(database.pool.clone(), &master());
        inbox.keep(webhook(&format!("evt_{number}"), None, start), GRACE).await.unwrap();
    }
    let sweeps = (0..4).map(|_| {
        let inbox = PostgresInbox::new(database.pool.clone(), &master());
        tokio::spawn(async move {
            let mut taken = vec![];
            loop {
                let due = inbox.take_due(start.plus(GRACE), 7).await.unwrap();
                if due.is_empty() {
                    return taken;
                }
                taken.extend(due.into_iter().map(|webhook| webhook.id.event_id));
            }
        })
    });
    let sweeps: Vec<_> = sweeps.collect();
    let mut times = BTreeMap::new();
    for sweep in sweeps {
        for event_id in sweep.await.unwrap() {
            *times.entry(event_id).or_insert(0) += 1;
        }
    }
    // A node that skipped others' rows may stop early; what it left is taken by those.
    assert_eq!(times.len(), 100);
    assert!(times.values().all(|taken| *taken == 1), "{times:?}");
}

struct NoFunds;

#[async_trait]
impl MerchantFunds for NoFunds {
    async fn net_balance(&self, _: MerchantId, _: Currency, _: u64) -> Result<i128, FundsUnavailable> {
        Ok(0)
    }
}

/// A merchant, a channel and the use case over them; the sagas' part is played by the test.
pub(crate) struct Stage {
    clock: ManualClock,
    channel: Arc<ScriptedChannel>,
    pub(crate) webhooks: Webhooks,
    nudged: Arc<Mutex<Vec<PaymentId>>>,
    merchant_id: MerchantId,
}

fn issued(purpose: &str) -> Issued {
    Issued::internally("test", purpose, &format!("correlation of {purpose}"))
}

impl Stage {
    pub(crate) async fn new() -> Stage {
        let clock = ManualClock::default();
        let channel = Arc::new(ScriptedChannel::default());
        let store: Arc<dyn EventStore> = Arc::new(MemoryEventStore::new(Arc::new(clock.clone())));
        let payments = Payments {
            executor: Executor::new(store),
            channels: Channels::of([channel.clone() as Arc<dyn Channel>]),
            vault: Arc::new(MemoryVault::in_memory()),
            funds: Arc::new(NoFunds),
            clock: Arc::new(clock.clone()),
        };
        let merchant_id = MerchantId::from_uuid(Uuid::now_v7());
        let terms = Terms {
            merchant_id,
            name: "Acme".to_owned(),
            tier: Tier::Premium,
            pricing_model: PricingModel::CostPlus,
            refund_fee_policy: RefundFeePolicy::Retain,
            home_currency: None,
            time_zone: None,
            onboarded_at: clock.now(),
        };
        test_support::seeds::sow(&payments.executor).await;
        merchant::onboard(&payments.executor, issued("onboard"), terms).await.unwrap();
        let nudged: Arc<Mutex<Vec<PaymentId>>> = Arc::default();
        let note = nudged.clone();
        let nudge = Arc::new(move |stream_id: &str| note.lock().push(stream_id.parse().unwrap()));
        let webhooks = Webhooks { payments, inbox: Arc::new(MemoryInbox::default()), nudge };
        Stage { clock, channel, webhooks, nudged, merchant_id }
    }

    /// A payment whose charge has reached the channel; what became of it we have not heard.
    async fn charged(&self, token: &str) -> PaymentId {
        self.charged_with(PaymentDetails { token: token.to_owned(), ..PaymentDetails::default() }).await
    }

    pub(crate) async fn charged_with(&self, details: PaymentDetails) -> PaymentId {
        let token = details.token.clone();
        let payment_id = PaymentId::from_uuid(Uuid::now_v7());
        let create = CreatePayment {
            payment_id,
            merchant_id: self.merchant_id,
            order_no: payment_id.to_string().parse().unwrap(),
            amount: Money::new(10_000, Currency::USD).unwrap(),
            method: "card".to_owned(),
            channel: None,
            details,
            expires_in: None,
        };
        let receipt = self.webhooks.payments.create(issued(&payment_id.to_string()), create).await.unwrap();
        assert_eq!(receipt.rejection, None);
        let order = ChargeOrder {
            key: payment_id.to_string(),
            payment_id,
            amount: Money::new(10_000, Currency::USD).unwrap(),
            method: "card".to_owned(),
            token,
            return_url: None,
            channel_reference: None,
        };
        self.channel.charge(&order).await;
        payment_id
    }

    pub(crate) async fn receive(&self, news: News) -> Result<Received, WebhookRefused> {
        self.receive_raw(serde_json::to_vec(&news).unwrap(), Some(format!("signed at {}", self.clock.now()))).await
    }

    async fn receive_raw(&self, body: Vec<u8>, signature: Option<String>) -> Result<Received, WebhookRefused> {
        let header = |name: &str| if name == SIGNATURE_HEADER { signature.clone() } else { None };
        self.webhooks.receive(&"scripted".parse().unwrap(), &header, &body).await
    }

    async fn status(&self, payment_id: PaymentId) -> PaymentStatus {
        let stream = self.webhooks.payments.load(payment_id).await.unwrap();
        stream.of::<Payment>().and_then(|state| state.record()).unwrap().status()
    }

    async fn outcome(&self, payment_id: PaymentId) -> Option<WebhookOutcome> {
        self.webhooks.inbox.about(&[payment_id.to_string()]).await.unwrap().remove(0).outcome
    }

    fn nudged(&self) -> Vec<PaymentId> {
        std::mem::take(&mut self.nudged.lock())
    }
}

pub(crate) fn news(event_id: &str, charges: &[PaymentId]) -> News {
    News { event_id: event_id.to_owned(), charges: charges.to_vec(), refunds: vec![] }
}

#[tokio::test]
async fn a_webhook_is_acted_on_once() {
    let stage = Stage::new().await;
    let payment_id = stage.charged("tok_success").await;
    assert_eq!(stage.receive(news("evt_1", &[payment_id])).await, Ok(Received::Acted));
    assert_eq!(stage.status(payment_id).await, PaymentStatus::Succeeded);
    assert_eq!(stage.nudged(), [payment_id]);
    assert_eq!(stage.receive(news("evt_1", &[payment_id])).await, Ok(Received::Duplicate));
    assert_eq!(stage.receive(news("evt_2", &[payment_id])).await, Ok(Received::Acted), "the same told anew");
    assert_eq!(stage.webhooks.sweep().await, Ok(0));

    let store = stage.webhooks.payments.executor.store();
    let events = store.read_all(0, 100).await.unwrap();
    let captured: Vec<_> = events.iter().filter(|event| event.event_type == "payment.captured").collect();
    assert_eq!(captured.len(), 1);
    let metadata = captured[0].metadata().unwrap();
    assert_eq!(metadata.actor, "webhook:scripted");
    assert_eq!(metadata.causation_id.as_deref(), Some("webhook/scripted/evt_1"));
    assert_eq!(metadata.correlation_id, format!("correlation of {payment_id}"));
}

#[tokio::test]
async fn what_is_not_verified_is_not_kept() {
    let stage = Stage::new().await;
    let payment_id = stage.charged("tok_success").await;
    let body = serde_json::to_vec(&news("evt_1", &[payment_id])).unwrap();
    let signature = format!("signed at {}", stage.clock.now());
    for (body, signature, refused) in [
        (body.clone(), None, WebhookRefused::BadSignature),
        (body.clone(), Some("signed by nobody".to_owned()), WebhookRefused::BadSignature),
        (b"{".to_vec(), Some(signature.clone()), WebhookRefused::Malformed),
    ] {
        assert_eq!(stage.receive_raw(body, signature).await, Err(refused));
    }
    stage.clock.advance(Duration::from_secs(301));
    assert_eq!(stage.receive_raw(body, Some(signature)).await, Err(WebhookRefused::BadSignature), "too old");
    let unknown = stage.webhooks.receive(&"nobody".parse().unwrap(), &|_| None, b"").await;
    assert_eq!(unknown, Err(WebhookRefused::UnknownChannel));
    assert_eq!(stage.webhooks.inbox.about(&[payment_id.to_string()]).await, Ok(vec![]));
    assert_eq!(stage.status(payment_id).await, PaymentStatus::Processing);
}

#[tokio::test]
async fn a_webhook_about_nothing_of_ours_is_kept_and_ignored() {
    let stage = Stage::new().await;
    let foreign = PaymentId::from_uuid(Uuid::now_v7());
    assert_eq!(stage.receive(news("evt_1", &[foreign])).await, Ok(Received::Ignored));
    let ignored = WebhookOutcome::Ignored { reason: "the payment is not one of ours".to_owned() };
    assert_eq!(stage.outcome(foreign).await, Some(ignored));
    assert_eq!(stage.receive(news("evt_2", &[])).await, Ok(Received::Ignored));
    let refund = News { refunds: vec![(None, RefundId::from_uuid(Uuid::now_v7()))], ..news("evt_3", &[]) };
    assert_eq!(stage.receive(refund).await, Ok(Received::Ignored));

    let payment_id = stage.charged("tok_success").await;
    assert_eq!(stage.receive(news("evt_4", &[payment_id, foreign])).await, Ok(Received::Acted), "some of it is ours");
    assert_eq!(stage.nudged(), [payment_id]);
    assert_eq!(stage.webhooks.sweep().await, Ok(0));
}

#[tokio::test]
async fn a_refund_is_told_by_webhook_too() {
    let stage = Stage::new().await;
    let payment_id = stage.charged("tok_refund_async").await;
    stage.receive(news("evt_1", &[payment_id])).await.unwrap();
    let refund_id = RefundId::from_uuid(Uuid::now_v7());
    let refund = RefundPayment { refund_id, payment_id, merchant_id: stage.merchant_id, amount: Some(1), reason: None };
    let receipt = stage.webhooks.payments.request_refund(issued("refund"), refund).await.unwrap();
    assert_eq!(receipt.rejection, None);
    let order = RefundOrder {
        key: refund_id.to_string(),
        payment_id,
        refund_id,
        amount: Money::new(1, Currency::USD).unwrap(),
        charge_reference: format!("ch_{payment_id}"),
        channel_reference: None,
    };
    stage.channel.refund(&order).await;
    stage.channel.complete_refund(refund_id);
    let told = News { refunds: vec![(Some(payment_id), refund_id)], ..news("evt_2", &[]) };
    assert_eq!(stage.receive(told).await, Ok(Received::Acted));
    let events = stage.webhooks.payments.executor.store().read_all(0, 100).await.unwrap();
    assert!(events.iter().any(|event| event.event_type == "payment.refund_succeeded"));
}

#[tokio::test]
async fn what_was_kept_before_a_crash_is_swept_up_afterwards() {
    let stage = Stage::new().await;
    let payment_id = stage.charged("tok_success").await;
    // The process dies right behind the keeping.
    let signature = (SIGNATURE_HEADER.to_owned(), format!("signed at {}", stage.clock.now()));
    let body = serde_json::to_vec(&news("evt_1", &[payment_id])).unwrap();
    let message = RawMessage { headers: vec![signature], body };
    let kept = NewWebhook { message, ..webhook("evt_1", Some(payment_id), stage.clock.now()) };
    stage.webhooks.inbox.keep(kept, GRACE).await.unwrap();
    assert_eq!(stage.webhooks.sweep().await, Ok(0), "whoever keeps it gets the time to act on it");

    // So late that its signature would be too old for a webhook that came now.
    stage.clock.advance(Duration::from_secs(3600));
    assert_eq!(stage.webhooks.sweep().await, Ok(1));
    assert_eq!(stage.status(payment_id).await, PaymentStatus::Succeeded);
    assert_eq!(stage.nudged(), [payment_id]);
    assert_eq!(stage.outcome(payment_id).await, Some(WebhookOutcome::Acted));
    stage.clock.advance(DAY);
    assert_eq!(stage.webhooks.sweep().await, Ok(0));
}

#[tokio::test]
async fn what_cannot_be_acted_on_is_parked_in_the_end_and_what_cannot_be_booked_at_once() {
    let stage = Stage::new().await;
    let payment_id = stage.charged("tok_captures_too_much").await;
    assert_eq!(stage.receive(news("evt_1", &[payment_id])).await, Ok(Received::Ignored));
    let parked = WebhookOutcome::Parked { reason: "capture_out_of_range".to_owned() };
    assert_eq!(stage.outcome(payment_id).await, Some(parked));
    assert_eq!(stage.webhooks.sweep().await, Ok(0));

    let unreadable = PaymentId::from_uuid(Uuid::now_v7());
    stage.webhooks.inbox.keep(webhook("evt_2", Some(unreadable), stage.clock.now()), GRACE).await.unwrap();
    let mut attempts = 0;
    while stage.outcome(unreadable).await.is_none() {
        stage.clock.advance(Duration::from_secs(3600));
        attempts += stage.webhooks.sweep().await.unwrap();
        assert!(attempts < 100, "it never gives up");
    }
    assert_eq!(attempts, 12);
    let reason = "the signature is missing, wrong or too old".to_owned();
    assert_eq!(stage.outcome(unreadable).await, Some(WebhookOutcome::Parked { reason }));
    stage.clock.advance(DAY);
    assert_eq!(stage.webhooks.sweep().await, Ok(0));
}

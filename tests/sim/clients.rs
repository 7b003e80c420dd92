//! The merchants' programs: they ask for payments, cancellations and refunds, again with the same key until they have
//! an answer, and write down every answer they got. And the postman, who carries the channel's webhooks.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use commands::executor::command_id_of_key;
use commands::payment::{CreatePayment, PaymentDetails, RefundPayment};
use commands::ports::{Metadata, Receipt};
use commands::settlement::Scope;
use commands::{CommandError, Issued};
use domain::merchant::Terms;
use domain::{Currency, MerchantId, Money, PaymentId, RefundId};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::sleep;
use uuid::Uuid;

use crate::chance::Chance;
use crate::channel::{CHANNEL, News, SIGNATURE};
use crate::cluster::Cluster;
use crate::node::Node;
use crate::trace::Trace;
use crate::weather::Weather;

/// What was asked for under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    Payment,
    Cancellation,
    Refund,
    /// Of everybody's money, by finance.
    Settlement,
}

impl Wish {
    /// The event that makes it true, where it is one command's.
    pub fn event_type(&self) -> Option<&'static str> {
        match self {
            Wish::Payment => Some("payment.created"),
            Wish::Cancellation => Some("payment.cancellation_requested"),
            Wish::Refund => Some("payment.refund_requested"),
            Wish::Settlement => None,
        }
    }
}

/// An answer as a client got it.
#[derive(Debug, Clone)]
pub struct Acknowledged {
    pub wish: Wish,
    /// The command that the client's key stands for.
    pub command_id: Uuid,
    pub receipt: Receipt,
}

/// Clones share everything.
#[derive(Clone)]
pub struct Clients {
    cluster: Cluster,
    weather: Weather,
    chance: Chance,
    trace: Trace,
    acknowledged: Arc<Mutex<Vec<Acknowledged>>>,
    keys: Arc<AtomicUsize>,
    /// How many are still at work.
    busy: Arc<AtomicUsize>,
}

impl Clients {
    pub fn new(cluster: Cluster, weather: Weather, chance: Chance, trace: Trace) -> Clients {
        let (acknowledged, keys, busy) = (Arc::default(), Arc::default(), Arc::default());
        Clients { cluster, weather, chance, trace, acknowledged, keys, busy }
    }

    pub fn acknowledged(&self) -> Vec<Acknowledged> {
        self.acknowledged.lock().clone()
    }

    pub fn are_done(&self) -> bool {
        self.busy.load(Ordering::Relaxed) == 0
    }

    fn start(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.busy.fetch_add(1, Ordering::Relaxed);
        let busy = self.busy.clone();
        tokio::spawn(async move {
            work.await;
            busy.fetch_sub(1, Ordering::Relaxed);
        });
    }

    /// So many payments of one merchant, each with its own story.
    pub fn shop(&self, merchant: &Terms, payments: usize) {
        for number in 0..payments {
            let (clients, merchant_id) = (self.clone(), merchant.merchant_id);
            let currency = merchant.home_currency.unwrap_or(Currency::USD);
            let order = if number > 0 && self.chance.percent(15) { number - 1 } else { number };
            self.start(async move {
                sleep(clients.chance.millis(0..=90_000)).await;
                clients.payment(merchant_id, currency, &format!("O-{order}")).await;
            });
        }
    }

    /// Finance settles everything at will, now and then.
    pub fn settle(&self) {
        let clients = self.clone();
        self.start(async move {
            for _ in 0..clients.chance.below(3) {
                sleep(clients.chance.millis(0..=200_000)).await;
                let ask = |node: Arc<Node>, issued: Issued| async move {
                    Ok(node.settlements.run(issued, Scope::default()).await?.receipt)
                };
                clients.insist(Wish::Settlement, "finance:ada", &clients.key(), ask).await;
            }
        });
    }

    async fn payment(&self, merchant_id: MerchantId, currency: Currency, order_no: &str) {
        let amount = self.chance.pick(&[1, 99, 100, 2_500, 10_000, 99_999]);
        let expires_in = self.chance.pick(&[None, None, None, Some(60), Some(900)]).map(Duration::from_secs);
        let details = PaymentDetails { token: "tok_simulated".to_owned(), ..PaymentDetails::default() };
        let chance = self.chance.clone();
        let create = CreatePayment {
            payment_id: PaymentId::from_uuid(Uuid::nil()),
            merchant_id,
            order_no: order_no.parse().expect("an order number"),
            amount: Money::new(amount, currency).expect("an amount"),
            method: "card".to_owned(),
            channel: None,
            details,
            expires_in,
        };
        let (key, actor) = (self.key(), actor(merchant_id));
        // As over HTTP: each attempt brings an id of its own, and the first one's stays.
        let ask = move |node: Arc<Node>, issued: Issued| {
            let create = CreatePayment { payment_id: PaymentId::from_uuid(chance.uuid()), ..create.clone() };
            async move { node.payments.create(issued, create).await }
        };
        if self.chance.percent(10) {
            let (clients, ask, key, actor) = (self.clone(), ask.clone(), key.clone(), actor.clone());
            self.start(async move { drop(clients.insist(Wish::Payment, &actor, &key, ask).await) });
        }
        let Some(receipt) = self.insist(Wish::Payment, &actor, &key, ask.clone()).await else { return };
        let Ok(payment_id) = receipt.object.parse::<PaymentId>() else { return };
        if receipt.rejection.is_none() {
            self.second_thoughts(merchant_id, payment_id, amount).await;
        }
        if self.chance.percent(20) {
            self.insist(Wish::Payment, &actor, &key, ask).await;
        }
    }

    async fn second_thoughts(&self, merchant_id: MerchantId, payment_id: PaymentId, amount: i64) {
        if self.chance.percent(20) {
            sleep(self.chance.millis(0..=60_000)).await;
            let ask = move |node: Arc<Node>, issued: Issued| async move {
                node.payments.cancel(issued, payment_id, Some(merchant_id)).await
            };
            self.insist(Wish::Cancellation, &actor(merchant_id), &self.key(), ask).await;
        }
        if self.chance.percent(50) {
            sleep(self.chance.millis(0..=240_000)).await;
            for _ in 0..self.chance.below(4) {
                let clients = self.clone();
                let part = self.chance.pick(&[None, None, Some(amount), Some(amount / 2), Some(amount / 3), Some(1)]);
                self.start(async move { clients.refund(merchant_id, payment_id, part).await });
                if self.chance.percent(50) {
                    sleep(self.chance.millis(0..=60_000)).await;
                }
            }
        }
    }

    async fn refund(&self, merchant_id: MerchantId, payment_id: PaymentId, amount: Option<i64>) {
        let (chance, key) = (self.chance.clone(), self.key());
        let ask = move |node: Arc<Node>, issued: Issued| {
            let refund_id = RefundId::from_uuid(chance.uuid());
            let refund = RefundPayment { refund_id, payment_id, merchant_id, amount, reason: None };
            async move { node.payments.request_refund(issued, refund).await }
        };
        self.insist(Wish::Refund, &actor(merchant_id), &key, ask.clone()).await;
        if self.chance.percent(20) {
            sleep(self.chance.millis(0..=60_000)).await;
            self.insist(Wish::Refund, &actor(merchant_id), &key, ask).await;
        }
    }

    fn key(&self) -> String {
        format!("key-{}", self.keys.fetch_add(1, Ordering::Relaxed))
    }

    /// Asks with the same key until there is an answer that can be relied on, and writes it down. Nobody insists for
    /// ever in rough weather: a client may die, too.
    async fn insist<F: Future<Output = Result<Receipt, CommandError>> + Send + 'static>(
        &self,
        wish: Wish,
        actor: &str,
        key: &str,
        ask: impl Fn(Arc<Node>, Issued) -> F,
    ) -> Option<Receipt> {
        let issued = issued(actor, key);
        let command_id = issued.metadata.command_id;
        loop {
            let answer = self.cluster.ask(|node| ask(node, issued.clone())).await;
            match answer {
                Ok(Ok(receipt)) => {
                    self.trace.note(|| format!("      client {wish:?} {key}: {}", told(&receipt)));
                    self.acknowledged.lock().push(Acknowledged { wish, command_id, receipt: receipt.clone() });
                    return Some(receipt);
                }
                Ok(Err(
                    CommandError::Invalid { .. }
                    | CommandError::Refused(_)
                    | CommandError::KeyReused
                    | CommandError::Bug(_),
                )) => {
                    self.trace.note(|| format!("      client {wish:?} {key}: {answer:?}"));
                    panic!("{wish:?} {key} of {actor}: {answer:?}");
                }
                Ok(Err(CommandError::InFlight | CommandError::Conflict | CommandError::Unavailable(_))) | Err(_) => {}
            }
            if self.weather.is_rough() && self.chance.percent(3) {
                self.trace.note(|| format!("      client {wish:?} {key}: gives up"));
                return None;
            }
            sleep(self.chance.millis(100..=9_000)).await;
        }
    }

    /// Carries webhooks: late, twice, in another order, or not at all where somebody who asks would learn of it anyway.
    /// And now and then a forged one.
    pub fn carry(&self, mut mailbox: mpsc::UnboundedReceiver<News>) {
        let clients = self.clone();
        tokio::spawn(async move {
            while let Some(news) = mailbox.recv().await {
                let is_rough = clients.weather.is_rough();
                if is_rough && !news.is_owed && clients.chance.percent(25) {
                    continue;
                }
                let copies = if clients.chance.percent(20) { 2 } else { 1 };
                for _ in 0..copies {
                    let (carrier, event_id) = (clients.clone(), news.event_id.clone());
                    clients.start(async move { carrier.deliver(&event_id).await });
                }
            }
        });
    }

    async fn deliver(&self, event_id: &str) {
        sleep(self.chance.millis(0..=40_000)).await;
        let signature = if self.chance.percent(5) { "forged" } else { "valid" };
        for signature in
            [Some(signature).filter(|signature| *signature == "forged"), Some("valid")].into_iter().flatten()
        {
            loop {
                let event_id = event_id.to_owned();
                let received = self.cluster.ask(move |node| async move {
                    let header = move |name: &str| (name == SIGNATURE).then(|| signature.to_owned());
                    node.webhooks
                        .receive(&CHANNEL.parse().expect("a channel's name"), &header, event_id.as_bytes())
                        .await
                });
                match received.await {
                    Ok(Ok(_)) => {
                        assert_eq!(signature, "valid", "a forged webhook was taken");
                        break;
                    }
                    Ok(Err(commands::webhook::WebhookRefused::BadSignature)) => break,
                    _ => sleep(self.chance.millis(1_000..=30_000)).await,
                }
            }
        }
    }
}

fn actor(merchant_id: MerchantId) -> String {
    format!("merchant:{merchant_id}")
}

fn issued(actor: &str, key: &str) -> Issued {
    let metadata = Metadata {
        command_id: command_id_of_key(actor, key),
        correlation_id: key.to_owned(),
        causation_id: None,
        actor: actor.to_owned(),
        traceparent: None,
    };
    Issued { metadata, fingerprint: Some([7; 32]) }
}

/// A receipt in a few words.
fn told(receipt: &Receipt) -> String {
    let outcome = receipt.rejection.as_ref().map_or("done", |rejection| &rejection.code);
    let repeat = if receipt.replayed { ", as before" } else { "" };
    format!("{outcome}{repeat}: {}, position {}", receipt.object, receipt.position)
}

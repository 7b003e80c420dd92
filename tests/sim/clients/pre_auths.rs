//! Merchants that have money held, take it in parts, and give back the rest or leave it to its expiry.

use std::sync::Arc;
use std::time::Duration;

use commands::Issued;
use commands::payment::PaymentDetails;
use commands::ports::{EventStore, Receipt};
use commands::pre_auth::{CapturePreAuth, CreatePreAuth, PreAuths};
use domain::merchant::Terms;
use domain::pre_auth::Event;
use domain::tier::TierName;
use domain::{Currency, MerchantId, Money, PaymentId, PreAuthId};
use tokio::time::sleep;
use uuid::Uuid;

use super::{Clients, Wish, actor};
use crate::node::Node;

impl Clients {
    /// So many pre-auths of one merchant, if its tier has them.
    pub fn hold(&self, merchant: &Terms, pre_auths: usize) {
        if !matches!(merchant.tier, TierName::Enterprise | TierName::Premium) {
            return;
        }
        for number in 0..pre_auths {
            let (clients, merchant_id) = (self.clone(), merchant.merchant_id);
            let currency = merchant.home_currency.unwrap_or(Currency::USD);
            // Now and then the number of an order that somebody pays, too.
            let order = if self.chance.percent(15) { format!("O-{number}") } else { format!("H-{number}") };
            self.start(async move {
                sleep(clients.chance.millis(0..=60_000)).await;
                clients.pre_auth(merchant_id, currency, &order).await;
            });
        }
    }

    async fn pre_auth(&self, merchant_id: MerchantId, currency: Currency, order_no: &str) {
        let amount = self.chance.pick(&[1, 100, 2_501, 10_000, 99_999]);
        let expires_in = self.chance.pick(&[
            Some(90),
            Some(90),
            Some(600),
            Some(600),
            Some(600),
            Some(600),
            Some(600),
            Some(7_200),
            None,
        ]);
        let chance = self.chance.clone();
        let create = CreatePreAuth {
            pre_auth_id: PreAuthId::from_uuid(Uuid::nil()),
            merchant_id,
            order_no: order_no.parse().expect("an order number"),
            amount: Money::new(amount, currency).expect("an amount"),
            method: "card".to_owned(),
            channel: None,
            details: PaymentDetails { token: "tok_simulated".to_owned(), ..PaymentDetails::default() },
            expires_in: expires_in.map(Duration::from_secs),
        };
        let ask = move |node: Arc<Node>, issued: Issued| {
            let create = CreatePreAuth { pre_auth_id: PreAuthId::from_uuid(chance.uuid()), ..create.clone() };
            async move { PreAuths::on(&node.payments).create(issued, create).await }
        };
        let (key, actor) = (self.key(), actor(merchant_id));
        let Some(receipt) = self.insist(Wish::PreAuth, &actor, &key, ask.clone()).await else { return };
        let Ok(pre_auth_id) = receipt.object.parse::<PreAuthId>() else { return };
        if receipt.rejection.is_none() {
            self.take_in_parts(merchant_id, pre_auth_id, amount).await;
        }
        if self.chance.percent(20) {
            self.insist(Wish::PreAuth, &actor, &key, ask).await;
        }
    }

    /// Several at once or one after the other, some of them asked for while nothing is held yet.
    async fn take_in_parts(&self, merchant_id: MerchantId, pre_auth_id: PreAuthId, amount: i64) {
        for _ in 0..self.chance.below(5) {
            sleep(self.chance.millis(0..=50_000)).await;
            let clients = self.clone();
            let part = self.chance.pick(&[None, Some(amount), Some(amount / 2), Some(amount / 3), Some(amount / 3)]);
            self.start(async move { clients.capture(merchant_id, pre_auth_id, part).await });
        }
        if self.chance.percent(30) {
            sleep(self.chance.millis(0..=60_000)).await;
            let ask = move |node: Arc<Node>, issued: Issued| async move {
                PreAuths::on(&node.payments).cancel(issued, pre_auth_id, Some(merchant_id)).await
            };
            self.insist(Wish::Release, &actor(merchant_id), &self.key(), ask).await;
        }
    }

    async fn capture(&self, merchant_id: MerchantId, pre_auth_id: PreAuthId, amount: Option<i64>) {
        let (chance, key, is_final) = (self.chance.clone(), self.key(), self.chance.percent(20));
        let ask = move |node: Arc<Node>, issued: Issued| {
            let payment_id = PaymentId::from_uuid(chance.uuid());
            let capture = CapturePreAuth { pre_auth_id, payment_id, merchant_id, amount, is_final };
            async move { PreAuths::on(&node.payments).capture(issued, capture).await }
        };
        let receipt = self.insist(Wish::Capture, &actor(merchant_id), &key, ask.clone()).await;
        if self.chance.percent(15) {
            self.insist(Wish::Capture, &actor(merchant_id), &key, ask).await;
        }
        let Some(receipt) = receipt.filter(|receipt| receipt.rejection.is_none()) else { return };
        if self.chance.percent(25) {
            sleep(self.chance.millis(0..=90_000)).await;
            let (payment_id, asked) = self.capture_of(&receipt).await;
            let part = self.chance.pick(&[None, Some(asked), Some((asked / 2).max(1))]);
            self.refund(merchant_id, payment_id, part).await;
        }
    }

    /// The payment that the capture became, and its amount as asked for.
    async fn capture_of(&self, receipt: &Receipt) -> (PaymentId, i64) {
        let requested = self.log.read_stream(&receipt.stream, receipt.version - 1, 1).await.expect("the log is there");
        match requested[0].decode::<Event>().expect("an event of a pre-auth") {
            Event::CaptureRequested(requested) => (requested.payment_id, requested.amount),
            other => panic!("an acknowledged capture is {other:?}"),
        }
    }
}

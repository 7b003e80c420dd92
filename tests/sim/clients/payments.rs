//! Merchants that ask for payments, and then for cancellations and refunds of them.

use std::sync::Arc;
use std::time::Duration;

use commands::Issued;
use commands::payment::{CreatePayment, PaymentDetails, RefundPayment};
use domain::merchant::Terms;
use domain::{Currency, MerchantId, Money, PaymentId, RefundId};
use tokio::time::sleep;
use uuid::Uuid;

use super::{Clients, Wish, actor};
use crate::node::Node;

impl Clients {
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

    pub(super) async fn refund(&self, merchant_id: MerchantId, payment_id: PaymentId, amount: Option<i64>) {
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
}

//! Merchants that have their money paid out, and sometimes think better of it.

use std::sync::Arc;

use commands::Issued;
use commands::ports::{EventStore, Receipt};
use commands::withdrawal::RequestWithdrawal;
use domain::bank_details::{BankDetails, BankNumber};
use domain::merchant::Terms;
use domain::withdrawal::{Event, Requested};
use domain::{Currency, MerchantId, Money, WithdrawalId};
use tokio::time::sleep;
use uuid::Uuid;

use super::{Clients, Wish, actor};
use crate::node::Node;

const IBANS: [&str; 2] = ["DE89370400440532013000", "GB82WEST12345698765432"];

impl Clients {
    /// So many withdrawals of one merchant, some of them after days, when its payments were settled.
    pub fn withdraw(&self, merchant: &Terms, withdrawals: usize) {
        for _ in 0..withdrawals {
            let (clients, merchant_id) = (self.clone(), merchant.merchant_id);
            let currency = merchant.home_currency.unwrap_or(Currency::USD);
            let within_s = self.chance.pick(&[200, 200, 200, 200, 200, 100_000]);
            self.start(async move {
                sleep(clients.chance.seconds(0..=within_s)).await;
                clients.withdrawal(merchant_id, currency).await;
            });
        }
    }

    async fn withdrawal(&self, merchant_id: MerchantId, currency: Currency) {
        let amount = self.chance.pick(&[1, 500, 2_500, 9_999, 40_000]);
        let number = BankNumber::Iban(self.chance.pick(&IBANS).parse().expect("an IBAN"));
        let (chance, key, actor) = (self.chance.clone(), self.key(), actor(merchant_id));
        let request = RequestWithdrawal {
            withdrawal_id: WithdrawalId::from_uuid(Uuid::nil()),
            merchant_id,
            amount: Money::new(amount, currency).expect("an amount"),
            bank_account: BankDetails::new(number, None, "Acme Limited").expect("a holder"),
            requested_by: actor.clone(),
        };
        let ask = move |node: Arc<Node>, issued: Issued| {
            let request =
                RequestWithdrawal { withdrawal_id: WithdrawalId::from_uuid(chance.uuid()), ..request.clone() };
            async move { node.withdrawals.request(issued, request).await }
        };
        let receipt = self.insist(Wish::Withdrawal, &actor, &key, ask.clone()).await;
        if self.chance.percent(20) {
            self.insist(Wish::Withdrawal, &actor, &key, ask).await;
        }
        let Some(receipt) = receipt.filter(|receipt| receipt.rejection.is_none()) else { return };
        if self.chance.percent(20) {
            sleep(self.chance.millis(0..=60_000)).await;
            let terms = self.terms_of(&receipt).await;
            let ask = move |node: Arc<Node>, issued: Issued| {
                let (withdrawal, owner) = (terms.withdrawal_id, terms.merchant_id);
                async move { node.withdrawals.cancel(issued, withdrawal, owner).await }
            };
            self.insist(Wish::WithdrawalCancellation, &actor, &self.key(), ask).await;
        }
    }

    async fn terms_of(&self, receipt: &Receipt) -> Requested {
        let first = self.log.read_stream(&withdrawal_stream(receipt), 0, 1).await.expect("the log is there");
        match first[0].decode::<Event>().expect("an event of a withdrawal") {
            Event::Requested(requested) => *requested,
            other => panic!("a withdrawal begins with {other:?}"),
        }
    }
}

fn withdrawal_stream(receipt: &Receipt) -> commands::ports::StreamId {
    commands::ports::Category::of::<domain::withdrawal::Withdrawal>().stream(receipt.object.clone())
}

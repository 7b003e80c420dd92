//! Finance: whoever settles at will, and proposes corrections of the books.

use std::sync::Arc;

use commands::Issued;
use commands::adjustment;
use commands::settlement::Scope;
use domain::adjustment::Propose;
use domain::merchant::Terms;
use domain::{Account, AdjustmentId, BalancedEntry, Currency};
use tokio::time::sleep;

use super::{Clients, Wish};
use crate::node::Node;

impl Clients {
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

    /// Proposes so many adjustments of what a merchant has, so that it has something to withdraw early on.
    pub fn adjust(&self, merchant: &Terms, adjustments: usize) {
        let currency = merchant.home_currency.unwrap_or(Currency::USD);
        let available = Account::MerchantAvailable(merchant.merchant_id);
        let owed = Account::MerchantReceivable(merchant.merchant_id);
        let kinds = [
            (50, (Account::EquityOwner, available.clone())),
            (20, (Account::ExpenseBankFee, available.clone())),
            (15, (available, Account::LiabilityTax)),
            (8, (Account::ExpenseMerchantLoss, owed)),
            (7, (Account::EquityOwner, Account::LiabilityTax)),
        ];
        let places: Vec<(u32, usize)> = kinds.iter().enumerate().map(|(place, (weight, _))| (*weight, place)).collect();
        for _ in 0..adjustments {
            let (_, (debit, credit)) = kinds[self.chance.weighted(&places)].clone();
            let entry =
                BalancedEntry::in_currency(currency).transfer(debit, credit, self.chance.pick(&[1, 3_000, 50_000]));
            let (clients, entry) = (self.clone(), entry.build().expect("it moves something"));
            self.start(async move { clients.propose(entry).await });
        }
    }

    async fn propose(&self, entry: BalancedEntry) {
        sleep(self.chance.pick(&[self.chance.millis(0..=5_000), self.chance.millis(0..=150_000)])).await;
        let (chance, by) = (self.chance.clone(), self.chance.pick(&["finance:ada", "finance:bob"]));
        let ask = move |node: Arc<Node>, issued: Issued| {
            let propose = Propose {
                adjustment_id: AdjustmentId::from_uuid(chance.uuid()),
                reason: "as agreed".to_owned(),
                legs: entry.legs().to_vec(),
                effective_at: None,
                closed_until: None,
                by: by.to_owned(),
                at: node.payments.clock.now(),
            };
            async move { adjustment::propose(&node.payments.executor, issued, propose).await }
        };
        self.insist(Wish::Adjustment, by, &self.key(), ask).await;
    }
}

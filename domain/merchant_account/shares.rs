//! How money that comes in or goes out of a merchant's account is shared among debts, lots and what is available.

use serde::{Deserialize, Serialize};

use super::{MerchantAccountRejection, State};
use crate::{Account, MerchantId, SettlementId};

/// A credit to `available`: what is owed is repaid first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credit {
    pub repaid: i64,
    pub available: i64,
}

/// What a batch below zero takes, in this order; the sum is what it lacks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drawn {
    pub available: i64,
    /// Soonest due first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lots: Vec<LotShare>,
    /// What the merchant owes us from now on.
    pub receivable: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LotShare {
    pub settlement_id: SettlementId,
    pub amount: i64,
}

impl Drawn {
    /// Each account that it takes from, and how much.
    pub(super) fn sources(&self, merchant: MerchantId) -> Vec<(Account, i64)> {
        let lots = self.lots.iter().map(|lot| (Account::MerchantReserve(merchant, lot.settlement_id), lot.amount));
        std::iter::once((Account::MerchantAvailable(merchant), self.available))
            .chain(lots)
            .chain(std::iter::once((Account::MerchantReceivable(merchant), self.receivable)))
            .collect()
    }
}

impl State {
    /// How a credit of `amount` is shared. A balance that no `i64` can hold is refused.
    pub(super) fn credit(&self, amount: i64) -> Result<Credit, MerchantAccountRejection> {
        let repaid = amount.min(self.receivable);
        let available = amount - repaid;
        self.available.checked_add(available).ok_or(MerchantAccountRejection::BalanceOutOfRange)?;
        Ok(Credit { repaid, available })
    }

    /// How a draw of `amount` is shared.
    pub(super) fn draw(&self, amount: i64) -> Result<Drawn, MerchantAccountRejection> {
        let available = amount.min(self.available);
        let mut left = amount - available;
        let mut lots = vec![];
        for lot in &self.lots {
            let share = left.min(lot.amount);
            left -= share;
            if share > 0 {
                lots.push(LotShare { settlement_id: lot.settlement_id, amount: share });
            }
        }
        self.receivable.checked_add(left).ok_or(MerchantAccountRejection::BalanceOutOfRange)?;
        Ok(Drawn { available, lots, receivable: left })
    }

    pub(super) fn take_credit(&mut self, credit: Credit) {
        self.receivable -= credit.repaid;
        self.available += credit.available;
    }

    pub(super) fn take_draw(&mut self, drawn: &Drawn) {
        self.available -= drawn.available;
        self.receivable += drawn.receivable;
        for share in &drawn.lots {
            if let Some(lot) = self.lots.iter_mut().find(|lot| lot.settlement_id == share.settlement_id) {
                lot.amount -= share.amount;
            }
        }
        self.lots.retain(|lot| lot.amount > 0);
    }
}

//! What the books say of a merchant's money.

use std::collections::BTreeMap;

use domain::invariants::Totals;
use domain::{Account, Currency, MerchantId};
use sqlx::QueryBuilder;

use super::At;
use crate::database::{parsed, sum_of};
use crate::{ReadError, Snapshot};

/// A merchant's money in one currency, in minor units, each figure positive on its normal side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MerchantBalance {
    pub currency: Currency,
    /// Earned since the last settlement; may be negative.
    pub pending: i128,
    pub available: i128,
    pub reserved: i128,
    /// Set aside for refunds, disputes, settlements and withdrawals that are not final yet.
    pub on_hold: i128,
    /// What the merchant owes us.
    pub receivable: i128,
}

impl MerchantBalance {
    pub fn zero(currency: Currency) -> MerchantBalance {
        MerchantBalance { currency, pending: 0, available: 0, reserved: 0, on_hold: 0, receivable: 0 }
    }

    /// What covers a refund or a withdrawal.
    pub fn net(&self) -> i128 {
        self.pending + self.available + self.reserved - self.receivable
    }

    /// Counts an account in, if it holds a merchant's money.
    pub(super) fn add(&mut self, account: &Account, totals: &Totals) {
        let balance = account.account_type().balance(totals.debits, totals.credits);
        match account {
            Account::MerchantPending(_) => self.pending += balance,
            Account::MerchantAvailable(_) => self.available += balance,
            Account::MerchantReserve(..) => self.reserved += balance,
            Account::MerchantRefundHold(..)
            | Account::MerchantDisputeHold(..)
            | Account::MerchantSettlement(..)
            | Account::MerchantWithdrawalHold(..) => self.on_hold += balance,
            Account::MerchantReceivable(_) => self.receivable += balance,
            // An authorisation is not money yet; the rest is not the merchant's.
            _ => {}
        }
    }
}

/// The merchant's balances, one for each currency it has had money in, by currency.
pub async fn balances(
    view: &mut Snapshot,
    merchant_id: MerchantId,
    at: impl Into<At>,
) -> Result<Vec<MerchantBalance>, ReadError> {
    let at = at.into();
    if at.is_now() { balances_now(view, merchant_id).await } else { balances_at(view, merchant_id, at).await }
}

async fn balances_now(view: &mut Snapshot, merchant_id: MerchantId) -> Result<Vec<MerchantBalance>, ReadError> {
    let rows = sqlx::query(
        "SELECT currency, pending::text, available::text, reserved::text, on_hold::text, receivable::text
           FROM balances WHERE merchant_id = $1 ORDER BY currency",
    )
    .bind(merchant_id.to_string())
    .fetch_all(view.connection())
    .await?;
    let read = |row| {
        Ok(MerchantBalance {
            currency: parsed(row, "currency")?,
            pending: sum_of(row, "pending")?,
            available: sum_of(row, "available")?,
            reserved: sum_of(row, "reserved")?,
            on_hold: sum_of(row, "on_hold")?,
            receivable: sum_of(row, "receivable")?,
        })
    };
    Ok(rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?)
}

/// The journal itself, added up.
async fn balances_at(view: &mut Snapshot, merchant_id: MerchantId, at: At) -> Result<Vec<MerchantBalance>, ReadError> {
    let mut query = QueryBuilder::new(
        "SELECT account, currency, sum(debit)::text AS debits, sum(credit)::text AS credits
           FROM journal WHERE merchant_id = ",
    );
    query.push_bind(merchant_id.to_string()).push(" AND");
    at.push(&mut query, view)?;
    query.push(" GROUP BY account, currency");
    let rows = query.build().fetch_all(view.connection()).await?;
    let mut balances = BTreeMap::new();
    for row in &rows {
        let (account, currency) = (parsed(row, "account")?, parsed(row, "currency")?);
        let totals = Totals { debits: sum_of(row, "debits")?, credits: sum_of(row, "credits")? };
        balances.entry(currency).or_insert_with(|| MerchantBalance::zero(currency)).add(&account, &totals);
    }
    Ok(balances.into_values().collect())
}

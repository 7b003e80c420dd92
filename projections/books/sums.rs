//! Adds a batch of transactions to the sums: per account, and per merchant.

use std::collections::BTreeMap;

use commands::ports::RecordedEvent;
use domain::invariants::Totals;
use domain::{Account, BalancedEntry, Currency, MerchantId, Side};
use sqlx::PgConnection;

use super::balances::MerchantBalance;
use crate::database::sum_to_sql;

type Accounts = BTreeMap<(Account, Currency), Totals>;
type Merchants = BTreeMap<(MerchantId, Currency), MerchantBalance>;

pub(super) async fn add(
    connection: &mut PgConnection,
    transactions: &[(&RecordedEvent, BalancedEntry)],
) -> Result<(), sqlx::Error> {
    let mut accounts = Accounts::new();
    for leg in transactions.iter().flat_map(|(_, entry)| entry.legs()) {
        let totals = accounts.entry((leg.account.clone(), leg.currency)).or_default();
        match leg.side {
            Side::Debit => totals.debits += i128::from(leg.amount),
            Side::Credit => totals.credits += i128::from(leg.amount),
        }
    }
    add_to_accounts(connection, &accounts).await?;
    add_to_merchants(connection, &merchants(&accounts)).await
}

/// The merchants' part of the accounts.
pub(crate) fn merchants(accounts: &Accounts) -> Merchants {
    let mut merchants = Merchants::new();
    for ((account, currency), totals) in accounts {
        if let Some(merchant) = account.merchant() {
            let balance = merchants.entry((merchant, *currency)).or_insert_with(|| MerchantBalance::zero(*currency));
            balance.add(account, totals);
        }
    }
    merchants
}

/// `merchant:mer_1:refund_hold:*` for the hold of one refund.
pub(crate) fn family(account: &Account) -> Option<String> {
    let path = account.to_string();
    let (parent, _) = path.rsplit_once(':').filter(|_| account.is_per_object())?;
    Some(format!("{parent}:*"))
}

async fn add_to_accounts(connection: &mut PgConnection, accounts: &Accounts) -> Result<(), sqlx::Error> {
    fn column<T>(accounts: &Accounts, of: impl Fn(&Account, Currency, &Totals) -> T) -> Vec<T> {
        accounts.iter().map(|((account, currency), totals)| of(account, *currency, totals)).collect()
    }
    sqlx::query(
        "INSERT INTO accounts AS old
         SELECT account, currency, type, merchant, family, debits::numeric, credits::numeric
           FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
             AS t (account, currency, type, merchant, family, debits, credits)
         ON CONFLICT (account, currency) DO UPDATE
            SET debits = old.debits + excluded.debits, credits = old.credits + excluded.credits",
    )
    .bind(column(accounts, |account, _, _| account.to_string()))
    .bind(column(accounts, |_, currency, _| currency.to_string()))
    .bind(column(accounts, |account, _, _| account.account_type().as_str()))
    .bind(column(accounts, |account, _, _| account.merchant().map(|merchant| merchant.to_string())))
    .bind(column(accounts, |account, _, _| family(account)))
    .bind(column(accounts, |_, _, totals| sum_to_sql(totals.debits)))
    .bind(column(accounts, |_, _, totals| sum_to_sql(totals.credits)))
    .execute(connection)
    .await?;
    Ok(())
}

async fn add_to_merchants(connection: &mut PgConnection, merchants: &Merchants) -> Result<(), sqlx::Error> {
    let column = |of: fn(&MerchantBalance) -> i128| -> Vec<String> {
        merchants.values().map(|balance| sum_to_sql(of(balance))).collect()
    };
    sqlx::query(
        "INSERT INTO balances AS old
         SELECT merchant, currency, pending::numeric, available::numeric, reserved::numeric, on_hold::numeric,
                receivable::numeric
           FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
             AS t (merchant, currency, pending, available, reserved, on_hold, receivable)
         ON CONFLICT (merchant_id, currency) DO UPDATE
            SET pending = old.pending + excluded.pending, available = old.available + excluded.available,
                reserved = old.reserved + excluded.reserved, on_hold = old.on_hold + excluded.on_hold,
                receivable = old.receivable + excluded.receivable",
    )
    .bind(merchants.keys().map(|(merchant, _)| merchant.to_string()).collect::<Vec<_>>())
    .bind(merchants.keys().map(|(_, currency)| currency.to_string()).collect::<Vec<_>>())
    .bind(column(|balance| balance.pending))
    .bind(column(|balance| balance.available))
    .bind(column(|balance| balance.reserved))
    .bind(column(|balance| balance.on_hold))
    .bind(column(|balance| balance.receivable))
    .execute(connection)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{PaymentId, RefundId};
    use uuid::Uuid;

    #[test]
    fn accounts_of_one_object_have_a_family() {
        let merchant = MerchantId::from_uuid(Uuid::nil());
        let hold = Account::MerchantRefundHold(merchant, RefundId::from_uuid(Uuid::nil()));
        assert_eq!(family(&hold), Some(format!("merchant:{merchant}:refund_hold:*")));
        let accrual = Account::ChannelFeeAccrual("stripe".parse().unwrap(), PaymentId::from_uuid(Uuid::nil()));
        assert_eq!(family(&accrual).as_deref(), Some("channel:stripe:fee_accrual:*"));
        assert_eq!(family(&Account::MerchantPending(merchant)), None);
    }
}

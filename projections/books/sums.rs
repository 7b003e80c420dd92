//! Adds a batch of transactions to the sums: per account, and per merchant.

use std::collections::BTreeMap;

use commands::ports::RecordedEvent;
use domain::invariants::Totals;
use domain::{Account, BalancedEntry, Currency, Leg, MerchantId, Side};
use sqlx::PgConnection;

use super::balances::MerchantBalance;
use crate::ApplyError;
use crate::database::{sum_to_sql, to_sql};

type Accounts = BTreeMap<(Account, Currency), Totals>;
type Merchants = BTreeMap<(MerchantId, Currency), MerchantBalance>;

/// Lines that one transaction may have: an account's number tells which of them opened it.
const LINES_MAX: i64 = 4_096;

/// Under which numbers a batch's accounts stand in the journal.
pub(super) struct AccountIds(BTreeMap<(Account, Currency), i64>);

impl AccountIds {
    /// Every leg of the batch has one.
    pub(super) fn of(&self, leg: &Leg) -> i64 {
        self.0.get(&(leg.account.clone(), leg.currency)).copied().unwrap_or_default()
    }
}

pub(super) async fn add(
    connection: &mut PgConnection,
    transactions: &[(&RecordedEvent, BalancedEntry)],
) -> Result<AccountIds, ApplyError> {
    let (mut accounts, mut openings) = (Accounts::new(), BTreeMap::new());
    for (event, entry) in transactions {
        for (line, leg) in (1..).zip(entry.legs()) {
            if line >= LINES_MAX {
                return Err(ApplyError::inapplicable(event, "it posts too many lines"));
            }
            let totals = accounts.entry((leg.account.clone(), leg.currency)).or_insert_with(|| {
                openings.insert((leg.account.clone(), leg.currency), to_sql(event.position) * LINES_MAX + line);
                Totals::default()
            });
            match leg.side {
                Side::Debit => totals.debits += i128::from(leg.amount),
                Side::Credit => totals.credits += i128::from(leg.amount),
            }
        }
    }
    let ids = add_to_accounts(connection, &accounts, openings).await?;
    add_to_merchants(connection, &merchants(&accounts)).await?;
    Ok(ids)
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

/// `openings` are the numbers of those that are new.
async fn add_to_accounts(
    connection: &mut PgConnection,
    accounts: &Accounts,
    openings: BTreeMap<(Account, Currency), i64>,
) -> Result<AccountIds, sqlx::Error> {
    fn column<T>(accounts: &Accounts, of: impl Fn(&Account, Currency, &Totals) -> T) -> Vec<T> {
        accounts.iter().map(|((account, currency), totals)| of(account, *currency, totals)).collect()
    }
    let ids: Vec<i64> = sqlx::query_scalar(
        "WITH given AS (
             SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                                  $8::text[]) WITH ORDINALITY
                        AS t (id, account, currency, type, merchant_id, family, debits, credits, number)),
         stored AS (
             INSERT INTO accounts AS old (id, account, currency, type, merchant_id, family, debits, credits)
             SELECT id, account, currency, type, merchant_id, family, debits::numeric, credits::numeric FROM given
             ON CONFLICT (account, currency) DO UPDATE
                SET debits = old.debits + excluded.debits, credits = old.credits + excluded.credits
             RETURNING id, account, currency)
         SELECT stored.id FROM given JOIN stored USING (account, currency) ORDER BY number",
    )
    .bind(openings.values().copied().collect::<Vec<_>>())
    .bind(column(accounts, |account, _, _| account.to_string()))
    .bind(column(accounts, |_, currency, _| currency.to_string()))
    .bind(column(accounts, |account, _, _| account.account_type().as_str()))
    .bind(column(accounts, |account, _, _| account.merchant().map(|merchant| merchant.to_string())))
    .bind(column(accounts, |account, _, _| family(account)))
    .bind(column(accounts, |_, _, totals| sum_to_sql(totals.debits)))
    .bind(column(accounts, |_, _, totals| sum_to_sql(totals.credits)))
    .fetch_all(connection)
    .await?;
    Ok(AccountIds(openings.into_keys().zip(ids).collect()))
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

//! Adds a batch of transactions to the sums: per account, and per merchant.

use std::collections::{BTreeMap, HashMap};

use commands::ports::RecordedEvent;
use domain::invariants::Totals;
use domain::{Account, BalancedEntry, Currency, MerchantId, Side};
use sqlx::PgConnection;

use super::balances::MerchantBalance;
use crate::ApplyError;
use crate::database::{sum_to_sql, to_sql};

type Merchants = BTreeMap<(MerchantId, Currency), MerchantBalance>;

/// Lines that one transaction may have: an account's number tells which of them opened it.
const LINES_MAX: i64 = 4_096;

/// What a batch adds to one account.
struct Sum<'a> {
    account: &'a Account,
    currency: Currency,
    /// The account's number if it is new.
    opening: i64,
    totals: Totals,
}

/// Adds up the batch. Answers the number of each leg's account, leg after leg.
pub(super) async fn add(
    connection: &mut PgConnection,
    transactions: &[(&RecordedEvent, BalancedEntry)],
) -> Result<Vec<i64>, ApplyError> {
    let (sums, places) = add_up(transactions)?;
    let ids = add_to_accounts(connection, &sums).await?;
    let merchants = merchants(sums.iter().map(|sum| (sum.account, sum.currency, &sum.totals)));
    add_to_merchants(connection, &merchants).await?;
    Ok(places.into_iter().filter_map(|place| ids.get(place).copied()).collect())
}

/// The sums, and which of them each leg is part of.
fn add_up<'a>(transactions: &'a [(&RecordedEvent, BalancedEntry)]) -> Result<(Vec<Sum<'a>>, Vec<usize>), ApplyError> {
    let (mut sums, mut places, mut known) = (vec![], vec![], HashMap::new());
    for (event, entry) in transactions {
        for (line, leg) in (1..).zip(entry.legs()) {
            if line >= LINES_MAX {
                return Err(ApplyError::inapplicable(event, "it posts too many lines"));
            }
            let (account, currency) = (&leg.account, leg.currency);
            let place = *known.entry((account, currency)).or_insert_with(|| {
                let opening = to_sql(event.position) * LINES_MAX + line;
                sums.push(Sum { account, currency, opening, totals: Totals::default() });
                sums.len() - 1
            });
            let totals = &mut sums[place].totals;
            match leg.side {
                Side::Debit => totals.debits += i128::from(leg.amount),
                Side::Credit => totals.credits += i128::from(leg.amount),
            }
            places.push(place);
        }
    }
    Ok((sums, places))
}

/// The merchants' part of accounts.
pub(crate) fn merchants<'a>(accounts: impl IntoIterator<Item = (&'a Account, Currency, &'a Totals)>) -> Merchants {
    let mut merchants = Merchants::new();
    for (account, currency, totals) in accounts {
        if let Some(merchant) = account.merchant() {
            let balance = merchants.entry((merchant, currency)).or_insert_with(|| MerchantBalance::zero(currency));
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

/// The numbers of the accounts, in the order of the sums.
async fn add_to_accounts(connection: &mut PgConnection, sums: &[Sum<'_>]) -> Result<Vec<i64>, sqlx::Error> {
    fn column<'a, T>(sums: &'a [Sum<'a>], of: impl Fn(&'a Sum<'a>) -> T) -> Vec<T> {
        sums.iter().map(of).collect()
    }
    sqlx::query_scalar(
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
    .bind(column(sums, |sum| sum.opening))
    .bind(column(sums, |sum| sum.account.to_string()))
    .bind(column(sums, |sum| sum.currency.code()))
    .bind(column(sums, |sum| sum.account.account_type().as_str()))
    .bind(column(sums, |sum| sum.account.merchant().map(|merchant| merchant.to_string())))
    .bind(column(sums, |sum| family(sum.account)))
    .bind(column(sums, |sum| sum_to_sql(sum.totals.debits)))
    .bind(column(sums, |sum| sum_to_sql(sum.totals.credits)))
    .fetch_all(connection)
    .await
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

//! The accounts and what they add up to: now from the sums, at any other point from the journal itself.

use std::collections::BTreeMap;

use domain::{AccountType, Currency, MerchantId};
use sqlx::postgres::PgRow;
use sqlx::{Postgres, QueryBuilder, Row};

use super::At;
use crate::database::{parsed, sum_of};
use crate::{Cursor, Page, ReadError, Snapshot};

/// An account in one currency, in minor units. `balance` is positive on the account's normal side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountLine {
    /// Its path; in a trial balance also a family such as `merchant:mer_...:refund_hold:*`.
    pub account: String,
    pub account_type: AccountType,
    pub currency: Currency,
    pub debits: i128,
    pub credits: i128,
    pub balance: i128,
}

/// All accounts of one currency. Debits equal credits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrencyBalance {
    pub currency: Currency,
    pub debits: i128,
    pub credits: i128,
    pub accounts: Vec<AccountLine>,
}

/// Which accounts are wanted: all that meet every condition given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountFilter {
    /// The beginning of the path.
    pub prefix: Option<String>,
    pub merchant_id: Option<MerchantId>,
    pub currency: Option<Currency>,
    pub account_type: Option<AccountType>,
}

/// Accounts with their sums at a point, as a table expression called `listed`.
fn push_accounts(query: &mut QueryBuilder<'_, Postgres>, view: &Snapshot, at: At) -> Result<(), ReadError> {
    if at.is_now() {
        query.push("accounts AS listed");
        return Ok(());
    }
    query.push(
        "(SELECT account, currency, type, merchant_id, family, sums.debits, sums.credits
            FROM (SELECT account_id, sum(debit) AS debits, sum(credit) AS credits
                    FROM journal WHERE",
    );
    at.push(query, view)?;
    query.push(
        "          GROUP BY account_id) AS sums
            JOIN (SELECT id, account, currency, type, merchant_id, family FROM accounts) AS known
              ON known.id = account_id) AS listed",
    );
    Ok(())
}

/// Every currency with its accounts, by their names. The accounts of single objects (the hold of one refund, the fee
/// accrual of one payment) stand there while they hold something; once cleared they are added up in one line of their
/// family, so that the list stays short and still sums up to everything that was ever booked.
pub async fn trial_balance(view: &mut Snapshot, at: impl Into<At>) -> Result<Vec<CurrencyBalance>, ReadError> {
    let mut query = QueryBuilder::new(
        "SELECT shown AS account, currency, type, sum(debits)::text AS debits, sum(credits)::text AS credits
           FROM (SELECT *, CASE WHEN debits = credits THEN coalesce(family, account) ELSE account END AS shown
                   FROM ",
    );
    push_accounts(&mut query, view, at.into())?;
    query.push(") AS lines GROUP BY shown, currency, type ORDER BY currency, shown");
    let rows = query.build().fetch_all(view.connection()).await?;
    let mut currencies: BTreeMap<Currency, CurrencyBalance> = BTreeMap::new();
    for row in &rows {
        let line = read(row)?;
        let currency = line.currency;
        let total = currencies.entry(currency).or_insert_with(|| CurrencyBalance {
            currency,
            debits: 0,
            credits: 0,
            accounts: vec![],
        });
        total.debits += line.debits;
        total.credits += line.credits;
        total.accounts.push(line);
    }
    Ok(currencies.into_values().collect())
}

/// A page of accounts by name, each by itself.
pub async fn accounts(
    view: &mut Snapshot,
    filter: &AccountFilter,
    at: impl Into<At>,
    limit: u32,
    cursor: Option<&Cursor>,
) -> Result<Page<AccountLine>, ReadError> {
    let mut query =
        QueryBuilder::new("SELECT account, currency, type, debits::text AS debits, credits::text AS credits FROM ");
    push_accounts(&mut query, view, at.into())?;
    query.push(" WHERE true");
    if let Some(prefix) = &filter.prefix {
        query.push(" AND starts_with(account, ").push_bind(prefix.clone()).push(")");
    }
    if let Some(merchant_id) = filter.merchant_id {
        query.push(" AND merchant_id = ").push_bind(merchant_id.to_string());
    }
    if let Some(currency) = filter.currency {
        query.push(" AND currency = ").push_bind(currency.to_string());
    }
    if let Some(account_type) = filter.account_type {
        query.push(" AND type = ").push_bind(account_type.as_str());
    }
    if let Some((account, currency)) = cursor.and_then(|cursor| cursor.id.rsplit_once('|')) {
        query.push(" AND (account, currency) > (").push_bind(account.to_owned());
        query.push(", ").push_bind(currency.to_owned()).push(")");
    }
    query.push(" ORDER BY account, currency LIMIT ").push_bind(i64::from(limit) + 1);
    let rows = query.build().fetch_all(view.connection()).await?;
    let rows = rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?;
    Ok(Page::cut(rows, limit, |row: &AccountLine| Cursor { key: 0, id: format!("{}|{}", row.account, row.currency) }))
}

fn read(row: &PgRow) -> Result<AccountLine, sqlx::Error> {
    let account_type: AccountType = parsed(row, "type")?;
    let (debits, credits) = (sum_of(row, "debits")?, sum_of(row, "credits")?);
    Ok(AccountLine {
        account: row.try_get("account")?,
        account_type,
        currency: parsed(row, "currency")?,
        debits,
        credits,
        balance: account_type.balance(debits, credits),
    })
}

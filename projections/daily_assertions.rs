//! What must hold of the books every day, read from them: debits equal credits; what is kept for one object is empty once
//! its time is over; a bank's cash and what a channel owes are what their statements say; what is pending is what happened
//! since the last cut-off; a merchant's accounts are what its statement says; and the books are what the log makes of them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use commands::ports::assertions::{Assertion, AssertionsUnavailable};
use commands::ports::{DailyAssertions, EventStore};
use domain::{Account, Timestamp};
use sqlx::{PgPool, Row};

use crate::books::Books;
use crate::database::{moment, parsed, sum_of, to_sql};
use crate::settlements::Settlements;
use crate::shadow::{self, ShadowError};
use crate::statements::Statements;
use crate::{Projection, ReadError, Reader, Snapshot};

/// More of one kind say nothing new.
const TOLD_MAX: i64 = 10;

/// How long the read models may take to get where the log is.
const READ_MODELS_WITHIN: Duration = Duration::from_secs(30);

#[derive(Clone)]
pub struct AssertionsOfBooks {
    reader: Reader,
    pool: PgPool,
    store: Arc<dyn EventStore>,
}

impl AssertionsOfBooks {
    pub fn new(reader: Reader, pool: PgPool, store: Arc<dyn EventStore>) -> AssertionsOfBooks {
        AssertionsOfBooks { reader, pool, store }
    }

    async fn all(&self, now: Timestamp) -> Result<Vec<Assertion>, ReadError> {
        let mut view = self.view().await?;
        let mut assertions = vec![
            debits_equal_credits(&mut view).await?,
            objects_are_cleared(&mut view, now).await?,
            told_balances(&mut view, "cash_equals_statement", CASH).await?,
            told_balances(&mut view, "channels_equal_statements", OWED_BY_CHANNELS).await?,
            merchants_equal_statements(&mut view).await?,
        ];
        let pending = pending_equals_activity(&mut view).await?;
        drop(view);
        assertions.push(self.confirmed(pending).await?);
        Ok(assertions)
    }

    async fn view(&self) -> Result<Snapshot, ReadError> {
        let head = self.store.head().await.map_err(|error| ReadError::Unavailable(error.to_string()))?;
        self.reader.at_least(&[&Books, &Settlements, &Statements], Some(head), READ_MODELS_WITHIN).await
    }

    /// A cut-off that one read model knew and the other did not yet is gone at the second look; damage is not.
    async fn confirmed(&self, first: Assertion) -> Result<Assertion, ReadError> {
        if first.failures.is_empty() {
            return Ok(first);
        }
        let mut again = pending_equals_activity(&mut self.view().await?).await?;
        again.failures.retain(|failure| first.failures.contains(failure));
        Ok(again)
    }

    /// The books beside what the log makes of them from its first event on, in tables of their own.
    async fn books_equal_rebuild(&self) -> Result<Assertion, ShadowError> {
        let compared = shadow::compare(&self.pool, self.store.as_ref(), Books.name(), |_, _| {}).await?;
        let checked = compared.tables.iter().map(|table| table.rows).sum();
        let mut failures = compared.differences;
        failures.truncate(usize::try_from(TOLD_MAX).unwrap_or_default());
        Ok(Assertion { name: "books_equal_rebuild", checked, failures })
    }
}

#[async_trait]
impl DailyAssertions for AssertionsOfBooks {
    async fn check(&self, now: Timestamp) -> Result<Vec<Assertion>, AssertionsUnavailable> {
        let mut assertions = self.all(now).await.map_err(|error| AssertionsUnavailable(error.to_string()))?;
        let rebuilt = self.books_equal_rebuild().await;
        assertions.push(rebuilt.map_err(|error| AssertionsUnavailable(error.to_string()))?);
        Ok(assertions)
    }
}

async fn debits_equal_credits(view: &mut Snapshot) -> Result<Assertion, ReadError> {
    let rows = sqlx::query(
        "SELECT currency, sum(debits)::text AS debits, sum(credits)::text AS credits FROM accounts
          GROUP BY currency ORDER BY currency",
    )
    .fetch_all(view.connection())
    .await?;
    let mut failures = vec![];
    for row in &rows {
        let (debits, credits) = (sum_of(row, "debits")?, sum_of(row, "credits")?);
        if debits != credits {
            let currency: &str = row.try_get("currency")?;
            failures.push(format!("{debits} {currency} debited, {credits} credited"));
        }
    }
    Ok(Assertion { name: "debits_equal_credits", checked: rows.len() as u64, failures })
}

/// Those that hold something still, by when they were posted to last.
async fn objects_are_cleared(view: &mut Snapshot, now: Timestamp) -> Result<Assertion, ReadError> {
    let rows = sqlx::query(
        "SELECT account, currency,
                (SELECT max(recorded_at) FROM journal AS j WHERE j.account = a.account) AS posted_at
           FROM accounts AS a WHERE family IS NOT NULL AND debits <> credits ORDER BY account, currency",
    )
    .fetch_all(view.connection())
    .await?;
    let mut failures = vec![];
    for row in &rows {
        let account: Account = parsed(row, "account")?;
        let posted_at = moment(row, "posted_at")?;
        if account.clears_within().is_some_and(|term| posted_at < now.minus(term)) {
            let currency: &str = row.try_get("currency")?;
            failures.push(format!("{account} holds {currency} since {posted_at}"));
        }
    }
    failures.truncate(usize::try_from(TOLD_MAX).unwrap_or_default());
    Ok(Assertion { name: "objects_are_cleared", checked: rows.len() as u64, failures })
}

/// What the accounts of a counterparty hold of ours is their debits less their credits.
macro_rules! told_balances {
    ($kind:literal, $accounts:literal) => {
        concat!(
            "WITH told AS (
                 SELECT counterparty, one ->> 'currency' AS currency, (one ->> 'amount')::numeric AS amount,
                        (one ->> 'before')::timestamptz AS before, imported_at
                   FROM reconciliation_statements, json_array_elements(closing) AS balances (one)
                  WHERE counterparty LIKE '",
            $kind,
            ":%'),
             newest AS (
                 SELECT DISTINCT ON (counterparty, currency) * FROM told
                  ORDER BY counterparty, currency, before DESC, imported_at DESC)
             SELECT counterparty, currency, amount::text AS amount,
                    (SELECT coalesce(sum(debit::numeric - credit), 0) FROM journal
                      WHERE ",
            $accounts,
            " AND journal.currency = newest.currency
                        AND effective_at < before)::text AS booked
               FROM newest ORDER BY counterparty, currency"
        )
    };
}

const CASH: &str = told_balances!("bank", "account = counterparty || ':cash'");
/// What is accrued is a liability: it is what the channel will have kept of the receivable.
const OWED_BY_CHANNELS: &str = told_balances!(
    "channel",
    "(account = counterparty || ':receivable'
      OR account >= counterparty || ':fee_accrual:' AND account < counterparty || ':fee_accrual;')"
);

/// The newest balance that each counterparty has told in each currency against what was booked until then.
async fn told_balances(view: &mut Snapshot, name: &'static str, query: &'static str) -> Result<Assertion, ReadError> {
    let rows = sqlx::query(query).fetch_all(view.connection()).await?;
    let mut failures = vec![];
    for row in &rows {
        let (told, booked) = (sum_of(row, "amount")?, sum_of(row, "booked")?);
        if told != booked {
            let (counterparty, currency): (&str, &str) = (row.try_get("counterparty")?, row.try_get("currency")?);
            failures.push(format!("{counterparty} says {told} {currency}, {booked} is booked"));
        }
    }
    Ok(Assertion { name, checked: rows.len() as u64, failures })
}

/// What is pending is the sum of what moved it behind the end of the last batch.
async fn pending_equals_activity(view: &mut Snapshot) -> Result<Assertion, ReadError> {
    let rows = sqlx::query(
        "WITH last AS (
             SELECT merchant_id, currency, max((state #>> '{Exists,terms,to}')::bigint) AS until
               FROM settlements GROUP BY merchant_id, currency)
         SELECT count(*) OVER () AS checked, b.merchant_id, b.currency, b.pending::text AS pending,
                moved.amount::text AS moved
           FROM balances AS b LEFT JOIN last USING (merchant_id, currency), LATERAL (
                SELECT coalesce(sum(credit::numeric - debit), 0) AS amount FROM journal AS j
                 WHERE j.account = 'merchant:' || b.merchant_id || ':pending' AND j.currency = b.currency
                   AND j.category <> 'merchant_account' AND j.position > coalesce(last.until, 0)) AS moved
          ORDER BY b.pending = moved.amount, b.merchant_id, b.currency LIMIT $1",
    )
    .bind(TOLD_MAX)
    .fetch_all(view.connection())
    .await?;
    let mut failures = vec![];
    for row in &rows {
        let (pending, moved) = (sum_of(row, "pending")?, sum_of(row, "moved")?);
        if pending != moved {
            let (merchant, currency): (&str, &str) = (row.try_get("merchant_id")?, row.try_get("currency")?);
            failures.push(format!("{merchant} has {pending} {currency} pending, since its cut-off {moved} came"));
        }
    }
    let checked = rows.first().map_or(Ok(0), |row| row.try_get::<i64, _>("checked"))?;
    Ok(Assertion { name: "pending_equals_activity", checked: checked.unsigned_abs(), failures })
}

/// Both as of the view's position: one read model may have got further than the other.
async fn merchants_equal_statements(view: &mut Snapshot) -> Result<Assertion, ReadError> {
    let position = to_sql(view.position);
    let rows = sqlx::query(
        "WITH later AS (
             SELECT merchant_id, currency, sum(credit::numeric - debit) AS amount FROM journal
              WHERE position > $1 AND merchant_id IS NOT NULL AND account NOT LIKE 'memo:%'
              GROUP BY merchant_id, currency),
         held AS (
             SELECT merchant_id, currency,
                    pending + available + reserved + on_hold - receivable - coalesce(later.amount, 0) AS amount
               FROM balances LEFT JOIN later USING (merchant_id, currency))
         SELECT count(*) OVER () AS checked, merchant_id, currency, amount::text AS amount, stated::text AS stated
           FROM held, LATERAL (
                SELECT coalesce((SELECT balance FROM movements AS m
                                  WHERE m.merchant_id = held.merchant_id AND m.currency = held.currency
                                    AND m.position <= $1
                                  ORDER BY m.position DESC LIMIT 1), 0) AS stated) AS statement
          ORDER BY amount = stated, merchant_id, currency LIMIT $2",
    )
    .bind(position)
    .bind(TOLD_MAX)
    .fetch_all(view.connection())
    .await?;
    let mut failures = vec![];
    for row in &rows {
        let (held, stated) = (sum_of(row, "amount")?, sum_of(row, "stated")?);
        if held != stated {
            let (merchant, currency): (&str, &str) = (row.try_get("merchant_id")?, row.try_get("currency")?);
            failures.push(format!("{merchant} has {held} {currency}, its statement says {stated}"));
        }
    }
    let checked = rows.first().map_or(Ok(0), |row| row.try_get::<i64, _>("checked"))?;
    Ok(Assertion { name: "merchants_equal_statements", checked: checked.unsigned_abs(), failures })
}

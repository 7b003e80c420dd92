//! What must hold of the books every day, read from them: debits equal credits; what is kept for one object is empty once
//! its time is over; a bank's cash is what the bank's statement says; a merchant's accounts are what its statement says.

use async_trait::async_trait;
use commands::ports::DailyAssertions;
use commands::ports::assertions::{Assertion, AssertionsUnavailable};
use domain::{Account, Timestamp};
use sqlx::Row;

use crate::books::Books;
use crate::database::{moment, parsed, sum_of, to_sql};
use crate::statements::Statements;
use crate::{ReadError, Reader, Snapshot};

/// More of one kind say nothing new.
const TOLD_MAX: i64 = 10;

#[derive(Debug, Clone)]
pub struct AssertionsOfBooks {
    reader: Reader,
}

impl AssertionsOfBooks {
    pub fn new(reader: Reader) -> AssertionsOfBooks {
        AssertionsOfBooks { reader }
    }

    async fn all(&self, now: Timestamp) -> Result<Vec<Assertion>, ReadError> {
        let mut view = self.reader.now(&[&Books, &Statements]).await?;
        Ok(vec![
            debits_equal_credits(&mut view).await?,
            objects_are_cleared(&mut view, now).await?,
            cash_equals_statement(&mut view).await?,
            merchants_equal_statements(&mut view).await?,
        ])
    }
}

#[async_trait]
impl DailyAssertions for AssertionsOfBooks {
    async fn check(&self, now: Timestamp) -> Result<Vec<Assertion>, AssertionsUnavailable> {
        self.all(now).await.map_err(|error| AssertionsUnavailable(error.to_string()))
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

/// The newest closing balance of each bank and currency against what was booked up to the end of its day.
async fn cash_equals_statement(view: &mut Snapshot) -> Result<Assertion, ReadError> {
    let rows = sqlx::query(
        "WITH told AS (
             SELECT counterparty, one ->> 'currency' AS currency, (one ->> 'amount')::numeric AS amount,
                    (one ->> 'at')::timestamptz AS at, imported_at
               FROM reconciliation_statements, json_array_elements(closing) AS balances (one)
              WHERE counterparty LIKE 'bank:%'),
         newest AS (
             SELECT DISTINCT ON (counterparty, currency) * FROM told ORDER BY counterparty, currency, at DESC, imported_at DESC)
         SELECT counterparty, currency, amount::text AS amount,
                (SELECT coalesce(sum(debit::numeric - credit), 0) FROM journal
                  WHERE account = counterparty || ':cash' AND journal.currency = newest.currency
                    AND effective_at < at + interval '1 day')::text AS booked
           FROM newest ORDER BY counterparty, currency",
    )
    .fetch_all(view.connection())
    .await?;
    let mut failures = vec![];
    for row in &rows {
        let (told, booked) = (sum_of(row, "amount")?, sum_of(row, "booked")?);
        if told != booked {
            let (bank, currency): (&str, &str) = (row.try_get("counterparty")?, row.try_get("currency")?);
            failures.push(format!("{bank} says {told} {currency}, {booked} is booked"));
        }
    }
    Ok(Assertion { name: "cash_equals_statement", checked: rows.len() as u64, failures })
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

//! The journal: appending transactions and reading their lines.

use commands::ports::RecordedEvent;
use domain::{Account, BalancedEntry, Currency, Side, Timestamp};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, QueryBuilder, Row};

use super::At;
use crate::database::{moment, parsed, position, to_sql};
use crate::{Cursor, Page, ReadError, Snapshot};

/// One line of the journal. Exactly one of `debit` and `credit` is not zero; minor units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryLine {
    /// Of the event, and so of the transaction.
    pub position: u64,
    /// Counted from 1 within the transaction.
    pub line: i32,
    pub account: Account,
    pub currency: Currency,
    pub debit: i64,
    pub credit: i64,
    pub recorded_at: Timestamp,
    pub effective_at: Timestamp,
}

/// `accounts` are the numbers of the legs' accounts.
pub(super) async fn append(
    connection: &mut PgConnection,
    transactions: &[(&RecordedEvent, BalancedEntry)],
    accounts: Vec<i64>,
) -> Result<(), sqlx::Error> {
    let column =
        |of: fn(&RecordedEvent) -> &str| -> Vec<&str> { transactions.iter().map(|(event, _)| of(event)).collect() };
    let moments = |of: fn(&RecordedEvent) -> Timestamp| -> Vec<_> {
        transactions.iter().map(|(event, _)| of(event).to_datetime()).collect()
    };
    sqlx::query(
        "INSERT INTO journal_transactions (position, category, object, event_type, recorded_at, effective_at)
         SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[])",
    )
    .bind(transactions.iter().map(|(event, _)| to_sql(event.position)).collect::<Vec<_>>())
    .bind(column(|event| &event.stream.category))
    .bind(column(|event| &event.stream.id))
    .bind(column(|event| &event.event_type))
    .bind(moments(|event| event.recorded_at))
    .bind(moments(|event| event.effective_at))
    .execute(&mut *connection)
    .await?;
    append_lines(connection, transactions, accounts).await
}

/// Account by account: neighbours in the index, which is larger than any cache, are written one after another.
async fn append_lines(
    connection: &mut PgConnection,
    transactions: &[(&RecordedEvent, BalancedEntry)],
    accounts: Vec<i64>,
) -> Result<(), sqlx::Error> {
    let (mut positions, mut numbers, mut currencies, mut amounts) = (vec![], vec![], vec![], vec![]);
    for (event, entry) in transactions {
        for (number, leg) in (1_i32..).zip(entry.legs()) {
            positions.push(to_sql(event.position));
            numbers.push(number);
            currencies.push(leg.currency.code());
            amounts.push(match leg.side {
                Side::Debit => leg.amount,
                Side::Credit => -leg.amount,
            });
        }
    }
    sqlx::query(
        "INSERT INTO journal_lines (position, line, account_id, currency, amount)
         SELECT * FROM unnest($1::bigint[], $2::integer[], $3::bigint[], $4::text[], $5::bigint[])
                    AS lines (position, line, account_id, currency, amount)
          ORDER BY account_id, position, line",
    )
    .bind(positions)
    .bind(numbers)
    .bind(accounts)
    .bind(currencies)
    .bind(amounts)
    .execute(connection)
    .await?;
    Ok(())
}

pub(crate) const SELECT: &str = "SELECT position, line, account, currency, debit, credit, recorded_at, effective_at
                        FROM journal";

/// A page of an account's lines at a point, newest first.
pub async fn entries(
    view: &mut Snapshot,
    account: &Account,
    at: impl Into<At>,
    limit: u32,
    cursor: Option<&Cursor>,
) -> Result<Page<EntryLine>, ReadError> {
    // Currency by currency: an account has few, and each has its lines in order.
    let mut query = QueryBuilder::new("SELECT of_one.* FROM accounts CROSS JOIN LATERAL (");
    query.push(SELECT).push(" WHERE account_id = accounts.id AND");
    at.into().push(&mut query, view)?;
    if let Some(cursor) = cursor {
        let line: i32 = cursor.id.parse().unwrap_or(0);
        query.push(" AND (position, line) < (").push_bind(cursor.key).push(", ").push_bind(line).push(")");
    }
    query.push(" ORDER BY position DESC, line DESC LIMIT ").push_bind(i64::from(limit) + 1);
    query.push(") AS of_one WHERE accounts.account = ").push_bind(account.to_string());
    query.push(" ORDER BY position DESC, line DESC LIMIT ").push_bind(i64::from(limit) + 1);
    let rows = query.build().fetch_all(view.connection()).await?;
    let rows = rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?;
    Ok(Page::cut(rows, limit, |row: &EntryLine| Cursor { key: to_sql(row.position), id: row.line.to_string() }))
}

/// The lines of the transaction that the event at `position` posted; empty if it posted nothing.
pub async fn transaction(view: &mut Snapshot, position: u64) -> Result<Vec<EntryLine>, ReadError> {
    let mut query = QueryBuilder::new(SELECT);
    query.push(" WHERE position = ").push_bind(view.up_to(Some(position))?).push(" ORDER BY line");
    let rows = query.build().fetch_all(view.connection()).await?;
    Ok(rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?)
}

pub(crate) fn read(row: &PgRow) -> Result<EntryLine, sqlx::Error> {
    Ok(EntryLine {
        position: position(row, "position")?,
        line: row.try_get("line")?,
        account: parsed(row, "account")?,
        currency: parsed(row, "currency")?,
        debit: row.try_get("debit")?,
        credit: row.try_get("credit")?,
        recorded_at: moment(row, "recorded_at")?,
        effective_at: moment(row, "effective_at")?,
    })
}

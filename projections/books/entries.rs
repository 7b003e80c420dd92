//! The journal: appending transactions and reading their lines.

use commands::ports::RecordedEvent;
use domain::{Account, BalancedEntry, Currency, Leg, Side, Timestamp};
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

pub(super) async fn append(
    connection: &mut PgConnection,
    transactions: &[(&RecordedEvent, BalancedEntry)],
) -> Result<(), sqlx::Error> {
    let numbered = |(event, entry): &(&'_ RecordedEvent, BalancedEntry)| -> Vec<_> {
        (1_i32..).zip(entry.legs().to_vec()).map(|(line, leg)| (to_sql(event.position), line, leg)).collect()
    };
    let lines: Vec<(i64, i32, Leg)> = transactions.iter().flat_map(numbered).collect();
    let moments = |of: fn(&RecordedEvent) -> Timestamp| -> Vec<_> {
        transactions.iter().flat_map(|(event, entry)| vec![of(event).to_datetime(); entry.legs().len()]).collect()
    };
    let on = |leg: &Leg, side: Side| if leg.side == side { leg.amount } else { 0 };
    sqlx::query(
        "INSERT INTO journal
         SELECT * FROM unnest($1::bigint[], $2::integer[], $3::text[], $4::text[], $5::bigint[], $6::bigint[],
                              $7::text[], $8::timestamptz[], $9::timestamptz[])",
    )
    .bind(lines.iter().map(|(position, ..)| *position).collect::<Vec<_>>())
    .bind(lines.iter().map(|(_, line, _)| *line).collect::<Vec<_>>())
    .bind(lines.iter().map(|(.., leg)| leg.account.to_string()).collect::<Vec<_>>())
    .bind(lines.iter().map(|(.., leg)| leg.currency.to_string()).collect::<Vec<_>>())
    .bind(lines.iter().map(|(.., leg)| on(leg, Side::Debit)).collect::<Vec<_>>())
    .bind(lines.iter().map(|(.., leg)| on(leg, Side::Credit)).collect::<Vec<_>>())
    .bind(lines.iter().map(|(.., leg)| leg.account.merchant().map(|id| id.to_string())).collect::<Vec<_>>())
    .bind(moments(|event| event.recorded_at))
    .bind(moments(|event| event.effective_at))
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
    let mut query = QueryBuilder::new(SELECT);
    query.push(" WHERE account = ").push_bind(account.to_string());
    query.push(" AND");
    at.into().push(&mut query, view)?;
    if let Some(cursor) = cursor {
        let line: i32 = cursor.id.parse().unwrap_or(0);
        query.push(" AND (position, line) < (").push_bind(cursor.key).push(", ").push_bind(line).push(")");
    }
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

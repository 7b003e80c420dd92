//! How positions, moments and sums cross the border to SQL, and how a transaction begins. Knows no table.

use std::error::Error;
use std::fmt::Display;
use std::str::FromStr;

use domain::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::types::chrono::{DateTime, Utc};
use sqlx::{PgPool, Postgres, Row, Transaction};

/// Begins a transaction with `statement`, safely even if the caller is cancelled meanwhile: sqlx 0.8 forgets a
/// transaction whose `BEGIN` is under way when its future is dropped, and hands its connection to the next caller.
/// Here the `BEGIN` always runs to its end, and a transaction that nobody waits for any more is rolled back.
pub async fn begin(pool: &PgPool, statement: &'static str) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    let pool = pool.clone();
    tokio::spawn(async move { pool.begin_with(statement).await }).await.map_err(|_| sqlx::Error::WorkerCrashed)?
}

/// A position as a `bigint`.
pub(crate) fn to_sql(position: u64) -> i64 {
    i64::try_from(position).expect("positions and versions count events, of which there are fewer than 2^63")
}

/// A position from a `bigint` that a table keeps from being negative.
pub(crate) fn from_sql(position: i64) -> Result<u64, sqlx::Error> {
    u64::try_from(position).map_err(|_| damaged(format!("{position} is no position")))
}

/// A sum in minor units as the text of a `numeric`: exact, and not bound to any driver's decimal type.
pub(crate) fn sum_to_sql(sum: i128) -> String {
    sum.to_string()
}

/// A sum from a column that was selected as `::text`.
pub(crate) fn sum_of(row: &PgRow, column: &str) -> Result<i128, sqlx::Error> {
    parsed(row, column)
}

/// A text column that holds a value of ours in its one spelling.
pub(crate) fn parsed<T>(row: &PgRow, column: &str) -> Result<T, sqlx::Error>
where
    T: FromStr,
    T::Err: Display,
{
    let text: &str = row.try_get(column)?;
    text.parse().map_err(|error| damaged(format!("{column} {text:?} {error}")))
}

/// [`parsed`] where there is a value.
pub(crate) fn parsed_if_any<T>(row: &PgRow, column: &str) -> Result<Option<T>, sqlx::Error>
where
    T: FromStr,
    T::Err: Display,
{
    let text: Option<&str> = row.try_get(column)?;
    text.map(|_| parsed(row, column)).transpose()
}

pub(crate) fn json<T: serde::de::DeserializeOwned>(row: &PgRow, column: &str) -> Result<Option<T>, sqlx::Error> {
    let text: Option<&str> = row.try_get(column)?;
    text.map(|text| serde_json::from_str(text).map_err(|error| damaged(format!("{column}: {error}")))).transpose()
}

pub(crate) fn moment(row: &PgRow, column: &str) -> Result<Timestamp, sqlx::Error> {
    Ok(row.try_get::<DateTime<Utc>, _>(column)?.into())
}

pub(crate) fn position(row: &PgRow, column: &str) -> Result<u64, sqlx::Error> {
    from_sql(row.try_get(column)?)
}

/// A row that is not what this crate writes.
pub(crate) fn damaged(reason: String) -> sqlx::Error {
    sqlx::Error::Decode(Box::<dyn Error + Send + Sync>::from(reason))
}

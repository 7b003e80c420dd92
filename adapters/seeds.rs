//! What a new ledger starts with: the tiers and exchange rates that the migrations put into the seed tables. They enter
//! the log once, by the ordinary commands; from then on only the log counts.

use commands::{CommandError, Executor};
use domain::rates::Table;
use domain::tier::{Limits, Terms};
use domain::{Currency, Timestamp};
use rust_decimal::Decimal;
use sqlx::postgres::PgRow;
use sqlx::types::chrono::NaiveDate;
use sqlx::{PgPool, Row};

#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    #[error("the seeds cannot be read: {0}")]
    Unreadable(#[from] sqlx::Error),
    #[error("the seeds cannot be put into the log: {0}")]
    Refused(#[from] CommandError),
}

/// Puts what is not yet in the log there. Harmless to repeat, also on several nodes at once.
pub async fn sow(pool: &PgPool, executor: &Executor, at: Timestamp) -> Result<(), SeedError> {
    commands::tier::seed(executor, &tiers(pool).await?, at).await?;
    commands::rates::seed(executor, rates(pool).await?, at).await?;
    Ok(())
}

async fn tiers(pool: &PgPool) -> Result<Vec<Terms>, sqlx::Error> {
    let rows = sqlx::query("SELECT * FROM tier_seeds ORDER BY monthly_limit").fetch_all(pool).await?;
    rows.iter().map(tier).collect()
}

fn tier(row: &PgRow) -> Result<Terms, sqlx::Error> {
    let calls: i32 = row.try_get("api_calls_per_minute")?;
    Ok(Terms {
        tier: parsed(row, "tier")?,
        limits: Limits {
            per_payment: row.try_get("payment_limit")?,
            daily: row.try_get("daily_limit")?,
            monthly: row.try_get("monthly_limit")?,
        },
        markup_rate: row.try_get::<Decimal, _>("markup_rate")?.normalize(),
        settlement_cycle: parsed(row, "settlement_cycle")?,
        several_currencies: row.try_get("several_currencies")?,
        pre_auth: row.try_get("pre_auth")?,
        api_calls_per_minute: u32::try_from(calls).map_err(|error| sqlx::Error::Decode(error.into()))?,
        effective_from: Timestamp::default(),
    })
}

async fn rates(pool: &PgPool) -> Result<(NaiveDate, Table), sqlx::Error> {
    let rows = sqlx::query("SELECT rate_date, currency, usd FROM rate_seeds").fetch_all(pool).await?;
    let date = rows.first().map(|row| row.try_get("rate_date")).transpose()?.unwrap_or_default();
    let rate = |row: &PgRow| Ok((parsed::<Currency>(row, "currency")?, row.try_get::<Decimal, _>("usd")?.normalize()));
    Ok((date, rows.iter().map(rate).collect::<Result<Table, sqlx::Error>>()?))
}

fn parsed<T: std::str::FromStr>(row: &PgRow, column: &str) -> Result<T, sqlx::Error> {
    let text: &str = row.try_get(column)?;
    text.parse().map_err(|_| sqlx::Error::Decode(format!("{text} is no {column}").into()))
}

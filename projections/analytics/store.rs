//! The SQL by which what is known of payments is loaded and kept, a statement for a whole batch.

use std::collections::{BTreeSet, HashMap};

use commands::ports::RecordedEvent;
use domain::Country;
use domain::payment::PaymentStatus;
use futures::TryStreamExt;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use super::fold::{Changes, Facts};
use crate::database::{damaged, moment, parsed};
use crate::{ReadError, Snapshot, rollup};

/// The payments that the events are about, by stream id, as far as they are known.
pub(super) async fn load_facts(
    connection: &mut PgConnection,
    events: &[&RecordedEvent],
) -> Result<HashMap<String, Facts>, sqlx::Error> {
    let ids: BTreeSet<&str> = events.iter().map(|event| event.stream.id.as_str()).collect();
    let ids: Vec<&str> = ids.into_iter().collect();
    let rows =
        sqlx::query("SELECT * FROM payment_facts WHERE payment_id = ANY($1)").bind(ids).fetch_all(connection).await?;
    rows.iter().map(|row| Ok((row.try_get("payment_id")?, read_facts(row)?))).collect()
}

fn read_facts(row: &PgRow) -> Result<Facts, sqlx::Error> {
    let outcome: Option<&str> = row.try_get("outcome")?;
    let status = |outcome: &str| {
        let known = PaymentStatus::ALL.into_iter().find(|known| known.as_str() == outcome);
        known.ok_or_else(|| damaged(format!("{outcome} is no status of a payment")))
    };
    let outcome = match outcome {
        Some(outcome) => Some((status(outcome)?, moment(row, "outcome_at")?)),
        None => None,
    };
    Ok(Facts {
        merchant_id: parsed(row, "merchant_id")?,
        channel: parsed(row, "channel")?,
        currency: parsed(row, "currency")?,
        country: country(row)?,
        amount: row.try_get("amount")?,
        created_at: moment(row, "created_at")?,
        outcome,
    })
}

/// An empty text is no country.
fn country(row: &PgRow) -> Result<Option<Country>, sqlx::Error> {
    match row.try_get::<&str, _>("country")? {
        "" => Ok(None),
        _ => parsed(row, "country").map(Some),
    }
}

fn column<R: Copy, T>(rows: &[R], of: impl Fn(R) -> T) -> Vec<T> {
    rows.iter().copied().map(of).collect()
}

pub(super) async fn store_facts(
    connection: &mut PgConnection,
    facts: &HashMap<String, Facts>,
) -> Result<(), sqlx::Error> {
    let mut rows: Vec<(&String, &Facts)> = facts.iter().collect();
    rows.sort_unstable_by_key(|(id, _)| *id);
    sqlx::query(
        "INSERT INTO payment_facts AS known
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[],
                              $7::timestamptz[], $8::text[], $9::timestamptz[])
         ON CONFLICT (payment_id) DO UPDATE SET outcome = excluded.outcome, outcome_at = excluded.outcome_at
          WHERE known.outcome IS DISTINCT FROM excluded.outcome",
    )
    .bind(column(&rows, |(id, _)| id.as_str()))
    .bind(column(&rows, |(_, row)| row.merchant_id.to_string()))
    .bind(column(&rows, |(_, row)| row.channel.as_str()))
    .bind(column(&rows, |(_, row)| row.currency.code()))
    .bind(column(&rows, |(_, row)| row.country.as_ref().map_or("", Country::code)))
    .bind(column(&rows, |(_, row)| row.amount))
    .bind(column(&rows, |(_, row)| row.created_at.to_datetime()))
    .bind(column(&rows, |(_, row)| row.outcome.map(|(outcome, _)| outcome.as_str())))
    .bind(column(&rows, |(_, row)| row.outcome.map(|(_, at)| at.to_datetime())))
    .execute(connection)
    .await?;
    Ok(())
}

/// Every row by what names it, each as a text that is equal exactly if the rows are.
pub(crate) async fn stored(view: &mut Snapshot, mut each: impl FnMut(String, String) + Send) -> Result<(), ReadError> {
    let mut rows = sqlx::query("SELECT * FROM payment_facts").fetch(view.connection());
    while let Some(row) = rows.try_next().await? {
        each(row.try_get("payment_id")?, format!("{:?}", read_facts(&row)?));
    }
    drop(rows);
    rollup::stored(view, super::TABLE, each).await
}

/// What [`stored`] would read of these changes, had they been added to empty tables.
pub(crate) fn written(changes: &Changes) -> impl Iterator<Item = (String, String)> {
    let facts = changes.facts.iter().map(|(id, facts)| (id.clone(), format!("{facts:?}")));
    let rollup: Vec<(String, String)> = changes.rollup().written().collect();
    facts.chain(rollup)
}

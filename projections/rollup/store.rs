//! The SQL by which a batch adds to the rows that it touches: they are read, added to and written again, a statement for
//! all of them each.

use futures::TryStreamExt;
use sqlx::types::chrono::NaiveDate;
use sqlx::{PgConnection, Row};

use super::days::{PackedDay, Rollup};
use super::sheet::{Key, Value};
use crate::database::damaged;
use crate::{ReadError, Snapshot};

pub(crate) async fn add<K: Key, V: Value>(
    connection: &mut PgConnection,
    table: &str,
    mut added: Rollup<K, V>,
) -> Result<(), sqlx::Error> {
    if added.0.is_empty() {
        return Ok(());
    }
    absorb_stored(&mut *connection, table, &mut added).await?;
    let (mut days, mut owners, mut totals, mut hours, mut quarters) = (vec![], vec![], vec![], vec![], vec![]);
    let mut emptied: (Vec<NaiveDate>, Vec<String>) = (vec![], vec![]);
    for ((day, owner), figures) in added.0 {
        let packed = figures.pack();
        if packed.is_empty() {
            emptied.0.push(day);
            emptied.1.push(owner);
            continue;
        }
        days.push(day);
        owners.push(owner);
        totals.push(packed.totals);
        hours.push(packed.hours);
        quarters.push(packed.quarters);
    }
    let statement = format!(
        "INSERT INTO {table} (day, owner, totals, hours, quarters)
         SELECT * FROM unnest($1::date[], $2::text[], $3::bytea[], $4::bytea[], $5::bytea[])
         ON CONFLICT (day, owner) DO UPDATE
            SET totals = excluded.totals, hours = excluded.hours, quarters = excluded.quarters"
    );
    let query = sqlx::query(&statement).bind(days).bind(owners).bind(totals).bind(hours).bind(quarters);
    query.execute(&mut *connection).await?;
    delete(connection, table, emptied).await
}

/// The row of whoever has no figures of a day any more, so that equal figures are equal rows.
async fn delete(
    connection: &mut PgConnection,
    table: &str,
    (days, owners): (Vec<NaiveDate>, Vec<String>),
) -> Result<(), sqlx::Error> {
    if days.is_empty() {
        return Ok(());
    }
    let statement = format!(
        "DELETE FROM {table} USING unnest($1::date[], $2::text[]) AS emptied (day, owner)
          WHERE {table}.day = emptied.day AND {table}.owner = emptied.owner"
    );
    sqlx::query(&statement).bind(days).bind(owners).execute(connection).await?;
    Ok(())
}

async fn absorb_stored<K: Key, V: Value>(
    connection: &mut PgConnection,
    table: &str,
    added: &mut Rollup<K, V>,
) -> Result<(), sqlx::Error> {
    let (days, owners): (Vec<NaiveDate>, Vec<&str>) = added.0.keys().map(|(day, owner)| (*day, owner.as_str())).unzip();
    let statement = format!(
        "SELECT day, owner, totals, hours, quarters FROM unnest($1::date[], $2::text[]) AS touched (day, owner)
           JOIN {table} USING (day, owner)"
    );
    let rows = sqlx::query(&statement).bind(days).bind(owners).fetch_all(connection).await?;
    for row in &rows {
        let key: (NaiveDate, String) = (row.try_get("day")?, row.try_get("owner")?);
        let figures = added.0.get_mut(&key).ok_or_else(|| damaged(format!("{key:?} was not asked for")))?;
        let absorbed = figures.totals.absorb(row.try_get("totals")?).and_then(|()| {
            figures.hours.absorb(row.try_get("hours").ok()?)?;
            figures.quarters.absorb(row.try_get("quarters").ok()?)
        });
        absorbed.ok_or_else(|| damaged(format!("{table}: the figures of {key:?} cannot be read")))?;
    }
    Ok(())
}

/// Every row by what names it, as a text that is equal exactly if the rows are.
pub(crate) async fn stored(
    view: &mut Snapshot,
    table: &str,
    mut each: impl FnMut(String, String) + Send,
) -> Result<(), ReadError> {
    let statement = format!("SELECT * FROM {table}");
    let mut rows = sqlx::query(&statement).fetch(view.connection());
    while let Some(row) = rows.try_next().await? {
        let (day, owner): (NaiveDate, &str) = (row.try_get("day")?, row.try_get("owner")?);
        let packed = PackedDay {
            totals: row.try_get("totals")?,
            hours: row.try_get("hours")?,
            quarters: row.try_get("quarters")?,
        };
        each(format!("{owner} on {day}"), packed.digest());
    }
    Ok(())
}

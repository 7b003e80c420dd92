//! The SQL by which what is known of payments is loaded, and changes are added, a statement for each table and batch.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Display;

use commands::ports::RecordedEvent;
use domain::Country;
use domain::payment::PaymentStatus;
use futures::TryStreamExt;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use super::fold::{Cell, Changes, Facts, Tally};
use super::measures::Measures;
use crate::database::{damaged, moment, parsed, sum_to_sql};
use crate::{ReadError, Snapshot};

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
pub(super) fn country(row: &PgRow) -> Result<Option<Country>, sqlx::Error> {
    match row.try_get::<&str, _>("country")? {
        "" => Ok(None),
        _ => parsed(row, "country").map(Some),
    }
}

pub(super) fn or_empty<T: Display>(value: Option<&T>) -> String {
    value.map(T::to_string).unwrap_or_default()
}

fn column<R, T>(rows: &[R], of: impl Fn(&R) -> T) -> Vec<T> {
    rows.iter().map(of).collect()
}

pub(super) async fn store(connection: &mut PgConnection, changes: &Changes) -> Result<(), sqlx::Error> {
    store_facts(connection, &changes.facts).await?;
    store_rollup(connection, changes).await?;
    store_tallies(connection, changes).await
}

async fn store_facts(connection: &mut PgConnection, facts: &HashMap<String, Facts>) -> Result<(), sqlx::Error> {
    let rows: Vec<(&String, &Facts)> = facts.iter().collect();
    sqlx::query(
        "INSERT INTO payment_facts AS known
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[],
                              $7::timestamptz[], $8::text[], $9::timestamptz[])
         ON CONFLICT (payment_id) DO UPDATE SET outcome = excluded.outcome, outcome_at = excluded.outcome_at
          WHERE known.outcome IS DISTINCT FROM excluded.outcome",
    )
    .bind(column(&rows, |(id, _)| (*id).clone()))
    .bind(column(&rows, |(_, row)| row.merchant_id.to_string()))
    .bind(column(&rows, |(_, row)| row.channel.to_string()))
    .bind(column(&rows, |(_, row)| row.currency.to_string()))
    .bind(column(&rows, |(_, row)| or_empty(row.country.as_ref())))
    .bind(column(&rows, |(_, row)| row.amount))
    .bind(column(&rows, |(_, row)| row.created_at.to_datetime()))
    .bind(column(&rows, |(_, row)| row.outcome.map(|(outcome, _)| outcome.as_str())))
    .bind(column(&rows, |(_, row)| row.outcome.map(|(_, at)| at.to_datetime())))
    .execute(connection)
    .await?;
    Ok(())
}

/// The key's columns as SQL and how they are bound, the same for both tables.
const CELL: &str = "grain, merchant_id, start, channel, currency, country";
const CELL_ARRAYS: &str = "$1::smallint[], $2::text[], $3::timestamptz[], $4::text[], $5::text[], $6::text[]";

type Query<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

fn bind_cells<'q>(query: Query<'q>, cells: &[&Cell]) -> Query<'q> {
    query
        .bind(column(cells, |cell| cell.grain.minutes()))
        .bind(column(cells, |cell| or_empty(cell.group.merchant_id.as_ref())))
        .bind(column(cells, |cell| cell.start.to_datetime()))
        .bind(column(cells, |cell| cell.group.channel.to_string()))
        .bind(column(cells, |cell| cell.group.currency.to_string()))
        .bind(column(cells, |cell| or_empty(cell.group.country.as_ref())))
}

async fn store_rollup(connection: &mut PgConnection, changes: &Changes) -> Result<(), sqlx::Error> {
    let (cells, measures): (Vec<&Cell>, Vec<&Measures>) = changes.rollup.iter().unzip();
    let (counts, amounts) = (Measures::COUNTS, Measures::AMOUNTS);
    let all: Vec<&str> = [counts, amounts].concat();
    let read = [column(counts, |name| (*name).to_owned()), column(amounts, |name| format!("{name}::numeric"))].concat();
    let types = [vec!["bigint[]"; counts.len()], vec!["text[]"; amounts.len()]].concat();
    let arrays: Vec<String> = (7..).zip(types).map(|(number, kind)| format!("${number}::{kind}")).collect();
    let sums: Vec<String> = column(&all, |name| format!("{name} = rolled.{name} + excluded.{name}"));
    let statement = format!(
        "INSERT INTO rollup AS rolled ({CELL}, {all})
         SELECT {CELL}, {read} FROM unnest({CELL_ARRAYS}, {arrays}) AS t ({CELL}, {all})
         ON CONFLICT ({CELL}) DO UPDATE SET {sums}",
        all = all.join(", "),
        read = read.join(", "),
        arrays = arrays.join(", "),
        sums = sums.join(", "),
    );
    let mut query = bind_cells(sqlx::query(&statement), &cells);
    let (counted, summed): (Vec<_>, Vec<_>) = measures.iter().map(|row| (row.counts(), row.amounts())).unzip();
    for index in 0..counts.len() {
        query = query.bind(column(&counted, |row: &Vec<i64>| row[index]));
    }
    for index in 0..amounts.len() {
        query = query.bind(column(&summed, |row: &Vec<i128>| sum_to_sql(row[index])));
    }
    query.execute(connection).await?;
    Ok(())
}

impl Tally {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Tally::Latency(_) => "latency",
            Tally::Failure(_) => "failure",
        }
    }

    fn label(&self) -> String {
        match self {
            Tally::Latency(class) => class.to_string(),
            Tally::Failure(code) => code.clone(),
        }
    }
}

async fn store_tallies(connection: &mut PgConnection, changes: &Changes) -> Result<(), sqlx::Error> {
    let cells: Vec<&Cell> = changes.tallies.keys().map(|(cell, _)| cell).collect();
    let tallies: Vec<(&Tally, i64)> = changes.tallies.iter().map(|((_, tally), count)| (tally, *count)).collect();
    let statement = format!(
        "INSERT INTO tallies AS told ({CELL}, kind, label, count)
         SELECT * FROM unnest({CELL_ARRAYS}, $7::text[], $8::text[], $9::bigint[])
         ON CONFLICT (kind, {CELL}, label) DO UPDATE SET count = told.count + excluded.count"
    );
    bind_cells(sqlx::query(&statement), &cells)
        .bind(column(&tallies, |(tally, _)| tally.kind()))
        .bind(column(&tallies, |(tally, _)| tally.label()))
        .bind(column(&tallies, |(_, count)| *count))
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
    let amounts: Vec<String> = Measures::AMOUNTS.iter().map(|name| format!("{name}::text")).collect();
    let statement = format!("SELECT {CELL}, {}, {} FROM rollup", Measures::COUNTS.join(", "), amounts.join(", "));
    let mut rows = sqlx::query(&statement).fetch(view.connection());
    while let Some(row) = rows.try_next().await? {
        each(named(&row)?, format!("{:?}", Measures::read(&row)?));
    }
    drop(rows);
    let mut rows = sqlx::query("SELECT * FROM tallies").fetch(view.connection());
    while let Some(row) = rows.try_next().await? {
        let (kind, label): (&str, &str) = (row.try_get("kind")?, row.try_get("label")?);
        each(format!("{} {kind} {label}", named(&row)?), row.try_get::<i64, _>("count")?.to_string());
    }
    Ok(())
}

fn named(row: &PgRow) -> Result<String, sqlx::Error> {
    let text = |name: &str| row.try_get::<&str, _>(name);
    let (grain, start): (i16, _) = (row.try_get("grain")?, moment(row, "start")?);
    Ok(name(grain, &start, [text("merchant_id")?, text("channel")?, text("currency")?, text("country")?]))
}

fn name(grain: i16, start: &domain::Timestamp, group: [&str; 4]) -> String {
    format!("{grain} min from {start} of {}", group.join("/"))
}

/// What [`stored`] would read of these changes, had they been added to empty tables.
pub(crate) fn written(changes: &Changes) -> impl Iterator<Item = (String, String)> {
    let cell = |cell: &Cell| {
        let group = &cell.group;
        let (merchant, country) = (or_empty(group.merchant_id.as_ref()), or_empty(group.country.as_ref()));
        name(cell.grain.minutes(), &cell.start, [&merchant, group.channel.as_str(), group.currency.code(), &country])
    };
    let facts = changes.facts.iter().map(|(id, facts)| (id.clone(), format!("{facts:?}")));
    let rollup = changes.rollup.iter().map(move |(key, measures)| (cell(key), format!("{measures:?}")));
    let tallies = changes.tallies.iter().map(move |((key, tally), count)| {
        (format!("{} {} {}", cell(key), tally.kind(), tally.label()), count.to_string())
    });
    facts.chain(rollup).chain(tallies)
}

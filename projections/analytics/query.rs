//! Answers from the rolled-up rows.

use std::collections::BTreeMap;

use domain::{ChannelName, Country, Currency, MerchantId, Timestamp};
use sqlx::postgres::PgRow;
use sqlx::{QueryBuilder, Row};

use super::grain::Grain;
use super::latency::Latencies;
use super::measures::Measures;
use super::store::country;
use crate::database::{damaged, parsed};
use crate::{ReadError, Snapshot};

/// What is asked: of whose payments, cut into which buckets, told apart by what. Currencies are always told apart.
#[derive(Debug, Clone)]
pub struct Question {
    pub merchant_id: Option<MerchantId>,
    pub channel: Option<ChannelName>,
    pub currency: Option<Currency>,
    pub country: Option<Country>,
    /// The edges of the buckets, ascending, one more than there are buckets, on quarters of an hour of UTC.
    pub bounds: Vec<Timestamp>,
    pub groups: Groups,
    /// Rows at most.
    pub rows_max: u32,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Groups {
    pub merchant: bool,
    pub channel: bool,
    pub country: bool,
}

/// One bucket of one group. What was not told apart is none.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    /// Which bucket, from 0.
    pub bucket: usize,
    pub currency: Currency,
    pub merchant_id: Option<MerchantId>,
    pub channel: Option<ChannelName>,
    pub country: Option<Country>,
    pub measures: Measures,
    /// Until a payment had succeeded or failed.
    pub latencies: Latencies,
}

/// The answer would have more rows than were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowsExceeded;

type Key = (usize, Currency, Option<MerchantId>, Option<ChannelName>, Option<Country>);

/// Buckets without any event, and groups without any in a bucket, have no row.
pub async fn figures(
    view: &mut Snapshot,
    question: &Question,
) -> Result<Result<Vec<Figures>, RowsExceeded>, ReadError> {
    let sums: Vec<String> = Measures::COUNTS.iter().map(|name| format!("sum({name})::bigint AS {name}")).collect();
    let amounts: Vec<String> = Measures::AMOUNTS.iter().map(|name| format!("sum({name})::text AS {name}")).collect();
    let mut query = question.select(&format!("{}, {}", sums.join(", "), amounts.join(", ")), "rollup");
    question.push_groups(&mut query, "");
    query.push(" LIMIT ").push_bind(i64::from(question.rows_max) + 1);
    let rows = query.build().fetch_all(view.connection()).await?;
    if rows.len() > usize::try_from(question.rows_max).unwrap_or(usize::MAX) {
        return Ok(Err(RowsExceeded));
    }
    let mut latencies = latencies(view, question).await?;
    let figures = |row: &PgRow| {
        let key = read_key(row)?;
        let latencies = latencies.remove(&key).unwrap_or_default();
        let (bucket, currency, merchant_id, channel, country) = key;
        let measures = Measures::read(row)?;
        Ok(Figures { bucket, currency, merchant_id, channel, country, measures, latencies })
    };
    Ok(Ok(rows.iter().map(figures).collect::<Result<_, sqlx::Error>>()?))
}

async fn latencies(view: &mut Snapshot, question: &Question) -> Result<BTreeMap<Key, Latencies>, ReadError> {
    let mut query = question.select("label, sum(count)::bigint AS count", "tallies");
    query.push(" AND kind = 'latency'");
    question.push_groups(&mut query, ", label");
    let rows = query.build().fetch_all(view.connection()).await?;
    let mut latencies: BTreeMap<Key, Latencies> = BTreeMap::new();
    for row in &rows {
        latencies.entry(read_key(row)?).or_default().add(parsed(row, "label")?, row.try_get("count")?);
    }
    Ok(latencies)
}

/// The codes of failures over all buckets, the most frequent first.
pub async fn failures(view: &mut Snapshot, question: &Question, most: u32) -> Result<Vec<(String, i64)>, ReadError> {
    let mut query = QueryBuilder::new("SELECT label, sum(count)::bigint AS count FROM tallies");
    question.push_where(&mut query);
    query.push(" AND kind = 'failure' GROUP BY label ORDER BY 2 DESC, 1 LIMIT ").push_bind(i64::from(most));
    let rows = query.build().fetch_all(view.connection()).await?;
    let read = |row: &PgRow| Ok((row.try_get("label")?, row.try_get("count")?));
    Ok(rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?)
}

impl Question {
    fn select(&self, sums: &str, table: &str) -> QueryBuilder<'static, sqlx::Postgres> {
        let edges: Vec<_> = self.bounds.iter().map(|bound| bound.to_datetime()).collect();
        let mut query = QueryBuilder::new("SELECT width_bucket(start, ");
        query.push_bind(edges);
        let told = |wanted: bool, column: &str| if wanted { column.to_owned() } else { format!("'' AS {column}") };
        query.push(format!(
            ") AS bucket, currency, {}, {}, {}, {sums} FROM {table}",
            told(self.groups.merchant, "merchant_id"),
            told(self.groups.channel, "channel"),
            told(self.groups.country, "country"),
        ));
        self.push_where(&mut query);
        query
    }

    fn push_where(&self, query: &mut QueryBuilder<'static, sqlx::Postgres>) {
        let grain = Grain::of(&self.bounds).unwrap_or(Grain::Quarter);
        query.push(" WHERE grain = ").push_bind(grain.minutes());
        match (self.merchant_id, self.groups.merchant) {
            (Some(merchant_id), _) => {
                query.push(" AND merchant_id = ").push_bind(merchant_id.to_string());
            }
            (None, true) => {
                query.push(" AND merchant_id <> ''");
            }
            (None, false) => {
                query.push(" AND merchant_id = ''");
            }
        }
        if let (Some(from), Some(to)) = (self.bounds.first(), self.bounds.last()) {
            query.push(" AND start >= ").push_bind(from.to_datetime());
            query.push(" AND start < ").push_bind(to.to_datetime());
        }
        if let Some(channel) = &self.channel {
            query.push(" AND channel = ").push_bind(channel.to_string());
        }
        if let Some(currency) = self.currency {
            query.push(" AND currency = ").push_bind(currency.to_string());
        }
        if let Some(country) = self.country {
            query.push(" AND country = ").push_bind(country.to_string());
        }
    }

    fn push_groups(&self, query: &mut QueryBuilder<'static, sqlx::Postgres>, more: &str) {
        query.push(format!(" GROUP BY 1, 2, 3, 4, 5{more} ORDER BY 1, 2, 3, 4, 5"));
    }
}

fn read_key(row: &PgRow) -> Result<Key, sqlx::Error> {
    let number: i32 = row.try_get("bucket")?;
    let bucket = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
    let told = |column: &str| Ok::<_, sqlx::Error>(!row.try_get::<&str, _>(column)?.is_empty());
    Ok((
        bucket.ok_or_else(|| damaged(format!("{number} is no bucket")))?,
        parsed(row, "currency")?,
        if told("merchant_id")? { Some(parsed(row, "merchant_id")?) } else { None },
        if told("channel")? { Some(parsed(row, "channel")?) } else { None },
        country(row)?,
    ))
}

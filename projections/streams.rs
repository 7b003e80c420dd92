//! Read models with one row for each stream: the state, folded by the aggregate's own `evolve` so that a row never says
//! anything else than its stream, beside the columns that lists filter by. A noun's own file says which columns.

use std::collections::{HashMap, HashSet};
use std::fmt::Display;

use commands::ports::RecordedEvent;
use domain::{ChannelName, Currency, Decider, MerchantId, OrderNo, Timestamp};
use futures::TryStreamExt;
use serde::Serialize;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, QueryBuilder, Row};

use crate::database::{damaged, json, moment, position, to_sql};
use crate::filter::push_page;
use crate::{ApplyError, Cursor, Filter, Page, Projection, ReadError, Snapshot, StatusText};

/// A read model of this kind; [`stream_read_model`] writes all of it but `columns`.
pub trait StreamReadModel: Projection {
    type Aggregate: Decider;

    const TABLE: &'static str;
}

/// What lists filter by. An aggregate implements this once for its state.
pub trait Listed {
    /// None of a state that no event has come to yet.
    fn columns(&self) -> Option<Columns>;
}

/// That all columns but the status are terms, which no event changes: what lists of the past rely on.
pub trait FixedTerms: Listed {}

/// What is not there has no column, and no filter by it finds the row. Amounts in minor units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    pub id: String,
    pub merchant_id: Option<MerchantId>,
    pub order_no: Option<OrderNo>,
    pub status: &'static str,
    pub currency: Option<Currency>,
    pub amount: Option<i64>,
    pub channel: Option<ChannelName>,
    pub created_at: Timestamp,
}

/// A stream as of the view's position.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StreamRow<S> {
    pub version: u64,
    pub updated_at: Timestamp,
    pub state: S,
}

/// A stream and when its first event was recorded, by which lists of the past find it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Begun<S> {
    pub(crate) recorded_at: Timestamp,
    pub(crate) row: StreamRow<S>,
}

/// Defines the read model `$name` of the aggregate `$aggregate` with the table `$table`; a query of its own may
/// need one more index, by an expression on the state.
macro_rules! stream_read_model {
    ($(#[$doc:meta])* $name:ident of $aggregate:ty, $table:literal version $version:literal
     $(, also indexed $index:literal by $expression:literal)?) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name;

        impl $crate::streams::StreamReadModel for $name {
            type Aggregate = $aggregate;
            const TABLE: &'static str = $table;
        }

        #[async_trait::async_trait]
        impl $crate::Projection for $name {
            fn name(&self) -> &'static str {
                $table
            }

            fn version(&self) -> i32 {
                $version
            }

            fn categories(&self) -> &'static [&'static str] {
                &[<$aggregate as domain::Decider>::CATEGORY]
            }

            fn tables(&self) -> &'static [&'static str] {
                &[$table]
            }

            fn ddl(&self) -> &'static str {
                concat!(
                    "CREATE TABLE ", $table, " (
                        id          text COLLATE \"C\" NOT NULL PRIMARY KEY,
                        merchant_id text COLLATE \"C\",
                        order_no    text COLLATE \"C\",
                        status      text COLLATE \"C\" NOT NULL,
                        currency    text COLLATE \"C\",
                        amount      bigint,
                        channel     text COLLATE \"C\",
                        created_at  timestamptz NOT NULL,
                        -- When its first event was recorded, and its newest.
                        recorded_at timestamptz NOT NULL,
                        updated_at  timestamptz NOT NULL,
                        version     bigint      NOT NULL,
                        -- The folded stream, its personal data still sealed.
                        state       json        NOT NULL
                    );
                    -- Nearly empty: what a clock that was set back dates later than the log does.
                    CREATE INDEX dated_ahead ON ", $table, " (created_at) WHERE created_at > recorded_at;
                    CREATE INDEX newest_of_merchant ON ", $table, " (merchant_id, created_at, id);
                    CREATE INDEX newest_of_merchant_by_status
                        ON ", $table, " (merchant_id, status, created_at, id);
                    CREATE INDEX newest ON ", $table, " (created_at, id);
                    CREATE INDEX newest_by_status ON ", $table, " (status, created_at, id);
                    CREATE INDEX newest_by_channel ON ", $table, " (channel, created_at, id)
                        WHERE channel IS NOT NULL;
                    CREATE INDEX of_order ON ", $table, " (order_no, merchant_id)
                        WHERE order_no IS NOT NULL;
                    CREATE INDEX by_amount ON ", $table, " (currency, amount);"
                    $(, "CREATE INDEX ", $index, " ON ", $table, " (", $expression, ");")?
                )
            }

            async fn apply(
                &self,
                connection: &mut sqlx::PgConnection,
                events: &[&commands::ports::RecordedEvent],
            ) -> Result<(), $crate::ApplyError> {
                $crate::streams::apply::<$name>(connection, events).await
            }
        }
    };
}
pub(crate) use stream_read_model;

pub type State<M> = <<M as StreamReadModel>::Aggregate as Decider>::State;

pub(crate) async fn apply<M>(connection: &mut PgConnection, events: &[&RecordedEvent]) -> Result<(), ApplyError>
where
    M: StreamReadModel,
    State<M>: Listed,
{
    let mut touched = load_touched::<M>(connection, events).await?;
    for event in events {
        fold::<M>(touched.entry(event.stream.id.clone()).or_default(), event)?;
    }
    let mut rows = written(touched.values())?;
    // Neighbours in the table and its indexes are written one after the other.
    rows.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    store::<M>(connection, &rows).await?;
    Ok(())
}

/// One event further.
pub(crate) fn fold<M>(begun: &mut Begun<State<M>>, event: &RecordedEvent) -> Result<(), ApplyError>
where
    M: StreamReadModel,
    State<M>: Listed,
{
    let row = &mut begun.row;
    if event.version != row.version + 1 {
        return Err(ApplyError::inapplicable(event, format!("version {} follows {}", event.version, row.version)));
    }
    let decoded: &<M::Aggregate as Decider>::Event = event.decoded()?;
    let state = M::Aggregate::evolve(std::mem::take(&mut row.state), decoded);
    if event.version == 1 {
        begun.recorded_at = event.recorded_at;
    }
    *row = StreamRow { version: event.version, updated_at: event.recorded_at, state };
    // Whatever has begun has columns for good.
    if event.version == 1 && row.state.columns().is_none() {
        return Err(ApplyError::inapplicable(event, "the stream begins with another event than its first"));
    }
    Ok(())
}

/// A row as it is written, and as it is compared with the log.
#[derive(Debug, Hash)]
pub(crate) struct Written {
    pub(crate) id: String,
    merchant_id: Option<String>,
    order_no: Option<String>,
    status: String,
    currency: Option<String>,
    amount: Option<i64>,
    channel: Option<String>,
    created_at: Timestamp,
    recorded_at: Timestamp,
    updated_at: Timestamp,
    version: u64,
    state: String,
}

impl Written {
    fn of<S: Serialize>(begun: &Begun<S>, columns: Columns) -> Result<Written, sqlx::Error> {
        let row = &begun.row;
        Ok(Written {
            id: columns.id,
            merchant_id: columns.merchant_id.map(|merchant| merchant.to_string()),
            order_no: columns.order_no.map(|number| number.to_string()),
            status: columns.status.to_owned(),
            currency: columns.currency.map(|currency| currency.to_string()),
            amount: columns.amount,
            channel: columns.channel.map(|channel| channel.to_string()),
            created_at: columns.created_at,
            recorded_at: begun.recorded_at,
            updated_at: row.updated_at,
            version: row.version,
            state: serde_json::to_string(&row.state).map_err(|error| damaged(error.to_string()))?,
        })
    }
}

/// The rows that folded streams come to.
pub(crate) fn written<'a, S: Listed + Serialize + 'a>(
    rows: impl Iterator<Item = &'a Begun<S>>,
) -> Result<Vec<Written>, sqlx::Error> {
    let listed = rows.filter_map(|begun| Some((begun, begun.row.state.columns()?)));
    listed.map(|(begun, columns)| Written::of(begun, columns)).collect()
}

async fn load_touched<M: StreamReadModel>(
    connection: &mut PgConnection,
    events: &[&RecordedEvent],
) -> Result<HashMap<String, Begun<State<M>>>, ApplyError> {
    let begun: HashSet<&str> = events.iter().map(|event| event.stream.id.as_str()).collect();
    let ids: Vec<&str> = begun.into_iter().collect();
    let statement =
        format!("SELECT id, version, recorded_at, updated_at, state::text FROM {} WHERE id = ANY($1)", M::TABLE);
    let rows = sqlx::query(&statement).bind(ids).fetch_all(connection).await?;
    let row = |row: &PgRow| {
        let begun = Begun { recorded_at: moment(row, "recorded_at")?, row: read(row)? };
        Ok((row.try_get("id")?, begun))
    };
    Ok(rows.iter().map(row).collect::<Result<_, sqlx::Error>>()?)
}

async fn store<M: StreamReadModel>(connection: &mut PgConnection, rows: &[Written]) -> Result<(), sqlx::Error> {
    fn column<'r, T>(rows: &'r [Written], of: impl Fn(&'r Written) -> T) -> Vec<T> {
        rows.iter().map(of).collect()
    }
    let statement = format!(
        "INSERT INTO {}
         SELECT id, merchant, order_no, status, currency, amount, channel, created, recorded, updated, version,
                state::json
           FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[],
                       $8::timestamptz[], $9::timestamptz[], $10::timestamptz[], $11::bigint[], $12::text[])
             AS t (id, merchant, order_no, status, currency, amount, channel, created, recorded, updated, version, state)
         ON CONFLICT (id) DO UPDATE
            SET order_no = excluded.order_no, status = excluded.status, currency = excluded.currency,
                amount = excluded.amount, channel = excluded.channel, updated_at = excluded.updated_at,
                version = excluded.version, state = excluded.state",
        M::TABLE
    );
    sqlx::query(&statement)
        .bind(column(rows, |row| row.id.as_str()))
        .bind(column(rows, |row| row.merchant_id.as_deref()))
        .bind(column(rows, |row| row.order_no.as_deref()))
        .bind(column(rows, |row| row.status.as_str()))
        .bind(column(rows, |row| row.currency.as_deref()))
        .bind(column(rows, |row| row.amount))
        .bind(column(rows, |row| row.channel.as_deref()))
        .bind(column(rows, |row| row.created_at.to_datetime()))
        .bind(column(rows, |row| row.recorded_at.to_datetime()))
        .bind(column(rows, |row| row.updated_at.to_datetime()))
        .bind(column(rows, |row| to_sql(row.version)))
        .bind(column(rows, |row| row.state.as_str()))
        .execute(connection)
        .await?;
    Ok(())
}

pub(crate) fn select<'q, M: StreamReadModel>() -> QueryBuilder<'q, sqlx::Postgres> {
    QueryBuilder::new(format!("SELECT id, version, updated_at, state::text FROM {} WHERE true", M::TABLE))
}

pub async fn find<M: StreamReadModel>(
    view: &mut Snapshot,
    id: impl Display,
) -> Result<Option<StreamRow<State<M>>>, ReadError> {
    Ok(find_many::<M>(view, &[id.to_string()]).await?.pop())
}

/// Those of the streams that exist, in no particular order.
pub async fn find_many<M: StreamReadModel>(
    view: &mut Snapshot,
    ids: &[String],
) -> Result<Vec<StreamRow<State<M>>>, ReadError> {
    let mut query = select::<M>();
    query.push(" AND id = ANY(").push_bind(ids).push(")");
    let rows = query.build().fetch_all(view.connection()).await?;
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

/// A page of rows, newest first.
pub async fn list<M, T>(
    view: &mut Snapshot,
    filter: &Filter<T>,
    limit: u32,
    cursor: Option<&Cursor>,
) -> Result<Page<StreamRow<State<M>>>, ReadError>
where
    M: StreamReadModel,
    State<M>: Listed,
    T: StatusText,
{
    let mut query = select::<M>();
    filter.push(&mut query);
    page::<M>(view, query, limit, cursor).await
}

/// A page of what `query` selects, newest first.
pub(crate) async fn page<M>(
    view: &mut Snapshot,
    mut query: QueryBuilder<'_, sqlx::Postgres>,
    limit: u32,
    cursor: Option<&Cursor>,
) -> Result<Page<StreamRow<State<M>>>, ReadError>
where
    M: StreamReadModel,
    State<M>: Listed,
{
    push_page(&mut query, "id", limit, cursor);
    let rows = query.build().fetch_all(view.connection()).await?;
    let rows = rows.iter().map(read).collect::<Result<Vec<StreamRow<State<M>>>, sqlx::Error>>()?;
    Ok(Page::cut(rows, limit, |row| {
        let columns = row.state.columns().expect("only rows that have columns are written");
        Cursor { key: columns.created_at.as_micros(), id: columns.id }
    }))
}

pub(crate) async fn read_all<S: serde::de::DeserializeOwned>(
    view: &mut Snapshot,
    mut query: QueryBuilder<'_, sqlx::Postgres>,
) -> Result<Vec<StreamRow<S>>, ReadError> {
    let rows = query.build().fetch_all(view.connection()).await?;
    Ok(rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?)
}

pub(crate) fn read<S: serde::de::DeserializeOwned>(row: &PgRow) -> Result<StreamRow<S>, sqlx::Error> {
    let state = json(row, "state")?.ok_or_else(|| damaged("a row without its state".to_owned()))?;
    Ok(StreamRow { version: position(row, "version")?, updated_at: moment(row, "updated_at")?, state })
}

/// Every row, in no particular order and one at a time.
pub(crate) async fn stored<M: StreamReadModel>(
    view: &mut Snapshot,
    mut each: impl FnMut(Written) + Send,
) -> Result<(), ReadError> {
    let statement = format!("SELECT *, state::text AS text FROM {}", M::TABLE);
    let mut rows = sqlx::query(&statement).fetch(view.connection());
    while let Some(row) = rows.try_next().await? {
        let state: State<M> = json(&row, "text")?.unwrap_or_default();
        each(Written {
            id: row.try_get("id")?,
            merchant_id: row.try_get("merchant_id")?,
            order_no: row.try_get("order_no")?,
            status: row.try_get("status")?,
            currency: row.try_get("currency")?,
            amount: row.try_get("amount")?,
            channel: row.try_get("channel")?,
            created_at: moment(&row, "created_at")?,
            recorded_at: moment(&row, "recorded_at")?,
            updated_at: moment(&row, "updated_at")?,
            version: position(&row, "version")?,
            state: serde_json::to_string(&state).map_err(|error| damaged(error.to_string()))?,
        });
    }
    Ok(())
}

//! Orders as of a past position. Beside the rule of [`crate::past`]: an order that had payments before it was made is listed
//! as what they came to until then, in the place it had then, and its sums and channel follow its payments as its status does.

use std::collections::HashMap;

use commands::as_of::{events_up_to, moment_of};
use commands::ports::event::Unreadable;
use commands::ports::{Category, EventStore, RecordedEvent};
use domain::order::{self, Order};
use domain::payment::{Event, Payment};
use domain::{MerchantId, OrderNo, PaymentId, Timestamp};
use sqlx::postgres::PgRow;
use sqlx::{Postgres, QueryBuilder, Row};

use super::derive::{Attempt, of_attempts};
use super::made::of_history;
use super::{OrderFilter, OrderKey, OrderRow, columns, find, read};
use crate::database::{damaged, moment, parsed};
use crate::filter::push_page_by;
use crate::past::{Candidate, EXAMINED_MAX, Found, newest, page, speaks_for};
use crate::streams::Columns;
use crate::{Cursor, Page, ReadError, Snapshot, StatusText};

/// An order that has changed since, with its payments of then.
#[derive(Debug)]
struct Changed {
    key: OrderKey,
    was_made: bool,
    payments: Vec<PaymentId>,
}

/// A page of orders as of the position `as_of`, newest first. `filter` is exact for that position.
pub async fn list_at(
    mut view: Snapshot,
    store: &dyn EventStore,
    filter: &OrderFilter,
    as_of: u64,
    limit: u32,
    cursor: Option<&Cursor>,
) -> Result<Page<OrderRow>, ReadError> {
    speaks_for(&mut view, "orders", as_of).await?;
    let Some(then) = moment_of(store, as_of).await? else { return Ok(Page { rows: vec![], next: None }) };
    let examined = if asks_for_what_changes(filter) { EXAMINED_MAX.max(limit) } else { limit };
    let newest = newest(&mut view, "orders", then).await?;
    let mut query = candidates(filter, then, newest, examined, cursor);
    let rows = query.build().fetch_all(view.connection()).await?;
    let mut candidates = rows.iter().map(candidate).collect::<Result<Vec<_>, sqlx::Error>>()?;
    add_payments(&mut view, &mut candidates, then).await?;
    drop(view);
    page(candidates, examined, limit, |changed| async move {
        let row = order_at(store, changed, as_of).await?;
        Ok(row.filter(|row| filter.admits(&Columns::from(row))))
    })
    .await
}

/// The order as of the position `as_of`; none if it was not there.
pub async fn find_at(
    mut view: Snapshot,
    store: &dyn EventStore,
    (merchant_id, order_no): (MerchantId, &OrderNo),
    as_of: u64,
) -> Result<Option<OrderRow>, ReadError> {
    speaks_for(&mut view, "orders", as_of).await?;
    let Some(then) = moment_of(store, as_of).await? else { return Ok(None) };
    let Some(row) = find(&mut view, merchant_id, order_no).await? else { return Ok(None) };
    let payments = payments_of(&mut view, &[row.key()], then).await?.into_values().flatten().collect();
    drop(view);
    order_at(store, Changed { key: row.key(), was_made: row.made.is_some(), payments }, as_of).await
}

fn asks_for_what_changes(filter: &OrderFilter) -> bool {
    filter.status.is_some()
        || filter.currency.is_some()
        || filter.channel.is_some()
        || filter.amount_min.is_some()
        || filter.amount_max.is_some()
}

/// Those that stand now where they stood then, and those that were made since, where they stood before.
fn candidates<'q>(
    filter: &OrderFilter,
    then: Timestamp,
    newest: Timestamp,
    examined: u32,
    cursor: Option<&Cursor>,
) -> QueryBuilder<'q, Postgres> {
    let mut query =
        QueryBuilder::new(concat!("SELECT place_at, place_id, changed, wanted, ", columns!(), " FROM ((SELECT "));
    query.push("orders.*, created_at AS place_at, first_id AS place_id, updated_at > ").push_bind(then.to_datetime());
    query.push(" AS changed, coalesce(true");
    filter.push_status(&mut query);
    filter.push_terms(&mut query);
    query.push(", false) AS wanted FROM orders WHERE true");
    filter.push_identity(&mut query, "created_at");
    query.push(" AND created_at <= ").push_bind(newest.to_datetime());
    query.push(" AND recorded_at <= ").push_bind(then.to_datetime());
    push_page_by(&mut query, ("created_at", "first_id"), examined, cursor);
    query.push(
        ") UNION ALL (SELECT orders.*, before_created_at, before_first_id, true, false FROM orders
            WHERE before_recorded_at IS NOT NULL",
    );
    filter.push_identity(&mut query, "before_created_at");
    query.push(" AND before_recorded_at <= ").push_bind(then.to_datetime());
    query.push(" AND recorded_at > ").push_bind(then.to_datetime());
    push_page_by(&mut query, ("before_created_at", "before_first_id"), examined, cursor);
    query.push(")) AS orders WHERE true");
    push_page_by(&mut query, ("place_at", "place_id"), examined, None);
    query
}

fn candidate(row: &PgRow) -> Result<Candidate<OrderRow, Changed>, sqlx::Error> {
    let found = match (row.try_get("changed")?, row.try_get("wanted")?) {
        (true, _) => Found::Changed(Changed {
            key: (parsed(row, "merchant_id")?, parsed(row, "order_no")?),
            was_made: row.try_get::<Option<&str>, _>("made")?.is_some(),
            payments: vec![],
        }),
        (false, true) => Found::Unchanged(read(row)?),
        (false, false) => Found::Unwanted,
    };
    let key = moment(row, "place_at")?.as_micros();
    Ok(Candidate { cursor: Cursor { key, id: row.try_get("place_id")? }, found })
}

async fn add_payments(
    view: &mut Snapshot,
    candidates: &mut [Candidate<OrderRow, Changed>],
    then: Timestamp,
) -> Result<(), ReadError> {
    let mut changed: Vec<&mut Changed> = vec![];
    for candidate in candidates {
        if let Found::Changed(order) = &mut candidate.found {
            changed.push(order);
        }
    }
    let keys: Vec<OrderKey> = changed.iter().map(|order| order.key.clone()).collect();
    let mut payments = payments_of(view, &keys, then).await?;
    for order in changed {
        order.payments = payments.remove(&order.key).unwrap_or_default();
    }
    Ok(())
}

/// The payments that had begun under each of these numbers by then.
async fn payments_of(
    view: &mut Snapshot,
    keys: &[OrderKey],
    then: Timestamp,
) -> Result<HashMap<OrderKey, Vec<PaymentId>>, ReadError> {
    let mut payments: HashMap<OrderKey, Vec<PaymentId>> = HashMap::new();
    if keys.is_empty() {
        return Ok(payments);
    }
    let (merchants, order_nos): (Vec<String>, Vec<String>) =
        keys.iter().map(|(merchant, order_no)| (merchant.to_string(), order_no.to_string())).unzip();
    let rows = sqlx::query(
        "SELECT merchant_id, order_no, payment_id
           FROM unnest($1::text[], $2::text[]) AS wanted (merchant_id, order_no)
           JOIN order_payments USING (merchant_id, order_no)
          WHERE recorded_at <= $3",
    )
    .bind(merchants)
    .bind(order_nos)
    .bind(then.to_datetime())
    .fetch_all(view.connection())
    .await?;
    for row in &rows {
        let key = (parsed(row, "merchant_id")?, parsed(row, "order_no")?);
        payments.entry(key).or_default().push(parsed(row, "payment_id")?);
    }
    Ok(payments)
}

/// The order as its own stream stood at the position, or its payments if it was not made by then.
async fn order_at(store: &dyn EventStore, order: Changed, as_of: u64) -> Result<Option<OrderRow>, ReadError> {
    let (merchant_id, order_no) = &order.key;
    if order.was_made {
        let stream = Category::of::<Order>().stream(order::stream_id(*merchant_id, order_no));
        let history = events_up_to(store, &stream, as_of).await?;
        if let Some(row) = of_history(&history).map_err(unreadable)? {
            return Ok(Some(row));
        }
    }
    let mut attempts = vec![];
    for payment_id in order.payments {
        let stream = Category::of::<Payment>().stream(payment_id.to_string());
        attempts.extend(attempt(&events_up_to(store, &stream, as_of).await?).map_err(unreadable)?);
    }
    Ok(of_attempts(attempts).pop().map(|listed| listed.row))
}

/// What a payment contributes, from its events up to one moment; none before its first one.
fn attempt(history: &[RecordedEvent]) -> Result<Option<Attempt>, Unreadable> {
    let mut attempt = None;
    for recorded in history {
        let event: Event = recorded.decode()?;
        if let Event::Created(terms) = &event {
            attempt = Some(Attempt::of(terms, recorded.recorded_at));
        }
        if let Some(attempt) = &mut attempt {
            attempt.fold(&event, recorded.recorded_at);
        }
    }
    Ok(attempt)
}

fn unreadable(error: Unreadable) -> ReadError {
    damaged(error.to_string()).into()
}

impl From<&OrderRow> for Columns {
    fn from(row: &OrderRow) -> Columns {
        Columns {
            id: row.first_id(),
            merchant_id: Some(row.merchant_id),
            order_no: Some(row.order_no.clone()),
            status: row.status.as_str(),
            currency: Some(row.currency),
            amount: Some(row.amount),
            channel: row.channel.clone(),
            created_at: row.created_at,
        }
    }
}

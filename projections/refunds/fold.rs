//! How a batch of events changes the rows of refunds, a handful of statements for all of them.

use std::collections::HashMap;

use commands::ports::RecordedEvent;
use domain::payment::Event;
use domain::{OrderNo, PaymentId, RefundId};
use serde::Serialize;
use sqlx::{PgConnection, QueryBuilder};

use super::{RefundRow, SELECT, read};
use crate::database::{damaged, parsed, to_sql};
use crate::{ApplyError, StatusText};

pub(super) async fn apply(connection: &mut PgConnection, events: &[&RecordedEvent]) -> Result<(), ApplyError> {
    let decoded = decode(events)?;
    note_orders(connection, &decoded).await?;
    let mut touched = load_touched(connection, &decoded).await?;
    let orders = orders_of(connection, &decoded).await?;
    for (recorded, event) in &decoded {
        fold(&mut touched, &orders, recorded, event)?;
    }
    store(connection, &touched).await?;
    Ok(())
}

type Decoded<'a> = Vec<(&'a RecordedEvent, &'a Event)>;

fn decode<'a>(events: &[&'a RecordedEvent]) -> Result<Decoded<'a>, ApplyError> {
    events.iter().map(|event| Ok((*event, event.decoded()?))).collect()
}

/// The refund that an event is about.
fn refund_of(event: &Event) -> Option<RefundId> {
    match event {
        Event::RefundRequested(requested) => Some(requested.refund_id),
        Event::RefundAccepted { refund_id, .. } | Event::RefundOutcomeUnknown { refund_id, .. } => Some(*refund_id),
        Event::RefundSucceeded(succeeded) | Event::RefundSucceededLate(succeeded) => Some(succeeded.refund_id),
        Event::RefundFailed(failed) => Some(failed.refund_id),
        Event::RefundReversed(reversed) => Some(reversed.refund_id),
        Event::Created(_)
        | Event::ActionRequired(_)
        | Event::Accepted { .. }
        | Event::OutcomeUnknown { .. }
        | Event::CancellationRequested { .. }
        | Event::Captured(_)
        | Event::FeeTruedUp(_)
        | Event::Failed(_)
        | Event::Cancelled { .. }
        | Event::Expired { .. }
        | Event::DisputeOpened(_)
        | Event::DisputeAdjusted(_)
        | Event::DisputeClosed(_)
        | Event::DisputeReopened(_)
        | Event::OverReturned(_) => None,
    }
}

async fn note_orders(connection: &mut PgConnection, decoded: &Decoded<'_>) -> Result<(), sqlx::Error> {
    let created = |(_, event): &(&RecordedEvent, &Event)| match event {
        Event::Created(terms) => Some((terms.payment_id.to_string(), terms.order_no.to_string())),
        _ => None,
    };
    let (payments, orders): (Vec<String>, Vec<String>) = decoded.iter().filter_map(created).unzip();
    if payments.is_empty() {
        return Ok(());
    }
    sqlx::query("INSERT INTO refund_payments SELECT * FROM unnest($1::text[], $2::text[])")
        .bind(payments)
        .bind(orders)
        .execute(connection)
        .await?;
    Ok(())
}

async fn orders_of(
    connection: &mut PgConnection,
    decoded: &Decoded<'_>,
) -> Result<HashMap<PaymentId, OrderNo>, sqlx::Error> {
    let requested = |(_, event): &(&RecordedEvent, &Event)| match event {
        Event::RefundRequested(requested) => Some(requested.payment_id.to_string()),
        _ => None,
    };
    let payments: Vec<String> = decoded.iter().filter_map(requested).collect();
    if payments.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query("SELECT payment_id, order_no FROM refund_payments WHERE payment_id = ANY($1)")
        .bind(payments)
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| Ok((parsed(row, "payment_id")?, parsed(row, "order_no")?))).collect()
}

async fn load_touched(
    connection: &mut PgConnection,
    decoded: &Decoded<'_>,
) -> Result<HashMap<RefundId, RefundRow>, sqlx::Error> {
    let ids: Vec<String> =
        decoded.iter().filter_map(|(_, event)| refund_of(event)).map(|refund_id| refund_id.to_string()).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let mut query = QueryBuilder::new(SELECT);
    query.push(" AND refund_id = ANY(").push_bind(ids).push(")");
    let rows = query.build().fetch_all(connection).await?;
    rows.iter().map(|row| read(row).map(|refund| (refund.refund_id, refund))).collect()
}

fn fold(
    touched: &mut HashMap<RefundId, RefundRow>,
    orders: &HashMap<PaymentId, OrderNo>,
    recorded: &RecordedEvent,
    event: &Event,
) -> Result<(), ApplyError> {
    let Some(refund_id) = refund_of(event) else { return Ok(()) };
    if let Event::RefundRequested(requested) = event {
        let order_no = orders.get(&requested.payment_id).cloned();
        let order_no = order_no.ok_or_else(|| ApplyError::inapplicable(recorded, "the payment was never created"))?;
        touched.insert(refund_id, RefundRow::requested(requested, order_no));
    }
    let refund = touched.get_mut(&refund_id);
    let refund = refund.ok_or_else(|| ApplyError::inapplicable(recorded, "the refund was never requested"))?;
    match event {
        Event::RefundSucceeded(_) | Event::RefundSucceededLate(_) => refund.succeed(),
        Event::RefundFailed(failed) => refund.fail(&failed.failure),
        Event::RefundReversed(reversed) => refund.fail(&reversed.failure),
        _ => {}
    }
    refund.version = recorded.version;
    refund.updated_at = recorded.recorded_at;
    Ok(())
}

fn text_of<T: Serialize>(value: &Option<T>) -> Result<Option<String>, sqlx::Error> {
    value.as_ref().map(|value| serde_json::to_string(value).map_err(|error| damaged(error.to_string()))).transpose()
}

async fn store(connection: &mut PgConnection, touched: &HashMap<RefundId, RefundRow>) -> Result<(), sqlx::Error> {
    if touched.is_empty() {
        return Ok(());
    }
    let mut rows: Vec<&RefundRow> = touched.values().collect();
    rows.sort_unstable_by_key(|row| row.created_at);
    fn column<T>(rows: &[&RefundRow], of: impl Fn(&RefundRow) -> T) -> Vec<T> {
        rows.iter().map(|row| of(row)).collect()
    }
    let reasons: Vec<Option<String>> = rows.iter().map(|row| text_of(&row.reason)).collect::<Result<_, _>>()?;
    let failures: Vec<Option<String>> = rows.iter().map(|row| text_of(&row.failure)).collect::<Result<_, _>>()?;
    sqlx::query(
        "INSERT INTO refunds
         SELECT id, payment, merchant, order_no, status, currency, amount, channel, created, updated, version,
                reason::json, failure::json
           FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[],
                       $8::text[], $9::timestamptz[], $10::timestamptz[], $11::bigint[], $12::text[], $13::text[])
             AS t (id, payment, merchant, order_no, status, currency, amount, channel, created, updated, version,
                   reason, failure)
         ON CONFLICT (refund_id) DO UPDATE
            SET status = excluded.status, updated_at = excluded.updated_at, version = excluded.version,
                failure = excluded.failure",
    )
    .bind(column(&rows, |row| row.refund_id.to_string()))
    .bind(column(&rows, |row| row.payment_id.to_string()))
    .bind(column(&rows, |row| row.merchant_id.to_string()))
    .bind(column(&rows, |row| row.order_no.to_string()))
    .bind(column(&rows, |row| row.status.as_str()))
    .bind(column(&rows, |row| row.currency.to_string()))
    .bind(column(&rows, |row| row.amount))
    .bind(column(&rows, |row| row.channel.to_string()))
    .bind(column(&rows, |row| row.created_at.to_datetime()))
    .bind(column(&rows, |row| row.updated_at.to_datetime()))
    .bind(column(&rows, |row| to_sql(row.version)))
    .bind(reasons)
    .bind(failures)
    .execute(connection)
    .await?;
    Ok(())
}

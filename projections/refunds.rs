//! The read model `refunds`: a row for each refund, from the events of its payment.

use std::collections::HashMap;

use async_trait::async_trait;
use commands::ports::RecordedEvent;
use domain::payment::{Event, Failure, Payment, Record, Refund, RefundRequested, RefundStatus};
use domain::{ChannelName, Currency, Decider, MerchantId, OrderNo, PaymentId, RefundId, Sealed, Timestamp};
use serde::Serialize;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, QueryBuilder, Row};

use crate::database::{damaged, json, moment, parsed, position, to_sql};
use crate::filter::push_page;
use crate::{ApplyError, Cursor, Filter, Page, Projection, ReadError, Snapshot, StatusText};

#[derive(Debug, Clone, Copy)]
pub struct Refunds;

const DDL: &str = r#"
-- Which order a payment belongs to, for refunds by order number.
CREATE TABLE rm_refunds.payments (
    payment_id text COLLATE "C" NOT NULL PRIMARY KEY,
    order_no   text COLLATE "C" NOT NULL
);
CREATE TABLE rm_refunds.refunds (
    refund_id   text COLLATE "C" NOT NULL PRIMARY KEY,
    payment_id  text COLLATE "C" NOT NULL,
    merchant_id text COLLATE "C" NOT NULL,
    order_no    text COLLATE "C" NOT NULL,
    status      text COLLATE "C" NOT NULL,
    currency    text COLLATE "C" NOT NULL,
    amount      bigint           NOT NULL,
    channel     text COLLATE "C" NOT NULL,
    created_at  timestamptz      NOT NULL,
    updated_at  timestamptz      NOT NULL,
    -- The version of the payment that changed the refund last.
    version     bigint           NOT NULL,
    reason      json,
    failure     json
);
CREATE INDEX refunds_newest_of_merchant ON rm_refunds.refunds (merchant_id, created_at, refund_id);
CREATE INDEX refunds_newest ON rm_refunds.refunds (created_at, refund_id);
CREATE INDEX refunds_newest_by_status ON rm_refunds.refunds (status, created_at, refund_id);
CREATE INDEX refunds_of_payment ON rm_refunds.refunds (payment_id);
CREATE INDEX refunds_of_order ON rm_refunds.refunds (order_no, merchant_id);
CREATE INDEX refunds_by_amount ON rm_refunds.refunds (currency, amount);
"#;

#[async_trait]
impl Projection for Refunds {
    fn name(&self) -> &'static str {
        "refunds"
    }

    fn version(&self) -> i32 {
        1
    }

    fn categories(&self) -> &'static [&'static str] {
        &[Payment::CATEGORY]
    }

    fn tables(&self) -> &'static [&'static str] {
        &["rm_refunds.refunds", "rm_refunds.payments"]
    }

    fn ddl(&self) -> &'static str {
        DDL
    }

    async fn apply(&self, connection: &mut PgConnection, events: &[RecordedEvent]) -> Result<(), ApplyError> {
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
}

type Decoded<'a> = Vec<(&'a RecordedEvent, Event)>;

fn decode(events: &[RecordedEvent]) -> Result<Decoded<'_>, ApplyError> {
    events.iter().map(|event| Ok((event, event.decode()?))).collect()
}

/// The refund that an event is about.
fn refund_of(event: &Event) -> Option<RefundId> {
    match event {
        Event::RefundRequested(requested) => Some(requested.refund_id),
        Event::RefundAccepted { refund_id, .. } | Event::RefundOutcomeUnknown { refund_id, .. } => Some(*refund_id),
        Event::RefundSucceeded(succeeded) => Some(succeeded.refund_id),
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
        | Event::Expired { .. } => None,
    }
}

async fn note_orders(connection: &mut PgConnection, decoded: &Decoded<'_>) -> Result<(), sqlx::Error> {
    let created = |(_, event): &(&RecordedEvent, Event)| match event {
        Event::Created(terms) => Some((terms.payment_id.to_string(), terms.order_no.to_string())),
        _ => None,
    };
    let (payments, orders): (Vec<String>, Vec<String>) = decoded.iter().filter_map(created).unzip();
    if payments.is_empty() {
        return Ok(());
    }
    sqlx::query("INSERT INTO rm_refunds.payments SELECT * FROM unnest($1::text[], $2::text[])")
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
    let requested = |(_, event): &(&RecordedEvent, Event)| match event {
        Event::RefundRequested(requested) => Some(requested.payment_id.to_string()),
        _ => None,
    };
    let payments: Vec<String> = decoded.iter().filter_map(requested).collect();
    if payments.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query("SELECT payment_id, order_no FROM rm_refunds.payments WHERE payment_id = ANY($1)")
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
        Event::RefundSucceeded(_) => refund.status = RefundState::Succeeded,
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
    let rows: Vec<&RefundRow> = touched.values().collect();
    fn column<T>(rows: &[&RefundRow], of: impl Fn(&RefundRow) -> T) -> Vec<T> {
        rows.iter().map(|row| of(row)).collect()
    }
    let reasons: Vec<Option<String>> = rows.iter().map(|row| text_of(&row.reason)).collect::<Result<_, _>>()?;
    let failures: Vec<Option<String>> = rows.iter().map(|row| text_of(&row.failure)).collect::<Result<_, _>>()?;
    sqlx::query(
        "INSERT INTO rm_refunds.refunds
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

/// A refund as of the view's position.
#[derive(Debug, Clone, PartialEq)]
pub struct RefundRow {
    pub refund_id: RefundId,
    pub payment_id: PaymentId,
    pub merchant_id: MerchantId,
    pub order_no: OrderNo,
    pub status: RefundState,
    pub currency: Currency,
    /// Minor units.
    pub amount: i64,
    pub channel: ChannelName,
    pub reason: Option<Sealed>,
    pub failure: Option<Failure>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// The version of the payment's stream that changed the refund last.
    pub version: u64,
}

/// What merchants see of a refund's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundState {
    Pending,
    Succeeded,
    Failed,
}

impl RefundState {
    pub const ALL: [RefundState; 3] = [RefundState::Pending, RefundState::Succeeded, RefundState::Failed];
}

impl StatusText for RefundState {
    fn as_str(&self) -> &'static str {
        match self {
            RefundState::Pending => "pending",
            RefundState::Succeeded => "succeeded",
            RefundState::Failed => "failed",
        }
    }
}

impl std::str::FromStr for RefundState {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        RefundState::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or("must be pending, succeeded or failed")
    }
}

impl RefundRow {
    /// As requested; the moment and version of the event are set with it.
    fn requested(event: &RefundRequested, order_no: OrderNo) -> RefundRow {
        RefundRow {
            refund_id: event.refund_id,
            payment_id: event.payment_id,
            merchant_id: event.merchant_id,
            order_no,
            status: RefundState::Pending,
            currency: event.currency,
            amount: event.amount,
            channel: event.channel.clone(),
            reason: event.reason.clone(),
            failure: None,
            created_at: event.requested_at,
            updated_at: event.requested_at,
            version: 0,
        }
    }

    /// All but the version and the moment of the last change, which the folded payment does not keep.
    pub(crate) fn facts(&self) -> String {
        let terms = (&self.payment_id, &self.merchant_id, &self.order_no, &self.currency, self.amount, &self.channel);
        format!("{:?}", (terms, self.status, &self.reason, &self.failure, self.created_at))
    }

    fn fail(&mut self, failure: &Failure) {
        self.status = RefundState::Failed;
        self.failure = Some(failure.clone());
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RefundFilter {
    pub common: Filter<RefundState>,
    pub payment_id: Option<PaymentId>,
}

const SELECT: &str = "SELECT refund_id, payment_id, merchant_id, order_no, status, currency, amount, channel,
                             created_at, updated_at, version, reason::text, failure::text
                        FROM rm_refunds.refunds WHERE true";

pub async fn find(view: &mut Snapshot, refund_id: RefundId) -> Result<Option<RefundRow>, ReadError> {
    let mut query = QueryBuilder::new(SELECT);
    query.push(" AND refund_id = ").push_bind(refund_id.to_string());
    let row = query.build().fetch_optional(view.connection()).await?;
    Ok(row.as_ref().map(read).transpose()?)
}

/// A page of refunds, newest first.
pub async fn list(
    view: &mut Snapshot,
    filter: &RefundFilter,
    limit: u32,
    cursor: Option<&Cursor>,
) -> Result<Page<RefundRow>, ReadError> {
    let mut query = QueryBuilder::new(SELECT);
    filter.common.push(&mut query);
    if let Some(payment_id) = filter.payment_id {
        query.push(" AND payment_id = ").push_bind(payment_id.to_string());
    }
    push_page(&mut query, "refund_id", limit, cursor);
    let rows = query.build().fetch_all(view.connection()).await?;
    let rows = rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?;
    Ok(Page::cut(rows, limit, |row: &RefundRow| Cursor {
        key: row.created_at.as_micros(),
        id: row.refund_id.to_string(),
    }))
}

fn read(row: &PgRow) -> Result<RefundRow, sqlx::Error> {
    Ok(RefundRow {
        refund_id: parsed(row, "refund_id")?,
        payment_id: parsed(row, "payment_id")?,
        merchant_id: parsed(row, "merchant_id")?,
        order_no: parsed(row, "order_no")?,
        status: parsed(row, "status")?,
        currency: parsed(row, "currency")?,
        amount: row.try_get("amount")?,
        channel: parsed(row, "channel")?,
        reason: json(row, "reason")?,
        failure: json(row, "failure")?,
        created_at: moment(row, "created_at")?,
        updated_at: moment(row, "updated_at")?,
        version: position(row, "version")?,
    })
}

/// Every row, in no particular order.
pub(crate) async fn stored(view: &mut Snapshot) -> Result<Vec<RefundRow>, ReadError> {
    let rows = sqlx::query(SELECT).fetch_all(view.connection()).await?;
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

/// The rows that a folded payment comes to.
pub(crate) fn of_record(record: &Record) -> Vec<RefundRow> {
    let refunds = record.capture().map(|capture| capture.refunds.as_slice()).unwrap_or_default();
    let row = |refund: &Refund| RefundRow {
        refund_id: refund.refund_id,
        payment_id: record.payment_id(),
        merchant_id: record.terms.merchant_id,
        order_no: record.terms.order_no.clone(),
        status: match &refund.status {
            status if status.is_pending() => RefundState::Pending,
            RefundStatus::Succeeded { .. } => RefundState::Succeeded,
            _ => RefundState::Failed,
        },
        currency: record.terms.currency,
        amount: refund.amount,
        channel: record.terms.channel.clone(),
        reason: refund.reason.clone(),
        failure: refund.status.failure().cloned(),
        created_at: refund.requested_at,
        updated_at: refund.requested_at,
        version: 0,
    };
    refunds.iter().map(row).collect()
}

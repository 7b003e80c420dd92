//! The read model `payments`: a row for each payment, folded by the payment's own `evolve`, so that a row never says
//! anything else than its stream.

use std::collections::HashMap;

use async_trait::async_trait;
use commands::ports::RecordedEvent;
use domain::payment::{Event, Payment, PaymentStatus, Record, State};
use domain::{Currency, Decider, MerchantId, PaymentId, Timestamp};
use futures::TryStreamExt;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, QueryBuilder, Row};

use crate::database::{damaged, json, moment, position, to_sql};
use crate::filter::push_page;
use crate::{ApplyError, Cursor, Filter, Page, Projection, ReadError, Snapshot, StatusText};

#[derive(Debug, Clone, Copy)]
pub struct Payments;

const DDL: &str = r#"
CREATE TABLE rm_payments.payments (
    payment_id  text COLLATE "C" NOT NULL PRIMARY KEY,
    merchant_id text COLLATE "C" NOT NULL,
    order_no    text COLLATE "C" NOT NULL,
    status      text COLLATE "C" NOT NULL,
    currency    text COLLATE "C" NOT NULL,
    amount      bigint           NOT NULL,
    channel     text COLLATE "C" NOT NULL,
    created_at  timestamptz      NOT NULL,
    updated_at  timestamptz      NOT NULL,
    version     bigint           NOT NULL,
    -- The folded payment, its personal data still sealed.
    state       json             NOT NULL
);
CREATE INDEX payments_newest_of_merchant ON rm_payments.payments (merchant_id, created_at, payment_id);
CREATE INDEX payments_newest_of_merchant_by_status ON rm_payments.payments (merchant_id, status, created_at, payment_id);
CREATE INDEX payments_newest ON rm_payments.payments (created_at, payment_id);
CREATE INDEX payments_newest_by_status ON rm_payments.payments (status, created_at, payment_id);
CREATE INDEX payments_newest_by_channel ON rm_payments.payments (channel, created_at, payment_id);
CREATE INDEX payments_of_order ON rm_payments.payments (order_no, merchant_id);
CREATE INDEX payments_by_amount ON rm_payments.payments (currency, amount);
"#;

#[async_trait]
impl Projection for Payments {
    fn name(&self) -> &'static str {
        "payments"
    }

    fn version(&self) -> i32 {
        1
    }

    fn categories(&self) -> &'static [&'static str] {
        &[Payment::CATEGORY]
    }

    fn tables(&self) -> &'static [&'static str] {
        &["rm_payments.payments"]
    }

    fn ddl(&self) -> &'static str {
        DDL
    }

    async fn apply(&self, connection: &mut PgConnection, events: &[RecordedEvent]) -> Result<(), ApplyError> {
        let mut touched = load_touched(connection, events).await?;
        for event in events {
            let folded = touched.entry(event.stream.id.clone()).or_default();
            fold(folded, event)?;
        }
        store(connection, &columns(touched.values())?).await?;
        Ok(())
    }
}

/// A payment as far as it is folded.
#[derive(Debug, Default)]
pub(crate) struct Folded {
    pub(crate) version: u64,
    pub(crate) updated_at: Timestamp,
    pub(crate) state: State,
}

async fn load_touched(
    connection: &mut PgConnection,
    events: &[RecordedEvent],
) -> Result<HashMap<String, Folded>, ApplyError> {
    let begun: HashMap<&str, ()> = events.iter().map(|event| (event.stream.id.as_str(), ())).collect();
    let ids: Vec<&str> = begun.into_keys().collect();
    let rows = sqlx::query(
        "SELECT payment_id, version, updated_at, state::text FROM rm_payments.payments WHERE payment_id = ANY($1)",
    )
    .bind(&ids)
    .fetch_all(connection)
    .await?;
    let folded = |row: &PgRow| {
        let state = json(row, "state")?.unwrap_or_default();
        let folded = Folded { version: position(row, "version")?, updated_at: moment(row, "updated_at")?, state };
        Ok((row.try_get("payment_id")?, folded))
    };
    Ok(rows.iter().map(folded).collect::<Result<_, sqlx::Error>>()?)
}

pub(crate) fn fold(folded: &mut Folded, event: &RecordedEvent) -> Result<(), ApplyError> {
    if event.version != folded.version + 1 {
        return Err(ApplyError::inapplicable(event, format!("version {} follows {}", event.version, folded.version)));
    }
    let decoded: Event = event.decode()?;
    let state = std::mem::take(&mut folded.state);
    *folded = Folded { version: event.version, updated_at: event.recorded_at, state: Payment::evolve(state, &decoded) };
    if folded.state.record().is_none() {
        return Err(ApplyError::inapplicable(event, "the payment was never created"));
    }
    Ok(())
}

/// A row as it is written: everything that a query may filter by, and the folded payment itself.
#[derive(Debug, Hash)]
pub(crate) struct Columns {
    pub(crate) payment_id: String,
    merchant_id: String,
    order_no: String,
    status: String,
    currency: String,
    amount: i64,
    channel: String,
    created_at: Timestamp,
    updated_at: Timestamp,
    version: u64,
    state: String,
}

impl Columns {
    fn of(folded: &Folded, record: &Record) -> Result<Columns, sqlx::Error> {
        Ok(Columns {
            payment_id: record.payment_id().to_string(),
            merchant_id: record.terms.merchant_id.to_string(),
            order_no: record.terms.order_no.to_string(),
            status: record.status().as_str().to_owned(),
            currency: record.terms.currency.to_string(),
            amount: record.terms.amount,
            channel: record.terms.channel.to_string(),
            created_at: record.terms.created_at,
            updated_at: folded.updated_at,
            version: folded.version,
            state: serde_json::to_string(&folded.state).map_err(|error| damaged(error.to_string()))?,
        })
    }
}

/// The rows that the folded payments come to.
pub(crate) fn columns<'a>(folded: impl Iterator<Item = &'a Folded>) -> Result<Vec<Columns>, sqlx::Error> {
    folded.filter_map(|folded| Some(Columns::of(folded, folded.state.record()?))).collect()
}

async fn store(connection: &mut PgConnection, rows: &[Columns]) -> Result<(), sqlx::Error> {
    fn column<T>(rows: &[Columns], of: impl Fn(&Columns) -> T) -> Vec<T> {
        rows.iter().map(of).collect()
    }
    sqlx::query(
        "INSERT INTO rm_payments.payments
         SELECT id, merchant, order_no, status, currency, amount, channel, created, updated, version, state::json
           FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[],
                       $8::timestamptz[], $9::timestamptz[], $10::bigint[], $11::text[])
             AS t (id, merchant, order_no, status, currency, amount, channel, created, updated, version, state)
         ON CONFLICT (payment_id) DO UPDATE
            SET status = excluded.status, updated_at = excluded.updated_at, version = excluded.version,
                state = excluded.state",
    )
    .bind(column(rows, |row| row.payment_id.clone()))
    .bind(column(rows, |row| row.merchant_id.clone()))
    .bind(column(rows, |row| row.order_no.clone()))
    .bind(column(rows, |row| row.status.clone()))
    .bind(column(rows, |row| row.currency.clone()))
    .bind(column(rows, |row| row.amount))
    .bind(column(rows, |row| row.channel.clone()))
    .bind(column(rows, |row| row.created_at.to_datetime()))
    .bind(column(rows, |row| row.updated_at.to_datetime()))
    .bind(column(rows, |row| to_sql(row.version)))
    .bind(column(rows, |row| row.state.clone()))
    .execute(connection)
    .await?;
    Ok(())
}

/// A payment as of the view's position.
#[derive(Debug, Clone, PartialEq)]
pub struct PaymentRow {
    pub version: u64,
    pub updated_at: Timestamp,
    pub record: Record,
}

pub type PaymentFilter = Filter<PaymentStatus>;

impl StatusText for PaymentStatus {
    fn as_str(&self) -> &'static str {
        PaymentStatus::as_str(self)
    }
}

const SELECT: &str = "SELECT version, updated_at, state::text FROM rm_payments.payments WHERE true";

pub async fn find(view: &mut Snapshot, payment_id: PaymentId) -> Result<Option<PaymentRow>, ReadError> {
    Ok(find_many(view, &[payment_id]).await?.pop())
}

/// Those of the payments that exist, in no particular order.
pub async fn find_many(view: &mut Snapshot, payment_ids: &[PaymentId]) -> Result<Vec<PaymentRow>, ReadError> {
    let ids: Vec<String> = payment_ids.iter().map(PaymentId::to_string).collect();
    let mut query = QueryBuilder::new(SELECT);
    query.push(" AND payment_id = ANY(").push_bind(ids).push(")");
    let rows = query.build().fetch_all(view.connection()).await?;
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

/// What the merchant's payments that were created at `since` or later have captured, by currency, in minor units.
pub async fn captured_since(
    view: &mut Snapshot,
    merchant_id: MerchantId,
    since: Timestamp,
) -> Result<Vec<(Currency, i128)>, ReadError> {
    let rows = sqlx::query(
        "SELECT currency, sum((state #>> '{Exists,phase,Captured,amount}')::numeric)::text AS volume
           FROM rm_payments.payments
          WHERE merchant_id = $1 AND status = 'succeeded' AND created_at >= $2
          GROUP BY currency ORDER BY currency",
    )
    .bind(merchant_id.to_string())
    .bind(since.to_datetime())
    .fetch_all(view.connection())
    .await?;
    let volume = |row: &PgRow| {
        let (currency, volume): (&str, &str) = (row.try_get("currency")?, row.try_get("volume")?);
        let read = currency.parse().ok().zip(volume.parse().ok());
        read.ok_or_else(|| damaged(format!("{volume} {currency} is no volume")))
    };
    Ok(rows.iter().map(volume).collect::<Result<_, sqlx::Error>>()?)
}

/// A page of payments, newest first.
pub async fn list(
    view: &mut Snapshot,
    filter: &PaymentFilter,
    limit: u32,
    cursor: Option<&Cursor>,
) -> Result<Page<PaymentRow>, ReadError> {
    let mut query = QueryBuilder::new(SELECT);
    filter.push(&mut query);
    push_page(&mut query, "payment_id", limit, cursor);
    let rows = query.build().fetch_all(view.connection()).await?;
    let rows = rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?;
    Ok(Page::cut(rows, limit, |row: &PaymentRow| Cursor {
        key: row.record.terms.created_at.as_micros(),
        id: row.record.payment_id().to_string(),
    }))
}

fn read(row: &PgRow) -> Result<PaymentRow, sqlx::Error> {
    match json(row, "state")? {
        Some(State::Exists(record)) => Ok(PaymentRow {
            version: position(row, "version")?,
            updated_at: moment(row, "updated_at")?,
            record: *record,
        }),
        _ => Err(damaged("a payment without terms".to_owned())),
    }
}

/// Every row, in no particular order and one at a time.
pub(crate) async fn stored(view: &mut Snapshot, mut each: impl FnMut(Columns) + Send) -> Result<(), ReadError> {
    let mut rows = sqlx::query("SELECT *, state::text AS text FROM rm_payments.payments").fetch(view.connection());
    while let Some(row) = rows.try_next().await? {
        let state: State = json(&row, "text")?.unwrap_or_default();
        each(Columns {
            payment_id: row.try_get("payment_id")?,
            merchant_id: row.try_get("merchant_id")?,
            order_no: row.try_get("order_no")?,
            status: row.try_get("status")?,
            currency: row.try_get("currency")?,
            amount: row.try_get("amount")?,
            channel: row.try_get("channel")?,
            created_at: moment(&row, "created_at")?,
            updated_at: moment(&row, "updated_at")?,
            version: position(&row, "version")?,
            state: serde_json::to_string(&state).map_err(|error| damaged(error.to_string()))?,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The folded payment is stored as its type writes it. Where that changes, rows of before can no longer be read, or
    /// say less: raise the version of [`Payments`], so that they are folded anew.
    #[test]
    fn a_stored_payment_looks_as_this_version_says() {
        let log = r#"[
            {"payment.created":{"payment_id":"pay_00000000000000000000000001",
                "merchant_id":"mer_00000000000000000000000001","order_no":"A-1","amount":10000,"currency":"USD",
                "channel":"sandbox","method":"card",
                "pricing":{"model":"cost_plus","markup_rate":"0.008","refund_fee_policy":"retain"},
                "expected_channel_fee_rate":"0.01","sealed":{"key":"k","nonce":"n","data":"d"},
                "created_at":"2026-11-20T00:00:00Z","expires_at":"2026-11-20T00:30:00Z"}},
            {"payment.captured":{"payment_id":"pay_00000000000000000000000001",
                "merchant_id":"mer_00000000000000000000000001","channel":"sandbox","channel_reference":"ch_1",
                "amount":10000,"currency":"USD","channel_fee":{"known":100},"markup":80,"pricing_model":"cost_plus",
                "captured_at":"2026-11-20T00:00:01Z"}},
            {"payment.refund_requested":{"refund_id":"re_00000000000000000000000001",
                "payment_id":"pay_00000000000000000000000001","merchant_id":"mer_00000000000000000000000001",
                "channel":"sandbox","amount":4000,"currency":"USD","cause":"merchant","reason":null,
                "requested_at":"2026-11-20T00:00:02Z"}}
        ]"#;
        let events: Vec<Event> = serde_json::from_str(log).unwrap();
        let state = serde_json::to_value(events.iter().fold(State::default(), Payment::evolve)).unwrap();
        let fields: Vec<&str> = state["Exists"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, ["channel_reference", "phase", "terms"]);
        let captured = serde_json::json!({
            "amount": 10000, "channel_fee": {"known": 100}, "markup": 80, "markup_returned": 0,
            "channel_fee_returned": 0, "captured_at": "2026-11-20T00:00:01.000000Z",
            "refunds": [{
                "refund_id": "re_00000000000000000000000001", "amount": 4000, "cause": "merchant", "reason": null,
                "requested_at": "2026-11-20T00:00:02.000000Z", "channel_reference": null, "status": "Due",
            }],
        });
        assert_eq!(state["Exists"]["phase"]["Captured"], captured);
    }
}

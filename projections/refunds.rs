//! The read model `refunds`: a row for each refund, from the events of its payment.

mod fold;

use async_trait::async_trait;
use commands::ports::RecordedEvent;
use domain::payment::{Failure, Payment, Record, Refund, RefundRequested, RefundStatus};
use domain::{ChannelName, Currency, Decider, MerchantId, OrderNo, PaymentId, RefundId, Sealed, Timestamp};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, QueryBuilder, Row};

use crate::database::{json, moment, parsed, position};
use crate::filter::push_page;
use crate::{ApplyError, Cursor, Filter, Page, Projection, ReadError, Snapshot, StatusText};

#[derive(Debug, Clone, Copy)]
pub struct Refunds;

const DDL: &str = r#"
-- Which order a payment belongs to, for refunds by order number.
CREATE TABLE refund_payments (
    payment_id text COLLATE "C" NOT NULL PRIMARY KEY,
    order_no   text COLLATE "C" NOT NULL
);
CREATE TABLE refunds (
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
CREATE INDEX refunds_newest_of_merchant ON refunds (merchant_id, created_at, refund_id);
CREATE INDEX refunds_newest ON refunds (created_at, refund_id);
CREATE INDEX refunds_newest_by_status ON refunds (status, created_at, refund_id);
CREATE INDEX refunds_newest_by_channel ON refunds (channel, created_at, refund_id);
CREATE INDEX refunds_of_payment ON refunds (payment_id);
CREATE INDEX refunds_of_order ON refunds (order_no, merchant_id);
CREATE INDEX refunds_by_amount ON refunds (currency, amount);
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
        &["refunds", "refund_payments"]
    }

    fn ddl(&self) -> &'static str {
        DDL
    }

    async fn apply(&self, connection: &mut PgConnection, events: &[&RecordedEvent]) -> Result<(), ApplyError> {
        fold::apply(connection, events).await
    }
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

    /// One that had failed before has no failure any more.
    fn succeed(&mut self) {
        self.status = RefundState::Succeeded;
        self.failure = None;
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

pub(crate) const SELECT: &str =
    "SELECT refund_id, payment_id, merchant_id, order_no, status, currency, amount, channel,
                             created_at, updated_at, version, reason::text, failure::text
                        FROM refunds WHERE true";

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

pub(crate) fn read(row: &PgRow) -> Result<RefundRow, sqlx::Error> {
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

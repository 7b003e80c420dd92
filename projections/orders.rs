//! The read model `orders`: what a merchant's order number has come to. An order that was made before its payments is the
//! fold of its own stream; any other is derived from all payments made under its number:
//!
//! | status | when |
//! |---|---|
//! | `partially_refunded` | money was captured, some of it went back |
//! | `paid` | money was captured and none went back |
//! | `pending` | nothing is kept, and a payment still waits for the channel or the customer |
//! | `refunded` | all that was captured went back |
//! | `failed`, `cancelled`, `expired` | nothing was captured: how the newest payment ended |
//!
//! The first line that holds counts. Amount, currency and channel are those of the newest payment that captured money,
//! else of the newest payment; sums are over the payments in that currency.

mod derive;
mod made;
mod past;
mod statistics;
mod store;

use async_trait::async_trait;
use commands::ports::RecordedEvent;
use domain::order::Order;
use domain::payment::{Event, Payment};
use domain::{ChannelName, Currency, Decider, MerchantId, OrderNo, PaymentId, Timestamp};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, QueryBuilder, Row};

use crate::database::{damaged, moment, parsed, parsed_if_any};
use crate::filter::push_page;
use crate::rollup::rollup_table;
use crate::{ApplyError, Cursor, Filter, Page, Projection, ReadError, Snapshot, StatusText};
pub(crate) use derive::{Attempt, listed};
pub use made::Made;
pub(crate) use made::{MadeRow, fold_all};
pub use past::{find_at, list_at};
pub use statistics::{OrderFigures, OrderQuestion, Sums, figures};
pub(crate) use statistics::{TABLE as FIGURES, changes};

#[derive(Debug, Clone, Copy)]
pub struct Orders;

macro_rules! tables {
    () => {
        r#"
-- What each payment contributes to its order.
CREATE TABLE order_payments (
    payment_id      text COLLATE "C" NOT NULL PRIMARY KEY,
    merchant_id     text COLLATE "C" NOT NULL,
    order_no        text COLLATE "C" NOT NULL,
    status          text COLLATE "C" NOT NULL,
    currency        text COLLATE "C" NOT NULL,
    amount          bigint           NOT NULL,
    amount_captured bigint           NOT NULL,
    amount_refunded bigint           NOT NULL,
    channel         text COLLATE "C" NOT NULL,
    created_at      timestamptz      NOT NULL,
    recorded_at     timestamptz      NOT NULL,
    updated_at      timestamptz      NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX payments_of_order ON order_payments (merchant_id, order_no);
CREATE TABLE orders (
    merchant_id      text COLLATE "C"   NOT NULL,
    order_no         text COLLATE "C"   NOT NULL,
    status           text COLLATE "C"   NOT NULL,
    currency         text COLLATE "C"   NOT NULL,
    amount           bigint             NOT NULL,
    amount_paid      bigint             NOT NULL,
    amount_refunded  bigint             NOT NULL,
    channel          text COLLATE "C",
    created_at       timestamptz        NOT NULL,
    -- When the event was recorded that it begins with: of an order that was made the first of its own stream, else the
    -- first of its payments.
    recorded_at      timestamptz        NOT NULL,
    updated_at       timestamptz        NOT NULL,
    payment_ids      text[] COLLATE "C" NOT NULL,
    -- Tells orders of one moment apart: the id of an order that was made, else of its first payment, which belongs to
    -- one order only.
    first_id         text COLLATE "C"   NOT NULL,
    -- The same three of an order that had payments before it was made: where it stood in lists until then.
    before_created_at  timestamptz,
    before_first_id    text COLLATE "C",
    before_recorded_at timestamptz,
    -- Of an order that was made: the version and the fold of its stream, its personal data still sealed.
    version          bigint,
    made             json,
    PRIMARY KEY (merchant_id, order_no)
);
CREATE INDEX orders_newest_of_merchant ON orders (merchant_id, created_at, first_id);
CREATE INDEX orders_newest_of_merchant_by_status
    ON orders (merchant_id, status, created_at, first_id);
CREATE INDEX orders_newest ON orders (created_at, first_id);
CREATE INDEX orders_newest_by_status ON orders (status, created_at, first_id);
CREATE INDEX orders_newest_by_channel ON orders (channel, created_at, first_id);
CREATE INDEX orders_by_number ON orders (order_no);
CREATE INDEX orders_by_amount ON orders (currency, amount);
-- Both nearly empty.
CREATE INDEX orders_dated_ahead ON orders (created_at) WHERE created_at > recorded_at;
CREATE INDEX orders_before_made ON orders (before_created_at, before_first_id) WHERE before_recorded_at IS NOT NULL;
"#
    };
}

#[async_trait]
impl Projection for Orders {
    fn name(&self) -> &'static str {
        "orders"
    }

    fn version(&self) -> i32 {
        4
    }

    fn categories(&self) -> &'static [&'static str] {
        &[Order::CATEGORY, Payment::CATEGORY]
    }

    fn tables(&self) -> &'static [&'static str] {
        &["orders", "order_payments", statistics::TABLE]
    }

    fn ddl(&self) -> &'static str {
        concat!(tables!(), rollup_table!("order_figures"))
    }

    async fn apply(&self, connection: &mut PgConnection, events: &[&RecordedEvent]) -> Result<(), ApplyError> {
        let (of_orders, events): (Vec<&RecordedEvent>, Vec<&RecordedEvent>) =
            events.iter().copied().partition(|event| event.stream.category == Order::CATEGORY);
        let mut attempts = store::load_attempts(connection, &events).await?;
        for recorded in events {
            let event: &Event = recorded.decoded()?;
            if let Event::Created(terms) = event {
                attempts.insert(recorded.stream.id.clone(), Attempt::of(terms, recorded.recorded_at));
            }
            let attempt = attempts.get_mut(&recorded.stream.id);
            let attempt = attempt.ok_or_else(|| ApplyError::inapplicable(recorded, "the payment was never created"))?;
            attempt.fold(event, recorded.recorded_at);
        }
        store::save_attempts(connection, &attempts).await?;
        let touched = made::touched(&attempts, &of_orders)?;
        let mut made = store::load_made(connection, &touched).await?;
        fold_all(&mut made, &of_orders)?;
        let attempts = store::load_orders(connection, &touched).await?;
        let rows = listed(attempts, &made);
        let counted = statistics::counted(connection, &touched).await?;
        store::save_orders(connection, &rows).await?;
        let changed = changes(&counted, rows.iter().map(|listed| &listed.row));
        Ok(statistics::store(connection, changed).await?)
    }
}

/// An order as of the view's position. Amounts in minor units.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderRow {
    pub merchant_id: MerchantId,
    pub order_no: OrderNo,
    pub status: OrderStatus,
    pub currency: Currency,
    pub amount: i64,
    pub amount_paid: i64,
    pub amount_refunded: i64,
    /// None before the first payment.
    pub channel: Option<ChannelName>,
    /// When the order was made, else when its first payment was created.
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Oldest first; never empty unless the order was made before them.
    pub payment_ids: Vec<PaymentId>,
    pub made: Option<Made>,
}

pub(crate) type OrderKey = (MerchantId, OrderNo);

/// An order with what places it in lists, of now and of the past.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ListedOrder {
    pub(crate) row: OrderRow,
    /// When the event was recorded that it begins with.
    pub(crate) recorded_at: Timestamp,
    pub(crate) before: Option<Place>,
}

/// Where an order stood in lists before it was made, as what its payments came to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Place {
    created_at: Timestamp,
    first_id: String,
    recorded_at: Timestamp,
}

impl OrderRow {
    pub(crate) fn key(&self) -> OrderKey {
        (self.merchant_id, self.order_no.clone())
    }

    /// What tells orders of one moment apart.
    fn first_id(&self) -> String {
        match &self.made {
            Some(made) => made.record.terms.order_id.to_string(),
            None => self.payment_ids.first().map(PaymentId::to_string).unwrap_or_default(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderStatus {
    Pending,
    PartiallyPaid,
    Paid,
    PartiallyRefunded,
    Refunded,
    Shipped,
    Completed,
    Failed,
    Cancelled,
    Expired,
}

impl OrderStatus {
    pub const ALL: [OrderStatus; 10] = [
        OrderStatus::Pending,
        OrderStatus::PartiallyPaid,
        OrderStatus::Paid,
        OrderStatus::PartiallyRefunded,
        OrderStatus::Refunded,
        OrderStatus::Shipped,
        OrderStatus::Completed,
        OrderStatus::Failed,
        OrderStatus::Cancelled,
        OrderStatus::Expired,
    ];
}

impl StatusText for OrderStatus {
    fn as_str(&self) -> &'static str {
        match self {
            OrderStatus::Pending => "pending",
            OrderStatus::PartiallyPaid => "partially_paid",
            OrderStatus::Paid => "paid",
            OrderStatus::PartiallyRefunded => "partially_refunded",
            OrderStatus::Refunded => "refunded",
            OrderStatus::Shipped => "shipped",
            OrderStatus::Completed => "completed",
            OrderStatus::Failed => "failed",
            OrderStatus::Cancelled => "cancelled",
            OrderStatus::Expired => "expired",
        }
    }
}

impl std::str::FromStr for OrderStatus {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        OrderStatus::ALL.into_iter().find(|status| status.as_str() == text).ok_or("is not a status of an order")
    }
}

pub type OrderFilter = Filter<OrderStatus>;

macro_rules! columns {
    () => {
        "merchant_id, order_no, status, currency, amount, amount_paid, amount_refunded, channel, created_at, updated_at, \
         payment_ids, version, made::text"
    };
}
use columns;

pub(crate) const SELECT: &str = concat!("SELECT ", columns!(), " FROM orders WHERE true");

pub async fn find(
    view: &mut Snapshot,
    merchant_id: MerchantId,
    order_no: &OrderNo,
) -> Result<Option<OrderRow>, ReadError> {
    Ok(find_many(view, merchant_id, std::slice::from_ref(order_no)).await?.pop())
}

/// Those of the merchant's orders that exist, in no particular order.
pub async fn find_many(
    view: &mut Snapshot,
    merchant_id: MerchantId,
    order_nos: &[OrderNo],
) -> Result<Vec<OrderRow>, ReadError> {
    let order_nos: Vec<String> = order_nos.iter().map(OrderNo::to_string).collect();
    let mut query = QueryBuilder::new(SELECT);
    query.push(" AND merchant_id = ").push_bind(merchant_id.to_string());
    query.push(" AND order_no = ANY(").push_bind(order_nos).push(")");
    let rows = query.build().fetch_all(view.connection()).await?;
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

/// A page of orders, newest first.
pub async fn list(
    view: &mut Snapshot,
    filter: &OrderFilter,
    limit: u32,
    cursor: Option<&Cursor>,
) -> Result<Page<OrderRow>, ReadError> {
    let mut query = QueryBuilder::new(SELECT);
    filter.push(&mut query);
    push_page(&mut query, "first_id", limit, cursor);
    let rows = query.build().fetch_all(view.connection()).await?;
    let rows = rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?;
    Ok(Page::cut(rows, limit, |row: &OrderRow| Cursor { key: row.created_at.as_micros(), id: row.first_id() }))
}

pub(crate) fn read(row: &PgRow) -> Result<OrderRow, sqlx::Error> {
    let payment_ids: Vec<String> = row.try_get("payment_ids")?;
    let payment_ids = payment_ids.iter().map(|id| id.parse().map_err(|_| damaged(format!("{id} is no payment"))));
    Ok(OrderRow {
        merchant_id: parsed(row, "merchant_id")?,
        order_no: parsed(row, "order_no")?,
        status: parsed(row, "status")?,
        currency: parsed(row, "currency")?,
        amount: row.try_get("amount")?,
        amount_paid: row.try_get("amount_paid")?,
        amount_refunded: row.try_get("amount_refunded")?,
        channel: parsed_if_any(row, "channel")?,
        created_at: moment(row, "created_at")?,
        updated_at: moment(row, "updated_at")?,
        payment_ids: payment_ids.collect::<Result<_, _>>()?,
        made: made::read(row)?,
    })
}

/// Every row, in no particular order.
pub(crate) async fn stored(view: &mut Snapshot) -> Result<Vec<ListedOrder>, ReadError> {
    let statement = concat!(
        "SELECT recorded_at, before_created_at, before_first_id, before_recorded_at, ",
        columns!(),
        " FROM orders"
    );
    let rows = sqlx::query(statement).fetch_all(view.connection()).await?;
    Ok(rows.iter().map(read_listed).collect::<Result<_, _>>()?)
}

fn read_listed(row: &PgRow) -> Result<ListedOrder, sqlx::Error> {
    let first_id: Option<String> = row.try_get("before_first_id")?;
    let place = |first_id| {
        let (created_at, recorded_at) = (moment(row, "before_created_at")?, moment(row, "before_recorded_at")?);
        Ok::<_, sqlx::Error>(Place { created_at, first_id, recorded_at })
    };
    let before = first_id.map(place).transpose()?;
    Ok(ListedOrder { row: read(row)?, recorded_at: moment(row, "recorded_at")?, before })
}

//! The read model `statements`: every change of what a merchant has with us, with the balance behind it. That balance is
//! available + pending + holds + reserves - receivable; what only moves between those accounts is no line. The balance at
//! any position is that of the last line before it, so one statement begins where the one before it ended.

mod fold;

use async_trait::async_trait;
use commands::aggregates;
use commands::ports::RecordedEvent;
use domain::{Currency, MerchantId, Timestamp};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, QueryBuilder, Row};

use crate::database::{from_sql, moment, parsed, position, sum_of, to_sql};
use crate::{ApplyError, Cursor, Order, Page, Projection, ReadError, Snapshot};

pub(crate) use fold::{Balances, lines_of};

#[derive(Debug, Clone, Copy)]
pub struct Statements;

const DDL: &str = r#"
CREATE TABLE movements (
    merchant_id  text COLLATE "C" NOT NULL,
    currency     text COLLATE "C" NOT NULL,
    -- Of the event, and so of the transaction in the books.
    position     bigint           NOT NULL,
    event_type   text COLLATE "C" NOT NULL,
    -- What it is about: the refund, withdrawal, dispute or settlement, else the stream.
    object       text COLLATE "C" NOT NULL,
    amount       numeric          NOT NULL,
    -- Behind this movement.
    balance      numeric          NOT NULL,
    recorded_at  timestamptz      NOT NULL,
    effective_at timestamptz      NOT NULL,
    PRIMARY KEY (merchant_id, currency, position)
);
"#;

#[async_trait]
impl Projection for Statements {
    fn name(&self) -> &'static str {
        "statements"
    }

    fn version(&self) -> i32 {
        2
    }

    fn categories(&self) -> &'static [&'static str] {
        aggregates::categories()
    }

    /// A category that only a newer program knows may move money too.
    fn folds(&self, _category: &str) -> bool {
        true
    }

    fn order(&self) -> Order {
        Order::OfLog
    }

    fn tables(&self) -> &'static [&'static str] {
        &["movements"]
    }

    fn ddl(&self) -> &'static str {
        DDL
    }

    async fn apply(&self, connection: &mut PgConnection, events: &[&RecordedEvent]) -> Result<(), ApplyError> {
        fold::apply(connection, events).await
    }
}

/// One change of a merchant's money, in minor units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement {
    pub merchant_id: MerchantId,
    pub currency: Currency,
    pub position: u64,
    pub event_type: String,
    pub object: String,
    pub amount: i128,
    /// Behind this movement.
    pub balance: i128,
    pub recorded_at: Timestamp,
    pub effective_at: Timestamp,
}

impl Movement {
    /// By what the movement is about, else by the category of its event: `payment`, `fee`, `refund`, `dispute`,
    /// `settlement`, `withdrawal`, `adjustment`.
    pub fn kind(&self) -> &str {
        kind_of(&self.event_type, &self.object)
    }
}

fn kind_of<'a>(event_type: &'a str, object: &str) -> &'a str {
    let (category, _) = event_type.split_once('.').unwrap_or((event_type, ""));
    match object.split_once('_').map(|(prefix, _)| prefix) {
        _ if event_type == "payment.fee_trued_up" => "fee",
        // A refund made or undone after all touches no hold, and stands under its payment.
        _ if event_type.starts_with("payment.refund_") => "refund",
        Some("re") => "refund",
        Some("dp") => "dispute",
        Some("set") => "settlement",
        Some("wd") => "withdrawal",
        Some("adj") => "adjustment",
        _ => category,
    }
}

/// Whose money, and from which position (excluded) to which (included).
#[derive(Debug, Clone, Copy)]
pub struct Window {
    pub merchant_id: MerchantId,
    pub currency: Currency,
    pub from: u64,
    pub to: u64,
}

/// What the merchant had once the log stood at `position`, in minor units.
pub async fn balance_at(
    view: &mut Snapshot,
    merchant_id: MerchantId,
    currency: Currency,
    position: u64,
) -> Result<i128, ReadError> {
    let row = sqlx::query(
        "SELECT balance::text FROM movements
          WHERE merchant_id = $1 AND currency = $2 AND position <= $3 ORDER BY position DESC LIMIT 1",
    )
    .bind(merchant_id.to_string())
    .bind(currency.to_string())
    .bind(view.up_to(Some(position))?)
    .fetch_optional(view.connection())
    .await?;
    Ok(row.as_ref().map_or(Ok(0), |row| sum_of(row, "balance"))?)
}

/// A page of the window's movements, oldest first, as statements are read.
pub async fn movements(
    view: &mut Snapshot,
    window: &Window,
    limit: u32,
    cursor: Option<&Cursor>,
) -> Result<Page<Movement>, ReadError> {
    let from = match cursor {
        Some(cursor) => from_sql(cursor.key)?.max(window.from),
        None => window.from,
    };
    let mut query = QueryBuilder::new(SELECT);
    query.push(" WHERE merchant_id = ").push_bind(window.merchant_id.to_string());
    query.push(" AND currency = ").push_bind(window.currency.to_string());
    query.push(" AND position > ").push_bind(to_sql(from));
    query.push(" AND position <= ").push_bind(view.up_to(Some(window.to))?);
    query.push(" ORDER BY position LIMIT ").push_bind(i64::from(limit) + 1);
    let rows = query.build().fetch_all(view.connection()).await?;
    let rows = rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?;
    Ok(Page::cut(rows, limit, |row: &Movement| Cursor { key: to_sql(row.position), id: String::new() }))
}

pub(crate) const SELECT: &str =
    "SELECT merchant_id, currency, position, event_type, object, amount::text, balance::text,
                             recorded_at, effective_at
                        FROM movements";

pub(crate) fn read(row: &PgRow) -> Result<Movement, sqlx::Error> {
    Ok(Movement {
        merchant_id: parsed(row, "merchant_id")?,
        currency: parsed(row, "currency")?,
        position: position(row, "position")?,
        event_type: row.try_get("event_type")?,
        object: row.try_get("object")?,
        amount: sum_of(row, "amount")?,
        balance: sum_of(row, "balance")?,
        recorded_at: moment(row, "recorded_at")?,
        effective_at: moment(row, "effective_at")?,
    })
}

/// Every movement, in no particular order.
pub(crate) async fn stored(view: &mut Snapshot) -> Result<Vec<Movement>, ReadError> {
    let rows = sqlx::query(SELECT).fetch_all(view.connection()).await?;
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_movement_is_named_by_what_it_is_about() {
        let table = [
            ("payment.captured", "pay_1", "payment"),
            ("payment.fee_trued_up", "pay_1", "fee"),
            ("payment.refund_succeeded", "re_1", "refund"),
            ("payment.refund_reversed", "pay_1", "refund"),
            ("payment.dispute_opened", "dp_1", "dispute"),
            ("merchant_account.withdrawal_sent", "wd_1", "withdrawal"),
            ("adjustment.approved", "adj_1", "adjustment"),
            ("merchant_account.adjustment_credited", "adj_1", "adjustment"),
        ];
        for (event_type, object, kind) in table {
            assert_eq!(kind_of(event_type, object), kind, "{event_type}");
        }
    }
}

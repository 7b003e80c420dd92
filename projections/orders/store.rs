//! The SQL by which payments' contributions and orders are loaded and saved, a batch at a time.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use commands::ports::RecordedEvent;
use domain::payment::PaymentStatus;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use super::derive::Attempt;
use super::made::{self, Made, MadeRow};
use super::{ListedOrder, OrderKey, OrderRow, Place};
use crate::StatusText;
use crate::database::{damaged, moment, parsed, to_sql};

/// The payments that the events are about, by stream id, as far as they are known.
pub(super) async fn load_attempts(
    connection: &mut PgConnection,
    events: &[&RecordedEvent],
) -> Result<HashMap<String, Attempt>, sqlx::Error> {
    let ids: BTreeSet<&str> = events.iter().map(|event| event.stream.id.as_str()).collect();
    let ids: Vec<&str> = ids.into_iter().collect();
    let rows =
        sqlx::query("SELECT * FROM order_payments WHERE payment_id = ANY($1)").bind(ids).fetch_all(connection).await?;
    rows.iter().map(|row| Ok((row.try_get("payment_id")?, read_attempt(row)?))).collect()
}

/// All payments of these orders.
pub(super) async fn load_orders(
    connection: &mut PgConnection,
    keys: &BTreeSet<OrderKey>,
) -> Result<Vec<Attempt>, sqlx::Error> {
    let (merchants, order_nos) = texts(keys);
    let rows = sqlx::query(
        "SELECT order_payments.* FROM unnest($1::text[], $2::text[]) AS wanted (merchant_id, order_no)
           JOIN order_payments USING (merchant_id, order_no)",
    )
    .bind(merchants)
    .bind(order_nos)
    .fetch_all(connection)
    .await?;
    rows.iter().map(read_attempt).collect()
}

/// Those of the orders that were made, by merchant and number.
pub(super) async fn load_made(
    connection: &mut PgConnection,
    keys: &BTreeSet<OrderKey>,
) -> Result<BTreeMap<OrderKey, MadeRow>, sqlx::Error> {
    let (merchants, order_nos) = texts(keys);
    let rows = sqlx::query(
        "SELECT orders.recorded_at, orders.updated_at, orders.version, orders.made::text
           FROM unnest($1::text[], $2::text[]) AS wanted (merchant_id, order_no)
           JOIN orders USING (merchant_id, order_no)
          WHERE orders.made IS NOT NULL",
    )
    .bind(merchants)
    .bind(order_nos)
    .fetch_all(connection)
    .await?;
    rows.iter().filter_map(|row| made::read_row(row).transpose()).collect()
}

fn texts(keys: &BTreeSet<OrderKey>) -> (Vec<String>, Vec<String>) {
    keys.iter().map(|(merchant, order_no)| (merchant.to_string(), order_no.to_string())).unzip()
}

fn read_attempt(row: &PgRow) -> Result<Attempt, sqlx::Error> {
    let status: &str = row.try_get("status")?;
    let known = PaymentStatus::ALL.into_iter().find(|known| known.as_str() == status);
    Ok(Attempt {
        payment_id: parsed(row, "payment_id")?,
        merchant_id: parsed(row, "merchant_id")?,
        order_no: parsed(row, "order_no")?,
        status: known.ok_or_else(|| damaged(format!("{status} is no status of a payment")))?,
        currency: parsed(row, "currency")?,
        amount: row.try_get("amount")?,
        amount_captured: row.try_get("amount_captured")?,
        amount_refunded: row.try_get("amount_refunded")?,
        channel: parsed(row, "channel")?,
        created_at: moment(row, "created_at")?,
        recorded_at: moment(row, "recorded_at")?,
        updated_at: moment(row, "updated_at")?,
    })
}

/// The rows as one column.
fn column<'r, R, T>(rows: &'r [R], of: impl Fn(&'r R) -> T) -> Vec<T> {
    rows.iter().map(of).collect()
}

pub(super) async fn save_attempts(
    connection: &mut PgConnection,
    attempts: &HashMap<String, Attempt>,
) -> Result<(), sqlx::Error> {
    let mut rows: Vec<&Attempt> = attempts.values().collect();
    rows.sort_unstable_by_key(|attempt| attempt.payment_id);
    sqlx::query(
        "INSERT INTO order_payments
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[],
                              $8::bigint[], $9::text[], $10::timestamptz[], $11::timestamptz[], $12::timestamptz[])
         ON CONFLICT (payment_id) DO UPDATE
            SET status = excluded.status, amount_captured = excluded.amount_captured,
                amount_refunded = excluded.amount_refunded, updated_at = excluded.updated_at",
    )
    .bind(column(&rows, |row| row.payment_id.to_string()))
    .bind(column(&rows, |row| row.merchant_id.to_string()))
    .bind(column(&rows, |row| row.order_no.as_str()))
    .bind(column(&rows, |row| row.status.as_str()))
    .bind(column(&rows, |row| row.currency.code()))
    .bind(column(&rows, |row| row.amount))
    .bind(column(&rows, |row| row.amount_captured))
    .bind(column(&rows, |row| row.amount_refunded))
    .bind(column(&rows, |row| row.channel.as_str()))
    .bind(column(&rows, |row| row.created_at.to_datetime()))
    .bind(column(&rows, |row| row.recorded_at.to_datetime()))
    .bind(column(&rows, |row| row.updated_at.to_datetime()))
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn save_orders(connection: &mut PgConnection, orders: &[ListedOrder]) -> Result<(), sqlx::Error> {
    fn of<T>(orders: &[ListedOrder], of: impl Fn(&OrderRow) -> T) -> Vec<T> {
        column(orders, |listed| of(&listed.row))
    }
    fn before<T>(orders: &[ListedOrder], of: impl Fn(&Place) -> T) -> Vec<Option<T>> {
        column(orders, |listed| listed.before.as_ref().map(&of))
    }
    let ids = |order: &OrderRow| {
        let ids: Vec<String> = order.payment_ids.iter().map(|id| id.to_string()).collect();
        ids.join(",")
    };
    let made = of(orders, |row| row.made.as_ref().map(Made::text).transpose()).into_iter();
    let made = made.collect::<Result<Vec<_>, _>>()?;
    sqlx::query(
        "INSERT INTO orders
         SELECT merchant, order_no, status, currency, amount, paid, refunded, channel, created, recorded, updated,
                string_to_array(ids, ','), first_id, before_created, before_id, before_recorded, version, made::json
           FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[],
                       $8::text[], $9::timestamptz[], $10::timestamptz[], $11::timestamptz[], $12::text[], $13::text[],
                       $14::timestamptz[], $15::text[], $16::timestamptz[], $17::bigint[], $18::text[])
             AS t (merchant, order_no, status, currency, amount, paid, refunded, channel, created, recorded, updated, ids,
                   first_id, before_created, before_id, before_recorded, version, made)
         ON CONFLICT (merchant_id, order_no) DO UPDATE
            SET status = excluded.status, currency = excluded.currency, amount = excluded.amount,
                amount_paid = excluded.amount_paid, amount_refunded = excluded.amount_refunded,
                channel = excluded.channel, created_at = excluded.created_at, recorded_at = excluded.recorded_at,
                updated_at = excluded.updated_at, payment_ids = excluded.payment_ids, first_id = excluded.first_id,
                before_created_at = excluded.before_created_at, before_first_id = excluded.before_first_id,
                before_recorded_at = excluded.before_recorded_at, version = excluded.version, made = excluded.made",
    )
    .bind(of(orders, |row| row.merchant_id.to_string()))
    .bind(of(orders, |row| row.order_no.to_string()))
    .bind(of(orders, |row| row.status.as_str()))
    .bind(of(orders, |row| row.currency.to_string()))
    .bind(of(orders, |row| row.amount))
    .bind(of(orders, |row| row.amount_paid))
    .bind(of(orders, |row| row.amount_refunded))
    .bind(of(orders, |row| row.channel.as_ref().map(ToString::to_string)))
    .bind(of(orders, |row| row.created_at.to_datetime()))
    .bind(column(orders, |listed| listed.recorded_at.to_datetime()))
    .bind(of(orders, |row| row.updated_at.to_datetime()))
    .bind(of(orders, ids))
    .bind(of(orders, OrderRow::first_id))
    .bind(before(orders, |place| place.created_at.to_datetime()))
    .bind(before(orders, |place| place.first_id.clone()))
    .bind(before(orders, |place| place.recorded_at.to_datetime()))
    .bind(of(orders, |row| row.made.as_ref().map(|made| to_sql(made.version))))
    .bind(made)
    .execute(connection)
    .await?;
    Ok(())
}

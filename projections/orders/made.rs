//! Orders that were made before their payments: each row is the fold of the order's own stream. Pure but for reading rows.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use commands::ports::RecordedEvent;
use commands::ports::event::Unreadable;
use domain::order::{Event, Order, Progress, Record, State};
use domain::{Decider, Timestamp};
use sqlx::postgres::PgRow;

use super::derive::Attempt;
use super::{ListedOrder, OrderKey, OrderRow, OrderStatus, Place};
use crate::ApplyError;
use crate::database::{damaged, json, moment, position};

/// What an order's own stream says of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    pub version: u64,
    pub record: Record,
}

/// An order's stream as of `version`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct MadeRow {
    version: u64,
    /// When its first event was recorded.
    recorded_at: Timestamp,
    updated_at: Timestamp,
    record: Option<Record>,
}

/// The merchant and the number that a stream of orders is about.
fn key_of(stream_id: &str) -> Option<OrderKey> {
    let (merchant, order_no) = stream_id.split_once(':')?;
    Some((merchant.parse().ok()?, order_no.parse().ok()?))
}

fn key_of_event(event: &RecordedEvent) -> Result<OrderKey, ApplyError> {
    key_of(&event.stream.id).ok_or_else(|| ApplyError::inapplicable(event, "the stream's id names no order"))
}

/// The orders that a batch is about.
pub(super) fn touched(
    attempts: &HashMap<String, Attempt>,
    events: &[&RecordedEvent],
) -> Result<BTreeSet<OrderKey>, ApplyError> {
    let of_attempts = attempts.values().map(|attempt| Ok((attempt.merchant_id, attempt.order_no.clone())));
    of_attempts.chain(events.iter().map(|event| key_of_event(event))).collect()
}

pub(crate) fn fold_all(orders: &mut BTreeMap<OrderKey, MadeRow>, events: &[&RecordedEvent]) -> Result<(), ApplyError> {
    for recorded in events {
        let row = orders.entry(key_of_event(recorded)?).or_default();
        if recorded.version != row.version + 1 {
            let gap = format!("version {} follows {}", recorded.version, row.version);
            return Err(ApplyError::inapplicable(recorded, gap));
        }
        *row = std::mem::take(row).after(recorded.decoded()?, recorded);
        if row.record.is_none() {
            return Err(ApplyError::inapplicable(recorded, "the stream begins with another event than its first"));
        }
    }
    Ok(())
}

/// The order that this stream makes, from its events up to one moment; none if it was not made by then.
pub(super) fn of_history(history: &[RecordedEvent]) -> Result<Option<OrderRow>, Unreadable> {
    let mut row = MadeRow::default();
    for recorded in history {
        row = row.after(recorded.decoded()?, recorded);
    }
    Ok(row.record.is_some().then(|| OrderRow::from(&row)))
}

impl MadeRow {
    fn after(self, event: &Event, recorded: &RecordedEvent) -> MadeRow {
        let recorded_at = if self.version == 0 { recorded.recorded_at } else { self.recorded_at };
        let state = self.record.map_or(State::Absent, |record| State::Exists(Box::new(record)));
        let record = match Order::evolve(state, event) {
            State::Absent => None,
            State::Exists(record) => Some(*record),
        };
        MadeRow { version: recorded.version, recorded_at, updated_at: recorded.recorded_at, record }
    }

    /// `simple` is what its payments alone come to: how it was listed before it was made, if they came first.
    pub(super) fn listed(&self, simple: Option<ListedOrder>) -> ListedOrder {
        let before = simple.filter(|simple| simple.recorded_at < self.recorded_at).map(|simple| Place {
            created_at: simple.row.created_at,
            first_id: simple.row.first_id(),
            recorded_at: simple.recorded_at,
        });
        ListedOrder { row: OrderRow::from(self), recorded_at: self.recorded_at, before }
    }
}

impl Made {
    /// As of the record's `version`-th event, which was recorded at `updated_at`.
    pub fn row(self, updated_at: Timestamp) -> OrderRow {
        let record = &self.record;
        OrderRow {
            merchant_id: record.terms.merchant_id,
            order_no: record.terms.order_no.clone(),
            status: record.progress().into(),
            currency: record.terms.currency,
            amount: record.terms.total,
            amount_paid: record.paid(),
            amount_refunded: record.refunded(),
            channel: record.places.last().map(|place| place.channel.clone()),
            created_at: record.terms.created_at,
            updated_at,
            payment_ids: record.payment_ids(),
            made: Some(self),
        }
    }

    pub(super) fn text(&self) -> Result<String, sqlx::Error> {
        serde_json::to_string(&self.record).map_err(|error| damaged(error.to_string()))
    }
}

/// Only rows that have a record are written.
impl From<&MadeRow> for OrderRow {
    fn from(row: &MadeRow) -> OrderRow {
        let record = row.record.clone().expect("a row is folded from its first event on");
        Made { version: row.version, record }.row(row.updated_at)
    }
}

impl From<Progress> for OrderStatus {
    fn from(progress: Progress) -> OrderStatus {
        match progress {
            Progress::Pending => OrderStatus::Pending,
            Progress::PartiallyPaid => OrderStatus::PartiallyPaid,
            Progress::Paid => OrderStatus::Paid,
            Progress::PartiallyRefunded => OrderStatus::PartiallyRefunded,
            Progress::Refunded => OrderStatus::Refunded,
            Progress::Shipped => OrderStatus::Shipped,
            Progress::Completed => OrderStatus::Completed,
            Progress::Cancelled => OrderStatus::Cancelled,
        }
    }
}

/// What the row says of an order that was made.
pub(super) fn read(row: &PgRow) -> Result<Option<Made>, sqlx::Error> {
    match json(row, "made")? {
        Some(record) => Ok(Some(Made { version: position(row, "version")?, record })),
        None => Ok(None),
    }
}

pub(super) fn read_row(row: &PgRow) -> Result<Option<(OrderKey, MadeRow)>, sqlx::Error> {
    let Some(Made { version, record }) = read(row)? else { return Ok(None) };
    let key = (record.terms.merchant_id, record.terms.order_no.clone());
    let (recorded_at, updated_at) = (moment(row, "recorded_at")?, moment(row, "updated_at")?);
    Ok(Some((key, MadeRow { version, recorded_at, updated_at, record: Some(record) })))
}

//! The read model `channel_operations`: what moved with each channel and each bank of ours as the log tells it, a row for
//! each movement. One side of every reconciliation.

mod fold;

use async_trait::async_trait;
use commands::ports::RecordedEvent;
use domain::reconciliation::matching::Basis;
use domain::reconciliation::{Amounts, Counterparty, Operation, Period};
use domain::{Currency, PaymentId};
use futures::{Stream, StreamExt};
use sqlx::postgres::PgRow;
use sqlx::types::chrono::{DateTime, Utc};
use sqlx::{PgConnection, Row};

use crate::database::{moment, parsed, position};
use crate::{ApplyError, Projection, ReadError, Snapshot};

pub(crate) use fold::{Operations, fold, read_facts};

#[derive(Debug, Clone, Copy)]
pub struct ChannelOperations;

const DDL: &str = r#"
CREATE TABLE channel_operations (
    -- `channel:stripe`, `bank:sandbox`.
    counterparty    text COLLATE "C" NOT NULL,
    -- Our id of what moved, and what it moved for.
    object          text COLLATE "C" NOT NULL,
    kind            text COLLATE "C" NOT NULL,
    -- Of what comes in parts, which one it is; the first is 1.
    part            smallint         NOT NULL,
    -- Of the event that began it.
    position        bigint           NOT NULL,
    -- The counterparty's own.
    reference       text COLLATE "C",
    currency        text COLLATE "C" NOT NULL,
    -- Minor units; gross adds to what we have there, the fee takes away from it.
    gross           bigint           NOT NULL,
    fee             bigint           NOT NULL,
    fee_is_estimate boolean          NOT NULL,
    occurred_at     timestamptz      NOT NULL,
    PRIMARY KEY (counterparty, object, kind, part)
);
CREATE INDEX of_counterparty ON channel_operations (counterparty, occurred_at);
"#;

macro_rules! select {
    () => {
        "SELECT position, kind, object, reference, currency, gross, fee, fee_is_estimate, occurred_at
           FROM channel_operations
          WHERE counterparty = $1 AND occurred_at BETWEEN $2 AND $3 AND (gross <> 0 OR fee <> 0)"
    };
}

#[async_trait]
impl Projection for ChannelOperations {
    fn name(&self) -> &'static str {
        "channel_operations"
    }

    fn version(&self) -> i32 {
        2
    }

    fn categories(&self) -> &'static [&'static str] {
        &["channel_account", "merchant_account", "payment"]
    }

    fn tables(&self) -> &'static [&'static str] {
        &["channel_operations"]
    }

    fn ddl(&self) -> &'static str {
        DDL
    }

    async fn apply(&self, connection: &mut PgConnection, events: &[&RecordedEvent]) -> Result<(), ApplyError> {
        fold::apply(connection, events).await
    }
}

/// What a side is sorted by: texts in the order of their bytes, then a number.
pub type SortKey = (String, &'static str, i64);

/// Lets a view sort up to a million operations in memory, and compile nothing for it.
pub async fn expect_many(view: &mut Snapshot) -> Result<(), ReadError> {
    let settings = "SELECT set_config('work_mem', '64MB', true), set_config('jit', 'off', true)";
    sqlx::query(settings).execute(view.connection()).await?;
    Ok(())
}

/// The counterparty's operations of the period in the order of their keys, those without one left out.
pub fn sorted<'v>(
    view: &'v mut Snapshot,
    counterparty: &Counterparty,
    period: &Period,
    basis: Basis,
) -> impl Stream<Item = Result<(SortKey, Operation), ReadError>> + 'v {
    let statement = match basis {
        Basis::Reference => {
            concat!(select!(), " AND reference IS NOT NULL ORDER BY reference, kind, occurred_at, position")
        }
        Basis::OwnReference => concat!(select!(), " ORDER BY object, kind, occurred_at, position"),
        Basis::Amount => concat!(select!(), " ORDER BY kind, currency, gross, occurred_at, position"),
    };
    let rows = sqlx::query(statement)
        .bind(counterparty.to_string())
        .bind(period.from.to_datetime())
        .bind(period.to.to_datetime())
        .fetch(view.connection());
    rows.map(move |row| {
        let operation = read_selected(&row?)?;
        Ok((key_of(&operation, basis), operation))
    })
}

/// The counterparty's operations of the period that have no reference of its own, in no particular order.
pub fn nameless<'v>(
    view: &'v mut Snapshot,
    counterparty: &Counterparty,
    period: &Period,
) -> impl Stream<Item = Result<Operation, ReadError>> + 'v {
    let rows = sqlx::query(concat!(select!(), " AND reference IS NULL"))
        .bind(counterparty.to_string())
        .bind(period.from.to_datetime())
        .bind(period.to.to_datetime())
        .fetch(view.connection());
    rows.map(|row| Ok(read_selected(&row?)?))
}

pub fn key_of(operation: &Operation, basis: Basis) -> SortKey {
    let (kind, amounts) = (operation.kind.as_str(), &operation.amounts);
    match basis {
        Basis::Reference => (operation.reference.clone().unwrap_or_default(), kind, 0),
        Basis::OwnReference => (operation.object.clone(), kind, 0),
        // A blank sorts before every letter: in the order of the kinds, then of the currencies.
        Basis::Amount => (format!("{kind} {}", amounts.currency), "", amounts.gross),
    }
}

/// The payment whose fee is an estimate still.
pub fn estimated_fee_of(operation: &Operation) -> Option<PaymentId> {
    operation.object.parse().ok().filter(|_| operation.fee_is_estimate)
}

/// By the places of the columns: a run reads a million of these.
fn read_selected(row: &PgRow) -> Result<Operation, sqlx::Error> {
    let decode = |message: String| sqlx::Error::Decode(message.into());
    let (position, kind, currency): (i64, &str, &str) = (row.try_get(0)?, row.try_get(1)?, row.try_get(4)?);
    Ok(Operation {
        position: u64::try_from(position).map_err(|error| decode(error.to_string()))?,
        kind: kind.parse().map_err(|_| decode(format!("{kind} is no kind")))?,
        object: row.try_get(2)?,
        reference: row.try_get(3)?,
        amounts: Amounts {
            currency: currency.parse().map_err(|_| decode(format!("{currency} is no currency")))?,
            gross: row.try_get(5)?,
            fee: row.try_get(6)?,
        },
        fee_is_estimate: row.try_get(7)?,
        occurred_at: row.try_get::<DateTime<Utc>, _>(8)?.into(),
        is_taken: false,
    })
}

fn read(row: &PgRow) -> Result<Operation, sqlx::Error> {
    let currency: Currency = parsed(row, "currency")?;
    Ok(Operation {
        position: position(row, "position")?,
        kind: parsed(row, "kind")?,
        object: row.try_get("object")?,
        reference: row.try_get("reference")?,
        amounts: Amounts { currency, gross: row.try_get("gross")?, fee: row.try_get("fee")? },
        fee_is_estimate: row.try_get("fee_is_estimate")?,
        occurred_at: moment(row, "occurred_at")?,
        is_taken: false,
    })
}

/// Every operation, in no particular order.
pub(crate) async fn stored(view: &mut Snapshot) -> Result<Operations, ReadError> {
    let rows = sqlx::query("SELECT * FROM channel_operations").fetch_all(view.connection()).await?;
    Ok(rows.iter().map(fold::entry).collect::<Result<_, sqlx::Error>>()?)
}

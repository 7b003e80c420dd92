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
    PRIMARY KEY (counterparty, object, kind)
);
CREATE INDEX of_counterparty ON channel_operations (counterparty, occurred_at);
"#;

macro_rules! select {
    () => {
        "SELECT * FROM channel_operations
          WHERE counterparty = $1 AND occurred_at BETWEEN $2 AND $3 AND (gross <> 0 OR fee <> 0)"
    };
}

#[async_trait]
impl Projection for ChannelOperations {
    fn name(&self) -> &'static str {
        "channel_operations"
    }

    fn version(&self) -> i32 {
        1
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
pub type SortKey = (String, String, i64);

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
        let operation = read(&row?)?;
        Ok((key_of(&operation, basis), operation))
    })
}

fn key_of(operation: &Operation, basis: Basis) -> SortKey {
    let (kind, amounts) = (operation.kind.to_string(), &operation.amounts);
    match basis {
        Basis::Reference => (operation.reference.clone().unwrap_or_default(), kind, 0),
        Basis::OwnReference => (operation.object.clone(), kind, 0),
        Basis::Amount => (kind, amounts.currency.to_string(), amounts.gross),
    }
}

/// The payment whose fee is an estimate still.
pub fn estimated_fee_of(operation: &Operation) -> Option<PaymentId> {
    operation.object.parse().ok().filter(|_| operation.fee_is_estimate)
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

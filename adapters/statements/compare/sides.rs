//! The two sides of a run as streams: lines from their table, operations from the read model, both in the order of a key.

use commands::ports::statements::StatementsUnavailable;
use domain::reconciliation::matching::Basis;
use domain::reconciliation::{Amounts, Counterparty, Line, Operation, Period};
use futures::{Stream, StreamExt, future};
use projections::Snapshot;
use projections::channel_operations::{self, SortKey};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use tokio::sync::mpsc;

use super::super::book::{moment, parsed, unavailable};
use super::findings::Done;
use super::{BATCHES_WAITING_MAX, Read};

/// A million lines are sorted in memory rather than on disk.
pub(super) const BEGIN: &str = "BEGIN READ ONLY; SET LOCAL work_mem = '64MB'";

/// One side as the thread that joins sees it: batches that come over a channel, one after the other.
pub(super) struct Side<T> {
    batches: mpsc::Receiver<Vec<(SortKey, T)>>,
    batch: std::vec::IntoIter<(SortKey, T)>,
}

impl<T> Side<T> {
    pub(super) fn channel() -> (mpsc::Sender<Vec<(SortKey, T)>>, Side<T>) {
        let (sender, batches) = mpsc::channel(BATCHES_WAITING_MAX);
        (sender, Side { batches, batch: vec![].into_iter() })
    }
}

impl<T> Iterator for Side<T> {
    type Item = (SortKey, T);

    fn next(&mut self) -> Option<(SortKey, T)> {
        loop {
            if let Some(one) = self.batch.next() {
                return Some(one);
            }
            self.batch = self.batches.blocking_recv()?.into_iter();
        }
    }
}

/// The lines of a statement in the order of their keys, those without one left out.
pub(super) fn lines(
    connection: &mut PgConnection,
    statement: i64,
    basis: Basis,
) -> impl Stream<Item = Read<Line>> + '_ {
    let query = match basis {
        Basis::Reference => {
            "SELECT * FROM reconciliation_lines WHERE statement = $1 AND reference IS NOT NULL
              ORDER BY reference, kind, occurred_at, line"
        }
        Basis::OwnReference => {
            "SELECT * FROM reconciliation_lines WHERE statement = $1 AND own_reference IS NOT NULL
              ORDER BY own_reference, kind, occurred_at, line"
        }
        Basis::Amount => {
            "SELECT * FROM reconciliation_lines WHERE statement = $1
              ORDER BY kind, currency, gross, occurred_at, line"
        }
    };
    let rows = sqlx::query(query).bind(statement).fetch(connection);
    rows.map(move |row| {
        let line = row.and_then(|row| read(&row)).map_err(unavailable)?;
        Ok((key_of(&line, basis), line))
    })
}

/// The lines of a statement in the order of the file.
pub(super) fn lines_as_written(
    connection: &mut PgConnection,
    statement: i64,
) -> impl Stream<Item = Result<Line, StatementsUnavailable>> + '_ {
    let query = "SELECT * FROM reconciliation_lines WHERE statement = $1 ORDER BY line";
    let rows = sqlx::query(query).bind(statement).fetch(connection);
    rows.map(|row| row.and_then(|row| read(&row)).map_err(unavailable))
}

/// Our operations that this run has not settled yet; the ones that another statement has are marked.
pub(super) fn operations<'v>(
    view: &'v mut Snapshot,
    counterparty: &Counterparty,
    period: &Period,
    basis: Basis,
    done: &'v Done,
) -> impl Stream<Item = Read<Operation>> + 'v {
    let sorted = channel_operations::sorted(view, counterparty, period, basis);
    sorted.filter_map(|read| {
        let open = match read {
            Ok((_, operation)) if done.has_operation(operation.position) => None,
            Ok((key, mut operation)) => {
                operation.is_taken = done.is_taken(operation.position);
                Some(Ok((key, operation)))
            }
            Err(error) => Some(Err(StatementsUnavailable(error.to_string()))),
        };
        future::ready(open)
    })
}

fn key_of(line: &Line, basis: Basis) -> SortKey {
    let (kind, amounts) = (line.kind.to_string(), &line.amounts);
    match basis {
        Basis::Reference => (line.reference.clone().unwrap_or_default(), kind, 0),
        Basis::OwnReference => (line.own_reference.clone().unwrap_or_default(), kind, 0),
        Basis::Amount => (kind, amounts.currency.to_string(), amounts.gross),
    }
}

fn read(row: &PgRow) -> Result<Line, sqlx::Error> {
    let number: i32 = row.try_get("line")?;
    Ok(Line {
        number: u32::try_from(number).map_err(|error| sqlx::Error::Decode(error.into()))?,
        kind: parsed(row, "kind")?,
        reference: row.try_get("reference")?,
        own_reference: row.try_get("own_reference")?,
        amounts: Amounts { currency: parsed(row, "currency")?, gross: row.try_get("gross")?, fee: row.try_get("fee")? },
        occurred_at: moment(row, "occurred_at")?.unwrap_or_default(),
    })
}

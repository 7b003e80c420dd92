//! The two sides of a run as streams: lines from their table, operations from the read model, both in the order of a key.

use commands::ports::statements::StatementsUnavailable;
use domain::Timestamp;
use domain::reconciliation::matching::Basis;
use domain::reconciliation::{Amounts, Counterparty, Line, Operation, Period};
use futures::{Stream, StreamExt, future};
use projections::channel_operations::{self, SortKey};
use projections::{ReadError, Snapshot};
use sqlx::postgres::PgRow;
use sqlx::types::chrono::{DateTime, Utc};
use sqlx::{PgConnection, Row};
use tokio::sync::mpsc;

use super::super::book::unavailable;
use super::findings::Done;
use super::{BATCHES_WAITING_MAX, Read};

/// A million lines are sorted in memory rather than on disk, and no time is lost on compiling a sort.
pub(super) const BEGIN: &str = "BEGIN READ ONLY; SET LOCAL work_mem = '64MB'; SET LOCAL jit = off";

macro_rules! of_lines {
    ($rest:literal) => {
        concat!(
            "SELECT line, kind, reference, own_reference, currency, gross, fee, occurred_at FROM reconciliation_lines
              WHERE statement = $1 ",
            $rest
        )
    };
}

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
            of_lines!("AND reference IS NOT NULL ORDER BY reference, kind, occurred_at, line")
        }
        Basis::OwnReference => {
            of_lines!("AND own_reference IS NOT NULL ORDER BY own_reference, kind, occurred_at, line")
        }
        Basis::Amount => {
            of_lines!("ORDER BY kind, currency, gross, occurred_at, line")
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
    plain_lines(connection, statement, of_lines!("ORDER BY line"))
}

/// The lines that have no reference of the counterparty, in no particular order.
pub(super) fn nameless_lines(
    connection: &mut PgConnection,
    statement: i64,
) -> impl Stream<Item = Result<Line, StatementsUnavailable>> + Unpin + '_ {
    plain_lines(connection, statement, of_lines!("AND reference IS NULL"))
}

fn plain_lines<'c>(
    connection: &'c mut PgConnection,
    statement: i64,
    query: &'static str,
) -> impl Stream<Item = Result<Line, StatementsUnavailable>> + Unpin + 'c {
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
    sorted.filter_map(|read| future::ready(open(read, |(_, operation)| operation, done)))
}

/// Those of them that have no reference of the counterparty, in no particular order.
pub(super) fn nameless_operations<'v>(
    view: &'v mut Snapshot,
    counterparty: &Counterparty,
    period: &Period,
    done: &'v Done,
) -> impl Stream<Item = Result<Operation, StatementsUnavailable>> + 'v {
    let nameless = channel_operations::nameless(view, counterparty, period);
    nameless.filter_map(|read| future::ready(open(read, |operation| operation, done)))
}

/// Marks what is taken, and leaves out what is settled.
fn open<T>(
    read: Result<T, ReadError>,
    of: impl Fn(&mut T) -> &mut Operation,
    done: &Done,
) -> Option<Result<T, StatementsUnavailable>> {
    let mut one = match read {
        Ok(one) => one,
        Err(error) => return Some(Err(StatementsUnavailable(error.to_string()))),
    };
    let operation = of(&mut one);
    if done.has_operation(operation.position) {
        return None;
    }
    operation.is_taken = done.is_taken(operation.position);
    Some(Ok(one))
}

pub(super) fn key_of(line: &Line, basis: Basis) -> SortKey {
    let (kind, amounts) = (line.kind.as_str(), &line.amounts);
    match basis {
        Basis::Reference => (line.reference.clone().unwrap_or_default(), kind, 0),
        Basis::OwnReference => (line.own_reference.clone().unwrap_or_default(), kind, 0),
        Basis::Amount => (format!("{kind} {}", amounts.currency), "", amounts.gross),
    }
}

fn read(row: &PgRow) -> Result<Line, sqlx::Error> {
    let number: i32 = row.try_get(0)?;
    Ok(Line {
        number: u32::try_from(number).map_err(|error| sqlx::Error::Decode(error.into()))?,
        kind: parsed_at(row, 1)?,
        reference: row.try_get(2)?,
        own_reference: row.try_get(3)?,
        amounts: Amounts { currency: parsed_at(row, 4)?, gross: row.try_get(5)?, fee: row.try_get(6)? },
        occurred_at: Timestamp::from(row.try_get::<DateTime<Utc>, _>(7)?),
    })
}

fn parsed_at<T: std::str::FromStr>(row: &PgRow, index: usize) -> Result<T, sqlx::Error> {
    let text: &str = row.try_get(index)?;
    text.parse().map_err(|_| sqlx::Error::Decode(format!("{text} is nothing that is kept in column {index}").into()))
}

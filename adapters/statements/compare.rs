//! One run over a statement: its lines and our operations are streamed in the order of each key, joined and settled by
//! the domain on a thread of their own, and written as they come. One transaction holds all of it, and one run at a time
//! goes over the statements of one counterparty, because what one of them has taken the other cannot have.

mod findings;
mod left;
mod sides;

use std::time::Duration;

use commands::ports::statements::{RunOrder, RunOutcome, StatementsUnavailable};
use domain::reconciliation::matching::{Basis, Settled, join, settle};
use domain::reconciliation::{Counterparty, Difference, DifferenceKind, Line, Operation, Period};
use futures::{Stream, StreamExt};
use projections::Snapshot;
use projections::channel_operations::{self, ChannelOperations, SortKey};
use sqlx::{PgConnection, Postgres, Row, Transaction};
use tokio::sync::mpsc;

use super::book::{PostgresStatementBook, moment, parsed, unavailable};
use findings::Findings;
use left::Left;
use sides::{Side, lines, lines_as_written, nameless_lines, nameless_operations, operations};

/// How long a run waits for the read model that has the other side.
const READ_MODEL_WITHIN: Duration = Duration::from_secs(30);
/// A reference is looked for so long before and after the statement's own days.
const SEARCHED_AROUND: Duration = Duration::from_secs(60 * 24 * 3600);
const BATCH: usize = 2_000;
const BATCHES_WAITING_MAX: usize = 4;

/// A statement as a run needs it.
struct Subject {
    number: i64,
    counterparty: Counterparty,
    /// None of a statement without lines.
    period: Option<Period>,
    covers: Vec<String>,
    currencies: Vec<String>,
    lines: u64,
}

pub(super) async fn run(book: &PostgresStatementBook, order: &RunOrder) -> Result<RunOutcome, StatementsUnavailable> {
    let mut transaction = projections::begin(&book.pool, "BEGIN").await.map_err(unavailable)?;
    let subject = take(&mut transaction, order).await.map_err(unavailable)?;
    let view = book.reader.at_least(&[&ChannelOperations], Some(order.at_least), READ_MODEL_WITHIN).await;
    let mut view = view.map_err(|error| StatementsUnavailable(error.to_string()))?;
    let position = view.position;
    channel_operations::expect_many(&mut view).await.map_err(|error| StatementsUnavailable(error.to_string()))?;
    let mut findings = Findings::begin(&mut transaction, &subject, order).await.map_err(unavailable)?;
    if let Some(period) = subject.period {
        let mut comparison = Comparison { order, subject: &subject, findings: &mut findings, book };
        comparison.all(&mut transaction, &mut view, &period).await?;
    }
    drop(view);
    let outcome = findings.finish(&mut transaction, position).await.map_err(unavailable)?;
    transaction.commit().await.map_err(unavailable)?;
    Ok(outcome)
}

/// Waits until no other run goes over this counterparty's statements.
async fn take(connection: &mut PgConnection, order: &RunOrder) -> Result<Subject, sqlx::Error> {
    let row = sqlx::query(
        "SELECT number, counterparty, period_from, period_to, covers, lines,
                (SELECT coalesce(array_agg(total ->> 'currency'), '{}') FROM json_array_elements(totals) AS total)
                    AS currencies
           FROM reconciliation_statements WHERE statement_id = $1",
    )
    .bind(order.statement_id.to_string())
    .fetch_one(&mut *connection)
    .await?;
    let counterparty: Counterparty = parsed(&row, "counterparty")?;
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('reconciliation:' || $1, 0))")
        .bind(counterparty.to_string())
        .execute(connection)
        .await?;
    let (from, to) = (moment(&row, "period_from")?, moment(&row, "period_to")?);
    Ok(Subject {
        number: row.try_get("number")?,
        counterparty,
        period: from.zip(to).map(|(from, to)| Period { from, to }),
        covers: row.try_get("covers")?,
        currencies: row.try_get("currencies")?,
        lines: row.try_get::<i64, _>("lines")?.unsigned_abs(),
    })
}

struct Comparison<'a> {
    order: &'a RunOrder,
    subject: &'a Subject,
    findings: &'a mut Findings,
    book: &'a PostgresStatementBook,
}

impl Comparison<'_> {
    async fn all(
        &mut self,
        connection: &mut Transaction<'static, Postgres>,
        view: &mut Snapshot,
        period: &Period,
    ) -> Result<(), StatementsUnavailable> {
        let [first, rest @ ..] = Basis::ALL;
        let left = self.pass(connection, view, period, first).await?;
        if let Some(left) = self.with_nameless(view, period, left).await? {
            return self.rest_in_memory(connection, period, left).await;
        }
        for basis in rest {
            if self.findings.lines_settled() == self.subject.lines {
                break;
            }
            self.pass(connection, view, period, basis).await?;
        }
        self.missing_here(connection).await?;
        self.missing_there(connection, view, period).await
    }

    /// What the first pass did not see, because it has no reference, added to what it left over.
    async fn with_nameless(
        &self,
        view: &mut Snapshot,
        period: &Period,
        mut left: Left,
    ) -> Result<Option<Left>, StatementsUnavailable> {
        let mut reading = projections::begin(&self.book.pool, sides::BEGIN).await.map_err(unavailable)?;
        let mut chunks = nameless_lines(&mut reading, self.subject.number).ready_chunks(BATCH);
        while let Some(chunk) = chunks.next().await {
            left.add(chunk.into_iter().collect::<Result<_, _>>()?, vec![]);
        }
        drop(chunks);
        let done = self.findings.done();
        let here = nameless_operations(view, &self.subject.counterparty, &searched(period), &done);
        let mut chunks = std::pin::pin!(here.ready_chunks(BATCH));
        while let Some(chunk) = chunks.next().await {
            left.add(vec![], chunk.into_iter().collect::<Result<_, _>>()?);
        }
        Ok(left.whole())
    }

    /// The other passes and what is missing, in the order in which the database would tell it.
    async fn rest_in_memory(
        &mut self,
        connection: &mut Transaction<'static, Postgres>,
        period: &Period,
        mut left: Left,
    ) -> Result<(), StatementsUnavailable> {
        let rules = self.order.rules;
        for basis in [Basis::OwnReference, Basis::Amount] {
            let passing = tokio::task::spawn_blocking(move || left.pass(basis, &rules));
            let (settled, rest) = passing.await.map_err(|error| StatementsUnavailable(error.to_string()))?;
            left = rest;
            self.findings.add(connection, settled, &mut left).await.map_err(unavailable)?;
        }
        let Left { mut lines, mut operations, .. } = left;
        lines.sort_by_key(|line| line.number);
        for line in lines {
            let missing = Difference { kind: DifferenceKind::MissingHere, lines: vec![line], operations: vec![] };
            self.findings.differs(connection, missing).await.map_err(unavailable)?;
        }
        operations.retain(|one| (period.from..=period.to).contains(&one.occurred_at) && self.should_be_told(one));
        operations.sort_by(|one, other| {
            let order = |one: &Operation| (one.kind.as_str(), one.occurred_at, one.position);
            one.object.cmp(&other.object).then_with(|| order(one).cmp(&order(other)))
        });
        for operation in operations {
            let (kind, operations) = (DifferenceKind::MissingThere, vec![operation]);
            let missing = Difference { kind, lines: vec![], operations };
            self.findings.differs(connection, missing).await.map_err(unavailable)?;
        }
        Ok(())
    }

    /// It is of a kind and a currency that the statement speaks of, and no other statement has it.
    fn should_be_told(&self, operation: &Operation) -> bool {
        let is_covered = self.subject.covers.iter().any(|kind| kind == operation.kind.as_str());
        let is_spoken_of = self.subject.currencies.iter().any(|code| code == operation.amounts.currency.code());
        is_covered && is_spoken_of && !operation.is_taken
    }

    /// Joins what is not settled yet by one key.
    async fn pass(
        &mut self,
        connection: &mut Transaction<'static, Postgres>,
        view: &mut Snapshot,
        period: &Period,
        basis: Basis,
    ) -> Result<Left, StatementsUnavailable> {
        let (rules, searched) = (self.order.rules, searched(period));
        let mut reading = projections::begin(&self.book.pool, sides::BEGIN).await.map_err(unavailable)?;
        let (line_batches, line_side) = Side::<Line>::channel();
        let (operation_batches, operation_side) = Side::<Operation>::channel();
        let (settled, mut taken) = mpsc::channel::<Vec<Settled>>(BATCHES_WAITING_MAX);
        let joining = tokio::task::spawn_blocking(move || {
            let mut batch = Vec::with_capacity(BATCH);
            join(line_side, operation_side, |lines, operations| {
                batch.push(settle(basis, &rules, lines, operations));
                if batch.len() == BATCH {
                    // Nobody takes it any more once the run has failed.
                    let _ = settled.blocking_send(std::mem::take(&mut batch));
                }
            });
            let _ = settled.blocking_send(batch);
        });
        let done = self.findings.done();
        let open_lines = lines(&mut reading, self.subject.number, basis);
        let open_lines = open_lines.filter(|read| keep(read, |line| !done.has_line(line.number)));
        let here = operations(view, &self.subject.counterparty, &searched, basis, &done);
        let (findings, mut left) = (&mut *self.findings, Left::of_at_most(self.book.left_max));
        let writing = async {
            while let Some(batch) = taken.recv().await {
                findings.add(connection, batch, &mut left).await.map_err(unavailable)?;
            }
            Ok(())
        };
        let feeding =
            async { tokio::try_join!(feed(open_lines, line_batches), feed(here, operation_batches)).map(drop) };
        tokio::try_join!(feeding, writing)?;
        joining.await.map_err(|error| StatementsUnavailable(error.to_string()))?;
        Ok(left)
    }

    async fn missing_here(
        &mut self,
        connection: &mut Transaction<'static, Postgres>,
    ) -> Result<(), StatementsUnavailable> {
        if self.findings.lines_settled() == self.subject.lines {
            return Ok(());
        }
        let done = self.findings.done();
        let mut reading = projections::begin(&self.book.pool, sides::BEGIN).await.map_err(unavailable)?;
        let mut open = std::pin::pin!(lines_as_written(&mut reading, self.subject.number));
        while let Some(line) = open.next().await {
            let line = line?;
            if !done.has_line(line.number) {
                let missing = Difference { kind: DifferenceKind::MissingHere, lines: vec![line], operations: vec![] };
                self.findings.differs(connection, missing).await.map_err(unavailable)?;
            }
        }
        Ok(())
    }

    /// Of the kinds, currencies and days that the statement speaks of.
    async fn missing_there(
        &mut self,
        connection: &mut Transaction<'static, Postgres>,
        view: &mut Snapshot,
        period: &Period,
    ) -> Result<(), StatementsUnavailable> {
        let done = self.findings.done();
        let here = operations(view, &self.subject.counterparty, period, Basis::OwnReference, &done);
        let mut here = std::pin::pin!(here);
        while let Some(read) = here.next().await {
            let (_, operation) = read?;
            if self.should_be_told(&operation) {
                let (kind, operations) = (DifferenceKind::MissingThere, vec![operation]);
                let missing = Difference { kind, lines: vec![], operations };
                self.findings.differs(connection, missing).await.map_err(unavailable)?;
            }
        }
        Ok(())
    }
}

/// The days in which a reference of the statement is looked for.
fn searched(period: &Period) -> Period {
    Period { from: period.from.minus(SEARCHED_AROUND), to: period.to.plus(SEARCHED_AROUND) }
}

type Read<T> = Result<(SortKey, T), StatementsUnavailable>;

fn keep<T>(read: &Read<T>, is_wanted: impl Fn(&T) -> bool) -> std::future::Ready<bool> {
    std::future::ready(read.as_ref().map_or(true, |(_, one)| is_wanted(one)))
}

/// Hands a side on in batches, until it ends or nobody wants more.
async fn feed<T>(
    side: impl Stream<Item = Read<T>>,
    batches: mpsc::Sender<Vec<(SortKey, T)>>,
) -> Result<(), StatementsUnavailable> {
    let mut side = std::pin::pin!(side.ready_chunks(BATCH));
    while let Some(chunk) = side.next().await {
        let batch = chunk.into_iter().collect::<Result<Vec<_>, _>>()?;
        if batches.send(batch).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

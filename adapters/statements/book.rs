//! The book of statements in Postgres: imports a file once, and answers what was found. The run stands in `compare`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use async_trait::async_trait;
use commands::ports::StatementBook;
use commands::ports::statements::{
    BadLine, ImportError, Imported, NewStatement, RunOrder, RunOutcome, StatementsUnavailable,
};
use domain::reconciliation::{Kind, Line, Period, Total};
use domain::reconciliation_exception::Facts;
use domain::{Currency, ExceptionId, StatementId, Timestamp};
use projections::Reader;
use serde::de::DeserializeOwned;
use sqlx::postgres::PgRow;
use sqlx::types::chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool, Row};
use tokio::sync::mpsc;

use super::copy::{BinaryRows, CopyRows};
use super::{Closing, Found, Unreadable, compare, read};

/// What a reader hands over at once, and how many such batches may wait.
const BATCH: usize = 4_000;
const BATCHES_WAITING_MAX: usize = 4;

pub struct PostgresStatementBook {
    pub(super) pool: PgPool,
    pub(super) reader: Reader,
    pub(super) left_max: usize,
}

/// Of either side, what a run keeps in memory of what one pass leaves over for the next.
const LEFT_MAX: usize = 100_000;

impl PostgresStatementBook {
    /// `reader` is that of the read models, in which the other side stands.
    pub fn new(pool: PgPool, reader: Reader) -> PostgresStatementBook {
        PostgresStatementBook { pool, reader, left_max: LEFT_MAX }
    }

    /// The same book, whose runs read again from the database what is left over beyond so much.
    pub fn keeping_at_most(self, left_max: usize) -> PostgresStatementBook {
        PostgresStatementBook { left_max, ..self }
    }

    async fn known(&self, statement_id: StatementId) -> Result<Imported, StatementsUnavailable> {
        let row = sqlx::query(
            "SELECT lines, bad_lines, totals::text, period_from, period_to FROM reconciliation_statements
              WHERE statement_id = $1",
        )
        .bind(statement_id.to_string())
        .fetch_one(&self.pool)
        .await
        .map_err(unavailable)?;
        imported(&row).map_err(unavailable)
    }
}

#[async_trait]
impl StatementBook for PostgresStatementBook {
    async fn import(&self, statement: &NewStatement, file: &Path) -> Result<Imported, ImportError> {
        let opened = std::fs::File::open(file).map_err(|error| StatementsUnavailable(error.to_string()))?;
        let mut transaction = projections::begin(&self.pool, "BEGIN").await.map_err(unavailable)?;
        // Of two who bring the same file, one waits here until the other is done.
        let Some(number) = claim(&mut transaction, statement).await.map_err(unavailable)? else {
            return Ok(self.known(statement.statement_id).await?);
        };
        let (batches, mut taken) = mpsc::channel::<Vec<Found>>(BATCHES_WAITING_MAX);
        let format = statement.format.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let mut batch = Vec::with_capacity(BATCH);
            let read = read(&format, opened, &mut |found| {
                batch.push(found);
                batch.len() < BATCH || batches.blocking_send(std::mem::take(&mut batch)).is_ok()
            });
            read.and_then(|()| batches.blocking_send(batch).map_err(|_| Unreadable::GivenUp))
        });
        let mut writing = Writing::new(number);
        while let Some(batch) = taken.recv().await {
            writing.take(&mut transaction, batch).await?;
        }
        drop(taken);
        let read = reading.await.map_err(|error| StatementsUnavailable(error.to_string()))?;
        read.map_err(|reason| ImportError::Unreadable(reason.to_string()))?;
        let imported = writing.finish(&mut transaction, statement).await?;
        transaction.commit().await.map_err(unavailable)?;
        Ok(imported)
    }

    async fn reconcile(&self, order: &RunOrder) -> Result<RunOutcome, StatementsUnavailable> {
        compare::run(self, order).await
    }

    async fn find_exception(&self, exception_id: ExceptionId) -> Result<Option<Facts>, StatementsUnavailable> {
        let row = sqlx::query(
            "SELECT statement_id, counterparty, kind, currency, amount, occurred_at, estimated_fee::text
               FROM reconciliation_differences WHERE exception_id = $1",
        )
        .bind(exception_id.to_string())
        .fetch_optional(&self.pool)
        .await
        .map_err(unavailable)?;
        row.as_ref().map(|row| facts(exception_id, row)).transpose().map_err(unavailable)
    }

    async fn bad_lines(
        &self,
        statement_id: StatementId,
        after: u32,
        limit: u32,
    ) -> Result<Vec<BadLine>, StatementsUnavailable> {
        let rows = sqlx::query(
            "SELECT line, reason FROM reconciliation_bad_lines
              WHERE statement = (SELECT number FROM reconciliation_statements WHERE statement_id = $1) AND line > $2
              ORDER BY line LIMIT $3",
        )
        .bind(statement_id.to_string())
        .bind(i64::from(after))
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await
        .map_err(unavailable)?;
        let bad_line = |row: &PgRow| {
            let line: i32 = row.try_get("line")?;
            Ok(BadLine { number: u32::try_from(line).unwrap_or_default(), reason: row.try_get("reason")? })
        };
        rows.iter().map(bad_line).collect::<Result<_, sqlx::Error>>().map_err(unavailable)
    }
}

pub(super) fn unavailable(error: sqlx::Error) -> StatementsUnavailable {
    StatementsUnavailable(error.to_string())
}

/// The statement's short number, if nobody has kept it before.
async fn claim(connection: &mut PgConnection, statement: &NewStatement) -> Result<Option<i64>, sqlx::Error> {
    let row = sqlx::query(
        "INSERT INTO reconciliation_statements
             (statement_id, counterparty, format, lines, bad_lines, totals, covers, closing, imported_at)
         VALUES ($1, $2, $3, 0, 0, '[]', '{}', '[]', $4) ON CONFLICT DO NOTHING RETURNING number",
    )
    .bind(statement.statement_id.to_string())
    .bind(statement.counterparty.to_string())
    .bind(statement.format.as_str())
    .bind(statement.imported_at.to_datetime())
    .fetch_optional(connection)
    .await?;
    row.map(|row| row.try_get("number")).transpose()
}

/// A statement on its way into the tables, and what it adds up to so far.
struct Writing {
    number: i64,
    lines: BinaryRows,
    bad_lines: CopyRows,
    counted: u64,
    counted_bad: u64,
    sums: BTreeMap<Currency, (i128, i128)>,
    kinds: BTreeSet<Kind>,
    period: Option<Period>,
    closing: Vec<Closing>,
}

impl Writing {
    fn new(number: i64) -> Writing {
        Writing {
            number,
            lines: BinaryRows::new(
                "COPY reconciliation_lines
                     (statement, line, kind, reference, own_reference, currency, gross, fee, occurred_at)
                 FROM STDIN (FORMAT binary)",
                9,
            ),
            bad_lines: CopyRows::new("COPY reconciliation_bad_lines (statement, line, reason) FROM STDIN"),
            counted: 0,
            counted_bad: 0,
            sums: BTreeMap::new(),
            kinds: BTreeSet::new(),
            period: None,
            closing: vec![],
        }
    }

    async fn take(&mut self, connection: &mut PgConnection, batch: Vec<Found>) -> Result<(), ImportError> {
        for found in batch {
            match found {
                Found::Line(line) => self.line(&line),
                Found::Bad(bad) => {
                    self.counted_bad += 1;
                    self.bad_lines.plain(self.number);
                    self.bad_lines.plain(bad.number);
                    self.bad_lines.text(&bad.reason);
                    self.bad_lines.end_row();
                }
                Found::Closing(closing) => self.closing.push(closing),
            }
        }
        self.lines.flush_if_large(connection).await.map_err(unavailable)?;
        self.bad_lines.flush_if_large(connection).await.map_err(unavailable)?;
        Ok(())
    }

    fn line(&mut self, line: &Line) {
        self.counted += 1;
        self.kinds.insert(line.kind);
        let sums = self.sums.entry(line.amounts.currency).or_default();
        sums.0 += i128::from(line.amounts.gross);
        sums.1 += i128::from(line.amounts.fee);
        let period = self.period.get_or_insert(Period { from: line.occurred_at, to: line.occurred_at });
        (period.from, period.to) = (period.from.min(line.occurred_at), period.to.max(line.occurred_at));
        let rows = &mut self.lines;
        rows.begin_row();
        rows.bigint(self.number);
        rows.integer(i32::try_from(line.number).expect("a file of 256 MB has fewer lines"));
        rows.text(line.kind.as_str());
        rows.optional(line.reference.as_deref());
        rows.optional(line.own_reference.as_deref());
        rows.text(line.amounts.currency.code());
        rows.bigint(line.amounts.gross);
        rows.bigint(line.amounts.fee);
        rows.moment(line.occurred_at);
    }

    async fn finish(
        mut self,
        connection: &mut PgConnection,
        statement: &NewStatement,
    ) -> Result<Imported, ImportError> {
        self.lines.flush(connection).await.map_err(unavailable)?;
        self.bad_lines.flush(connection).await.map_err(unavailable)?;
        let totals =
            self.totals().ok_or_else(|| ImportError::Unreadable("the amounts add up to too much".to_owned()))?;
        self.kinds.extend(statement.format.covers());
        let covers: Vec<&str> = self.kinds.iter().map(Kind::as_str).collect();
        let at = |of: fn(&Period) -> Timestamp| self.period.as_ref().map(|period| of(period).to_datetime());
        sqlx::query(
            "UPDATE reconciliation_statements
                SET lines = $2, bad_lines = $3, totals = $4::json, covers = $5, closing = $6::json, period_from = $7,
                    period_to = $8
              WHERE number = $1",
        )
        .bind(self.number)
        .bind(i64::try_from(self.counted).unwrap_or(i64::MAX))
        .bind(i64::try_from(self.counted_bad).unwrap_or(i64::MAX))
        .bind(json_text(&totals))
        .bind(covers)
        .bind(json_text(&self.closing))
        .bind(at(|period| period.from))
        .bind(at(|period| period.to))
        .execute(connection)
        .await
        .map_err(unavailable)?;
        Ok(Imported { lines: self.counted, bad_lines: self.counted_bad, totals, period: self.period })
    }

    fn totals(&self) -> Option<Vec<Total>> {
        let total = |(currency, (gross, fee)): (&Currency, &(i128, i128))| {
            Some(Total { currency: *currency, gross: i64::try_from(*gross).ok()?, fee: i64::try_from(*fee).ok()? })
        };
        self.sums.iter().map(total).collect()
    }
}

pub(super) fn json_text(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("texts and integers always serialise")
}

fn imported(row: &PgRow) -> Result<Imported, sqlx::Error> {
    let count = |column| row.try_get::<i64, _>(column).map(i64::unsigned_abs);
    let (from, to) = (moment(row, "period_from")?, moment(row, "period_to")?);
    Ok(Imported {
        lines: count("lines")?,
        bad_lines: count("bad_lines")?,
        totals: json_of(row, "totals")?.unwrap_or_default(),
        period: from.zip(to).map(|(from, to)| Period { from, to }),
    })
}

pub(super) fn moment(row: &PgRow, column: &str) -> Result<Option<Timestamp>, sqlx::Error> {
    Ok(row.try_get::<Option<DateTime<Utc>>, _>(column)?.map(Timestamp::from))
}

fn json_of<T: DeserializeOwned>(row: &PgRow, column: &str) -> Result<Option<T>, sqlx::Error> {
    let text: Option<&str> = row.try_get(column)?;
    text.map(|text| serde_json::from_str(text).map_err(|error| sqlx::Error::Decode(error.into()))).transpose()
}

pub(super) fn parsed<T: std::str::FromStr>(row: &PgRow, column: &str) -> Result<T, sqlx::Error> {
    let text: &str = row.try_get(column)?;
    text.parse().map_err(|_| sqlx::Error::Decode(format!("{text} is no {column}").into()))
}

fn facts(exception_id: ExceptionId, row: &PgRow) -> Result<Facts, sqlx::Error> {
    Ok(Facts {
        exception_id,
        statement_id: parsed(row, "statement_id")?,
        counterparty: parsed(row, "counterparty")?,
        kind: parsed(row, "kind")?,
        currency: parsed(row, "currency")?,
        amount: row.try_get("amount")?,
        occurred_at: moment(row, "occurred_at")?.unwrap_or_default(),
        estimated_fee_of: json_of(row, "estimated_fee")?,
    })
}

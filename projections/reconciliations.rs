//! The read models `reconciliations` and `reconciliation_exceptions`: a row for each statement with its newest run, and
//! one for each difference that somebody has said something of. What a run found stands in tables beside the log, which
//! the list of exceptions joins with what was said.

use async_trait::async_trait;
use commands::ports::pending_runs::{PendingRuns, PendingRunsUnavailable};
use domain::reconciliation::{self, DifferenceKind, Reconciliation, ReconciliationStatus, Severity};
use domain::reconciliation_exception::{self, ExceptionStatus, ReconciliationException};
use domain::{ChannelName, Currency, ExceptionId, ReconciliationRunId, StatementId, Timestamp};
use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::{QueryBuilder, Row};

use crate::database::{json, moment, parsed};
use crate::streams::{Columns, Listed, stream_read_model};
use crate::{Cursor, Filter, Page, ReadError, Reader, Snapshot, StatusText, streams};

stream_read_model! {
    /// Statements by their ids.
    Reconciliations of Reconciliation, "reconciliations" version 2
}

stream_read_model! {
    /// Differences that somebody has said something of, by their ids.
    ReconciliationExceptions of ReconciliationException, "reconciliation_exceptions" version 2
}

impl Listed for reconciliation::State {
    fn columns(&self) -> Option<Columns> {
        let record = self.record()?;
        Some(Columns {
            id: record.statement.statement_id.to_string(),
            merchant_id: None,
            order_no: None,
            status: record.status().as_str(),
            currency: record.statement.totals.first().map(|total| total.currency),
            amount: None,
            channel: record.statement.counterparty.channel().cloned(),
            created_at: record.statement.imported_at,
        })
    }
}

impl Listed for reconciliation_exception::State {
    fn columns(&self) -> Option<Columns> {
        let facts = self.facts()?;
        Some(Columns {
            id: facts.exception_id.to_string(),
            merchant_id: None,
            order_no: None,
            status: self.status().as_str(),
            currency: Some(facts.currency),
            amount: Some(facts.amount),
            channel: facts.counterparty.channel().cloned(),
            created_at: facts.occurred_at,
        })
    }
}

impl StatusText for ReconciliationStatus {
    fn as_str(&self) -> &'static str {
        ReconciliationStatus::as_str(self)
    }
}

/// A difference that a run found, and what was said of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ExceptionRow {
    pub exception_id: ExceptionId,
    pub statement_id: StatementId,
    /// The run that found it last.
    pub run_id: ReconciliationRunId,
    pub counterparty: String,
    pub kind: DifferenceKind,
    pub severity: Severity,
    pub currency: Currency,
    /// Net, in minor units: what the statement tells beyond what is booked.
    pub amount: i64,
    pub reason: String,
    /// What the statement tells and what is booked, as the API shows them.
    pub there: Value,
    pub here: Value,
    pub occurred_at: Timestamp,
    pub opened_at: Timestamp,
    pub cleared_at: Option<Timestamp>,
    pub said: reconciliation_exception::State,
}

impl ExceptionRow {
    pub fn status(&self) -> ExceptionStatus {
        match self.said.status() {
            ExceptionStatus::Resolved => ExceptionStatus::Resolved,
            _ if self.cleared_at.is_some() => ExceptionStatus::Cleared,
            said => said,
        }
    }
}

/// Which exceptions are wanted: all that meet every condition given.
#[derive(Debug, Clone, Default)]
pub struct ExceptionFilter {
    pub status: Option<ExceptionStatus>,
    pub kind: Option<DifferenceKind>,
    pub severity: Option<Severity>,
    pub currency: Option<Currency>,
    pub channel: Option<ChannelName>,
    pub statement_id: Option<StatementId>,
    /// What they are about happened before.
    pub occurred_before: Option<Timestamp>,
}

const STATUS: &str = "(CASE WHEN s.status = 'resolved' THEN 'resolved' WHEN e.cleared_at IS NOT NULL THEN 'cleared'
                            ELSE coalesce(s.status, 'open') END)";

fn select<'q>() -> QueryBuilder<'q, sqlx::Postgres> {
    QueryBuilder::new(
        "SELECT e.*, e.there::text AS there_text, e.here::text AS here_text, s.state::text AS said
           FROM reconciliation_differences AS e
           LEFT JOIN reconciliation_exceptions AS s ON s.id = e.exception_id
          WHERE true",
    )
}

/// A page of exceptions, the newest of their occasions first.
pub async fn exceptions(
    view: &mut Snapshot,
    filter: &ExceptionFilter,
    limit: u32,
    cursor: Option<&Cursor>,
) -> Result<Page<ExceptionRow>, ReadError> {
    let mut query = select();
    if let Some(status) = filter.status {
        query.push(format_args!(" AND {STATUS} = ")).push_bind(status.as_str());
    }
    let equal = [
        ("kind", filter.kind.map(|kind| kind.to_string())),
        ("severity", filter.severity.map(|severity| severity.to_string())),
        ("currency", filter.currency.map(|currency| currency.to_string())),
        ("counterparty", filter.channel.as_ref().map(|channel| format!("channel:{channel}"))),
        ("statement_id", filter.statement_id.map(|statement| statement.to_string())),
    ];
    for (column, wanted) in equal {
        if let Some(wanted) = wanted {
            query.push(format_args!(" AND e.{column} = ")).push_bind(wanted);
        }
    }
    if let Some(before) = filter.occurred_before {
        query.push(" AND e.occurred_at < ").push_bind(before.to_datetime());
    }
    if let Some(cursor) = cursor {
        let occurred_at = Timestamp::from_micros(cursor.key).to_datetime();
        query.push(" AND (e.occurred_at, e.exception_id) < (").push_bind(occurred_at);
        query.push(", ").push_bind(cursor.id.clone()).push(")");
    }
    query.push(" ORDER BY e.occurred_at DESC, e.exception_id DESC LIMIT ").push_bind(i64::from(limit) + 1);
    let rows = query.build().fetch_all(view.connection()).await?;
    let rows = rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?;
    Ok(Page::cut(rows, limit, |row: &ExceptionRow| Cursor {
        key: row.occurred_at.as_micros().max(0),
        id: row.exception_id.to_string(),
    }))
}

/// The exception as of the view, if a run has found it.
pub async fn find_exception(view: &mut Snapshot, exception_id: ExceptionId) -> Result<Option<ExceptionRow>, ReadError> {
    let mut query = select();
    query.push(" AND e.exception_id = ").push_bind(exception_id.to_string());
    let row = query.build().fetch_optional(view.connection()).await?;
    Ok(row.as_ref().map(read).transpose()?)
}

fn read(row: &PgRow) -> Result<ExceptionRow, sqlx::Error> {
    let cleared_at: Option<sqlx::types::chrono::DateTime<sqlx::types::chrono::Utc>> = row.try_get("cleared_at")?;
    Ok(ExceptionRow {
        exception_id: parsed(row, "exception_id")?,
        statement_id: parsed(row, "statement_id")?,
        run_id: parsed(row, "run_id")?,
        counterparty: row.try_get("counterparty")?,
        kind: parsed(row, "kind")?,
        severity: parsed(row, "severity")?,
        currency: parsed(row, "currency")?,
        amount: row.try_get("amount")?,
        reason: row.try_get("reason")?,
        there: json(row, "there_text")?.unwrap_or_default(),
        here: json(row, "here_text")?.unwrap_or_default(),
        occurred_at: moment(row, "occurred_at")?,
        opened_at: moment(row, "opened_at")?,
        cleared_at: cleared_at.map(Timestamp::from),
        said: json(row, "said")?.unwrap_or_default(),
    })
}

const PAGE: u32 = 500;

/// What the read model of statements tells the command side: which runs nobody has finished.
#[derive(Debug, Clone)]
pub struct PendingRunsOfReadModel {
    reader: Reader,
}

impl PendingRunsOfReadModel {
    pub fn new(reader: Reader) -> PendingRunsOfReadModel {
        PendingRunsOfReadModel { reader }
    }

    async fn find(&self) -> Result<Vec<StatementId>, ReadError> {
        let mut view = self.reader.now(&[&Reconciliations]).await?;
        let filter = Filter { status: Some(ReconciliationStatus::Running), ..Filter::default() };
        let page = streams::list::<Reconciliations, _>(&mut view, &filter, PAGE, None).await?;
        let statement = |state: &reconciliation::State| state.record().map(|record| record.statement.statement_id);
        Ok(page.rows.iter().filter_map(|row| statement(&row.state)).collect())
    }
}

#[async_trait]
impl PendingRuns for PendingRunsOfReadModel {
    async fn pending(&self) -> Result<Vec<StatementId>, PendingRunsUnavailable> {
        self.find().await.map_err(|error| PendingRunsUnavailable(error.to_string()))
    }
}

//! Reconciliation: bring a statement in, look at runs and at the differences that they found, say what is done about one.

mod exceptions;
mod upload;

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use commands::ports::{Category, Receipt, RecordedEvent};
use domain::reconciliation::{Event, Period, Reconciliation, Rules, RunCompleted, RunRequested, StatementImported};
use domain::{ReconciliationRunId, StatementId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::roles::{BooksReader, FinanceCaller};
use crate::errors;
use crate::extract::{Named, Params, Wait};
use crate::idempotency::{self, Command, accepted, answer};
use crate::outcome;
use crate::page::{Limit, List, cursor};
use crate::params::{CommandErrors, QueryErrors, QueryHeaders, WaitingCommandHeaders};
use crate::position::{self, Freshness};
use crate::problem::Problem;
use projections::Cursor;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(get_run))
        .routes(routes!(list_bad_lines))
        .routes(routes!(run_again))
        .merge(exceptions::routes())
}

/// Routes whose bodies are larger than others may be.
pub fn upload_routes() -> OpenApiRouter<App> {
    upload::routes()
}

/// One comparison of a statement with what was booked.
#[derive(Serialize, ToSchema)]
#[schema(as = ReconciliationRun)]
struct RunObject {
    #[schema(example = "rec_01k9zc4x8me1wbn7t5c1vq0d2r")]
    id: String,
    /// Always `reconciliation_run`.
    #[schema(example = "reconciliation_run")]
    object: &'static str,
    /// `running` or `completed`.
    #[schema(example = "completed")]
    status: &'static str,
    statement: StatementObject,
    /// Of the runs over this statement, counted from 1.
    number: u16,
    /// Minor units by which amounts and fees may differ.
    tolerance: i64,
    /// Days by which the two sides may date the same thing apart.
    lag_days_max: u32,
    requested_by: String,
    #[schema(value_type = String, format = DateTime)]
    requested_at: Timestamp,
    /// What was found; null while it runs.
    result: Option<ResultObject>,
}

/// A statement as it was brought in.
#[derive(Serialize, ToSchema)]
#[schema(as = Statement)]
struct StatementObject {
    #[schema(example = "stm_01k9zc4x8me1wbn7t5c1vq0000")]
    id: String,
    #[schema(example = "stripe_payout")]
    format: String,
    /// Whose it is.
    #[schema(example = "channel:stripe")]
    counterparty: String,
    /// SHA-256 of the file.
    digest: String,
    bytes: u64,
    /// Lines that were read, and lines that could not be: `GET /reconciliation/runs/{id}/bad-lines` tells them.
    lines: u64,
    bad_lines: u64,
    /// What the lines add up to, in minor units.
    totals: Vec<TotalObject>,
    /// Of the earliest and the latest line.
    #[schema(value_type = Option<String>, format = DateTime)]
    period_from: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    period_to: Option<Timestamp>,
    imported_by: String,
    #[schema(value_type = String, format = DateTime)]
    imported_at: Timestamp,
}

/// Minor units.
#[derive(Serialize, ToSchema)]
#[schema(as = StatementTotal)]
struct TotalObject {
    #[schema(example = "USD")]
    currency: String,
    gross: i64,
    fee: i64,
    net: i64,
}

/// What a run found.
#[derive(Serialize, ToSchema)]
#[schema(as = ReconciliationResult)]
struct ResultObject {
    /// The position of the log up to which what is booked was compared.
    position: String,
    matched_lines: u64,
    matched_operations: u64,
    /// Matches by how they came about: `exact`, `date_lag`, `tolerance`, `one_to_many`, `many_to_one`, `many_to_many` or
    /// `amount_and_day`.
    matches: BTreeMap<&'static str, u64>,
    /// Exceptions by what differs: `missing_here`, `missing_there`, `amount`, `fee`, `currency`, `duplicate`,
    /// `split_incomplete` or `date`.
    exceptions: BTreeMap<&'static str, u64>,
    /// Earlier exceptions that nothing speaks for any more.
    cleared: u64,
    /// SHA-256 of what every line and operation came to.
    outcome_digest: String,
    #[schema(value_type = String, format = DateTime)]
    completed_at: Timestamp,
}

/// A run with what it was over.
struct Run {
    statement: StatementImported,
    requested: RunRequested,
    completed: Option<RunCompleted>,
}

impl From<&Run> for RunObject {
    fn from(run: &Run) -> RunObject {
        let Run { statement, requested, completed } = run;
        RunObject {
            id: requested.run_id.to_string(),
            object: "reconciliation_run",
            status: if completed.is_some() { "completed" } else { "running" },
            statement: statement.into(),
            number: requested.number,
            tolerance: requested.rules.tolerance,
            lag_days_max: requested.rules.lag_days_max,
            requested_by: requested.requested_by.clone(),
            requested_at: requested.requested_at,
            result: completed.as_ref().map(ResultObject::from),
        }
    }
}

impl From<&StatementImported> for StatementObject {
    fn from(statement: &StatementImported) -> StatementObject {
        let at = |of: fn(&Period) -> Timestamp| statement.period.as_ref().map(of);
        let totals = statement.totals.iter().map(|total| TotalObject {
            currency: total.currency.to_string(),
            gross: total.gross,
            fee: total.fee,
            net: total.gross.saturating_sub(total.fee),
        });
        StatementObject {
            id: statement.statement_id.to_string(),
            format: statement.format.clone(),
            counterparty: statement.counterparty.to_string(),
            digest: statement.digest.clone(),
            bytes: statement.bytes,
            lines: statement.lines,
            bad_lines: statement.bad_lines,
            totals: totals.collect(),
            period_from: at(|period| period.from),
            period_to: at(|period| period.to),
            imported_by: statement.imported_by.clone(),
            imported_at: statement.imported_at,
        }
    }
}

impl From<&RunCompleted> for ResultObject {
    fn from(completed: &RunCompleted) -> ResultObject {
        let counts = &completed.counts;
        ResultObject {
            position: position::token(completed.position),
            matched_lines: counts.matched_lines,
            matched_operations: counts.matched_operations,
            matches: counts.matches.iter().map(|(how, count)| (how.as_str(), *count)).collect(),
            exceptions: counts.exceptions.iter().map(|(kind, count)| (kind.as_str(), *count)).collect(),
            cleared: counts.cleared,
            outcome_digest: completed.outcome_digest.clone(),
            completed_at: completed.completed_at,
        }
    }
}

/// The run of this id as of `position`, if its statement's events tell one.
async fn run_at(app: &App, run_id: ReconciliationRunId, position: u64) -> Result<Option<Run>, Problem> {
    let stream = Category::of::<Reconciliation>().stream(run_id.statement().to_string());
    let events = outcome::events_up_to(app, &stream, position).await?;
    let mut found: Option<Run> = None;
    let mut imported = None;
    for event in &events {
        match read(event)? {
            Event::StatementImported(statement) => imported = Some(*statement),
            Event::RunRequested(requested) if requested.run_id == run_id => {
                found = imported.clone().map(|statement| Run { statement, requested, completed: None });
            }
            Event::RunCompleted(completed) if completed.run_id == run_id => {
                found = found.map(|run| Run { completed: Some(*completed), ..run });
            }
            Event::RunRequested(_) | Event::RunCompleted(_) => {}
        }
    }
    Ok(found)
}

fn read(event: &RecordedEvent) -> Result<Event, Problem> {
    event.decode().map_err(|error| Problem::internal(&error))
}

/// The run that a command asked for: as of the command, or, for a caller who waits, as of its outcome.
async fn as_of_command(app: &App, receipt: &Receipt, number: u16, wait: Wait) -> Result<Response, Problem> {
    let is_done = |state: &domain::reconciliation::State| {
        let run = state.record().and_then(|record| record.run.as_ref());
        run.is_some_and(|run| run.requested.number > number || run.completed.is_some())
    };
    let (_, position) = outcome::of_stream::<Reconciliation>(app, receipt, wait.0, is_done).await?;
    let statement: StatementId = receipt.stream.id.parse().map_err(|error| Problem::internal(&error))?;
    let run_id = ReconciliationRunId::of(statement, number);
    let run = run_at(app, run_id, position).await?;
    let run = run.ok_or_else(|| Problem::internal(&format!("{run_id} was never asked for")))?;
    let headers: Vec<(HeaderName, HeaderValue)> =
        idempotency::headers(receipt, position).into_iter().chain(wait.applied()).collect();
    Ok(answer(StatusCode::ACCEPTED, headers, &RunObject::from(&run)))
}

/// Makes the run on this node; if it dies, the job `finish_reconciliations` makes it.
fn start(app: &App, statement_id: StatementId) {
    let reconciliations = app.reconciliations.clone();
    tokio::spawn(async move {
        if let Err(error) = reconciliations.run(statement_id).await {
            tracing::warn!(statement.id = %statement_id, %error, "the run is left to the job");
        }
    });
}

/// Look up a run
#[utoipa::path(get, path = "/reconciliation/runs/{id}", tag = "reconciliation",
    params(("id" = String, Path, description = "`rec_...`"), QueryHeaders),
    responses((status = 200, description = "The run", body = RunObject), QueryErrors))]
async fn get_run(
    State(app): State<App>,
    _caller: BooksReader,
    Named(run_id): Named<ReconciliationRunId>,
    _query: Params<idempotency::Nothing>,
    freshness: Freshness,
) -> Result<Response, Problem> {
    let position = freshness.of_streams(&app).await?;
    let run = run_at(&app, run_id, u64::MAX).await?;
    let run = run.ok_or_else(|| Problem::of(errors::RECONCILIATION_RUN_NOT_FOUND))?;
    Ok(answer(StatusCode::OK, [position::header(position)], &RunObject::from(&run)))
}

/// A line that could not be read.
#[derive(Serialize, ToSchema)]
#[schema(as = BadLine)]
struct BadLineObject {
    /// In the file, counted from 1; of a bank's XML, the number of the booking.
    #[schema(example = 17)]
    line: u32,
    #[schema(example = "net is not gross less fee")]
    reason: String,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct BadLinesQuery {
    /// 1 to 100, 20 unless told otherwise.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Limit,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// List the lines of a run's statement that could not be read, in the order of the file
#[utoipa::path(get, path = "/reconciliation/runs/{id}/bad-lines", tag = "reconciliation",
    params(("id" = String, Path, description = "`rec_...`"), BadLinesQuery),
    responses((status = 200, description = "A page of lines", body = List<BadLineObject>), QueryErrors))]
async fn list_bad_lines(
    State(app): State<App>,
    _caller: BooksReader,
    Named(run_id): Named<ReconciliationRunId>,
    Params(query): Params<BadLinesQuery>,
    freshness: Freshness,
) -> Result<Response, Problem> {
    let after = cursor(query.cursor.as_deref())?;
    let after = after.map_or(0, |cursor| u32::try_from(cursor.key).unwrap_or(u32::MAX));
    let position = freshness.of_streams(&app).await?;
    let mut lines = app.reconciliations.bad_lines(run_id, after, query.limit.0 + 1).await?;
    let has_more = lines.len() > usize::try_from(query.limit.0).unwrap_or(usize::MAX);
    lines.truncate(usize::try_from(query.limit.0).unwrap_or(usize::MAX));
    let next = lines.last().filter(|_| has_more);
    let next = next.map(|line| Cursor { key: i64::from(line.number), id: String::new() });
    let data = lines.into_iter().map(|line| BadLineObject { line: line.number, reason: line.reason }).collect();
    Ok(answer(StatusCode::OK, [position::header(position)], &List::new(data, next)))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RunAgainBody {
    /// Minor units by which amounts and fees may differ, from 0 to 1000; 1 unless told otherwise.
    tolerance: Option<i64>,
    /// Days by which the two sides may date the same thing apart, from 0 to 60; 5 unless told otherwise.
    lag_days_max: Option<u32>,
}

/// Compare the run's statement again, with what is booked by now
#[utoipa::path(post, path = "/reconciliation/runs/{id}/again", tag = "reconciliation",
    params(("id" = String, Path, description = "`rec_...` of any run over the statement"), WaitingCommandHeaders),
    request_body = RunAgainBody,
    responses((status = 202, description = "The new run", body = RunObject), CommandErrors))]
async fn run_again(
    State(app): State<App>,
    caller: FinanceCaller,
    Named(run_id): Named<ReconciliationRunId>,
    wait: Wait,
    Command { issued, body }: Command<RunAgainBody>,
) -> Result<Response, Problem> {
    let rules = rules(body.tolerance, body.lag_days_max)?;
    let statement_id = run_id.statement();
    let receipt = app.reconciliations.run_again(issued, statement_id, rules, caller.principal).await?;
    let receipt = accepted(receipt)?;
    start(&app, statement_id);
    let state = outcome::stream_at(&app, Category::of::<Reconciliation>(), &receipt.object, receipt.position).await?;
    let run = state.of::<Reconciliation>().and_then(|state| state.record()).and_then(|record| record.run.as_ref());
    let number = run.map(|run| run.requested.number).ok_or_else(|| Problem::internal(&"a run without its request"))?;
    as_of_command(&app, &receipt, number, wait).await
}

const TOLERANCE_MAX: i64 = 1_000;
const LAG_DAYS_MAX: u32 = 60;

fn rules(tolerance: Option<i64>, lag_days_max: Option<u32>) -> Result<Rules, Problem> {
    let usual = Rules::default();
    let rules = Rules {
        tolerance: tolerance.unwrap_or(usual.tolerance),
        lag_days_max: lag_days_max.unwrap_or(usual.lag_days_max),
    };
    if !(0..=TOLERANCE_MAX).contains(&rules.tolerance) {
        return Err(Problem::new(errors::INVALID_FIELD, "must be 0 to 1000 minor units").at("/tolerance"));
    }
    if rules.lag_days_max > LAG_DAYS_MAX {
        return Err(Problem::new(errors::INVALID_FIELD, "must be 0 to 60 days").at("/lag_days_max"));
    }
    Ok(rules)
}
